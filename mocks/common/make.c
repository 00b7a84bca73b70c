/*
 * make.c - values that a mock makes: times, names, hashes, texts
 *
 * Depends on base, common.
 */
#include "base/hash.h"
#include "common/mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

json_t *mock_time_text(int64_t ms)
{
    char day[32], text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%03dZ", day, (int)(ms % 1000));
    return json_string(text);
}

void mock_sha256_hex(const void *p, size_t n, char out[65])
{
    uint8_t hash[SHA256_BYTES];

    sha256_of(p, n, hash);
    hex_encode(hash, sizeof hash, out);
}

void mock_uuid(struct mock *m, uint64_t number, const char *word, char out[37])
{
    char text[128];
    uint8_t h[SHA256_BYTES];

    snprintf(text, sizeof text, "%llu %llu %s", (unsigned long long)mock_seed(m), (unsigned long long)number, word);
    sha256_of(text, strlen(text), h);
    h[6] = (uint8_t)((h[6] & 0x0f) | 0x40);
    h[8] = (uint8_t)((h[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", h[0], h[1], h[2], h[3],
             h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]);
}

json_t *mock_text(const char *s, size_t n)
{
    json_t *v = memchr(s, '\0', n) == NULL ? json_stringn(s, n) : NULL;
    char *plain;

    if (v != NULL)
        return v;
    plain = malloc(n + 1);
    if (plain == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        plain[i] = s[i] == '\0' || (unsigned char)s[i] >= 0x80 ? '?' : s[i];
    v = json_stringn(plain, n);
    free(plain);
    return v;
}
