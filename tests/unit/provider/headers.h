/* headers.h - an answer's headers for tests: pairs of name and value, ended by NULL */
#ifndef TESTS_PROVIDER_HEADERS_H
#define TESTS_PROVIDER_HEADERS_H

#include <string.h>
#include <strings.h>

static inline const char *header_of(const void *pairs, const char *name)
{
    const char *const *p = pairs;

    for (; p != NULL && *p != NULL; p += 2)
        if (strcasecmp(p[0], name) == 0)
            return p[1];
    return NULL;
}

#endif
