/*
 * request.c - see request.h
 *
 * One way in for every event and one way out: request_answer and request_answer_error. Whoever continues a waiting
 * request ends in process_outcome().
 */
#include "api/request.h"
#include "api/api.h"
#include "api/embed.h"
#include "api/identity.h"
#include "api/problem.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define STRAY_BODY_MAX 65536 /* bytes read and dropped on a path that takes no body */

struct request *request_new(struct api *api, const char *target)
{
    struct request *r = talloc_zero(NULL, struct request);

    if (r == NULL)
        return NULL;
    r->api = api;
    r->started_ms = clock_ms();
    r->headers.content_length = -1;
    uuid_v4(&r->correlation);
    if (query_parse(r, target, &r->query, &r->target_error) != 0)
        r->query.n = 0;
    return r;
}

/* ---- answers ---- */

static void set_body(struct request *r, json_t *body, const char *content_type)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;

    r->answer.content_type = content_type;
    r->answer.body = text != NULL ? talloc_asprintf(r, "%s\n", text) : talloc_strdup(r, "");
    r->answer.len = r->answer.body != NULL ? strlen(r->answer.body) : 0;
    free(text);
    json_decref(body);
    r->phase = REQUEST_ANSWERED;
}

void request_answer(struct request *r, int status, json_t *body)
{
    r->answer.status = status;
    set_body(r, body, "application/json");
}

void request_answer_text(struct request *r, char *text, size_t n, const char *content_type)
{
    r->answer.status = 200;
    r->answer.content_type = content_type;
    r->answer.body = text;
    r->answer.len = n;
    r->phase = REQUEST_ANSWERED;
}

void request_answer_error(struct request *r, const struct error *e)
{
    struct problem p = problem_of(e);
    char correlation[UUID_TEXT_LEN + 1];

    TALLOC_FREE(r->work); /* before the answer: who reads it finds nothing left over */
    uuid_format(&r->correlation, correlation);
    if (p.status >= 500 && p.reason != REASON_overloaded && p.reason != REASON_draining)
        log_event(reason_class(p.reason) == ERR_INTERNAL ? LOG_LVL_ERROR : LOG_LVL_DEBUG, "api", "request failed",
                  "method", r->method, "path", route_shown(r->query.path), "reason", e->reason, "error", e->message,
                  "correlation", correlation, NULL);
    r->answer.status = p.status;
    r->answer.retry_after_s = r->retry_after_s > 0 ? r->retry_after_s : p.retry_after_s;
    set_body(r, problem_json(e, correlation), "application/problem+json");
}

/* ---- in ---- */

static int check_identity(struct request *r, struct error *e)
{
    char user[UUID_TEXT_LEN + 1];
    int rc = identity_of(r->api->conf, &r->peer, r->headers.authorization, &r->user, e);

    if (rc != 0)
        return rc;
    uuid_format(&r->user, user);
    snprintf(r->claims, sizeof r->claims, "{\"sub\":\"%s\",\"role\":\"docmill_api\"}", user);
    return 0;
}

static int check_stray_body(const struct request *r, int64_t bytes, struct error *e)
{
    if (r->route->data == NULL && bytes > STRAY_BODY_MAX)
        return reason_error(e, REASON_too_large, EFBIG, "This path takes no body.");
    return 0;
}

/* An identity comes before everything that would tell a stranger something, even which paths there are. */
static int process_headers(struct request *r, struct error *e)
{
    int rc;
    int found;

    if (r->target_error.code != 0) {
        *e = r->target_error;
        return e->code;
    }
    found = route_find(r->method, r->query.path, &r->route, &r->id, r->token, r->answer.allow, e);
    if (found != 0 || (r->route->flags & ROUTE_OPEN) == 0) {
        struct error who = {0};
        rc = check_identity(r, &who);
        if (rc != 0) {
            r->answer.allow[0] = '\0';
            *e = who;
            return rc;
        }
    }
    if (found != 0)
        return found;
    r->answer.allow[0] = '\0';
    rc = query_check(&r->query, r->route->params, e);
    if (rc == 0)
        rc = check_stray_body(r, r->headers.content_length, e);
    if (rc == 0 && r->route->begin != NULL)
        rc = r->route->begin(r, e);
    return rc;
}

void request_headers(struct request *r, const char *method)
{
    struct error e = {0};

    snprintf(r->method, sizeof r->method, "%s", method);
    r->phase = REQUEST_BODY;
    if (process_headers(r, &e) != 0)
        request_answer_error(r, &e);
}

void request_data(struct request *r, const void *p, size_t n)
{
    struct error e = {0};
    int rc;

    r->body_bytes += (int64_t)n;
    if (r->phase != REQUEST_BODY)
        return;
    rc = check_stray_body(r, r->body_bytes, &e);
    if (rc == 0 && r->route->data != NULL)
        rc = r->route->data(r, p, n, &e);
    if (rc != 0)
        request_answer_error(r, &e);
}

void request_end(struct request *r)
{
    struct error e = {0};

    if (r->phase == REQUEST_BODY && r->route->end(r, &e) != 0)
        request_answer_error(r, &e);
}

/* ---- waiting ---- */

/* A continuation has run: it answered, failed, or waits for the next thing. */
static void process_outcome(struct request *r, int rc, const struct error *e)
{
    if (rc != 0)
        request_answer_error(r, e);
    if (r->phase == REQUEST_ANSWERED)
        r->wake(r);
}

static void handle_rows(void *arg, const PGresult *res, const char *sqlstate, const struct error *error)
{
    struct request *r = arg;
    struct error e = {0};
    int rc;

    r->call = NULL;
    if (res != NULL) {
        rc = r->rows(r, res, &e);
    } else {
        e = *error;
        if (r->states != NULL && sqlstate[0] != '\0')
            r->states(sqlstate, &e);
        rc = e.code != 0 ? e.code : -EIO;
        if (r->refused != NULL && sqlstate[0] != '\0')
            rc = r->refused(r, sqlstate, &e);
    }
    process_outcome(r, rc, &e);
}

struct pg_params *request_sql(struct request *r, const char *sql, bool repeatable)
{
    dbpool_forget(&r->call);
    r->call = dbpool_call(r->api->db, r->claims[0] != '\0' ? r->claims : NULL, sql, repeatable);
    return dbpool_params(r->call);
}

int request_wait_db(struct request *r, request_rows rows, request_sqlstate states, struct error *e)
{
    r->rows = rows;
    r->states = states;
    r->refused = NULL;
    r->phase = REQUEST_WAITING;
    return dbpool_submit(&r->call, handle_rows, r, e);
}

int request_wait_db_or(struct request *r, request_rows rows, request_refused refused, struct error *e)
{
    int rc = request_wait_db(r, rows, NULL, e);

    r->refused = refused;
    return rc;
}

int request_claim_operator(struct request *r, const char *what, struct error *e)
{
    size_t n = strlen(r->claims);

    if (!r->peer.is_operator) {
        reason_error(e, REASON_forbidden, EPERM, "%s for those with the right operate.", what);
        log_warn("audit", "operator's request refused", "path", r->route->path, "uid",
                 LOG_I(r->peer.is_unix ? (int64_t)r->peer.uid : -1), NULL);
        error_hint(
            e,
            "Ask over api.sock as root, as the daemon's user, or as a member of control.group or control.admin_group.");
        return -EPERM;
    }
    snprintf(r->claims + n - 1, sizeof r->claims - n + 1, ",\"operator\":true}");
    return 0;
}

static void handle_vector(void *arg, const float *v, const struct error *error, int retry_after_s)
{
    struct request *r = arg;
    struct error e = {0};
    int rc;

    r->embedding = NULL;
    if (v != NULL) {
        rc = r->vectored(r, v, &e);
    } else {
        e = *error;
        r->retry_after_s = retry_after_s;
        rc = r->unvectored(r, &e);
    }
    process_outcome(r, rc, &e);
}

int request_wait_vector(struct request *r, const char *model, int dimension, const char *text, request_vector done,
                        request_next failed, struct error *e)
{
    r->vectored = done;
    r->unvectored = failed;
    r->phase = REQUEST_WAITING;
    r->embedding = embed_ask(r->api->embed, model, dimension, text, r->claims, handle_vector, r, e);
    return r->embedding != NULL ? 0 : e->code;
}

struct request_job {
    struct request *request; /* NULL: gone */
    void (*work)(void *arg);
    void *arg;
    request_worked done;
};

static void job_work(void *arg)
{
    struct request_job *j = arg;

    j->work(j->arg);
}

static void handle_worked(void *arg)
{
    struct request_job *j = arg;
    struct request *r = j->request;
    struct error e = {0};

    if (r == NULL) {
        talloc_free(j->arg);
    } else {
        r->job = NULL;
        talloc_steal(r, j->arg);
        process_outcome(r, j->done(r, &e), &e);
    }
    free(j);
}

int request_wait_work(struct request *r, void (*work)(void *arg), void *arg, request_worked done, struct error *e)
{
    struct request_job *j = malloc(sizeof *j);

    if (j == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    *j = (struct request_job){r, work, talloc_steal(NULL, arg), done};
    if (helper_submit(r->api->helper, job_work, handle_worked, j, e) == NULL) {
        talloc_steal(r, arg);
        free(j);
        return e->code;
    }
    r->job = j;
    r->phase = REQUEST_WAITING;
    return 0;
}

static void request_detach(struct request *r)
{
    dbpool_forget(&r->call);
    embed_forget(&r->embedding);
    if (r->job == NULL)
        return;
    if (r->work == r->job->arg)
        r->work = NULL; /* the thread's, until it is done */
    r->job->request = NULL;
    r->job = NULL;
}

void request_give_up(struct request *r, const struct error *e)
{
    if (r->phase != REQUEST_WAITING)
        return;
    request_detach(r);
    process_outcome(r, e->code, e);
}

void request_free(struct request **r)
{
    if (*r == NULL)
        return;
    request_detach(*r);
    talloc_free(*r);
    *r = NULL;
}
