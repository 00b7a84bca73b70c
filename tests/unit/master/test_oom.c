/* test_oom.c - the kernel's counters of out-of-memory kills, from files as kernels write them */
#include "master/oom.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    f = fopen(path, "w");
    cr_assert_not_null(f, "%s", path);
    fputs(text, f);
    fclose(f);
}

static void make(void)
{
    snprintf(root, sizeof root, "/tmp/dm-oom-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void take(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

/*
 * Recorded from Linux 6.1.192 of Debian 12, which an emulator ran with control groups v2: memory.events of a group with
 * a memory.max of 32 MiB, before and after a process in it was killed because it wanted 100 MB; /proc/self/cgroup of a
 * process in it; the machine's counter in /proc/vmstat then.
 */
#define RECORDED_EVENTS "sys/fs/cgroup/system.slice/docmill.service/memory.events"
static const char recorded_group[] = "0::/system.slice/docmill.service\n";
static const char recorded_before[] = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n";
static const char recorded_after[] = "low 0\nhigh 0\nmax 35\noom 1\noom_kill 1\noom_group_kill 0\n";

/* In the same form, with other numbers. */
static void put_v2(int kills)
{
    char text[200];

    snprintf(text, sizeof text, "low 0\nhigh 0\nmax 1371\noom 4\noom_kill %d\noom_group_kill 0\n", kills);
    put(RECORDED_EVENTS, text);
}

/* memory.oom_control of a v1 group. */
static void put_v1(int kills)
{
    char text[200];

    snprintf(text, sizeof text, "oom_kill_disable 0\nunder_oom 0\noom_kill %d\n", kills);
    put("sys/fs/cgroup/memory/docmill/memory.oom_control", text);
}

static void put_machine(int kills)
{
    char text[200];

    snprintf(text, sizeof text, "nr_free_pages 1\nallocstall_normal 0\noom_kill %d\nnuma_hit 1\n", kills);
    put("proc/vmstat", text);
}

TestSuite(oom, .init = make, .fini = take);

Test(oom, a_recorded_kill_of_v2_is_certain_and_counts_once)
{
    struct oom_watch w;

    put("proc/self/cgroup", recorded_group);
    put(RECORDED_EVENTS, recorded_before);
    put_machine(0);
    oom_open(&w, root);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    put(RECORDED_EVENTS, recorded_after);
    put_machine(1);
    cr_assert_eq(oom_claim(&w), OOM_CERTAIN);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    oom_close(&w);
}

Test(oom, the_groups_counter_of_v2_tells_a_kill_for_memory_from_a_hand)
{
    struct oom_watch w;

    put("proc/self/cgroup", recorded_group);
    put_v2(7);
    put_machine(7);
    oom_open(&w, root);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    put_v2(8);
    cr_assert_eq(oom_claim(&w), OOM_CERTAIN);
    cr_assert_eq(oom_claim(&w), OOM_NOT, "one kill explains one death");
    oom_close(&w);
}

Test(oom, the_groups_counter_of_v1_does_too_and_goes_before_a_v2_group_without_memory)
{
    struct oom_watch w;

    put("proc/self/cgroup", "9:name=systemd:/\n4:memory:/docmill\n1:cpu:/\n0::/\n");
    put_v1(0);
    oom_open(&w, root);
    put_v1(2);
    cr_assert_eq(oom_claim(&w), OOM_CERTAIN);
    cr_assert_eq(oom_claim(&w), OOM_CERTAIN);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    oom_close(&w);
}

Test(oom, in_a_container_the_mounts_root_is_the_group)
{
    struct oom_watch w;

    put("proc/self/cgroup", "0::/../docker/abc\n");
    put("sys/fs/cgroup/memory.events", "oom_kill 1\n");
    oom_open(&w, root);
    put("sys/fs/cgroup/memory.events", "oom_kill 2\n");
    cr_assert_eq(oom_claim(&w), OOM_CERTAIN);
    oom_close(&w);
}

Test(oom, somebody_elses_kill_on_the_machine_is_not_ours_where_the_group_is_known)
{
    struct oom_watch w;

    put("proc/self/cgroup", "0::/system.slice/docmill.service\n");
    put_v2(0);
    put_machine(0);
    oom_open(&w, root);
    put_machine(5);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    oom_close(&w);
}

Test(oom, with_the_machines_counter_alone_it_is_probable)
{
    struct oom_watch w;

    put_machine(3);
    oom_open(&w, root);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    put_machine(4);
    cr_assert_eq(oom_claim(&w), OOM_PROBABLE);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    oom_close(&w);
}

Test(oom, without_any_counter_it_is_hidden)
{
    struct oom_watch w;

    oom_open(&w, root);
    oom_tick(&w);
    cr_assert_eq(oom_claim(&w), OOM_HIDDEN);
    oom_close(&w);
}

Test(oom, a_tick_between_the_kill_and_its_death_makes_it_probable_not_lost)
{
    struct oom_watch w;

    put("proc/self/cgroup", "0::/system.slice/docmill.service\n");
    put_v2(0);
    oom_open(&w, root);
    put_v2(1);
    oom_tick(&w);
    cr_assert_eq(oom_claim(&w), OOM_PROBABLE);
    oom_close(&w);
}

Test(oom, a_kill_that_no_death_claims_was_somebody_elses)
{
    struct oom_watch w;

    put("proc/self/cgroup", "0::/system.slice/docmill.service\n");
    put_v2(0);
    oom_open(&w, root);
    put_v2(1);
    oom_tick(&w);
    oom_tick(&w);
    cr_assert_eq(oom_claim(&w), OOM_NOT);
    oom_close(&w);
}

Test(oom, a_counter_that_an_older_kernel_does_not_have_is_not_known)
{
    struct oom_watch w;

    put("proc/self/cgroup", "0::/system.slice/docmill.service\n");
    put("sys/fs/cgroup/system.slice/docmill.service/memory.events", "low 0\nhigh 0\nmax 0\noom 4\n");
    put_machine(0);
    oom_open(&w, root);
    put_machine(1);
    cr_assert_eq(oom_claim(&w), OOM_PROBABLE, "then the machine's counts");
    oom_close(&w);
}
