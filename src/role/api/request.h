/*
 * request.h - one HTTP request, from its first line to its answer
 *
 *      NEW ----headers----> BODY ----end----> WAITING ----woken----> ANSWERED
 *       |                    |                                          ^
 *       +--------------------+------------------- refused --------------+
 *
 * httpd.c feeds it (request_headers, request_data, request_end) and asks for the answer; it suspends the connection
 * while the phase is WAITING. Handlers act on it and end in exactly one of: an answer (request_answer_*), an error
 * returned, or request_wait_db / _vector / _work, whose continuation ends in the same ways. Nothing here waits.
 *
 * Everything of a request is a talloc child of it; freeing it frees an unfinished upload too. A request that dies
 * while WAITING (shutdown) leaves its call behind as an orphan that answers to nobody.
 *
 * Depends on base, core, db.
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/dbpool.h"
#include "api/helper.h"
#include "api/query.h"
#include "core/conf.h"

#include <jansson.h>
#include <sys/socket.h>
#include <sys/types.h>

struct api;
struct embed_wait;
struct route;

#define REQUEST_TOKEN_MAX 64 /* of a path */

enum request_phase { REQUEST_NEW, REQUEST_BODY, REQUEST_WAITING, REQUEST_ANSWERED };

/* Who is at the other end, as httpd.c found it. */
struct peer {
    bool is_unix;
    uid_t uid;                       /* of a Unix socket's peer */
    bool is_operator;                /* has the right operate; over a Unix socket only */
    bool is_reader;                  /* has the right read; likewise */
    struct sockaddr_storage address; /* over TCP */
};

/* What httpd.c read from the headers; strings live as long as the request. */
struct request_headers {
    const char *authorization, *content_type, *content_sha256;
    int64_t content_length; /* -1: none given */
    bool chunked, expect_continue;
    bool bad_framing; /* where the body ends cannot be told: nothing after the headers is read */
};

struct answer {
    int status; /* HTTP */
    const char *content_type;
    char *body;
    size_t len;
    const char *location; /* NULL: no such header */
    char allow[64];       /* "": no such header */
    int retry_after_s;
    bool close;
};

struct request;
struct request_job;

typedef int (*request_rows)(struct request *r, const PGresult *res, struct error *e);
/* For a failed statement whose SQLSTATE means something to this handler: fills *e anew. May be NULL. */
typedef void (*request_sqlstate)(const char *sqlstate, struct error *e);
/* The same, for a handler that may go another way: 0 if it answered or waits again. *e says what the statement said. */
typedef int (*request_refused)(struct request *r, const char *sqlstate, struct error *e);
typedef int (*request_next)(struct request *r, struct error *e);
/* v lives until it returns. */
typedef int (*request_vector)(struct request *r, const float *v, struct error *e);

struct request {
    struct api *api;
    struct peer peer;
    void *transport;                 /* httpd.c's own */
    void (*wake)(struct request *r); /* httpd.c: the answer is there, go on */
    /* httpd.c: any header's value, NULL if it was not sent; lives as long as the request */
    const char *(*header)(const struct request *r, const char *name);
    enum request_phase phase;
    int64_t started_ms;
    char method[16];
    struct query query;
    struct error target_error; /* of parsing the target, reported when the method is known */
    struct request_headers headers;
    const struct route *route;
    struct uuid id;                    /* of the path */
    char token[REQUEST_TOKEN_MAX + 1]; /* of the path: a secret */
    struct uuid user;
    char claims[128];        /* what row-level security sees */
    struct uuid correlation; /* goes into job, events and answer */
    int64_t body_bytes;
    struct answer answer;
    void *work; /* the handler's own, a talloc child */
    struct db_call *call;
    struct request_job *job;
    request_rows rows;
    request_sqlstate states;
    request_refused refused;
    request_next next; /* of collections_ask() */
    struct embed_wait *embedding;
    request_vector vectored;
    request_next unvectored;
    int retry_after_s; /* told with an error; 0: what its reason says */
};

/* ---- for httpd.c ---- */
struct request *request_new(struct api *api, const char *target);
void request_headers(struct request *r, const char *method);
void request_data(struct request *r, const void *p, size_t n);
void request_end(struct request *r);
void request_free(struct request **r);

/* ---- for handlers ---- */
/* Answers; body is consumed. */
void request_answer(struct request *r, int status, json_t *body);
/* 200 with another text than JSON: a talloc child of the request. */
void request_answer_text(struct request *r, char *text, size_t n, const char *content_type);
void request_answer_error(struct request *r, const struct error *e);

/* A statement of this request, run as its user: make it, add parameters to what is returned, then wait for it.
 * `repeatable`: it may safely run twice, so it is sent once more if the connection was lost. */
struct pg_params *request_sql(struct request *r, const char *sql, bool repeatable);
int request_wait_db(struct request *r, request_rows rows, request_sqlstate states, struct error *e) MUST_CHECK;
int request_wait_db_or(struct request *r, request_rows rows, request_refused refused, struct error *e) MUST_CHECK;
/* The vector of a text by a model of the embeddings service; only where there is one. failed, with *e filled, may go
 * another way as request_refused may. */
int request_wait_vector(struct request *r, const char *model, int dimension, const char *text, request_vector done,
                        request_next failed, struct error *e) MUST_CHECK;
/* This request's statements say from now on that an operator asks; forbidden if none does. */
int request_claim_operator(struct request *r, const char *what, struct error *e) MUST_CHECK;
/* Runs work(arg) on a helper thread, then done in the loop. arg is a talloc object with nothing shared: it belongs to
 * the thread meanwhile, to the request before and after, and is freed if the request is gone by then. */
typedef int (*request_worked)(struct request *r, struct error *e);
int request_wait_work(struct request *r, void (*work)(void *arg), void *arg, request_worked done,
                      struct error *e) MUST_CHECK;
/* Shutdown: answers a waiting request with this error now and wakes it; what it waited for is orphaned. */
void request_give_up(struct request *r, const struct error *e);

#endif
