/*
 * claim.c - taking jobs, and giving back what was not begun
 *
 * One statement claims a batch: rows are locked in the order of the claim index, updated, and returned with what the
 * worker needs of their documents. The lane clocks move to the last key claimed, which is what fair_key is measured
 * against (sql/0001, next_fair_key).
 *
 * Depends on base, core, db.
 */
#include "queue/queue.h"
#include "queue/sql.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* Every status that is not an end is claimable; the binary names those it knows, so that a newer one is left alone. */
static void add_statuses(struct pg_params *params, const void *ctx, uint32_t stages)
{
    struct pg_array *a = pg_array_new(ctx, PG_INT2);

    for (int s = 1; s < STATUS_MAX_; s++)
        if (!status_is_end(s) && (stages == 0 || (stages & (1u << s)) != 0))
            pg_array_int2(a, (int16_t)s);
    pg_add_array(params, a);
}

static uint32_t claimable_statuses(void)
{
    uint32_t all = 0;

    for (int s = 1; s < STATUS_MAX_; s++)
        if (!status_is_end(s))
            all |= 1u << s;
    return all;
}

/* By runs and not by a list of lanes: the claim walks its index in order, which a list would break. */
bool queue_unpaused(uint32_t paused, const struct queue_filter *whole, int *lane, struct queue_filter *part)
{
    *part = *whole;
    if (paused == 0) {
        part->lane_min = *lane;
        *lane = whole->lane_max + 1;
        return part->lane_min <= whole->lane_max;
    }
    part->stages = (whole->stages != 0 ? whole->stages : claimable_statuses()) & ~pause_statuses(paused);
    while (*lane <= whole->lane_max && pause_lane(paused, *lane))
        (*lane)++;
    part->lane_min = *lane;
    while (*lane <= whole->lane_max && !pause_lane(paused, *lane))
        (*lane)++;
    part->lane_max = *lane - 1;
    return (part->stages & claimable_statuses()) != 0 && part->lane_min <= part->lane_max;
}

/* One number of the list, and the comma or the end behind it; NULL: it is neither, or goes back. */
static const char *next_page_start(const char *s, uint32_t least, uint32_t *out)
{
    char *end;
    unsigned long v;

    errno = 0;
    if (*s < '0' || *s > '9')
        return NULL;
    v = strtoul(s, &end, 10);
    if (errno != 0 || v > UINT32_MAX || v < least || (*end != ',' && *end != '\0'))
        return NULL;
    *out = (uint32_t)v;
    return *end == ',' ? end + 1 : end;
}

/* A list that docmill did not write leaves none: the job then fails where it needs them, and the others of its batch
 * go on. */
static void read_page_starts(const void *ctx, const PGresult *r, int row, int col, struct queue_job *j)
{
    const char *s = pg_get_text(r, row, col);
    uint32_t last = 0;
    int n = 1;

    if (s == NULL || *s == '\0')
        s = "0";
    for (const char *c = s; *c != '\0'; c++)
        n += *c == ',';
    j->page_starts = talloc_array(ctx, uint32_t, (unsigned)n);
    for (j->n_page_starts = 0; j->n_page_starts < n; j->page_starts[j->n_page_starts++] = last)
        if ((s = next_page_start(s, last, &last)) == NULL) {
            j->n_page_starts = 0;
            return;
        }
}

static void copy_hash(uint8_t out[SHA256_BYTES], const PGresult *r, int row, int col)
{
    size_t n = 0;
    const uint8_t *b = pg_get_bytes(r, row, col, &n);

    memset(out, 0, SHA256_BYTES);
    if (b != NULL && n == SHA256_BYTES)
        memcpy(out, b, SHA256_BYTES);
}

static void read_job(const void *ctx, const PGresult *r, int row, struct queue_job *j)
{
    int c = 0;

    pg_get_uuid(r, row, c++, &j->id);
    pg_get_uuid(r, row, c++, &j->document_id);
    pg_get_uuid(r, row, c++, &j->user_id);
    j->lease = pg_get_int(r, row, c++);
    j->generation = (int32_t)pg_get_int(r, row, c++);
    j->lane = (int16_t)pg_get_int(r, row, c++);
    j->status = (int16_t)pg_get_int(r, row, c++);
    j->attempt = (int16_t)pg_get_int(r, row, c++);
    j->crashes = (int16_t)pg_get_int(r, row, c++);
    j->chunker = (int16_t)pg_get_int(r, row, c++);
    j->space = (int16_t)pg_get_int(r, row, c++);
    j->suspect = pg_get_bool(r, row, c++);
    j->bytes = pg_get_int(r, row, c++);
    copy_hash(j->sha256, r, row, c++);
    j->filename = talloc_strdup(ctx, pg_get_text(r, row, c++));
    j->content_type = talloc_strdup(ctx, pg_get_text(r, row, c++));
    j->has_parsed = !pg_is_null(r, row, c);
    copy_hash(j->parsed_sha256, r, row, c++);
    j->parsed_bytes = pg_get_int(r, row, c++);
    j->parsed_plain = pg_get_bool(r, row, c++);
    j->pages = (int)pg_get_int(r, row, c++);
    read_page_starts(ctx, r, row, c++, j);
    j->fair_key = pg_get_int(r, row, c++);
    j->collection = (int16_t)pg_get_int(r, row, c++);
    j->purpose = (int16_t)pg_get_int(r, row, c++);
    j->visible = pg_get_bool(r, row, c++);
}

static int by_claim_order(const void *a, const void *b)
{
    const struct queue_job *x = a, *y = b;

    if (x->lane != y->lane)
        return x->lane < y->lane ? -1 : 1;
    return x->fair_key < y->fair_key ? -1 : x->fair_key > y->fair_key;
}

int queue_claim(struct pg *p, const void *ctx, const struct queue_owner *o, const struct queue_filter *f, int want,
                int64_t stage_deadline_ms, struct queue_job **jobs, struct error *e)
{
    void *tmp = talloc_new(ctx);
    struct pg_params params;
    PGresult *r;
    int n;

    pg_params_init(&params, tmp);
    pg_add_int4(&params, want);
    pg_add_int8(&params, o->node);
    pg_add_int8(&params, o->child);
    pg_add_int8(&params, stage_deadline_ms);
    pg_add_int2(&params, (int16_t)f->lane_min);
    pg_add_int2(&params, (int16_t)f->lane_max);
    add_statuses(&params, tmp, f->stages);
    r = pg_exec(p, sql_claim, &params, 0, e);
    if (r == NULL) {
        talloc_free(tmp);
        return e->code;
    }
    n = PQntuples(r);
    *jobs = talloc_zero_array(ctx, struct queue_job, (unsigned)(n > 0 ? n : 1));
    for (int i = 0; i < n; i++)
        read_job(*jobs, r, i, &(*jobs)[i]);
    if (n > 1)
        qsort(*jobs, (size_t)n, sizeof **jobs, by_claim_order);
    PQclear(r);
    talloc_free(tmp);
    return n;
}

int queue_hand_back(struct pg *p, const struct queue_job *const *jobs, int n, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_array *ids = pg_array_new(tmp, PG_UUID);
    struct pg_array *leases = pg_array_new(tmp, PG_INT8);
    struct pg_params params;
    int rc;

    for (int i = 0; i < n; i++) {
        pg_array_uuid(ids, &jobs[i]->id);
        pg_array_int8(leases, jobs[i]->lease);
    }
    pg_params_init(&params, tmp);
    pg_add_array(&params, ids);
    pg_add_array(&params, leases);
    rc = pg_run(p, sql_hand_back, &params, 0, e);
    talloc_free(tmp);
    return rc;
}

int queue_reclaim(struct pg *p, const struct queue_owner *o, const struct uuid *held, int n_held, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_array *ids = pg_array_new(tmp, PG_UUID);
    struct pg_params params;
    int rc;

    for (int i = 0; i < n_held; i++)
        pg_array_uuid(ids, &held[i]);
    pg_params_init(&params, tmp);
    pg_add_int8(&params, o->node);
    pg_add_int8(&params, o->child);
    pg_add_array(&params, ids);
    rc = pg_run(p, sql_reclaim, &params, 0, e);
    talloc_free(tmp);
    return rc;
}

int queue_read_space(struct pg *p, int space, struct queue_space *out, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int rc = 0;

    pg_params_init(&params, tmp);
    pg_add_int2(&params, (int16_t)space);
    r = pg_exec(p, sql_read_space, &params, 0, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    if (PQntuples(r) == 0) {
        rc = reason_error(e, REASON_internal, ENOENT, "embedding space %d is not in the database", space);
    } else {
        out->space = (int16_t)space;
        strncpy(out->model, pg_get_text(r, 0, 0), sizeof out->model - 1);
        out->model[sizeof out->model - 1] = '\0';
        out->version = (int)pg_get_int(r, 0, 1);
        out->dimension = (int)pg_get_int(r, 0, 2);
    }
    PQclear(r);
    return rc;
}
