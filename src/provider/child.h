/*
 * child.h - one sandboxed command, from start to reaped
 *
 * child_run() starts docmill-sandbox with the command, feeds it a file, collects what it writes and says how it ended.
 * It decides nothing about what that means; parser_outcome.c does. When it returns, the process and everything in its
 * group is gone and every descriptor is closed, whatever happened.
 *
 * Private to src/provider.
 */
#ifndef PROVIDER_CHILD_H
#define PROVIDER_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHILD_STDERR_BYTES 4096 /* the last of standard error; the rest is read and dropped */

struct child_spec {
    const char *sandbox; /* path of docmill-sandbox */
    const char *profile;
    const char *const *argv; /* argv[0]: absolute path of the command; NULL ends it */
    int input_fd;            /* becomes standard input; its offset is not moved */
    int64_t timeout_ms;
    int64_t max_memory, max_output;
    int max_pages; /* form feeds in the output; 0: not counted */
    void (*tick)(void *arg);
    bool (*cancelled)(void *arg);
    void *arg;
};

enum child_end {
    CHILD_EXITED,     /* status is its exit status */
    CHILD_SIGNALED,   /* status is the signal, which we did not send */
    CHILD_REFUSED,    /* nothing was executed: refusal and said */
    CHILD_NO_SANDBOX, /* docmill-sandbox itself cannot be started: status is the errno */
    CHILD_TIMEOUT,
    CHILD_CANCELLED,
    CHILD_OUTPUT_CAP,
    CHILD_PAGE_CAP,
};

struct child_outcome {
    enum child_end end;
    int status;
    int refusal; /* enum sandbox_refusal */
    char *out;   /* malloc'ed; the caller's */
    size_t out_len;
    int pages;                         /* form feeds seen */
    char said[CHILD_STDERR_BYTES + 1]; /* end of standard error, or the refusal's sentence */
    int64_t took_ms, cpu_ms, max_rss_bytes;
};

/* 0 with *o filled, or a negative errno when our own side failed (descriptors, memory): then *o holds nothing. */
int child_run(const struct child_spec *s, struct child_outcome *o) MUST_CHECK;

#endif
