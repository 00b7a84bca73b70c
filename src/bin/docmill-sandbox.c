/*
 * docmill-sandbox - runs one parser command that can do nothing but read its input and write its output
 *
 *   docmill-sandbox PROFILE PARENT_PID MEMORY_BYTES CPU_SECONDS COMMAND [ARGUMENT...]
 *
 * Started by a docmill worker with the file on standard input, pipes on standard output and error, and a pipe on
 * descriptor 3. It shuts itself in (sandbox.h) and executes COMMAND, an absolute path; PROFILE is pdf, html or office.
 * Other descriptors are closed, the environment is a fixed one.
 *
 * Diagnostics: when anything fails, nothing is executed. One record goes to descriptor 3: a letter (enum
 * sandbox_refusal) and a sentence; without such a descriptor the sentence goes to standard error. Exit status 125.
 * The command's own exit status is passed on by being the command's.
 */
#include "base/oom.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_NOTHING_RUN 125

static _Noreturn void give_up(enum sandbox_refusal kind, int rc, const char *what, const char *which)
{
    char line[400];
    int n = snprintf(line, sizeof line, "%ccannot %s%s%s: %s\n", (char)kind, what, which[0] == '\0' ? "" : " ", which,
                     strerror(-rc));

    if (n >= (int)sizeof line)
        n = (int)sizeof line - 1;
    if (write(SANDBOX_STATUS_FD, line, (size_t)n) < 0 && write(STDERR_FILENO, line + 1, (size_t)n - 1) < 0)
        _exit(EXIT_NOTHING_RUN);
    _exit(EXIT_NOTHING_RUN);
}

static int64_t number(const char *s)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(s, &end, 10);
    if (errno != 0 || end == s || *end != '\0' || v <= 0)
        give_up(SANDBOX_BAD_USE, -EINVAL, "understand the number", s);
    return v;
}

/* Whoever inherits a descriptor by mistake must not give it to a parser. Descriptor 3 closes when the command begins,
 * unless it is not the pipe it should be; then it closes now. */
static void close_others(void)
{
    struct stat st;
    bool status_pipe = fstat(SANDBOX_STATUS_FD, &st) == 0 && S_ISFIFO(st.st_mode);

    if (!status_pipe)
        close(SANDBOX_STATUS_FD);
    else if (fcntl(SANDBOX_STATUS_FD, F_SETFD, FD_CLOEXEC) < 0)
        give_up(SANDBOX_REFUSED, -errno, "mark the status pipe", "");
    if (close_range(SANDBOX_STATUS_FD + 1, ~0U, 0) < 0)
        give_up(SANDBOX_REFUSED, -errno, "close inherited descriptors", "");
}

int main(int argc, char **argv)
{
    static char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent", NULL};
    const struct sandbox_profile *p;
    const char *what = "";
    int rc;

    close_others();
    if (argc < 6 || argv[5][0] != '/')
        give_up(SANDBOX_BAD_USE, -EINVAL, "run without", "PROFILE PARENT_PID MEMORY_BYTES CPU_SECONDS COMMAND");
    p = sandbox_profile_find(argv[1]);
    if (p == NULL)
        give_up(SANDBOX_BAD_USE, -EINVAL, "find the profile", argv[1]);
    if (access(argv[5], X_OK) < 0)
        give_up(SANDBOX_MISSING, -errno, "execute", argv[5]);
    if (chdir("/") < 0)
        give_up(SANDBOX_REFUSED, -errno, "change to the root directory", "");
    (void)oom_raise(OOM_PARSER); /* a wish */
    rc = sandbox_limit_process((pid_t)number(argv[2]), number(argv[3]), number(argv[4]), &what);
    if (rc == 0)
        rc = sandbox_limit_files(p, argv[5], &what);
    if (rc == 0)
        rc = sandbox_limit_calls(p, &what);
    if (rc < 0)
        give_up(rc == -ENOEXEC ? SANDBOX_MISSING : SANDBOX_REFUSED, rc, what, "");
    execve(argv[5], argv + 5, environment);
    give_up(SANDBOX_MISSING, -errno, "execute", argv[5]);
}
