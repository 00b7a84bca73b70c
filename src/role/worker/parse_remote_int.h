/* parse_remote_int.h - a document at an outside parser, shared by the files of parse_remote; private to them */
#ifndef WORKER_PARSE_REMOTE_INT_H
#define WORKER_PARSE_REMOTE_INT_H

#include "worker/parse_remote.h"

#define PARSER_NAME service_name(SERVICE_LLAMAPARSE)

struct remote {
    struct remote *next;
    struct outside *o;
    struct parse_remote *pr; /* gone when given_up */
    struct passage *p;
    enum llamaparse_step step;
    struct outside_call call;
    struct submission submission;
    struct blob_view raw; /* while it is submitted */
    bool raw_open, under_way, answered, given_up;
    bool held; /* the database is being told about it: nothing is sent, whoever ticks meanwhile */
    char token[2 * SUBMIT_TOKEN_BYTES + 1], url[LLAMAPARSE_MAX_WEBHOOK_URL + 1];
    struct llamaparse_answer answer;
    bool unsent; /* it could not be asked for; `answer` says why */
};

struct parse_remote {
    struct outside *o;
    struct llamaparse_endpoint endpoint;
    struct remote *list;
    int n, moved;
    bool closed;
    bool sending; /* opening a file may tick, and a tick sends */
};

/* parse_remote.c: the list */
void remote_next_step(struct remote *r, enum llamaparse_step step);
/* Off the list; a request under way is given up, and what it points to lives until it has ended. */
void remote_let_go(struct remote *r);
/* It is nobody's now, or written: the passage goes too. 1 */
int remote_drop(struct remote *r);

/* parse_request.c */
void remote_close_raw(struct remote *r);

/* parse_submission.c: each writes where the document stands. 1: it goes on or has gone, 0: nobody's now, or negative. */
int remote_begin(struct remote *r, struct error *e) MUST_CHECK;
int remote_fail(struct remote *r, const struct error *why, struct error *e) MUST_CHECK;
int remote_gate(struct remote *r, const char *reason, struct error *e) MUST_CHECK;
int remote_submitted(struct remote *r, struct error *e) MUST_CHECK; /* the answer names its job */
int remote_pending(struct remote *r, struct error *e) MUST_CHECK;   /* it is not done yet */
int remote_wait(struct remote *r, struct error *e) MUST_CHECK;      /* it is asked again later */
int remote_result(struct remote *r, struct error *e) MUST_CHECK;    /* the answer is its text */

#endif
