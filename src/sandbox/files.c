/*
 * files.c - landlock: which files the parser may read and execute
 *
 * Execution is granted to two files only, the command and the loader that its ELF header names. (Landlock of Debian 12
 * cannot forbid truncation; calls.c does, by open's flags.)
 *
 * Depends on base/landlock.
 */
#include "sandbox/sandbox.h"

#include "base/landlock.h"

#include <stddef.h>

/* Where libraries are, on the layouts of Debian and Fedora; absent ones are skipped. */
static const char *const library_paths[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib",
                                            "/lib",     "/lib64",     "/etc/ld.so.cache"};

static int add_rules(struct landlock *l, const struct sandbox_profile *p, const char *command, const char **what)
{
    int rc;

    *what = "read the command";
    rc = landlock_allow_program(l, command);
    if (rc < 0)
        return rc;
    *what = "allow what the command reads";
    for (size_t i = 0; rc == 0 && i < sizeof library_paths / sizeof *library_paths; i++)
        rc = landlock_allow_if_there(l, library_paths[i], LANDLOCK_READ);
    if (rc == 0)
        rc = landlock_allow_if_there(l, p->data_dir, LANDLOCK_READ);
    return rc;
}

int sandbox_limit_files(const struct sandbox_profile *p, const char *command, const char **what)
{
    static const struct landlock_also also = {.net = true, .signals = true, .abstract = true};
    struct landlock l;
    int rc;

    *what = "use landlock";
    rc = landlock_begin(&l, &also);
    if (rc == 0)
        rc = add_rules(&l, p, command, what);
    if (rc < 0) {
        landlock_drop(&l);
        return rc;
    }
    *what = "enforce landlock";
    return landlock_enforce(&l);
}
