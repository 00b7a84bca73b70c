/*
 * hook.h - is a callback to be believed, and what does it ask for?
 *
 * The token of the address is looked up in the database by its hash; if the X-Docmill-Token header came as well it must
 * be the same. With secrets, one signature must be there and fit: LC-Signature, or the three headers of Standard
 * Webhooks (webhook- or svix-). What the body says is believed as far as "look at this job now".
 *
 * Errors: bad_signature, stale_signature, bad_request (the body is no callback), internal.
 *
 * Pure: runs on a helper thread too. Depends on base, core, provider.
 */
#ifndef API_HOOK_H
#define API_HOOK_H

#include "base/error.h"
#include "base/hash.h"
#include "core/conf.h"
#include "provider/webhook.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(ID, name): the headers it looks at */
#define HOOK_HEADERS(X)                                                                                                \
    X(TOKEN, LLAMAPARSE_TOKEN_HEADER)                                                                                  \
    X(LC, "lc-signature")                                                                                              \
    X(ID, "webhook-id")                                                                                                \
    X(TIMESTAMP, "webhook-timestamp")                                                                                  \
    X(SIGNATURE, "webhook-signature")                                                                                  \
    X(SVIX_ID, "svix-id")                                                                                              \
    X(SVIX_TIMESTAMP, "svix-timestamp")                                                                                \
    X(SVIX_SIGNATURE, "svix-signature")
#define X_ID(id, ...) HOOK_##id,
enum hook_header { HOOK_HEADERS(X_ID) HOOK_HEADER_MAX_ };
#undef X_ID
const char *hook_header_name(enum hook_header h);

struct hook_in {
    const char *token;
    const char *secrets[CONF_MAX_ACCEPTED + 1]; /* any of them may fit; NULL-terminated, empty: none is configured */
    const char *headers[HOOK_HEADER_MAX_];
    const char *body;
    size_t len;
    int64_t now; /* Unix time */
};

struct hook_news {
    uint8_t token_sha256[SHA256_BYTES];
    char nonce[WEBHOOK_EVENT_ID];    /* the event's own id, or the body's SHA-256: against repetition */
    char external_id[LLAMAPARSE_ID]; /* the service's name for the job; "": it does not say */
    char event_type[64];             /* "" with a result */
    bool to_fetch;                   /* the job has ended, one way or the other */
};

int hook_read(const struct hook_in *in, struct hook_news *out, struct error *e) MUST_CHECK;

#endif
