/*
 * submit.h - jobs that wait for an outside service
 *
 * A submission is one request to an outside parser to parse one document. submit_begin() writes it down before the
 * request is sent, submit_answered() when the service has named it, submit_wait() each time it was asked and is not
 * done, submit_end() when its result is durable or it failed. Between begin and answered a killed worker leaves an
 * unanswered submission: the next owner begins another (serial + 1), for nobody can ask the service what it knows. A job
 * that waits has no owner; a callback, the time of its next poll or an opened gate make it claimable again.
 *
 * A gate holds back jobs of a status until the service can take more: queue_gate() puts one behind it, the
 * coordinator lets some out. Waiting costs no attempt.
 *
 * Every call is one statement that may be repeated: a lost answer is asked for again until give_up_ms (monotonic).
 *
 * Errors: those of db/pg.h. Depends on base, core, db.
 */
#ifndef QUEUE_SUBMIT_H
#define QUEUE_SUBMIT_H

#include "queue/queue.h"

#define SUBMIT_TOKEN_BYTES 24 /* random; hex in the callback's address, its SHA-256 in the database */
#define SUBMIT_ID_MAX      128

enum submit_verdict {
    SUBMIT_LOST = 0, /* another owner has the job */
    SUBMIT_BUSY,     /* no free place at the service: the job waits behind the gate, it is no longer ours */
    SUBMIT_BEGUN,    /* send the request now */
    SUBMIT_KNOWN,    /* it was submitted before: ask for external_id */
    SUBMIT_HEARD,    /* a callback came meanwhile: ask now */
    SUBMIT_WAITING,  /* it waits, and is no longer ours */
};

struct submission {
    int64_t id;
    int serial; /* above 1: an earlier request may have reached the service */
    bool anew;  /* the one before it came to nothing: not to be answered from what the service remembers */
    int polls;
    int64_t left_ms; /* of its deadline, -1: none yet */
    char external_id[SUBMIT_ID_MAX];
};

/* `status` is where the job stands under its lease; it stands at parse_queued afterwards. max: places of the service.
 * A verdict or a negative code. */
int submit_begin(struct pg *p, const struct queue_job *j, int status, const char *provider,
                 const uint8_t token_sha256[SHA256_BYTES], int max, int64_t give_up_ms, struct submission *s,
                 struct error *e) MUST_CHECK;
int submit_answered(struct pg *p, const struct queue_job *j, const struct submission *s, const char *external_id,
                    int64_t poll_ms, int64_t deadline_ms, int64_t give_up_ms, struct error *e) MUST_CHECK;
int submit_wait(struct pg *p, const struct queue_job *j, const struct submission *s, int64_t poll_ms,
                int64_t give_up_ms, struct error *e) MUST_CHECK;
int submit_end(struct pg *p, const struct submission *s, const char *outcome, int pages, int64_t give_up_ms,
               struct error *e) MUST_CHECK;

/* Pages that the service could not parse, as JSON [{"page", "error"}], with the job, and an event. 0 also when lost. */
int submit_note_pages(struct pg *p, const struct queue_job *j, const char *pages_json, int64_t give_up_ms,
                      struct error *e) MUST_CHECK;

/* Working at `from` to waiting at `to` behind its gate. 1: done, 0: lost, or negative. */
int queue_gate(struct pg *p, const struct queue_job *j, int from, int to, const char *reason, int64_t give_up_ms,
               struct error *e) MUST_CHECK;

/* Statements for the coordinator.
 * gates: $1 provider, $2 its places, $3 most to let out, $4 status, $5 most of it to let out -> count
 * tidy: $1 age in ms of what is forgotten -> count */
extern const char submit_gates_sql[], submit_tidy_sql[];
/* A callback. $1 provider, $2 token's SHA-256, $3 nonce, $4 external id or NULL, $5 something to fetch, $6 detail jsonb
 * -> verdict, job id. See sql/0002. */
extern const char submit_hear_sql[];

#endif
