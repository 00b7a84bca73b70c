/* test_base64.c - the published vectors, and strictness */
#include "base/base64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        base64_encode((const uint8_t *)v[i][0], n, text);
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
        base64_encode(in, n, text);
        cr_assert_eq(strlen(text), BASE64_ENCODED(n));
        cr_assert_eq(base64_decode(text, strlen(text), out, n), (ssize_t)n);
        cr_assert_eq(memcmp(in, out, n), 0);
    }
}
