/*
 * search.c - GET /v1/search: the passages nearest to a text
 *
 * The query is embedded by the model of the space that its collection is searched in; if a flip comes between, it is
 * embedded once more. builtin takes microseconds for a text of
 * at most QUERY_TEXT_MAX bytes, so it runs in the loop; an outside service is waited for like the database (embed.h),
 * and not asked while it is known that the database could not be asked afterwards.
 *
 * Depends on base, core, db, provider.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/collections.h"
#include "api/embed.h"
#include "api/handlers.h"
#include "core/reason.h"
#include "provider/embedder.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define QUERY_TEXT_MAX       4000
#define SEARCH_LIMIT_DEFAULT 10
#define SEARCH_LIMIT_MAX     200

static const char search_sql[] =
    "SELECT document_id, filename, chunk_id, ord, heading_path, page, score, text, byte_start, byte_end "
    "FROM upload_pipeline.search_chunks($1, $2, $3, $4, $5, $6, $7, $8)";

/* What the text is embedded for. */
struct search {
    struct collection_space space;
    bool again; /* the space may have changed: asked for once more */
    struct error why;
};

static const struct answer_column columns[] = {
    {"document_id", AS_UUID},  {"filename", AS_TEXT}, {"chunk_id", AS_UUID}, {"ord", AS_INT},
    {"heading_path", AS_TEXT}, {"page", AS_INT},      {"score", AS_FLOAT},   {"text", AS_TEXT},
    {"byte_start", AS_INT},    {"byte_end", AS_INT},
};

static int search_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *list = json_array();

    (void)e;
    for (int i = 0; i < PQntuples(res); i++) {
        json_t *j = json_object();
        answer_add_row(j, res, i, 0, columns, sizeof columns / sizeof columns[0]);
        json_array_append_new(list, j);
    }
    request_answer(r, 200, json_pack("{s:o}", "results", list));
    return 0;
}

static int check_text(const char *q, struct error *e)
{
    if (q == NULL || q[strspn(q, " \t\r\n")] == '\0') {
        reason_error(e, REASON_bad_request, EINVAL, "The parameter q is missing or blank.");
        error_hint(e, "GET /v1/search?q=TEXT&limit=N&collection=NAME");
        return -EINVAL;
    }
    if (strlen(q) > QUERY_TEXT_MAX)
        return reason_error(e, REASON_bad_request, E2BIG, "q is longer than %d bytes.", QUERY_TEXT_MAX);
    return 0;
}

static int asked(struct request *r, struct error *e);
static int embed(struct request *r, const struct collection_space *space, struct error *e);

static int refused(struct request *r, const char *sqlstate, struct error *e)
{
    struct search *s = r->work;

    collections_sqlstate(sqlstate, e);
    if (strcmp(sqlstate, "DM005") != 0)
        return e->code;
    if (s->again)
        return reason_error(e, REASON_not_ready, EAGAIN, "The collection changes its embedding space just now.");
    s->again = true;
    return collections_ask(r, asked, e);
}

/* The old space's model may be gone because there is a new one. */
static int asked_again(struct request *r, struct error *e)
{
    const struct search *s = r->work;
    const struct collection_space *space = collections_get(r, collections_named(r), e);

    if (space == NULL)
        return e->code;
    if (strcmp(space->model, s->space.model) != 0 || space->dimension != s->space.dimension) {
        r->retry_after_s = 0;
        return embed(r, space, e);
    }
    *e = s->why;
    return e->code != 0 ? e->code : -EIO;
}

static int not_embedded(struct request *r, struct error *e)
{
    struct search *s = r->work;

    if (s->again)
        return e->code != 0 ? e->code : -EIO;
    s->again = true;
    s->why = *e;
    return collections_ask(r, asked_again, e);
}

static int find_passages(struct request *r, const float *v, struct error *e)
{
    const struct search *s = r->work;
    struct pg_params *p;
    int64_t limit = 0;
    int rc = query_get_int(&r->query, "limit", SEARCH_LIMIT_DEFAULT, 1, SEARCH_LIMIT_MAX, &limit, e);

    if (rc != 0)
        return rc;
    p = request_sql(r, search_sql, true);
    dbpool_add_vector(r->call, v, s->space.dimension);
    pg_add_text(p, query_get(&r->query, "q"));
    pg_add_int4(p, (int32_t)limit);
    pg_add_int4(p, (int32_t)r->api->conf->search_exact_limit);
    pg_add_text(p, s->space.collection);
    pg_add_text(p, s->space.model);
    pg_add_int4(p, s->space.version);
    pg_add_int4(p, s->space.dimension);
    return request_wait_db_or(r, search_rows, refused, e);
}

static int embed_here(struct request *r, const char *q, struct error *e)
{
    const struct search *s = r->work;
    const struct embed_input in = {.text = q, .len = strlen(q)};
    float *v = talloc_array(r, float, (unsigned)s->space.dimension);
    int rc = v != NULL ? embed_batch(&in, 1, s->space.dimension, v, e)
                       : reason_error(e, REASON_internal, ENOMEM, "out of memory");

    return rc != 0 ? rc : find_passages(r, v, e);
}

/* With the space that is to be searched. */
static int embed(struct request *r, const struct collection_space *space, struct error *e)
{
    struct search *s = r->work;
    const char *q = query_get(&r->query, "q");
    const float *known;

    s->space = *space;
    if (space->version != embedder_version(space->model))
        return reason_error(e, REASON_not_ready, ENOTSUP, "The collection's vectors are of another version of %s.",
                            space->model);
    if (embedder_is_builtin(space->model))
        return embed_here(r, q, e);
    if (r->api->embed == NULL)
        return reason_error(
            e, REASON_provider_away, ENOTSUP,
            "The collection's vectors are of an outside model, and no embeddings service is configured.");
    known = embed_known(r->api->embed, space->model, space->dimension, q);
    return known != NULL
               ? find_passages(r, known, e)
               : request_wait_vector(r, s->space.model, s->space.dimension, q, find_passages, not_embedded, e);
}

static int asked(struct request *r, struct error *e)
{
    const struct collection_space *space = collections_get(r, collections_named(r), e);

    return space != NULL ? embed(r, space, e) : e->code;
}

int search_get(struct request *r, struct error *e)
{
    const struct collection_space *space;
    int64_t limit = 0;
    int rc = check_text(query_get(&r->query, "q"), e);

    if (rc == 0)
        rc = query_get_int(&r->query, "limit", SEARCH_LIMIT_DEFAULT, 1, SEARCH_LIMIT_MAX, &limit, e);
    if (rc == 0)
        rc = dbpool_check(r->api->db, e);
    if (rc != 0)
        return rc;
    r->work = talloc_zero(r, struct search);
    if (r->work == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    space = collections_known(r, collections_named(r));
    return space != NULL ? embed(r, space, e) : collections_ask(r, asked, e);
}
