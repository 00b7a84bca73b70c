/*
 * hash.c - see hash.h
 *
 * A failure inside OpenSSL's digest means memory is gone or the library is broken: panic, since a wrong hash would be
 * believed by everything downstream.
 */
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *s = malloc(sizeof *s);

    if (s == NULL)
        return NULL;
    s->ctx = EVP_MD_CTX_new();
    if (s->ctx == NULL || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
        sha256_free(&s);
        return NULL;
    }
    return s;
}

void sha256_update(struct sha256 *s, const void *p, size_t n)
{
    if (EVP_DigestUpdate(s->ctx, p, n) != 1)
        log_panic("hash", "EVP_DigestUpdate failed");
}

void sha256_final(struct sha256 *s, uint8_t out[SHA256_BYTES])
{
    unsigned len = 0;

    if (EVP_DigestFinal_ex(s->ctx, out, &len) != 1 || len != SHA256_BYTES)
        log_panic("hash", "EVP_DigestFinal_ex failed");
}

void sha256_free(struct sha256 **s)
{
    if (*s == NULL)
        return;
    EVP_MD_CTX_free((*s)->ctx);
    free(*s);
    *s = NULL;
}

void sha256_of(const void *p, size_t n, uint8_t out[SHA256_BYTES])
{
    unsigned len = 0;

    if (EVP_Digest(p, n, out, &len, EVP_sha256(), NULL) != 1 || len != SHA256_BYTES)
        log_panic("hash", "EVP_Digest failed");
}

void hex_encode(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(const char *s, size_t n_chars, uint8_t *out)
{
    if (n_chars % 2 != 0)
        return -EINVAL;
    for (size_t i = 0; i < n_chars; i += 2) {
        int hi = hex_value(s[i]);
        int lo = hi < 0 ? -1 : hex_value(s[i + 1]);
        if (lo < 0)
            return -EINVAL;
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    return 0;
}
