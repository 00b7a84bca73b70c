/*
 * control.c - what tests ask of a mock: health, journal, faults, usage, time
 *
 * These requests are not counted, not in the journal, and no fault strikes them.
 *
 * Depends on base, common.
 */
#include "common/mock_int.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static void answer_error(struct mock_request *q, struct mock_answer *a, int status, const char *message)
{
    answer_json(q, a, status, json_pack("{s:s}", "error", message));
}

static void serve_health(struct mock *m, struct mock_request *q, struct mock_answer *a)
{
    answer_json(q, a, 200,
                json_pack("{s:s, s:s, s:I}", "status", "ok", "program", m->program->name, "seed", (json_int_t)m->seed));
}

static void serve_journal(struct mock *m, struct mock_request *q, struct mock_answer *a)
{
    const char *since = mock_arg(q, "since"), *status = mock_arg(q, "status");
    json_t *shown;

    mock_lock(m);
    mock_settle(m);
    if (strcmp(q->method, "DELETE") == 0)
        journal_clear(m->journal);
    shown = journal_show(m->journal, since != NULL ? strtoull(since, NULL, 10) : 0, mock_arg(q, "path"),
                         status != NULL ? atoi(status) : 0);
    mock_unlock(m);
    answer_json(q, a, 200, shown);
}

static void serve_faults(struct mock *m, struct mock_request *q, struct mock_answer *a)
{
    bool put = strcmp(q->method, "PUT") == 0, change = put || strcmp(q->method, "POST") == 0;
    json_t *what = change ? json_loadb(q->body, q->body_len, 0, NULL) : NULL, *shown;
    struct error e = {0};
    int r = 0;

    if (change && what == NULL) {
        answer_error(q, a, 400, "the body is not JSON");
        return;
    }
    mock_lock(m);
    if (put) {
        struct fault_book *trial = fault_book_new(NULL, m->program->family);

        r = fault_book_apply(trial, what, &e);
        talloc_free(trial);
    }
    if (strcmp(q->method, "DELETE") == 0 || (put && r == 0))
        fault_book_clear(m->faults);
    if (change && r == 0)
        r = fault_book_apply(m->faults, what, &e);
    shown = fault_book_show(m->faults);
    mock_unlock(m);
    json_decref(what);
    if (r < 0) {
        json_decref(shown);
        answer_error(q, a, 400, e.message);
        return;
    }
    answer_json(q, a, 200, shown);
}

static void serve_usage(struct mock *m, struct mock_request *q, struct mock_answer *a)
{
    json_t *usage;

    mock_lock(m);
    mock_settle(m);
    if (strcmp(q->method, "DELETE") == 0) {
        m->program->usage_reset(m->program->state);
        m->changed = true;
    }
    usage = m->program->usage(m->program->state);
    mock_unlock(m);
    answer_json(q, a, 200, usage);
}

static void serve_time(struct mock *m, struct mock_request *q, struct mock_answer *a)
{
    json_t *what = json_loadb(q->body, q->body_len, 0, NULL);
    int64_t ms = (int64_t)json_integer_value(json_object_get(what, "advance_ms"));

    json_decref(what);
    if (ms < 0) {
        answer_error(q, a, 400, "advance_ms: the clock goes forward only");
        return;
    }
    mock_lock(m);
    m->ahead_ms += ms;
    pthread_cond_broadcast(&m->moved);
    mock_unlock(m);
    answer_json(q, a, 200,
                json_pack("{s:I, s:I}", "now_ms", (json_int_t)mock_now_ms(m), "ahead_ms", (json_int_t)m->ahead_ms));
}

bool control_serve(struct mock *m, struct mock_request *q, struct mock_answer *a)
{
    static const struct {
        const char *path, *methods;
        void (*serve)(struct mock *, struct mock_request *, struct mock_answer *);
    } routes[] = {{"/health", "GET", serve_health},
                  {"/__journal", "GET DELETE", serve_journal},
                  {"/__faults", "GET PUT POST DELETE", serve_faults},
                  {"/__usage", "GET DELETE", serve_usage},
                  {"/__time", "GET POST", serve_time}};

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].path, q->path) != 0)
            continue;
        if (strstr(routes[i].methods, q->method) != NULL)
            routes[i].serve(m, q, a);
        else
            answer_error(q, a, 405, "method not allowed");
        return true;
    }
    return m->program->control != NULL && strncmp(q->path, "/__", 3) == 0 &&
           m->program->control(m->program->state, q, a);
}
