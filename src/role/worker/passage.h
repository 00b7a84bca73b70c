/*
 * passage.h - one document on its way through the worker; private to src/role/worker
 *
 * Everything hangs on ctx, the passage itself too. A passage that waits for an outside service stands in its hand and
 * is taken up again by pipeline_resume(); one that does not is gone when pipeline_run() returns.
 */
#ifndef WORKER_PASSAGE_H
#define WORKER_PASSAGE_H

#include "queue/submit.h"
#include "text/chunker.h"
#include "text/normalise.h"
#include "worker/worker.h"

#define SLICE_CHUNKS  512          /* of a large document in one transaction; what has no more is small */
#define STAGE_BUSY_MS (120 * 1000) /* a local stage that shows no sign of life for so long is hung */

struct parse_result;

enum passage_step {
    PASSAGE_RUNNING,
    PASSAGE_CHUNKED,   /* its chunk rows are in the batch: vectors are asked for when they are durable */
    PASSAGE_EMBEDDING, /* embed_remote.c has it */
    PASSAGE_PARSING,   /* parse_remote.c has it */
    PASSAGE_TEXT,      /* outside_text has come */
};

struct passage {
    struct worker *w;
    struct hand *h;
    void *ctx;
    enum passage_step step;
    struct queue_space space; /* that its vectors go into */
    const char *text;         /* normalised */
    size_t len;
    struct normalised normal;
    uint8_t parsed_sha256[SHA256_BYTES];
    bool plain;
    int pages;
    const char *outside_text; /* as the service gave it, of outside_len bytes; form feeds between pages */
    size_t outside_len;
    struct submission submission;  /* that it is the text of; ended when the text is durable */
    bool partial;                  /* pages of it failed */
    const char *parsed_by;         /* the parser's name */
    const char *parsed_instead_of; /* the one whose place it took; NULL: nobody's */
    const struct chunker *chunker; /* what the job is pinned to, once it is chunked */
    bool fresh;                    /* parsed in this attempt: set_parsed is due with the next store */
    struct queue_chunk *chunks;    /* NULL: they are in the database only */
    int n_chunks;
    int first_vector; /* how many vectors are stored */
    int64_t embed_began_ms;
    struct queue_work work; /* hops collected so far */
};

/* parse_local.c: bytes to text as the parser gives it; that text to text, len, plain, pages and normal of p, kept. */
int passage_parse(struct passage *p, struct parse_result *result, struct error *e) MUST_CHECK;
int passage_validate(struct passage *p, const struct parse_result *result, struct error *e) MUST_CHECK;
int passage_reopen(struct passage *p, struct error *e) MUST_CHECK; /* of an earlier attempt */

/* pipeline.c: what its files share */
void passage_put_parsed(struct passage *p, struct queue_work *work);
/* Stores a step of this document alone: 1, or 0: it is over, or negative. */
int passage_store_step(struct passage *p, struct queue_work *work, struct error *e) MUST_CHECK;
/* n chunks into vectors of the job's space; the array hangs on ctx. NULL with *e. */
float *passage_embed(struct passage *p, const void *ctx, const struct queue_chunk *chunks, int n, int dimension,
                     struct error *e) MUST_CHECK;

/* pipeline_large.c: 1: stored, 0: over, or negative; and from the chunk rows to the end. */
int passage_store_chunks(struct passage *p, struct error *e) MUST_CHECK;
int passage_finish_large(struct passage *p, struct error *e) MUST_CHECK;

#endif
