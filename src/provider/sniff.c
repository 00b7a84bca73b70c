/*
 * sniff.c - what a file is, by its bytes
 *
 * Our own look comes first for what it can prove (PDF's mark, archives by their entries, HTML by its first tag); then
 * libmagic says whether the rest is text. The name only chooses between kinds of text.
 *
 * Owns one libmagic handle a process, opened at the first file that needs it: its database costs some 8 MB of mapped
 * memory, which processes that never sniff should not pay. A handle of before a fork is not used after it.
 *
 * Diagnostics: internal when libmagic's database cannot be loaded; the errno's text when the file cannot be read.
 *
 * Depends on base, core.
 */
#include "provider/sniff.h"
#include "core/reason.h"
#include "provider/zip.h"

#include <errno.h>
#include <magic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEAD_BYTES 65536
/* Readers accept the mark this far into the file; we do when the name agrees or the file is no text. */
#define PDF_MARK_WITHIN 1024
#define TAG_WITHIN      4096

struct sniff_head {
    unsigned char bytes[HEAD_BYTES];
    size_t n;
};

static const struct {
    const char *mime, *endings;
} types[SNIFF_MAX_] = {[SNIFF_UNKNOWN] = {"application/octet-stream", ""},
#define X_ROW(NAME, mime, endings) [SNIFF_##NAME] = {mime, endings},
                       SNIFF_TYPES(X_ROW)
#undef X_ROW
};

const char *sniff_mime(enum sniff_type t)
{
    return types[t < SNIFF_MAX_ ? t : SNIFF_UNKNOWN].mime;
}

enum sniff_type sniff_by_mime(const char *mime)
{
    size_t n = strcspn(mime, "; \t");

    for (enum sniff_type t = SNIFF_UNKNOWN + 1; t < SNIFF_MAX_; t++)
        if (strlen(types[t].mime) == n && strncasecmp(types[t].mime, mime, n) == 0)
            return t;
    return SNIFF_UNKNOWN;
}

static enum sniff_type by_name(const char *name)
{
    const char *dot = name == NULL ? NULL : strrchr(name, '.');
    size_t n = dot == NULL ? 0 : strlen(dot);

    if (n < 2)
        return SNIFF_UNKNOWN;
    for (enum sniff_type t = SNIFF_UNKNOWN + 1; t < SNIFF_MAX_; t++)
        for (const char *p = types[t].endings; *p != '\0'; p += strspn(p, " ")) {
            size_t len = strcspn(p, " ");
            if (len == n && strncasecmp(p, dot, n) == 0)
                return t;
            p += len;
        }
    return SNIFF_UNKNOWN;
}

static int read_head(int fd, struct sniff_head *h)
{
    h->n = 0;
    while (h->n < sizeof h->bytes) {
        ssize_t got = pread(fd, h->bytes + h->n, sizeof h->bytes - h->n, (off_t)h->n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        h->n += (size_t)got;
    }
    return 0;
}

static bool starts(const unsigned char *p, size_t n, const char *with)
{
    size_t k = strlen(with);

    return n >= k && strncasecmp((const char *)p, with, k) == 0;
}

/* Skips what may stand before the first tag: a byte-order mark, blanks, comments, an XML declaration. */
static size_t skip_prologue(const unsigned char *p, size_t n)
{
    size_t i = starts(p, n, "\xef\xbb\xbf") ? 3 : 0;

    for (;;) {
        const char *end;
        while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n' || p[i] == '\f'))
            i++;
        if (starts(p + i, n - i, "<!--"))
            end = "-->";
        else if (starts(p + i, n - i, "<?xml"))
            end = "?>";
        else
            return i;
        const unsigned char *q = memmem(p + i, n - i, end, strlen(end));
        if (q == NULL)
            return n;
        i = (size_t)(q - p) + strlen(end);
    }
}

static bool is_html(const struct sniff_head *h)
{
    static const char *const firsts[] = {"<!doctype html", "<html", "<head", "<body", "<title", "<meta "};
    size_t i = skip_prologue(h->bytes, h->n);

    for (size_t k = 0; k < sizeof firsts / sizeof *firsts; k++)
        if (starts(h->bytes + i, h->n - i, firsts[k]))
            return true;
    return false;
}

/* A fragment named .html: any tag near its beginning will do. */
static bool has_tag(const struct sniff_head *h)
{
    size_t n = h->n < TAG_WITHIN ? h->n : TAG_WITHIN;

    for (size_t i = 0; i + 1 < n; i++)
        if (h->bytes[i] == '<' && (unsigned char)((h->bytes[i + 1] | 32) - 'a') < 26)
            return true;
    return false;
}

static bool is_pdf(const struct sniff_head *h, enum sniff_type named)
{
    size_t n = h->n < PDF_MARK_WITHIN ? h->n : PDF_MARK_WITHIN;
    size_t blank = skip_prologue(h->bytes, h->n);

    return starts(h->bytes + blank, h->n - blank, "%PDF-") ||
           (named == SNIFF_PDF && memmem(h->bytes, n, "%PDF-", 5) != NULL);
}

/* A damaged archive is still what its entries or, failing them, its name say: its parser will call it damaged. */
static enum sniff_type of_archive(const struct zip_summary *s, int verdict, enum sniff_type named)
{
    enum sniff_type t = sniff_by_mime(s->mimetype);

    if (t == SNIFF_ODT || t == SNIFF_EPUB)
        return t;
    if (s->has_document_xml && s->has_content_types)
        return SNIFF_DOCX;
    if (s->has_container_xml && !s->has_content_xml) /* an EPUB whose `mimetype` does not come first: many are */
        return SNIFF_EPUB;
    if (s->mimetype[0] == '\0' && verdict != ZIP_OK &&
        (named == SNIFF_DOCX || named == SNIFF_ODT || named == SNIFF_EPUB))
        return named;
    return SNIFF_UNKNOWN;
}

/* What libmagic calls the bytes, as a MIME type. The answer is valid until the next call. */
static const char *magic_mime(const struct sniff_head *h, struct error *e)
{
    static magic_t handle;
    static pid_t opened_by;
    const char *mime;

    if (handle == NULL || opened_by != getpid()) {
        handle = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR | MAGIC_NO_CHECK_CDF);
        if (handle == NULL || magic_load(handle, NULL) != 0) {
            reason_error(e, REASON_internal, EIO, "cannot load libmagic's database: %s",
                         handle == NULL ? strerror(errno) : magic_error(handle));
            if (handle != NULL)
                magic_close(handle);
            handle = NULL;
            return NULL;
        }
        opened_by = getpid();
    }
    mime = magic_buffer(handle, h->bytes, h->n);
    if (mime == NULL)
        reason_error(e, REASON_internal, EIO, "libmagic failed: %s", magic_error(handle));
    return mime;
}

/* Kinds of text that are written to be read as they are; markup of other kinds is not text to a reader. */
static bool mime_is_text(const char *mime)
{
    static const char *const also[] = {"application/json",     "application/javascript",
                                       "application/x-ndjson", "application/x-wine-extension-ini",
                                       "message/rfc822",       "message/news"};

    if (strcmp(mime, "text/rtf") == 0 || strcmp(mime, "text/calendar") == 0 || strcmp(mime, "text/vcard") == 0)
        return false;
    if (strncmp(mime, "text/", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof also / sizeof *also; i++)
        if (strcmp(mime, also[i]) == 0)
            return true;
    return false;
}

/* libmagic takes a text that quotes PDF's mark for a PDF; a real one has binary parts. */
static bool no_control_bytes(const struct sniff_head *h)
{
    for (size_t i = 0; i < h->n; i++) {
        unsigned char b = h->bytes[i];
        if (b < 0x20 && b != '\t' && b != '\n' && b != '\f' && b != '\r')
            return false;
    }
    return true;
}

static enum sniff_type of_text(const struct sniff_head *h, enum sniff_type named)
{
    if (is_html(h) || (named == SNIFF_HTML && has_tag(h)))
        return SNIFF_HTML;
    return named == SNIFF_MARKDOWN ? SNIFF_MARKDOWN : SNIFF_TEXT;
}

static int finish(enum sniff_type t, enum sniff_type named, bool *mismatch)
{
    *mismatch = named != SNIFF_UNKNOWN && named != t;
    return (int)t;
}

int sniff_fd(int fd, int64_t size, const char *name, bool *mismatch, char detail[128], struct error *e)
{
    enum sniff_type named = by_name(name);
    struct sniff_head h;
    const char *mime;
    int rc = read_head(fd, &h);

    *mismatch = false;
    detail[0] = '\0';
    if (rc < 0)
        return reason_error(e, REASON_blob_broken, rc, "cannot read the file: %s", strerror(-rc));
    if (h.n == 0) {
        snprintf(detail, 128, "empty");
        return SNIFF_UNKNOWN;
    }
    if (is_pdf(&h, named)) {
        snprintf(detail, 128, "%s", sniff_mime(SNIFF_PDF));
        return finish(SNIFF_PDF, named, mismatch);
    }
    if (starts(h.bytes, h.n, "PK\x03\x04")) {
        struct zip_summary s;
        rc = zip_summarise(fd, size, &s);
        if (rc < 0)
            return reason_error(e, REASON_blob_broken, rc, "cannot read the file: %s", strerror(-rc));
        enum sniff_type t = of_archive(&s, rc, named);
        snprintf(detail, 128, "%s",
                 t != SNIFF_UNKNOWN ? sniff_mime(t)
                 : s.mimetype[0]    ? s.mimetype
                                    : "application/zip");
        return finish(t, named, mismatch);
    }
    mime = magic_mime(&h, e);
    if (mime == NULL)
        return -EIO;
    snprintf(detail, 128, "%s", mime);
    if (strcmp(mime, sniff_mime(SNIFF_PDF)) == 0 && !no_control_bytes(&h))
        return finish(SNIFF_PDF, named, mismatch);
    if (!mime_is_text(mime) && strcmp(mime, sniff_mime(SNIFF_PDF)) != 0)
        return finish(SNIFF_UNKNOWN, named, mismatch);
    return finish(of_text(&h, named), named, mismatch);
}
