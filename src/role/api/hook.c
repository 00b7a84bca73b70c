/* hook.c - see hook.h */
#include "api/hook.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *hook_header_name(enum hook_header h)
{
#define X_NAME(id, name) [HOOK_##id] = name,
    static const char *const names[] = {HOOK_HEADERS(X_NAME)};
#undef X_NAME

    return names[h];
}

static const char *get_header(const void *arg, const char *name)
{
    const struct hook_in *in = arg;

    for (int i = 0; i < HOOK_HEADER_MAX_; i++)
        if (strcasecmp(hook_header_name((enum hook_header)i), name) == 0)
            return in->headers[i];
    return NULL;
}

static int verify_standard(const struct hook_in *in, char *id, struct error *e)
{
    int rc =
        webhook_verify_standard(in->secrets, get_header, in, in->body, in->len, in->now, WEBHOOK_TOLERANCE_S, id, e);

    if (rc != 0 && reason_parse(e->reason) == REASON_bad_config)
        return reason_error(e, REASON_bad_signature, EACCES,
                            "%s The configured secret is none of Standard Webhooks, which is whsec_ and base64.",
                            reason_sentence(REASON_bad_signature));
    return rc;
}

/* id: the message's, if what was signed names one; else "". */
static int verify(const struct hook_in *in, const uint8_t token_sha256[SHA256_BYTES], char id[WEBHOOK_EVENT_ID],
                  struct error *e)
{
    const char *again = in->headers[HOOK_TOKEN];

    if (again != NULL && !webhook_token_fits(again, strlen(again), token_sha256))
        return reason_error(e, REASON_bad_signature, EACCES, "The token in %s is not that of the address.",
                            LLAMAPARSE_TOKEN_HEADER);
    if (in->secrets[0] == NULL)
        return 0;
    if (in->headers[HOOK_LC] == NULL &&
        (in->headers[HOOK_SIGNATURE] != NULL || in->headers[HOOK_SVIX_SIGNATURE] != NULL))
        return verify_standard(in, id, e);
    return webhook_verify_lc(in->secrets, get_header, in, in->body, in->len, e);
}

static bool is_plain(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    return n > 0 && n < WEBHOOK_EVENT_ID - 1; /* one that fills the room may have been cut */
}

static void take_nonce(const struct hook_in *in, const char *event_id, const char *message_id, struct hook_news *out)
{
    uint8_t hash[SHA256_BYTES];

    if (is_plain(event_id)) {
        snprintf(out->nonce, sizeof out->nonce, "%s", event_id);
    } else if (is_plain(message_id)) {
        snprintf(out->nonce, sizeof out->nonce, "%s", message_id);
    } else {
        sha256_of(in->body, in->len, hash);
        hex_encode(hash, sizeof hash, out->nonce);
    }
}

int hook_read(const struct hook_in *in, struct hook_news *out, struct error *e)
{
    char message_id[WEBHOOK_EVENT_ID] = "";
    struct webhook w;
    int rc;

    memset(out, 0, sizeof *out);
    sha256_of(in->token, strlen(in->token), out->token_sha256);
    rc = verify(in, out->token_sha256, message_id, e);
    if (rc == 0)
        rc = webhook_read(in->body, in->len, &w, e);
    if (rc != 0)
        return rc;
    take_nonce(in, w.event_id, message_id, out);
    memcpy(out->external_id, w.job_id, sizeof out->external_id);
    memcpy(out->event_type, w.event_type, sizeof out->event_type);
    out->to_fetch = w.kind == WEBHOOK_RESULT || llamaparse_status_act(w.status) != PROVIDER_PENDING;
    return 0;
}
