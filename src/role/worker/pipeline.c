/*
 * pipeline.c - one job through its stages
 *
 * Starts wherever the database says an earlier attempt got to: the parsed text is durable from parse_validated on, the
 * chunk rows from chunks_stored on, vectors as they were stored. A small document goes from its bytes to `complete` in
 * one transaction (batch.c); a costly parse is made durable by itself, and a large document stores its rows in slices,
 * so that neither is paid for twice.
 *
 * Every text and byte that comes back from storage is checked against its hash before it is believed.
 *
 * Depends on base, core, text, blob, provider, queue.
 */
#include "worker/outside.h"
#include "worker/parse_remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/ids.h"
#include "provider/embedder.h"
#include "provider/parser.h"
#include "text/chunker.h"
#include "text/normalise.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define WAITS 1 /* for an outside service */

int worker_space(struct worker *w, const struct queue_job *j, struct queue_space *out, struct error *e)
{
    int rc;

    for (int i = 0; i < w->n_spaces; i++) {
        if (w->spaces[i].space == j->space) {
            *out = w->spaces[i];
            return 0;
        }
    }
    if ((rc = queue_read_space(w->pg, j->space, out, e)) != 0)
        return rc;
    if (w->n_spaces < WORKER_MAX_SPACES)
        w->spaces[w->n_spaces++] = *out;
    return 0;
}

/* Whoever searches the log for a document finds how it ended. The message is left to the job: it may quote the file. */
static void log_failed(const struct queue_job *j, const struct queue_verdict *v)
{
    char document[UUID_TEXT_LEN + 1], job[UUID_TEXT_LEN + 1];

    if (!status_is_end(v->to_status))
        return;
    uuid_format(&j->document_id, document);
    uuid_format(&j->id, job);
    log_info("worker", "a document has failed", "document", document, "job", job, "status", status_name(v->to_status),
             "reason", v->reason, NULL);
}

int pipeline_fail(struct worker *w, struct hand *h, const struct error *why, struct error *e)
{
    struct queue_verdict v;
    int rc = queue_fail(w->pg, h->job, h->status, h->stage, why, &w->policy, &v, e);

    if (rc < 0)
        return rc;
    score_fault(w->child.score, (int)reason_parse(why->reason));
    if (rc == 1)
        log_failed(h->job, &v);
    hand_over(w, h, false, rc == 0);
    return 0;
}

/* ---- pauses ---- */

static bool paused(const struct passage *p, enum pause what)
{
    uint32_t mask = services_paused(p->w->child.services);

    return (pause_statuses(mask) & pause_statuses(PAUSE_BIT(what))) != 0;
}

/* What comes next rests, and all that was done is durable: the job goes back to the queue, at no cost. */
static int leave(struct passage *p, struct error *e)
{
    const struct queue_job *job = p->h->job;
    int rc = queue_hand_back(p->w->pg, &job, 1, e);

    if (rc != 0)
        return rc;
    p->h->passage = NULL;
    hand_leave(p->w, p->h);
    return 0;
}

/* ---- the parsed text's columns, and a step of one document ---- */

void passage_put_parsed(struct passage *p, struct queue_work *work)
{
    if (!p->fresh)
        return;
    work->set_parsed = true;
    work->parsed_plain = p->plain;
    work->parsed_sha256 = p->parsed_sha256;
    work->parsed_bytes = (int64_t)p->len;
    work->parsed_by = p->parsed_by;
    work->parsed_instead_of = p->parsed_instead_of;
    work->pages = p->pages;
    work->page_starts = p->normal.page_starts;
    work->n_page_starts = p->normal.n_pages;
}

/* Stores a step of this document alone. The hops so far go with the step that moves the status. */
int passage_store_step(struct passage *p, struct queue_work *work, struct error *e)
{
    int rc;

    work->job = p->h->job;
    work->from_status = p->h->status;
    if (work->to_status != work->from_status) {
        memcpy(work->hops, p->work.hops, sizeof work->hops);
        work->n_hops = p->work.n_hops;
    }
    rc = store_one(p->w, p->h, work, e);
    if (rc == 1 && work->n_hops > 0)
        p->work.n_hops = 0;
    if (rc == 1 && work->set_parsed)
        p->fresh = false;
    return rc;
}

/* ---- chunk ---- */

static int take_chunk(void *arg, const struct chunk *c)
{
    struct passage *p = arg;
    struct queue_chunk *q;

    if (c->ord >= p->w->conf->limits_max_chunks)
        return -E2BIG;
    if ((size_t)c->ord >= talloc_array_length(p->chunks))
        p->chunks = talloc_realloc(p->ctx, p->chunks, struct queue_chunk, (unsigned)c->ord * 2 + 16);
    q = &p->chunks[c->ord];
    ids_chunk(&p->h->job->document_id, p->chunker->name, p->chunker->version, c->ord, &q->chunk_id);
    q->ord = c->ord;
    q->tokens = c->tokens;
    q->page = c->page;
    q->overlap = (int)c->overlap;
    q->byte_start = (int64_t)c->start;
    q->byte_end = (int64_t)c->end;
    q->text = p->text + c->start - c->overlap;
    q->text_len = c->end - c->start + c->overlap;
    if (c->ord > 0 && strcmp(c->heading_path, p->chunks[c->ord - 1].heading_path) == 0)
        q->heading_path = p->chunks[c->ord - 1].heading_path;
    else
        q->heading_path = talloc_strdup(p->ctx, c->heading_path);
    p->n_chunks = c->ord + 1;
    if (c->ord % 256 == 255)
        worker_tick(p->w);
    return 0;
}

static int chunk(struct passage *p, struct error *e)
{
    struct chunk_options o;
    int64_t began = clock_ms();
    int rc;

    p->chunker = chunker_by_id(p->h->job->chunker);
    if (p->chunker == NULL)
        return reason_error(e, REASON_internal, ENOSYS, "chunker %d is not known to this version", p->h->job->chunker);
    o = (struct chunk_options){.max_tokens = (int)p->w->conf->chunk_max_tokens,
                               .overlap_tokens = (int)p->w->conf->chunk_overlap_tokens,
                               .plain = p->plain,
                               .tokenizer = p->chunker->tokenizer};
    hand_stage(p->w, p->h, STATUS_CHUNKING, STAGE_BUSY_MS);
    p->chunks = talloc_array(p->ctx, struct queue_chunk, 16);
    rc = chunk_text(p->text, p->len, p->normal.page_starts, p->pages > 0 ? p->normal.n_pages : 0, &o, take_chunk, p);
    if (rc == -E2BIG)
        return reason_error(e, REASON_too_many_chunks, E2BIG, NULL);
    if (rc != 0)
        return reason_error(e, REASON_internal, rc, "chunking failed");
    if (p->n_chunks == 0)
        return reason_error(e, REASON_parse_no_text, EINVAL, NULL);
    hand_stage_done(p->w, &p->work, STATUS_CHUNKING, began);
    return 0;
}

/* ---- embed ---- */

/* n chunks into vectors of the job's space; the array hangs on ctx. NULL with *e. */
float *passage_embed(struct passage *p, const void *ctx, const struct queue_chunk *chunks, int n, int dimension,
                     struct error *e)
{
    struct embed_input *in = talloc_array(ctx, struct embed_input, (unsigned)n);
    float *out = talloc_array(ctx, float, (unsigned)n *(unsigned)dimension);
    int per_call = (int)p->w->conf->embedder_batch_items;

    if (in == NULL || out == NULL) {
        (void)reason_error(e, REASON_internal, ENOMEM, "no memory for %d passages", n);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        in[i] = (struct embed_input){chunks[i].text, chunks[i].text_len};
    for (int i = 0; i < n; i += per_call) {
        int k = n - i < per_call ? n - i : per_call;
        if (embed_batch(in + i, k, dimension, out + (size_t)i * (size_t)dimension, e) != 0)
            return NULL;
        worker_tick(p->w);
    }
    return out;
}

/* Vectors come from a service: they are asked for when the chunk rows are durable. */
static bool embeds_outside(const struct passage *p)
{
    return !embedder_is_builtin(p->space.model);
}

/* Whether this node can embed for the space that the job has. */
static int find_space(struct passage *p, struct error *e)
{
    int rc = worker_space(p->w, p->h->job, &p->space, e);

    if (rc != 0)
        return rc;
    if (p->space.version != embedder_version(p->space.model))
        return error_set(e, ENOTSUP, ERR_RECOVERABLE, "internal",
                         "the job is for vectors of model %s version %d, this program makes version %d", p->space.model,
                         p->space.version, embedder_version(p->space.model));
    if (embeds_outside(p) && (p->w->outside == NULL || p->w->outside->embed == NULL))
        return error_set(e, ENOTSUP, ERR_RECOVERABLE, "provider_config",
                         "the job is for vectors of model %s, and openai.* of this node names no service",
                         p->space.model);
    return 0;
}

/* ---- a small document: everything in one transaction, with others ---- */

static int finish_small(struct passage *p, struct error *e)
{
    struct batch_item *it;
    float *vectors;
    int64_t began = clock_ms();

    hand_stage(p->w, p->h, STATUS_EMBEDDING_IN_PROGRESS, STAGE_BUSY_MS);
    vectors = passage_embed(p, p->ctx, p->chunks, p->n_chunks, p->space.dimension, e);
    if (vectors == NULL)
        return e->code;
    hand_stage_done(p->w, &p->work, STATUS_EMBEDDING_IN_PROGRESS, began);
    it = batch_add(p->w, p->h, p->ctx);
    passage_put_parsed(p, &it->work);
    if (it->work.set_parsed) { /* the passage goes, the item stays */
        it->work.parsed_sha256 = talloc_memdup(p->ctx, p->parsed_sha256, SHA256_BYTES);
    }
    it->work.to_status = STATUS_COMPLETE;
    it->work.clear_chunks = !p->fresh;
    it->work.chunks = p->chunks;
    it->work.n_chunks = p->n_chunks;
    it->work.vectors = vectors;
    it->work.n_vectors = p->n_chunks;
    it->work.expected_chunks = p->n_chunks;
    memcpy(it->work.hops, p->work.hops, sizeof it->work.hops);
    it->work.n_hops = p->work.n_hops;
    p->w->batch_chunks += p->n_chunks;
    p->w->batch_bytes += p->len;
    p->ctx = NULL; /* the batch owns it, and the passage in it */
    return 0;
}

/* ---- vectors from a service ---- */

/* The chunk rows of a small document, with those of others; the passage waits for its vectors. */
static void hold_small(struct passage *p)
{
    struct batch_item *it = batch_add(p->w, p->h, talloc_new(NULL));

    passage_put_parsed(p, &it->work);
    it->work.to_status = STATUS_EMBEDDING_QUEUED;
    it->work.clear_chunks = !p->fresh;
    it->work.chunks = p->chunks;
    it->work.n_chunks = p->n_chunks;
    memcpy(it->work.hops, p->work.hops, sizeof it->work.hops);
    it->work.n_hops = p->work.n_hops;
    p->w->batch_chunks += p->n_chunks;
    p->w->batch_bytes += p->len;
    p->step = PASSAGE_CHUNKED;
    p->h->passage = p;
}

/* Chunks and perhaps some vectors are stored. */
static int hold_stored(struct passage *p, struct error *e)
{
    p->first_vector = queue_stored_vectors(p->w->pg, p->h->job, e);
    if (p->n_chunks == 0)
        p->n_chunks = queue_count_chunks(p->w->pg, p->h->job, e);
    if (p->first_vector < 0 || p->n_chunks < 0)
        return e->code;
    if (p->n_chunks == 0)
        return reason_error(e, REASON_count_mismatch, EIO, NULL);
    hand_stage(p->w, p->h, STATUS_EMBEDDING_IN_PROGRESS, p->w->conf->queue_stage_deadline);
    p->h->passage = p;
    return embed_remote_add(p->w->outside->embed, p, &p->space, e);
}

/* ---- the whole way ---- */

/* Normalised, and durable by itself if it was dear to get. */
static int take_text(struct passage *p, struct parse_result *result, bool costly, struct error *e)
{
    int rc = passage_validate(p, result, e);

    if (rc != 0 || !costly)
        return rc;
    struct queue_work work = {.to_status = STATUS_PARSE_VALIDATED};
    passage_put_parsed(p, &work);
    return passage_store_step(p, &work, e) == 1 ? 0 : e->code != 0 ? e->code : -EALREADY;
}

static int get_text_here(struct passage *p, enum sniff_type type, struct error *e)
{
    struct parse_result result = {0};
    bool costly;
    int rc;

    p->parsed_by = "local";
    if ((rc = passage_parse(p, &result, e)) != 0)
        return rc;
    costly = (type != SNIFF_TEXT && type != SNIFF_MARKDOWN) || result.took_ms > 20 || paused(p, PAUSE_CHUNK);
    rc = take_text(p, &result, costly, e);
    parse_result_free(&result);
    return rc;
}

/* 0: p->text is there; WAITS: an outside service was asked for it. */
static int get_text(struct passage *p, struct error *e)
{
    enum sniff_type type = sniff_by_mime(p->h->job->content_type);
    int rc;

    if (p->h->job->has_parsed && p->h->status >= STATUS_PARSE_VALIDATED)
        return passage_reopen(p, e);
    switch (parse_remote_place(p->w, type, p->h->job->visible)) {
    case PARSE_THERE:
        rc = parse_remote_add(p->w->outside->parse, p, e);
        return rc == 1 ? WAITS : rc < 0 ? rc : -EALREADY;
    case PARSE_LATER:
        return reason_error(e, REASON_provider_away, EAGAIN,
                            "The parser that this document is to be parsed again by is out of service.");
    case PARSE_INSTEAD:
        p->parsed_instead_of = service_name(SERVICE_LLAMAPARSE);
        break;
    case PARSE_HERE:
        break;
    }
    return get_text_here(p, type, e);
}

/* The chunk rows of a document whose vectors are not to be made now. */
static int leave_chunked(struct passage *p, struct error *e)
{
    int rc = batch_flush(p->w, e);

    if (rc != 0)
        return rc;
    hand_stage(p->w, p->h, STATUS_CHUNKING, STAGE_BUSY_MS);
    rc = passage_store_chunks(p, e);
    return rc == 1 ? leave(p, e) : rc;
}

/* From the text on. */
static int run_text(struct passage *p, struct error *e)
{
    int rc;

    if (!p->fresh && paused(p, PAUSE_CHUNK))
        return leave(p, e);
    if ((rc = chunk(p, e)) != 0)
        return rc;
    if (paused(p, PAUSE_EMBED))
        return leave_chunked(p, e);
    if (p->n_chunks <= SLICE_CHUNKS && embeds_outside(p)) {
        hold_small(p);
        return 0;
    }
    if (p->n_chunks <= SLICE_CHUNKS)
        return finish_small(p, e);
    if ((rc = batch_flush(p->w, e)) != 0)
        return rc;
    hand_stage(p->w, p->h, STATUS_CHUNKING, STAGE_BUSY_MS);
    if ((rc = passage_store_chunks(p, e)) != 1)
        return rc;
    p->work.n_hops = 0;
    return embeds_outside(p) ? hold_stored(p, e) : passage_finish_large(p, e);
}

static int run_stages(struct passage *p, struct error *e)
{
    int rc = find_space(p, e);

    if (rc != 0)
        return rc;
    if (p->h->status >= STATUS_CHUNKS_STORED)
        return embeds_outside(p) ? hold_stored(p, e) : passage_finish_large(p, e);
    rc = get_text(p, e);
    return rc == WAITS ? 0 : rc != 0 ? rc : run_text(p, e);
}

/* What ends this process's work rather than the document's: the caller must not blame the document. */
static bool ours(const struct worker *w, const struct error *e)
{
    return w->master_gone || strcmp(e->reason, reason_name(REASON_draining)) == 0 ||
           strcmp(e->reason, reason_name(REASON_db_unavailable)) == 0;
}

static int settle(struct worker *w, struct passage *p, int rc, struct error *why, struct error *e)
{
    struct hand *h = p->h;

    if (rc >= 0 && h->passage == p)
        return 0; /* it waits */
    h->passage = NULL;
    talloc_free(p->ctx);
    if (rc >= 0 || h->over)
        return 0;
    if (ours(w, why)) {
        *e = *why;
        return rc;
    }
    return pipeline_fail(w, h, why, e);
}

int pipeline_run(struct worker *w, struct hand *h, struct error *e)
{
    void *ctx = talloc_new(NULL);
    struct passage *p = talloc_zero(ctx, struct passage);
    struct error why = {0};
    int rc;

    p->w = w;
    p->h = h;
    p->ctx = ctx;
    hand_begin(w, h);
    rc = run_stages(p, &why);
    return settle(w, p, rc, &why, e);
}

/* An outside parser's text has come. */
static int resume_text(struct passage *p, struct error *e)
{
    struct parse_result result = {.text = (char *)(uintptr_t)p->outside_text, .len = p->outside_len, .pages = p->pages};
    int rc;

    p->step = PASSAGE_RUNNING;
    p->h->passage = NULL;
    rc = take_text(p, &result, true, e);
    if (rc == 0 || p->h->over || e->cls == ERR_PERMANENT) {
        struct error other;
        int ended = parse_remote_finish(p, rc == 0 ? e : &other);
        if (rc == 0 && ended != 0)
            return ended;
    }
    return rc != 0 ? rc : run_text(p, e);
}

/* The chunk rows are durable. */
static int resume_chunked(struct passage *p, struct error *e)
{
    p->fresh = false;
    p->work.n_hops = 0;
    return paused(p, PAUSE_EMBED) ? leave(p, e) : hold_stored(p, e);
}

int pipeline_resume(struct worker *w, struct hand *h, struct error *e)
{
    struct passage *p = h->passage;
    struct error why = {0};
    int rc;

    if (p == NULL || (p->step != PASSAGE_CHUNKED && p->step != PASSAGE_TEXT) || h->batched)
        return 0;
    if (h->over) { /* a duplicate, or another's by now */
        h->passage = NULL;
        talloc_free(p->ctx);
        return 1;
    }
    rc = p->step == PASSAGE_TEXT ? resume_text(p, &why) : resume_chunked(p, &why);
    rc = settle(w, p, rc, &why, e);
    return rc < 0 ? rc : 1;
}

void pipeline_forget(struct hand *h)
{
    if (h->passage != NULL)
        talloc_free(h->passage->ctx);
    h->passage = NULL;
}
