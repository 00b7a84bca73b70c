/* text.c - see text.h */
#include "ctl/text.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#define ELLIPSIS   "\xe2\x80\xa6"
#define GAP        2 /* columns between columns */
#define SHRINK_MIN 8
#define LEFT_OUT   (-1)

struct range {
    uint32_t first, last;
};

/* Combining marks and other characters without a width of their own, as far as names and prose hold them. */
static const struct range zero_width[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},   {0x064b, 0x065f}, {0x06d6, 0x06dc},
    {0x0900, 0x0902}, {0x093c, 0x093c}, {0x0941, 0x0948}, {0x0e31, 0x0e31},   {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e},   {0x2060, 0x2064}, {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
};
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
    {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

static bool in_ranges(uint32_t cp, const struct range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i].first && cp <= r[i].last)
            return true;
    return false;
}

/* Bytes of the character at s and its code point; 0 bytes if it is broken. */
static size_t decode(const unsigned char *s, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;

    if (n == 0)
        return 0;
    *cp = n == 1 ? s[0] : (uint32_t)(s[0] & (0xff >> (n + 1)));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *cp = *cp << 6 | (s[i] & 0x3fu);
    }
    return n > 1 && *cp < least[n] ? 0 : n;
}

size_t text_next(const char *s, int *columns, bool *bad)
{
    uint32_t cp = 0;
    size_t n;

    *columns = 1;
    *bad = false;
    if (*s == '\0')
        return 0;
    n = decode((const unsigned char *)s, &cp);
    if (n == 0 || cp < ' ' || (cp >= 0x7f && cp < 0xa0)) {
        *bad = true;
        return n == 0 ? 1 : n;
    }
    /* direction overrides can make text read as something else */
    if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
        *bad = true;
    else if (in_ranges(cp, zero_width, sizeof zero_width / sizeof zero_width[0]))
        *columns = 0;
    else if (in_ranges(cp, wide, sizeof wide / sizeof wide[0]))
        *columns = 2;
    return n;
}

int text_width(const char *s)
{
    int width = 0;
    int columns;
    bool bad;
    size_t n;

    while ((n = text_next(s, &columns, &bad)) > 0) {
        width += columns;
        s += n;
    }
    return width;
}

int text_print(FILE *out, const char *s, int width)
{
    bool cut = width > 0 && text_width(s) > width;
    int room = cut ? width - 1 : width;
    int used = 0;
    int columns;
    bool bad;
    size_t n;

    while ((n = text_next(s, &columns, &bad)) > 0) {
        if (width > 0 && used + columns > room)
            break;
        if (bad)
            fputc('?', out);
        else
            fwrite(s, 1, n, out);
        used += columns;
        s += n;
    }
    if (cut) {
        fputs(ELLIPSIS, out);
        used++;
    }
    return used;
}

static void print_word(FILE *out, const char *word, size_t n)
{
    const char *end = word + n;
    int columns;
    bool bad;

    while (word < end) {
        size_t k = text_next(word, &columns, &bad);
        if (bad)
            fputc('?', out);
        else
            fwrite(word, 1, k, out);
        word += k;
    }
}

static int word_width(const char *word, size_t n)
{
    const char *end = word + n;
    int width = 0;
    int columns;
    bool bad;

    while (word < end) {
        word += text_next(word, &columns, &bad);
        width += columns;
    }
    return width;
}

void text_wrap(FILE *out, const char *s, int indent, int width, int max_lines)
{
    int used = 0; /* columns of this line beyond the indent */
    int lines = 1;

    fprintf(out, "%*s", indent, "");
    while (*(s += strspn(s, " \t\r\n\f\v")) != '\0') {
        size_t n = strcspn(s, " \t\r\n\f\v");
        int w = word_width(s, n);

        if (used > 0 && width > 0 && indent + used + 1 + w > width) {
            if (lines++ == max_lines) {
                fputs(" " ELLIPSIS, out);
                break;
            }
            fprintf(out, "\n%*s", indent, "");
            used = 0;
        }
        if (used > 0)
            fputc(' ', out);
        print_word(out, s, n);
        used += w + (used > 0);
        s += n;
    }
    fputc('\n', out);
}

/* ---- tables ---- */

struct table {
    const struct table_column *columns;
    int n_columns, n_cells;
    char **cells;
};

struct table *table_new(const void *talloc_ctx, const struct table_column *columns, int n)
{
    struct table *t = talloc_zero(talloc_ctx, struct table);

    t->columns = columns;
    t->n_columns = n;
    return t;
}

void table_cell(struct table *t, const char *text)
{
    if ((t->n_cells & (t->n_cells - 1)) == 0)
        t->cells = talloc_realloc(t, t->cells, char *, t->n_cells == 0 ? 1 : (unsigned)t->n_cells * 2);
    t->cells[t->n_cells++] = talloc_strdup(t, text != NULL ? text : "");
}

void table_cell_number(struct table *t, int64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, v);
    table_cell(t, text);
}

int table_rows(const struct table *t)
{
    return t->n_cells / t->n_columns;
}

static bool is_empty(const struct table *t, int column)
{
    for (int i = column; i < t->n_cells; i += t->n_columns)
        if (t->cells[i][0] != '\0')
            return false;
    return true;
}

/* Leaves out columns that hold nothing, then cuts the widest shrinking column by one, until it fits or none can give
 * more. A column that is left out is LEFT_OUT wide. */
static void fit(const struct table *t, int *widths, int width)
{
    int total = GAP * (t->n_columns - 1);

    for (int i = 0; i < t->n_columns; i++)
        total += widths[i];
    for (int i = t->n_columns - 1; i > 0 && width > 0 && total > width && t->n_cells > 0; i--) {
        if (!is_empty(t, i))
            continue;
        total -= widths[i] + GAP;
        widths[i] = LEFT_OUT;
    }
    while (width > 0 && total > width) {
        int widest = -1;
        for (int i = 0; i < t->n_columns; i++)
            if (t->columns[i].shrinks && widths[i] > SHRINK_MIN && (widest < 0 || widths[i] > widths[widest]))
                widest = i;
        if (widest < 0)
            return;
        widths[widest]--;
        total--;
    }
}

/* owed: spaces before the next text of the line. At its end they would only make it longer than the terminal. */
static void print_cell(FILE *out, const struct table_column *c, const char *text, int width, int *owed)
{
    int w = text_width(text);
    int pad = w < width ? width - w : 0;

    if (c->align == TABLE_RIGHT)
        *owed += pad;
    if (text[0] != '\0') {
        fprintf(out, "%*s", *owed, "");
        *owed = 0;
    }
    text_print(out, text, width);
    *owed += GAP + (c->align == TABLE_RIGHT ? 0 : pad);
}

/* `cells` of all columns, or NULL: the titles. */
static void print_row(const struct table *t, FILE *out, char *const *cells, const int *widths)
{
    int owed = 0;

    for (int i = 0; i < t->n_columns; i++)
        if (widths[i] != LEFT_OUT)
            print_cell(out, &t->columns[i], cells != NULL ? cells[i] : t->columns[i].title, widths[i], &owed);
    fputc('\n', out);
}

void table_print(const struct table *t, FILE *out, int width)
{
    int widths[TABLE_MAX_COLUMNS] = {0};

    for (int i = 0; i < t->n_columns; i++)
        widths[i] = text_width(t->columns[i].title);
    for (int i = 0; i < t->n_cells; i++) {
        int w = text_width(t->cells[i]);
        if (w > widths[i % t->n_columns])
            widths[i % t->n_columns] = w;
    }
    fit(t, widths, width);
    print_row(t, out, NULL, widths);
    for (int i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
        print_row(t, out, t->cells + i, widths);
}
