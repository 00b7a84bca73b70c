/*
 * lists.h - pages of a list, shared by documents and jobs
 *
 * A list statement orders by (created_at, id) falling; column 0 is the id, column 1 created_at in microseconds.
 */
#ifndef API_LISTS_H
#define API_LISTS_H

#include "api/request.h"

#define LIST_LIMIT_DEFAULT 50
#define LIST_LIMIT_MAX     1000

struct list_page {
    struct cursor after;
    int limit;
};

/* From the parameters `limit` and `after`. */
int list_page_of(const struct request *r, struct list_page *page, struct error *e) MUST_CHECK;
/* Adds created_us, id, and limit. */
void list_add_page(struct pg_params *p, const struct list_page *page);
/* Answers {"<name>": [...], "next": cursor or null}; a full page has a next one. */
int list_answer(struct request *r, const PGresult *res, const char *name, json_t *(*row)(const PGresult *res, int i),
                struct error *e) MUST_CHECK;

#endif
