/*
 * normalise_line.c - the form of a line
 *
 * Works in place: only a heading whose space was forgotten grows, by one byte. What a line is does not change by
 * being rewritten (mdline.h would classify the result the same), which makes normalise idempotent.
 */
#include <string.h>

#include "text/normalise.h"
#include "text/normalise_line.h"

/* Longer runs of backticks begin no inline code: each length is searched in vain once a line at most. */
#define MAX_BACKTICKS 8

struct rewrite {
    char *s;
    size_t n;
    size_t from;       /* read up to here */
    size_t to;         /* written up to here, to <= from */
    unsigned no_close; /* bit k: no closing run of k backticks in what is left of the line */
};

static void copy(struct rewrite *r, size_t count)
{
    if (r->to != r->from)
        memmove(r->s + r->to, r->s + r->from, count);
    r->from += count;
    r->to += count;
}

static size_t blanks_at(const struct rewrite *r, size_t i)
{
    size_t from = i;

    while (i < r->n && md_is_blank_char(r->s[i]))
        i++;
    return i - from;
}

/* Up to `end`, no run of blanks longer than the limit. */
static void copy_code(struct rewrite *r, size_t end)
{
    size_t run, i;

    while (r->from < end) {
        for (i = r->from; i < end && !md_is_blank_char(r->s[i]); i++)
            ;
        copy(r, i - r->from);
        run = blanks_at(r, i);
        if (run > NORMALISE_MAX_BLANKS) {
            copy(r, NORMALISE_MAX_BLANKS);
            r->from += run - NORMALISE_MAX_BLANKS;
        } else {
            copy(r, run);
        }
    }
}

static size_t backticks_at(const struct rewrite *r, size_t i)
{
    size_t from = i;

    while (i < r->n && r->s[i] == '`')
        i++;
    return i - from;
}

/* End of the inline code that the run of `len` backticks at from opens, or 0. */
static size_t code_end(struct rewrite *r, size_t len)
{
    size_t i = r->from + len, run;
    const char *p;

    if (len > MAX_BACKTICKS || (r->no_close & 1u << len) != 0)
        return 0;
    while ((p = memchr(r->s + i, '`', r->n - i)) != NULL) {
        i = (size_t)(p - r->s);
        run = backticks_at(r, i);
        i += run;
        if (run == len)
            return i;
    }
    r->no_close |= 1u << len;
    return 0;
}

static void copy_backticks(struct rewrite *r)
{
    size_t len = backticks_at(r, r->from), end = code_end(r, len);

    if (end > 0)
        copy_code(r, end);
    else
        copy(r, len);
}

/* The rest of the line, runs of blanks outside inline code as one space. */
static void copy_collapsed(struct rewrite *r)
{
    size_t i;
    char c;

    while (r->from < r->n) {
        for (i = r->from; i < r->n; i++) {
            c = r->s[i];
            if (c == '`' || c == '\t' || c == '\\' || (c == ' ' && i + 1 < r->n && md_is_blank_char(r->s[i + 1])))
                break;
        }
        copy(r, i - r->from);
        if (i == r->n)
            return;
        if (r->s[i] == '`') {
            copy_backticks(r);
        } else if (r->s[i] == '\\') {
            copy(r, i + 1 < r->n && (r->s[i + 1] == '`' || r->s[i + 1] == '\\') ? 2 : 1);
        } else {
            r->from += blanks_at(r, i);
            r->s[r->to++] = ' ';
        }
    }
}

static void rewrite_heading(struct rewrite *r, const struct md_line *line)
{
    r->from = line->indent;
    copy(r, line->marker);
    if (r->from == r->n)
        return;
    if (md_is_blank_char(r->s[r->from])) {
        copy_collapsed(r);
        return;
    }
    memmove(r->s + r->from + 1, r->s + r->from, r->n - r->from);
    r->n++;
    r->s[r->from] = ' ';
    copy_collapsed(r);
}

static void rewrite_item(struct rewrite *r, const struct md_line *line)
{
    bool bullet = line->marker == 1, rule = bullet && md_is_rule(r->s, r->n);

    copy_code(r, line->indent);
    if (bullet && !rule) {
        r->s[r->to++] = '-';
        r->from++;
    }
    copy_collapsed(r);
}

size_t normalise_markdown_line(struct md_state *st, char *s, size_t n, enum md_kind *kind)
{
    struct rewrite r = {.s = s, .n = n};
    struct md_line line;

    md_classify(st, s, n, &line);
    *kind = line.kind;
    switch (line.kind) {
    case MD_BLANK:
        break;
    case MD_CODE:
    case MD_FENCE_OPEN:
    case MD_FENCE_BODY:
    case MD_FENCE_CLOSE:
        copy_code(&r, n);
        break;
    case MD_HEADING:
        rewrite_heading(&r, &line);
        break;
    case MD_ITEM:
        rewrite_item(&r, &line);
        break;
    case MD_TEXT:
    case MD_TABLE:
        if (st->in_list)
            copy_code(&r, line.indent);
        else
            r.from = line.indent;
        copy_collapsed(&r);
        break;
    }
    return r.to;
}

size_t normalise_plain_line(char *s, size_t n)
{
    size_t from = 0, to = 0;

    while (from < n && md_is_blank_char(s[from]))
        from++;
    while (from < n) {
        if (md_is_blank_char(s[from])) {
            while (md_is_blank_char(s[from])) /* the last character is none */
                from++;
            s[to++] = ' ';
        }
        s[to++] = s[from++];
    }
    return to;
}
