/*
 * http.h - HTTP client: many requests in flight, none of them waited for
 *
 * An engine is one libcurl multi handle, in the hands of one thread at a time: connections are reused, HTTP/2 where the
 * server offers it, TLS verified, redirects never followed. A request has four deadlines (connect, first byte, whole, low
 * speed) and a limit on the answer's size. Secrets travel in headers marked secret, never in a URL; no header, body or
 * query of a request is ever logged or put into an error.
 *
 * Addresses. A host that resolves to an address that is not public (base/addr.h) is refused, unless the request or the
 * engine's list of networks allows it. What is checked is the very address of each connection when its socket is made,
 * and again, for a connection that is used once more, before the request is sent on it: a name that changes its
 * addresses between a check and a connection gains nothing. Through a proxy the connection is the proxy's, so only a
 * numeric host can be checked; a name is refused, unless the request or the list ("all") leaves it to the proxy.
 *
 * A POST is never sent a second time by itself, not even when a kept connection turns out to be closed: that ends as
 * http_broken with `sent`. GET, HEAD, PUT and DELETE are sent once more on a new connection in that case.
 *
 * The engine calls `done` only from http_run(), http_wait() and http_fetch(), or from http_free() (cancelled); never
 * from inside http_start() or http_cancel(). `done` may start and cancel requests; it must not run, wait, fetch or free.
 *
 * Errors of a request come in its response, with status 0: http_unreachable (nothing was sent), http_timeout,
 * http_broken (the connection ended before the answer did), http_too_large, http_refused (an address that is not
 * allowed, a certificate that does not verify, or a redirect: 301, 302, 303, 307, 308; the answer's headers are then
 * still there), cancelled, os_error (a file of the caller's could not be read or written). A status of 4xx or 5xx is an
 * answer, not an error: its meaning is the caller's.
 *
 * Names are resolved by libcurl's threads, so that nothing waits for them; a lookup that is given up ends by itself.
 *
 * Depends on base, core. The process ignores SIGPIPE.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_engine;
struct http_call; /* a request under way */

struct http_options {
    const char *user_agent;
    const char *ca_file;       /* PEM bundle; NULL: the system's */
    const char *proxy;         /* http://[user:password@]host:port; NULL: none, whatever the environment says */
    const char *allow_private; /* addr_list_parse(): "none", "all", networks; NULL: none */
    int max_connections;       /* over all hosts; 0: 64 */
    int max_host_connections;  /* 0: 16 */
};

struct http_header {
    const char *name, *value;
    bool secret; /* never in an error or a log */
};

/* One part of multipart/form-data. Either data or fd. */
struct http_part {
    const char *name;
    const char *filename, *content_type; /* NULL: a plain field */
    const char *data;
    size_t len;
    int fd; /* >= 0: the part is this file from offset 0, `len` bytes, read with pread */
};

struct http_response {
    int status; /* 0: no answer, `error` says why */
    struct error error;
    bool sent;        /* part of the request may have reached the server: a submission may have happened */
    const char *body; /* NUL-terminated behind `len` bytes; NULL if it went to response_fd */
    size_t len;       /* bytes of the body, wherever it went */
    int64_t connect_ms, first_byte_ms, total_ms;
    int64_t sent_bytes, received_bytes;
    const struct http_header *headers; /* of the answer, in its order */
    int n_headers;
    void *memory; /* talloc owner of body and headers: talloc_steal() it to keep them */
};

struct http_request {
    const char *method; /* GET, POST, PUT, DELETE, HEAD */
    const char *url;    /* http or https; user:password in it is refused */
    const struct http_header *headers;
    int n_headers;
    /* the body: bytes, or a stretch of a file, or parts; at most one of them */
    const char *body;
    size_t body_len;
    int body_fd; /* -1: none */
    int64_t body_fd_offset;
    int64_t body_fd_len;
    const struct http_part *parts;
    int n_parts;
    /* 0: 10 s, total, 60 s. connect: from looking up the name to the end of the TLS handshake. first byte: from the
     * last byte of the request that left the machine. total: from http_start(), waiting for a connection included. */
    int64_t connect_ms, first_byte_ms, total_ms;
    int64_t low_speed_bytes, low_speed_ms; /* under so many bytes a second for so long; 0: off */
    size_t max_response;                   /* bytes of the answer; 0: 16 MiB */
    int response_fd;    /* >= 0: a 2xx body is written here with pwrite from offset 0; -1: kept in memory */
    bool once;          /* never sent a second time by itself, as if it were a POST */
    bool allow_private; /* private, loopback and link-local addresses too */
    void (*done)(void *arg, const struct http_response *r); /* r and what it points to live until it returns */
    void *arg;
};

/* The settings http.* of the configuration; the strings stay the configuration's. */
struct conf;
void http_options_of(const struct conf *c, struct http_options *o);
struct http_engine *http_new(const void *talloc_parent, const struct http_options *o, struct error *e) MUST_CHECK;
/* Every call still under way ends with status 0 and reason `cancelled`; its done is called. */
void http_free(struct http_engine **h);

/* Copies everything but what body, body_fd and parts' data point to, which must live until done. NULL with *e when the
 * request itself is wrong (a URL that is none, a scheme, credentials in it). */
struct http_call *http_start(struct http_engine *h, const struct http_request *q, struct error *e) MUST_CHECK;
/* done is called from the next http_run() or http_wait(), with reason `cancelled`. Not for a call whose done has been
 * called: it is gone. */
void http_cancel(struct http_call *c);

/* Descriptors of the caller's to wait for as well. */
struct http_fd {
    int fd;
    short events;  /* POLLIN, POLLOUT */
    short revents; /* out */
};
/* Waits at most timeout_ms for anything to happen on the engine's connections or the caller's descriptors, moves what
 * can be moved and calls done for what ended. Returns how many calls ended, or a negative code. */
int http_wait(struct http_engine *h, struct http_fd *more, int n_more, int timeout_ms, struct error *e) MUST_CHECK;
/* The same without waiting. */
int http_run(struct http_engine *h, struct error *e) MUST_CHECK;
/* For an event loop: readable (EPOLLIN) when http_run() has something to do, deadlines included. Stays the engine's. */
int http_descriptor(const struct http_engine *h);

/* Value of an answer's header, case-insensitive, the last one if there are several; NULL if there is none. */
const char *http_response_header(const struct http_response *r, const char *name);

/* One request from start to end, ticking at least every 100 ms; other calls of the engine go on meanwhile. r->memory
 * belongs to talloc ctx. 0 with any answer of the server, negative (r->error, also in *e) with none. tick and cancelled
 * may be NULL; q's done and arg are not used. */
int http_fetch(struct http_engine *h, const void *ctx, const struct http_request *q, void (*tick)(void *arg),
               bool (*cancelled)(void *arg), void *arg, struct http_response *r, struct error *e) MUST_CHECK;

#endif
