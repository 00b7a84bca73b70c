/* test_json_scan.c - the strict reader against jansson's verdict and against the numbers' exact values */
#include "provider/json_scan.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool accepts(const char *text)
{
    struct json_scan s;

    json_scan_begin(&s, text, strlen(text));
    return json_scan_skip(&s) && json_scan_done(&s);
}

Test(json_scan, accepts_and_refuses_what_jansson_does)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "[1,2]",
        "{\"a\":[{\"b\":null}],\"c\":\"\\u00e4\\n\"}",
        " [ true , false ] ",
        "\"\\\\\"",
        "-0.5e-3",
        "0",
        "1E5",
        "",
        " ",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "01",
        "1.",
        ".5",
        "+1",
        "--1",
        "1e",
        "1e+",
        "tru",
        "nul",
        "[1]]",
        "{\"a\":1,}",
        "\"\t\"",
        "0x10",
        "NaN",
        "-",
        "[1]x",
        "\"\\u12",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *j = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        cr_assert_eq(accepts(texts[i]), j != NULL, "<%s>", texts[i]);
        json_decref(j);
    }
}

/* Strings are looked at in blocks: a byte in each place, in a block and behind the last one. */
Test(json_scan, a_control_character_is_found_wherever_it_stands_in_a_string)
{
    char text[43];

    memset(text, 'x', sizeof text);
    text[0] = text[sizeof text - 2] = '"';
    text[sizeof text - 1] = '\0';
    for (size_t at = 1; at < sizeof text - 2; at++) {
        for (int c = 1; c < 256; c++) {
            text[at] = (char)c;
            if (c != '"' && c != '\\')
                cr_assert_eq(accepts(text), c >= 0x20, "%d at %zu", c, at);
        }
        text[at] = 'x';
    }
}

Test(json_scan, numbers_are_the_nearest_doubles)
{
    static const char *const numbers[] = {"0",
                                          "-0.0",
                                          "0.1",
                                          "-0.012345678901234567",
                                          "123456789012345678901234567890",
                                          "1e-30",
                                          "4.9e-324",
                                          "1.7976931348623157e308",
                                          "0.0000001234",
                                          "9007199254740993",
                                          "1e22",
                                          "1e23",
                                          "0.30000000000000004",
                                          "12345678901234567.5",
                                          "1e400",
                                          "-1e400",
                                          "0e999999999999"};
    char text[64];

    srandom(3);
    for (size_t i = 0; i < 20000; i++) {
        struct json_scan s;
        double got, want;
        if (i < sizeof numbers / sizeof *numbers)
            snprintf(text, sizeof text, "%s", numbers[i]);
        else
            snprintf(text, sizeof text, "%.*g", (int)(random() % 20) + 1,
                     ((double)random() / 2147483648.0 - 0.5) * pow(10, (double)(random() % 40 - 20)));
        json_scan_begin(&s, text, strlen(text));
        cr_assert(json_scan_number(&s, &got) && json_scan_done(&s), "%s", text);
        want = strtod(text, NULL);
        cr_assert(memcmp(&got, &want, sizeof got) == 0, "%s: %.17g", text, got);
    }
}

Test(json_scan, whole_numbers_must_be_whole_and_fit)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t v;
    } t[] = {{"0", true, 0},
             {"-7", true, -7},
             {"9223372036854775807", true, INT64_MAX},
             {"9223372036854775808", false, 0},
             {"1.0", false, 0},
             {"1e2", false, 0},
             {"\"1\"", false, 0},
             {"99999999999999999999", false, 0}};

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct json_scan s;
        int64_t v = 0;
        json_scan_begin(&s, t[i].text, strlen(t[i].text));
        cr_assert_eq(json_scan_int(&s, &v), t[i].ok, "%s", t[i].text);
        cr_assert_eq(v, t[i].v, "%s", t[i].text);
    }
}

Test(json_scan, nesting_has_an_end)
{
    char text[2 * JSON_SCAN_DEPTH + 3] = "";

    memset(text, '[', JSON_SCAN_DEPTH);
    memset(text + JSON_SCAN_DEPTH, ']', JSON_SCAN_DEPTH);
    cr_assert(accepts(text));
    memset(text, '[', JSON_SCAN_DEPTH + 1);
    memset(text + JSON_SCAN_DEPTH + 1, ']', JSON_SCAN_DEPTH + 1);
    cr_assert_not(accepts(text));
}
