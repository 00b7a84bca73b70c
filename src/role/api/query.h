/*
 * query.h - the request target of a request: path and parameters, decoded and checked
 *
 * Strict where guessing would hide a mistake: a bad percent escape, a NUL or control character, an encoded slash in the
 * path, text that is not UTF-8, a parameter given twice, or one that the route does not know is bad_request, by name.
 * In parameters '+' is a space.
 *
 * Pure. Depends on base, core.
 */
#ifndef API_QUERY_H
#define API_QUERY_H

#include "base/error.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_MAX_PARAMS 16
#define QUERY_MAX_BYTES  16384

struct query_param {
    const char *name, *value;
};

struct query {
    const char *path;
    int n;
    struct query_param params[QUERY_MAX_PARAMS];
};

/* Parses a request target ("/v1/search?q=a+b", or with scheme and host before it). Strings live in ctx. */
int query_parse(const void *talloc_ctx, const char *target, struct query *q, struct error *e) MUST_CHECK;
const char *query_get(const struct query *q, const char *name); /* NULL: not given */
bool query_is_word_of(const char *word, const char *words);     /* words with single spaces between them */
/* Every parameter is one of `known` (names separated by spaces). */
int query_check(const struct query *q, const char *known, struct error *e) MUST_CHECK;
int query_get_int(const struct query *q, const char *name, int64_t def, int64_t min, int64_t max, int64_t *out,
                  struct error *e) MUST_CHECK;

/* Where the next page of a list begins: the row after (created_us, id) in falling order. Opaque text to clients. */
struct cursor {
    int64_t created_us;
    struct uuid id;
};
#define CURSOR_TEXT_MAX 64
void cursor_format(const struct cursor *c, char out[CURSOR_TEXT_MAX]);
int cursor_parse(const char *s, struct cursor *c); /* 0 or -EINVAL */

#endif
