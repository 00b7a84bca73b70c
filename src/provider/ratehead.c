/* ratehead.c - see ratehead.h */
#include "provider/ratehead.h"
#include "base/httpdate.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_NS ((__int128)RATEHEAD_MAX_WAIT_MS * 1000000)

static const struct {
    const char *name;
    int64_t ns;
} units[] = {
    {"ns", 1},       {"us", 1000},      {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
    {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

/* Digits with an optional fraction at *p, as billionths. Saturates, so that a thousand digits are only "very long". */
static bool take_number(const char **p, __int128 *billionths)
{
    __int128 v = 0;
    int64_t scale = 1000000000;
    const char *from = *p;

    for (; isdigit((unsigned char)**p); (*p)++)
        v = v > MAX_NS ? v : v * 10 + (**p - '0');
    v *= scale;
    if (**p == '.') {
        for ((*p)++; isdigit((unsigned char)**p); (*p)++) {
            scale /= 10;
            v += scale * (**p - '0');
        }
    }
    *billionths = v;
    return *p > from && !(*p == from + 1 && *from == '.');
}

static int64_t take_unit(const char **p)
{
    int64_t best = 0;
    size_t longest = 0;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        if (n > longest && strncmp(*p, units[i].name, n) == 0) {
            longest = n;
            best = units[i].ns;
        }
    }
    *p += longest;
    return best;
}

static int64_t to_ms(__int128 ns)
{
    return ns > MAX_NS ? RATEHEAD_MAX_WAIT_MS : (int64_t)((ns + 999999) / 1000000);
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

int64_t ratehead_duration_ms(const char *text)
{
    const char *p = skip_blanks(text);
    __int128 total = 0, part;
    int64_t unit;

    do {
        if (!take_number(&p, &part))
            return -1;
        unit = take_unit(&p);
        if (unit == 0 && (total != 0 || *skip_blanks(p) != '\0'))
            return -1; /* a number without a unit stands alone, and is seconds */
        total += unit == 0 ? part : part * unit / 1000000000;
        if (total > MAX_NS)
            total = MAX_NS + 1;
    } while (isdigit((unsigned char)*p) || *p == '.');
    return *skip_blanks(p) == '\0' ? to_ms(total) : -1;
}

/* A whole number; -1 for anything else, which is also how Azure says that there is no limit. */
static int64_t count(const char *text)
{
    int64_t v = 0;

    if (text == NULL || !isdigit((unsigned char)*(text = skip_blanks(text))))
        return -1;
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *text - '0', &v))
            return -1;
    return *skip_blanks(text) == '\0' ? v : -1;
}

static struct rate_window read_window(ratehead_get *get, const void *arg, const char *of)
{
    struct rate_window w;
    const char *reset;
    char name[48];

    snprintf(name, sizeof name, "x-ratelimit-limit-%s", of);
    w.limit = count(get(arg, name));
    snprintf(name, sizeof name, "x-ratelimit-remaining-%s", of);
    w.remaining = count(get(arg, name));
    snprintf(name, sizeof name, "x-ratelimit-reset-%s", of);
    reset = get(arg, name);
    w.reset_ms = reset == NULL ? -1 : ratehead_duration_ms(reset);
    if (w.limit <= 0) {
        w.limit = -1;
        if (w.remaining == 0 && w.reset_ms <= 0)
            w.remaining = -1;
    }
    return w;
}

static int64_t read_retry_after(ratehead_get *get, const void *arg)
{
    const char *ms = get(arg, "retry-after-ms"), *text = get(arg, "retry-after"), *date = get(arg, "date");
    int64_t v, when, now;
    __int128 billionths;

    if (ms != NULL && take_number(&ms, &billionths) && *skip_blanks(ms) == '\0')
        return to_ms(billionths / 1000);
    if (text == NULL)
        return -1;
    v = ratehead_duration_ms(text);
    if (v >= 0)
        return v;
    when = httpdate_parse(text);
    now = date == NULL ? -1 : httpdate_parse(date);
    if (when < 0 || now < 0)
        return -1;
    v = when > now ? when - now : 0;
    return v > RATEHEAD_MAX_WAIT_MS / 1000 ? RATEHEAD_MAX_WAIT_MS : v * 1000;
}

void ratehead_none(struct rate_head *out)
{
    static const struct rate_window unknown = {-1, -1, -1};

    *out = (struct rate_head){.requests = unknown, .tokens = unknown, .retry_after_ms = -1};
}

void ratehead_read(ratehead_get *get, const void *arg, struct rate_head *out)
{
    ratehead_none(out);
    out->requests = read_window(get, arg, "requests");
    out->tokens = read_window(get, arg, "tokens");
    out->retry_after_ms = read_retry_after(get, arg);
}
