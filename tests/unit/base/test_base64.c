/* test_base64.c - the published vectors, and strictness */
#include "base/base64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Another's encoder: BASE64_ENCODED(n) characters and a NUL. */
static void encode(const uint8_t *p, size_t n, char *out)
{
    cr_assert_eq(EVP_EncodeBlock((unsigned char *)out, p, (int)n), (int)BASE64_ENCODED(n));
}

Test(base64, the_vectors_of_the_standard)
{
    static const char *const v[][2] = {{"", ""},
                                       {"f", "Zg=="},
                                       {"fo", "Zm8="},
                                       {"foo", "Zm9v"},
                                       {"foob", "Zm9vYg=="},
                                       {"fooba", "Zm9vYmE="},
                                       {"foobar", "Zm9vYmFy"}};
    char text[32];
    uint8_t raw[32];

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        size_t n = strlen(v[i][0]);
        encode((const uint8_t *)v[i][0], n, text);
        cr_assert_str_eq(text, v[i][1]);
        cr_assert_eq(base64_decode(text, strlen(text), raw, n), (ssize_t)n);
        cr_assert_eq(memcmp(raw, v[i][0], n), 0);
        cr_assert_eq(base64_decode(text, strcspn(text, "="), raw, sizeof raw), (ssize_t)n, "padding may be absent");
    }
}

Test(base64, what_is_not_base64_is_refused)
{
    static const char *const wrong[] = {"Z",    "Zg=",  "Z===", "====", "=",     "Zg==Zg==", "Zm 9", "Zm9v\n",
                                        "Zm9-", "Zm9_", "Zh==", "Zm9=", "Zm9vY", "Zm\377v",  "Z=9v"};
    uint8_t raw[32];

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(base64_decode(wrong[i], strlen(wrong[i]), raw, sizeof raw), -EINVAL, "%s", wrong[i]);
    cr_assert_eq(base64_decode("Zm9vYg==", 8, raw, 3), -ENOSPC);
    cr_assert_eq(base64_decode("Zm9v", 4, raw, 2), -ENOSPC);
}

Test(base64, any_bytes_come_back)
{
    uint8_t in[200], out[200];
    char text[BASE64_ENCODED(sizeof in) + 1];

    srandom(7);
    for (size_t n = 0; n <= sizeof in; n++) {
        for (size_t i = 0; i < n; i++)
            in[i] = (uint8_t)random();
        encode(in, n, text);
        cr_assert_eq(strlen(text), BASE64_ENCODED(n));
        cr_assert_eq(base64_decode(text, strlen(text), out, n), (ssize_t)n);
        cr_assert_eq(memcmp(in, out, n), 0);
    }
}

/* Long enough for wide registers: every character at every place of a step and of what is left after it. */
Test(base64, a_foreign_character_is_found_wherever_it_stands)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[BASE64_ENCODED(120) + 1];
    uint8_t in[120], out[120], want[120];

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37);
    encode(in, sizeof in, text);
    for (size_t at = 0; at + 1 < sizeof text; at++) {
        char kept = text[at];
        for (int c = 0; c < 256; c++) {
            const char *digit = c != 0 ? strchr(alphabet, c) : NULL;
            ssize_t got;
            if (c == '=' && at == sizeof text - 2)
                continue; /* padding, where it may be */
            text[at] = (char)c;
            got = base64_decode(text, sizeof text - 1, out, sizeof out);
            cr_assert_eq(got, digit == NULL ? -EINVAL : (ssize_t)sizeof out, "%d at %zu: %zd", c, at, got);
            if (digit == NULL)
                continue;
            memcpy(want, in, sizeof in);
            for (size_t bit = 0; bit < 6; bit++) {
                size_t place = at * 6 + bit;
                uint8_t mask = (uint8_t)(0x80 >> place % 8);
                want[place / 8] =
                    (uint8_t)((want[place / 8] & ~mask) | ((digit - alphabet) >> (5 - bit) & 1 ? mask : 0));
            }
            cr_assert_eq(memcmp(out, want, sizeof out), 0, "%d at %zu", c, at);
        }
        text[at] = kept;
    }
}

Test(base64, nothing_is_written_behind_the_room_that_is_needed)
{
    char text[BASE64_ENCODED(300) + 1];
    uint8_t in[300] = {1, 2, 3}, out[sizeof in + 40];

    for (size_t n = 0; n <= sizeof in; n++) {
        encode(in, n, text);
        memset(out, 0xA5, sizeof out);
        cr_assert_eq(base64_decode(text, strlen(text), out, n), (ssize_t)n);
        for (size_t i = n; i < sizeof out; i++)
            cr_assert_eq(out[i], 0xA5, "%zu bytes: %zu was written", n, i);
    }
}
