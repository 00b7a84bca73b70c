/*
 * faults.c - rules and knobs: see faults.h
 *
 * The book is changed only under the mock's lock. A rule that struck leaves a copy of its parameters in the request,
 * so that the rule may go while the request is served.
 *
 * Depends on base, common/mock.h.
 */
#include "common/faults.h"
#include "common/faults_int.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

static const struct {
    const char *name, *meaning;
    unsigned families;
} kinds[] = {
#define X(id, name, families, meaning) [FAULT_##id] = {name, meaning, families},
    FAULT_KINDS(X)
#undef X
};

const char *fault_name(enum fault_kind k)
{
    return kinds[k].name;
}

const char *fault_meaning(enum fault_kind k)
{
    return kinds[k].meaning;
}

bool fault_known(enum fault_kind k, unsigned family)
{
    return (kinds[k].families & (family | FAULTS_COMMON)) != 0;
}

int fault_by_name(const char *name, unsigned family)
{
    for (int k = 0; k < FAULT_KIND_COUNT; k++)
        if (strcmp(kinds[k].name, name) == 0 && fault_known((enum fault_kind)k, family))
            return k;
    return -1;
}

static int rule_destroy(struct fault_rule *r)
{
    json_decref(r->params);
    return 0;
}

struct fault_rule *fault_rule_add(struct fault_book *b, enum fault_kind k, double probability, const json_t *params)
{
    struct fault_rule *r = talloc_zero(b, struct fault_rule);

    r->kind = k;
    r->id = ++b->last_rule;
    r->probability = probability;
    r->left = -1;
    r->params = params != NULL ? json_deep_copy(params) : json_object();
    talloc_set_destructor(r, rule_destroy);
    if (b->first == NULL)
        b->first = r;
    else
        b->last->next = r;
    b->last = r;
    return r;
}

void fault_book_clear(struct fault_book *b)
{
    struct fault_rule *next;

    for (struct fault_rule *r = b->first; r != NULL; r = next) {
        next = r->next;
        talloc_free(r);
    }
    b->first = b->last = NULL;
    b->delay = (struct fault_delay){0};
    b->failure_rate = 0;
    json_decref(b->status_codes);
    b->status_codes = NULL;
    b->limits.requests_per_minute = b->limits.tokens_per_minute = 0;
    b->limits.generation++;
}

static int book_destroy(struct fault_book *b)
{
    json_decref(b->status_codes);
    return 0;
}

struct fault_book *fault_book_new(const void *ctx, unsigned family)
{
    struct fault_book *b = talloc_zero(ctx, struct fault_book);

    b->family = family;
    talloc_set_destructor(b, book_destroy);
    return b;
}

/* ---- does it strike ---- */

static bool contains(const char *text, size_t n, const char *what)
{
    return memmem(text, n, what, strlen(what)) != NULL;
}

static bool rule_is_for(const struct fault_rule *r, const struct mock_request *q, const char *text, size_t n)
{
    const char *path = fault_text(r->params, "path", NULL), *match = fault_text(r->params, "match", NULL),
               *method = fault_text(r->params, "method", NULL);

    if (path != NULL && strncmp(q->path, path, strlen(path)) != 0)
        return false;
    if (method != NULL && strcmp(q->method, method) != 0)
        return false;
    return match == NULL || contains(text, n, match);
}

/* Called locked. */
static bool rule_strikes(struct fault_rule *r, const struct mock_request *q, const char *text, size_t n)
{
    if (r->left == 0 || !rule_is_for(r, q, text, n))
        return false;
    if (r->after > 0) {
        r->after--;
        return false;
    }
    if (r->probability < 1 && mock_dice(q->mock, q->number, r->id * 64 + r->kind) >= r->probability)
        return false;
    if (r->left > 0)
        r->left--;
    r->hits++;
    return true;
}

const json_t *fault_strikes_text(struct mock_request *q, enum fault_kind k, const char *text, size_t n)
{
    json_t *params = NULL;

    mock_lock(q->mock);
    for (struct fault_rule *r = mock_faults(q->mock)->first; r != NULL && params == NULL; r = r->next) {
        if (r->kind != k || !rule_strikes(r, q, text, n))
            continue;
        params = json_deep_copy(r->params);
        json_array_append_new(q->kept, params);
        json_array_append_new(q->faults, json_string(kinds[k].name));
    }
    mock_unlock(q->mock);
    return params;
}

const json_t *fault_strikes(struct mock_request *q, enum fault_kind k)
{
    return fault_strikes_text(q, k, q->body, q->body_len);
}

int64_t fault_int(const json_t *rule, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(rule, name);

    return json_is_integer(v) ? (int64_t)json_integer_value(v) : otherwise;
}

const char *fault_text(const json_t *rule, const char *name, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(rule, name));

    return s != NULL ? s : otherwise;
}

/* ---- knobs ---- */

#define SALT_DELAY       1
#define SALT_DELAY_MORE  2
#define SALT_FAILURE     3
#define SALT_STATUS      4
#define DELAY_LONGEST_MS 3600000.0

static double normal(struct mock_request *q)
{
    double u = 1 - mock_dice(q->mock, q->number, SALT_DELAY), v = mock_dice(q->mock, q->number, SALT_DELAY_MORE);

    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

int64_t fault_delay_ms(struct mock_request *q)
{
    struct fault_delay d;
    double ms = 0;

    mock_lock(q->mock);
    d = mock_faults(q->mock)->delay;
    mock_unlock(q->mock);
    if (d.kind == DELAY_FIXED)
        ms = d.a;
    else if (d.kind == DELAY_UNIFORM)
        ms = d.a + (d.b - d.a) * mock_dice(q->mock, q->number, SALT_DELAY);
    else if (d.kind == DELAY_LOGNORMAL)
        ms = d.a * exp(d.b * normal(q));
    return (int64_t)fmin(ms, DELAY_LONGEST_MS);
}

/* One of {"500": 3, "503": 1}, by weight. */
static int weighted_status(struct mock_request *q, const json_t *codes, int otherwise)
{
    double sum = 0, at;
    const char *name;
    json_t *weight;
    int status = otherwise;

    json_object_foreach((json_t *)codes, name, weight) sum += json_number_value(weight);
    at = sum * mock_dice(q->mock, q->number, SALT_STATUS);
    json_object_foreach((json_t *)codes, name, weight)
    {
        if (json_number_value(weight) <= 0)
            continue;
        status = atoi(name);
        at -= json_number_value(weight);
        if (at < 0)
            break;
    }
    return status;
}

int fault_status(struct mock_request *q, const json_t *rule)
{
    struct fault_book *b = mock_faults(q->mock);
    json_t *codes;
    double rate;
    int status = 0;

    if (rule != NULL)
        return weighted_status(q, json_object_get(rule, "status_codes"), (int)fault_int(rule, "status", 500));
    mock_lock(q->mock);
    rate = b->failure_rate;
    codes = json_incref(b->status_codes);
    mock_unlock(q->mock);
    if (rate > 0 && mock_dice(q->mock, q->number, SALT_FAILURE) < rate) {
        status = weighted_status(q, codes, 500);
        json_array_append_new(q->faults, json_string("failure_rate"));
    }
    json_decref(codes);
    return status;
}

struct fault_limits fault_limits_of(const struct fault_book *b)
{
    return b->limits;
}
