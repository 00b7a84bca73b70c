/*
 * llamaparse_tables.h - LlamaParse's lists: statuses, error codes, errors of HTTP, tiers, events
 *
 * Both interfaces: v1 (/api/v1/parsing) and v2 (/api/v2/parse). From its documents and clients; none was seen live.
 */
#ifndef PROVIDER_LLAMAPARSE_TABLES_H
#define PROVIDER_LLAMAPARSE_TABLES_H

#include "provider/verdict.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* clang-format off */
/* X(ID, spelling, event, act): a job's status. v1 says SUCCESS and ERROR, v2 COMPLETED and FAILED. FAILED's act is that
 * of its error code. event: the webhook's event_type, NULL where another row has it. */
#define LLAMAPARSE_STATUSES(X)                                          \
    X(PENDING, "PENDING", "parse.pending", PENDING)                     \
    X(RUNNING, "RUNNING", "parse.running", PENDING)                     \
    X(SUCCESS, "SUCCESS", "parse.success", OK)                          \
    X(COMPLETED, "COMPLETED", NULL, OK)                                 \
    X(PARTIAL_SUCCESS, "PARTIAL_SUCCESS", "parse.partial_success", OK)  \
    X(ERROR, "ERROR", "parse.error", NEW_JOB)                           \
    X(FAILED, "FAILED", NULL, NEW_JOB)                                  \
    X(CANCELLED, "CANCELLED", "parse.cancelled", NEW_JOB)               \
    X(CANCELED, "CANCELED", NULL, NEW_JOB)

/* X(code or its beginning, whole word, act, reason): first match wins; v2 has the code in its message. */
#define LLAMAPARSE_CODES(X)                                             \
    X("PDF_IS_PROTECTED", true, ITEM, parse_encrypted)                  \
    X("UNSUPPORTED_FILE_TYPE", true, ITEM, unsupported_type)            \
    X("NO_DATA_FOUND_IN_FILE", true, ITEM, parse_no_text)               \
    X("INVALID_TIER_VERSION_COMBINATION", true, CONFIG, provider_config) \
    X("INVALID", false, ITEM, parse_refused)                            \
    X("ERROR_DURING_PROCESSING", true, NEW_JOB, parse_job_failed)       \
    X("EXPIRED", true, NEW_JOB, parse_job_failed)                       \
    X("", false, NEW_JOB, parse_job_failed)

/* X(lowest status, highest, steps, phrase, act, reason): first match wins. S submit, Q status, R result. */
#define LLAMAPARSE_FAULTS(X)                                                            \
    X(400, 499, "SQR", "exceeded the maximum number of credits", OPEN, provider_quota)  \
    X(401, 401, "SQR", NULL, OPEN, provider_denied)                                     \
    X(402, 402, "SQR", NULL, OPEN, provider_quota)                                      \
    X(403, 403, "SQR", NULL, OPEN, provider_denied)                                     \
    X(400, 422, "S", "PDF_IS_PROTECTED", ITEM, parse_encrypted)                         \
    X(400, 422, "S", "unsupported file", ITEM, unsupported_type)                        \
    X(400, 422, "S", "UNSUPPORTED_FILE_TYPE", ITEM, unsupported_type)                   \
    X(400, 422, "S", "INVALID_TIER", CONFIG, provider_config)                           \
    X(400, 400, "S", "tier requires", CONFIG, provider_config)                          \
    X(422, 422, "S", "body.file", ITEM, parse_refused)                                  \
    X(400, 400, "S", NULL, ITEM, parse_refused)                                         \
    X(422, 422, "S", NULL, CONFIG, provider_config)                                     \
    X(413, 413, "S", NULL, ITEM, parse_refused)                                         \
    X(415, 415, "S", NULL, ITEM, unsupported_type)                                      \
    X(404, 406, "S", NULL, CONFIG, provider_config)                                     \
    X(404, 404, "Q", NULL, NEW_JOB, parse_job_failed)                                   \
    X(404, 404, "R", NULL, PENDING, parse_job_failed)                                   \
    X(429, 429, "SQR", NULL, WAIT, provider_limited)                                    \
    X(408, 409, "SQR", NULL, RETRY, provider_failed)                                    \
    X(300, 399, "SQR", NULL, CONFIG, provider_config)                                   \
    X(500, 599, "SQR", NULL, RETRY, provider_failed)                                    \
    X(0, 999, "SQR", NULL, RETRY, parse_bad_answer)

/* X(name, credits a page). A credit is 0.00125 USD. */
#define LLAMAPARSE_TIERS(X)  \
    X("fast", 1)             \
    X("cost_effective", 3)   \
    X("agentic", 10)         \
    X("agentic_plus", 45)
/* clang-format on */

#define LLAMAPARSE_CREDIT_PICODOLLARS 1250000000LL

#define X_STATUS(id, ...) LLAMAPARSE_##id,
enum llamaparse_status { LLAMAPARSE_UNKNOWN, LLAMAPARSE_STATUSES(X_STATUS) LLAMAPARSE_STATUS_MAX_ };
#undef X_STATUS

enum llamaparse_step { LLAMAPARSE_SUBMIT, LLAMAPARSE_STATUS, LLAMAPARSE_RESULT };

struct llamaparse_code_row {
    const char *code;
    bool whole;
    enum provider_act act;
    enum reason reason;
};
struct llamaparse_fault_row {
    int lowest, highest;
    const char *steps, *phrase;
    enum provider_act act;
    enum reason reason;
};

const char *llamaparse_status_name(enum llamaparse_status s);
enum llamaparse_status llamaparse_status_parse(const char *spelling); /* UNKNOWN if it is none */
/* "parse.success" and its like; UNKNOWN if it is none. */
enum llamaparse_status llamaparse_event_status(const char *event_type);
enum provider_act llamaparse_status_act(enum llamaparse_status s); /* UNKNOWN: PENDING */
const struct llamaparse_code_row *llamaparse_code_of(const char *code, const char *message);
const struct llamaparse_code_row *llamaparse_code_row(int i); /* NULL after the last */
const struct llamaparse_fault_row *llamaparse_fault_of(int status, enum llamaparse_step step, const char *message);
const struct llamaparse_fault_row *llamaparse_fault_row(int i); /* NULL after the last */
/* Picodollars a page at list price, or -1 for a tier that is not known. */
int64_t llamaparse_page_price(const char *tier);
/* The tables for people, part of docs/providers.md. */
void llamaparse_print_markdown(FILE *f);

#endif
