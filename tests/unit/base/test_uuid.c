/*
 * test_uuid.c - version bits, known names, text both ways
 */
#include "base/uuid.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* RFC 4122, appendix C. */
#define NS_DNS "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static void expect_v5(const char *ns_text, const char *name, const char *expected)
{
    struct uuid ns, u;
    char text[UUID_TEXT_LEN + 1];

    cr_assert_eq(uuid_parse(ns_text, &ns), 0);
    uuid_v5(&ns, name, strlen(name), &u);
    uuid_format(&u, text);
    cr_expect_str_eq(text, expected);
}

Test(uuid, by_name_as_others_make_it)
{
    expect_v5(NS_DNS, "www.example.com", "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    expect_v5(NS_DNS, "python.org", "886313e1-3b8a-5372-9b90-0c9aee199e5d");
}

Test(uuid, random_ones_have_version_and_variant_and_differ)
{
    struct uuid last = {{0}};

    for (int i = 0; i < 1000; i++) {
        struct uuid u;
        uuid_v4(&u);
        cr_expect_eq(u.b[6] >> 4, 4);
        cr_expect_eq(u.b[8] >> 6, 2);
        cr_expect_not(uuid_equal(&u, &last));
        last = u;
    }
}

Test(uuid, text_goes_both_ways)
{
    struct uuid u, back;
    char text[UUID_TEXT_LEN + 1];

    for (int i = 0; i < 100; i++) {
        uuid_v4(&u);
        uuid_format(&u, text);
        cr_expect_eq(strlen(text), UUID_TEXT_LEN);
        cr_expect_eq(uuid_parse(text, &back), 0);
        cr_expect(uuid_equal(&u, &back));
    }
    cr_expect_eq(uuid_parse("2ED6657D-E927-568B-95E1-2665A8AEA6A2", &u), 0);
    uuid_format(&u, text);
    cr_expect_str_eq(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

Test(uuid, anything_else_is_refused_and_leaves_the_target_alone)
{
    static const char *const bad[] = {
        "",
        "2ed6657d-e927-568b-95e1-2665a8aea6a",
        "2ed6657d-e927-568b-95e1-2665a8aea6a22",
        "2ed6657de927568b95e12665a8aea6a2",
        "{2ed6657d-e927-568b-95e1-2665a8aea6a2}",
        "2ed6657d-e927-568b-95e1-2665a8aea6ag",
        "2ed6657d_e927-568b-95e1-2665a8aea6a2",
        "2ed6657de-927-568b-95e1-2665a8aea6a2",
        " 2ed6657d-e927-568b-95e1-2665a8aea6a",
        "2ed6657d-e927-568b-95e1-2665a8aea6a2 ",
        "------------------------------------",
    };
    struct uuid u, before;

    memset(&u, 0x5a, sizeof u);
    before = u;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(uuid_parse(bad[i], &u), -EINVAL, "%s", bad[i]);
        cr_expect(uuid_equal(&u, &before), "%s", bad[i]);
    }
}
