/*
 * output.c - what verbs print: errors with a hint, JSON, short forms of times and sizes
 *
 * Depends on base, core.
 */
#include "base/streams.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void ctl_put_json(FILE *out, const json_t *j, size_t flags)
{
    char *text = json_dumps(j, flags | JSON_REAL_PRECISION(7));

    for (const unsigned char *s = (const unsigned char *)text; s != NULL && *s != '\0'; s++) {
        if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f) {
            fprintf(out, "\\u%04x", s[1]);
            s++;
        } else if (*s == 0x7f) {
            fputs("\\u007f", out);
        } else {
            fputc(*s, out);
        }
    }
    free(text);
}

static void fail_json(int code, const struct error *e)
{
    json_t *j = json_pack("{s:s, s:s, s:i}", "reason", e->reason, "message", e->message, "exit", code);

    if (j != NULL && e->hint[0] != '\0')
        json_object_set_new(j, "hint", json_string(e->hint));
    if (j != NULL)
        ctl_put_json(stderr, j, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(j);
}

int ctl_fail(const struct ctl *c, int code, const struct error *e)
{
    fflush(stdout);
    if (c->json) {
        fail_json(code, e);
        return code;
    }
    fputs("docmillctl: ", stderr);
    text_print(stderr, e->message, 0);
    fputc('\n', stderr);
    if (e->hint[0] != '\0') {
        fputs("  hint: ", stderr);
        text_print(stderr, e->hint, 0);
        fputc('\n', stderr);
    }
    return code;
}

bool ctl_rest(int64_t ms)
{
    if (streams_rest(ms))
        return true;
    raise(SIGPIPE); /* as the next write would */
    return false;
}

int ctl_usage(const struct ctl *c, const struct error *e)
{
    ctl_fail(c, CTL_USAGE, e);
    if (!c->json && c->verb != NULL)
        fprintf(stderr, "usage: docmillctl %s%s%s   (docmillctl %s --help explains)\n", c->verb->name,
                c->verb->grammar[0] != '\0' ? " " : "", c->verb->grammar, c->verb->name);
    return CTL_USAGE;
}

void ctl_print_json(const struct ctl *c, const json_t *j)
{
    ctl_put_json(stdout, j, c->width > 0 ? (size_t)JSON_INDENT(2) : (size_t)JSON_COMPACT);
    fputc('\n', stdout);
}

void ctl_age(const char *when, char out[24])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    struct tm t = {0};
    int64_t age;

    out[0] = '\0';
    if (strptime(when, "%Y-%m-%dT%H:%M:%S", &t) == NULL)
        return;
    age = (int64_t)time(NULL) - (int64_t)timegm(&t);
    if (age < 0)
        age = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (age >= 2 * units[i].seconds || units[i].seconds == 1) {
            snprintf(out, 24, "%" PRId64 "%c", age / units[i].seconds, units[i].unit);
            return;
        }
    }
}

void ctl_span(int64_t ms, char out[24])
{
    int64_t s = ms / 1000;

    if (ms < 0)
        snprintf(out, 24, "-");
    else if (s < 120)
        snprintf(out, 24, "%" PRId64 "s", s);
    else if (s < 7200)
        snprintf(out, 24, "%" PRId64 "m", s / 60);
    else if (s < 172800)
        snprintf(out, 24, "%" PRId64 "h", s / 3600);
    else
        snprintf(out, 24, "%" PRId64 "d", s / 86400);
}

void ctl_bytes(int64_t bytes, char out[24])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double v = (double)bytes;
    size_t i = 0;

    while (v >= 1000 && i < 4) {
        v /= 1024;
        i++;
    }
    snprintf(out, 24, i > 0 && v < 10 ? "%.1f %s" : "%.0f %s", v, units[i]);
}

const char *ctl_string(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s != NULL ? s : "";
}

int64_t ctl_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

int ctl_parse_duration(const char *text, int64_t *out_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end = NULL;

    errno = 0;
    *out_ms = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        return __builtin_mul_overflow(*out_ms, units[i].ms, out_ms) ? -EINVAL : 0;
    }
    return -EINVAL;
}
