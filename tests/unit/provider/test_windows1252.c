/* test_windows1252.c - which bytes are taken for windows-1252, and what becomes of them */
#include "base/utf8.h"
#include "provider/windows1252.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void becomes(const char *in, const char *want)
{
    char *out = NULL;
    size_t n = 0;

    cr_assert_eq(windows1252_to_utf8(in, strlen(in), &out, &n), 1, "not taken for windows-1252: %s", in);
    cr_expect_eq(n, strlen(want));
    cr_expect_arr_eq(out, want, n);
    free(out);
}

static void stays(const char *in)
{
    char *out = NULL;
    size_t n = 7;

    cr_expect_eq(windows1252_to_utf8(in, strlen(in), &out, &n), 0, "taken for windows-1252: %s", in);
    cr_expect_null(out);
    cr_expect_eq(n, 7);
}

Test(windows1252, accented_letters)
{
    becomes("D\xe9j\xe0 vu, na\xefve, Stra\xdf"
            "e",
            "D\xc3\xa9j\xc3\xa0 vu, na\xc3\xafve, Stra\xc3\x9f"
            "e");
}

Test(windows1252, one_letter_is_enough)
{
    becomes("plain words, then a caf\xe9", "plain words, then a caf\xc3\xa9");
}

Test(windows1252, curly_quotes_dashes_and_the_euro)
{
    becomes("\x93So\x94 \x96 \x80 5", "\xe2\x80\x9cSo\xe2\x80\x9d \xe2\x80\x93 \xe2\x82\xac 5");
}

Test(windows1252, two_letters_that_are_utf8_by_chance_do_not_hide_the_rest)
{
    becomes("\xc3\xa9 a\xe9 b\xe9 c\xe9 d\xe9 e\xe9 f\xe9 g\xe9 h\xe9 i\xe9 j\xe9 k\xe9 l\xe9 m\xe9 n\xe9 o\xe9 p\xe9",
            "\xc3\x83\xc2\xa9 a\xc3\xa9 b\xc3\xa9 c\xc3\xa9 d\xc3\xa9 e\xc3\xa9 f\xc3\xa9 g\xc3\xa9 h\xc3\xa9 "
            "i\xc3\xa9 j\xc3\xa9 k\xc3\xa9 l\xc3\xa9 m\xc3\xa9 n\xc3\xa9 o\xc3\xa9 p\xc3\xa9");
}

Test(windows1252, utf8_stays)
{
    stays("");
    stays("ascii only, long enough for several words of eight bytes");
    stays("D\xc3\xa9j\xc3\xa0 vu \xe2\x80\x94 \xf0\x9f\x98\x80");
}

Test(windows1252, utf8_with_bad_bytes_stays)
{
    stays("na\xc3\xafve caf\xc3\xa9, and a stray \xe9 in it");
    stays("before \xff\xfe\xc3\x28 after\nna\xc3\xafve\n");
}

Test(windows1252, a_character_that_was_cut_off_stays)
{
    stays("ends in a dash \xe2\x80");
}

Test(windows1252, encodings_whose_letters_stand_in_rows_stay)
{
    stays("KOI8-R: \xf0\xd2\xc9\xd7\xc5\xd4, \xcd\xc9\xd2");
    stays("EUC-JP: \xc6\xfc\xcb\xdc\xb8\xec");
}

Test(windows1252, bytes_that_it_leaves_undefined_are_of_another_encoding)
{
    stays("a\xe9 b\x81 c\xe9 d\xe9");
    stays("\xcd\x90 a\xe9 b\xe9 c\xe9 d\xe9 e\xe9 f\xe9 g\xe9 h\xe9 i\xe9 j\xe9 k\xe9 l\xe9 m\xe9 n\xe9 o\xe9 p\xe9");
}

Test(windows1252, the_result_is_utf8_for_every_byte_that_is_defined)
{
    char in[2 * 128], *out;
    size_t n = 0, len;

    for (int b = 0x80; b < 0x100; b++) {
        if (b == 0x81 || b == 0x8d || b == 0x8f || b == 0x90 || b == 0x9d)
            continue;
        in[n++] = (char)b;
        in[n++] = 'x';
    }
    cr_assert_eq(windows1252_to_utf8(in, n, &out, &len), 1);
    cr_expect(utf8_valid(out, len, NULL));
    free(out);
}
