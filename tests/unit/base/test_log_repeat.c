/*
 * test_log_repeat.c - a message that repeats is limited, counted and summarised, never silent
 */
#include "base/log_int.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct log_record record(const char *module, const char *msg)
{
    return (struct log_record){.level = LOG_LVL_WARN, .module = module, .msg = msg};
}

static int admitted(const char *module, const char *msg, int times, int64_t now)
{
    struct log_record r = record(module, msg);
    struct log_summary s;
    bool ended;
    int n = 0;

    for (int i = 0; i < times; i++)
        n += log_repeat_admit(&r, now, &s, &ended);
    return n;
}

Test(log_repeat, the_first_lines_of_a_kind_pass_and_the_rest_are_counted)
{
    struct log_summary s;

    log_repeat_limit(5);
    cr_expect_eq(admitted("m", "flood", 1000, 100), 5);
    cr_expect_eq(admitted("m", "another", 3, 100), 3);
    cr_expect_eq(admitted("n", "flood", 3, 100), 3);
    cr_expect_not(log_repeat_next(100 + LOG_WINDOW_MS - 1, false, &s));
    cr_expect(log_repeat_next(100 + LOG_WINDOW_MS, false, &s));
    cr_expect_str_eq(s.module, "m");
    cr_expect_str_eq(s.msg, "flood");
    cr_expect_eq(s.level, LOG_LVL_WARN);
    cr_expect_eq(s.repeated, 995);
    cr_expect_eq(s.within_ms, LOG_WINDOW_MS);
    cr_expect_not(log_repeat_next(100 + LOG_WINDOW_MS, false, &s), "told once");
}

Test(log_repeat, the_next_line_after_the_time_tells_what_was_held_back_and_passes)
{
    struct log_record r = record("m", "flood");
    struct log_summary s;
    bool ended;

    log_repeat_limit(2);
    cr_expect_eq(admitted("m", "flood", 12, 0), 2);
    cr_expect(log_repeat_admit(&r, LOG_WINDOW_MS + 5, &s, &ended));
    cr_expect(ended);
    cr_expect_eq(s.repeated, 10);
    cr_expect_eq(admitted("m", "flood", 10, LOG_WINDOW_MS + 6), 1, "a new time, a new limit");
}

Test(log_repeat, more_kinds_than_places_lose_no_count)
{
    struct log_summary s;
    bool ended;
    char msg[32];
    int64_t total = 0;

    log_repeat_limit(1);
    for (int i = 0; i < 500; i++) {
        snprintf(msg, sizeof msg, "kind %d", i);
        for (int k = 0; k < 3; k++) {
            struct log_record r = record("m", msg);
            (void)log_repeat_admit(&r, i, &s, &ended);
            total += ended ? s.repeated : 0;
        }
    }
    while (log_repeat_next(1000, true, &s))
        total += s.repeated;
    cr_expect_eq(total, 1000);
}

Test(log_repeat, debug_lines_and_no_limit_pass)
{
    struct log_record r = record("m", "flood");
    struct log_summary s;
    bool ended;

    log_repeat_limit(0);
    cr_expect_eq(admitted("m", "flood", 100, 0), 100);
    log_repeat_limit(1);
    r.level = LOG_LVL_DEBUG;
    for (int i = 0; i < 10; i++)
        cr_expect(log_repeat_admit(&r, 0, &s, &ended));
}

Test(log_repeat, what_was_held_back_is_written_as_a_line)
{
    static char text[65536];
    int fds[2];
    ssize_t n;
    int lines = 0;

    cr_assert_eq(pipe(fds), 0);
    cr_assert_geq(dup2(fds[1], STDERR_FILENO), 0);
    log_init("test", LOG_LVL_INFO);
    log_set_burst(3);
    for (int i = 0; i < 50; i++)
        log_warn("m", "flood", "n", LOG_I(i), NULL);
    log_flush();
    n = read(fds[0], text, sizeof text - 1);
    cr_assert_gt(n, 0);
    for (char *p = strchr(text, '\n'); p != NULL; p = strchr(p + 1, '\n'))
        lines++;
    cr_expect_eq(lines, 4);
    cr_expect_not_null(strstr(text, "level=warn proc=test"));
    cr_expect_not_null(strstr(text, "module=m msg=flood repeated=47 within_ms="));
}
