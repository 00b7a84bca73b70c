/*
 * parser.h - untrusted file in, Markdown or plain text out
 *
 * local: a command per type, one-shot, in the sandbox (docmill-sandbox: seccomp, landlock, rlimits, no new
 * privileges, death with the parent). PDF by pdftotext (form feeds are page breaks), HTML by docmill-html (libxml2),
 * DOCX, ODT and EPUB by pandoc --sandbox to Markdown without raw HTML, Markdown and text by nothing (the bytes are the
 * text; UTF-16 with a byte-order mark and what looks like windows-1252 are converted). A file without any text is parse_no_text, of whatever type.
 *
 * parse_run() waits for the child with deadlines and calls tick at least every 100 ms.
 *
 * Errors are reasons of the parse_* family, parser_missing, sandbox_refused, unsupported_type. Nothing is left behind
 * in any of them: child reaped, temporary files unlinked.
 */
#ifndef PROVIDER_PARSER_H
#define PROVIDER_PARSER_H

#include "base/error.h"
#include "core/conf.h"
#include "provider/sniff.h"

struct parse_job {
    enum sniff_type type;
    int fd; /* the file, readable; its offset is not moved */
    int64_t size;
    void (*tick)(void *arg); /* may be NULL */
    void *tick_arg;
    /* Asked at every tick; true: the child is killed and -ECANCELED returned. May be NULL. */
    bool (*cancelled)(void *arg);
};

struct parse_result {
    char *text; /* mapped or allocated: free with parse_result_free */
    size_t len;
    bool plain;          /* plain text rather than Markdown: see normalise.h */
    int pages;           /* as the parser knows it; 0: the format has none */
    const char *charset; /* what the file's bytes were converted from; NULL: nothing was */
    int64_t took_ms;
    void *private_;
};

int parse_run(const struct conf *c, const struct parse_job *job, struct parse_result *r, struct error *e) MUST_CHECK;
void parse_result_free(struct parse_result *r);

/* At start: which programs are there; for the types that have none, unsupported is answered with the program's name.
 * Also tries the sandbox once on /bin/true. 0 or an error that names what is wrong. */
int parse_check(const struct conf *c, struct error *e) MUST_CHECK;
bool parse_supported(const struct conf *c, enum sniff_type type);
bool parser_is_first(const struct conf *c, const char *name); /* of parser.order */

#endif
