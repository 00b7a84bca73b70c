/* identity.c - see identity.h */
#include "api/identity.h"
#include "base/clock.h"
#include "core/ids.h"
#include "core/reason.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

/* Compares digests, so that neither content nor length of the secret shows in the time it takes. */
static bool token_equal(const char *given, const char *expected)
{
    uint8_t a[SHA256_BYTES];
    uint8_t b[SHA256_BYTES];

    sha256_of(given, strlen(given), a);
    sha256_of(expected, strlen(expected), b);
    return CRYPTO_memcmp(a, b, sizeof a) == 0;
}

/* All are compared, so that the time does not tell which one fits. */
static bool token_accepted(const struct conf *c, const char *const *field, const char *given)
{
    const char *accepted[CONF_MAX_ACCEPTED + 1];
    int n = conf_accepted(c, field, clock_ms(), accepted);
    bool fits = false;

    for (int i = 0; i < n; i++)
        fits = token_equal(given, accepted[i]) || fits;
    return fits;
}

bool identity_bears(const struct conf *c, const char *const *field, const char *authorization)
{
    return *field != NULL && authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0 &&
           token_accepted(c, field, authorization + 7 + strspn(authorization + 7, " "));
}

static int by_token(const struct conf *c, const char *authorization, struct uuid *user, struct error *e)
{
    if (c->api_token == NULL) {
        reason_error(e, REASON_unauthenticated, EACCES,
                     "This server has no token, so TCP answers only /livez and /readyz.");
        error_hint(e, "Use the Unix socket api.sock, or set api.token (or api.token_file) in the configuration.");
        return -EACCES;
    }
    if (authorization == NULL) {
        reason_error(e, REASON_unauthenticated, EACCES, "The request has no Authorization header.");
        error_hint(e, "Send \"Authorization: Bearer TOKEN\" with the token of api.token.");
        return -EACCES;
    }
    if (!identity_bears(c, &c->api_token, authorization)) {
        reason_error(e, REASON_unauthenticated, EACCES, "The token is not valid.");
        error_hint(e, "Send \"Authorization: Bearer TOKEN\" with the token of api.token.");
        return -EACCES;
    }
    ids_user_by_name(c->api_token_user, user);
    return 0;
}

int identity_of(const struct conf *c, const struct peer *peer, const char *authorization, struct uuid *user,
                struct error *e)
{
    if (!peer->is_unix)
        return by_token(c, authorization, user, e);
    if (c->api_socket_user != NULL)
        ids_user_by_name(c->api_socket_user, user);
    else
        ids_user_by_uid((unsigned)peer->uid, user);
    return 0;
}
