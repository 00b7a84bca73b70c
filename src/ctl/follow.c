/* follow.c - see follow.h */
#include "ctl/follow.h"

#include <string.h>
#include <talloc.h>

struct follow *follow_new(const void *talloc_ctx, int64_t base)
{
    struct follow *f = talloc_zero(talloc_ctx, struct follow);

    if (f != NULL)
        *f = (struct follow){.base = base, .pending = -1};
    return f;
}

/* Where id is, or would have to be. */
static int place_of(const struct follow *f, int64_t id)
{
    int low = 0, high = f->n_seen;

    while (low < high) {
        int middle = low + (high - low) / 2;
        if (f->seen[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool follow_see(struct follow *f, int64_t id)
{
    int at = place_of(f, id);

    if (id <= f->base || (at < f->n_seen && f->seen[at] == id))
        return false;
    if ((size_t)f->n_seen >= talloc_array_length(f->seen))
        f->seen = talloc_realloc(f, f->seen, int64_t, (unsigned)f->n_seen * 2 + 64);
    memmove(f->seen + at + 1, f->seen + at, sizeof *f->seen * (size_t)(f->n_seen - at));
    f->seen[at] = id;
    f->n_seen++;
    return true;
}

static void advance(struct follow *f, int64_t base)
{
    int gone;

    if (base <= f->base)
        return;
    f->base = base;
    gone = place_of(f, base + 1);
    if (f->n_seen > gone)
        memmove(f->seen, f->seen + gone, sizeof *f->seen * (size_t)(f->n_seen - gone));
    f->n_seen -= gone;
}

static bool has_word(const char *words, const char *word, size_t n)
{
    for (const char *p = words; *p != '\0'; p += strspn(p, " ")) {
        size_t k = strcspn(p, " ");
        if (k == n && memcmp(p, word, n) == 0)
            return true;
        p += k;
    }
    return false;
}

static bool any_left(const char *waited_for, const char *writers)
{
    for (const char *p = waited_for; *p != '\0'; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        if (has_word(writers, p, n))
            return true;
        p += n;
    }
    return false;
}

void follow_round(struct follow *f, int64_t last, const char *writers)
{
    if (writers[0] == '\0') { /* nobody was writing: all up to `last` was there to be read */
        advance(f, last);
        f->pending = -1;
        return;
    }
    if (f->pending >= 0 && any_left(f->waited_for, writers))
        return;
    if (f->pending >= 0)
        advance(f, f->pending);
    f->pending = last;
    talloc_free(f->waited_for);
    f->waited_for = talloc_strdup(f, writers);
}
