/*
 * faults.h - the ways in which a mock misbehaves, and when
 *
 * One table makes the names, the flags, the keys of /__faults and the help. A fault strikes by a rule: its kind, a
 * probability, how many more requests it is for (`count`), how many it lets pass first (`after`), and which requests
 * it is for (`path`, a prefix; `match`, bytes that the body must contain; `method`). The dice are thrown with the seed,
 * the request's number and the rule's number, so that a run repeats.
 *
 * The knobs are the service's normal behaviour: a distribution of delays, a failure rate with weighted statuses, and
 * limits on requests and tokens a minute.
 */
#ifndef MOCKS_COMMON_FAULTS_H
#define MOCKS_COMMON_FAULTS_H

#include "common/mock.h"

#define FAULTS_COMMON     1u
#define FAULTS_OPENAI     2u
#define FAULTS_LLAMAPARSE 4u
#define FAULTS_STORAGE    8u

/* kind, name, families, meaning */
#define FAULT_KINDS(X)                                                                                                 \
    X(STATUS, "status", FAULTS_COMMON, "answer a status of status_codes (\"500\": weight), with code, retry_after")    \
    X(QUOTA, "quota", FAULTS_OPENAI | FAULTS_LLAMAPARSE, "the account is exhausted; code names how")                   \
    X(DELAY, "delay_more", FAULTS_COMMON, "answer ms later")                                                           \
    X(HANG, "hang", FAULTS_COMMON, "do the work, and answer after ms (10 minutes)")                                    \
    X(DROP_BEFORE, "drop_before", FAULTS_COMMON, "close the connection, the work not done")                            \
    X(DROP_AFTER, "drop_after", FAULTS_COMMON, "do the work, close the connection without an answer")                  \
    X(PARTIAL, "partial_body", FAULTS_COMMON, "the answer's first half as if it were whole")                           \
    X(MALFORMED, "malformed_body", FAULTS_COMMON, "body instead of the answer (default: text that is not JSON)")       \
    X(RESET, "reset_mid_body", FAULTS_COMMON, "reset the connection after `bytes` (half) of the answer")               \
    X(DRIP, "drip", FAULTS_COMMON, "send `bytes` (64) each ms (50)")                                                   \
    X(WRONG_COUNT, "wrong_count", FAULTS_OPENAI, "a vector too few, or `by` too many")                                 \
    X(WRONG_DIMENSION, "wrong_dimension", FAULTS_OPENAI, "vectors of one number less, or of `dimension`")              \
    X(ZERO_VECTOR, "zero_vector", FAULTS_OPENAI, "one vector is all zero")                                             \
    X(NAN_VECTOR, "nan_vector", FAULTS_OPENAI, "one number is not one")                                                \
    X(BAD_NORM, "bad_norm", FAULTS_OPENAI, "one vector is three times as long")                                        \
    X(SHUFFLED, "shuffled", FAULTS_OPENAI, "the vectors in another order, each with its right index")                  \
    X(BAD_INDEX, "bad_index", FAULTS_OPENAI, "two vectors with the same index")                                        \
    X(FLOAT_ONLY, "float_only", FAULTS_OPENAI, "numbers although base64 was asked for")                                \
    X(BAD_ITEM, "bad_item", FAULTS_OPENAI, "an input that contains `match` makes the whole request invalid")           \
    X(NO_USAGE, "no_usage", FAULTS_OPENAI, "no usage in the answer")                                                   \
    X(JOB_ERROR, "job_error", FAULTS_LLAMAPARSE, "the job ends as ERROR with `code`")                                  \
    X(JOB_PARTIAL, "job_partial", FAULTS_LLAMAPARSE, "the job ends as PARTIAL_SUCCESS; `pages` fail")                  \
    X(JOB_CANCELLED, "job_cancelled", FAULTS_LLAMAPARSE, "the job ends as CANCELLED")                                  \
    X(JOB_STUCK, "job_stuck", FAULTS_LLAMAPARSE, "the job stays PENDING for ever")                                     \
    X(JOB_LOST, "job_lost", FAULTS_LLAMAPARSE, "the job was answered, but nobody knows it afterwards")                 \
    X(UNKNOWN_STATUS, "unknown_status", FAULTS_LLAMAPARSE, "the status is a word that nobody documented")              \
    X(RESULT_MISSING, "result_missing", FAULTS_LLAMAPARSE, "404 for the result of a job that succeeded")               \
    X(EMPTY_RESULT, "empty_result", FAULTS_LLAMAPARSE, "success, and no text")                                         \
    X(WEBHOOK_LOST, "webhook_lost", FAULTS_LLAMAPARSE, "no event is sent")                                             \
    X(WEBHOOK_LATE, "webhook_late", FAULTS_LLAMAPARSE, "events ms (3000) later")                                       \
    X(WEBHOOK_EARLY, "webhook_early", FAULTS_LLAMAPARSE, "the job ends and its event arrives before the answer")       \
    X(WEBHOOK_DOUBLED, "webhook_doubled", FAULTS_LLAMAPARSE, "every event twice, with one id")                         \
    X(WEBHOOK_BADLY_SIGNED, "webhook_badly_signed", FAULTS_LLAMAPARSE, "a signature that does not fit")                \
    X(WEBHOOK_UNSIGNED, "webhook_unsigned", FAULTS_LLAMAPARSE, "no signature although a secret is set")                \
    X(WEBHOOK_OUT_OF_ORDER, "webhook_out_of_order", FAULTS_LLAMAPARSE, "the last event first")                         \
    X(WEBHOOK_UNKNOWN, "webhook_unknown_status", FAULTS_LLAMAPARSE, "an event of a kind that nobody documented")       \
    X(WEBHOOK_UNKNOWN_JOB, "webhook_unknown_job", FAULTS_LLAMAPARSE, "an event for a job that does not exist")         \
    X(WEBHOOK_MALFORMED, "webhook_malformed", FAULTS_LLAMAPARSE, "an event that is not JSON")                          \
    X(WRONG_BYTES, "wrong_bytes", FAULTS_STORAGE, "a download with one byte changed")                                  \
    X(LOSE_OBJECT, "lose_object", FAULTS_STORAGE, "an upload is confirmed and not kept")

enum fault_kind {
#define X(id, name, families, meaning) FAULT_##id,
    FAULT_KINDS(X)
#undef X
        FAULT_KIND_COUNT
};

const char *fault_name(enum fault_kind k);
const char *fault_meaning(enum fault_kind k);
bool fault_known(enum fault_kind k, unsigned family);

struct fault_book *fault_book_new(const void *ctx, unsigned family);

/* Called locked. One knob or fault by its name, as a flag has it: `--name value`. */
int fault_book_flag(struct fault_book *b, const char *name, const char *value, struct error *e) MUST_CHECK;
bool fault_book_has_flag(const struct fault_book *b, const char *name);
/* Called locked. What /__faults got: the knobs that it names are set, its rules are added. Nothing changes on error. */
int fault_book_apply(struct fault_book *b, const json_t *what, struct error *e) MUST_CHECK;
void fault_book_clear(struct fault_book *b);
json_t *fault_book_show(const struct fault_book *b);

/* Does it strike this request? The rule's parameters, which live as long as the request, or NULL; a rule with a count
 * has one less afterwards. Takes the lock. */
const json_t *fault_strikes(struct mock_request *q, enum fault_kind k);
/* The same for one text instead of the whole body: `match` is looked for in it. */
const json_t *fault_strikes_text(struct mock_request *q, enum fault_kind k, const char *text, size_t n);
int64_t fault_int(const json_t *rule, const char *name, int64_t otherwise);
const char *fault_text(const json_t *rule, const char *name, const char *otherwise);

/* The delay of this request by the knob's distribution, in ms. */
int64_t fault_delay_ms(struct mock_request *q);
/* A status by the weights of "status_codes" of the rule or of the knob's failure rate; 0: no failure. */
int fault_status(struct mock_request *q, const json_t *rule);

/* Called locked. 0: no limit. generation changes when either was set, so that buckets begin anew. */
struct fault_limits {
    int64_t requests_per_minute, tokens_per_minute;
    unsigned generation;
};
struct fault_limits fault_limits_of(const struct fault_book *b);

#endif
