/*
 * text.c - the real text of a file, as pages
 *
 * Text and markdown as they are, HTML without its tags, PDF through pdftotext and office files through pandoc where
 * these are installed. What has no text that can be had here (pictures, or a program that is missing) is made up by
 * generate.c. A file that the service would refuse gives its error code.
 *
 * Depends on common, poppler-utils and pandoc if they are there.
 */
#include "llamaparse/llamaparse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PAGE_BYTES 3000

enum format { F_PDF, F_TEXT, F_HTML, F_OFFICE, F_PICTURE, F_UNKNOWN };

static const struct {
    const char *suffix;
    enum format format;
    const char *pandoc;
} formats[] = {
    {".pdf", F_PDF, NULL},       {".txt", F_TEXT, NULL},     {".md", F_TEXT, NULL},      {".markdown", F_TEXT, NULL},
    {".csv", F_TEXT, NULL},      {".json", F_TEXT, NULL},    {".html", F_HTML, NULL},    {".htm", F_HTML, NULL},
    {".docx", F_OFFICE, "docx"}, {".odt", F_OFFICE, "odt"},  {".rtf", F_OFFICE, "rtf"},  {".epub", F_OFFICE, "epub"},
    {".pptx", F_PICTURE, NULL},  {".xlsx", F_PICTURE, NULL}, {".png", F_PICTURE, NULL},  {".jpg", F_PICTURE, NULL},
    {".jpeg", F_PICTURE, NULL},  {".tiff", F_PICTURE, NULL}, {".webp", F_PICTURE, NULL},
};

struct text {
    char *p;
    size_t n;
};

static bool is_plain(const char *p, size_t n)
{
    return memchr(p, '\0', n) == NULL;
}

static enum format format_of(const struct submission *s, const char **pandoc)
{
    size_t n = strlen(s->name);

    if (s->len >= 5 && memcmp(s->data, "%PDF-", 5) == 0)
        return F_PDF;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        size_t m = strlen(formats[i].suffix);

        if (n <= m || strcasecmp(s->name + n - m, formats[i].suffix) != 0)
            continue;
        *pandoc = formats[i].pandoc;
        return formats[i].format;
    }
    return is_plain(s->data, s->len) ? F_TEXT : F_UNKNOWN;
}

/* What a command prints about the file; false if it failed or is not installed. */
static bool run_on(const struct submission *s, const char *before, const char *after, struct text *out)
{
    char path[] = "/tmp/docmill-mock-XXXXXX", command[256];
    int fd = mkstemp(path), status;
    FILE *f, *to;

    if (fd < 0)
        return false;
    f = fdopen(fd, "w");
    if (f == NULL)
        abort();
    fwrite(s->data, 1, s->len, f);
    fclose(f);
    snprintf(command, sizeof command, "%s %s %s 2>/dev/null", before, path, after);
    f = popen(command, "re");
    to = open_memstream(&out->p, &out->n);
    for (int c; f != NULL && (c = getc(f)) != EOF;)
        putc(c, to);
    fclose(to);
    status = f != NULL ? pclose(f) : -1;
    unlink(path);
    if (status == 0)
        return true;
    free(out->p);
    *out = (struct text){0};
    return false;
}

static struct text without_tags(const char *p, size_t n)
{
    struct text t = {.p = malloc(n + 1)};
    bool in_tag = false;

    if (t.p == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '<')
            in_tag = true;
        else if (p[i] == '>')
            in_tag = false;
        else if (!in_tag)
            t.p[t.n++] = p[i];
    }
    t.p[t.n] = '\0';
    return t;
}

static bool has_words(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isalnum((unsigned char)p[i]) || (unsigned char)p[i] >= 0x80)
            return true;
    return false;
}

/* To a form feed, or, in a text without any, to the paragraph's end behind PAGE_BYTES. */
static size_t page_length(const char *p, size_t n, bool feeds)
{
    const char *end = feeds            ? memchr(p, '\f', n)
                      : n > PAGE_BYTES ? memmem(p + PAGE_BYTES, n - PAGE_BYTES, "\n\n", 2)
                                       : NULL;

    return end != NULL ? (size_t)(end - p) : n;
}

static json_t *cut_pages(const char *p, size_t n)
{
    json_t *pages = json_array();
    bool feeds = memchr(p, '\f', n) != NULL;

    for (json_int_t number = 1; n > 0; number++) {
        size_t len = page_length(p, n, feeds);

        if (len > 0 && (has_words(p, len) || len < n))
            json_array_append_new(pages, json_pack("{s:I, s:o, s:o}", "page", number, "text", mock_text(p, len), "md",
                                                   mock_text(p, len)));
        len += len < n ? (feeds ? 1 : 2) : 0;
        p += len;
        n -= len;
    }
    return pages;
}

static json_t *pages_of_text(struct text *t, const char **error_code)
{
    json_t *pages = NULL;

    if (has_words(t->p, t->n))
        pages = cut_pages(t->p, t->n);
    else
        *error_code = "NO_DATA_FOUND_IN_FILE";
    free(t->p);
    return pages;
}

static json_t *pages_of_pdf(const struct llamaparse *l, const struct submission *s, const char *hash,
                            const char **error_code)
{
    struct text t = {0};

    if (memmem(s->data, s->len, "/Encrypt", 8) != NULL) {
        *error_code = "PDF_IS_PROTECTED";
        return NULL;
    }
    if (access("/usr/bin/pdftotext", X_OK) != 0)
        return generate_pages(l, hash);
    if (!run_on(s, "pdftotext -q -enc UTF-8", "-", &t)) {
        *error_code = "ERROR_DURING_PROCESSING";
        return NULL;
    }
    return pages_of_text(&t, error_code);
}

static json_t *pages_of_office(const struct llamaparse *l, const struct submission *s, const char *hash,
                               const char *pandoc, const char **error_code)
{
    struct text t = {0};
    char command[64];

    if (access("/usr/bin/pandoc", X_OK) != 0)
        return generate_pages(l, hash);
    snprintf(command, sizeof command, "pandoc -t gfm -f %s", pandoc);
    if (!run_on(s, command, "", &t)) {
        *error_code = "ERROR_DURING_PROCESSING";
        return NULL;
    }
    return pages_of_text(&t, error_code);
}

json_t *text_pages(const struct llamaparse *l, const struct submission *s, const char **error_code)
{
    const char *pandoc = NULL;
    struct text t = {0};
    char hash[65];

    mock_sha256_hex(s->data != NULL ? s->data : s->source, s->data != NULL ? s->len : strlen(s->source), hash);
    if (l->generate || s->data == NULL)
        return generate_pages(l, hash);
    switch (format_of(s, &pandoc)) {
    case F_PDF:
        return pages_of_pdf(l, s, hash, error_code);
    case F_OFFICE:
        return pages_of_office(l, s, hash, pandoc, error_code);
    case F_TEXT:
        t = (struct text){memcpy(calloc(1, s->len + 1), s->data, s->len), s->len};
        return pages_of_text(&t, error_code);
    case F_HTML:
        t = without_tags(s->data, s->len);
        return pages_of_text(&t, error_code);
    case F_PICTURE:
        return generate_pages(l, hash);
    case F_UNKNOWN:
        break;
    }
    *error_code = "UNSUPPORTED_FILE_TYPE";
    return NULL;
}
