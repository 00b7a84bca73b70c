/* test_identity.c - whose request it is */
#include "api/identity.h"
#include "base/clock.h"
#include "core/conf_diff.h"
#include "core/ids.h"

#include <criterion/criterion.h>
#include <talloc.h>
#include <string.h>

#define TOKEN "0123456789abcdef0123"

static struct uuid user;
static struct uuid expected;
static struct error e;

static int identify(const struct conf *c, bool is_unix, unsigned uid, const char *authorization)
{
    struct peer p = {.is_unix = is_unix, .uid = uid};

    memset(&e, 0, sizeof e);
    memset(&user, 0, sizeof user);
    return identity_of(c, &p, authorization, &user, &e);
}

Test(identity, each_uid_of_the_socket_is_a_user)
{
    struct conf c = {.api_token_user = "default"};

    cr_assert_eq(identify(&c, true, 1000, NULL), 0);
    ids_user_by_uid(1000, &expected);
    cr_assert(uuid_equal(&user, &expected));
    cr_assert_eq(identify(&c, true, 1001, NULL), 0);
    cr_assert_not(uuid_equal(&user, &expected));
}

Test(identity, a_socket_user_stands_for_all_uids)
{
    struct conf c = {.api_socket_user = "team"};

    cr_assert_eq(identify(&c, true, 1000, "Bearer nonsense"), 0);
    ids_user_by_name("team", &expected);
    cr_assert(uuid_equal(&user, &expected));
}

Test(identity, the_token_stands_for_its_user)
{
    struct conf c = {.api_token = TOKEN, .api_token_user = "default"};

    cr_assert_eq(identify(&c, false, 0, "Bearer " TOKEN), 0);
    ids_user_by_name("default", &expected);
    cr_assert(uuid_equal(&user, &expected));
    cr_assert_eq(identify(&c, false, 0, "bearer  " TOKEN), 0);
}

Test(identity, nothing_else_over_tcp_has_an_identity)
{
    static const char *const bad[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcdef012",
        "Bearer " TOKEN "x",
        "Bearer " TOKEN " ",
        "Basic " TOKEN,
        TOKEN,
        "BearerX" TOKEN,
    };
    struct conf c = {.api_token = TOKEN, .api_token_user = "default"};
    struct uuid none = {{0}};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_neq(identify(&c, false, 0, bad[i]), 0, "%s was accepted", bad[i]);
        cr_assert_str_eq(e.reason, "unauthenticated");
        cr_assert_neq(e.hint[0], '\0');
        cr_assert_null(strstr(e.message, TOKEN));
        cr_assert(uuid_equal(&user, &none));
    }
}

Test(identity, without_a_token_nobody_over_tcp)
{
    struct conf c = {.api_token_user = "default", .api_socket_user = "team"};

    cr_assert_neq(identify(&c, false, 0, "Bearer " TOKEN), 0);
    cr_assert_neq(identify(&c, false, 0, "Bearer "), 0);
    cr_assert_str_eq(e.reason, "unauthenticated");
}

Test(identity, a_token_that_was_replaced_is_accepted_until_its_time_is_over)
{
    struct conf *c = talloc_zero(NULL, struct conf);
    struct conf *next = talloc_zero(NULL, struct conf);

    c->api_token = "former-token-0123456789";
    c->api_token_user = next->api_token_user = "default";
    next->api_token = TOKEN;
    conf_keep_former(next, c, 60000, clock_ms());
    cr_assert_eq(identify(next, false, 0, "Bearer former-token-0123456789"), 0);
    cr_assert_eq(identify(next, false, 0, "Bearer " TOKEN), 0);
    cr_assert_neq(identify(next, false, 0, "Bearer another-token-0123456789"), 0);
    next->formers[0].until_ms = clock_ms() - 1;
    cr_assert_neq(identify(next, false, 0, "Bearer former-token-0123456789"), 0);
    talloc_free(c);
    talloc_free(next);
}
