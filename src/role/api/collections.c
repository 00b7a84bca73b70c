/* collections.c - see collections.h */
#include "api/collections.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define BELIEVED_MS 3000

static const char list_sql[] = "SELECT c.name, s.model, s.version, s.dimension FROM upload_pipeline.collections c "
                               "LEFT JOIN upload_pipeline.embedding_spaces s ON s.space = c.live_space ORDER BY c.id";

struct collections {
    struct collection_space *list;
    int n;
    int64_t asked_ms; /* 0: never */
};

struct collections *collections_new(const void *talloc_parent)
{
    struct collections *c = talloc_zero(talloc_parent, struct collections);

    if (c == NULL)
        log_panic("collections", "out of memory");
    return c;
}

static const struct collection_space *find(const struct collections *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->list[i].collection, name) == 0)
            return &c->list[i];
    return NULL;
}

const struct collection_space *collections_known(const struct request *r, const char *name)
{
    const struct collections *c = r->api->collections;
    const struct collection_space *one = c->asked_ms + BELIEVED_MS > clock_ms() ? find(c, name) : NULL;

    return one != NULL && one->dimension > 0 ? one : NULL;
}

static void copy_text(char *to, size_t size, const char *from)
{
    strncpy(to, from != NULL ? from : "", size - 1);
    to[size - 1] = '\0';
}

static int list_rows(struct request *r, const PGresult *res, struct error *e)
{
    struct collections *c = r->api->collections;

    TALLOC_FREE(c->list);
    c->n = PQntuples(res);
    c->list = talloc_zero_array(c, struct collection_space, (unsigned)c->n);
    if (c->list == NULL)
        log_panic("collections", "out of memory");
    for (int i = 0; i < c->n; i++) {
        copy_text(c->list[i].collection, sizeof c->list[i].collection, pg_get_text(res, i, 0));
        copy_text(c->list[i].model, sizeof c->list[i].model, pg_get_text(res, i, 1));
        c->list[i].version = (int)pg_get_int(res, i, 2);
        c->list[i].dimension = (int)pg_get_int(res, i, 3);
    }
    c->asked_ms = clock_ms();
    return r->next(r, e);
}

int collections_ask(struct request *r, request_next next, struct error *e)
{
    (void)request_sql(r, list_sql, true);
    r->next = next;
    return request_wait_db(r, list_rows, NULL, e);
}

static void not_there_yet(struct error *e)
{
    reason_error(e, REASON_not_ready, EAGAIN, "The collection's embedding space is not there yet.");
    error_hint(e, "The coordinator makes it when it starts: look at `docmillctl health`.");
}

static void no_such(const struct collections *c, const char *name, struct error *e)
{
    char *names = talloc_strdup(NULL, "");

    for (int i = 0; i < c->n; i++)
        names = talloc_asprintf_append(names, "%s%s", i > 0 ? ", " : "", c->list[i].collection);
    reason_error(e, REASON_not_found, ENOENT, "There is no collection \"%.40s\". There are: %s.", name, names);
    talloc_free(names);
}

const struct collection_space *collections_get(const struct request *r, const char *name, struct error *e)
{
    const struct collection_space *one = find(r->api->collections, name);

    if (one != NULL && one->dimension > 0)
        return one;
    if (one == NULL)
        no_such(r->api->collections, name, e);
    else
        not_there_yet(e);
    return NULL;
}

const char *collections_named(const struct request *r)
{
    const char *name = query_get(&r->query, "collection");

    return name != NULL ? name : "default";
}

/* The function's own words name those there are: "There is no ... There are: ... (SQLSTATE DM004)". */
void collections_sqlstate(const char *sqlstate, struct error *e)
{
    const struct error had = *e;
    const char *end = strstr(had.message, " (SQLSTATE");

    if (strcmp(sqlstate, "DM002") == 0)
        not_there_yet(e);
    else if (strcmp(sqlstate, "DM004") == 0)
        reason_error(e, REASON_not_found, ENOENT, "%.*s",
                     (int)(end != NULL ? end - had.message : (ptrdiff_t)strlen(had.message)), had.message);
}
