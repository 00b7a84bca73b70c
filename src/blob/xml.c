/*
 * xml.c - the text of an element, as far as S3's answers need it
 *
 * S3's lists and errors are flat, without attributes on the elements that matter; a parser with a tree would bring
 * entities and nesting that nobody sends honestly. Works on a NUL-terminated text, believes nothing, allocates nothing.
 *
 * Depends on nothing.
 */
#include "blob/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    char c;
} entities[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};

/* What stands at an ampersand; 0 if it is none of ours. */
static char decode(const char **at)
{
    const char *p = *at + 1;
    char *end;
    long code;

    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        size_t n = strlen(entities[i].name);
        if (strncmp(p, entities[i].name, n) == 0) {
            *at = p + n;
            return entities[i].c;
        }
    }
    if (p[0] != '#')
        return 0;
    code = p[1] == 'x' ? strtol(p + 2, &end, 16) : strtol(p + 1, &end, 10);
    if (*end != ';' || code < 32 || code > 126)
        return 0;
    *at = end + 1;
    return (char)code;
}

const char *xml_text(const char *at, const char *end, const char *tag, char *out, size_t size)
{
    char open[64];
    const char *limit = end != NULL ? strstr(at, end) : NULL;
    size_t n = 0;

    snprintf(open, sizeof open, "<%s>", tag);
    at = strstr(at, open);
    if (at == NULL || (limit != NULL && at >= limit))
        return NULL;
    at += strlen(open);
    while (*at != '<') {
        char c = *at == '&' ? decode(&at) : *at++;

        if (c == '\0' || n + 1 >= size)
            return NULL;
        out[n++] = c;
    }
    out[n] = '\0';
    return at;
}
