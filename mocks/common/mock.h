/*
 * mock.h - what every stand-in of an outside service is made of
 *
 * A mock is a program for tests and demonstrations: an HTTP server on 127.0.0.1 that answers as a vendor's service
 * does, counts what it was asked, and misbehaves when told to. It is never linked into the daemon. A program fills a
 * struct mock_program and calls mock_main(); the common part owns sockets, threads, flags, the journal, the faults,
 * the clock and the state file.
 *
 * One thread a connection, so that an answer may be late without holding up another. serve() is therefore called by
 * many threads at once: what the program shares between requests is touched only between mock_lock() and
 * mock_unlock(). A request, its answer and all they allocate belong to one talloc context that ends with the answer.
 *
 * Served for every program: GET /health; GET, DELETE /__journal; GET, PUT, POST, DELETE /__faults; GET, DELETE
 * /__usage; GET, POST /__time ({"advance_ms": N} moves the mock's clock forward and wakes who waits on it).
 *
 * Depends on base, libmicrohttpd, jansson, libcrypto.
 */
#ifndef MOCKS_COMMON_MOCK_H
#define MOCKS_COMMON_MOCK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct mock;
struct fault_book;

struct mock_request {
    struct mock *mock;
    uint64_t number;    /* of the program's own requests, from 1; the dice of the faults are thrown with it */
    const char *method; /* upper case */
    const char *uri;    /* as sent, query and all */
    const char *path;   /* percent-decoded */
    const char *query;  /* as sent, without the '?'; "" if there is none */
    json_t *headers;    /* lower-case name: value */
    json_t *args;       /* the query's parameters, decoded; the values of a repeated one joined by commas */
    const char *body;   /* NUL-terminated behind body_len bytes */
    size_t body_len;
    int64_t started_ms; /* mock's clock */
    json_t *summary;    /* object for the journal: what the program made of the body */
    json_t *faults;     /* names of the faults that struck */
    json_t *kept;       /* parameters of the rules that struck */
};

struct mock_answer {
    int status;
    const char *type; /* content type; NULL with an empty body */
    const char *body; /* owned by the request's context */
    size_t body_len;
    json_t *headers;  /* name: value, as sent */
    int64_t delay_ms; /* of the program's own, besides that of the knobs */
    bool drop;        /* close the connection instead of answering */
    bool spoilt;      /* a fault changed the body */
};

struct mock_option {
    const char *flag;  /* without the dashes */
    const char *value; /* its name in the help; NULL: a switch */
    const char *help;
    /* 0, or negative with *e: the value is wrong */
    int (*take)(void *program_state, const char *value, struct error *e);
};

struct mock_program {
    const char *name;
    const char *purpose; /* one line of the help */
    int port;
    unsigned family;                   /* bit of the faults it knows: FAULTS_... of faults.h */
    size_t max_body;                   /* longer requests get 413 */
    const struct mock_option *options; /* ends with a NULL flag */
    void *state;
    /* before the first request; 0 or negative with *e */
    int (*start)(struct mock *m, void *state, struct error *e);
    void (*stop)(void *state); /* after the last one */
    void (*serve)(void *state, struct mock_request *q, struct mock_answer *a);
    /* one of its own paths that begin with /__ and are neither counted nor in the journal; may be NULL */
    bool (*control)(void *state, struct mock_request *q, struct mock_answer *a);
    /* the vendor's error body for a fault's status; code may be NULL */
    void (*fail)(void *state, struct mock_request *q, struct mock_answer *a, int status, const char *code);
    /* the answer left, or did not; whole: as the program made it, and to its last byte. Called locked, may be NULL. */
    void (*ended)(void *state, const struct mock_request *q, const struct mock_answer *a, bool whole);
    json_t *(*usage)(void *state); /* called locked; new object */
    void (*usage_reset)(void *state);
    json_t *(*save)(void *state);                  /* called locked; NULL: nothing to keep */
    void (*load)(void *state, const json_t *kept); /* called locked, after start() */
};

int mock_main(const struct mock_program *p, int argc, char **argv);

void mock_lock(struct mock *m);
void mock_unlock(struct mock *m);
/* The state file is written within a second. */
void mock_changed(struct mock *m);
/* Waits so long by the mock's clock; false if the program is ending. Never with the lock held. */
bool mock_sleep(struct mock *m, int64_t ms);
bool mock_ending(struct mock *m);
/* Wall clock plus what /__time added. */
int64_t mock_now_ms(struct mock *m);
/* A number in [0, 1) from the seed, the request's number and a salt: the same for the same three. */
double mock_dice(struct mock *m, uint64_t number, uint64_t salt);
uint64_t mock_seed(const struct mock *m);
/* A UUID (version 4's form) made of the seed, a number and a word: the same for the same three. 37 bytes. */
void mock_uuid(struct mock *m, uint64_t number, const char *word, char out[37]);
void mock_sha256_hex(const void *p, size_t n, char out[65]);
/* 2026-11-22T03:54:00.365Z */
json_t *mock_time_text(int64_t ms);
/* Text of any bytes: what is not UTF-8, and NULs, become '?'. */
json_t *mock_text(const char *s, size_t n);
struct fault_book *mock_faults(struct mock *m);

/* Value of a request's header (lower-case name) or query parameter; NULL if it was not sent. */
const char *mock_header(const struct mock_request *q, const char *name);
const char *mock_arg(const struct mock_request *q, const char *name);
/* The token of `Authorization: Bearer`; NULL without one. */
const char *mock_bearer(const struct mock_request *q);
/* Requests of this kind: method and exact path. */
bool mock_is(const struct mock_request *q, const char *method, const char *path);

void answer_json(struct mock_request *q, struct mock_answer *a, int status, json_t *owned);
void answer_bytes(struct mock_request *q, struct mock_answer *a, int status, const char *type, const void *p, size_t n);
void answer_header(struct mock_request *q, struct mock_answer *a, const char *name, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Everything a request needs may be allocated below it. */
static inline void *mock_ctx(struct mock_request *q)
{
    return q;
}

#endif
