/*
 * sniff.h - what a file is, by its bytes
 *
 * libmagic first, then our own look for what it cannot tell: OOXML/ODF/EPUB by the archive's entries, Markdown and
 * plain text by the name's ending when the bytes are text, HTML by its first tag. The result is one of SNIFF_TYPES.
 * `name` only chooses between types that the bytes allow: a .pdf that holds HTML is HTML, and *mismatch says so.
 */
#ifndef PROVIDER_SNIFF_H
#define PROVIDER_SNIFF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNIFF_TYPES(X)                                                                                                 \
    X(PDF, "application/pdf", ".pdf")                                                                                  \
    X(HTML, "text/html", ".html .htm .xhtml")                                                                          \
    X(MARKDOWN, "text/markdown", ".md .markdown .mkd")                                                                 \
    X(TEXT, "text/plain", ".txt .text .log .rst .tex .org .asc")                                                       \
    X(DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx")                        \
    X(ODT, "application/vnd.oasis.opendocument.text", ".odt")                                                          \
    X(EPUB, "application/epub+zip", ".epub")

enum sniff_type {
    SNIFF_UNKNOWN,
#define X_SNIFF(NAME, mime, ext) SNIFF_##NAME,
    SNIFF_TYPES(X_SNIFF)
#undef X_SNIFF
        SNIFF_MAX_
};

const char *sniff_mime(enum sniff_type t); /* "application/octet-stream" for unknown */
enum sniff_type sniff_by_mime(const char *mime);

/* fd is read with pread from offset 0. Returns the type, SNIFF_UNKNOWN for what no parser takes, or a negative code.
 * *detail (128 bytes) names what libmagic saw. *mismatch: the name's ending belongs to another known type. */
int sniff_fd(int fd, int64_t size, const char *name, bool *mismatch, char detail[128], struct error *e) MUST_CHECK;

#endif
