/* test_trace.c - where a process is, written by itself */
#include "proc/trace.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scoreboard *board;

static void make(void)
{
    struct error e;

    board = scoreboard_create(&e);
    cr_assert_not_null(board);
    scoreboard_reset(board, 3, 0);
}

static void take(void)
{
    scoreboard_free(&board);
}

/* A child with slot 3 that does what is to be traced. */
static pid_t child(void (*work)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        struct error e;
        struct scoreboard *own = scoreboard_attach(dup(scoreboard_fd(board)), 3, &e);

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody spinning */
        if (own == NULL)
            _exit(9);
        trace_install(own);
        score_beat(own);
        work();
        _exit(8);
    }
    return pid;
}

static void wait_for_beat(void)
{
    struct score_pulse p;

    for (int i = 0; i < 500; i++) {
        scoreboard_pulse(board, 3, &p);
        if (p.beat_ms > 0)
            return;
        poll(NULL, 0, 10);
    }
    cr_assert_fail("the child did not come up");
}

static bool traced(struct score_trace *t)
{
    for (int i = 0; i < 300; i++) {
        if (scoreboard_trace(board, 3, t) == SCORE_TRACE_WHOLE && t->n > 1)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

static volatile int counter;

static __attribute__((noinline)) void spin(void)
{
    for (;;)
        counter++;
}

static void in_libc(void)
{
    int fds[2];
    char byte;

    if (pipe(fds) == 0 && read(fds[0], &byte, 1) == 0)
        counter++;
}

static void hold_the_slot(void)
{
    struct error e;
    struct scoreboard *own = scoreboard_attach(dup(scoreboard_fd(board)), 3, &e);

    score_begin(own)->pid = 1;
    spin();
}

/* The runner gives its workers another name. */
static const char *self(void)
{
    static char name[SCORE_MODULE_BYTES];

    snprintf(name, sizeof name, "%.*s", (int)sizeof name - 1, program_invocation_short_name);
    return name;
}

static bool names(const struct score_trace *t, const char *module)
{
    for (int i = 0; i < t->n; i++)
        if (strstr(t->frames[i].module, module) != NULL)
            return true;
    return false;
}

static int end_of(pid_t pid)
{
    int status;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

TestSuite(trace, .init = make, .fini = take);

Test(trace, an_endless_loop_says_where_it_is_and_goes_on)
{
    pid_t pid = child(spin);
    struct score_trace t;

    wait_for_beat();
    kill(pid, TRACE_SIGNAL);
    cr_assert(traced(&t));
    cr_assert_eq(t.signal, TRACE_SIGNAL);
    cr_assert(names(&t, self()), "frame 0 is in %s", t.frames[0].module);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(WTERMSIG(end_of(pid)), SIGKILL, "it was still there");
}

Test(trace, a_blocked_read_is_traced_through_the_library_to_its_caller)
{
    pid_t pid = child(in_libc);
    struct score_trace t;
    char text[2000];

    wait_for_beat();
    poll(NULL, 0, 50);
    kill(pid, TRACE_SIGNAL);
    cr_assert(traced(&t));
    poll(NULL, 0, 20);
    (void)scoreboard_trace(board, 3, &t);
    trace_format(&t, text, sizeof text);
    cr_assert(names(&t, "libc.so"), "%s", text);
    cr_assert(names(&t, self()), "%s", text);
    kill(pid, SIGKILL);
    (void)end_of(pid);
}

Test(trace, who_is_in_the_middle_of_its_slot_is_traced_all_the_same)
{
    pid_t pid = child(hold_the_slot);
    struct score_trace t;

    wait_for_beat();
    kill(pid, TRACE_SIGNAL);
    cr_assert(traced(&t));
    kill(pid, SIGKILL);
    (void)end_of(pid);
}

#if TRACE_CRASHES
static __attribute__((noinline)) int overflow(int n)
{
    volatile char frame[4096];

    frame[0] = (char)n;
    return n == -1 ? 0 : overflow(n + 1) + frame[0];
}

static void exhaust(void)
{
    counter = overflow(0);
}

static void crash(void)
{
    volatile int *nowhere = (int *)16;

    *nowhere = 1;
}

static __attribute__((noinline)) void trample(void)
{
    volatile uintptr_t *at = __builtin_frame_address(0);

    for (int i = 0; i < 64; i++)
        at[i] = 0x4141414141414141u;
}

Test(trace, a_crash_is_traced_and_ends_as_it_would_have)
{
    pid_t pid = child(crash);
    int status = end_of(pid);
    struct score_trace t;

    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    cr_assert(scoreboard_trace(board, 3, &t));
    cr_assert_eq(t.signal, SIGSEGV);
    cr_assert_eq(t.address, 16);
    cr_assert(names(&t, self()));
}

Test(trace, an_abort_is_traced)
{
    pid_t pid = child(abort);
    int status = end_of(pid);
    struct score_trace t;

    cr_assert_eq(WTERMSIG(status), SIGABRT);
    cr_assert(scoreboard_trace(board, 3, &t));
    cr_assert(names(&t, "libc.so"));
}

Test(trace, an_overflown_stack_is_traced_from_another_one)
{
    pid_t pid = child(exhaust);
    int status = end_of(pid);
    struct score_trace t;

    cr_assert_eq(WTERMSIG(status), SIGSEGV);
    cr_assert(scoreboard_trace(board, 3, &t));
    cr_assert_eq(t.n, SCORE_TRACE_FRAMES, "as many as there is room for");
}

Test(trace, a_trampled_stack_leaves_at_least_where_it_died)
{
    pid_t pid = child(trample);
    int status = end_of(pid);
    struct score_trace t;

    cr_assert(WIFSIGNALED(status));
    cr_assert(scoreboard_trace(board, 3, &t), "died of %d", WTERMSIG(status));
    cr_assert_geq(t.n, 1);
}
#endif

Test(trace, what_a_child_gone_mad_wrote_is_safe_to_read)
{
    struct error e;
    struct scoreboard *own = scoreboard_attach(dup(scoreboard_fd(board)), 3, &e);
    struct score_trace *mad = score_trace_begin(own), t;
    char text[4000];

    memset(mad, 0xff, sizeof *mad);
    mad->n = 1000000;
    mad->frames[0].module[0] = 'a';
    mad->frames[0].module[1] = '\n';
    score_trace_end(own);
    cr_assert(scoreboard_trace(board, 3, &t));
    cr_assert_eq(t.n, SCORE_TRACE_FRAMES);
    cr_assert_str_eq(t.frames[0].module, "a");
    trace_format(&t, text, sizeof text);
    for (const char *c = text; *c != '\0'; c++)
        cr_assert(*c >= ' ' && *c <= '~');
    scoreboard_free(&own);
}

Test(trace, a_slot_that_is_given_out_anew_has_no_trace)
{
    struct error e;
    struct scoreboard *own = scoreboard_attach(dup(scoreboard_fd(board)), 3, &e);
    struct score_trace t;

    score_trace_begin(own)->n = 1;
    cr_assert_null(score_trace_begin(own), "one is being written");
    score_trace_part(own);
    cr_assert_eq(scoreboard_trace(board, 3, &t), SCORE_TRACE_PART, "who waits for the rest can tell");
    score_trace_end(own);
    cr_assert_eq(scoreboard_trace(board, 3, &t), SCORE_TRACE_WHOLE);
    scoreboard_reset(board, 3, 0);
    cr_assert_not(scoreboard_trace(board, 3, &t));
    scoreboard_free(&own);
}

Test(trace, the_build_has_an_id)
{
    const char *id = trace_build_id();

    cr_assert_eq(strlen(id), 40, "%s", id);
    cr_assert_eq(strspn(id, "0123456789abcdef"), 40);
}
