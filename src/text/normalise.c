/*
 * normalise.c - lines, blank lines and pages
 *
 * Each line is written to the end of the output, cleaned of characters (normalise_chars.c), trimmed and rewritten
 * there (normalise_line.c). A page break waits until a line with text comes, so that a page begins with text.
 *
 * Diagnostics
 *   -ENOMEM, -EFBIG   as normalise.h says; nothing else can fail
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <talloc.h>

#include "text/normalise.h"
#include "text/normalise_line.h"

/* What a line may need beyond its characters: the byte a heading may grow by, its newline, a blank line's, the NUL. */
#define LINE_SLACK 4
#define NO_TITLE   SIZE_MAX

struct state {
    enum normalise_kind kind;
    const void *ctx;
    struct normalised *out;
    size_t room;    /* bytes that out->text holds */
    int pages_room; /* offsets that out->page_starts holds */
    int pages_due;  /* page breaks since the last line with text */
    bool in_text;   /* the last line is of a paragraph */
    size_t title;   /* where it begins when it is a paragraph's first, else NO_TITLE */
    enum { FRONT_UNKNOWN, FRONT_MATTER, FRONT_OVER } front;
    struct md_state md;
    struct char_writer line;
};

static int grow_text(struct state *s, size_t want)
{
    size_t room = want + want / 2;
    char *text;

    if (want > NORMALISE_MAX_BYTES)
        return -EFBIG;
    if (room > NORMALISE_MAX_BYTES)
        room = NORMALISE_MAX_BYTES;
    text = talloc_realloc_size(s->ctx, s->out->text, room);
    if (text == NULL)
        return -ENOMEM;
    s->out->text = text;
    s->room = room;
    return 0;
}

static int grow_pages(struct state *s, int want)
{
    size_t room = (size_t)want + (size_t)want / 2;
    uint32_t *starts;

    if (room * sizeof *starts > NORMALISE_MAX_BYTES)
        return -EFBIG;
    starts = talloc_realloc(s->ctx, s->out->page_starts, uint32_t, (unsigned)room);
    if (starts == NULL)
        return -ENOMEM;
    s->out->page_starts = starts;
    s->pages_room = (int)room;
    return 0;
}

/* The pages whose breaks wait begin at the end of the output so far. */
static int begin_pages(struct state *s)
{
    struct normalised *out = s->out;
    int want = out->n_pages + s->pages_due, rc = 0;

    if (want > s->pages_room)
        rc = grow_pages(s, want);
    while (rc == 0 && out->n_pages < want)
        out->page_starts[out->n_pages++] = (uint32_t)out->len;
    s->pages_due = 0;
    return rc;
}

static void end_blank_line(struct state *s)
{
    struct normalised *out = s->out;

    if (out->len > 0 && !s->md.after_blank)
        out->text[out->len++] = '\n';
    s->md.after_blank = true;
    s->in_text = false;
    s->title = NO_TITLE;
}

/* Front matter stands between a first line "---" and the next: no title is underlined there. */
static void watch_front_matter(struct state *s, const char *line, size_t n)
{
    bool fence = n == 3 && (memcmp(line, "---", 3) == 0 || memcmp(line, "...", 3) == 0);

    if (s->front == FRONT_UNKNOWN)
        s->front = fence && line[0] == '-' ? FRONT_MATTER : FRONT_OVER;
    else if (s->front == FRONT_MATTER && fence)
        s->front = FRONT_OVER;
}

/* The level of the heading whose underline this line is, or 0. */
static size_t underlines(const struct state *s, const char *line, size_t n)
{
    size_t from = 0, i;

    if (s->title == NO_TITLE || s->front == FRONT_MATTER)
        return 0;
    while (from < n && from < 3 && line[from] == ' ')
        from++;
    if (n - from < 3 || (line[from] != '=' && line[from] != '-'))
        return 0;
    for (i = from; i < n && line[i] == line[from]; i++)
        ;
    return i < n ? 0 : line[from] == '=' ? 1 : 2;
}

/* "Title" over a line of = or - becomes "# Title" or "## Title". */
static void make_heading(struct state *s, size_t level)
{
    char *title = s->out->text + s->title;

    memmove(title + level + 1, title, s->out->len - s->title);
    memset(title, '#', level);
    title[level] = ' ';
    s->out->len += level + 1;
    s->in_text = false;
    s->title = NO_TITLE;
}

static size_t rewrite_markdown(struct state *s, char *line, size_t n)
{
    bool went_on = s->in_text;
    enum md_kind kind;

    n = normalise_markdown_line(&s->md, line, n, &kind);
    watch_front_matter(s, line, n);
    s->in_text = kind == MD_TEXT && !s->md.in_list && !md_is_rule(line, n);
    s->title = s->in_text && !went_on ? s->out->len : NO_TITLE;
    return n;
}

static int end_text_line(struct state *s, size_t n)
{
    struct normalised *out = s->out;
    char *line = out->text + out->len;
    size_t level = underlines(s, line, n);
    int rc;

    if (level > 0) {
        make_heading(s, level);
        return 0;
    }
    rc = s->pages_due > 0 ? begin_pages(s) : 0;
    if (s->kind == NORMALISE_MARKDOWN)
        n = rewrite_markdown(s, line, n);
    else
        n = normalise_plain_line(line, n);
    s->md.after_blank = false;
    line[n] = '\n';
    out->len += n + 1;
    return rc;
}

/* The next line of the input, with its end. */
static int take_line(struct state *s, const char *in, size_t n, size_t *at)
{
    struct char_writer *w = &s->line;
    enum line_end end;
    size_t len;
    int rc = 0;

    normalise_chars_begin(w, s->out->text + s->out->len, s->room - s->out->len - LINE_SLACK);
    while ((end = normalise_chars(w, in, n, at)) == LINE_END_ROOM) {
        rc = grow_text(s, s->room + NORMALISE_CHAR_BYTES);
        if (rc != 0)
            return rc;
        w->to = s->out->text + s->out->len;
        w->room = s->room - s->out->len - LINE_SLACK;
    }
    for (len = w->len; len > 0 && md_is_blank_char(w->to[len - 1]); len--)
        ;
    if (len > 0)
        rc = end_text_line(s, len);
    else if (end == LINE_END_LINE)
        end_blank_line(s);
    if (end == LINE_END_PAGE) {
        if (s->pages_due >= INT_MAX / 4 - s->out->n_pages)
            return -EFBIG;
        s->pages_due++;
    }
    return rc;
}

static int take_all(struct state *s, const char *in, size_t n)
{
    struct normalised *out = s->out;
    size_t at = 0;
    int rc;

    out->page_starts[out->n_pages++] = 0;
    while (at < n) {
        if (s->room < out->len + LINE_SLACK + NORMALISE_CHAR_BYTES) {
            rc = grow_text(s, out->len + LINE_SLACK + NORMALISE_CHAR_BYTES);
            if (rc != 0)
                return rc;
        }
        rc = take_line(s, in, n, &at);
        if (rc != 0)
            return rc;
    }
    if (out->len > 0 && s->md.after_blank)
        out->len--;
    if (s->pages_due > 0) {
        s->pages_due--; /* the last break ended a page and nothing came after it */
        rc = begin_pages(s);
        if (rc != 0)
            return rc;
    }
    out->text[out->len] = '\0';
    return 0;
}

int normalise(const void *talloc_ctx, enum normalise_kind kind, const char *in, size_t n, struct normalised *out)
{
    struct state s = {.kind = kind, .ctx = talloc_ctx, .out = out, .title = NO_TITLE};
    size_t expected = n < NORMALISE_MAX_BYTES / 2 ? n + n / 16 : NORMALISE_MAX_BYTES / 2;
    char *tight;
    int rc;

    *out = (struct normalised){0};
    md_begin(&s.md, kind == NORMALISE_PLAIN);
    rc = grow_text(&s, expected / 3 * 2 + LINE_SLACK + NORMALISE_CHAR_BYTES);
    if (rc == 0)
        rc = grow_pages(&s, 1);
    if (rc == 0)
        rc = take_all(&s, in, n);
    if (rc != 0) {
        talloc_free(out->text);
        talloc_free(out->page_starts);
        *out = (struct normalised){0};
        return rc;
    }
    tight = s.room - out->len > s.room / 4 ? talloc_realloc_size(talloc_ctx, out->text, out->len + 1) : NULL;
    if (tight != NULL)
        out->text = tight;
    out->repaired = s.line.repaired;
    out->removed = s.line.removed;
    return 0;
}
