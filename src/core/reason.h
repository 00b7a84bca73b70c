/*
 * reason.h - every typed reason for which a document or a request fails
 *
 * X(name, class, http, sentence): the name is stable (dead letters, problem+json `type`, tests); the class says
 * whether trying again can help; http is the status when it is the answer to a request (0: never an answer).
 * A reason that is not in the table is our bug.
 */
#ifndef CORE_REASON_H
#define CORE_REASON_H

#include "base/error.h"

/* clang-format off */
#define REASONS(X)                                                                                             \
    /* the document's own fault */                                                                             \
    X(empty_file, ERR_PERMANENT, 422, "The file is empty.")                                                    \
    X(too_large, ERR_PERMANENT, 413, "The file is larger than limits.max_upload allows.")                      \
    X(unsupported_type, ERR_PERMANENT, 415, "No parser is configured for this type of file.")                  \
    X(type_mismatch, ERR_PERMANENT, 422, "The file's name or declared type does not match its content.")       \
    X(upload_incomplete, ERR_PERMANENT, 400, "The upload ended before all announced bytes had arrived.")       \
    X(hash_mismatch, ERR_PERMANENT, 422, "The bytes do not have the SHA-256 that the client announced.")       \
    X(parse_corrupt, ERR_PERMANENT, 0, "The parser could not read the file: it is damaged or cut short.")      \
    X(parse_encrypted, ERR_PERMANENT, 0, "The file is encrypted and needs a password.")                        \
    X(parse_no_pages, ERR_PERMANENT, 0, "The file has no pages.")                                              \
    X(parse_no_text, ERR_PERMANENT, 0, "The file holds no text (a scan needs OCR first).")                     \
    X(too_many_pages, ERR_PERMANENT, 0, "The file has more pages than limits.max_pages allows.")               \
    X(parse_bomb, ERR_PERMANENT, 0, "The archive inside the file unpacks to far more than limits.max_unpacked allows.") \
    X(parse_too_deep, ERR_PERMANENT, 0, "The markup is nested deeper than limits.max_depth allows.")           \
    X(parse_timeout, ERR_PERMANENT, 0, "The parser did not finish within parser.timeout.")                     \
    X(parse_memory, ERR_PERMANENT, 0, "The parser needed more memory than parser.max_memory allows.")          \
    X(parse_output, ERR_PERMANENT, 0, "The parser wrote more than parser.max_output allows.")                  \
    X(parse_crashed, ERR_PERMANENT, 0, "The parser crashed: a signal of its own ended it.")                    \
    X(parse_failed, ERR_PERMANENT, 0, "The parser reported an error.")                                         \
    X(parse_refused, ERR_PERMANENT, 0, "The parsing service refuses the file.")                                \
    X(too_many_chunks, ERR_PERMANENT, 0, "The document has more chunks than limits.max_chunks allows.")        \
    X(blob_corrupt, ERR_PERMANENT, 0, "Stored bytes no longer have the SHA-256 that was recorded for them.")   \
    X(embed_bad_vector, ERR_PERMANENT, 0, "The embedder returned a vector that is zero, NaN, infinite or of the wrong dimension.") \
    X(embed_refused, ERR_PERMANENT, 0, "The embedding service refuses a text of the document.")                \
    X(embed_too_long, ERR_PERMANENT, 0, "A text of the document is longer than the embedding model takes.")    \
    X(count_mismatch, ERR_INTERNAL, 0, "Chunks or vectors in the database do not match the recorded counts.")  \
    X(crashed_worker, ERR_PERMANENT, 0, "The document killed the worker that held it alone.")                  \
    X(fill_failed, ERR_PERMANENT, 0, "Documents could not be embedded for a new embedding space; searches keep the old one until an operator decides.") \
    X(attempts_exhausted, ERR_PERMANENT, 0, "Every allowed attempt failed for a transient reason.")            \
    X(cancelled, ERR_PERMANENT, 409, "The job was cancelled.")                                                 \
    /* not the document's fault: waits and retries */                                                          \
    X(blob_absent, ERR_PERMANENT, 0, "The stored bytes are gone from the blob store.")                         \
    X(blob_denied, ERR_RECOVERABLE, 503, "The blob store refused access.")                                     \
    X(blob_busy, ERR_TRANSIENT, 503, "The blob store is busy.")                                                \
    X(blob_full, ERR_RECOVERABLE, 507, "The blob store has no space left.")                                    \
    X(blob_broken, ERR_RECOVERABLE, 503, "The blob store does not work.")                                      \
    X(http_unreachable, ERR_RECOVERABLE, 503, "No connection to the outside service could be made.")           \
    X(http_timeout, ERR_TRANSIENT, 504, "The outside service did not answer before the deadline.")             \
    X(http_broken, ERR_TRANSIENT, 502, "The connection to the outside service ended before its answer did.")   \
    X(http_too_large, ERR_PERMANENT, 0, "The outside service's answer is larger than is allowed.")             \
    X(http_refused, ERR_RECOVERABLE, 502, "The outside service's address, certificate or redirect is not accepted.") \
    X(parser_missing, ERR_RECOVERABLE, 0, "The parser's program is not installed or cannot run.")              \
    X(sandbox_refused, ERR_RECOVERABLE, 0, "The kernel refused the sandbox, so no parser was run.")            \
    X(parser_killed, ERR_TRANSIENT, 0, "The parser was killed from outside before it had finished.")           \
    X(parse_job_failed, ERR_TRANSIENT, 0, "The parsing service's job ended without a result; a new one may succeed.") \
    X(parse_bad_answer, ERR_TRANSIENT, 0, "The parsing service's answer is malformed.")                        \
    X(embed_bad_answer, ERR_TRANSIENT, 502, "The embedding service's answer is malformed or does not fit the request.") \
    X(provider_failed, ERR_TRANSIENT, 502, "The outside service failed or did not answer.")                    \
    X(provider_limited, ERR_RECOVERABLE, 503, "The outside service's rate limit is reached.")                  \
    X(provider_away, ERR_RECOVERABLE, 503, "The outside service is out of service; it is tried again by itself.") \
    X(provider_quota, ERR_RECOVERABLE, 503, "The quota, credit or spending limit at the outside service is used up.") \
    X(provider_denied, ERR_RECOVERABLE, 503, "The outside service refuses the key or its owner.")              \
    X(provider_config, ERR_RECOVERABLE, 503, "The outside service does not take what is configured for it (model, address, options).") \
    X(budget_exceeded, ERR_RECOVERABLE, 0, "The day's budget does not allow the next step; the document waits for the next day (UTC) or a higher budget.") \
    X(parsed_by_fallback, ERR_RECOVERABLE, 0, "A fallback parsed documents while their parser was out of service.") \
    X(stage_deadline, ERR_TRANSIENT, 0, "The stage did not finish before its deadline.")                       \
    X(worker_lost, ERR_TRANSIENT, 0, "The worker that held the job is gone.")                                  \
    X(db_unavailable, ERR_RECOVERABLE, 503, "The database does not answer.")                                   \
    X(db_timeout, ERR_TRANSIENT, 503, "The database did not answer before the deadline.")                      \
    X(db_error, ERR_INTERNAL, 500, "The database reported an error.")                                          \
    X(db_conflict, ERR_TRANSIENT, 503, "The transaction lost against a concurrent one.")                       \
    X(lease_lost, ERR_TRANSIENT, 0, "Another owner holds the job now; this work was dropped.")                 \
    X(draining, ERR_RECOVERABLE, 503, "The service is shutting down.")                                         \
    X(bad_config, ERR_PERMANENT, 0, "The configuration is wrong; docmilld -t names every fault.")              \
    X(file_error, ERR_RECOVERABLE, 0, "A file could not be read or written.")                                  \
    /* answers to requests */                                                                                  \
    X(bad_request, ERR_PERMANENT, 400, "The request is malformed.")                                            \
    X(unauthenticated, ERR_PERMANENT, 401, "No valid identity came with the request.")                         \
    X(bad_signature, ERR_PERMANENT, 401, "The webhook's signature or token is missing or wrong.")              \
    X(stale_signature, ERR_PERMANENT, 401, "The webhook's signature is too old or from the future.")           \
    X(forbidden, ERR_PERMANENT, 403, "This identity may not do that.")                                         \
    X(not_found, ERR_PERMANENT, 404, "There is no such thing, or it belongs to someone else.")                 \
    X(body_too_large, ERR_PERMANENT, 413, "The request's body is larger than this path takes.")                \
    X(method_not_allowed, ERR_PERMANENT, 405, "This path does not answer that method.")                        \
    X(length_required, ERR_PERMANENT, 411, "An upload needs Content-Length or chunked encoding.")              \
    X(conflict, ERR_PERMANENT, 409, "The thing is in a state that does not allow this.")                       \
    X(overloaded, ERR_TRANSIENT, 503, "Too many requests wait already; try again shortly.")                    \
    X(too_many_active, ERR_TRANSIENT, 429, "The user has as many unfinished documents as limits.user_active allows.") \
    X(not_ready, ERR_RECOVERABLE, 503, "The service is not ready.")                                            \
    X(config_differs, ERR_RECOVERABLE, 503, "This node's configuration differs from that of the other nodes.") \
    /* between docmill's own processes */                                                                      \
    X(bad_frame, ERR_PERMANENT, 0, "A message between two processes is malformed or of another version.")      \
    X(not_running, ERR_RECOVERABLE, 0, "No docmilld answers on this control socket.")                          \
    X(control_timeout, ERR_TRANSIENT, 0, "docmilld did not answer before the deadline.")                       \
    X(already_running, ERR_PERMANENT, 0, "Another docmilld uses this run directory.")                          \
    X(start_failed, ERR_PERMANENT, 0, "A process could not be started.")                                       \
    X(os_error, ERR_INTERNAL, 500, "The operating system refused a call.")                                     \
    X(node_taken, ERR_PERMANENT, 0, "Another master that is alive holds this node's name.")                    \
    X(internal, ERR_INTERNAL, 500, "An error inside docmill; it has been logged.")
/* clang-format on */

#define X_REASON(name, cls, http, sentence) REASON_##name,
enum reason { REASON_NONE, REASONS(X_REASON) REASON_MAX_ };
#undef X_REASON

const char *reason_name(enum reason r);
const char *reason_sentence(enum reason r);
enum error_class reason_class(enum reason r);
int reason_http(enum reason r);             /* 0: not an answer */
enum reason reason_parse(const char *name); /* REASON_NONE if unknown */

/* error_set with the table's class and name. fmt may be NULL: the table's sentence. Returns -code. */
int reason_error(struct error *e, enum reason r, int code, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
