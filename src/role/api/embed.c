/*
 * embed.c - see embed.h
 *
 * A query is one text on its way: waiting for its turn, or sent. Everything that is due is done in process_turn(), a
 * deferred source that a timer, an answer and a new query set off; the engine's callback records what came and plans
 * the query's next step.
 */
#include "api/embed.h"
#include "api/answer.h"
#include "api/api.h"
#include "api/search_cost.h"
#include "api/vectors.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "http/http.h"
#include "outside/outcome.h"
#include "provider/embedder.h"
#include "provider/openai.h"
#include "provider/ratehead_http.h"
#include "text/tokens.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <talloc.h>

#define KEEP_BYTES     (8 << 20)
#define MOST_TRIES     3
#define RETRY_FIRST_MS 100
#define RETRY_CAP_MS   1000
#define MOST_TURN_MS   2000 /* a free time of the pace that is further away is not waited for */
#define MOST_RETRY_S   60   /* told to a client */
#define EXIT_FATAL     70

TAILQ_HEAD(queries, query_text);
TAILQ_HEAD(waits, embed_wait);

struct embed_wait {
    TAILQ_ENTRY(embed_wait) entry;
    struct query_text *query;
    embed_done done;
    void *arg;
};

/* A model in a dimension. */
struct embed_model {
    struct embed_model *next;
    char *name;
    struct openai_endpoint endpoint;
    struct vectors *known;
    int64_t price; /* picodollars a token */
};

struct query_text {
    TAILQ_ENTRY(query_text) entry;
    struct embed *m;
    struct embed_model *model;
    uint8_t key[SHA256_BYTES];
    struct embed_input in;
    char *claims; /* of the first who asked */
    struct waits waits;
    struct service_permit permit;
    bool sent;
    int64_t tokens; /* an estimate */
    int64_t deadline_ms, not_before_ms;
    unsigned tries;
};

struct embed {
    struct api *api;
    struct http_engine *http;
    struct openai_endpoint service; /* without model and dimension */
    struct embed_model *models;
    struct queries queries;
    int n_waits;
    sd_event_source *io, *turn, *timer;
};

/* ---- who waits ---- */

static void query_free(struct query_text *q)
{
    TAILQ_REMOVE(&q->m->queries, q, entry);
    talloc_free(q);
}

static void query_end(struct query_text *q, const float *v, const struct error *e, int retry_after_s)
{
    struct embed_wait *w;

    services_drop(q->m->api->child.services, &q->permit, clock_ms());
    while ((w = TAILQ_FIRST(&q->waits)) != NULL) {
        TAILQ_REMOVE(&q->waits, w, entry);
        q->m->n_waits--;
        w->done(w->arg, v, e, retry_after_s);
        talloc_free(w);
    }
    query_free(q);
}

void embed_forget(struct embed_wait **wp)
{
    struct embed_wait *w = *wp;
    struct query_text *q;

    *wp = NULL;
    if (w == NULL)
        return;
    q = w->query;
    TAILQ_REMOVE(&q->waits, w, entry);
    q->m->n_waits--;
    talloc_free(w);
    if (!TAILQ_EMPTY(&q->waits) || q->sent)
        return; /* what is sent is paid for: its vector is kept for the next who asks */
    services_drop(q->m->api->child.services, &q->permit, clock_ms());
    query_free(q);
}

/* ---- turns ---- */

static void turn_soon(struct embed *m)
{
    sd_event_source_set_enabled(m->turn, SD_EVENT_ONESHOT);
}

static void arm(struct embed *m)
{
    const struct query_text *q;
    int64_t due = INT64_MAX;

    TAILQ_FOREACH(q, &m->queries, entry)
    if (!q->sent && q->not_before_ms < due)
        due = q->not_before_ms;
    if (due != INT64_MAX)
        sd_event_source_set_time(m->timer, (uint64_t)due * 1000);
    sd_event_source_set_enabled(m->timer, due != INT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int seconds_of(int64_t ms)
{
    return ms < 1000 ? 1 : ms > MOST_RETRY_S * 1000 ? MOST_RETRY_S : (int)((ms + 999) / 1000);
}

static void end_closed(struct query_text *q, int64_t wait_ms)
{
    struct service_view view;
    struct error e;

    services_look(q->m->api->child.services, SERVICE_EMBEDDER, clock_ms(), &view);
    if (view.breaker.cause == BREAKER_CAUSE_NONE)
        reason_error(&e, REASON_provider_away, EAGAIN, "The embeddings service is out of service.");
    else
        reason_error(&e, REASON_provider_away, EAGAIN, "The embeddings service is out of service: %s.",
                     breaker_cause_words(view.breaker.cause));
    error_hint(&e, "A search needs it for the vector of its text; `docmillctl breakers` shows when it is tried again.");
    query_end(q, NULL, &e, seconds_of(wait_ms));
}

static void end_limited(struct query_text *q, int64_t wait_ms)
{
    struct error e;

    reason_error(&e, REASON_provider_limited, EAGAIN, NULL);
    error_hint(&e, "Documents and searches share what the embeddings service allows a minute.");
    query_end(q, NULL, &e, seconds_of(wait_ms));
}

static void handle_answer(void *arg, const struct http_response *response);

static void start(struct query_text *q, int64_t left_ms)
{
    struct embed *m = q->m;
    void *ctx = talloc_new(q); /* the body must live as long as the call */
    struct http_request request = {0};
    struct error e;
    int rc = openai_request(ctx, &q->model->endpoint, &q->in, 1, &request, NULL, &e);

    request.total_ms = left_ms < m->api->conf->openai_timeout ? left_ms : m->api->conf->openai_timeout;
    request.connect_ms = request.total_ms < 10000 ? request.total_ms : 10000;
    request.done = handle_answer;
    request.arg = q;
    if (rc == 0 && http_start(m->http, &request, &e) != NULL) {
        q->sent = true;
        return;
    }
    if (rc != 0 && reason_parse(e.reason) == REASON_embed_refused)
        reason_error(&e, REASON_bad_request, EINVAL, "The text cannot be embedded: it is no UTF-8.");
    query_end(q, NULL, &e, 0);
}

static void process_query(struct query_text *q, int64_t now)
{
    struct embed *m = q->m;
    int64_t left = q->deadline_ms - now;
    int64_t most = m->api->conf->search_timeout / 2 < MOST_TURN_MS ? m->api->conf->search_timeout / 2 : MOST_TURN_MS;
    int64_t wait =
        services_ask(m->api->child.services, &q->permit, SERVICE_EMBEDDER, q->tokens, left < most ? left : most, now);

    if (wait == 0)
        start(q, left > 0 ? left : 1);
    else if (q->permit.reserved)
        q->not_before_ms = now + wait;
    else if (q->permit.breaker)
        end_closed(q, wait);
    else
        end_limited(q, wait);
}

static int process_turn(sd_event_source *s, void *arg)
{
    struct embed *m = arg;
    int64_t now = clock_ms();

    (void)s;
    for (struct query_text *q = TAILQ_FIRST(&m->queries), *next; q != NULL; q = next) {
        next = TAILQ_NEXT(q, entry);
        if (!q->sent && q->not_before_ms <= now)
            process_query(q, now);
    }
    arm(m);
    return 0;
}

static int handle_timer(sd_event_source *s, uint64_t usec, void *arg)
{
    (void)s;
    (void)usec;
    turn_soon(arg);
    return 0;
}

/* ---- answers ---- */

static void report(struct query_text *q, const struct http_response *r, const struct openai_outcome *got,
                   const struct rate_head *head)
{
    struct api *api = q->m->api;
    struct service_result result =
        outside_result(&got->verdict, r, head, got->total_tokens >= 0 ? got->total_tokens : q->tokens);
    enum breaker_change change;

    if (got->verdict.act == PROVIDER_CONFIG) /* a search for a model that is gone must not stop the fill of the next */
        result.outcome = OUTCOME_ABANDONED;
    change = services_done(api->child.services, &q->permit, &result, clock_ms());
    memset(&q->permit, 0, sizeof q->permit);
    if (change == BREAKER_OPENED)
        log_warn("embed", "an outside service is out of service", "service", service_name(SERVICE_EMBEDDER), "reason",
                 got->verdict.error.reason, "error", got->verdict.error.message, NULL);
    if (change != BREAKER_CLOSED_NOW)
        return;
    log_info("embed", "an outside service is back", "service", service_name(SERVICE_EMBEDDER), NULL);
    api_wake_workers(api, LANE_INTERACTIVE);
}

/* Whether there is another try; it is planned then. The last quarter of the time is too short for one. */
static bool plan_again(struct query_text *q, const struct provider_verdict *v)
{
    int64_t now = clock_ms();
    int64_t latest = q->deadline_ms - q->m->api->conf->search_timeout / 4;

    if (v->use_float && !q->model->endpoint.want_float) {
        q->model->endpoint.want_float = true;
        q->not_before_ms = now;
        return true;
    }
    if ((v->act != PROVIDER_RETRY && v->act != PROVIDER_WAIT) || ++q->tries >= MOST_TRIES || TAILQ_EMPTY(&q->waits))
        return false;
    q->not_before_ms = now;
    if (v->act == PROVIDER_RETRY)
        q->not_before_ms += v->wait_ms > 0 ? v->wait_ms : backoff_ms(RETRY_FIRST_MS, RETRY_CAP_MS, q->tries - 1);
    return q->not_before_ms < latest;
}

static void end_failed(struct query_text *q, const struct provider_verdict *v)
{
    struct error e = v->error;

    switch (v->act) {
    case PROVIDER_WAIT:
        end_limited(q, v->wait_ms);
        return;
    case PROVIDER_ITEM:
    case PROVIDER_SPLIT_TOKENS:
    case PROVIDER_SPLIT_ITEMS:
        if (v->reason == REASON_embed_bad_vector)
            reason_error(&e, REASON_embed_bad_answer, EBADMSG, "%s", v->error.message);
        else
            reason_error(&e, REASON_bad_request, EINVAL, "The embeddings service does not take the text q: %s",
                         v->error.message);
        break;
    default:
        break;
    }
    query_end(q, NULL, &e, 0);
}

static void handle_answer(void *arg, const struct http_response *response)
{
    struct query_text *q = arg;
    struct embed *m = q->m;
    float *v = talloc_array(q, float, (unsigned)q->model->endpoint.dimension);
    struct openai_outcome got;
    struct rate_head head;
    uint8_t bad = 0;

    if (v == NULL)
        log_panic("embed", "out of memory");
    ratehead_of(response, &head);
    openai_judge(&q->model->endpoint, response, &head, 1, v, &bad, &got);
    report(q, response, &got, &head);
    if (response->status >= 200 && response->status <= 299)
        search_cost_settle(m->api, q->claims, q->model->name, q->model->price,
                           got.total_tokens >= 0 ? got.total_tokens : q->tokens, got.total_tokens < 0);
    q->sent = false;
    turn_soon(m);
    if (got.verdict.act == PROVIDER_OK) {
        vectors_put(q->model->known, q->key, v);
        query_end(q, v, NULL, 0);
    } else if (!plan_again(q, &got.verdict)) {
        end_failed(q, &got.verdict);
    } else {
        talloc_free(v);
    }
}

static int handle_http(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct embed *m = arg;
    struct error e = {0};

    (void)s;
    (void)fd;
    (void)revents;
    if (http_run(m->http, &e) >= 0)
        return 0;
    log_error("embed", "the HTTP client does not work", "error", e.message, NULL);
    sd_event_exit(m->api->event, EXIT_FATAL);
    return 0;
}

/* ---- asking ---- */

static struct embed_model *model_find(const struct embed *m, const char *name, int dimension)
{
    struct embed_model *one = m->models;

    while (one != NULL && (strcmp(one->name, name) != 0 || one->endpoint.dimension != dimension))
        one = one->next;
    return one;
}

static struct embed_model *model_new(struct embed *m, const char *name, int dimension, struct error *e)
{
    struct embed_model *one = talloc_zero(m, struct embed_model);

    if (one == NULL || (one->name = talloc_strdup(one, name)) == NULL)
        log_panic("embed", "out of memory");
    one->endpoint = m->service;
    one->endpoint.model = one->name;
    one->endpoint.dimension = dimension;
    if (openai_check(&one->endpoint, e) != 0 || embedder_price(m->api->conf, name, &one->price, e) != 0) {
        struct error why = *e;
        reason_error(e, REASON_provider_config, EINVAL, "%s", why.message);
        talloc_free(one);
        return NULL;
    }
    one->known = vectors_new(one, KEEP_BYTES, dimension);
    one->next = m->models;
    m->models = one;
    return one;
}

static void key_of(const struct embed_model *model, const char *text, uint8_t key[SHA256_BYTES])
{
    struct sha256 *s = sha256_new();

    if (s == NULL)
        log_panic("embed", "out of memory");
    sha256_update(s, model->name, strlen(model->name) + 1);
    sha256_update(s, &model->endpoint.dimension, sizeof model->endpoint.dimension);
    sha256_update(s, text, strlen(text));
    sha256_final(s, key);
    sha256_free(&s);
}

const float *embed_known(struct embed *m, const char *model, int dimension, const char *text)
{
    const struct embed_model *one = model_find(m, model, dimension);
    uint8_t key[SHA256_BYTES];

    if (one == NULL)
        return NULL;
    key_of(one, text, key);
    return vectors_find(one->known, key);
}

static struct query_text *query_find(struct embed *m, const uint8_t key[SHA256_BYTES])
{
    struct query_text *q;

    TAILQ_FOREACH(q, &m->queries, entry)
    if (memcmp(q->key, key, SHA256_BYTES) == 0)
        return q;
    return NULL;
}

static struct query_text *query_new(struct embed *m, struct embed_model *model, const uint8_t key[SHA256_BYTES],
                                    const char *text, const char *claims)
{
    struct query_text *q = talloc_zero(m, struct query_text);
    char *copy = q != NULL ? talloc_strdup(q, text) : NULL;

    if (copy == NULL)
        log_panic("embed", "out of memory");
    q->m = m;
    q->model = model;
    memcpy(q->key, key, SHA256_BYTES);
    q->in = (struct embed_input){copy, strlen(copy)};
    q->claims = talloc_strdup(q, claims);
    q->tokens = (int64_t)tokens_count(TOKENS_APPROX, q->in.text, q->in.len);
    q->deadline_ms = clock_ms() + m->api->conf->search_timeout;
    TAILQ_INIT(&q->waits);
    TAILQ_INSERT_TAIL(&m->queries, q, entry);
    return q;
}

struct embed_wait *embed_ask(struct embed *m, const char *model, int dimension, const char *text, const char *claims,
                             embed_done done, void *arg, struct error *e)
{
    struct embed_model *one = model_find(m, model, dimension);
    uint8_t key[SHA256_BYTES];
    struct query_text *q;
    struct embed_wait *w;

    if (m->n_waits >= m->api->conf->api_queue) {
        reason_error(e, REASON_overloaded, EBUSY, NULL);
        return NULL;
    }
    if (one == NULL && (one = model_new(m, model, dimension, e)) == NULL)
        return NULL;
    key_of(one, text, key);
    q = query_find(m, key);
    if (q == NULL)
        q = query_new(m, one, key, text, claims);
    w = talloc_zero(q, struct embed_wait);
    if (w == NULL)
        log_panic("embed", "out of memory");
    w->query = q;
    w->done = done;
    w->arg = arg;
    TAILQ_INSERT_TAIL(&q->waits, w, entry);
    m->n_waits++;
    turn_soon(m);
    return w;
}

/* ---- life ---- */

static int add_sources(struct embed *m)
{
    int rc = sd_event_add_io(m->api->event, &m->io, http_descriptor(m->http), EPOLLIN, handle_http, m);

    if (rc >= 0)
        rc = sd_event_add_defer(m->api->event, &m->turn, process_turn, m);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(m->turn, SD_EVENT_OFF);
    if (rc >= 0)
        rc = sd_event_add_time(m->api->event, &m->timer, CLOCK_MONOTONIC, 0, 1000, handle_timer, m);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
    return rc;
}

static int open_client(struct embed *m, struct error *e)
{
    const struct conf *c = m->api->conf;
    struct http_options options;
    int rc = 0;

    m->service = (struct openai_endpoint){
        .kind = (enum openai_kind)openai_kind_parse(c->openai_kind),
        .base_url = c->openai_base_url,
        .api_key = c->openai_api_key,
        .organization = c->openai_organization,
        .project = c->openai_project,
    };
    for (int i = 0; rc == 0 && i <= c->n_collections; i++) {
        struct embedder_identity want = embedder_identity(c, i);
        if (!embedder_is_builtin(want.model) && model_find(m, want.model, want.dimension) == NULL &&
            model_new(m, want.model, want.dimension, e) == NULL)
            rc = e->code;
    }
    if (rc != 0)
        return rc;
    http_options_of(c, &options);
    m->http = http_new(NULL, &options, e);
    if (m->http == NULL)
        return e->code;
    rc = add_sources(m);
    return rc < 0 ? reason_error(e, REASON_internal, rc, "cannot make event sources: %s", strerror(-rc)) : 0;
}

struct embed *embed_new(struct api *api, struct error *e)
{
    struct embed *m = talloc_zero(api, struct embed);

    if (m == NULL)
        log_panic("embed", "out of memory");
    m->api = api;
    TAILQ_INIT(&m->queries);
    if (open_client(m, e) != 0)
        embed_free(&m);
    return m;
}

void embed_free(struct embed **mp)
{
    struct embed *m = *mp;

    *mp = NULL;
    if (m == NULL)
        return;
    if (m->http != NULL)
        http_free(&m->http); /* ends what is sent: handle_answer() */
    while (!TAILQ_EMPTY(&m->queries)) {
        struct query_text *q = TAILQ_FIRST(&m->queries);
        services_drop(m->api->child.services, &q->permit, clock_ms());
        query_free(q);
    }
    sd_event_source_disable_unref(m->io);
    sd_event_source_disable_unref(m->turn);
    sd_event_source_disable_unref(m->timer);
    talloc_free(m);
}
