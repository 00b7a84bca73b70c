/*
 * fuzz_api_request.c - a request target of any bytes: parsed, routed, its cursor read
 *
 * Beyond not crashing: what is accepted is UTF-8 without NUL or escape characters, a cursor that is read is written
 * back the same, and a route is found only for a path that it fits.
 */
#include "api/query.h"
#include "api/route.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static void check_text(const char *s)
{
    if (!utf8_valid(s, strlen(s), NULL) || strchr(s, '\033') != NULL)
        abort();
}

static void check_cursor(const char *s)
{
    char text[CURSOR_TEXT_MAX];
    struct cursor c;
    struct cursor again;

    if (cursor_parse(s, &c) != 0)
        return;
    cursor_format(&c, text);
    if (cursor_parse(text, &again) != 0 || again.created_us != c.created_us || !uuid_equal(&again.id, &c.id))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "DELETE", "PUT"};
    void *ctx = talloc_new(NULL);
    char *target = talloc_strndup(ctx, (const char *)data, size);
    const struct route *route = NULL;
    struct error e = {0};
    struct query q;
    struct uuid id;
    char allow[64], token[REQUEST_TOKEN_MAX + 1];
    int64_t n;

    check_cursor(target);
    if (query_parse(ctx, target, &q, &e) == 0) {
        check_text(q.path);
        for (int i = 0; i < q.n; i++) {
            check_text(q.params[i].name);
            check_text(q.params[i].value);
            check_cursor(q.params[i].value);
            if (query_get_int(&q, q.params[i].name, 1, 1, 1000, &n, &e) == 0 && (n < 1 || n > 1000))
                abort();
        }
        if (route_find(methods[size % 5], q.path, &route, &id, token, allow, &e) == 0 &&
            strchr(route->path, '{') == NULL && strcmp(route->path, q.path) != 0)
            abort();
        if (strstr(q.path, "/webhooks/llamaparse/") == q.path + 3 && token[0] != '\0' &&
            strstr(route_shown(q.path), token) != NULL && strstr("/v1/webhooks/llamaparse/{token}", token) == NULL)
            abort();
        if (route != NULL && query_check(&q, route->params, &e) == 0)
            for (int i = 0; i < q.n; i++)
                if (strstr(route->params, q.params[i].name) == NULL)
                    abort();
    }
    talloc_free(ctx);
    return 0;
}
