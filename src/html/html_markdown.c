/*
 * html_markdown.c - the elements of a page, one event at a time, into the writer
 *
 * libxml2's HTML parser is used as an event source: no tree is built, and what it calls while it parses is iterative,
 * so depth costs one stack entry of ours an element. What an element means is looked up once, in one sorted table.
 *
 * Owns the stack of open elements. Depends on libxml2.
 */
#include "html/html_markdown.h"
#include "html/charset.h"
#include "html/writer.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum kind { INLINE, BLOCK, SKIP, BREAK, HEADING, TITLE, PRE, CODE, IMAGE, QUOTE, UL, OL, ITEM, TABLE, ROW, CELL };

static const struct element {
    const char *name;
    enum kind kind;
} elements[] = {
    /* sorted, for bsearch; what is not here is inline */
    {"address", BLOCK}, {"article", BLOCK},  {"aside", BLOCK},      {"blockquote", QUOTE}, {"body", BLOCK},
    {"br", BREAK},      {"caption", BLOCK},  {"center", BLOCK},     {"code", CODE},        {"dd", BLOCK},
    {"details", BLOCK}, {"dialog", BLOCK},   {"dir", UL},           {"div", BLOCK},        {"dl", BLOCK},
    {"dt", BLOCK},      {"fieldset", BLOCK}, {"figcaption", BLOCK}, {"figure", BLOCK},     {"footer", BLOCK},
    {"form", BLOCK},    {"h1", HEADING},     {"h2", HEADING},       {"h3", HEADING},       {"h4", HEADING},
    {"h5", HEADING},    {"h6", HEADING},     {"header", BLOCK},     {"hr", BLOCK},         {"iframe", SKIP},
    {"img", IMAGE},     {"kbd", CODE},       {"legend", BLOCK},     {"li", ITEM},          {"listing", PRE},
    {"main", BLOCK},    {"menu", UL},        {"nav", BLOCK},        {"noframes", BLOCK},   {"noscript", SKIP},
    {"ol", OL},         {"option", BLOCK},   {"p", BLOCK},          {"pre", PRE},          {"samp", CODE},
    {"script", SKIP},   {"search", BLOCK},   {"section", BLOCK},    {"style", SKIP},       {"summary", BLOCK},
    {"svg", SKIP},      {"table", TABLE},    {"td", CELL},          {"template", SKIP},    {"textarea", BLOCK},
    {"th", CELL},       {"title", TITLE},    {"tr", ROW},           {"tt", CODE},          {"ul", UL},
    {"xmp", PRE},
};

#define MAX_OPEN (1 << 20) /* elements open at once, however they are nested */

struct open_element {
    enum kind kind;
    bool container;        /* it opened one in the writer */
    bool term;             /* dt, dd: what follows a term that was never closed stands beside it, not in it */
    bool counted;          /* in the page's depth */
    long number;           /* OL: of the next item */
    struct md_table outer; /* TABLE: the writer's state around it */
};

struct page {
    struct md md;
    htmlParserCtxtPtr parser;
    struct open_element *open;
    size_t n_open, room;
    size_t depth, max_depth;
    int skipping; /* open elements whose content is left out */
    enum html_result result;
};

static void stop(struct page *p, enum html_result why)
{
    if (p->result == HTML_OK)
        p->result = why;
    xmlStopParser(p->parser);
}

static void stop_if_failed(struct page *p)
{
    if (md_failed(&p->md))
        stop(p, p->md.not_taken ? HTML_NOT_WRITTEN : HTML_NO_MEMORY);
}

static int by_name(const void *key, const void *row)
{
    return strcmp(key, ((const struct element *)row)->name);
}

static enum kind kind_of(const xmlChar *name)
{
    const struct element *row = bsearch(name, elements, sizeof elements / sizeof *elements, sizeof *elements, by_name);

    return row == NULL ? INLINE : row->kind;
}

static const char *attribute(const xmlChar **attributes, const char *name)
{
    for (int i = 0; attributes != NULL && attributes[i] != NULL; i += 2)
        if (strcmp((const char *)attributes[i], name) == 0)
            return (const char *)attributes[i + 1];
    return NULL;
}

/* libxml2 does not close a dt by the next one, so a long glossary without end tags arrives as one deep nest. Such
 * elements do not count; what they cost is bounded all the same. */
static struct open_element *push(struct page *p, enum kind kind, bool term)
{
    bool counted = !(term && p->n_open > 0 && p->open[p->n_open - 1].term);

    if (p->depth + counted > p->max_depth || p->n_open >= MAX_OPEN) {
        stop(p, HTML_TOO_DEEP);
        return NULL;
    }
    if (p->n_open == p->room) {
        size_t room = p->room == 0 ? 64 : 2 * p->room;
        struct open_element *grown = realloc(p->open, room * sizeof *grown);
        if (grown == NULL) {
            stop(p, HTML_NO_MEMORY);
            return NULL;
        }
        p->open = grown;
        p->room = room;
    }
    p->open[p->n_open] = (struct open_element){.kind = kind, .term = term, .counted = counted};
    p->depth += counted;
    return &p->open[p->n_open++];
}

/* The number of a new item of the innermost list; 0 for a bullet. */
static long next_number(struct page *p)
{
    for (size_t i = p->n_open; i-- > 0;) {
        if (p->open[i].kind == UL)
            return 0;
        if (p->open[i].kind == OL)
            return p->open[i].number++;
    }
    return 0;
}

/* class="language-c" and class="lang-c", as highlighters write them. */
static void take_language(struct md *m, const char *class)
{
    static const char *const marks[] = {"language-", "lang-"};

    for (int i = 0; class != NULL && i < 2; i++) {
        const char *at = strstr(class, marks[i]);
        if (at == NULL || m->language[0] != '\0')
            continue;
        at += strlen(marks[i]);
        size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+#_-");
        if (n == 0 || n >= sizeof m->language)
            continue;
        memcpy(m->language, at, n);
        m->language[n] = '\0';
    }
}

static void open_list(struct open_element *e, struct md *m, const xmlChar **attributes)
{
    const char *start = attribute(attributes, "start");

    md_table_is_layout(m);
    md_end_block(m);
    e->number = start == NULL ? 1 : strtol(start, NULL, 10);
    if (e->number < 1 || e->number > 1000000)
        e->number = 1;
}

static void open_table(struct open_element *e, struct md *m)
{
    md_table_is_layout(m);
    md_end_block(m);
    e->outer = m->table;
    m->table = (struct md_table){.layout = m->pre > 0};
}

static void put_image(struct md *m, const xmlChar **attributes)
{
    const char *alt = attribute(attributes, "alt");

    if (alt != NULL && alt[0] != '\0') {
        md_text(m, " ", 1);
        md_text(m, alt, strlen(alt));
        md_text(m, " ", 1);
    }
}

static void open_element(struct page *p, struct open_element *e, const xmlChar *name, const xmlChar **attributes)
{
    struct md *m = &p->md;

    switch (e->kind) {
    case INLINE:
    case SKIP:
        break;
    case BREAK:
        md_line_break(m);
        break;
    case IMAGE:
        put_image(m, attributes);
        break;
    case HEADING:
        md_table_is_layout(m);
        md_end_block(m);
        md_set_heading(m, name[1] - '0');
        break;
    case PRE:
        md_table_is_layout(m);
        md_open_pre(m);
        take_language(m, attribute(attributes, "class"));
        break;
    case CODE:
        if (m->pre > 0)
            take_language(m, attribute(attributes, "class"));
        md_open_code(m);
        break;
    case QUOTE:
        md_table_is_layout(m);
        e->container = md_open_quote(m);
        break;
    case UL:
    case OL:
        open_list(e, m, attributes);
        break;
    case ITEM:
        md_table_is_layout(m);
        e->container = md_open_item(m, next_number(p));
        break;
    case TABLE:
        open_table(e, m);
        break;
    case BLOCK:
    case TITLE:
    case ROW:
    case CELL:
        md_end_block(m);
        break;
    }
}

static void close_table(struct md *m, const struct md_table *outer)
{
    if (!m->table.layout)
        md_end_row(m);
    md_end_block(m);
    m->table = *outer;
}

static void close_element(struct page *p, const struct open_element *e)
{
    struct md *m = &p->md;

    switch (e->kind) {
    case INLINE:
    case SKIP:
    case BREAK:
    case IMAGE:
        break;
    case HEADING:
        md_end_block(m);
        md_set_heading(m, 0);
        break;
    case TITLE:
        md_take_title(m);
        break;
    case PRE:
        md_close_pre(m);
        break;
    case CODE:
        md_close_code(m);
        break;
    case QUOTE:
    case ITEM:
        if (e->container)
            md_close_container(m);
        else
            md_end_block(m);
        break;
    case TABLE:
        close_table(m, &e->outer);
        break;
    case ROW:
        md_end_row(m);
        break;
    case CELL:
        md_end_cell(m);
        break;
    case UL:
    case OL:
        md_close_list(m);
        break;
    case BLOCK:
        md_end_block(m);
        break;
    }
}

static void handle_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
    struct page *p = arg;
    struct open_element *e;

    if (p->result != HTML_OK)
        return;
    e = push(p, kind_of(name), strcmp((const char *)name, "dt") == 0 || strcmp((const char *)name, "dd") == 0);
    if (e == NULL)
        return;
    p->skipping += e->kind == SKIP;
    if (p->skipping == 0)
        open_element(p, e, name, attributes);
    stop_if_failed(p);
}

static void handle_end(void *arg, const xmlChar *name)
{
    struct page *p = arg;

    (void)name; /* the parser closes what it opened, in order */
    if (p->result != HTML_OK || p->n_open == 0)
        return;
    p->n_open--;
    p->depth -= p->open[p->n_open].counted;
    if (p->skipping == 0)
        close_element(p, &p->open[p->n_open]);
    p->skipping -= p->open[p->n_open].kind == SKIP;
    stop_if_failed(p);
}

static void handle_text(void *arg, const xmlChar *text, int n)
{
    struct page *p = arg;

    if (p->result != HTML_OK || p->skipping > 0 || n <= 0)
        return;
    md_text(&p->md, (const char *)text, (size_t)n);
    stop_if_failed(p);
}

static void parse(struct page *p, const char *utf8, size_t n)
{
    static const htmlSAXHandler events = {.startElement = handle_start,
                                          .endElement = handle_end,
                                          .characters = handle_text,
                                          .cdataBlock = handle_text,
                                          .ignorableWhitespace = handle_text,
                                          .initialized = 1};

    p->parser = htmlCreateMemoryParserCtxt(utf8, (int)n);
    if (p->parser == NULL) {
        p->result = HTML_NO_MEMORY;
        return;
    }
    *p->parser->sax = events;
    p->parser->userData = p;
    (void)htmlCtxtUseOptions(p->parser, HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
                                            HTML_PARSE_IGNORE_ENC | HTML_PARSE_NOIMPLIED);
    (void)xmlSwitchEncoding(p->parser, XML_CHAR_ENCODING_UTF8);
    (void)htmlParseDocument(p->parser);
    if (p->result == HTML_OK && p->parser->errNo == XML_ERR_NO_MEMORY)
        p->result = HTML_NO_MEMORY;
    while (p->result == HTML_OK && p->n_open > 0) /* what the page left open */
        handle_end(p, NULL);
    htmlFreeParserCtxt(p->parser);
}

enum html_result html_to_markdown(const char *html, size_t n, int max_depth, html_write_fn write, void *arg)
{
    struct page p = {.max_depth = max_depth < 1 ? 1 : (size_t)max_depth};
    struct buffer made = {0};
    const char *utf8;
    size_t utf8_n;

    md_start(&p.md, write, arg);
    if (charset_to_utf8(html, n, &made, &utf8, &utf8_n) < 0)
        p.result = HTML_NO_MEMORY;
    else if (utf8_n > INT_MAX)
        p.result = HTML_BROKEN;
    else if (utf8_n > 0)
        parse(&p, utf8, utf8_n);
    if (p.result == HTML_OK) {
        md_finish(&p.md);
        if (md_failed(&p.md))
            p.result = p.md.not_taken ? HTML_NOT_WRITTEN : HTML_NO_MEMORY;
    }
    md_free(&p.md);
    free(p.open);
    buffer_free(&made);
    return p.result;
}
