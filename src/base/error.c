/*
 * error.c - filling and naming struct error
 *
 * Owns nothing; every string is copied into the caller's struct. Long messages are cut, never overrun.
 *
 * Depends on nothing.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, enum error_class cls, const char *reason, const char *fmt, ...)
{
    va_list ap;

    if (code > 0)
        code = -code;
    if (e == NULL)
        return code;
    e->code = code;
    e->cls = cls;
    e->hint[0] = '\0';
    snprintf(e->reason, sizeof e->reason, "%s", reason);
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    return code;
}

void error_hint(struct error *e, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
}

void error_clear(struct error *e)
{
    if (e != NULL)
        memset(e, 0, sizeof *e);
}
