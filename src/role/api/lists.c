/* lists.c - see lists.h */
#include "api/lists.h"
#include "core/reason.h"

#include <errno.h>
#include <string.h>

int list_page_of(const struct request *r, struct list_page *page, struct error *e)
{
    const char *after = query_get(&r->query, "after");
    int64_t limit = 0;
    int rc = query_get_int(&r->query, "limit", LIST_LIMIT_DEFAULT, 1, LIST_LIMIT_MAX, &limit, e);

    if (rc != 0)
        return rc;
    page->limit = (int)limit;
    page->after.created_us = INT64_C(1) << 52; /* later than any row: the first page */
    memset(&page->after.id, 0xff, sizeof page->after.id);
    if (after != NULL && cursor_parse(after, &page->after) != 0) {
        reason_error(e, REASON_bad_request, EINVAL, "after is not a cursor of this list.");
        error_hint(e, "Give the value of `next` of the page before, as it was.");
        return -EINVAL;
    }
    return 0;
}

void list_add_page(struct pg_params *p, const struct list_page *page)
{
    pg_add_int8(p, page->after.created_us);
    pg_add_uuid(p, &page->after.id);
    pg_add_int8(p, page->limit);
}

int list_answer(struct request *r, const PGresult *res, const char *name, json_t *(*row)(const PGresult *res, int i),
                struct error *e)
{
    json_t *list = json_array();
    json_t *j = json_object();
    int n = PQntuples(res);
    int64_t limit = LIST_LIMIT_DEFAULT;
    struct cursor c;
    char next[CURSOR_TEXT_MAX];

    if (query_get_int(&r->query, "limit", LIST_LIMIT_DEFAULT, 1, LIST_LIMIT_MAX, &limit, e) != 0)
        limit = LIST_LIMIT_MAX; /* it was checked before the statement was sent */
    for (int i = 0; i < n; i++)
        json_array_append_new(list, row(res, i));
    json_object_set_new(j, name, list);
    if (n > 0 && n == limit) {
        pg_get_uuid(res, n - 1, 0, &c.id);
        c.created_us = pg_get_int(res, n - 1, 1);
        cursor_format(&c, next);
        json_object_set_new(j, "next", json_string(next));
    } else {
        json_object_set_new(j, "next", json_null());
    }
    request_answer(r, 200, j);
    return 0;
}
