/*
 * queue.h - jobs: claim, keep, store, finish, fail, hand back
 *
 * The worker's side of the queue. Every call is fenced by (job, lease): what another owner has taken meanwhile is left
 * out and reported as lost, never written. Nothing is held open in the database between calls.
 *
 *   queue_claim      queued -> working, in a batch, lease + 1, attempt + 1; an ingest job gets its collection's live space
 *   queue_store      one transaction for many documents: fence, dedupe, chunks, vectors, flip, transitions, events
 *   queue_fail       retryable, dead letter or handed back, as the error's class says
 *   queue_hand_back  what was claimed but not begun: queued again, attempt given back
 *   queue_reclaim    after a reconnect: what the database says this child owns but it does not hold is handed back
 *
 * A lost answer to COMMIT is settled inside: rows are read again by (job, lease) and the work is taken as committed,
 * done again, or dropped as lost.
 *
 * Errors: those of db/pg.h; lease_lost never comes as an error but as an outcome.
 *
 * Depends on base, core, db.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/hash.h"
#include "core/conf.h"
#include "core/pause.h"
#include "core/reason.h"
#include "core/state.h"
#include "db/pg.h"

/* Who owns a lease: the incarnation of the master and the serial of the child. */
struct queue_owner {
    int64_t node;
    int64_t child;
};

/* Of the jobs that fill a space: behind everything that somebody uploaded (lanes 1 and 2). */
#define QUEUE_LANE_FILL 3

/* What a job is for. */
enum queue_purpose {
    PURPOSE_INGEST = 1, /* a document, from its bytes to searches */
    PURPOSE_FILL = 2,   /* a visible document into one more embedding space */
};

struct queue_job {
    struct uuid id, document_id, user_id;
    int64_t lease, fair_key;
    int32_t generation;
    int16_t lane, status, attempt, crashes, chunker;
    int16_t collection, space, purpose;
    bool suspect; /* was in hand with others when a worker crashed: work on it alone */
    /* of the document */
    int64_t bytes;
    uint8_t sha256[SHA256_BYTES];
    const char *filename, *content_type;
    bool visible;    /* a complete version of it is there for readers */
    bool has_parsed; /* the fields below are set: the parsed text is durable */
    bool parsed_plain;
    uint8_t parsed_sha256[SHA256_BYTES];
    int64_t parsed_bytes;
    int pages;
    uint32_t *page_starts; /* n_page_starts of them; none: the document's row is corrupt */
    int n_page_starts;
};

struct queue_filter {
    uint32_t stages; /* 1 << status; 0: every status this binary knows */
    int lane_min, lane_max;
};

/* What is left of a filter when `paused` (core/pause.h) rests, a run of lanes at a time: *lane is where the next run
 * begins, at first whole->lane_min. False: there is no more. */
bool queue_unpaused(uint32_t paused, const struct queue_filter *whole, int *lane, struct queue_filter *part);

/* Claims up to `want` jobs. The array is a talloc child of ctx. Returns how many, or a negative code. A lost answer
 * may leave jobs claimed for us in the database: queue_reclaim finds them. */
int queue_claim(struct pg *p, const void *ctx, const struct queue_owner *o, const struct queue_filter *f, int want,
                int64_t stage_deadline_ms, struct queue_job **jobs, struct error *e) MUST_CHECK;

/* ---- storing ---- */

struct queue_chunk {
    struct uuid chunk_id;
    int ord, tokens, overlap;
    int page; /* 0: the document has none */
    int64_t byte_start, byte_end;
    const char *heading_path;
    const char *text; /* with the overlap; valid UTF-8 without NUL */
    size_t text_len;
};

enum queue_outcome {
    QUEUE_PENDING = 0, /* not stored yet */
    QUEUE_STORED,
    QUEUE_LOST,      /* another owner has the job, or it was cancelled */
    QUEUE_DUPLICATE, /* ended as duplicate of `duplicate_of` */
    QUEUE_MISCOUNT,  /* counts do not match: not completed */
};

#define QUEUE_MAX_HOPS 10

struct cost_line; /* cost.h */

struct queue_hop {
    int16_t status;
    int32_t took_ms;
};

/* What one document wants stored. Plain data; pointers stay the caller's. */
struct queue_work {
    const struct queue_job *job;
    int16_t from_status; /* as the database has it under this lease */
    int16_t to_status;   /* equal: progress only */
    /* the parsed text, if this transaction makes it durable */
    bool set_parsed;
    bool parsed_plain;
    const uint8_t *parsed_sha256;
    int64_t parsed_bytes;
    const char *parsed_by;         /* the parser's name */
    const char *parsed_instead_of; /* that of the parser whose place it took, out of service; NULL: nobody's */
    int pages;
    const uint32_t *page_starts;
    int n_page_starts;
    /* rows */
    bool clear_chunks; /* remove what an earlier attempt of this generation wrote, first */
    const struct queue_chunk *chunks;
    int n_chunks;
    const float *vectors; /* n_vectors * dimension; vector i belongs to ord first_vector + i */
    int n_vectors, first_vector;
    int expected_chunks; /* when to_status is complete: how many chunks and vectors there must be */
    struct queue_hop hops[QUEUE_MAX_HOPS];
    int n_hops;
    /* what was paid to get here, for the ledger: written with the rest, or as dropped if the job is lost. After a negative
     * return the caller writes it down by itself (cost_settle), unless it stores again. */
    const struct cost_line *costs;
    int n_costs;
    /* out */
    enum queue_outcome outcome;
    struct uuid duplicate_of;
};

/* Stores all that are QUEUE_PENDING in one transaction, trying again until give_up_ms (monotonic) if the database
 * fails; outcomes are set on return 0. On a negative return some are still pending: nothing is known to be lost. */
int queue_store(struct pg *p, struct queue_work *work, int n, int dimension, int64_t stage_deadline_ms,
                int64_t give_up_ms, struct error *e) MUST_CHECK;

/* How many vectors of the job's generation are stored, counted as a prefix: ords 0 .. n-1. */
int queue_stored_vectors(struct pg *p, const struct queue_job *j, struct error *e) MUST_CHECK;
/* Chunk texts from `first` on, at most `limit`: talloc children of ctx. Returns how many. */
int queue_read_chunks(struct pg *p, const void *ctx, const struct queue_job *j, int first, int limit,
                      struct queue_chunk **chunks, struct error *e) MUST_CHECK;
int queue_count_chunks(struct pg *p, const struct queue_job *j, struct error *e) MUST_CHECK;

/* ---- failing and giving back ---- */

struct queue_policy {
    int max_attempts;
    int64_t retry_first_ms, retry_cap_ms;
};

/* What happens to a job that failed with *why while it was in `stage`, pure: where it goes, the wait, whether the
 * attempt is given back. `status` is what the database has, and keeps if it is tried again. */
struct queue_verdict {
    int16_t to_status, to_state;
    int64_t wait_ms;
    bool refund;
    bool next_day; /* the wait begins with the next UTC day */
    char reason[40];
};
struct queue_verdict queue_judge(const struct error *why, int status, int stage, int attempt,
                                 const struct queue_policy *policy);

/* `status` is where the job stands in the database under its lease. 1: written, 0: lost; or a negative code. */
int queue_fail(struct pg *p, const struct queue_job *j, int status, int stage, const struct error *why,
               const struct queue_policy *policy, struct queue_verdict *verdict, struct error *e) MUST_CHECK;
int queue_hand_back(struct pg *p, const struct queue_job *const *jobs, int n, struct error *e) MUST_CHECK;
int queue_reclaim(struct pg *p, const struct queue_owner *o, const struct uuid *held, int n_held,
                  struct error *e) MUST_CHECK;

/* Which jobs a node's worker may name: dimension and model of a space. -ENOENT if unknown. */
struct queue_space {
    int16_t space;
    char model[64];
    int version, dimension;
};
int queue_read_space(struct pg *p, int space, struct queue_space *out, struct error *e) MUST_CHECK;

#endif
