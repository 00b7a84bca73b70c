/*
 * uuid.c - see uuid.h
 *
 * Randomness from getrandom, SHA-1 from OpenSSL. Either failing is a panic: an identifier that repeats would join
 * two documents.
 */
#include "base/uuid.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

static void set_version(struct uuid *u, int version)
{
    u->b[6] = (uint8_t)((u->b[6] & 0x0f) | (version << 4));
    u->b[8] = (uint8_t)((u->b[8] & 0x3f) | 0x80);
}

void uuid_v4(struct uuid *out)
{
    if (getrandom(out->b, sizeof out->b, 0) != (ssize_t)sizeof out->b)
        log_panic("uuid", "getrandom failed");
    set_version(out, 4);
}

void uuid_v5(const struct uuid *ns, const void *name, size_t n, struct uuid *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) != 1 ||
        EVP_DigestUpdate(ctx, ns->b, sizeof ns->b) != 1 || EVP_DigestUpdate(ctx, name, n) != 1 ||
        EVP_DigestFinal_ex(ctx, digest, &len) != 1)
        log_panic("uuid", "SHA-1 failed");
    EVP_MD_CTX_free(ctx);
    memcpy(out->b, digest, sizeof out->b);
    set_version(out, 5);
}

void uuid_format(const struct uuid *u, char out[UUID_TEXT_LEN + 1])
{
    static const size_t groups[] = {4, 2, 2, 2, 6};
    const uint8_t *p = u->b;
    char *o = out;

    for (int g = 0; g < 5; g++) {
        if (g > 0)
            *o++ = '-';
        hex_encode(p, groups[g], o);
        o += 2 * groups[g];
        p += groups[g];
    }
    *o = '\0';
}

int uuid_parse(const char *s, struct uuid *out)
{
    static const size_t groups[] = {4, 2, 2, 2, 6};
    struct uuid u;
    uint8_t *p = u.b;

    if (strlen(s) != UUID_TEXT_LEN)
        return -EINVAL;
    for (int g = 0; g < 5; g++) {
        if (g > 0 && *s++ != '-')
            return -EINVAL;
        if (hex_decode(s, 2 * groups[g], p) != 0)
            return -EINVAL;
        s += 2 * groups[g];
        p += groups[g];
    }
    *out = u;
    return 0;
}

int uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}
