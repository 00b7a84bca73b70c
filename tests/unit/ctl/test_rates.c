/* test_rates.c - how fast things go, from looks at the status */
#include "ctl/rates.h"

#include <criterion/criterion.h>
#include <talloc.h>
#include <unistd.h>

static void look(struct rates *r, int64_t incarnation, int64_t serial, int64_t done, int64_t now_ms)
{
    json_t *s = json_pack("{s:I, s:i, s:[{s:I, s:s, s:I, s:i}], s:{s:I, s:i, s:{s:I}}}", "incarnation",
                          (json_int_t)incarnation, "pid", (int)getpid(), "children", "serial", (json_int_t)serial,
                          "role", "worker", "jobs_done", (json_int_t)done, "pid", (int)getpid(), "totals", "jobs_done",
                          (json_int_t)done, "jobs_failed", 0, "stages", "chunking", (json_int_t)done);

    cr_assert_not_null(s);
    rates_look(r, s, now_ms);
    json_decref(s);
}

Test(rates, nothing_is_known_before_the_second_look)
{
    struct rates *r = rates_new(NULL);

    look(r, 1, 7, 100, 1000);
    cr_assert_lt(r->done_s, 0);
    cr_assert_lt(r->children[0].done_s, 0);
    cr_assert_lt(r->children[0].cpu_percent, 0);
    look(r, 1, 7, 120, 2000);
    cr_assert_float_eq(r->done_s, 20, 0.001);
    cr_assert_float_eq(r->children[0].done_s, 20, 0.001);
    cr_assert_float_eq(r->stages_s[STATUS_CHUNKING], 20, 0.001);
    cr_assert_geq(r->children[0].cpu_percent, 0);
    cr_assert_eq(r->n_children, 2, "and the master");
    talloc_free(r);
}

Test(rates, a_rate_is_smoothed)
{
    struct rates *r = rates_new(NULL);

    look(r, 1, 7, 0, 1000);
    look(r, 1, 7, 100, 2000);
    look(r, 1, 7, 100, 3000);
    cr_assert_float_eq(r->done_s, 50, 0.001);
    look(r, 1, 7, 100, 4000);
    cr_assert_float_eq(r->done_s, 25, 0.001);
    talloc_free(r);
}

Test(rates, another_child_and_another_daemon_begin_anew)
{
    struct rates *r = rates_new(NULL);

    look(r, 1, 7, 100, 1000);
    look(r, 1, 8, 110, 2000);
    cr_assert_lt(r->children[0].done_s, 0, "another child");
    cr_assert_float_eq(r->done_s, 10, 0.001, "of the same daemon");
    look(r, 2, 8, 3, 3000);
    cr_assert_lt(r->done_s, 0, "another daemon");
    look(r, 2, 8, 1, 4000);
    cr_assert_lt(r->done_s, 0, "a count that went back says nothing");
    talloc_free(r);
}
