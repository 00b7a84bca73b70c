/* test_problem.c - errors as HTTP answers, row by row of the table of reasons */
#include "api/problem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static json_t *build(enum reason r, const char *text, const char *correlation)
{
    struct error e = {0};

    reason_error(&e, r, EINVAL, "%s", text);
    return problem_json(&e, correlation);
}

static const char *text_of(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

Test(problem, every_reason_has_the_status_of_its_row)
{
    for (int r = 1; r < REASON_MAX_; r++) {
        struct error e = {0};
        struct problem p;

        reason_error(&e, (enum reason)r, EINVAL, NULL);
        p = problem_of(&e);
        if (reason_http((enum reason)r) == 0) {
            cr_assert_eq(p.status, 500, "%s is never an answer", e.reason);
            cr_assert_eq(p.reason, REASON_internal);
        } else {
            cr_assert_eq(p.status, reason_http((enum reason)r));
            cr_assert_eq((int)p.reason, r);
        }
        cr_assert_eq(p.retry_after_s > 0, p.status == 503 || p.status == 429 || p.status == 507, "%s", e.reason);
    }
}

Test(problem, has_the_members_of_the_standard)
{
    json_t *j = build(REASON_too_large, "more than 5 bytes", "abc");

    cr_assert_str_eq(text_of(j, "type"), "urn:docmill:too_large");
    cr_assert_str_eq(text_of(j, "title"), reason_sentence(REASON_too_large));
    cr_assert_eq(json_integer_value(json_object_get(j, "status")), 413);
    cr_assert_str_eq(text_of(j, "detail"), "more than 5 bytes");
    cr_assert_str_eq(text_of(j, "correlation_id"), "abc");
    cr_assert_null(json_object_get(j, "hint"));
    json_decref(j);
}

Test(problem, carries_the_hint)
{
    struct error e = {0};
    json_t *j;

    reason_error(&e, REASON_bad_request, EINVAL, "no");
    error_hint(&e, "do this");
    j = problem_json(&e, NULL);
    cr_assert_str_eq(text_of(j, "hint"), "do this");
    cr_assert_null(json_object_get(j, "correlation_id"));
    json_decref(j);
}

Test(problem, internal_errors_tell_the_client_nothing)
{
    json_t *j = build(REASON_db_error, "relation secret_table does not exist", NULL);

    cr_assert_str_eq(text_of(j, "detail"), reason_sentence(REASON_db_error));
    json_decref(j);
    j = build(REASON_db_unavailable, "connection to server on socket /x failed: role \"secret\"", NULL);
    cr_assert_str_eq(text_of(j, "detail"), reason_sentence(REASON_db_unavailable));
    json_decref(j);
    j = build(REASON_lease_lost, "not for clients", NULL);
    cr_assert_str_eq(text_of(j, "type"), "urn:docmill:internal");
    cr_assert_str_eq(text_of(j, "detail"), reason_sentence(REASON_internal));
    json_decref(j);
}

Test(problem, an_unknown_reason_is_internal)
{
    struct error e = {0};

    error_set(&e, EINVAL, ERR_PERMANENT, "no_such_reason", "x");
    cr_assert_eq(problem_of(&e).status, 500);
}

Test(problem, a_message_cut_within_a_character_is_no_broken_json)
{
    json_t *j = build(REASON_bad_request, "caf\xc3", NULL);

    cr_assert_str_eq(text_of(j, "detail"), reason_sentence(REASON_bad_request));
    json_decref(j);
}
