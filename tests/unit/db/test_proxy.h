/*
 * test_proxy.h - a bad network between a test and its server
 *
 * Listens (a Unix socket or 127.0.0.1), relays to the server of DOCMILL_TEST_PG_URL, and misbehaves as told. A thread
 * of the test; several connections at once.
 */
#ifndef TEST_PROXY_H
#define TEST_PROXY_H

#include <stdbool.h>

enum proxy_mode {
    PROXY_PASS,
    PROXY_MUTE,       /* accepts and reads, says nothing: neither to the client nor to the server */
    PROXY_DRIP,       /* the server's answers come byte by byte, one in 20 ms */
    PROXY_REKEY,      /* names another process number in the greeting, as a transaction pooler does */
    PROXY_CUT_BEFORE, /* at a COMMIT: cuts the client off, the server never hears of it */
    PROXY_CUT_AFTER,  /* at a COMMIT: waits for the server's answer, then cuts the client off */
};

struct proxy;

struct proxy *proxy_start(const void *talloc_ctx, bool tcp, enum proxy_mode mode);
void proxy_set(struct proxy *x, enum proxy_mode mode);
/* Calls fn from the proxy's thread at every cut around a COMMIT: after the server's side is closed (so that what was not
 * committed is rolled back), before the client hears of it. */
void proxy_at_cut(struct proxy *x, void (*fn)(void *arg), void *arg);
/* Like a server that stops: every connection is closed and new ones are refused, until it is up again. */
void proxy_down(struct proxy *x);
void proxy_up(struct proxy *x);
const char *proxy_url(struct proxy *x); /* the test server's URL, but through the proxy */
void proxy_stop(struct proxy **x);

#endif
