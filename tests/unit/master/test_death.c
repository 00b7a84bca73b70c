/* test_death.c - the cause of a death, in words, and the queue for the coordinator */
#include "fork_test.h"
#include "master/master_int.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

static const struct msg_fatal silent;

static const char *describe(struct msg_death d, enum kill_cause cause, const struct msg_fatal *f)
{
    static char text[200];

    death_describe(&d, cause, f, text, sizeof text);
    return text;
}

Test(death, the_cause_is_said_right)
{
    const struct msg_fatal words = {.reason = "db_unavailable", .message = "no answer"};

    cr_assert_str_eq(describe((struct msg_death){.exit_code = -1, .signal = SIGKILL}, KILL_NONE, &silent),
                     "killed by signal 9 (KILL), not by docmill");
    cr_assert_str_eq(describe((struct msg_death){.exit_code = -1, .signal = SIGKILL, .oom = 1}, KILL_NONE, &silent),
                     "killed by signal 9 (KILL), probably by the kernel for memory");
    cr_assert_str_eq(
        describe((struct msg_death){.exit_code = -1, .signal = SIGKILL, .sent_by_us = 1}, KILL_HUNG, &silent),
        "killed by docmill (KILL): it hung");
    cr_assert_str_eq(describe((struct msg_death){.exit_code = -1, .signal = SIGSEGV}, KILL_NONE, &silent),
                     "killed by signal 11 (SEGV), not by docmill");
    cr_assert_str_eq(describe((struct msg_death){.exit_code = 70}, KILL_NONE, &words),
                     "exited with status 70: db_unavailable: no answer");
    cr_assert_str_eq(describe((struct msg_death){.exit_code = 3}, KILL_NONE, &silent), "exited with status 3");
}

/* A master with one coordinator (slot 0) and one worker (slot 1), without processes. */
static struct conf conf;

static struct master *bare_master(void)
{
    struct error e;
    struct master *m = talloc_zero(NULL, struct master);

    conf.n_pools = 2;
    conf.pools[0] = (struct pool_conf){.name = "coordinator", .role = POOL_COORDINATOR, .max = 1};
    conf.pools[1] = (struct pool_conf){.name = "workers", .role = POOL_WORKER, .max = 1};
    m->conf = &conf;
    m->board = scoreboard_create(&e);
    m->n_slots = 2;
    m->slots = talloc_zero_array(m, struct child_slot, 2);
    m->slots[0] = (struct child_slot){.master = m, .index = 0, .pool = 0};
    m->slots[1] = (struct child_slot){.master = m, .index = 1, .pool = 1, .pid = 4711, .serial = 12};
    slot_started(&m->slots[1].policy, 1);
    slot_became_ready(&m->slots[1].policy, 1);
    scoreboard_reset(m->board, 1, 1);
    death_init(m);
    return m;
}

static void free_master(struct master *m)
{
    scoreboard_free(&m->board);
    talloc_free(m);
}

static int killed_status(void)
{
    pid_t pid = fork_mortal();
    int status;

    if (pid == 0)
        for (;;)
            pause();
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return status;
}

Test(death, the_evidence_holds_what_the_slot_held)
{
    struct master *m = bare_master();
    struct error e;
    struct scoreboard *c = scoreboard_attach(dup(scoreboard_fd(m->board)), 1, &e);
    struct rusage ru = {.ru_utime = {1, 500000}, .ru_maxrss = 777};
    struct score_data *d = score_begin(c);

    d->stage = STATUS_CHUNKING;
    d->n_in_hand = 2;
    d->in_hand[1].lease = 99;
    d->jobs_done = 5; /* and it dies before score_end */
    cr_assert_eq(death_record(m, &m->slots[1], killed_status(), &ru).kind, DEATH_OUTSIDER);
    cr_assert_eq(m->n_deaths, 1);
    cr_assert_eq(m->deaths->death.serial, 12);
    cr_assert_eq(m->deaths->death.signal, SIGKILL);
    cr_assert_eq(m->deaths->death.exit_code, -1);
    cr_assert_eq(m->deaths->death.torn, 1);
    cr_assert_eq(m->deaths->death.stage, STATUS_CHUNKING);
    cr_assert_eq(m->deaths->death.n_jobs, 2);
    cr_assert_eq(m->deaths->death.jobs[1].lease, 99);
    cr_assert_eq(m->deaths->death.utime_ms, 1500);
    cr_assert_eq(m->deaths->death.maxrss_kb, 777);
    cr_assert_eq(m->totals.jobs_done, 5, "counters survive the death");
    scoreboard_free(&c);
    free_master(m);
}

Test(death, a_core_is_said)
{
    struct master *m = bare_master();
    struct rusage ru = {0};

    cr_assert_eq(death_record(m, &m->slots[1], SIGSEGV | 0x80, &ru).kind, DEATH_FAULT); /* as wait4 has it */
    cr_expect_str_eq(m->slots[1].last_death, "killed by signal 11 (SEGV), not by docmill, core dumped");
    (void)death_record(m, &m->slots[1], SIGSEGV, &ru);
    cr_expect_str_eq(m->slots[1].last_death, "killed by signal 11 (SEGV), not by docmill");
    free_master(m);
}

static void raise_coordinator(struct master *m, int channel)
{
    m->slots[0].pid = 1;
    m->slots[0].channel = channel;
    slot_started(&m->slots[0].policy, 1);
    slot_became_ready(&m->slots[0].policy, 1);
}

static int64_t next_serial(int channel)
{
    struct channel_msg got;
    struct error e;

    return channel_recv(channel, &got, &e) == 0 ? got.death.serial : -1;
}

Test(death, is_kept_until_released_and_sent_again_to_a_successor)
{
    struct master *m = bare_master();
    struct rusage ru = {0};
    int pair[2], status = killed_status();

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    (void)death_record(m, &m->slots[1], status, &ru);
    m->slots[1].serial = 13;
    (void)death_record(m, &m->slots[1], status, &ru);
    death_send(m); /* no coordinator: nothing happens */
    raise_coordinator(m, pair[0]);
    death_send(m);
    death_send(m); /* not twice */
    cr_assert_eq(next_serial(pair[1]), 12);
    cr_assert_eq(next_serial(pair[1]), 13);
    cr_assert_eq(next_serial(pair[1]), -1);

    death_released(m, &(struct msg_released){.serial = 13, .jobs = 1});
    death_released(m, &(struct msg_released){.serial = 999});
    cr_assert_eq(m->n_deaths, 1);
    death_unsend(m);
    death_send(m);
    cr_assert_eq(next_serial(pair[1]), 12);
    (void)death_record(m, &m->slots[1], status, &ru); /* the end of the list is still right */
    cr_assert_eq(m->n_deaths, 2);
    cr_assert_not_null(m->deaths->next);
    close(pair[0]);
    close(pair[1]);
    free_master(m);
}

Test(death, no_more_are_on_their_way_than_the_coordinator_has_room_for)
{
    struct master *m = bare_master();
    struct rusage ru = {0};
    int pair[2], status = killed_status(), n = 0;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    raise_coordinator(m, pair[0]);
    for (int64_t i = 0; i < DEATHS_AT_ONCE + 2; i++) {
        m->slots[1].serial = 100 + i;
        (void)death_record(m, &m->slots[1], status, &ru);
        death_send(m);
        if (next_serial(pair[1]) == 100 + i) /* as they come: the socket is no bound here */
            n++;
    }
    cr_assert_eq(n, DEATHS_AT_ONCE);
    death_released(m, &(struct msg_released){.serial = 100});
    death_send(m);
    cr_assert_eq(next_serial(pair[1]), 100 + DEATHS_AT_ONCE);
    cr_assert_eq(next_serial(pair[1]), -1);
    close(pair[0]);
    close(pair[1]);
    free_master(m);
}
