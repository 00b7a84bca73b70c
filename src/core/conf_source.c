/*
 * conf_source.c - the file and what it includes, as one text that libconfig may read
 *
 * libconfig alone would do three things a daemon must not bear: integers beyond 32 bits wrap without a word, a file
 * that cannot be read (a directory, say) makes its scanner call exit(), and an @include is opened without any limit.
 * So docmill joins the files itself, in one pass that knows comments, strings, numbers and @include lines:
 *   - @include "x" at the start of a line is replaced by that file; a relative path starts at the including file
 *   - every integer is checked against 64 bits and written in the form that every libconfig reads as 64 bits
 *   - NUL bytes, invalid UTF-8, comments and strings without an end, numbers with a unit outside quotes are faults
 * Line breaks stay where they are, and lines[] says for each line of the text which file and line it came from.
 *
 * Bounds: CONF_MAX_TEXT_BYTES over all, CONF_MAX_INCLUDES deep. Depends on base/files.
 */
#include "core/conf_internal.h"
#include "base/files.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* A number may grow from "5" to "5L", and a file by a line break, which its @include line pays for. The text is never
 * moved: a moved text would leave secrets behind in freed memory. */
#define TEXT_ROOM (2 * CONF_MAX_TEXT_BYTES + 4096)

struct scan {
    struct conf_loader *l;
    struct conf_source *out;
    size_t len;           /* of out->text */
    size_t lines_size;    /* room in out->lines */
    size_t read_bytes;    /* of all files so far */
    struct conf_place at; /* the place being read */
    int depth;
};

static int join_file(struct scan *s, const char *file);

static int scan_fault(struct scan *s, int line, const char *text)
{
    conf_fault(s->l, s->at.file, line, NULL, "%s", text);
    return -EINVAL;
}

static void grow_lines(struct scan *s)
{
    s->lines_size = 2 * s->lines_size + 256;
    s->out->lines = talloc_realloc_size(s->l, s->out->lines, s->lines_size * sizeof s->out->lines[0]);
    if (s->out->lines == NULL)
        abort();
}

static void emit_char(struct scan *s, char c)
{
    s->out->text[s->len++] = c;
    if (c != '\n')
        return;
    if (s->out->n_lines == s->lines_size)
        grow_lines(s);
    s->at.line++;
    s->out->lines[s->out->n_lines++] = s->at;
}

/* The line being written now came from here. */
static void mark_line(struct scan *s)
{
    if (s->out->n_lines > 0)
        s->out->lines[s->out->n_lines - 1] = s->at;
}

static const char *emit_until(struct scan *s, const char *p, const char *end)
{
    while (p < end)
        emit_char(s, *p++);
    return p;
}

static const char *copy_comment(struct scan *s, const char *p)
{
    const char *end;
    int line = s->at.line;

    if (p[0] == '#' || p[1] == '/')
        return emit_until(s, p, p + strcspn(p, "\n"));
    end = strstr(p + 2, "*/");
    if (end == NULL) {
        scan_fault(s, line, "a comment begins here and does not end in this file");
        return NULL;
    }
    return emit_until(s, p, end + 2);
}

static const char *copy_string(struct scan *s, const char *p)
{
    const char *end = p + 1;
    int line = s->at.line;

    while (*end != '\0' && *end != '"')
        end += *end == '\\' && end[1] != '\0' ? 2 : 1;
    if (*end == '\0') {
        scan_fault(s, line, "a string begins here and does not end in this file");
        return NULL;
    }
    return emit_until(s, p, end + 1);
}

static const char *copy_name(struct scan *s, const char *p)
{
    const char *end = p;

    while (isalnum((unsigned char)*end) || *end == '-' || *end == '_' || *end == '*')
        end++;
    return emit_until(s, p, end);
}

static bool starts_number(const char *p)
{
    if (*p == '+' || *p == '-')
        p++;
    return isdigit((unsigned char)*p) || (*p == '.' && isdigit((unsigned char)p[1]));
}

static const char *number_fault(struct scan *s, const char *p, size_t n, const char *why)
{
    conf_fault(s->l, s->at.file, s->at.line, NULL, "found %.*s: %s", (int)(n > 40 ? 40 : n), p, why);
    return NULL;
}

/* Floats pass as they are: no key takes one, so the key that got it is named later. */
static const char *copy_number(struct scan *s, const char *p)
{
    const char *digits = p + (*p == '+' || *p == '-');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    size_t n = strspn(p, "+-.0123456789abcdefABCDEFxXLhkmstGKMTdB");
    char text[32];
    char *end;
    long long value;

    if (!hex && memchr(p, '.', n) != NULL)
        return emit_until(s, p, p + strspn(p, "+-.0123456789eE"));
    errno = 0;
    value = strtoll(p, &end, hex ? 16 : 10);
    if (errno == ERANGE)
        return number_fault(s, p, n, "this number does not fit 64 bits");
    for (int i = 0; i < 2 && *end == 'L'; i++)
        end++;
    if (isalnum((unsigned char)*end) || *end == '_')
        return number_fault(s, p, n, "a value with a unit stands in quotes, as in \"64MB\" or \"30s\"");
    snprintf(text, sizeof text, "%lldL", value);
    emit_until(s, text, text + strlen(text));
    return end;
}

/* At the start of a line. The end of an @include directive and its path in `file`, or p if there is none, or NULL. */
static const char *match_include(struct scan *s, const char *p, char *file, size_t size)
{
    const char *q = p + strspn(p, " \t");
    const char *slash = strrchr(s->at.file, '/');
    size_t n;
    int dir_len = slash != NULL ? (int)(slash - s->at.file) + 1 : 0;

    if (strncmp(q, "@include", 8) != 0)
        return p;
    q += 8;
    q += strspn(q, " \t");
    n = *q == '"' ? strcspn(q + 1, "\"\\\n") : 0;
    if (n == 0 || q[1 + n] != '"') {
        scan_fault(s, s->at.line, "found an @include without a path in quotes; allowed is @include \"file\"");
        return NULL;
    }
    if ((size_t)snprintf(file, size, "%.*s%.*s", q[1] == '/' ? 0 : dir_len, s->at.file, (int)n, q + 1) >= size) {
        scan_fault(s, s->at.line, "the path of this @include is too long");
        return NULL;
    }
    return q + n + 2;
}

static const char *copy_include(struct scan *s, const char *p)
{
    char file[PATH_MAX];
    const char *rest = match_include(s, p, file, sizeof file);
    struct conf_place here = s->at;

    if (rest == NULL || rest == p)
        return rest;
    if (s->depth >= CONF_MAX_INCLUDES) {
        scan_fault(s, s->at.line, "files include each other more than 10 deep; is there a circle?");
        return NULL;
    }
    s->depth++;
    if (join_file(s, file) != 0)
        return NULL;
    s->depth--;
    s->at = here;
    mark_line(s);
    return rest;
}

static const char *copy_token(struct scan *s, const char *p)
{
    if (*p == '#' || (p[0] == '/' && (p[1] == '/' || p[1] == '*')))
        return copy_comment(s, p);
    if (*p == '"')
        return copy_string(s, p);
    if (isalpha((unsigned char)*p) || *p == '*')
        return copy_name(s, p);
    if (starts_number(p))
        return copy_number(s, p);
    if (*p == '@') { /* libconfig must never open a file itself */
        scan_fault(s, s->at.line, "found @: allowed is @include \"file\" at the start of a line");
        return NULL;
    }
    emit_char(s, *p);
    return p + 1;
}

static int join_text(struct scan *s, const char *p)
{
    bool line_start = true;

    mark_line(s);
    while (p != NULL && *p != '\0') {
        if (line_start) {
            const char *rest = copy_include(s, p);
            line_start = false;
            if (rest != p) {
                p = rest;
                continue;
            }
        }
        line_start = *p == '\n';
        p = copy_token(s, p);
    }
    if (p == NULL)
        return -EINVAL;
    emit_char(s, '\n'); /* so that a file without a last line break does not run into what follows it */
    return 0;
}

/* Line of the byte at offset n. */
static int line_of(const char *text, size_t n)
{
    int line = 1;

    for (size_t i = 0; i < n; i++)
        line += text[i] == '\n';
    return line;
}

static int check_bytes(struct scan *s, const char *text, size_t n)
{
    size_t bad_at = strlen(text);

    if (bad_at != n)
        return scan_fault(s, line_of(text, bad_at), "found a NUL byte");
    if (!utf8_valid(text, n, &bad_at))
        return scan_fault(s, line_of(text, bad_at), "found bytes that are not UTF-8");
    return 0;
}

static int join_file(struct scan *s, const char *file)
{
    struct error e;
    char *text = NULL;
    size_t n = 0;
    int rc;

    if (file_read(s->l, file, CONF_MAX_TEXT_BYTES - s->read_bytes, &text, &n, &e) != 0) {
        conf_fault(s->l, s->depth > 0 ? s->at.file : NULL, s->at.line, NULL, "%s", e.message);
        return -EINVAL;
    }
    s->read_bytes += n;
    s->at.file = talloc_strdup(s->l->conf, file);
    s->at.line = 1;
    rc = check_bytes(s, text, n);
    if (rc == 0)
        rc = join_text(s, text);
    explicit_bzero(text, n);
    talloc_free(text);
    return rc;
}

int conf_source_read(struct conf_loader *l, struct conf_source *out)
{
    struct scan s = {.l = l, .out = out};
    int rc;

    memset(out, 0, sizeof *out);
    s.at.file = l->path;
    out->text = talloc_size(l, TEXT_ROOM);
    if (out->text == NULL)
        abort();
    grow_lines(&s);
    out->lines[out->n_lines++] = (struct conf_place){.file = l->path, .line = 1};
    rc = join_file(&s, l->path);
    out->text[s.len] = '\0';
    return rc;
}

struct conf_place conf_source_place(const struct conf_source *s, int line)
{
    if (line >= 1 && (size_t)line <= s->n_lines)
        return s->lines[line - 1];
    return s->lines[s->n_lines - 1];
}
