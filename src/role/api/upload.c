/*
 * upload.c - POST /v1/documents: bytes in, a document and its job out
 *
 *   headers  limits that can be known already are checked before a byte is read
 *   body     streamed into the blob store, whose writer hashes; never more than limits.max_upload
 *   end      may it become a document? The database is asked before the bytes get a name
 *   then     on a helper thread: what is it (by its bytes), then commit: synced and under its final name
 *   then     one SQL call makes document and job; workers are woken
 *
 * A job exists only after its bytes are durable. Whatever fails before the commit leaves nothing behind: freeing the
 * request frees the writer, which removes what it wrote. So a user over the limit fills no disk. Should the database
 * refuse after the commit all the same (it went away meanwhile, uploads beside this one reached the limit), a blob stays
 * that no document names; it is not removed here, since another upload of the same bytes may be about to rely on it, but
 * by the workers (role/worker/leftovers.c). Their rule is why an upload that comes to its row too late is refused.
 *
 * Depends on base, core, db, text (the chunker's number), blob, provider.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/collections.h"
#include "api/handlers.h"
#include "api/stores.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/ids.h"
#include "core/reason.h"
#include "provider/sniff.h"
#include "text/chunker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <talloc.h>

#define FILENAME_MAX_BYTES 255

struct upload {
    struct stores *stores;
    struct blob_store *store;
    struct blob_writer *writer;
    const char *filename;
    enum sniff_type declared; /* by the client; SNIFF_UNKNOWN: says nothing */
    int lane;
    struct sha256 *hasher; /* NULL: the client announced no hash */
    uint8_t announced[SHA256_BYTES];
    /* filled by the helper thread */
    int rc;
    struct error error;
    enum sniff_type type;
    uint8_t sha256[SHA256_BYTES];
    int64_t size;
    int64_t committed_ms;
};

static const char may_sql[] = "SELECT upload_pipeline.may_submit($1, $2, $3)";
static const char submit_sql[] =
    "SELECT document_id, job_id, created, status, state, generation FROM upload_pipeline.submit_document("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

static int upload_destroy(struct upload *u)
{
    sha256_free(&u->hasher);
    if (u->writer != NULL)
        blob_abort(&u->writer);
    stores_give(u->stores, &u->store);
    return 0;
}

/* Whether the store works at all is found out by its probe, not by one file. */
static void doubt_storage(const struct request *r, const struct error *e)
{
    if (strncmp(e->reason, "blob_", 5) == 0)
        stores_doubt(r->api->stores);
}

/* ---- headers ---- */

static int too_large(const struct request *r, struct error *e)
{
    reason_error(e, REASON_too_large, EFBIG, "The file is larger than %" PRId64 " bytes.",
                 r->api->conf->limits_max_upload);
    error_hint(e, "The limit is limits.max_upload of the server's configuration.");
    return -EFBIG;
}

static int check_length(const struct request *r, struct error *e)
{
    const struct request_headers *h = &r->headers;

    if (h->content_length < 0 && !h->chunked)
        return reason_error(e, REASON_length_required, EINVAL, NULL);
    if (h->content_length == 0)
        return reason_error(e, REASON_empty_file, EINVAL, NULL);
    if (h->content_length > r->api->conf->limits_max_upload)
        return too_large(r, e);
    return 0;
}

static int take_filename(const struct request *r, struct upload *u, struct error *e)
{
    const char *name = query_get(&r->query, "filename");

    if (name == NULL || name[0] == '\0') {
        reason_error(e, REASON_bad_request, EINVAL, "The parameter filename is missing.");
        error_hint(e, "POST /v1/documents?filename=NAME with the file's bytes as the body.");
        return -EINVAL;
    }
    if (strlen(name) > FILENAME_MAX_BYTES)
        return reason_error(e, REASON_bad_request, EINVAL, "filename is longer than %d bytes.", FILENAME_MAX_BYTES);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == '/' || *c == 0x7f)
            return reason_error(e, REASON_bad_request, EINVAL, "filename holds a slash or a control character.");
    u->filename = talloc_strdup(u, name);
    return 0;
}

static int take_options(const struct request *r, struct upload *u, struct error *e)
{
    const char *lane = query_get(&r->query, "lane");
    const char *hash = r->headers.content_sha256;
    char mime[128];

    u->lane = lane != NULL ? lane_parse(lane) : LANE_INTERACTIVE;
    if (u->lane < 0)
        return reason_error(e, REASON_bad_request, EINVAL, "lane must be interactive or bulk.");
    if (hash != NULL) {
        if (strlen(hash) != SHA256_HEX_LEN || hex_decode(hash, SHA256_HEX_LEN, u->announced) != 0)
            return reason_error(e, REASON_bad_request, EINVAL, "X-Content-SHA256 is not 64 hex digits.");
        u->hasher = sha256_new();
        if (u->hasher == NULL)
            return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    }
    if (r->headers.content_type != NULL) {
        size_t n = strcspn(r->headers.content_type, "; \t");
        snprintf(mime, sizeof mime, "%.*s", (int)(n < sizeof mime ? n : sizeof mime - 1), r->headers.content_type);
        u->declared = sniff_by_mime(mime);
    }
    return 0;
}

int upload_begin(struct request *r, struct error *e)
{
    struct upload *u = talloc_zero(r, struct upload);
    int rc;

    r->work = u;
    if (u == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    u->stores = r->api->stores;
    talloc_set_destructor(u, upload_destroy);
    rc = check_length(r, e);
    if (rc == 0)
        rc = take_filename(r, u, e);
    if (rc == 0)
        rc = take_options(r, u, e);
    if (rc == 0)
        rc = dbpool_check(r->api->db, e);
    if (rc == 0 && services_differs(r->api->child.services)) /* it might go where the others do not look */
        rc = reason_error(e, REASON_config_differs, EBUSY, NULL);
    if (rc != 0)
        return rc;
    u->store = stores_take(u->stores, e);
    if (u->store != NULL)
        u->writer = blob_begin(u->store, &r->user, e);
    doubt_storage(r, e);
    if (u->writer == NULL)
        return e->code != 0 ? e->code : reason_error(e, REASON_internal, EIO, "blob store: no error given");
    return 0;
}

/* ---- body ---- */

int upload_data(struct request *r, const void *p, size_t n, struct error *e)
{
    struct upload *u = r->work;
    int rc = 0;

    if (blob_written(u->writer) + (int64_t)n > r->api->conf->limits_max_upload)
        rc = too_large(r, e);
    if (rc == 0)
        rc = blob_write(u->writer, p, n, e);
    doubt_storage(r, e);
    if (rc != 0)
        blob_abort(&u->writer); /* at once: the rest of the body may take its time */
    else if (u->hasher != NULL)
        sha256_update(u->hasher, p, n);
    return rc;
}

/* ---- on a helper thread ---- */

static bool is_text(enum sniff_type t)
{
    return t == SNIFF_MARKDOWN || t == SNIFF_TEXT;
}

static int check_type(struct upload *u, bool mismatch, const char *detail)
{
    if (u->type == SNIFF_UNKNOWN) {
        reason_error(&u->error, REASON_unsupported_type, EINVAL, "The bytes are %s, for which there is no parser.",
                     detail[0] != '\0' ? detail : "of a type that is not known");
        error_hint(&u->error, "PDF, HTML, Markdown, plain text, DOCX, ODT and EPUB are accepted.");
        return -EINVAL;
    }
    if (mismatch) {
        reason_error(&u->error, REASON_type_mismatch, EINVAL, "The name %.100s does not fit the content, which is %s.",
                     u->filename, sniff_mime(u->type));
        error_hint(&u->error, "Give the file the ending of what it is.");
        return -EINVAL;
    }
    if (u->declared == SNIFF_MARKDOWN && u->type == SNIFF_TEXT)
        u->type = SNIFF_MARKDOWN;
    if (u->declared != SNIFF_UNKNOWN && u->declared != u->type && !(is_text(u->declared) && is_text(u->type))) {
        reason_error(&u->error, REASON_type_mismatch, EINVAL, "Content-Type says %s, the content is %s.",
                     sniff_mime(u->declared), sniff_mime(u->type));
        error_hint(&u->error, "Leave Content-Type out, or send application/octet-stream.");
        return -EINVAL;
    }
    return 0;
}

static int sniff_upload(struct upload *u)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* libmagic's state is not for several threads */
    bool mismatch = false;
    char detail[128] = "";
    int rc;

    pthread_mutex_lock(&one_at_a_time);
    rc = sniff_fd(blob_writer_fd(u->writer), blob_written(u->writer), u->filename, &mismatch, detail, &u->error);
    pthread_mutex_unlock(&one_at_a_time);
    if (rc < 0)
        return rc;
    u->type = (enum sniff_type)rc;
    return check_type(u, mismatch, detail);
}

static void upload_work(void *arg)
{
    struct upload *u = arg;

    u->rc = sniff_upload(u);
    u->committed_ms = clock_ms(); /* before rather than after it */
    if (u->rc == 0)
        u->rc = blob_commit(&u->writer, u->sha256, &u->size, &u->error);
}

/* ---- end ---- */

static void submit_sqlstate(const char *sqlstate, struct error *e)
{
    if (strcmp(sqlstate, "DM001") == 0) {
        reason_error(e, REASON_too_many_active, EDQUOT, NULL);
        error_hint(e, "Wait until some of your documents are complete.");
    } else {
        collections_sqlstate(sqlstate, e);
    }
}

static int submit_rows(struct request *r, const PGresult *res, struct error *e)
{
    static const struct answer_column columns[] = {
        {"document_id", AS_UUID}, {"job_id", AS_UUID}, {"created", AS_BOOL},
        {"status", AS_STATUS},    {"state", AS_STATE}, {"generation", AS_INT},
    };
    struct upload *u = r->work;
    char id[UUID_TEXT_LEN + 1];
    struct uuid document;
    json_t *j;

    if (PQntuples(res) != 1)
        return reason_error(e, REASON_internal, EPROTO, "submit_document returned %d rows", PQntuples(res));
    pg_get_uuid(res, 0, 0, &document);
    uuid_format(&document, id);
    r->answer.location = talloc_asprintf(r, "/v1/documents/%s", id);
    j = json_object();
    answer_add_row(j, res, 0, 0, columns, sizeof columns / sizeof columns[0]);
    request_answer(r, pg_get_bool(res, 0, 2) ? 202 : 200, j);
    api_wake_workers(r->api, u->lane);
    return 0;
}

/* A blob is safe without a row for retention.blobs; half of that is for the way to the row. */
static int check_in_time(const struct upload *u, const struct conf *c, struct error *e)
{
    if (clock_ms() - u->committed_ms < c->retention_blobs / 4)
        return 0;
    return reason_error(e, REASON_blob_busy, ETIMEDOUT, "The upload took too long to be stored; try again.");
}

/* The configuration takes only names of TOKENIZERS, and each of them has a chunker. */
static int16_t chunker_number(const struct conf *c)
{
    return (int16_t)chunker_by_tokenizer((enum tokenizer)tokenizer_by_name(c->chunk_tokenizer))->id;
}

static int upload_worked(struct request *r, struct error *e)
{
    const struct conf *c = r->api->conf;
    struct upload *u = r->work;
    struct pg_params *p;
    struct uuid document;
    int rc;

    if (u->rc != 0) {
        *e = u->error;
        doubt_storage(r, e);
        return u->rc;
    }
    if ((rc = check_in_time(u, c, e)) != 0)
        return rc;
    ids_document_in(&r->user, u->sha256, collections_named(r), &document);
    p = request_sql(r, submit_sql, true);
    pg_add_uuid(p, &document);
    pg_add_text(p, u->filename);
    pg_add_text(p, sniff_mime(u->type));
    pg_add_int8(p, u->size);
    pg_add_bytea(p, u->sha256, sizeof u->sha256);
    pg_add_int2(p, (int16_t)u->lane);
    pg_add_text(p, collections_named(r));
    pg_add_int2(p, chunker_number(c));
    pg_add_int8(p, c->limits_user_active);
    pg_add_uuid(p, &r->correlation);
    return request_wait_db(r, submit_rows, submit_sqlstate, e);
}

/* ---- before the commit ---- */

static int may_rows(struct request *r, const PGresult *res, struct error *e)
{
    struct upload *u = r->work;

    (void)res;
    u->rc = reason_error(&u->error, REASON_draining, ECANCELED, NULL); /* if the thread never comes to it */
    return request_wait_work(r, upload_work, u, upload_worked, e);
}

static int ask_whether(struct request *r, struct upload *u, struct error *e)
{
    struct pg_params *p = request_sql(r, may_sql, true);
    struct uuid document;

    ids_document_in(&r->user, blob_writer_hash(u->writer), collections_named(r), &document);
    pg_add_uuid(p, &document);
    pg_add_text(p, collections_named(r));
    pg_add_int8(p, r->api->conf->limits_user_active);
    return request_wait_db(r, may_rows, submit_sqlstate, e);
}

int upload_end(struct request *r, struct error *e)
{
    struct upload *u = r->work;
    uint8_t found[SHA256_BYTES];

    if (blob_written(u->writer) == 0)
        return reason_error(e, REASON_empty_file, EINVAL, NULL);
    if (u->hasher != NULL) {
        sha256_final(u->hasher, found);
        if (memcmp(found, u->announced, sizeof found) != 0)
            return reason_error(e, REASON_hash_mismatch, EBADMSG, NULL);
    }
    return ask_whether(r, u, e);
}
