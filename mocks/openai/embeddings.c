/*
 * embeddings.c - an embeddings request checked as the service checks it, and answered
 *
 * Order of the checks: JSON, model, input, dimensions, items, tokens of one input, tokens of all.
 *
 * Depends on common, text.
 */
#include "common/faults.h"
#include "openai/openai.h"
#include "text/tokens.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static int refuse_input(struct openai *o, struct mock_request *q, struct mock_answer *a, const char *why)
{
    openai_problem(o, q, a, P_BAD_REQUEST, NULL, "input", "'$.input' is invalid. %s", why);
    return -1;
}

/* ---- the input ---- */

static bool is_tokens(const json_t *v)
{
    return json_is_array(v) && json_array_size(v) > 0 && json_is_integer(json_array_get(v, 0));
}

static bool take_text(struct item *item, const json_t *v)
{
    item->text = json_string_value(v);
    item->len = json_string_length(v);
    item->tokens = (int64_t)tokens_count(TOKENS_CL100K, item->text, item->len);
    return item->len > 0;
}

/* A token array's vector is that of its numbers. */
static bool take_tokens(const void *ctx, struct item *item, const json_t *v)
{
    char *text = talloc_strdup(ctx, "");
    size_t i;
    json_t *number;

    json_array_foreach(v, i, number)
    {
        if (!json_is_integer(number) || json_integer_value(number) < 0)
            return false;
        text = talloc_asprintf_append_buffer(text, "t%lld ", (long long)json_integer_value(number));
    }
    item->text = text;
    item->len = strlen(text);
    item->tokens = (int64_t)json_array_size(v);
    return true;
}

static int refuse_length(struct openai *o, struct mock_request *q, struct mock_answer *a, const struct item *item)
{
    int most = o->style.max_input_tokens;
    long long given = (long long)item->tokens;

    if (o->style.shape == SHAPE_LLAMACPP)
        openai_problem(o, q, a, P_TOO_LONG, NULL, NULL,
                       "input (%lld tokens) is too large to process. increase the physical batch size (current batch "
                       "size: %d)",
                       given, most);
    else
        openai_problem(o, q, a, P_TOO_LONG, NULL, NULL,
                       "This model's maximum context length is %d tokens, however you requested %lld tokens (%lld "
                       "in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
                       most, given, given);
    return -1;
}

static int take_item(struct openai *o, struct mock_request *q, struct mock_answer *a, struct plan *p, const json_t *v)
{
    struct item *item = &p->items[p->n++];
    bool tokens = is_tokens(v);

    if (tokens && !o->style.token_arrays)
        return refuse_input(o, q, a, "Token arrays are not supported.");
    if (!tokens && !json_is_string(v))
        return refuse_input(o, q, a, "Strings or arrays of token numbers are wanted.");
    if (!(tokens ? take_tokens(q, item, v) : take_text(item, v)))
        return refuse_input(o, q, a, "An input cannot be an empty string.");
    if (item->tokens > o->style.max_input_tokens) {
        if (!o->style.truncates)
            return refuse_length(o, q, a, item);
        if (!tokens)
            item->len = tokens_prefix(TOKENS_CL100K, item->text, item->len, (size_t)o->style.max_input_tokens);
        item->tokens = o->style.max_input_tokens;
    }
    if (!tokens && fault_strikes_text(q, FAULT_BAD_ITEM, item->text, item->len) != NULL) {
        openai_problem(o, q, a, P_BAD_ITEM, NULL, "input", "'$.input' is invalid. Please check the API reference.");
        return -1;
    }
    p->tokens += item->tokens;
    return 0;
}

static int take_input(struct openai *o, struct mock_request *q, struct mock_answer *a, struct plan *p,
                      const json_t *input)
{
    bool many = json_is_array(input) && !is_tokens(input);
    size_t n = many ? json_array_size(input) : 1, max = (size_t)o->style.max_items;

    if (input == NULL || n == 0)
        return refuse_input(o, q, a, "It is required, and cannot be empty.");
    if (max > 0 && n > max) {
        openai_problem(o, q, a, P_TOO_MANY_ITEMS, NULL, "input",
                       o->style.shape == SHAPE_TEI
                           ? "batch size %2$zu > maximum allowed batch size %1$zu"
                           : "Invalid 'input': array too long. Expected an array with maximum length %zu, but got an "
                             "array with length %zu instead.",
                       max, n);
        return -1;
    }
    p->items = talloc_zero_array(q, struct item, (unsigned)n);
    for (size_t i = 0; i < n; i++)
        if (take_item(o, q, a, p, many ? json_array_get(input, i) : input) < 0)
            return -1;
    if (o->style.max_request_tokens > 0 && p->tokens > o->style.max_request_tokens) {
        openai_problem(o, q, a, P_TOO_MANY_TOKENS, NULL, NULL, "Requested %lld tokens, max %d tokens per request",
                       (long long)p->tokens, o->style.max_request_tokens);
        return -1;
    }
    return 0;
}

/* ---- the rest of the request ---- */

static int take_model(struct openai *o, struct mock_request *q, struct mock_answer *a, struct plan *p, const char *name)
{
    if (name == NULL || *name == '\0') {
        openai_problem(o, q, a, P_BAD_REQUEST, NULL, NULL, "you must provide a model parameter");
        return -1;
    }
    for (int i = 0; i < o->n_models && p->model == NULL; i++)
        if (strcmp(o->models[i].name, name) == 0)
            p->model = &o->models[i];
    if (p->model == NULL && o->style.any_model)
        p->model = &o->models[0];
    if (p->model == NULL) {
        openai_problem(o, q, a, P_NO_MODEL, NULL, NULL,
                       "The model `%s` does not exist or you do not have access to it.", name);
        return -1;
    }
    p->model_name = name;
    return 0;
}

static int take_dimensions(struct openai *o, struct mock_request *q, struct mock_answer *a, struct plan *p,
                           const json_t *v)
{
    p->dimension = p->model->dimension;
    if (v == NULL || json_is_null(v))
        return 0;
    if (!o->style.dimensions || !p->model->shorter)
        openai_problem(o, q, a, P_BAD_REQUEST, NULL, "dimensions",
                       "This model does not support specifying dimensions.");
    else if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > p->model->dimension)
        openai_problem(o, q, a, P_BAD_REQUEST, NULL, "dimensions",
                       "Invalid value for 'dimensions'. Must be between 1 and %d.", p->model->dimension);
    else {
        p->dimension = (int)json_integer_value(v);
        return 0;
    }
    return -1;
}

static int take_format(struct openai *o, struct mock_request *q, struct mock_answer *a, struct plan *p, const json_t *v)
{
    const char *format = json_string_value(v);

    if (v == NULL || json_is_null(v) || (format != NULL && strcmp(format, "float") == 0))
        return 0;
    if (format == NULL || strcmp(format, "base64") != 0) {
        openai_problem(o, q, a, P_BAD_REQUEST, NULL, "encoding_format",
                       "Invalid value for 'encoding_format'. Supported values are: 'float' and 'base64'.");
        return -1;
    }
    p->base64 = o->style.base64;
    return 0;
}

static void summarise(struct mock_request *q, const struct plan *p)
{
    json_t *first =
        json_stringn(p->items[0].text, strnlen(p->items[0].text, p->items[0].len < 40 ? p->items[0].len : 40));

    json_object_set_new(q->summary, "model", json_string(p->model_name));
    json_object_set_new(q->summary, "inputs", json_integer(p->n));
    json_object_set_new(q->summary, "tokens", json_integer(p->tokens));
    json_object_set_new(q->summary, "dimension", json_integer(p->dimension));
    json_object_set_new(q->summary, "base64", json_boolean(p->base64));
    if (first != NULL)
        json_object_set_new(q->summary, "first", first);
}

int openai_plan(struct openai *o, struct mock_request *q, struct mock_answer *a, const char *deployment, struct plan *p)
{
    json_t *body = json_loadb(q->body, q->body_len, JSON_ALLOW_NUL, NULL);
    const char *model = deployment;

    if (!json_is_object(body)) {
        json_decref(body);
        openai_problem(o, q, a, P_BAD_REQUEST, NULL, NULL,
                       "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
                       "your HTTP library correctly. The API expects a JSON payload.)");
        return -1;
    }
    json_array_append_new(q->kept, body); /* the plan's texts are in it */
    if (model == NULL)
        model = json_string_value(json_object_get(body, "model"));
    if (take_model(o, q, a, p, model) < 0 || take_format(o, q, a, p, json_object_get(body, "encoding_format")) < 0 ||
        take_dimensions(o, q, a, p, json_object_get(body, "dimensions")) < 0 ||
        take_input(o, q, a, p, json_object_get(body, "input")) < 0)
        return -1;
    summarise(q, p);
    return 0;
}

/* ---- the answer ---- */

/* What the faults make of the vectors of one answer. */
struct bend {
    int n, dimension;
    int victim; /* the one vector that is bent; -1: none */
    bool zero, nan, long_one, shuffle, same_index, base64, usage;
};

static struct bend bend_of(struct mock_request *q, const struct plan *p)
{
    struct bend b = {.n = p->n, .dimension = p->dimension, .victim = -1, .base64 = p->base64};
    const json_t *rule;

    if ((rule = fault_strikes(q, FAULT_WRONG_COUNT)) != NULL)
        b.n += (int)fault_int(rule, "by", -1);
    if ((rule = fault_strikes(q, FAULT_WRONG_DIMENSION)) != NULL)
        b.dimension = (int)fault_int(rule, "dimension", p->dimension - 1);
    b.zero = fault_strikes(q, FAULT_ZERO_VECTOR) != NULL;
    b.nan = fault_strikes(q, FAULT_NAN_VECTOR) != NULL;
    b.long_one = fault_strikes(q, FAULT_BAD_NORM) != NULL;
    b.shuffle = fault_strikes(q, FAULT_SHUFFLED) != NULL;
    b.same_index = fault_strikes(q, FAULT_BAD_INDEX) != NULL;
    b.usage = fault_strikes(q, FAULT_NO_USAGE) == NULL;
    if (fault_strikes(q, FAULT_FLOAT_ONLY) != NULL)
        b.base64 = false;
    if (b.zero || b.nan || b.long_one)
        b.victim = (int)(mock_dice(q->mock, q->number, 77) * p->n);
    if (b.n < 0)
        b.n = 0;
    return b;
}

static void write_floats(FILE *f, const float *v, int n)
{
    putc('[', f);
    for (int i = 0; i < n; i++) {
        if (i > 0)
            putc(',', f);
        if (isfinite(v[i]))
            fprintf(f, "%.9g", (double)v[i]);
        else
            fputs("NaN", f);
    }
    putc(']', f);
}

static void write_base64(FILE *f, const float *v, int n)
{
    size_t bytes = (size_t)n * sizeof *v;
    unsigned char *text = malloc(bytes / 3 * 4 + 8);

    if (text == NULL)
        abort();
    EVP_EncodeBlock(text, (const unsigned char *)v, (int)bytes); /* little-endian, as this machine is */
    fprintf(f, "\"%s\"", (char *)text);
    free(text);
}

static void bend_vector(const struct bend *b, int i, float *v)
{
    if (i != b->victim)
        return;
    for (int k = 0; k < b->dimension; k++)
        v[k] = b->zero ? 0 : b->long_one ? v[k] * 3 : v[k];
    if (b->nan)
        v[b->dimension / 2] = NAN;
}

static void write_one(FILE *f, const struct plan *p, const struct bend *b, int i, float *v)
{
    const struct item *item = &p->items[i % p->n];
    int full = b->dimension > p->model->dimension ? b->dimension : p->model->dimension;

    openai_vector(p->model->name, item->text, item->len, full, b->dimension, v);
    bend_vector(b, i, v);
    fprintf(f, "{\"object\":\"embedding\",\"index\":%d,\"embedding\":", b->same_index && i == b->n - 1 ? 0 : i);
    if (b->base64)
        write_base64(f, v, b->dimension);
    else
        write_floats(f, v, b->dimension);
    putc('}', f);
}

static int divisor(int x, int y)
{
    while (y != 0) {
        int rest = x % y;

        x = y;
        y = rest;
    }
    return x;
}

/* A step of about half that meets every one of n once. */
static int shuffling_step(int n)
{
    int step = n < 3 ? 1 : n / 2 + 1;

    while (step < n && divisor(n, step) != 1)
        step++;
    return step;
}

/* In the order 0, 1, 2..., or, shuffled, from the last by such steps. */
static void write_all(FILE *f, struct mock_request *q, const struct plan *p, const struct bend *b)
{
    float *v = talloc_array(q, float, b->dimension > 0 ? (unsigned)b->dimension : 1);
    int step = b->shuffle ? shuffling_step(b->n) : 1, at = b->shuffle ? b->n - 1 : 0;

    for (int k = 0; k < b->n; k++, at = (at + step) % b->n) {
        if (k > 0)
            putc(',', f);
        write_one(f, p, b, at, v);
    }
    talloc_free(v);
}

void openai_embed(struct openai *o, struct mock_request *q, struct mock_answer *a, const struct plan *p)
{
    struct bend b = bend_of(q, p);
    char *text = NULL, *name = json_dumps(json_object_get(q->summary, "model"), JSON_ENCODE_ANY);
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        abort();
    fputs("{\"object\":\"list\",\"data\":[", f);
    write_all(f, q, p, &b);
    fprintf(f, "],\"model\":%s", name);
    if (b.usage)
        fprintf(f, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}", (long long)p->tokens,
                (long long)p->tokens);
    putc('}', f);
    fclose(f);
    answer_bytes(q, a, 200, "application/json", text, len);
    free(text);
    free(name);
    mock_lock(o->mock);
    p->model->requests++;
    p->model->inputs += p->n;
    p->model->tokens += p->tokens;
    json_object_set_new(q->summary, "billed", json_string(p->model->name));
    mock_unlock(o->mock);
}
