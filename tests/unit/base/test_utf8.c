/*
 * test_utf8.c - every code point, and what is close to one and is none
 */
#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static size_t encode(uint32_t cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 63));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 63));
        out[2] = (char)(0x80 | (cp & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 63));
    out[2] = (char)(0x80 | (cp >> 6 & 63));
    out[3] = (char)(0x80 | (cp & 63));
    return 4;
}

Test(utf8, every_code_point_but_the_surrogates_is_a_sequence_and_no_part_of_it_is)
{
    size_t wrong = 0;
    char buf[4], made[4];

    for (uint32_t cp = 0; cp < 0x120000; cp++) {
        size_t n = encode(cp, buf);
        bool good = cp < 0xd800 || (cp > 0xdfff && cp < 0x110000);
        wrong += utf8_sequence(buf, n) != (good ? n : 0);
        wrong += good && (utf8_encode(cp, made) != n || memcmp(made, buf, n) != 0);
        wrong += n > 1 && utf8_sequence(buf, n - 1) != 0;
    }
    cr_expect_eq(wrong, 0);
    cr_expect_eq(utf8_sequence("", 0), 0);
}

Test(utf8, what_is_not_utf8_is_found_where_it_is)
{
    static const struct {
        const char *text;
        size_t n, bad_at;
    } cases[] = {
        {"ab\xff", 3, 2},           {"\x80", 1, 0},          {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},         {"a\xe0\x9f\xbf", 4, 1}, {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xf4\x90\x80\x80", 4, 0}, {"x\xc3", 2, 1},         {"\xc3(", 2, 0},
        {"\xe2\x82(", 3, 0},        {"\xed\xa0\x80", 3, 0},  {"\xf8\x88\x80\x80\x80", 5, 0},
    };
    size_t bad_at;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bad_at = 99;
        cr_expect_not(utf8_valid(cases[i].text, cases[i].n, &bad_at), "case %zu", i);
        cr_expect_eq(bad_at, cases[i].bad_at, "case %zu: %zu", i, bad_at);
        cr_expect_not(utf8_valid(cases[i].text, cases[i].n, NULL));
    }
    cr_expect(utf8_valid("Grüße, 世界 🙂", strlen("Grüße, 世界 🙂"), NULL));
    cr_expect(utf8_valid("a\0b", 3, NULL));
    cr_expect(utf8_valid("", 0, NULL));
}
