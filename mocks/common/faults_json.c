/*
 * faults_json.c - the fault book as JSON and as flags
 *
 * {"delay": {"kind": "lognormal", "median_ms": 200, "sigma": 0.5}, "failure_rate": 0.1,
 *  "status_codes": {"500": 3, "503": 1}, "requests_per_minute": 60, "tokens_per_minute": 100000,
 *  "rules": [{"fault": "status", "status": 503, "count": 2, "path": "/v1/embeddings"}],
 *  "wrong_count": 0.01}
 *
 * A fault's name as a key of the top is a rule with that probability, or with the object's parameters. The flag
 * `--wrong-count 0.01` and `--wrong-count '{"count": 1}'` say the same. A whole change is checked before any of it is
 * made.
 *
 * Depends on base, common.
 */
#include "common/faults_int.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static int wrong(struct error *e, const char *what, const char *why)
{
    return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "%s: %s", what, why);
}

/* ---- one knob each ---- */

static int take_delay(struct fault_book *b, const json_t *v, struct error *e)
{
    static const struct {
        const char *name, *first, *second;
        enum delay_kind kind;
    } forms[] = {{"fixed", "ms", NULL, DELAY_FIXED},
                 {"uniform", "min_ms", "max_ms", DELAY_UNIFORM},
                 {"lognormal", "median_ms", "sigma", DELAY_LOGNORMAL}};
    const char *kind = json_string_value(json_object_get(v, "kind"));

    if (json_is_null(v)) {
        b->delay = (struct fault_delay){0};
        return 0;
    }
    if (json_is_number(v)) {
        b->delay = (struct fault_delay){DELAY_FIXED, json_number_value(v), 0};
        return 0;
    }
    for (size_t i = 0; kind != NULL && i < sizeof forms / sizeof *forms; i++) {
        const json_t *first, *second;

        if (strcmp(forms[i].name, kind) != 0)
            continue;
        first = json_object_get(v, forms[i].first);
        second = forms[i].second != NULL ? json_object_get(v, forms[i].second) : NULL;
        if (!json_is_number(first) || (forms[i].second != NULL && !json_is_number(second)))
            return wrong(e, "delay", "a number is missing (ms; min_ms, max_ms; median_ms, sigma)");
        b->delay = (struct fault_delay){forms[i].kind, json_number_value(first), json_number_value(second)};
        return 0;
    }
    return wrong(e, "delay", "kind is fixed, uniform or lognormal");
}

static int take_rate(struct fault_book *b, const json_t *v, struct error *e)
{
    if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > 1)
        return wrong(e, "failure_rate", "a number from 0 to 1 is wanted");
    b->failure_rate = json_number_value(v);
    return 0;
}

static int check_codes(const json_t *v, struct error *e)
{
    const char *name;
    json_t *weight;

    if (!json_is_object(v))
        return wrong(e, "status_codes", "an object of status: weight is wanted");
    json_object_foreach((json_t *)v, name, weight)
    {
        if (atoi(name) < 200 || atoi(name) > 599 || !json_is_number(weight) || json_number_value(weight) < 0)
            return wrong(e, "status_codes", "a status of 200 to 599 and a weight are wanted");
    }
    return 0;
}

static int take_codes(struct fault_book *b, const json_t *v, struct error *e)
{
    int r = check_codes(v, e);

    if (r == 0) {
        json_decref(b->status_codes);
        b->status_codes = json_deep_copy(v);
    }
    return r;
}

static int take_limit(struct fault_book *b, const json_t *v, int64_t *where, const char *name, struct error *e)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return wrong(e, name, "a whole number is wanted, 0 for no limit");
    *where = json_integer_value(v);
    b->limits.generation++;
    return 0;
}

static int take_requests(struct fault_book *b, const json_t *v, struct error *e)
{
    return take_limit(b, v, &b->limits.requests_per_minute, "requests_per_minute", e);
}

static int take_tokens(struct fault_book *b, const json_t *v, struct error *e)
{
    return take_limit(b, v, &b->limits.tokens_per_minute, "tokens_per_minute", e);
}

static int take_rule(struct fault_book *b, const char *name, const json_t *v, struct error *e)
{
    int kind = name != NULL ? fault_by_name(name, b->family) : -1;
    const json_t *codes = json_object_get(v, "status_codes"), *chance = json_object_get(v, "probability");
    double probability = 1;
    struct fault_rule *r;

    if (kind < 0)
        return wrong(e, name != NULL ? name : "rule", "this program has no such fault; GET /__faults lists them");
    if (json_is_number(v))
        probability = json_number_value(v);
    else if (json_is_number(chance))
        probability = json_number_value(chance);
    else if (!json_is_object(v) && !json_is_true(v))
        return wrong(e, name, "a probability, true or an object is wanted");
    if (!(probability >= 0 && probability <= 1))
        return wrong(e, name, "a probability is a number from 0 to 1");
    if (codes != NULL && check_codes(codes, e) < 0)
        return -EINVAL;
    r = fault_rule_add(b, (enum fault_kind)kind, probability, json_is_object(v) ? v : NULL);
    r->left = fault_int(r->params, "count", -1);
    r->after = fault_int(r->params, "after", 0);
    return 0;
}

static int take_rules(struct fault_book *b, const json_t *v, struct error *e)
{
    size_t i;
    json_t *rule;

    if (!json_is_array(v))
        return wrong(e, "rules", "an array is wanted");
    json_array_foreach(v, i, rule)
    {
        int r = take_rule(b, json_string_value(json_object_get(rule, "fault")), rule, e);

        if (r < 0)
            return r;
    }
    return 0;
}

static const struct {
    const char *name;
    int (*take)(struct fault_book *, const json_t *, struct error *);
} knobs[] = {{"delay", take_delay},
             {"failure_rate", take_rate},
             {"status_codes", take_codes},
             {"requests_per_minute", take_requests},
             {"tokens_per_minute", take_tokens},
             {"rules", take_rules}};

static int take(struct fault_book *b, const char *name, const json_t *v, struct error *e)
{
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++)
        if (strcmp(knobs[i].name, name) == 0)
            return knobs[i].take(b, v, e);
    return take_rule(b, name, v, e);
}

static int take_all(struct fault_book *b, const json_t *what, struct error *e)
{
    const char *name;
    json_t *v;

    if (!json_is_object(what))
        return wrong(e, "faults", "an object is wanted");
    if (json_object_get(what, "fault") != NULL)
        return take_rule(b, json_string_value(json_object_get(what, "fault")), what, e);
    json_object_foreach((json_t *)what, name, v)
    {
        int r = take(b, name, v, e);

        if (r < 0)
            return r;
    }
    return 0;
}

int fault_book_apply(struct fault_book *b, const json_t *what, struct error *e)
{
    struct fault_book *trial = fault_book_new(NULL, b->family);
    int r = take_all(trial, what, e);

    talloc_free(trial);
    return r < 0 ? r : take_all(b, what, e);
}

/* ---- flags ---- */

static void under_scores(char *out, size_t size, const char *flag)
{
    snprintf(out, size, "%s", flag);
    for (char *p = out; *p != '\0'; p++)
        if (*p == '-')
            *p = '_';
}

bool fault_book_has_flag(const struct fault_book *b, const char *flag)
{
    char name[64];

    under_scores(name, sizeof name, flag);
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++)
        if (strcmp(knobs[i].name, name) == 0)
            return true;
    return fault_by_name(name, b->family) >= 0;
}

/* fixed:200, uniform:100:300, lognormal:200:0.5, or 200 */
static json_t *delay_of_flag(const char *value)
{
    double a, b;

    if (sscanf(value, "uniform:%lf:%lf", &a, &b) == 2)
        return json_pack("{s:s, s:f, s:f}", "kind", "uniform", "min_ms", a, "max_ms", b);
    if (sscanf(value, "lognormal:%lf:%lf", &a, &b) == 2)
        return json_pack("{s:s, s:f, s:f}", "kind", "lognormal", "median_ms", a, "sigma", b);
    if (sscanf(value, "fixed:%lf", &a) == 1)
        return json_real(a);
    return NULL;
}

/* 500:3,503:1 */
static json_t *codes_of_flag(const char *value)
{
    json_t *codes = json_object();
    char status[4];
    double weight;
    int used;

    for (const char *p = value; *p != '\0'; p += used) {
        if (sscanf(p, "%3[0-9]:%lf%n", status, &weight, &used) != 2 || (p[used] != '\0' && p[used] != ',')) {
            json_decref(codes);
            return NULL;
        }
        json_object_set_new(codes, status, json_real(weight));
        used += p[used] == ',';
    }
    return codes;
}

int fault_book_flag(struct fault_book *b, const char *flag, const char *value, struct error *e)
{
    json_t *v = NULL;
    char name[64];
    int r;

    under_scores(name, sizeof name, flag);
    if (strcmp(name, "delay") == 0)
        v = delay_of_flag(value);
    else if (strcmp(name, "status_codes") == 0)
        v = codes_of_flag(value);
    if (v == NULL)
        v = json_loads(value, JSON_DECODE_ANY, NULL);
    if (v == NULL)
        return wrong(e, flag, "a number or a JSON object is wanted");
    r = take(b, name, v, e);
    json_decref(v);
    return r;
}

/* ---- shown ---- */

static json_t *show_delay(const struct fault_delay *d)
{
    switch (d->kind) {
    case DELAY_FIXED:
        return json_pack("{s:s, s:f}", "kind", "fixed", "ms", d->a);
    case DELAY_UNIFORM:
        return json_pack("{s:s, s:f, s:f}", "kind", "uniform", "min_ms", d->a, "max_ms", d->b);
    case DELAY_LOGNORMAL:
        return json_pack("{s:s, s:f, s:f}", "kind", "lognormal", "median_ms", d->a, "sigma", d->b);
    case DELAY_NONE:
        break;
    }
    return json_null();
}

static json_t *show_rule(const struct fault_rule *r)
{
    json_t *o = json_deep_copy(r->params);

    json_object_set_new(o, "fault", json_string(fault_name(r->kind)));
    json_object_set_new(o, "probability", json_real(r->probability));
    json_object_set_new(o, "left", r->left < 0 ? json_null() : json_integer(r->left));
    json_object_set_new(o, "hits", json_integer(r->hits));
    return o;
}

json_t *fault_book_show(const struct fault_book *b)
{
    json_t *rules = json_array(), *known = json_object();

    for (const struct fault_rule *r = b->first; r != NULL; r = r->next)
        json_array_append_new(rules, show_rule(r));
    for (int k = 0; k < FAULT_KIND_COUNT; k++)
        if (fault_known((enum fault_kind)k, b->family))
            json_object_set_new(known, fault_name((enum fault_kind)k), json_string(fault_meaning((enum fault_kind)k)));
    return json_pack("{s:o, s:f, s:O?, s:I, s:I, s:o, s:o}", "delay", show_delay(&b->delay), "failure_rate",
                     b->failure_rate, "status_codes", b->status_codes, "requests_per_minute",
                     (json_int_t)b->limits.requests_per_minute, "tokens_per_minute",
                     (json_int_t)b->limits.tokens_per_minute, "rules", rules, "known", known);
}
