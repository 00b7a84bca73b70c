/* test_hmac.c - HMAC-SHA256 against the vectors of RFC 4231, whole and in pieces */
#include "base/hmac.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_mac(const void *key, size_t key_len, const char *text, const char *want)
{
    size_t n = strlen(text), half = n / 2;
    const struct hmac_piece whole = {text, n}, pieces[] = {{text, half}, {text + half, 0}, {text + half, n - half}};
    char hex[SHA256_HEX_LEN + 1];
    uint8_t mac[SHA256_BYTES];

    cr_assert(hmac_sha256(key, key_len, &whole, 1, mac));
    hex_encode(mac, sizeof mac, hex);
    cr_expect_str_eq(hex, want);
    memset(mac, 0, sizeof mac);
    cr_assert(hmac_sha256(key, key_len, pieces, 3, mac));
    hex_encode(mac, sizeof mac, hex);
    cr_expect_str_eq(hex, want, "in pieces");
}

Test(hmac, known_vectors)
{
    uint8_t b[20], long_key[131];

    memset(b, 0x0b, sizeof b);
    memset(long_key, 0xaa, sizeof long_key);
    expect_mac(b, sizeof b, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_mac("Jefe", 4, "what do ya want for nothing?",
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect_mac(long_key, sizeof long_key, "Test Using Larger Than Block-Size Key - Hash Key First",
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(hmac, the_result_may_take_the_key_s_place)
{
    const struct hmac_piece piece = {"x", 1};
    uint8_t key[SHA256_BYTES] = {1, 2, 3}, other[SHA256_BYTES];

    cr_assert(hmac_sha256(key, sizeof key, &piece, 1, other));
    cr_assert(hmac_sha256(key, sizeof key, &piece, 1, key));
    cr_expect_arr_eq(key, other, sizeof key);
}
