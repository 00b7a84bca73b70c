/*
 * mdline.c - see mdline.h
 */
#include "text/mdline.h"

#define CODE_COLUMNS 4

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static size_t skip_blanks(const char *s, size_t n, size_t i)
{
    while (i < n && md_is_blank_char(s[i]))
        i++;
    return i;
}

static size_t run_of(const char *s, size_t n, size_t i, char c)
{
    size_t from = i;

    while (i < n && s[i] == c)
        i++;
    return i - from;
}

/* Bytes of the indentation; *columns as tabs of four make them. */
static size_t indentation(const char *s, size_t n, size_t *columns)
{
    size_t i;

    *columns = 0;
    for (i = 0; i < n && md_is_blank_char(s[i]); i++)
        *columns = s[i] == '\t' ? (*columns / CODE_COLUMNS + 1) * CODE_COLUMNS : *columns + 1;
    return i;
}

bool md_is_rule(const char *s, size_t n)
{
    size_t i = skip_blanks(s, n, 0), marks = 0;
    char mark = i < n ? s[i] : 0;

    if (mark != '*' && mark != '-' && mark != '_')
        return false;
    for (; i < n; i++) {
        if (s[i] == mark)
            marks++;
        else if (!md_is_blank_char(s[i]))
            return false;
    }
    return marks >= 3;
}

bool md_is_delimiter_row(const char *s, size_t n)
{
    bool bar = false, dash = false;
    size_t i;

    for (i = 0; i < n; i++) {
        if (s[i] == '|')
            bar = true;
        else if (s[i] == '-')
            dash = true;
        else if (s[i] != ':' && !md_is_blank_char(s[i]))
            return false;
    }
    return bar && dash;
}

/* Bytes of the list marker at s when blank and content follow it, else 0. */
static size_t item_marker(const char *s, size_t n)
{
    size_t m = 0;

    if (n == 0)
        return 0;
    if (s[0] == '-' || s[0] == '*' || s[0] == '+') {
        m = 1;
    } else {
        while (m < n && m < 9 && is_digit(s[m]))
            m++;
        if (m == 0 || m >= n || (s[m] != '.' && s[m] != ')'))
            return 0;
        m++;
    }
    if (m >= n || !md_is_blank_char(s[m]) || skip_blanks(s, n, m) == n)
        return 0;
    return m;
}

/* Number of '#' when s begins a heading, else 0. */
static size_t heading_level(const char *s, size_t n)
{
    size_t level = run_of(s, n, 0, '#');

    if (level == 0 || level > 6)
        return 0;
    if (level == n || md_is_blank_char(s[level]))
        return level;
    return level >= 2 && begins_word(s[level]) ? level : 0;
}

static bool fence_opens(struct md_state *st, const char *s, size_t n)
{
    size_t len, i;

    if (n < 3 || (s[0] != '`' && s[0] != '~'))
        return false;
    len = run_of(s, n, 0, s[0]);
    if (len < 3)
        return false;
    if (s[0] == '`')
        for (i = len; i < n; i++)
            if (s[i] == '`')
                return false;
    st->fence_char = s[0];
    st->fence_len = len;
    return true;
}

static bool fence_closes(const struct md_state *st, const char *s, size_t n, size_t columns)
{
    size_t len;

    if (n == 0 || s[0] != st->fence_char || (!st->in_list && columns >= CODE_COLUMNS))
        return false;
    len = run_of(s, n, 0, st->fence_char);
    return len >= st->fence_len && skip_blanks(s, n, len) == n;
}

/* A line at the margin ends a list, unless it goes on lazily with the paragraph before it. */
static void leave_list(struct md_state *st, enum md_kind kind, size_t indent)
{
    if (indent == 0 && (kind != MD_TEXT || st->after_blank))
        st->in_list = false;
}

static enum md_kind classify_open(struct md_state *st, const char *s, size_t n, struct md_line *out)
{
    const char *p = s + out->indent;
    size_t left = n - out->indent, content;

    out->marker = item_marker(p, left);
    if (out->marker > 0) {
        st->in_list = true;
        content = skip_blanks(p, left, out->marker);
        (void)fence_opens(st, p + content, left - content);
        return MD_ITEM;
    }
    if (*p == '#' && (out->indent == 0 || !st->in_list)) {
        out->marker = heading_level(p, left);
        if (out->marker > 0)
            return MD_HEADING;
    }
    if (fence_opens(st, p, left))
        return MD_FENCE_OPEN;
    return *p == '|' ? MD_TABLE : MD_TEXT;
}

void md_begin(struct md_state *st, bool plain)
{
    *st = (struct md_state){.plain = plain, .after_blank = true};
}

void md_classify(struct md_state *st, const char *s, size_t n, struct md_line *out)
{
    size_t columns;

    *out = (struct md_line){.indent = indentation(s, n, &columns)};
    if (out->indent == n) {
        out->kind = MD_BLANK;
        st->after_blank = true;
        return;
    }
    if (st->plain) {
        out->kind = MD_TEXT;
    } else if (st->fence_char != 0) {
        out->kind = MD_FENCE_BODY;
        if (fence_closes(st, s + out->indent, n - out->indent, columns)) {
            out->kind = MD_FENCE_CLOSE;
            st->fence_char = 0;
        }
    } else if (!st->in_list && columns >= CODE_COLUMNS) {
        out->kind = MD_CODE;
    } else {
        out->kind = classify_open(st, s, n, out);
        if (out->kind != MD_ITEM)
            leave_list(st, out->kind, out->indent);
    }
    st->after_blank = false;
}
