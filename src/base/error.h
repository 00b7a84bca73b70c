/*
 * error.h - what went wrong, for a program and for a person
 *
 * A function that can fail returns 0 (or a count) or a negative errno-like code, and fills the caller's struct error:
 * code, class (what the caller may do about it), reason (a stable lower-case word that tests, tables and JSON use), a
 * sentence for a person and, where there is one, a hint. No error is logged and also returned.
 *
 * Diagnostics: none. Depends on nothing.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum error_class {
    ERR_NONE = 0,
    ERR_TRANSIENT,   /* the same call may succeed later: back off and try again */
    ERR_PERMANENT,   /* this input will never work */
    ERR_RECOVERABLE, /* a service is down: wait for it, not the input's fault */
    ERR_INTERNAL     /* our bug or a broken invariant */
};

struct error {
    int code; /* negative errno-like */
    enum error_class cls;
    char reason[40];
    char message[512];
    char hint[256];
};

/* Fills *e (may be NULL) and returns code (made negative if it was positive), so that `return error_set(...)` works. */
int error_set(struct error *e, int code, enum error_class cls, const char *reason, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* Adds a hint to an error already set. */
void error_hint(struct error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_clear(struct error *e);

#endif
