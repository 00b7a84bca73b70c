/* usage.c - see usage.h */
#include "ctl/usage.h"
#include "ctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_proc(int64_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/%s", pid, name);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    n = fread(out, 1, size - 1, f);
    out[n] = '\0';
    fclose(f);
    return n > 0;
}

/* The 14th and 15th field; the second, in parentheses, may hold anything. */
static int64_t cpu_ms(int64_t pid)
{
    char text[1024];
    const char *after;
    unsigned long user, system;

    if (!read_proc(pid, "stat", text, sizeof text) || (after = strrchr(text, ')')) == NULL ||
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return -1;
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static int64_t own_bytes(int64_t pid)
{
    char text[256];
    unsigned long resident, shared;

    if (!read_proc(pid, "statm", text, sizeof text) || sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 ||
        resident < shared)
        return -1;
    return (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE);
}

void usage_of(const json_t *child, struct usage *out)
{
    int64_t pid = ctl_int(child, "pid");

    *out = (struct usage){-1, -1};
    if (pid <= 0)
        return;
    out->cpu_ms = cpu_ms(pid);
    out->bytes = ctl_int(child, "private_bytes");
    if (out->bytes <= 0)
        out->bytes = own_bytes(pid);
}
