/* test_follow.c - following ids that become visible in another order than they were given out */
#include "ctl/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

Test(follow, an_event_is_new_once)
{
    struct follow *f = follow_new(NULL, 5);

    cr_assert_not(follow_see(f, 5), "up to the base all is known");
    cr_assert(follow_see(f, 9));
    cr_assert(follow_see(f, 7));
    cr_assert_not(follow_see(f, 9));
    cr_assert_not(follow_see(f, 7));
    cr_assert(follow_see(f, 8));
    talloc_free(f);
}

Test(follow, the_base_waits_for_those_who_were_writing)
{
    struct follow *f = follow_new(NULL, 0);

    follow_round(f, 10, "3/7 4/11");
    cr_assert_eq(f->base, 0);
    follow_round(f, 20, "4/11 5/1");
    cr_assert_eq(f->base, 0, "4/11 may still bring one below 10");
    follow_round(f, 30, "4/111 5/1");
    cr_assert_eq(f->base, 10, "4/111 is another; 5/1 came later");
    follow_round(f, 40, "");
    cr_assert_eq(f->base, 40, "nobody was writing");
    follow_round(f, 35, "");
    cr_assert_eq(f->base, 40);
    talloc_free(f);
}

Test(follow, what_is_below_the_base_needs_no_memory)
{
    struct follow *f = follow_new(NULL, 0);

    for (int64_t id = 1; id <= 1000; id++)
        follow_see(f, id);
    follow_round(f, 990, "");
    cr_assert_eq(f->n_seen, 10);
    cr_assert_not(follow_see(f, 995));
    cr_assert_not(follow_see(f, 500));
    cr_assert(follow_see(f, 1001));
    talloc_free(f);
}

/* A table whose writers take an id, and commit or give up some steps later. */
#define STEPS  4000
#define WRITER 12

struct writer {
    int64_t id; /* 0: not writing */
    int left, number;
};

Test(follow, random_writers_are_never_missed_and_never_doubled)
{
    static bool visible[STEPS + 1], committed[STEPS + 1];
    static int told[STEPS + 1];
    struct writer w[WRITER] = {0};
    struct follow *f = follow_new(NULL, 0);
    int64_t last = 0;
    int number = 0;

    srand(42);
    for (int step = 0; step < STEPS * 2; step++) {
        for (int k = 0; k < WRITER; k++) { /* some begin, some end */
            if (w[k].id == 0 && last < STEPS && rand() % 8 == 0)
                w[k] = (struct writer){++last, rand() % 60, ++number};
            else if (w[k].id != 0 && w[k].left-- == 0) {
                visible[w[k].id] = committed[w[k].id] = rand() % 5 != 0; /* or it gave up */
                w[k].id = 0;
            }
        }
        if (rand() % 4 == 0 || step > STEPS * 2 - 3) { /* a round: last, then writers, then what is visible */
            char writers[WRITER * 16] = "";
            for (int k = 0; k < WRITER; k++)
                if (w[k].id != 0)
                    snprintf(writers + strlen(writers), sizeof writers - strlen(writers), "%d/%d ", k, w[k].number);
            for (int64_t id = f->base + 1; id <= last; id++)
                if (visible[id] && follow_see(f, id))
                    told[id]++;
            follow_round(f, last, writers);
        }
        for (int64_t id = 1; id <= f->base; id++)
            cr_assert(!visible[id] || told[id] == 1, "event %ld lies below the base and was never told", (long)id);
    }
    for (int64_t id = 1; id <= last; id++)
        cr_assert_eq(told[id], committed[id] ? 1 : 0, "event %ld was told %d times", (long)id, told[id]);
    cr_assert_gt(last, STEPS / 2);
    cr_assert_gt(f->base, 0);
    talloc_free(f);
}
