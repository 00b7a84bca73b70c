/* hmac.h - HMAC-SHA256 by OpenSSL */
#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include "base/error.h"
#include "base/hash.h"

#include <stdbool.h>

struct hmac_piece {
    const void *p;
    size_t n;
};

/* Over the pieces, one after the other. False: OpenSSL failed, which is to say that memory is gone. `out` may be the key. */
bool hmac_sha256(const void *key, size_t key_len, const struct hmac_piece *pieces, int n,
                 uint8_t out[SHA256_BYTES]) MUST_CHECK;

#endif
