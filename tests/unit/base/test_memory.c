/*
 * test_memory.c - the tightest of machine and control groups, v1 and v2, at any level
 */
#include "base/memory.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64];
static char where[200];

static void start(void)
{
    strcpy(root, "/tmp/docmill-memory-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void stop(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(memory, .init = start, .fini = stop);

static void put(const char *path, const char *text)
{
    char command[400], file[300];
    FILE *f;

    snprintf(file, sizeof file, "%s%s", root, path);
    snprintf(command, sizeof command, "mkdir -p $(dirname %s)", file);
    cr_assert_eq(system(command), 0);
    f = fopen(file, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0 && fclose(f) == 0);
}

static int64_t limit(void)
{
    return memory_limit_bytes(root, where, sizeof where);
}

Test(memory, nothing_that_can_be_read_is_not_known)
{
    cr_expect_eq(limit(), 0);
}

Test(memory, the_machine_counts_where_no_group_is_tighter)
{
    put("/proc/meminfo", "MemTotal:        8000 kB\nMemFree: 1 kB\n");
    put("/proc/self/cgroup", "0::/system.slice/x.service\n");
    put("/sys/fs/cgroup/system.slice/x.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "90000000\n");
    cr_expect_eq(limit(), 8000 * 1024);
    cr_expect_str_eq(where, "this machine");
}

Test(memory, a_group_further_up_may_be_the_tightest)
{
    put("/proc/meminfo", "MemTotal:        8000 kB\n");
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/memory.max", "5000000\n");
    put("/sys/fs/cgroup/a/memory.max", "4000000\n");
    cr_expect_eq(limit(), 4000000);
    cr_expect_str_eq(where, "its control group /a");
}

Test(memory, version_one_is_read_too)
{
    put("/proc/meminfo", "MemTotal:        8000 kB\n");
    put("/proc/self/cgroup", "5:devices:/\n4:memory:/docker/x\n0::/\n");
    put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "1000000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    cr_expect_eq(limit(), 1000000);
}

Test(memory, this_machine_has_some)
{
    cr_expect_gt(memory_limit_bytes("", where, sizeof where), 0);
}
