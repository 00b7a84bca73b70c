/* client.h - what the tests of the HTTP client share: an engine that may call loopback, one request and its outcome */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include "http/http.h"
#include "server.h"

/* The outcome of a call, kept. */
struct outcome {
    int times; /* done was called */
    struct http_response r;
    void *memory;
};

extern struct http_engine *engine; /* client_open() */
extern void *mem;

void client_open(const struct http_options *o); /* NULL: loopback allowed */
void client_close(void);
/* Pieces of memory that the engine has for its calls: a call has at least one until it has ended. */
size_t client_kept(void);

/* "http://127.0.0.1:PORT/path", valid until the next-but-three call */
const char *url_of(const struct server *s, const char *path);
struct http_request get(const char *url);
struct http_request post(const char *url, const char *body);
/* Runs it to its end; the answer belongs to mem. */
struct http_response fetch(const struct http_request *q);
struct http_call *start(struct http_request *q, struct outcome *o);
/* Waits until n calls have ended in all, or fails the test. */
void run_until(const struct outcome *o, int n);

#endif
