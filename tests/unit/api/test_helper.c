/* test_helper.c - work off the loop comes back into it */
#include "api/helper.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <talloc.h>

struct job {
    pthread_t worked_in, done_in;
    int worked, done;
    int *left;
    sd_event *event;
};

static void work(void *arg)
{
    struct job *j = arg;

    j->worked_in = pthread_self();
    j->worked++;
}

static void done(void *arg)
{
    struct job *j = arg;

    j->done_in = pthread_self();
    j->done++;
    if (--*j->left == 0)
        sd_event_exit(j->event, 0);
}

Test(helper, every_job_works_elsewhere_and_is_done_here, .timeout = 20)
{
    enum { N = 200 };
    struct job jobs[N] = {0};
    sd_event *event = NULL;
    struct helper *h;
    struct error e;
    int left = N;

    cr_assert_geq(sd_event_new(&event), 0);
    h = helper_new(NULL, event, HELPER_THREADS, &e);
    cr_assert_not_null(h);
    for (int i = 0; i < N; i++) {
        jobs[i].left = &left;
        jobs[i].event = event;
        cr_assert_not_null(helper_submit(h, work, done, &jobs[i], &e));
    }
    cr_assert_geq(sd_event_loop(event), 0);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(jobs[i].worked, 1);
        cr_assert_eq(jobs[i].done, 1);
        cr_assert(pthread_equal(jobs[i].done_in, pthread_self()));
        cr_assert_not(pthread_equal(jobs[i].worked_in, pthread_self()));
    }
    helper_free(&h);
    sd_event_unref(event);
}

Test(helper, what_has_not_begun_at_the_end_is_still_done, .timeout = 20)
{
    enum { N = 50 };
    struct job jobs[N] = {0};
    sd_event *event = NULL;
    struct helper *h;
    struct error e;
    int left = N;

    cr_assert_geq(sd_event_new(&event), 0);
    h = helper_new(NULL, event, HELPER_THREADS, &e);
    for (int i = 0; i < N; i++) {
        jobs[i].left = &left;
        jobs[i].event = event;
        cr_assert_not_null(helper_submit(h, work, done, &jobs[i], &e));
    }
    helper_free(&h);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(jobs[i].done, 1);
        cr_assert_leq(jobs[i].worked, 1);
    }
    sd_event_unref(event);
}
