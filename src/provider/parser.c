/*
 * parser.c - a parser for each type: what is run, with what limits, and what comes back
 *
 * PDF, HTML and office formats go through a sandboxed child (child.c); archives are weighed before (zip.c). Markdown
 * and text are their own parse: the file is mapped, but for UTF-16, which is told by its byte-order mark and converted.
 *
 * Diagnostics: the reasons of parser.h. Depends on base, core.
 */
#include "provider/parser.h"
#include "core/reason.h"
#include "provider/child.h"
#include "provider/parser_outcome.h"
#include "provider/utf16.h"
#include "provider/windows1252.h"
#include "provider/zip.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef DOCMILL_LIBEXEC_DIR
#define DOCMILL_LIBEXEC_DIR "/usr/libexec/docmill"
#endif

#define OFFICE_MIN_ADDRESS_SPACE (1024LL * 1024 * 1024)

/* Plain Markdown with pipe tables and, where those cannot hold a table, grid tables: gfm would write such tables and
 * much else as raw HTML. */
#define OFFICE_TO                                                                                                      \
    "markdown-raw_html-raw_attribute-raw_tex-native_divs-native_spans-fenced_divs-bracketed_spans-header_attributes"   \
    "-link_attributes-smart-simple_tables-multiline_tables-citations"

struct command {
    char path[PATH_MAX];
    const char *profile;
    const char *argv[16];
    char depth[16], heap[40];
};

/* parser.libexec, or the directory of this executable if the helper is there, or where it would be installed. */
static void helper_path(const struct conf *c, const char *name, char path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n;

    if (c->parser_libexec != NULL) {
        snprintf(path, PATH_MAX, "%s/%s", c->parser_libexec, name);
        return;
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 64, dirname(self), name);
        if (access(path, X_OK) == 0)
            return;
    }
    snprintf(path, PATH_MAX, DOCMILL_LIBEXEC_DIR "/%s", name);
}

static bool is_office(enum sniff_type type)
{
    return type == SNIFF_DOCX || type == SNIFF_ODT || type == SNIFF_EPUB;
}

static void command_pdf(struct command *k, const struct conf *c)
{
    static const char *const args[] = {"-enc", "UTF-8", "-eol", "unix", "fd://0", "-"};

    k->profile = "pdf";
    snprintf(k->path, sizeof k->path, "%s", c->parser_pdftotext == NULL ? "" : c->parser_pdftotext);
    memcpy(k->argv + 1, args, sizeof args);
}

static void command_html(struct command *k, const struct conf *c)
{
    k->profile = "html";
    helper_path(c, "docmill-html", k->path);
    snprintf(k->depth, sizeof k->depth, "%lld", (long long)c->limits_max_depth);
    k->argv[1] = k->depth;
}

static void command_office(struct command *k, const struct conf *c, enum sniff_type type)
{
    const char *from = type == SNIFF_DOCX ? "docx" : type == SNIFF_ODT ? "odt" : "epub";
    /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): OFFICE_TO is one string in three lines */
    const char *const args[] = {"--sandbox", "-f", from, "-t", OFFICE_TO, "--wrap=none", "+RTS", k->heap, "-RTS"};

    k->profile = "office";
    snprintf(k->path, sizeof k->path, "%s", c->parser_pandoc == NULL ? "" : c->parser_pandoc);
    /* Below the address space, so that the heap's end is said in words rather than by a failing mmap. */
    snprintf(k->heap, sizeof k->heap, "-M%lld", (long long)(c->parser_max_memory / 4 * 3));
    memcpy(k->argv + 1, args, sizeof args);
}

static void command_for(struct command *k, const struct conf *c, enum sniff_type type)
{
    *k = (struct command){.argv = {NULL}};
    if (type == SNIFF_PDF)
        command_pdf(k, c);
    else if (type == SNIFF_HTML)
        command_html(k, c);
    else
        command_office(k, c, type);
    k->argv[0] = k->path;
}

static int weigh_archive(const struct conf *c, const struct parse_job *job, struct error *e)
{
    struct zip_summary s;
    int rc = zip_summarise(job->fd, job->size, &s);

    if (rc < 0)
        return reason_error(e, REASON_blob_broken, rc, "cannot read the file: %s", strerror(-rc));
    if (rc == ZIP_BROKEN)
        return reason_error(e, REASON_parse_corrupt, EBADMSG, "The archive's directory is damaged or cut off.");
    if (rc == ZIP_TOO_MANY)
        return reason_error(e, REASON_parse_bomb, EFBIG, "The archive has more than %d entries.", ZIP_MAX_ENTRIES);
    if (s.unpacked > c->limits_max_unpacked)
        return reason_error(e, REASON_parse_bomb, EFBIG,
                            "The archive would unpack to %lld bytes, more than limits.max_unpacked (%lld).",
                            (long long)s.unpacked, (long long)c->limits_max_unpacked);
    if (s.encrypted)
        return reason_error(e, REASON_parse_encrypted, EACCES, NULL);
    return 0;
}

/* Anything but blanks and control characters. */
static bool has_text(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] > 0x20 && p[i] != 0x7f)
            return true;
    return false;
}

static int take_output(enum sniff_type type, struct child_outcome *o, struct parse_result *r, struct error *e)
{
    if (type == SNIFF_PDF && o->pages == 0 && o->out_len == 0)
        return reason_error(e, REASON_parse_no_pages, EBADMSG, NULL);
    if (!has_text(o->out, o->out_len))
        return reason_error(e, REASON_parse_no_text, EBADMSG, NULL);
    *r = (struct parse_result){.text = o->out,
                               .len = o->out_len,
                               .plain = type == SNIFF_PDF,
                               .pages = type == SNIFF_PDF ? o->pages : 0,
                               .took_ms = o->took_ms};
    o->out = NULL;
    return 0;
}

static int run_command(const struct conf *c, const struct parse_job *job, struct parse_result *r, struct error *e)
{
    char sandbox[PATH_MAX];
    struct child_outcome o;
    struct command k;
    struct child_spec s;
    int rc;

    command_for(&k, c, job->type);
    helper_path(c, "docmill-sandbox", sandbox);
    s = (struct child_spec){.sandbox = sandbox,
                            .profile = k.profile,
                            .argv = k.argv,
                            .input_fd = job->fd,
                            .timeout_ms = c->parser_timeout,
                            .max_memory = c->parser_max_memory,
                            .max_output = c->parser_max_output,
                            .max_pages = job->type == SNIFF_PDF ? (int)c->limits_max_pages : 0,
                            .tick = job->tick,
                            .cancelled = job->cancelled,
                            .arg = job->tick_arg};
    if (is_office(job->type) && s.max_memory < OFFICE_MIN_ADDRESS_SPACE)
        s.max_memory = OFFICE_MIN_ADDRESS_SPACE;
    rc = child_run(&s, &o);
    if (rc < 0)
        return error_set(e, rc, ERR_TRANSIENT, reason_name(REASON_internal), "cannot run a parser: %s", strerror(-rc));
    rc = parser_judge(job->type, k.path, &s, &o, e);
    if (rc == 0)
        rc = take_output(job->type, &o, r, e);
    free(o.out);
    return rc;
}

/* 1: r->text is a converted copy, 0: it is as it was; or -ENOMEM. */
static int to_utf8(struct parse_result *r)
{
    int rc = utf16_to_utf8(r->text, r->len, &r->text, &r->len);

    if (rc == 1) {
        r->charset = "UTF-16";
    } else if (rc == 0) {
        rc = windows1252_to_utf8(r->text, r->len, &r->text, &r->len);
        if (rc == 1)
            r->charset = "windows-1252";
    }
    return rc;
}

/* The file is its own text. Mapped, it must have the size that was said, or reading would end in SIGBUS. */
static int map_text(const struct conf *c, const struct parse_job *job, struct parse_result *r, struct error *e)
{
    struct stat st;
    void *p;
    int rc;

    if (fstat(job->fd, &st) < 0)
        return reason_error(e, REASON_blob_broken, errno, "cannot read the file: %s", strerror(errno));
    if (st.st_size != job->size)
        return reason_error(e, REASON_blob_corrupt, EBADMSG, "the file does not have the size that was recorded");
    if (job->size == 0)
        return reason_error(e, REASON_parse_no_text, EBADMSG, "The file is empty.");
    p = mmap(NULL, (size_t)job->size, PROT_READ, MAP_PRIVATE, job->fd, 0);
    if (p == MAP_FAILED)
        return reason_error(e, REASON_blob_broken, errno, "cannot map the file: %s", strerror(errno));
    *r = (struct parse_result){.text = p, .len = (size_t)job->size, .private_ = p, .plain = job->type == SNIFF_TEXT};
    rc = to_utf8(r);
    if (rc < 0) {
        munmap(p, (size_t)job->size);
        return error_set(e, rc, ERR_TRANSIENT, reason_name(REASON_internal), "out of memory");
    }
    if (rc == 1) { /* converted: the mapping has served */
        munmap(p, (size_t)job->size);
        r->private_ = NULL;
    }
    if ((int64_t)r->len > c->parser_max_output)
        rc = reason_error(e, REASON_parse_output, EFBIG, "The text is longer than %lld bytes.",
                          (long long)c->parser_max_output);
    else
        rc = has_text(r->text, r->len) ? 0 : reason_error(e, REASON_parse_no_text, EBADMSG, NULL);
    if (rc < 0)
        parse_result_free(r);
    return rc;
}

int parse_run(const struct conf *c, const struct parse_job *job, struct parse_result *r, struct error *e)
{
    int rc = 0;

    *r = (struct parse_result){0};
    switch (job->type) {
    case SNIFF_MARKDOWN:
    case SNIFF_TEXT:
        return map_text(c, job, r, e);
    case SNIFF_DOCX:
    case SNIFF_ODT:
    case SNIFF_EPUB:
        rc = weigh_archive(c, job, e);
        break;
    case SNIFF_PDF:
    case SNIFF_HTML:
        break;
    case SNIFF_UNKNOWN:
    case SNIFF_MAX_:
        return reason_error(e, REASON_unsupported_type, ENOTSUP, NULL);
    }
    return rc < 0 ? rc : run_command(c, job, r, e);
}

/* private_ is the mapping, if text is one; otherwise text was allocated. */
void parse_result_free(struct parse_result *r)
{
    if (r->private_ != NULL)
        munmap(r->private_, r->len);
    else
        free(r->text);
    *r = (struct parse_result){0};
}

bool parser_is_first(const struct conf *c, const char *name)
{
    const char *first = c->parser_order + strspn(c->parser_order, ", ");

    return strlen(name) == strcspn(first, ", ") && strncmp(first, name, strlen(name)) == 0;
}

bool parse_supported(const struct conf *c, enum sniff_type type)
{
    struct command k;

    if (type == SNIFF_MARKDOWN || type == SNIFF_TEXT)
        return true;
    if (type <= SNIFF_UNKNOWN || type >= SNIFF_MAX_)
        return false;
    command_for(&k, c, type);
    return access(k.path, X_OK) == 0;
}

/* Our own HTML helper proves the sandbox: it is always there, and small. */
static int try_sandbox(const struct conf *c, struct error *e)
{
    static const char page[] = "<p>docmill";
    struct parse_job job = {.type = SNIFF_HTML, .size = sizeof page - 1};
    struct parse_result r;
    int rc;

    job.fd = open(c->blob_spool, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (job.fd < 0 || write(job.fd, page, sizeof page - 1) != (ssize_t)sizeof page - 1) {
        rc = reason_error(e, REASON_internal, errno, "cannot make a file for the check in blob.spool, %s: %s",
                          c->blob_spool, strerror(errno));
    } else {
        rc = parse_run(c, &job, &r, e);
        if (rc == 0 && (r.len != 8 || memcmp(r.text, "docmill\n", 8) != 0))
            rc = reason_error(e, REASON_parse_failed, EBADMSG, "docmill-html does not work");
        if (rc == 0)
            parse_result_free(&r);
    }
    if (job.fd >= 0)
        close(job.fd);
    return rc;
}

int parse_check(const struct conf *c, struct error *e)
{
    int rc = try_sandbox(c, e);

    for (enum sniff_type t = SNIFF_UNKNOWN + 1; rc == 0 && t < SNIFF_MAX_; t++) {
        struct command k;
        if (parse_supported(c, t))
            continue;
        command_for(&k, c, t);
        rc = reason_error(e, REASON_parser_missing, ENOENT, "%s, the parser of %s, cannot be executed: %s", k.path,
                          sniff_mime(t), strerror(errno));
    }
    return rc;
}
