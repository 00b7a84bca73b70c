/* test_support_queue.c - see queue_test.h */
#include "queue_test.h"

#include "core/ids.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct pg *qt_connect(const struct pg_options *o)
{
    struct error e;
    struct pg *p = pg_new(NULL, o);

    cr_assert_eq(pg_connect(p, &e), 0, "%s", e.message);
    return p;
}

static struct pg *connect_as(const char *url, const char *role)
{
    struct pg_options o = {.url = url,
                           .role = role,
                           .application = "docmill test",
                           .connect_timeout_ms = 10000,
                           .statement_timeout_ms = 10000};

    return qt_connect(&o);
}

struct qt *qt_open(const char *name)
{
    struct qt *q = talloc_zero(NULL, struct qt);

    q->ctx = q;
    q->url = db_test_migrated(q, name);
    q->admin = connect_as(q->url, NULL);
    q->worker = connect_as(q->url, "docmill_worker");
    q->other = connect_as(q->url, "docmill_worker");
    q->api = connect_as(q->url, "docmill_api");
    db_test_run(q->worker, "SELECT ensure_collection('default', 'builtin', 1, 8, 'cosine', 'none')");
    return q;
}

void qt_close(struct qt *q)
{
    pg_free(&q->admin);
    pg_free(&q->worker);
    pg_free(&q->other);
    pg_free(&q->api);
    talloc_free(q);
}

struct uuid qt_user(int n)
{
    char name[32];
    struct uuid u;

    snprintf(name, sizeof name, "user%d", n);
    ids_user_by_name(name, &u);
    return u;
}

const char *qt_id(struct qt *q, const struct uuid *id)
{
    char text[UUID_TEXT_LEN + 1];

    uuid_format(id, text);
    return talloc_asprintf(q, "'%s'", text);
}

struct uuid qt_submit(struct qt *q, int user, int seed, int lane, int64_t bytes)
{
    struct uuid u = qt_user(user), document, job;
    uint8_t hash[SHA256_BYTES];
    struct error e;
    PGresult *r;
    char *sql;

    sha256_of(&seed, sizeof seed, hash);
    ids_document(&u, hash, &document);
    sql = talloc_asprintf(q, "SELECT set_config('request.jwt.claims', '{\"sub\":\"' || %s || '\"}', false);",
                          qt_id(q, &u));
    db_test_run(q->api, sql);
    sql = talloc_asprintf(q,
                          "SELECT job_id FROM submit_document(%s::uuid, 'f%d.md', 'text/markdown', %lld,"
                          " sha256('%d'::bytea), %d::smallint, 'default', 1::smallint, 1000, gen_random_uuid())",
                          qt_id(q, &document), seed, (long long)bytes, seed, lane);
    struct pg_params none;
    pg_params_init(&none, q);
    r = pg_exec(q->api, sql, &none, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    pg_get_uuid(r, 0, 0, &job);
    PQclear(r);
    q->n_documents++;
    return job;
}

struct queue_job *qt_claim(struct qt *q, struct pg *p, int64_t child, int want, int *n)
{
    struct queue_owner o = {7, child};
    struct queue_filter f = {.lane_min = 0, .lane_max = 32767};
    struct queue_job *jobs;
    struct error e;

    *n = queue_claim(p, q, &o, &f, want, 60000, &jobs, &e);
    cr_assert_geq(*n, 0, "%s", e.message);
    return jobs;
}

struct queue_job *qt_claim_one(struct qt *q)
{
    int n;
    struct queue_job *j = qt_claim(q, q->worker, 1, 1, &n);

    cr_assert_eq(n, 1);
    return j;
}

struct queue_work qt_work(struct qt *q, const struct queue_job *j, int n_chunks)
{
    struct queue_chunk *chunks = talloc_zero_array(q, struct queue_chunk, (unsigned)n_chunks);
    float *vectors = talloc_zero_array(q, float, (unsigned)(n_chunks * QT_DIM));
    uint8_t *hash = talloc_array(q, uint8_t, SHA256_BYTES);
    static const uint32_t start[] = {0};

    sha256_of(&j->document_id, sizeof j->document_id, hash);
    for (int i = 0; i < n_chunks; i++) {
        char *text = talloc_asprintf(q, "chunk %d of %s", i, j->filename);
        ids_chunk(&j->document_id, "markdown-simple", 1, i, &chunks[i].chunk_id);
        chunks[i].ord = i;
        chunks[i].tokens = 4;
        chunks[i].page = 1;
        chunks[i].byte_start = i * 10;
        chunks[i].byte_end = i * 10 + 10;
        chunks[i].heading_path = "A > B";
        chunks[i].text = text;
        chunks[i].text_len = strlen(text);
        vectors[i * QT_DIM + i % QT_DIM] = 1;
    }
    return (struct queue_work){.job = j,
                               .from_status = j->status,
                               .to_status = STATUS_COMPLETE,
                               .set_parsed = true,
                               .parsed_sha256 = hash,
                               .parsed_bytes = n_chunks * 10,
                               .parsed_by = "local",
                               .pages = 1,
                               .page_starts = start,
                               .n_page_starts = 1,
                               .chunks = chunks,
                               .n_chunks = n_chunks,
                               .vectors = vectors,
                               .n_vectors = n_chunks,
                               .expected_chunks = n_chunks,
                               .hops = {{STATUS_PARSE_QUEUED, 3}, {STATUS_PARSED, 1}, {STATUS_CHUNKING, 2}},
                               .n_hops = 3};
}

int qt_store(struct qt *q, struct queue_work *work, int n)
{
    struct error e = {0};
    int rc = queue_store(q->worker, work, n, QT_DIM, 60000, INT64_MAX, &e);

    if (rc != 0)
        fprintf(stderr, "store: %s\n", e.message);
    return rc;
}

int64_t qt_int(struct qt *q, const char *fmt, ...)
{
    va_list ap;
    char *sql;

    va_start(ap, fmt);
    sql = talloc_vasprintf(q, fmt, ap);
    va_end(ap);
    return db_test_int(q->admin, sql);
}

void qt_run(struct qt *q, const char *fmt, ...)
{
    va_list ap;
    char *sql;

    va_start(ap, fmt);
    sql = talloc_vasprintf(q, fmt, ap);
    va_end(ap);
    db_test_run(q->admin, sql);
}
