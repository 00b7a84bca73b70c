/*
 * webhook.h - is it from who it says, and what does it say?
 *
 * Three proofs, each compared in constant time:
 *   standard   Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature (svix- in place of webhook- too): a
 *              list of "v1,<base64 HMAC-SHA256 of id.timestamp.body>", any of which may fit any of the secrets given,
 *              so that secrets can be changed without losing one; refused when the time is off by more than a tolerance
 *   LC         LlamaParse's LC-Signature: sha256=<hex HMAC-SHA256 of the body>; no time in it, so the caller keeps the
 *              event's id against repetition
 *   token      a random word of the job's own, in the address or a header
 * Then the event, in both of LlamaParse's shapes: a thin one that names a job and its status, or the result itself,
 * which names no job (the token in the address does). Either may come as a JSON string that holds the JSON.
 *
 * Neither is believed beyond "look at this job now".
 *
 * Pure: body, headers and the time come in; the caller limits the body. Depends on base, core, http (structs of
 * llamaparse.h).
 */
#ifndef PROVIDER_WEBHOOK_H
#define PROVIDER_WEBHOOK_H

#include "provider/llamaparse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_TOLERANCE_S 300
#define WEBHOOK_EVENT_ID    128

/* Standard Webhooks. secrets: "whsec_" and base64, or base64 alone, NULL-terminated list. now: Unix time of a clock that
 * is right within the tolerance. id (WEBHOOK_EVENT_ID bytes, may be NULL): the message's, against repetition.
 * bad_signature, stale_signature, bad_config (none of the
 * secrets is one of this kind; those that are not are passed over). */
int webhook_verify_standard(const char *const *secrets, ratehead_get *header, const void *arg, const char *body,
                            size_t len, int64_t now, int64_t tolerance_s, char *id, struct error *e) MUST_CHECK;
/* LC-Signature by any of the secrets, which are used as they are. bad_signature, also when the header is absent. */
int webhook_verify_lc(const char *const *secrets, ratehead_get *header, const void *arg, const char *body, size_t len,
                      struct error *e) MUST_CHECK;
/* Whether the token is the one whose SHA-256 was kept. */
bool webhook_token_fits(const char *token, size_t len, const uint8_t sha256[32]);

enum webhook_kind { WEBHOOK_EVENT, WEBHOOK_RESULT };

struct webhook {
    enum webhook_kind kind;
    char event_id[WEBHOOK_EVENT_ID]; /* "" if it has none */
    char job_id[LLAMAPARSE_ID];      /* "" in a result */
    char event_type[64];             /* as it was sent, printable */
    enum llamaparse_status status;   /* UNKNOWN: an event that is none of docmill's; of a result SUCCESS */
};

/* 0 or bad_request. */
int webhook_read(const char *body, size_t len, struct webhook *out, struct error *e) MUST_CHECK;

#endif
