/*
 * oom.c - see oom.h
 *
 * The files are opened once, and read again from their beginning. A process in a control group namespace, or in a
 * container, may see its group's path without the part above; then the mount's own root is its group.
 *
 * Depends on base.
 */
#include "master/oom.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4600

static int open_file(const char *root, const char *mount, const char *group, const char *file)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s%s%s/%s", root, mount, strcmp(group, "/") == 0 ? "" : group, file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int open_group(const char *root, const char *mount, const char *group, const char *file)
{
    int fd = open_file(root, mount, group, file);

    return fd >= 0 ? fd : open_file(root, mount, "/", file);
}

/* "0::/system.slice/docmill.service" is of v2, "4:memory:/docmill" of v1: with both, v1 has the memory. */
static int find_group(const char *root)
{
    char path[PATH_BYTES], line[4400];
    int v1 = -1, v2 = -1;
    FILE *f;

    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

        if (group == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (strncmp(line, "0:", 2) == 0 && v2 < 0)
            v2 = open_group(root, "/sys/fs/cgroup", group, "memory.events");
        else if (strstr(controllers, "memory") != NULL && v1 < 0)
            v1 = open_group(root, "/sys/fs/cgroup/memory", group, "memory.oom_control");
    }
    if (f != NULL)
        fclose(f);
    if (v1 >= 0 && v2 >= 0)
        close(v2);
    return v1 >= 0 ? v1 : v2;
}

/* The number behind the word at the beginning of a line; -1: none. */
static int64_t read_counter(const struct oom_counter *c)
{
    char text[32768], *at = text;
    size_t n_word = strlen(c->word);
    ssize_t n = c->fd >= 0 ? pread(c->fd, text, sizeof text - 1, 0) : -1;

    if (n <= 0)
        return -1;
    text[n] = '\0';
    for (; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, c->word, n_word) == 0 && at[n_word] == ' ')
            return strtoll(at + n_word, NULL, 10);
    }
    return -1;
}

static void counter_begin(struct oom_counter *c, int fd)
{
    *c = (struct oom_counter){.fd = fd, .word = "oom_kill"};
    c->claimed = c->at_tick = read_counter(c);
}

void oom_open(struct oom_watch *w, const char *root)
{
    counter_begin(&w->group, find_group(root));
    counter_begin(&w->machine, open_file(root, "", "/", "proc/vmstat"));
}

void oom_close(struct oom_watch *w)
{
    if (w->group.fd >= 0)
        close(w->group.fd);
    if (w->machine.fd >= 0)
        close(w->machine.fd);
    w->group.fd = w->machine.fd = -1;
}

static void counter_tick(struct oom_counter *c)
{
    int64_t now = read_counter(c);

    if (c->at_tick > c->claimed)
        c->claimed = c->at_tick;
    c->at_tick = now;
}

void oom_tick(struct oom_watch *w)
{
    counter_tick(&w->group);
    counter_tick(&w->machine);
}

/* 2: it rose since the last tick, 1: before that, 0: not; -1: not known */
static int counter_claim(struct oom_counter *c)
{
    int64_t now = read_counter(c);

    if (now < 0 || c->claimed < 0)
        return -1;
    if (now <= c->claimed)
        return 0;
    c->claimed++;
    return now > c->at_tick ? 2 : 1;
}

enum oom_cause oom_claim(struct oom_watch *w)
{
    int machine = counter_claim(&w->machine);
    int group = counter_claim(&w->group);

    if (group >= 0)
        return group == 2 ? OOM_CERTAIN : group == 1 ? OOM_PROBABLE : OOM_NOT;
    return machine < 0 ? OOM_HIDDEN : machine > 0 ? OOM_PROBABLE : OOM_NOT;
}
