/*
 * test_hash.c - SHA-256 against the vectors of FIPS 180, in one piece and streamed; hex both ways
 */
#include "base/hash.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct vector {
    const char *text, *hex;
};

static const struct vector vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

Test(hash, known_vectors)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t sum[SHA256_BYTES];
        char hex[SHA256_HEX_LEN + 1];
        sha256_of(vectors[i].text, strlen(vectors[i].text), sum);
        hex_encode(sum, sizeof sum, hex);
        cr_expect_str_eq(hex, vectors[i].hex);
    }
}

Test(hash, a_million_a_in_uneven_pieces)
{
    static char a[1000000];
    struct sha256 *s = sha256_new();
    uint8_t sum[SHA256_BYTES];
    char hex[SHA256_HEX_LEN + 1];

    memset(a, 'a', sizeof a);
    for (size_t done = 0, piece = 1; done < sizeof a; done += piece, piece = piece * 3 + 1) {
        if (piece > sizeof a - done)
            piece = sizeof a - done;
        sha256_update(s, a + done, piece);
    }
    sha256_final(s, sum);
    sha256_free(&s);
    cr_expect_null(s);
    sha256_free(&s);
    hex_encode(sum, sizeof sum, hex);
    cr_expect_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(hash, hex_goes_both_ways)
{
    uint8_t all[256], back[256];
    char hex[513];

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    hex_encode(all, sizeof all, hex);
    cr_expect_eq(strlen(hex), 512);
    cr_expect_eq(strncmp(hex, "000102030405060708090a0b0c0d0e0f10", 34), 0);
    cr_expect_eq(hex_decode(hex, 512, back), 0);
    cr_expect_eq(memcmp(all, back, sizeof all), 0);
    cr_expect_eq(hex_decode("aBFf09", 6, back), 0);
    cr_expect_eq(memcmp(back, "\xab\xff\x09", 3), 0);
    cr_expect_eq(hex_decode("", 0, back), 0);
}

Test(hash, what_is_not_hex_is_refused)
{
    uint8_t out[8];

    cr_expect_eq(hex_decode("abc", 3, out), -EINVAL);
    cr_expect_eq(hex_decode("0g", 2, out), -EINVAL);
    cr_expect_eq(hex_decode("g0", 2, out), -EINVAL);
    cr_expect_eq(hex_decode(" 0", 2, out), -EINVAL);
    cr_expect_eq(hex_decode("0\0", 2, out), -EINVAL);
    cr_expect_eq(hex_decode("@0", 2, out), -EINVAL);
    cr_expect_eq(hex_decode("`0", 2, out), -EINVAL);
    cr_expect_eq(hex_decode("/0", 2, out), -EINVAL);
    cr_expect_eq(hex_decode(":0", 2, out), -EINVAL);
}
