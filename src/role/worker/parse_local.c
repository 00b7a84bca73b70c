/*
 * parse_local.c - a document's text: parsed on this machine, normalised and kept, or read again from an earlier attempt
 *
 * What is read again is copied, since it must outlive the view until the batch is stored.
 *
 * Depends on base, core, text, blob, provider, queue.
 */
#include "worker/passage.h"

#include "base/clock.h"
#include "base/log.h"
#include "blob/blob.h"
#include "provider/parser.h"

#include <errno.h>
#include <talloc.h>

static bool parse_cancelled(void *arg)
{
    struct passage *p = arg;
    struct error ignored;

    return p->w->master_gone || (p->w->draining && clock_ms() >= p->w->drain_until_ms) ||
           hand_check_deadline(p->w, p->h, &ignored) != 0;
}

static void parse_tick(void *arg)
{
    struct passage *p = arg;

    worker_tick(p->w);
}

int passage_parse(struct passage *p, struct parse_result *result, struct error *e)
{
    const struct queue_job *j = p->h->job;
    struct blob_view raw;
    struct parse_job job;
    int64_t began = clock_ms();
    int rc;

    hand_stage(p->w, p->h, STATUS_PARSE_QUEUED, p->w->conf->parser_timeout + STAGE_BUSY_MS);
    rc = blob_view(p->w->blobs, &j->user_id, j->sha256, j->bytes, &raw, e);
    if (rc != 0)
        return rc;
    job = (struct parse_job){.type = sniff_by_mime(j->content_type),
                             .fd = raw.fd,
                             .size = (int64_t)raw.size,
                             .tick = parse_tick,
                             .tick_arg = p,
                             .cancelled = parse_cancelled};
    rc = parse_run(p->w->conf, &job, result, e);
    blob_unview(&raw);
    if (rc == -ECANCELED)
        return reason_error(e, REASON_draining, ECANCELED, "parsing was stopped: the worker is going away");
    if (rc == 0)
        hand_stage_done(p->w, &p->work, STATUS_PARSE_QUEUED, began);
    return rc;
}

static void log_converted(const struct queue_job *j, const char *charset)
{
    char id[UUID_TEXT_LEN + 1];

    uuid_format(&j->document_id, id);
    log_info("worker", "text converted to UTF-8", "document", id, "from", charset, NULL);
}

int passage_validate(struct passage *p, const struct parse_result *result, struct error *e)
{
    const struct queue_job *j = p->h->job;
    int64_t began = clock_ms();
    int rc;

    hand_stage(p->w, p->h, STATUS_PARSED, STAGE_BUSY_MS);
    rc = normalise(p->ctx, result->plain ? NORMALISE_PLAIN : NORMALISE_MARKDOWN, result->text, result->len, &p->normal);
    if (rc != 0)
        return reason_error(e, rc == -EFBIG ? REASON_parse_output : REASON_internal, rc, NULL);
    p->text = p->normal.text;
    p->len = p->normal.len;
    p->plain = result->plain;
    if (result->charset != NULL)
        log_converted(j, result->charset);
    p->pages = result->pages > 0 ? result->pages : p->normal.n_pages > 1 ? p->normal.n_pages : 0;
    if (p->len == 0)
        return reason_error(e, REASON_parse_no_text, EINVAL, NULL);
    if (p->pages > p->w->conf->limits_max_pages)
        return reason_error(e, REASON_too_many_pages, EFBIG, "The file has %d pages, limits.max_pages is %lld.",
                            p->pages, (long long)p->w->conf->limits_max_pages);
    rc = blob_put(p->w->blobs, &j->user_id, p->text, p->len, p->parsed_sha256, e);
    if (rc != 0)
        return rc;
    p->fresh = true;
    hand_stage_done(p->w, &p->work, STATUS_PARSED, began);
    return 0;
}

int passage_reopen(struct passage *p, struct error *e)
{
    const struct queue_job *j = p->h->job;
    struct blob_view v;
    int rc = blob_view(p->w->blobs, &j->user_id, j->parsed_sha256, j->parsed_bytes, &v, e);

    if (rc != 0)
        return rc;
    p->text = talloc_memdup(p->ctx, v.data, v.size);
    p->len = v.size;
    blob_unview(&v);
    if (p->text == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "no memory for %zu bytes of parsed text", p->len);
    if (j->n_page_starts == 0 || j->page_starts[j->n_page_starts - 1] > p->len)
        return reason_error(e, REASON_internal, EBADMSG,
                            "the page starts in the document's row are not those of its text");
    p->plain = j->parsed_plain;
    p->pages = j->pages;
    p->normal.page_starts = j->page_starts;
    p->normal.n_pages = j->n_page_starts;
    return 0;
}
