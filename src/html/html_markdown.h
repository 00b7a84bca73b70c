/*
 * html_markdown.h - HTML in, Markdown out, whatever the HTML is
 *
 * Headings, paragraphs, nested lists, quotes, code (fences longer than what they hold) and simple pipe tables; links
 * and emphasis as their text, images as their alternative text. Scripts, styles, templates and the like are left out.
 * The page's title becomes the first heading unless the page begins with that heading itself.
 *
 * The character set is that of a byte-order mark, else UTF-8 if the bytes are valid UTF-8, else the one that the page
 * declares, else windows-1252.
 *
 * Memory is bounded by the input's size; time grows with it in proportion. No recursion on the input's structure.
 * Depends on libxml2's HTML parser and the C library's iconv.
 */
#ifndef HTML_HTML_MARKDOWN_H
#define HTML_HTML_MARKDOWN_H

#include <stddef.h>

enum html_result {
    HTML_OK,
    HTML_NO_MEMORY,
    HTML_TOO_DEEP,    /* more than max_depth open elements */
    HTML_NOT_WRITTEN, /* the writer returned other than 0 */
    HTML_BROKEN       /* libxml2 gave up */
};

/* Takes a piece of the output; other than 0 stops the conversion. */
typedef int (*html_write_fn)(void *arg, const char *p, size_t n);

enum html_result html_to_markdown(const char *html, size_t n, int max_depth, html_write_fn write, void *arg);

/* Exit statuses of docmill-html, for whoever runs it; the worker has the same numbers in parser_outcome.c. */
#define HTML_EXIT_TOO_DEEP  10
#define HTML_EXIT_NO_MEMORY 11
#define HTML_EXIT_BROKEN    12
#define HTML_EXIT_INPUT     13
#define HTML_EXIT_OUTPUT    14
#define HTML_EXIT_USAGE     15

#endif
