/*
 * heading_path.c - see heading_path.h
 */
#include <string.h>

#include "text/heading_path.h"
#include "text/mdline.h"
#include "text/utf8.h"

#define SEPARATOR " > "
/* No more of a title is looked at than can be shown with its markup, so that a huge heading costs no time. */
#define TITLE_MAX_BYTES (4 * (size_t)HEADING_PATH_MAX_BYTES)

struct out {
    char *text;
    size_t len;
    bool full;
};

static void trim(const char **s, size_t *n)
{
    while (*n > 0 && md_is_blank_char(**s)) {
        (*s)++;
        (*n)--;
    }
    while (*n > 0 && md_is_blank_char((*s)[*n - 1]))
        (*n)--;
}

static void trim_closing_marks(const char *s, size_t *n)
{
    size_t end = *n;

    while (end > 0 && s[end - 1] == '#')
        end--;
    if (end == 0 || md_is_blank_char(s[end - 1]))
        *n = end;
}

static void trim_anchor(const char *s, size_t *n)
{
    const char *open = *n > 0 && s[*n - 1] == '}' ? memrchr(s, '{', *n) : NULL;

    if (open != NULL && (open[1] == '#' || open[1] == '.' || open[1] == '-'))
        *n = (size_t)(open - s);
}

static void put(struct out *o, const char *s, size_t n)
{
    size_t room = HEADING_PATH_MAX_BYTES - o->len;

    if (o->full)
        return;
    if (n > room) {
        n = utf8_floor(s, n, room);
        o->full = true;
    }
    memcpy(o->text + o->len, s, n);
    o->len += n;
}

/* End of the link whose words end at s[i] == ']', or i when no "(target)" follows. */
static size_t skip_target(const char *s, size_t n, size_t i)
{
    const char *close = i + 1 < n && s[i + 1] == '(' ? memchr(s + i, ')', n - i) : NULL;

    return close == NULL ? i : (size_t)(close - s) + 1;
}

/* In one pass: '[' is left out only when a "](target)" comes later, which the last such place tells. */
static void put_title(struct out *o, const char *s, size_t n)
{
    size_t last_link = 0, from = 0, i, to;

    for (i = n; i > 1 && last_link == 0; i--)
        if (s[i - 2] == ']' && s[i - 1] == '(' && memchr(s + i, ')', n - i) != NULL)
            last_link = i - 2;
    for (i = 0; i < n; i = to) {
        to = i + 1;
        if (s[i] == '`') {
            put(o, s + from, i - from);
        } else if (s[i] == '*' && to < n && s[to] == '*') {
            put(o, s + from, i - from);
            to++;
        } else if (i < last_link && (s[i] == '[' || (s[i] == '!' && s[to] == '['))) {
            put(o, s + from, i - from);
            to += s[i] == '!';
        } else if (s[i] == ']' && i <= last_link && skip_target(s, n, i) > i) {
            put(o, s + from, i - from);
            to = skip_target(s, n, i);
        } else {
            continue;
        }
        from = to;
    }
    put(o, s + from, n - from);
}

void heading_path_begin(struct heading_path *p)
{
    p->depth = 0;
    p->stale = false;
    p->text[0] = '\0';
}

void heading_path_enter(struct heading_path *p, int level, const char *title, size_t len)
{
    while (p->depth > 0 && p->at[p->depth - 1].level >= level)
        p->depth--;
    if (len > TITLE_MAX_BYTES)
        len = utf8_floor(title, len, TITLE_MAX_BYTES);
    trim(&title, &len);
    trim_closing_marks(title, &len);
    trim(&title, &len);
    trim_anchor(title, &len);
    trim(&title, &len);
    p->at[p->depth].level = level;
    p->at[p->depth].title = title;
    p->at[p->depth].len = len;
    p->depth++;
    p->stale = true;
}

const char *heading_path_text(struct heading_path *p)
{
    struct out o = {.text = p->text};
    int i;

    if (!p->stale)
        return p->text;
    for (i = 0; i < p->depth; i++) {
        if (p->at[i].len == 0)
            continue;
        if (o.len > 0)
            put(&o, SEPARATOR, strlen(SEPARATOR));
        put_title(&o, p->at[i].title, p->at[i].len);
    }
    p->text[o.len] = '\0';
    p->stale = false;
    return p->text;
}
