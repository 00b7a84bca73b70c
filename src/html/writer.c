/*
 * writer.c - see writer.h
 *
 * Text that would be read as Markdown's own marks at the beginning of a line (#, -, >, fences, 1.) is escaped there and
 * only there: the chunker must not see headings that the page did not have.
 *
 * Depends on nothing.
 */
#include "html/writer.h"

#include <stdio.h>

#define WRITE_AT_BYTES 65536
#define NO_CODE        SIZE_MAX

void md_start(struct md *m, html_write_fn write, void *arg)
{
    *m = (struct md){.write = write, .arg = arg, .code_at = NO_CODE, .table.layout = true};
}

void md_free(struct md *m)
{
    buffer_free(&m->out);
    buffer_free(&m->line);
    buffer_free(&m->row);
    buffer_free(&m->title);
}

bool md_failed(const struct md *m)
{
    return m->not_taken || m->out.failed || m->line.failed || m->row.failed || m->title.failed;
}

static void write_out(struct md *m, size_t at_least)
{
    if (m->out.n < at_least || m->out.n == 0 || m->not_taken)
        return;
    m->not_taken = m->write(m->arg, m->out.p, m->out.n) != 0;
    m->out.n = 0;
}

static void put_spaces(struct buffer *b, size_t n)
{
    while (n-- > 0)
        buffer_char(b, ' ');
}

/* What stands before a line: quote marks, the markers of items that begin here, indentation of those that began. */
static void put_prefix(struct md *m)
{
    for (int i = 0; i < m->n_containers; i++) {
        struct md_container *c = &m->containers[i];
        if (c->quote)
            buffer_text(&m->out, "> ");
        else if (c->marker_pending)
            buffer_text(&m->out, c->marker);
        else
            put_spaces(&m->out, c->width);
        c->marker_pending = false;
    }
}

/* The line between two blocks; within a quote it keeps the quote going. */
static void put_blank_line(struct md *m)
{
    for (int i = 0; i < m->quotes; i++)
        buffer_text(&m->out, i + 1 < m->quotes ? "> " : ">");
    buffer_char(&m->out, '\n');
}

static bool begins_item(const struct md *m)
{
    for (int i = 0; i < m->n_containers; i++)
        if (m->containers[i].marker_pending)
            return true;
    return false;
}

static bool within_item(const struct md *m)
{
    for (int i = 0; i < m->n_containers; i++)
        if (!m->containers[i].quote)
            return true;
    return false;
}

static int leading_quotes(const struct md *m)
{
    int n = 0;

    while (n < m->n_containers && m->containers[n].quote)
        n++;
    return n;
}

/* Items follow each other without a blank line; everything else gets one. */
static void begin_block(struct md *m)
{
    bool item = begins_item(m);

    if (m->wrote && !(item && m->in_list))
        put_blank_line(m);
    m->wrote = true;
    m->in_list = within_item(m);
    m->quotes = leading_quotes(m);
}

static void put_heading(struct md *m, int level, const char *p, size_t n)
{
    begin_block(m);
    put_prefix(m);
    for (int i = 0; i < level; i++)
        buffer_char(&m->out, '#');
    buffer_char(&m->out, ' ');
    buffer_add(&m->out, p, n);
    buffer_char(&m->out, '\n');
}

/* The title is the first heading, unless the first block is that heading. */
static void settle_title(struct md *m)
{
    int kept = m->n_containers;
    bool same =
        m->heading > 0 && m->line.n == m->title.n && m->line.n > 0 && memcmp(m->line.p, m->title.p, m->line.n) == 0;

    if (m->title.n > 0 && !same) {
        m->n_containers = 0;
        put_heading(m, 1, m->title.p, m->title.n);
        m->n_containers = kept;
    }
    m->title.n = 0;
}

static bool all_of(const char *p, size_t n, char c)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            return false;
    return n > 0;
}

/* Where a backslash keeps the line from being Markdown's structure; n if nowhere. */
static size_t escape_at(const char *p, size_t n)
{
    size_t digits = 0, marks = 0;

    if (n == 0)
        return n;
    if (p[0] == '>' || all_of(p, n, '-') || all_of(p, n, '='))
        return 0;
    if ((p[0] == '-' || p[0] == '+' || p[0] == '*') && (n == 1 || p[1] == ' '))
        return 0;
    while (marks < n && p[marks] == '#')
        marks++;
    if (marks > 0 && (marks == n || p[marks] == ' '))
        return 0;
    if (n >= 3 && (memcmp(p, "```", 3) == 0 || memcmp(p, "~~~", 3) == 0))
        return 0;
    while (digits < n && digits < 10 && p[digits] >= '0' && p[digits] <= '9')
        digits++;
    if (digits > 0 && digits < n && (p[digits] == '.' || p[digits] == ')') && (digits + 1 == n || p[digits + 1] == ' '))
        return digits;
    return n;
}

static void put_line(struct md *m, const char *p, size_t n)
{
    size_t at = escape_at(p, n);

    put_prefix(m);
    buffer_add(&m->out, p, at);
    if (at < n)
        buffer_char(&m->out, '\\');
    buffer_add(&m->out, p + at, n - at);
    buffer_char(&m->out, '\n');
}

static void put_paragraph(struct md *m)
{
    const char *p = m->line.p, *end = m->line.p + m->line.n;

    begin_block(m);
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl == NULL ? end : nl;
        const char *next = nl == NULL ? end : nl + 1;
        if (stop > p)
            put_line(m, p, (size_t)(stop - p));
        p = next;
    }
}

static bool collecting_cell(const struct md *m)
{
    return !m->table.layout;
}

static void drop_line(struct md *m)
{
    m->line.n = 0;
    m->space = false;
    m->code_at = NO_CODE;
}

static void trim_line(struct md *m)
{
    while (m->line.n > 0 && (m->line.p[m->line.n - 1] == ' ' || m->line.p[m->line.n - 1] == '\n'))
        m->line.n--;
}

void md_end_block(struct md *m)
{
    if (m->pre > 0)
        return;
    if (collecting_cell(m)) {
        m->space = m->line.n > 0;
        return;
    }
    trim_line(m);
    if (m->line.n > 0) {
        settle_title(m);
        if (m->heading > 0 && m->line.n > 0)
            put_heading(m, m->heading, m->line.p, m->line.n);
        else
            put_paragraph(m);
        write_out(m, WRITE_AT_BYTES);
    }
    drop_line(m);
}

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

void md_text(struct md *m, const char *p, size_t n)
{
    size_t i = 0;

    if (m->pre > 0 && !collecting_cell(m)) {
        buffer_add(&m->line, p, n);
        return;
    }
    while (i < n) {
        size_t from = i;
        while (i < n && blank(p[i]))
            i++;
        if (i > from && m->line.n > 0 && m->line.p[m->line.n - 1] != '\n')
            m->space = true;
        from = i;
        while (i < n && !blank(p[i]))
            i++;
        if (i == from)
            break;
        if (m->space)
            buffer_char(&m->line, ' ');
        m->space = false;
        buffer_add(&m->line, p + from, i - from);
    }
}

void md_line_break(struct md *m)
{
    if (m->heading > 0 || (collecting_cell(m) && m->line.n > 0)) {
        m->space = m->line.n > 0;
    } else if (m->pre > 0 || m->line.n > 0) {
        m->space = false;
        buffer_char(&m->line, '\n');
    }
}

void md_set_heading(struct md *m, int level)
{
    m->heading = level;
}

void md_take_title(struct md *m)
{
    trim_line(m);
    if (m->title.n == 0 && !m->wrote) {
        for (size_t i = 0; i < m->line.n; i++)
            buffer_char(&m->title, m->line.p[i] == '\n' ? ' ' : m->line.p[i]);
        drop_line(m);
        return;
    }
    md_end_block(m); /* a second title, or one in the middle of the page: just text */
}

static size_t longest_run(const char *p, size_t n, char c)
{
    size_t longest = 0, run = 0;

    for (size_t i = 0; i < n; i++) {
        run = p[i] == c ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

void md_open_code(struct md *m)
{
    if (m->pre > 0 || m->code_at != NO_CODE)
        return;
    if (m->space)
        buffer_char(&m->line, ' ');
    m->space = false;
    m->code_at = m->line.n;
}

void md_close_code(struct md *m)
{
    size_t at = m->code_at, len, run, pad;
    char *p;

    m->code_at = NO_CODE;
    if (m->pre > 0 || at == NO_CODE || at >= m->line.n)
        return;
    len = m->line.n - at;
    run = longest_run(m->line.p + at, len, '`') + 1;
    pad = run > 1 ? 1 : 0; /* a space between the mark and a backtick of the text */
    if (!buffer_reserve(&m->line, 2 * (run + pad)))
        return;
    p = m->line.p + at;
    memmove(p + run + pad, p, len);
    memset(p, '`', run);
    memset(p + run, ' ', pad);
    memset(p + run + pad + len, ' ', pad);
    memset(p + run + 2 * pad + len, '`', run);
    m->line.n += 2 * (run + pad);
}

void md_open_pre(struct md *m)
{
    if (m->pre == 0)
        md_end_block(m);
    m->pre++;
}

static void put_fence(struct md *m, size_t width, const char *language)
{
    put_prefix(m);
    for (size_t i = 0; i < width; i++)
        buffer_char(&m->out, '`');
    buffer_text(&m->out, language);
    buffer_char(&m->out, '\n');
}

static void put_code_block(struct md *m)
{
    const char *p = m->line.p, *end = m->line.p + m->line.n;
    size_t width = longest_run(p, m->line.n, '`') + 1;

    if (*p == '\n') /* HTML drops the first newline in pre */
        p++;
    width = width < 3 ? 3 : width;
    begin_block(m);
    put_fence(m, width, m->language);
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl == NULL ? end : nl;
        put_prefix(m);
        buffer_add(&m->out, p, (size_t)(stop - p));
        buffer_char(&m->out, '\n');
        p = nl == NULL ? end : nl + 1;
    }
    put_fence(m, width, "");
}

void md_close_pre(struct md *m)
{
    if (m->pre == 0 || --m->pre > 0)
        return;
    if (collecting_cell(m)) {
        m->space = m->line.n > 0;
        return;
    }
    while (m->line.n > 0 && blank(m->line.p[m->line.n - 1]))
        m->line.n--;
    if (m->line.n > 0) {
        int heading = m->heading;
        m->heading = 0;
        settle_title(m);
        put_code_block(m);
        m->heading = heading;
        write_out(m, WRITE_AT_BYTES);
    }
    m->language[0] = '\0';
    drop_line(m);
}

static struct md_container *open_container(struct md *m)
{
    md_end_block(m);
    if (m->n_containers == MD_CONTAINERS_MAX || m->pre > 0)
        return NULL;
    m->containers[m->n_containers] = (struct md_container){0};
    return &m->containers[m->n_containers++];
}

bool md_open_quote(struct md *m)
{
    struct md_container *c = open_container(m);

    if (c != NULL)
        c->quote = 1;
    return c != NULL;
}

bool md_open_item(struct md *m, long number)
{
    struct md_container *c = open_container(m);

    if (c == NULL)
        return false;
    if (number > 0 && number < 1000000000)
        snprintf(c->marker, sizeof c->marker, "%ld. ", number);
    else
        snprintf(c->marker, sizeof c->marker, "- ");
    c->width = (uint8_t)strlen(c->marker);
    c->marker_pending = true;
    return true;
}

void md_close_container(struct md *m)
{
    md_end_block(m);
    if (m->n_containers > 0)
        m->n_containers--;
    if (m->quotes > m->n_containers)
        m->quotes = m->n_containers;
}

void md_close_list(struct md *m)
{
    md_end_block(m);
    if (m->n_containers == 0)
        m->in_list = false;
}

/* What a row had collected so far, as paragraphs. */
void md_table_is_layout(struct md *m)
{
    struct buffer line = m->line;

    if (m->table.layout)
        return;
    m->table.layout = true;
    m->line = m->row;
    m->row = (struct buffer){0};
    md_end_block(m);
    buffer_free(&m->line);
    m->line = line;
    md_end_block(m);
}

/* Cells are kept apart by an unescaped bar; a bar in the text is escaped. */
void md_end_cell(struct md *m)
{
    if (m->table.layout) {
        md_end_block(m);
        return;
    }
    trim_line(m);
    if (m->table.cells++ > 0)
        buffer_text(&m->row, " | ");
    for (size_t i = 0; i < m->line.n; i++) {
        if (m->line.p[i] == '|')
            buffer_char(&m->row, '\\');
        buffer_char(&m->row, m->line.p[i] == '\n' ? ' ' : m->line.p[i]);
    }
    drop_line(m);
}

static void put_row(struct md *m)
{
    put_prefix(m);
    buffer_text(&m->out, "| ");
    buffer_add(&m->out, m->row.p, m->row.n);
    for (int i = m->table.cells; i < m->table.columns; i++)
        buffer_text(&m->out, " | ");
    buffer_text(&m->out, " |\n");
}

static bool row_is_empty(const struct md *m)
{
    for (size_t i = 0; i < m->row.n; i++)
        if (m->row.p[i] != ' ' && m->row.p[i] != '|')
            return false;
    return true;
}

void md_end_row(struct md *m)
{
    if (m->table.layout) {
        md_end_block(m);
        return;
    }
    if (m->line.n > 0) /* text between cells */
        md_end_cell(m);
    if (!row_is_empty(m)) {
        settle_title(m);
        if (m->table.rows++ == 0) {
            begin_block(m);
            m->table.columns = m->table.cells;
            put_row(m);
            put_prefix(m);
            for (int i = 0; i < m->table.columns; i++)
                buffer_text(&m->out, i == 0 ? "| ---" : " | ---");
            buffer_text(&m->out, " |\n");
        } else {
            put_row(m);
        }
        write_out(m, WRITE_AT_BYTES);
    }
    m->row.n = 0;
    m->table.cells = 0;
}

void md_finish(struct md *m)
{
    md_end_block(m);
    settle_title(m);
    write_out(m, 0);
}
