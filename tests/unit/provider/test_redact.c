/* test_redact.c - no key gets into a message, in whatever form a service echoes it */
#include "provider/redact.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *shown(const char *secret, const char *text)
{
    static char out[200];

    redact(secret, text, strlen(text), out, sizeof out);
    return out;
}

Test(redact, keys_are_taken_out)
{
    cr_assert_str_eq(shown(NULL, "Incorrect API key provided: sk-proj-abc_DEF-123. You can"),
                     "Incorrect API key provided: [key] You can");
    cr_assert_str_eq(shown(NULL, "key llx-AbC,next"), "key [key],next");
    cr_assert_str_eq(shown(NULL, "Incorrect API key provided: abcd****wxyz."), "Incorrect API key provided: [key]");
    cr_assert_str_eq(shown("topsecret9", "got 'topsecret9' and xtopsecret9y"), "got '[key]' and x[key]y");
    cr_assert_str_eq(shown("0123456789abcdef", "bad 0123456789abcdef!"), "bad [key]!");
}

Test(redact, ordinary_words_stay)
{
    cr_assert_str_eq(shown("", "a risk-free task-list"), "a risk-free task-list");
    cr_assert_str_eq(shown("abc", "abc is no secret"), "abc is no secret");
    cr_assert_str_eq(shown(NULL, "Stra\xc3\x9f"
                                 "e 5 * 3"),
                     "Stra\xc3\x9f"
                     "e 5 * 3");
}

Test(redact, control_characters_and_broken_utf8_do_not_pass)
{
    cr_assert_str_eq(shown(NULL, "a\nb\x1b[31m\x7f\xff\xc3"), "a?b?[31m???");
}

Test(redact, the_cut_is_never_inside_a_character_or_a_key)
{
    char out[8];

    redact(NULL, "123456\xc3\x9f", 8, out, sizeof out);
    cr_assert_str_eq(out, "123456");
    redact("secretsecret", "abcsecretsecret", 15, out, sizeof out);
    cr_assert_str_eq(out, "abc");
    redact(NULL, "x", 1, out, 1);
    cr_assert_str_eq(out, "");
}
