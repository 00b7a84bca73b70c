/* hmac.c - see hmac.h */
#include "base/hmac.h"

#include <openssl/evp.h>

bool hmac_sha256(const void *key, size_t key_len, const struct hmac_piece *pieces, int n, uint8_t out[SHA256_BYTES])
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key, key_len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t got = SHA256_BYTES;
    bool ok = pkey != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1;

    for (int i = 0; ok && i < n; i++)
        ok = EVP_DigestSignUpdate(ctx, pieces[i].p, pieces[i].n) == 1;
    ok = ok && EVP_DigestSignFinal(ctx, out, &got) == 1 && got == SHA256_BYTES;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok;
}
