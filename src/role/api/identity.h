/*
 * identity.h - whose request it is
 *
 * Over the Unix socket: the peer's uid, as the kernel says it; each uid is a user of its own unless api.socket_user
 * names one for all. Over TCP: the bearer token of api.token, or one that a reload has replaced lately,
 * compared in constant time, which stands for api.token_user. Without api.token nobody has an identity over TCP.
 *
 * Errors: unauthenticated, with a hint. Depends on base, core.
 */
#ifndef API_IDENTITY_H
#define API_IDENTITY_H

#include "api/request.h"

int identity_of(const struct conf *c, const struct peer *peer, const char *authorization, struct uuid *user,
                struct error *e) MUST_CHECK;

/* Whether the Authorization header (NULL: none came) bears what is accepted for a secret of the configuration. */
bool identity_bears(const struct conf *c, const char *const *field, const char *authorization);

#endif
