/* test_scoreboard.c - slots are written by their owner, read whole or called torn, and cannot spoil each other */
#include "fork_test.h"
#include "proc/scoreboard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scoreboard *master_board(void)
{
    struct error e = {0};
    struct scoreboard *b = scoreboard_create(&e);

    cr_assert_not_null(b, "%s", e.message);
    return b;
}

static struct scoreboard *child_board(struct scoreboard *m, int slot)
{
    struct error e = {0};
    struct scoreboard *b = scoreboard_attach(dup(scoreboard_fd(m)), slot, &e);

    cr_assert_not_null(b, "%s", e.message);
    return b;
}

Test(scoreboard, what_a_mad_child_wrote_is_no_index_and_no_text_without_an_end)
{
    static const int32_t phases[] = {SCORE_DRAINING + 1, 1000000, -1, INT32_MIN};
    struct scoreboard *m = master_board(), *c;
    static struct score_data got, all[SCORE_SLOTS];
    static struct totals totals;

    scoreboard_reset(m, 7, 2);
    c = child_board(m, 7);
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        struct score_data *d = score_begin(c);
        d->phase = phases[i];
        memset(d->note, 'x', sizeof d->note);
        memset(d->differs, 'x', sizeof d->differs);
        score_end(c);
        memset(scoreboard_totals_begin(m)->pools[2].name, 'x', sizeof totals.pools[2].name);
        scoreboard_totals_end(m);
        cr_assert_eq(scoreboard_read(m, 7, &got), 0);
        cr_expect_eq(got.phase, SCORE_FREE);
        cr_expect_eq(strnlen(got.note, sizeof got.note), sizeof got.note - 1);
        cr_expect_eq(strnlen(got.differs, sizeof got.differs), sizeof got.differs - 1);
        cr_assert_eq(scoreboard_read_all(m, &totals, all), 0);
        cr_expect_eq(all[7].phase, SCORE_FREE);
        cr_expect_eq(strnlen(totals.pools[2].name, sizeof totals.pools[2].name), sizeof totals.pools[2].name - 1);
    }
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, with_the_times_of_a_mad_child_one_can_reckon)
{
    static const int64_t times[] = {INT64_MAX, INT64_MIN, -1, INT64_MAX - 5};
    struct scoreboard *m = master_board(), *c;
    static struct score_data got;
    struct score_pulse pulse;

    scoreboard_reset(m, 7, 2);
    c = child_board(m, 7);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct score_data *d = score_begin(c);
        d->since_ms = d->beat_ms = d->busy_deadline_ms = d->fresh_bytes = times[i];
        score_end(c);
        scoreboard_pulse(m, 7, &pulse);
        cr_assert_eq(scoreboard_read(m, 7, &got), 0);
        cr_expect(pulse.beat_ms >= 0 && pulse.beat_ms <= INT64_MAX / 4);
        cr_expect(pulse.busy_deadline_ms >= 0 && pulse.busy_deadline_ms <= INT64_MAX / 4);
        cr_expect(got.since_ms >= 0 && got.since_ms <= INT64_MAX / 4);
        cr_expect(got.beat_ms == pulse.beat_ms && got.busy_deadline_ms == pulse.busy_deadline_ms);
        cr_expect(got.fresh_bytes >= 0 && got.fresh_bytes <= INT64_MAX / 4);
    }
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, a_child_reads_who_lives_as_it_was_at_one_moment)
{
    static struct score_living got;
    struct scoreboard *m = master_board(), *c;

    scoreboard_reset(m, 7, 2);
    c = child_board(m, 7);
    scoreboard_set_living(m, 7, 41, 42, 0);
    scoreboard_set_living(m, SCORE_SLOTS - 1, 42, 43, 0);
    scoreboard_set_living(m, 7, 0, 43, 1);
    cr_assert_eq(scoreboard_living(c, &got), 0);
    cr_assert_eq(got.serials[7], 0);
    cr_assert_eq(got.serials[SCORE_SLOTS - 1], 42);
    cr_assert_eq(got.next_serial, 43);
    cr_assert_eq(got.deaths_owed, 1);
    scoreboard_set_living(m, -1, 0, 43, 0);
    cr_assert_eq(scoreboard_living(c, &got), 0);
    cr_assert_eq(got.deaths_owed, 0);
    (void)scoreboard_totals_begin(m); /* in the middle of a change */
    cr_assert_eq(scoreboard_living(c, &got), -EAGAIN);
    scoreboard_totals_end(m);
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, who_lives_is_true_again_with_the_next_change_after_a_mad_child)
{
    static struct score_living got;
    struct scoreboard *m = master_board(), *c;
    off_t size = lseek(scoreboard_fd(m), 0, SEEK_END);
    uint8_t *all = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, scoreboard_fd(m), 0);

    cr_assert(all != MAP_FAILED);
    scoreboard_reset(m, 7, 2);
    c = child_board(m, 7);
    scoreboard_set_living(m, 7, 41, 42, 0);
    scoreboard_set_living(m, 8, 42, 43, 0);
    memset(all, 0, (size_t)size);
    scoreboard_set_living(m, 9, 43, 44, 0);
    cr_assert_eq(scoreboard_living(c, &got), 0);
    cr_expect(got.serials[7] == 41 && got.serials[8] == 42 && got.serials[9] == 43 && got.next_serial == 44);
    munmap(all, (size_t)size);
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, the_master_reads_what_the_child_wrote)
{
    struct scoreboard *m = master_board(), *c;
    struct score_data got;

    scoreboard_reset(m, 7, 2);
    c = child_board(m, 7);
    score_phase(c, SCORE_BUSY, "because");
    score_stage(c, STATUS_CHUNKING, 5000);
    score_begin(c)->n_in_hand = 3;
    score_end(c);
    cr_assert_eq(scoreboard_read(m, 7, &got), 0);
    cr_assert_eq(got.phase, SCORE_BUSY);
    cr_assert_eq(got.pool, 2);
    cr_assert_eq(got.stage, STATUS_CHUNKING);
    cr_assert_eq(got.n_in_hand, 3);
    cr_assert_eq(got.busy_deadline_ms, got.since_ms + 5000);
    cr_assert_str_eq(got.note, "because");
    scoreboard_free(&c);
    scoreboard_free(&m);
    cr_assert_null(m);
}

Test(scoreboard, a_writer_killed_half_way_leaves_torn_and_reset_heals_it)
{
    struct scoreboard *m = master_board(), *c;
    struct score_data got;

    scoreboard_reset(m, 0, 0);
    c = child_board(m, 0);
    score_begin(c)->n_in_hand = 5;
    cr_assert_eq(scoreboard_read(m, 0, &got), -EAGAIN);
    cr_assert_eq(got.n_in_hand, 5);
    scoreboard_reset(m, 0, 0);
    cr_assert_eq(scoreboard_read(m, 0, &got), 0);
    cr_assert_eq(got.n_in_hand, 0);
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, what_a_mad_child_wrote_is_made_safe_to_use)
{
    struct scoreboard *m = master_board(), *c;
    struct score_data got, *d;

    scoreboard_reset(m, 1, 0);
    c = child_board(m, 1);
    d = score_begin(c);
    memset(d->note, 'x', sizeof d->note);
    d->phase = 99;
    d->stage = -4;
    d->n_in_hand = -1;
    score_end(c);
    cr_assert_eq(scoreboard_read(m, 1, &got), 0);
    cr_assert_eq(strlen(got.note), sizeof got.note - 1);
    cr_assert_eq(got.phase, SCORE_FREE);
    cr_assert_eq(got.stage, 0);
    cr_assert_eq(got.n_in_hand, 0);
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, a_slot_that_was_not_given_out_cannot_be_attached)
{
    struct scoreboard *m = master_board();
    struct error e = {0};

    cr_assert_null(scoreboard_attach(dup(scoreboard_fd(m)), 3, &e));
    cr_assert_null(scoreboard_attach(dup(scoreboard_fd(m)), SCORE_SLOTS, &e));
    cr_assert_null(scoreboard_attach(dup(scoreboard_fd(m)), -1, &e));
    cr_assert_str_eq(e.reason, "os_error");
    scoreboard_free(&m);
}

Test(scoreboard, the_file_cannot_be_resized_by_a_child)
{
    struct scoreboard *m = master_board();

    cr_assert_neq(ftruncate(scoreboard_fd(m), 0), 0);
    cr_assert_neq(ftruncate(scoreboard_fd(m), 1 << 30), 0);
    scoreboard_free(&m);
}

Test(scoreboard, readers_never_see_half_of_a_write)
{
    struct scoreboard *m = master_board();
    int whole = 0;
    pid_t pid;

    scoreboard_reset(m, 0, 0);
    pid = fork_mortal();
    if (pid == 0) {
        struct error e;
        struct scoreboard *c = scoreboard_attach(scoreboard_fd(m), 0, &e);
        if (c == NULL)
            _exit(1);
        for (uint64_t i = 1;; i++) {
            struct score_data *d = score_begin(c);
            d->progress = i;
            d->jobs_done = i;
            d->stage_hist[STATUS_MAX_ - 1][SCORE_HIST_BUCKETS - 1] = i;
            d->schema_version = (int32_t)i;
            score_end(c);
        }
    }
    for (int i = 0; i < 20000; i++) {
        struct score_data got;
        if (scoreboard_read(m, 0, &got) != 0)
            continue;
        whole++;
        cr_assert_eq(got.progress, got.jobs_done);
        cr_assert_eq(got.progress, got.stage_hist[STATUS_MAX_ - 1][SCORE_HIST_BUCKETS - 1]);
        cr_assert_eq((int32_t)got.progress, got.schema_version);
    }
    cr_assert_gt(whole, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    scoreboard_free(&m);
}

Test(scoreboard, stage_times_are_counted_in_powers_of_two)
{
    struct scoreboard *m = master_board(), *c;
    struct score_data got;

    scoreboard_reset(m, 0, 0);
    c = child_board(m, 0);
    score_stage_done(c, STATUS_PARSED, 0, 1);
    score_stage_done(c, STATUS_PARSED, 1, 1);
    score_stage_done(c, STATUS_PARSED, 3, 4);
    score_stage_done(c, STATUS_PARSED, INT64_MAX, 1);
    score_stage_done(c, STATUS_MAX_, 1, 1); /* no such status: ignored */
    cr_assert_eq(scoreboard_read(m, 0, &got), 0);
    cr_assert_eq(got.stage_count[STATUS_PARSED], 7);
    cr_assert_eq(got.stage_hist[STATUS_PARSED][0], 1);
    cr_assert_eq(got.stage_hist[STATUS_PARSED][1], 1);
    cr_assert_eq(got.stage_hist[STATUS_PARSED][2], 4);
    cr_assert_eq(got.stage_hist[STATUS_PARSED][SCORE_HIST_BUCKETS - 1], 1);
    scoreboard_free(&c);
    scoreboard_free(&m);
}

Test(scoreboard, nesting_is_a_panic, .signal = SIGABRT)
{
    struct scoreboard *m = master_board(), *c;

    scoreboard_reset(m, 0, 0);
    c = child_board(m, 0);
    (void)score_begin(c);
    (void)score_begin(c);
}
