/*
 * reason.c - lookups over the table in reason.h
 *
 * Pure. An unknown number is "internal".
 */
#include "core/reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reason_row {
    const char *name;
    enum error_class cls;
    int http;
    const char *sentence;
};

#define X_ROW(n, c, h, s) [REASON_##n] = {#n, c, h, s},
static const struct reason_row rows[REASON_MAX_] = {[REASON_NONE] = {"none", ERR_NONE, 0, ""}, REASONS(X_ROW)};
#undef X_ROW

static const struct reason_row *row(enum reason r)
{
    return (int)r >= 0 && r < REASON_MAX_ ? &rows[r] : &rows[REASON_internal];
}

const char *reason_name(enum reason r)
{
    return row(r)->name;
}

const char *reason_sentence(enum reason r)
{
    return row(r)->sentence;
}

enum error_class reason_class(enum reason r)
{
    return row(r)->cls;
}

int reason_http(enum reason r)
{
    return row(r)->http;
}

enum reason reason_parse(const char *name)
{
    for (int i = 1; i < REASON_MAX_; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (enum reason)i;
    return REASON_NONE;
}

int reason_error(struct error *e, enum reason r, int code, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (fmt == NULL)
        return error_set(e, code, reason_class(r), reason_name(r), "%s", reason_sentence(r));
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set(e, code, reason_class(r), reason_name(r), "%s", text);
}
