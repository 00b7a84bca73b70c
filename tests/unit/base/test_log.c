/*
 * test_log.c - one well-formed line an event, whatever the values are, and never a wait
 */
#include "base/clock.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int reader;
static int writer;
static char line[8192];

/* Standard error becomes the writing end of a pipe (or of a socket pair). */
static void catch_stderr(int use_socket)
{
    int fds[2];

    if (use_socket)
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    else
        cr_assert_eq(pipe(fds), 0);
    reader = fds[0];
    writer = fds[1];
    cr_assert_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    cr_assert_geq(dup2(writer, STDERR_FILENO), 0);
    log_init("test", LOG_LVL_INFO);
}

static const char *caught(void)
{
    ssize_t n = read(reader, line, sizeof line - 1);

    line[n > 0 ? n : 0] = '\0';
    return line;
}

static void expect_in(const char *text, const char *part)
{
    cr_expect(strstr(text, part) != NULL, "%s\n lacks: %s", text, part);
}

Test(log, a_line_has_time_level_process_module_message_and_pairs)
{
    catch_stderr(0);
    log_info("pool", "child ready", "slot", LOG_I(3), "n", LOG_I(INT64_MIN), "name", "workers", NULL);
    cr_expect_eq(strncmp(caught(), "ts=20", 5), 0, "%s", line);
    expect_in(line, "Z level=info proc=test pid=");
    expect_in(line, " module=pool msg=\"child ready\" slot=3 n=-9223372036854775808 name=workers\n");
}

struct value_case {
    const char *value, *shown;
};

Test(log, values_are_quoted_and_escaped_so_that_nobody_can_forge_a_line)
{
    static const struct value_case cases[] = {
        {"plain", "v=plain\n"},
        {"", "v=\"\"\n"},
        {NULL, "v=-\n"},
        {"two words", "v=\"two words\"\n"},
        {"a=b", "v=\"a=b\"\n"},
        {"say \"hi\"", "v=\"say \\\"hi\\\"\"\n"},
        {"back\\slash", "v=\"back\\\\slash\"\n"},
        {"x\nts=1 level=error", "v=\"x\\nts=1 level=error\"\n"},
        {"\x1b[31m", "v=\"\\x1b[31m\"\n"},
        {"\x7f\t\r", "v=\"\\x7f\\x09\\x0d\"\n"},
        {"Grüße", "v=Grüße\n"},
        {"\xff\xfe", "v=\"\\xff\\xfe\"\n"},
        {"cut \xc3", "v=\"cut \\xc3\"\n"},
        {"\xc2\x9b"
         "31m",
         "v=\"\\xc2\\x9b31m\"\n"}, /* C1: some terminals obey it */
    };

    catch_stderr(0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_info("m", "x", "v", cases[i].value, NULL);
        expect_in(caught(), cases[i].shown);
    }
}

Test(log, a_line_over_the_limit_is_cut_and_still_ends_well)
{
    static char big[10000];

    catch_stderr(0);
    memset(big, 'a', sizeof big - 1);
    big[5] = ' ';
    log_info("m", "x", "v", big, "after", "gone", NULL);
    caught();
    cr_expect_leq(strlen(line), 4096);
    cr_expect_str_eq(line + strlen(line) - 3, "a\"\n");
    cr_expect_null(strstr(line, "after"));
    memset(big, 'a', 40);
    for (size_t i = 40; i + 2 < sizeof big; i += 2)
        memcpy(big + i, "\xc3\xa4", 2);
    log_info("m", "x", "v", big, NULL);
    caught();
    cr_expect_str_eq(line + strlen(line) - 3, "\xc3\xa4\n");
    memset(big, '\n', sizeof big - 1);
    log_info("m", "x", "v", big, NULL);
    caught();
    cr_expect_str_eq(line + strlen(line) - 4, "\\n\"\n");
}

Test(log, levels_below_the_least_are_not_written)
{
    catch_stderr(0);
    log_debug("m", "x", NULL);
    cr_expect_str_eq(caught(), "");
    log_init("test", LOG_LVL_ERROR);
    log_warn("m", "x", NULL);
    cr_expect_str_eq(caught(), "");
    log_error("m", "x", NULL);
    expect_in(caught(), "level=error");
}

static void fill(int fd)
{
    static char junk[4096];

    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, junk, sizeof junk) > 0)
        ;
    while (write(fd, junk, 1) > 0)
        ;
    cr_assert_eq(fcntl(fd, F_SETFL, 0), 0); /* as it is in life: blocking */
}

static void drain(void)
{
    static char junk[65536];

    while (read(reader, junk, sizeof junk) > 0)
        ;
}

static void full_is_no_wait(int use_socket)
{
    int64_t before;

    catch_stderr(use_socket);
    fill(writer);
    before = clock_ms();
    for (int i = 0; i < 3; i++)
        log_info("m", "lost", NULL);
    cr_expect_lt(clock_ms() - before, 1000);
    drain();
    log_info("m", "found", NULL);
    expect_in(caught(), "msg=found dropped=3\n");
    log_info("m", "found", NULL);
    expect_in(caught(), "msg=found\n");
}

Test(log, a_full_pipe_drops_and_counts_instead_of_waiting, .timeout = 10)
{
    full_is_no_wait(0);
}

Test(log, a_full_socket_drops_and_counts_instead_of_waiting, .timeout = 10)
{
    full_is_no_wait(1);
}

Test(log, errno_survives_a_line)
{
    catch_stderr(0);
    errno = ENOENT;
    log_info("m", "x", NULL);
    cr_expect_eq(errno, ENOENT);
    fill(writer);
    errno = ENOENT;
    log_info("m", "x", NULL);
    cr_expect_eq(errno, ENOENT);
}

Test(log, a_closed_standard_error_is_survived)
{
    catch_stderr(0);
    close(STDERR_FILENO);
    log_info("m", "x", NULL);
    cr_assert_eq(dup2(writer, STDERR_FILENO), STDERR_FILENO);
    log_info("m", "back", NULL);
    expect_in(caught(), "msg=back dropped=1\n");
}

Test(log, level_names_are_parsed)
{
    enum log_level lvl;

    cr_expect_eq(log_level_parse("debug", &lvl), 0);
    cr_expect_eq(lvl, LOG_LVL_DEBUG);
    cr_expect_eq(log_level_parse("error", &lvl), 0);
    cr_expect_eq(lvl, LOG_LVL_ERROR);
    cr_expect_eq(log_level_parse("INFO", &lvl), -EINVAL);
}
