/*
 * main.c - a mock's life: flags, state, server, signals; its lock, its clock and its dice
 *
 * The clock is the wall's plus what /__time added; a sleeper waits in real time, and looks again when the clock is
 * moved. SIGTERM and SIGINT end the program, with the state written.
 *
 * Diagnostics
 *   exits 2  wrong flags
 *   exits 1  no socket, no state file
 *
 * Depends on base, common.
 */
#include "base/hash.h"
#include "common/mock_int.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#define SAVE_EVERY_MS 1000
#define SETTLE_MS     200

void mock_lock(struct mock *m)
{
    pthread_mutex_lock(&m->lock);
}

void mock_unlock(struct mock *m)
{
    pthread_mutex_unlock(&m->lock);
}

void mock_changed(struct mock *m)
{
    m->changed = true;
}

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t mock_now_ms(struct mock *m)
{
    return wall_ms() + __atomic_load_n(&m->ahead_ms, __ATOMIC_RELAXED);
}

bool mock_ending(struct mock *m)
{
    return __atomic_load_n(&m->ending, __ATOMIC_RELAXED);
}

bool mock_sleep(struct mock *m, int64_t ms)
{
    int64_t until = mock_now_ms(m) + ms, left;

    mock_lock(m);
    while (!m->ending && (left = until - mock_now_ms(m)) > 0) {
        int64_t at = wall_ms() + left;
        struct timespec t = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};

        pthread_cond_timedwait(&m->moved, &m->lock, &t);
    }
    mock_unlock(m);
    return !mock_ending(m);
}

void mock_settle(struct mock *m)
{
    int64_t until = wall_ms() + SETTLE_MS;
    struct timespec t = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};

    while (m->sending > 0 && wall_ms() < until)
        pthread_cond_timedwait(&m->moved, &m->lock, &t);
}

double mock_dice(struct mock *m, uint64_t number, uint64_t salt)
{
    uint64_t in[3] = {m->seed, number, salt}, out;
    uint8_t hash[SHA256_BYTES];

    sha256_of(in, sizeof in, hash);
    memcpy(&out, hash, sizeof out);
    return (double)(out >> 11) / 9007199254740992.0; /* 2^53 */
}

uint64_t mock_seed(const struct mock *m)
{
    return m->seed;
}

struct fault_book *mock_faults(struct mock *m)
{
    return m->faults;
}

static void wait_for_the_end(struct mock *m, const sigset_t *ends)
{
    const struct timespec slice = {.tv_sec = SAVE_EVERY_MS / 1000};
    struct error e = {0};

    while (sigtimedwait(ends, NULL, &slice) < 0) {
        if (m->changed && state_save(m, &e) < 0)
            fprintf(stderr, "%s: %s\n", m->program->name, e.message);
    }
    mock_lock(m);
    m->ending = true;
    pthread_cond_broadcast(&m->moved);
    mock_unlock(m);
}

static int run(struct mock *m, struct error *e)
{
    const struct mock_program *p = m->program;
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (p->start(m, p->state, e) < 0 || state_load(m, e) < 0 || server_start(m, e) < 0)
        return -1;
    printf("listening on 127.0.0.1:%d\n", m->port);
    fflush(stdout);
    wait_for_the_end(m, &ends);
    server_stop(m);
    if (p->stop != NULL)
        p->stop(p->state);
    return state_save(m, e);
}

int mock_main(const struct mock_program *p, int argc, char **argv)
{
    struct mock *m = talloc_zero(NULL, struct mock);
    struct error e = {0};
    int r, status = 0;

    m->program = p;
    m->port = p->port;
    m->seed = 1;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->moved, NULL);
    m->journal = journal_new(m);
    m->faults = fault_book_new(m, p->family);
    r = args_take(m, argc, argv, &e);
    if (r < 0)
        status = 2;
    else if (r == 0 && run(m, &e) < 0)
        status = 1;
    if (status != 0)
        fprintf(stderr, "%s: %s\n", p->name, e.message);
    talloc_free(m);
    return status;
}
