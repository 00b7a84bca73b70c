/*
 * test_log_formats.c - the same events as JSON and as the journal's fields; levels by module; what is lost and said
 */
#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[16384];
static int reader = -1;

static void catch_stderr(void)
{
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    reader = fds[0];
    cr_assert_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    cr_assert_geq(dup2(fds[1], STDERR_FILENO), 0);
    close(fds[1]);
    log_init("test", LOG_LVL_INFO);
}

static const char *caught(void)
{
    ssize_t n = read(reader, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static json_t *caught_json(void)
{
    json_error_t why;
    json_t *j = json_loads(caught(), 0, &why);

    cr_assert_not_null(j, "%s: %s", why.text, text);
    return j;
}

static const char *member(json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return s != NULL ? s : "(no string)";
}

Test(log_formats, json_has_the_same_members_and_numbers_are_numbers)
{
    json_t *j;

    catch_stderr();
    cr_assert_eq(log_set_format(LOG_JSON, NULL), 0);
    log_warn("pool", "child \"x\"\nready", "slot", LOG_I(-3), "name", "w\x1b\xc2\x85\xff\xc3\xa4", "none", NULL, NULL);
    j = caught_json();
    cr_expect_str_eq(member(j, "level"), "warn");
    cr_expect_str_eq(member(j, "proc"), "test");
    cr_expect_str_eq(member(j, "module"), "pool");
    cr_expect_str_eq(member(j, "msg"), "child \"x\"\nready");
    cr_expect_eq(json_integer_value(json_object_get(j, "pid")), getpid());
    cr_expect(json_is_integer(json_object_get(j, "slot")));
    cr_expect_eq(json_integer_value(json_object_get(j, "slot")), -3);
    cr_expect_str_eq(member(j, "name"), "w\x1b\xc2\x85\xef\xbf\xbd\xc3\xa4");
    cr_expect(json_is_null(json_object_get(j, "none")));
    cr_expect_null(strchr(text, '\x1b'), "a terminal would obey it");
    json_decref(j);
}

Test(log_formats, json_that_is_too_long_is_cut_and_still_json)
{
    static const char *const bits[] = {"a", "\n", "\xc3\xa4", "\"", "\x01", "\xff"};
    static char big[12000];

    catch_stderr();
    cr_assert_eq(log_set_format(LOG_JSON, NULL), 0);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        for (size_t shift = 0; shift < 7; shift++) {
            json_t *j;
            size_t at = shift;
            memset(big, 'x', shift);
            while (at + strlen(bits[i]) < sizeof big) {
                memcpy(big + at, bits[i], strlen(bits[i]));
                at += strlen(bits[i]);
            }
            big[at] = '\0';
            log_info("m", "x", "v", big, "after", LOG_I(1), NULL);
            j = caught_json();
            cr_expect_leq(strlen(text), 4096);
            cr_expect_null(json_object_get(j, "after"));
            json_decref(j);
        }
    }
}

/* ---- the journal ---- */

static struct sockaddr_un journal = {.sun_family = AF_UNIX};
static int journal_fd = -1;

static void open_journal(void)
{
    snprintf(journal.sun_path, sizeof journal.sun_path, "/tmp/dm-journal-%d", (int)getpid());
    unlink(journal.sun_path);
    journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(journal_fd, (struct sockaddr *)&journal, sizeof journal), 0);
}

static size_t heard(void)
{
    ssize_t n = recv(journal_fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* The value of a field in the datagram, by the protocol's own rules. */
static const char *field(size_t n, const char *name)
{
    static char value[8192];
    size_t at = 0;

    while (at < n) {
        size_t name_n = strcspn(text + at, "\n=");
        size_t from = at + name_n + 1, len = 0;
        cr_assert_eq(text[at + name_n], '\n', "every field has its length");
        for (int i = 7; i >= 0; i--)
            len = len << 8 | (unsigned char)text[from + (size_t)i];
        cr_assert_leq(from + 8 + len + 1, n);
        cr_assert_eq(text[from + 8 + len], '\n');
        if (strlen(name) == name_n && memcmp(text + at, name, name_n) == 0) {
            memcpy(value, text + from + 8, len);
            value[len] = '\0';
            return value;
        }
        at = from + 8 + len + 1;
    }
    return "(no such field)";
}

Test(log_formats, the_journal_gets_fields)
{
    size_t n;

    open_journal();
    catch_stderr();
    cr_assert_eq(log_set_format(LOG_JOURNALD, journal.sun_path), 0);
    log_error("pool", "two\nlines", "job_id", "a=b c", "why", "x\nPRIORITY=0", NULL);
    n = heard();
    cr_assert_gt(n, 0);
    cr_expect_str_eq(field(n, "MESSAGE"), "two\\nlines job_id=\"a=b c\" why=\"x\\nPRIORITY=0\"");
    cr_expect_str_eq(field(n, "PRIORITY"), "3");
    cr_expect_str_eq(field(n, "SYSLOG_IDENTIFIER"), "docmilld");
    cr_expect_str_eq(field(n, "DOCMILL_PROC"), "test");
    cr_expect_str_eq(field(n, "DOCMILL_MODULE"), "pool");
    cr_expect_str_eq(field(n, "DOCMILL_JOB_ID"), "a=b c");
    cr_expect_str_eq(field(n, "DOCMILL_WHY"), "x\nPRIORITY=0", "values cannot make fields");
    cr_expect_str_eq(caught(), "");
    unlink(journal.sun_path);
}

Test(log_formats, a_journal_that_does_not_read_loses_lines_which_are_counted_and_said_later, .timeout = 10)
{
    size_t n;
    int sent = 0;
    uint64_t lost;
    char number[24];

    open_journal();
    catch_stderr();
    cr_assert_eq(log_set_format(LOG_JOURNALD, journal.sun_path), 0);
    while (log_dropped() == 0 && sent < 100000) {
        log_info("m", "a line", "n", LOG_I(sent), NULL);
        sent++;
    }
    cr_assert_gt(log_dropped(), 0, "the socket never filled");
    for (int i = 0; i < 10; i++)
        log_info("m", "lost too", NULL);
    lost = log_dropped();
    while (heard() > 0)
        ;
    log_flush(); /* nothing else is said */
    n = heard();
    snprintf(number, sizeof number, "%llu", (unsigned long long)lost);
    cr_expect_str_eq(field(n, "DOCMILL_DROPPED"), number);
    log_info("m", "later", NULL);
    n = heard();
    cr_expect_str_eq(field(n, "MESSAGE"), "later", "told once");
    unlink(journal.sun_path);
}

Test(log_formats, a_journal_that_is_gone_is_found_again)
{
    open_journal();
    catch_stderr();
    cr_assert_eq(log_set_format(LOG_JOURNALD, journal.sun_path), 0);
    close(journal_fd);
    log_info("m", "nobody listens", NULL);
    cr_expect_not_null(strstr(caught(), "msg=\"nobody listens\""));
    unlink(journal.sun_path);
    log_info("m", "no socket", NULL);
    cr_expect_not_null(strstr(caught(), "msg=\"no socket\""));
    open_journal();
    log_info("m", "again", NULL);
    cr_expect_str_eq(field(heard(), "MESSAGE"), "again");
    cr_expect_str_eq(caught(), "");
    unlink(journal.sun_path);
}

/* ---- levels ---- */

Test(log_formats, a_module_has_a_level_of_its_own)
{
    catch_stderr();
    cr_assert_eq(log_set_level("pg", LOG_LVL_DEBUG), 0);
    cr_assert_eq(log_set_level("worker", LOG_LVL_ERROR), 0);
    log_debug("pg", "heard", NULL);
    cr_expect_not_null(strstr(caught(), "heard"));
    log_warn("worker", "quiet", NULL);
    log_debug("pgx", "quiet", NULL);
    cr_expect_str_eq(caught(), "");
    log_unset_level("worker");
    log_warn("worker", "heard", NULL);
    cr_expect_not_null(strstr(caught(), "heard"));
    cr_assert_eq(log_set_level(NULL, LOG_LVL_WARN), 0);
    cr_expect_eq(log_level_of("pg"), LOG_LVL_WARN, "the general one ends all others");
    cr_expect_eq(log_set_level("", LOG_LVL_INFO), -EINVAL);
    cr_expect_eq(log_set_level("a-name-that-is-much-too-long", LOG_LVL_INFO), -EINVAL);
}

Test(log_formats, more_modules_than_there_is_room_for_are_refused)
{
    char name[24];

    catch_stderr();
    for (int i = 0; i < LOG_MODULES_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        cr_assert_eq(log_set_level(name, LOG_LVL_DEBUG), 0);
    }
    cr_expect_eq(log_set_level("one-more", LOG_LVL_DEBUG), -ENOSPC);
    cr_expect_eq(log_set_level("m7", LOG_LVL_WARN), 0);
    cr_expect_eq(log_level_of("m7"), LOG_LVL_WARN);
}

Test(log_formats, levels_in_other_memory_are_obeyed_at_once)
{
    static struct log_levels shared = {.level = LOG_LVL_ERROR};

    catch_stderr();
    log_use_levels(&shared);
    log_warn("m", "quiet", NULL);
    cr_expect_str_eq(caught(), "");
    shared.level = LOG_LVL_INFO;
    log_info("m", "heard", NULL);
    cr_expect_not_null(strstr(caught(), "heard"));
    log_use_levels(NULL);
}

Test(log_formats, who_shares_its_levels_tells_each_change_and_goes_by_its_own)
{
    static struct log_levels shared;

    catch_stderr();
    cr_assert_eq(log_set_level("early", LOG_LVL_DEBUG), 0);
    log_share_levels(&shared);
    cr_expect(shared.n == 1 && shared.own[0].level == LOG_LVL_DEBUG);
    cr_assert_eq(log_set_level(NULL, LOG_LVL_WARN), 0);
    cr_assert_eq(log_set_level("m", LOG_LVL_DEBUG), 0);
    cr_expect(shared.level == LOG_LVL_WARN && shared.n == 2 && shared.own[1].level == LOG_LVL_DEBUG);
    cr_expect_str_eq(shared.own[1].module, "m");
    log_init("again", LOG_LVL_ERROR);
    cr_expect_eq(log_level_of("other"), LOG_LVL_WARN, "a configuration that is read anew changes no level by itself");
    shared.level = shared.own[1].level = LOG_LVL_ERROR;
    log_debug("m", "heard", NULL);
    cr_expect_not_null(strstr(caught(), "heard"));
    log_unset_level("m");
    cr_expect(shared.level == LOG_LVL_WARN && shared.own[1].level == -1);
    log_use_levels(NULL);
}

Test(log_formats, what_others_wrote_into_shared_levels_is_no_index_and_silences_nobody)
{
    static struct {
        struct log_levels levels;
        uint8_t behind[sizeof(struct log_own_level) * 100];
    } shared;

    catch_stderr();
    log_use_levels(&shared.levels);
    shared.levels.n = LOG_MODULES_MAX + 90;
    shared.levels.level = 1000;
    log_info("m", "heard", NULL);
    cr_expect_not_null(strstr(caught(), "heard"));
    cr_expect_eq(log_set_level("one-more", LOG_LVL_DEBUG), -ENOSPC);
    cr_assert_eq(log_set_level(NULL, LOG_LVL_WARN), 0);
    for (size_t i = 0; i < sizeof shared.behind; i++)
        cr_assert_eq(shared.behind[i], 0, "byte %zu behind the levels", i);
    log_use_levels(NULL);
}

/* ---- whose the pipe is ---- */

Test(log_formats, a_pipe_that_others_fill_meanwhile_is_not_waited_for, .timeout = 20)
{
    char junk[4096] = "";
    pid_t pid;
    int status;

    catch_stderr();
    log_own_stderr();
    cr_expect(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) { /* a plain write: with an open file that blocks it would wait here for ever */
        while (write(STDERR_FILENO, junk, sizeof junk) > 0)
            ;
        _exit(errno == EAGAIN ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    log_info("m", "lost", NULL);
    cr_expect_eq(log_dropped(), 1);
}
