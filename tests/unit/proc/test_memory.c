/* test_memory.c - what this process uses of memory */
#include "proc/memory.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#define MB ((int64_t)1024 * 1024)

Test(memory, the_kernels_text_is_read)
{
    cr_assert_eq(memory_parse("5578-7fff ---p 00000000 00:00 0   [rollup]\nRss:    3000 kB\nPss:    1234 kB\n"
                              "Pss_Dirty:   99 kB\n"),
                 1234 * 1024);
}

Test(memory, what_is_no_such_text_is_not_known)
{
    cr_assert_eq(memory_parse(""), 0);
    cr_assert_eq(memory_parse("\nPss:"), 0);
    cr_assert_eq(memory_parse("\nPss:   kB"), 0);
    cr_assert_eq(memory_parse("\nPss: -5 kB"), 0);
    cr_assert_eq(memory_parse("\nPss: 5 MB"), 0);
    cr_assert_eq(memory_parse("\nPss: 99999999999999999999 kB"), 0);
}

Test(memory, it_rises_with_what_is_touched)
{
    struct memory_watch w;
    int64_t before, after;
    char *more;

    memory_watch_open(&w);
    before = memory_read(&w);
    more = mmap(NULL, 32 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(more, MAP_FAILED);
    memset(more, 1, 32 * MB);
    after = memory_read(&w);
    cr_assert_gt(before, 0);
    cr_assert_geq(after - before, 31 * MB, "from %lld to %lld", (long long)before, (long long)after);
    cr_assert_lt(after - before, 40 * MB);
    memory_watch_close(&w);
}

Test(memory, it_is_read_seldom)
{
    struct memory_watch w;
    int64_t bytes = 0;

    memory_watch_open(&w);
    cr_assert(memory_watch_due(&w, 1000, &bytes));
    cr_assert_gt(bytes, 0);
    cr_assert_not(memory_watch_due(&w, 1000 + MEMORY_EVERY_MS - 1, &bytes));
    cr_assert_geq(w.next_ms, 1000 + MEMORY_EVERY_MS);
    cr_assert(memory_watch_due(&w, w.next_ms, &bytes));
    memory_watch_close(&w);
}

Test(memory, where_it_is_hidden_it_is_not_known)
{
    struct memory_watch w = {.fd = -1};
    int64_t bytes = 1;

    cr_assert_eq(memory_read(&w), 0);
    cr_assert_not(memory_watch_due(&w, 1, &bytes));
}
