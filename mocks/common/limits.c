/* limits.c - buckets, windows and Go's durations: see limits.h */
#include "common/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void bucket_init(struct bucket *b, int64_t per_minute, int64_t now_ms)
{
    *b = (struct bucket){.capacity = (double)per_minute,
                         .left = (double)per_minute,
                         .per_ms = (double)per_minute / 60000.0,
                         .at_ms = now_ms};
}

void bucket_fill(struct bucket *b, int64_t now_ms)
{
    if (now_ms > b->at_ms) {
        b->left = fmin(b->capacity, b->left + (double)(now_ms - b->at_ms) * b->per_ms);
        b->at_ms = now_ms;
    }
}

int64_t bucket_wait_ms(const struct bucket *b, double n)
{
    if (n > b->capacity)
        return -1;
    /* a hair of rounding must not refuse what is there */
    return b->left + 1e-6 >= n ? 0 : (int64_t)ceil((n - b->left) / b->per_ms);
}

int64_t bucket_full_ms(const struct bucket *b)
{
    return b->per_ms > 0 ? (int64_t)ceil((b->capacity - b->left) / b->per_ms - 1e-6) : 0;
}

bool window_take(struct window *w, int64_t now_ms)
{
    int max = w->max < WINDOW_MAX ? w->max : WINDOW_MAX;
    int64_t *slot;

    if (max <= 0)
        return true;
    slot = &w->at[w->n % (uint64_t)max];
    /* the slot holds the request that was let in `max` requests ago */
    if (w->n >= (uint64_t)max && now_ms - *slot < w->span_ms)
        return false;
    *slot = now_ms;
    w->n++;
    return true;
}

static void trim(char *s)
{
    size_t n = strlen(s);

    if (strchr(s, '.') == NULL)
        return;
    while (n > 0 && s[n - 1] == '0')
        s[--n] = '\0';
    if (n > 0 && s[n - 1] == '.')
        s[n - 1] = '\0';
}

void go_duration(int64_t ms, char *out, size_t size)
{
    long long left = ms < 0 ? 0 : (long long)ms;
    char seconds[32];

    if (left < 1000) {
        snprintf(out, size, left == 0 ? "0s" : "%lldms", left);
        return;
    }
    snprintf(seconds, sizeof seconds, "%lld.%03lld", left % 60000 / 1000, left % 1000);
    trim(seconds);
    if (left >= 3600000)
        snprintf(out, size, "%lldh%lldm%ss", left / 3600000, left / 60000 % 60, seconds);
    else if (left >= 60000)
        snprintf(out, size, "%lldm%ss", left / 60000, seconds);
    else
        snprintf(out, size, "%ss", seconds);
}
