/*
 * http_int.h - inside of http.h
 *
 *   engine.c   the multi handle, its descriptors and timers, the calls' ends
 *   call.c     one request: checked, copied, set up as an easy handle
 *   source.c   what is sent: bytes, a file, parts
 *   answer.c   what comes back: status, headers, body, their limits
 *   reach.c    which addresses may be connected to
 *   outcome.c  from libcurl's result to a response
 *   deadline.c first byte, whole, low speed
 *   fetch.c    one request, waited for
 *
 * A call is in its engine's list until it ends. Whatever decides that it must end before libcurl says so (a deadline, a
 * limit, a refusal, a cancellation) sets `stop`, the first reason winning; only engine.c takes it out.
 */
#ifndef HTTP_HTTP_INT_H
#define HTTP_HTTP_INT_H

#include "http/http.h"

#include <curl/curl.h>

#define HTTP_SPEED_SLICES 4

enum http_stop {
    HTTP_STOP_NONE,
    HTTP_STOP_CANCELLED,
    HTTP_STOP_CONNECT,
    HTTP_STOP_FIRST_BYTE,
    HTTP_STOP_TOTAL,
    HTTP_STOP_LOW_SPEED,
    HTTP_STOP_TOO_LARGE,
    HTTP_STOP_HEADERS, /* more header bytes than any honest server sends */
    HTTP_STOP_ADDRESS, /* connected to an address that is not allowed */
    HTTP_STOP_UNKNOWN, /* a name behind a proxy */
    HTTP_STOP_RESEND,  /* a POST would have been sent a second time */
    HTTP_STOP_SOURCE,  /* a file to be sent could not be read */
    HTTP_STOP_SINK,    /* response_fd could not be written */
    HTTP_STOP_MEMORY
};

/* Where a body or a part comes from; read at its own offset. */
struct http_source {
    struct http_call *call;
    const char *data;
    int fd;
    int64_t from, len, at; /* from: where it begins in the file; at: how far it is read */
};

/* Talloc owner of what came back; the response's `memory`. */
struct http_answer {
    struct http_header *headers;
    int n_headers, room_headers;
    bool headers_done; /* of the final answer; what comes after is a trailer */
    size_t header_bytes;
    char *body;
    size_t len, room;
};

struct http_speed {
    int64_t slice_at_ms; /* when the newest slice began; 0: not measuring */
    int64_t bytes[HTTP_SPEED_SLICES + 1];
    int n;
};

struct http_call {
    struct http_engine *engine;
    struct http_call *prev, *next;
    CURL *easy;
    CURLU *url;
    struct curl_slist *header_list;
    curl_mime *mime;
    const char *where; /* scheme://host:port, for messages */
    struct http_source *sources;
    struct http_request q; /* defaults filled in; its strings are not kept, but for the bodies */
    bool repeatable;       /* libcurl may send it again on a new connection */
    bool head;
    bool in_multi;
    uint64_t born; /* the run from inside which it was started; 0: from outside */
    struct http_answer *answer;
    enum http_stop stop;
    int stop_errno;
    int64_t started_ms, connecting_ms, answered_ms; /* 0: not yet */
    int64_t progress_ms;                            /* last time the connection took bytes of the request */
    int64_t up, down;                               /* body bytes so far */
    int fd;                                         /* the socket libcurl waited for last on its behalf; -1: none yet */
    int queued;                                     /* bytes the kernel had still to send when last asked */
    struct http_speed speed;
    int sends;        /* how often the request was begun on a connection */
    int sockets;      /* connections that were allowed */
    char refused[64]; /* an address that was not */
    bool ended;
    CURLcode result;
    char words[CURL_ERROR_SIZE];
};

struct http_engine {
    CURLM *multi;
    int epoll_fd, timer_fd;
    int64_t curl_due_ms; /* when libcurl wants to be called; -1: not */
    struct addr_list *allow;
    char *user_agent, *ca_file, *proxy;
    struct http_call *first, *last; /* every call */
    int n_ended;
    uint64_t runs;
    bool running, closing;
};

void http_call_stop(struct http_call *c, enum http_stop why, int err);
void http_call_free(struct http_call *c);
/* Out of the engine and freed, without a word to its owner. */
void http_forget(struct http_call *c);
int http_engine_add(struct http_engine *h, struct http_call *c, struct error *e) MUST_CHECK;

int http_source_set(struct http_call *c, const struct http_request *q, struct error *e) MUST_CHECK;
void http_answer_set(struct http_call *c);
void http_answer_line(struct http_call *c, const char *line, size_t n);
int http_reach_set(struct http_call *c, struct error *e) MUST_CHECK;
/* Looks at the clock and the counters; sets `stop` when a deadline has passed. Returns when to look again. */
int64_t http_deadline_check(struct http_call *c, int64_t now);
void http_outcome(struct http_call *c, struct http_response *r);

#endif
