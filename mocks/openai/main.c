/*
 * docmill-mock-openai - POST /v1/embeddings as OpenAI and its compatibles answer it
 *
 * Counts tokens as the daemon's own counter does, so that a ledger can be compared with GET /__usage to the last
 * token: billed is every request that was worked for, delivered those whose answer left whole.
 *
 * Depends on base, text, common.
 */
#include "common/faults.h"
#include "common/money.h"
#include "openai/openai.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define PORT          8002
#define MAX_BODY      (64u << 20)
#define PRICE_DIGITS  6
#define AZURE_PREFIX  "/openai/deployments/"
#define AZURE_SUFFIX  "/embeddings"
#define MODEL_CREATED 1705948997

static struct openai state;

/* ---- flags ---- */

static int take_style(void *s, const char *value, struct error *e)
{
    struct openai *o = s;
    const struct style *style = openai_style(value);

    if (style == NULL)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--style %s: no such server", value);
    o->style = *style;
    return 0;
}

static int take_key(void *s, const char *value, struct error *e)
{
    struct openai *o = s;

    if (o->n_keys == MAX_KEYS)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--key: at most %d", MAX_KEYS);
    o->keys[o->n_keys++] = value;
    return 0;
}

static int add_model(struct openai *o, const char *name, int dimension, bool shorter, const char *price)
{
    struct model *m = &o->models[o->n_models];

    if (o->n_models == MAX_MODELS || decimal_parse(price, PRICE_DIGITS, &m->pico_usd) < 0 || dimension < 1)
        return -EINVAL;
    snprintf(m->name, sizeof m->name, "%s", name);
    m->dimension = dimension;
    m->shorter = shorter;
    o->n_models++;
    return 0;
}

/* NAME:DIMENSION[:PRICE] */
static int take_model(void *s, const char *value, struct error *e)
{
    char name[64], price[32] = "0";
    int dimension = 0;

    if (sscanf(value, "%63[^:]:%d:%31s", name, &dimension, price) < 2 || add_model(s, name, dimension, true, price) < 0)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--model %s: NAME:DIMENSION[:USD a million] is wanted",
                         value);
    return 0;
}

static int take_int(int *where, const char *value, struct error *e)
{
    char *end;

    *where = (int)strtol(value, &end, 10);
    if (*end != '\0' || *where < 0)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "%s: a whole number is wanted", value);
    return 0;
}

static int take_items(void *s, const char *value, struct error *e)
{
    return take_int(&((struct openai *)s)->style.max_items, value, e);
}

static int take_input_tokens(void *s, const char *value, struct error *e)
{
    return take_int(&((struct openai *)s)->style.max_input_tokens, value, e);
}

static int take_request_tokens(void *s, const char *value, struct error *e)
{
    return take_int(&((struct openai *)s)->style.max_request_tokens, value, e);
}

static const struct mock_option options[] = {
    {"style", "NAME", "openai, azure, ollama, tei, llamacpp, vllm, openrouter; before the limits", take_style},
    {"key", "KEY", "the only key that is right (may be repeated; default: any sk-...)", take_key},
    {"model", "N:DIM[:USD]", "one more model, its dimension and price a million tokens", take_model},
    {"max-items", "N", "inputs in a request, 0: no limit", take_items},
    {"max-input-tokens", "N", "tokens of an input", take_input_tokens},
    {"max-request-tokens", "N", "tokens of a request, 0: no limit", take_request_tokens},
    {0},
};

/* ---- requests ---- */

static bool key_is_right(const struct openai *o, const char *key)
{
    for (int i = 0; i < o->n_keys; i++)
        if (strcmp(o->keys[i], key) == 0)
            return true;
    return o->n_keys == 0 && (o->style.auth == AUTH_API_KEY || strncmp(key, "sk-", 3) == 0);
}

static bool authorised(struct openai *o, struct mock_request *q, struct mock_answer *a)
{
    const char *key = o->style.auth == AUTH_API_KEY ? mock_header(q, "api-key") : mock_bearer(q);

    if (o->style.auth == AUTH_NONE && (o->n_keys == 0 || (key != NULL && key_is_right(o, key))))
        return true;
    if (key != NULL && key_is_right(o, key))
        return true;
    if (o->style.shape == SHAPE_AZURE)
        openai_problem(
            o, q, a, P_BAD_KEY, NULL, NULL,
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
            "valid key for an active subscription and use a correct regional API endpoint for your resource.");
    else if (key == NULL)
        openai_problem(o, q, a, P_NO_KEY, NULL, NULL,
                       "You didn't provide an API key. You need to provide your API key in an Authorization header "
                       "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
    else
        openai_problem(o, q, a, P_BAD_KEY, NULL, NULL, "Incorrect API key provided: %.5s***%s.", key,
                       strlen(key) > 9 ? key + strlen(key) - 4 : "");
    return false;
}

static bool has_quota(struct openai *o, struct mock_request *q, struct mock_answer *a)
{
    const json_t *rule = fault_strikes(q, FAULT_QUOTA);

    if (rule == NULL)
        return true;
    openai_problem(o, q, a, P_QUOTA, fault_text(rule, "code", NULL), NULL,
                   "You exceeded your current quota, please check your plan and billing details.");
    return false;
}

static void serve_embeddings(struct openai *o, struct mock_request *q, struct mock_answer *a, const char *deployment)
{
    struct plan p = {0};

    if (openai_plan(o, q, a, deployment, &p) == 0 && has_quota(o, q, a) && openai_rates(o, q, a, p.tokens))
        openai_embed(o, q, a, &p);
}

static json_t *show_model(const struct model *m)
{
    return json_pack("{s:s, s:s, s:i, s:s}", "id", m->name, "object", "model", "created", MODEL_CREATED, "owned_by",
                     "system");
}

static void serve_models(struct openai *o, struct mock_request *q, struct mock_answer *a)
{
    json_t *list = json_array();
    const char *name = q->path + strlen("/v1/models");

    for (int i = 0; i < o->n_models; i++) {
        if (*name == '/' && strcmp(name + 1, o->models[i].name) == 0) {
            json_decref(list);
            answer_json(q, a, 200, show_model(&o->models[i]));
            return;
        }
        json_array_append_new(list, show_model(&o->models[i]));
    }
    if (*name == '\0') {
        answer_json(q, a, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
        return;
    }
    json_decref(list);
    openai_problem(o, q, a, P_NO_MODEL, NULL, "model", "The model '%s' does not exist", name + 1);
}

/* The deployment of Azure's path; NULL if it is not one. */
static char *deployment_of(struct mock_request *q)
{
    size_t n = strlen(q->path), before = strlen(AZURE_PREFIX), after = strlen(AZURE_SUFFIX);

    if (n <= before + after || strncmp(q->path, AZURE_PREFIX, before) != 0 ||
        strcmp(q->path + n - after, AZURE_SUFFIX) != 0 || mock_arg(q, "api-version") == NULL)
        return NULL;
    return talloc_strndup(q, q->path + before, n - before - after);
}

static void route(struct openai *o, struct mock_request *q, struct mock_answer *a)
{
    bool azure = o->style.shape == SHAPE_AZURE;
    char *deployment = azure ? deployment_of(q) : NULL;

    if (deployment != NULL || mock_is(q, "POST", azure ? "/openai/v1/embeddings" : "/v1/embeddings"))
        serve_embeddings(o, q, a, deployment);
    else if (strcmp(q->method, "GET") == 0 && strncmp(q->path, "/v1/models", 10) == 0 && !azure)
        serve_models(o, q, a);
    else
        openai_problem(o, q, a, P_NOT_FOUND, NULL, NULL, "Invalid URL (%s %s)", q->method, q->path);
}

static void serve(void *s, struct mock_request *q, struct mock_answer *a)
{
    struct openai *o = s;

    answer_header(q, a, "x-request-id", "req_%016llx", (unsigned long long)(q->number * 0x9e3779b97f4a7c15u));
    if (o->style.shape == SHAPE_OPENAI)
        answer_header(q, a, "openai-version", "2020-10-01");
    if (authorised(o, q, a))
        route(o, q, a);
    if (o->style.shape == SHAPE_OPENAI)
        answer_header(q, a, "openai-processing-ms", "%lld", (long long)(mock_now_ms(o->mock) - q->started_ms));
}

/* ---- counts ---- */

static void ended(void *s, const struct mock_request *q, const struct mock_answer *a, bool whole)
{
    struct openai *o = s;
    const char *name = json_string_value(json_object_get(q->summary, "billed"));

    (void)a;
    for (int i = 0; whole && name != NULL && i < o->n_models; i++) {
        if (strcmp(o->models[i].name, name) != 0)
            continue;
        o->models[i].delivered_requests++;
        o->models[i].delivered_tokens += json_integer_value(json_object_get(q->summary, "tokens"));
    }
}

static json_t *count(int64_t requests, int64_t inputs, int64_t tokens, int64_t pico)
{
    char usd[48];

    pico_usd_print(pico, usd, sizeof usd);
    return json_pack("{s:I, s:I, s:I, s:s}", "requests", (json_int_t)requests, "inputs", (json_int_t)inputs, "tokens",
                     (json_int_t)tokens, "cost_usd", usd);
}

static json_t *usage(void *s)
{
    struct openai *o = s;
    json_t *models = json_object(), *all, *delivered;
    int64_t requests = 0, inputs = 0, tokens = 0, pico = 0, d_requests = 0, d_tokens = 0, d_pico = 0;

    for (int i = 0; i < o->n_models; i++) {
        const struct model *m = &o->models[i];

        if (m->requests > 0)
            json_object_set_new(models, m->name, count(m->requests, m->inputs, m->tokens, m->tokens * m->pico_usd));
        requests += m->requests;
        inputs += m->inputs;
        tokens += m->tokens;
        pico += m->tokens * m->pico_usd;
        d_requests += m->delivered_requests;
        d_tokens += m->delivered_tokens;
        d_pico += m->delivered_tokens * m->pico_usd;
    }
    all = count(requests, inputs, tokens, pico);
    delivered = count(d_requests, 0, d_tokens, d_pico);
    json_object_del(delivered, "inputs");
    json_object_set_new(all, "delivered", delivered);
    json_object_set_new(all, "rate_limited", json_integer(o->refused));
    json_object_set_new(all, "models", models);
    return all;
}

static void usage_reset(void *s)
{
    struct openai *o = s;

    for (int i = 0; i < o->n_models; i++) {
        struct model *m = &o->models[i];

        m->requests = m->inputs = m->tokens = m->delivered_requests = m->delivered_tokens = 0;
    }
    o->refused = 0;
}

static json_t *save(void *s)
{
    struct openai *o = s;
    json_t *kept = json_object();

    for (int i = 0; i < o->n_models; i++) {
        const struct model *m = &o->models[i];

        json_object_set_new(kept, m->name,
                            json_pack("[I, I, I, I, I]", (json_int_t)m->requests, (json_int_t)m->inputs,
                                      (json_int_t)m->tokens, (json_int_t)m->delivered_requests,
                                      (json_int_t)m->delivered_tokens));
    }
    return kept;
}

static void load(void *s, const json_t *kept)
{
    struct openai *o = s;

    for (int i = 0; i < o->n_models; i++) {
        struct model *m = &o->models[i];
        json_int_t n[5] = {0};

        (void)json_unpack(json_object_get(kept, m->name), "[I, I, I, I, I]", &n[0], &n[1], &n[2], &n[3], &n[4]);
        m->requests = n[0];
        m->inputs = n[1];
        m->tokens = n[2];
        m->delivered_requests = n[3];
        m->delivered_tokens = n[4];
    }
}

static int start(struct mock *m, void *s, struct error *e)
{
    ((struct openai *)s)->mock = m;
    (void)e;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct mock_program program = {
        .name = "docmill-mock-openai",
        .purpose = "answers POST /v1/embeddings as OpenAI and its compatibles do",
        .port = PORT,
        .family = FAULTS_OPENAI,
        .max_body = MAX_BODY,
        .options = options,
        .state = &state,
        .start = start,
        .serve = serve,
        .fail = openai_fail,
        .ended = ended,
        .usage = usage,
        .usage_reset = usage_reset,
        .save = save,
        .load = load,
    };

    state.style = *openai_style("openai");
    if (add_model(&state, "text-embedding-3-small", 1536, true, "0.02") < 0 ||
        add_model(&state, "text-embedding-3-large", 3072, true, "0.13") < 0 ||
        add_model(&state, "text-embedding-ada-002", 1536, false, "0.10") < 0)
        return 1;
    return mock_main(&program, argc, argv);
}
