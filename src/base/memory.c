/*
 * memory.c - see memory.h
 *
 * The machine's memory is /proc/meminfo's; a limit may stand at every level of the control groups above the process, as
 * memory.max (v2) or memory.limit_in_bytes (v1). What cannot be read limits nothing.
 *
 * Depends on libc.
 */
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 1024

struct least {
    int64_t bytes; /* 0: none yet */
    char *where;
    size_t size;
};

static void lower(struct least *l, int64_t bytes, const char *where)
{
    if (bytes <= 0 || (l->bytes != 0 && bytes >= l->bytes))
        return;
    l->bytes = bytes;
    snprintf(l->where, l->size, "%s", where);
}

static void read_machine(struct least *l, const char *root)
{
    char path[PATH_BYTES], line[256];
    int64_t kb;
    FILE *f;

    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "MemTotal: %" SCNd64 " kB", &kb) == 1)
            lower(l, kb * 1024, "this machine");
    if (f != NULL)
        fclose(f);
}

/* "max" is no number and limits nothing; so does v1's largest. */
static void read_limit(struct least *l, const char *file, const char *group)
{
    char text[64] = "", where[PATH_BYTES];
    FILE *f = fopen(file, "re");
    int64_t v;

    if (f == NULL)
        return;
    if (fgets(text, sizeof text, f) != NULL && (v = strtoll(text, NULL, 10)) < INT64_MAX / 2) {
        snprintf(where, sizeof where, "its control group %s", *group != '\0' ? group : "/");
        lower(l, v, where);
    }
    fclose(f);
}

static void read_groups(struct least *l, const char *root, const char *mount, char *group, const char *name)
{
    char file[2 * PATH_BYTES];
    char *slash;

    do {
        snprintf(file, sizeof file, "%s%s%s/%s", root, mount, strcmp(group, "/") != 0 ? group : "", name);
        read_limit(l, file, group);
        slash = strrchr(group, '/');
        if (slash != NULL)
            *slash = '\0';
    } while (slash != NULL);
}

/* A line of /proc/self/cgroup: number:controllers:path. */
static void read_group_line(struct least *l, const char *root, char *line)
{
    char *controllers = strchr(line, ':'), *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

    if (path == NULL)
        return;
    *controllers++ = *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (*controllers == '\0')
        read_groups(l, root, "/sys/fs/cgroup", path, "memory.max");
    else if (strcmp(controllers, "memory") == 0)
        read_groups(l, root, "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
}

int64_t memory_limit_bytes(const char *root, char *where, size_t size)
{
    struct least l = {.where = where, .size = size};
    char path[PATH_BYTES], line[PATH_BYTES];
    FILE *f;

    snprintf(where, size, "nothing");
    read_machine(&l, root);
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        read_group_line(&l, root, line);
    if (f != NULL)
        fclose(f);
    return l.bytes;
}
