/*
 * test_parser_hostile.c - parsers that misbehave, that are missing, and that may not be run
 *
 * A misbehaving one is played by the actor, under the limits of a real one.
 */
#include "base/clock.h"
#include "fork_test.h"
#include "parser_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(parser_hostile, .init = parser_case_open, .fini = parser_case_close, .timeout = 120);

/* Parsers that misbehave ------------------------------------------------------------------------------------------ */

static char actor_path[100];

/* The PDF parser is played by the actor. */
static void cast(const char *part)
{
    snprintf(actor_path, sizeof actor_path, "%s/%s", pc.dir, part);
    cr_assert_eq(symlink(TEST_ACTOR, actor_path), 0);
    pc.conf.parser_pdftotext = actor_path;
}

static int parse_played(const char *part)
{
    cast(part);
    return parser_parse(SNIFF_PDF, "%PDF-1.4 x", 10);
}

Test(parser_hostile, a_hanging_parser_is_killed_at_its_deadline)
{
    int64_t began = clock_ms();

    pc.conf.parser_timeout = 300;
    expect_reason(parse_played("hang"), "parse_timeout");
    cr_assert_geq(clock_ms() - began, 300);
    cr_assert_lt(clock_ms() - began, 3000);
}

Test(parser_hostile, one_that_ends_its_output_but_not_itself_is_killed_too)
{
    pc.conf.parser_timeout = 300;
    expect_reason(parse_played("linger"), "parse_timeout");
}

Test(parser_hostile, a_busy_parser_is_stopped_by_cpu_time_even_if_nobody_watches)
{
    pc.conf.parser_timeout = 1000;
    expect_reason(parse_played("spin"), "parse_timeout");
}

Test(parser_hostile, a_memory_eater_meets_its_limit)
{
    pc.conf.parser_max_memory = 256 << 20;
    expect_reason(parse_played("memory"), "parse_memory");
}

Test(parser_hostile, an_endless_writer_is_stopped_at_the_cap)
{
    pc.conf.parser_max_output = 1 << 20;
    expect_reason(parse_played("output"), "parse_output");
}

Test(parser_hostile, endless_pages_are_stopped_at_the_limit)
{
    expect_reason(parse_played("pages"), "too_many_pages");
}

Test(parser_hostile, a_crash_is_named_by_its_signal)
{
    expect_reason(parse_played("crash"), "parse_crashed");
    cr_assert_not_null(strstr(pc.err.message, "11 (SEGV)"), "%s", pc.err.message);
}

Test(parser_hostile, an_abort_is_a_crash)
{
    expect_reason(parse_played("abort"), "parse_crashed");
}

Test(parser_hostile, a_parser_killed_from_outside_says_nothing_about_the_file)
{
    expect_reason(parse_played("killed"), "parser_killed");
    cr_assert_eq(pc.err.cls, ERR_TRANSIENT);
}

Test(parser_hostile, a_parser_cannot_pretend_that_the_sandbox_was_refused)
{
    expect_reason(parse_played("pretend"), "parse_failed");
    cr_assert_eq(pc.err.cls, ERR_PERMANENT);
}

Test(parser_hostile, a_noisy_parser_neither_blocks_nor_grows)
{
    expect_text(parse_played("noise"), "quiet at last\n");
}

Test(parser_hostile, a_large_file_passes_whole)
{
    size_t n = 5 << 20;
    char *p = malloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + i % 26);
    cast("echo");
    cr_assert_eq(parser_parse(SNIFF_PDF, p, n), 0, "%s", pc.err.message);
    cr_assert_eq(pc.result.len, n);
    cr_assert_eq(memcmp(pc.result.text, p, n), 0);
    parse_result_free(&pc.result);
    free(p);
}

Test(parser_hostile, a_parser_gets_three_descriptors_and_a_fixed_environment)
{
    int inherited = open("/etc/passwd", O_RDONLY); /* not close-on-exec, by mistake */

    setenv("SECRET", "x", 1);
    expect_text(parse_played("look"), "descriptors 3\nPATH=/usr/bin:/bin\nLC_ALL=C.UTF-8\nHOME=/nonexistent\n");
    close(inherited);
}

static void expect_no_deed(int rc)
{
    cr_assert_eq(rc, 0, "%s: %s", pc.err.reason, pc.err.message);
    cr_assert_null(memmem(pc.result.text, pc.result.len, "DONE", 4), "%.*s", (int)pc.result.len, pc.result.text);
    cr_assert_not_null(memmem(pc.result.text, pc.result.len, "shmget", 6), "the last deed was not tried");
    parse_result_free(&pc.result);
}

Test(parser_hostile, no_forbidden_act_succeeds_in_the_profile_of_pdf)
{
    expect_no_deed(parse_played("attack"));
}

Test(parser_hostile, no_forbidden_act_succeeds_in_the_profile_with_threads)
{
    struct zip_maker z = {0};

    cast("attack");
    pc.conf.parser_pandoc = actor_path;
    docx_begin(&z);
    zip_add_text(&z, "word/document.xml", DOCX_OK);
    expect_no_deed(parser_parse_zip(&z, SNIFF_DOCX, 0));
}

/* Waiting --------------------------------------------------------------------------------------------------------- */

static int ticks, cancel_after;
static int64_t last_tick, longest_gap;

static void count_tick(void *arg)
{
    int64_t now = clock_ms();

    (void)arg;
    ticks++;
    if (last_tick != 0 && now - last_tick > longest_gap)
        longest_gap = now - last_tick;
    last_tick = now;
}

static bool cancel(void *arg)
{
    (void)arg;
    return cancel_after != 0 && ticks >= cancel_after;
}

static int parse_ticking(const char *part)
{
    struct parse_job job = {.type = SNIFF_PDF, .size = 1, .tick = count_tick, .cancelled = cancel};
    int rc;

    cast(part);
    job.fd = memfd_create("doc", MFD_CLOEXEC);
    cr_assert_eq(write(job.fd, "x", 1), 1);
    rc = parse_run(&pc.conf, &job, &pc.result, &pc.err);
    close(job.fd);
    return rc;
}

Test(parser_hostile, it_beats_while_it_waits_and_while_output_pours)
{
    pc.conf.parser_timeout = 1000;
    expect_reason(parse_ticking("hang"), "parse_timeout");
    cr_assert_geq(ticks, 8);
    cr_assert_lt(longest_gap, 300);
    ticks = 0;
    pc.conf.parser_timeout = 60000;
    pc.conf.parser_max_output = 400 << 20;
    expect_reason(parse_ticking("output"), "parse_output");
    cr_assert_geq(ticks, 1);
}

Test(parser_hostile, a_cancelled_parse_is_killed_and_says_so)
{
    cancel_after = 2;
    cr_assert_eq(parse_ticking("hang"), -ECANCELED);
    cr_assert_str_eq(pc.err.reason, "cancelled");
}

Test(parser_hostile, the_child_dies_with_its_parent)
{
    int status;
    pid_t middle;
    int64_t began;

    cast("hang");
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    middle = fork_mortal();
    if (middle == 0) {
        (void)parser_parse(SNIFF_PDF, "x", 1);
        _exit(0);
    }
    usleep(500000);
    cr_assert_eq(kill(middle, SIGKILL), 0);
    cr_assert_eq(waitpid(middle, NULL, 0), middle);
    began = clock_ms();
    cr_assert_gt(waitpid(-1, &status, 0), 0, "the parser was adopted by us");
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_assert_lt(clock_ms() - began, 2000);
}

/* What is missing or refused -------------------------------------------------------------------------------------- */

Test(parser_hostile, a_missing_program_is_named_and_not_the_files_fault)
{
    pc.conf.parser_pdftotext = "/nonexistent/pdftotext";
    expect_reason(parser_parse(SNIFF_PDF, "%PDF-1.4", 8), "parser_missing");
    cr_assert_eq(pc.err.cls, ERR_RECOVERABLE);
    cr_assert_not_null(strstr(pc.err.message, "/nonexistent/pdftotext"));
    cr_assert_not(parse_supported(&pc.conf, SNIFF_PDF));
    cr_assert(parse_supported(&pc.conf, SNIFF_TEXT));
    cr_assert_lt(parse_check(&pc.conf, &pc.err), 0);
    cr_assert_str_eq(pc.err.reason, "parser_missing");
}

Test(parser_hostile, a_missing_helper_is_named)
{
    pc.conf.parser_libexec = "/nonexistent";
    expect_reason(parser_parse(SNIFF_PDF, "%PDF-1.4", 8), "parser_missing");
    cr_assert_not_null(strstr(pc.err.message, "/nonexistent/docmill-sandbox"));
}

Test(parser_hostile, a_script_is_no_parser)
{
    char path[100];
    FILE *f;

    snprintf(path, sizeof path, "%s/script", pc.dir);
    f = fopen(path, "w");
    fputs("#!/bin/sh\necho hello\n", f);
    fclose(f);
    cr_assert_eq(chmod(path, 0755), 0);
    pc.conf.parser_pdftotext = path;
    expect_reason(parser_parse(SNIFF_PDF, "%PDF-1.4", 8), "parser_missing");
}

static void forbid(int call, uint32_t action)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

    cr_assert_eq(seccomp_rule_add(f, action, call, 0), 0);
    cr_assert_eq(seccomp_load(f), 0);
    seccomp_release(f);
}

Test(parser_hostile, without_landlock_nothing_is_run)
{
    forbid(SCMP_SYS(landlock_create_ruleset), SCMP_ACT_ERRNO(ENOSYS));
    expect_reason(parse_played("echo"), "sandbox_refused");
    cr_assert_eq(pc.err.cls, ERR_RECOVERABLE);
    cr_assert_lt(parse_check(&pc.conf, &pc.err), 0);
    cr_assert_str_eq(pc.err.reason, "sandbox_refused");
}

Test(parser_hostile, without_seccomp_nothing_is_run)
{
    forbid(SCMP_SYS(seccomp), SCMP_ACT_ERRNO(EINVAL));
    expect_reason(parse_played("echo"), "sandbox_refused");
}

Test(parser_hostile, the_check_passes_on_a_machine_that_has_everything)
{
    cr_assert_eq(parse_check(&pc.conf, &pc.err), 0, "%s", pc.err.message);
    for (enum sniff_type t = SNIFF_UNKNOWN + 1; t < SNIFF_MAX_; t++)
        cr_assert(parse_supported(&pc.conf, t));
    cr_assert_not(parse_supported(&pc.conf, SNIFF_UNKNOWN));
}
