/* test_query.c - paths, parameters and cursors of a request target */
#include "api/query.h"
#include "core/reason.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

static struct query q;
static struct error e;

static int parse(const char *target)
{
    static void *ctx;

    talloc_free(ctx);
    ctx = talloc_new(NULL);
    memset(&e, 0, sizeof e);
    return query_parse(ctx, target, &q, &e);
}

Test(query, splits_path_and_parameters)
{
    cr_assert_eq(parse("/v1/search?q=a+b%20c&limit=5"), 0);
    cr_assert_str_eq(q.path, "/v1/search");
    cr_assert_str_eq(query_get(&q, "q"), "a b c");
    cr_assert_str_eq(query_get(&q, "limit"), "5");
    cr_assert_null(query_get(&q, "other"));
}

Test(query, keeps_a_plus_in_the_path)
{
    cr_assert_eq(parse("/a+b"), 0);
    cr_assert_str_eq(q.path, "/a+b");
}

Test(query, takes_the_absolute_form)
{
    cr_assert_eq(parse("http://host:8000/livez?x=1"), 0);
    cr_assert_str_eq(q.path, "/livez");
    cr_assert_str_eq(query_get(&q, "x"), "1");
}

Test(query, a_parameter_without_value_is_empty)
{
    cr_assert_eq(parse("/p?a&b=&&c=1"), 0);
    cr_assert_str_eq(query_get(&q, "a"), "");
    cr_assert_str_eq(query_get(&q, "b"), "");
    cr_assert_str_eq(query_get(&q, "c"), "1");
}

Test(query, refuses_what_would_have_to_be_guessed)
{
    static const char *const bad[] = {"/%zz",       "/%4",  "/%",         "/a%2Fb",    "/%00",          "/?q=%00",
                                      "/?q=%1b[2J", "/%ff", "/?q=%c0%80", "/?a=1&a=2", "/?q=%ed%a0%80", "/?%ff=1"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_neq(parse(bad[i]), 0, "%s was accepted", bad[i]);
        cr_assert_str_eq(e.reason, "bad_request");
    }
}

Test(query, refuses_too_many_parameters)
{
    cr_assert_neq(parse("/?a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q="), 0);
    cr_assert_eq(parse("/?a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p="), 0);
    cr_assert_eq(q.n, QUERY_MAX_PARAMS);
}

Test(query, refuses_a_target_that_is_too_long)
{
    char *target = talloc_size(NULL, QUERY_MAX_BYTES + 2);

    memset(target, 'a', QUERY_MAX_BYTES + 1);
    target[0] = '/';
    target[QUERY_MAX_BYTES + 1] = '\0';
    cr_assert_neq(parse(target), 0);
    target[QUERY_MAX_BYTES] = '\0';
    cr_assert_eq(parse(target), 0);
    talloc_free(target);
}

Test(query, names_the_parameter_it_does_not_know)
{
    cr_assert_eq(parse("/?limit=1&lim=2"), 0);
    cr_assert_neq(query_check(&q, "limit after", &e), 0);
    cr_assert_not_null(strstr(e.message, "lim "));
    cr_assert_not_null(strstr(e.hint, "limit after"));
    cr_assert_eq(query_check(&q, "after lim limit", &e), 0);
}

Test(query, an_empty_or_spaced_name_is_never_known)
{
    cr_assert_eq(parse("/?=1"), 0);
    cr_assert_neq(query_check(&q, "limit after", &e), 0);
    cr_assert_eq(parse("/?limit+after=1"), 0);
    cr_assert_neq(query_check(&q, "limit after", &e), 0);
}

Test(query, numbers_keep_their_bounds)
{
    int64_t v = 0;

    cr_assert_eq(parse("/?a=1&b=1000&c=0&d=1001&f=9x&g=-1&h=99999999999999999999&i=+5"), 0);
    cr_assert_eq(query_get_int(&q, "a", 7, 1, 1000, &v, &e), 0);
    cr_assert_eq(v, 1);
    cr_assert_eq(query_get_int(&q, "b", 7, 1, 1000, &v, &e), 0);
    cr_assert_eq(v, 1000);
    cr_assert_eq(query_get_int(&q, "none", 7, 1, 1000, &v, &e), 0);
    cr_assert_eq(v, 7);
    for (const char *name = "c\0d\0f\0g\0h\0i\0"; *name != '\0'; name += 2)
        cr_assert_neq(query_get_int(&q, name, 7, 1, 1000, &v, &e), 0, "%s was accepted", name);
}

Test(query, a_cursor_comes_back_as_it_went)
{
    struct cursor c = {.created_us = 1732233999123456};
    struct cursor back;
    char text[CURSOR_TEXT_MAX];

    cr_assert_eq(uuid_parse("a698c713-e458-5325-b103-a62a7882830a", &c.id), 0);
    cursor_format(&c, text);
    cr_assert_eq(cursor_parse(text, &back), 0);
    cr_assert_eq(back.created_us, c.created_us);
    cr_assert(uuid_equal(&back.id, &c.id));
}

Test(query, a_cursor_is_read_whole_or_not_at_all)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1.",
                                      ".a698c713-e458-5325-b103-a62a7882830a",
                                      "-1.a698c713-e458-5325-b103-a62a7882830a",
                                      "1.a698c713-e458-5325-b103-a62a7882830",
                                      "1.a698c713-e458-5325-b103-a62a7882830ax",
                                      "9223372036854775807.a698c713-e458-5325-b103-a62a7882830a",
                                      "99999999999999999999.a698c713-e458-5325-b103-a62a7882830a"};
    struct cursor c;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_neq(cursor_parse(bad[i], &c), 0, "%s was accepted", bad[i]);
}
