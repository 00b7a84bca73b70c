/*
 * errors.c - how each server says what is wrong
 *
 * One table of problems for OpenAI, with the differences of the others beside it. The rest (`-`) is as with OpenAI.
 *
 * Depends on common.
 */
#include "openai/openai.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

struct row {
    int status;
    const char *type, *code;
};

static const struct row openai_rows[] = {
    [P_NO_KEY] = {401, "invalid_request_error", NULL},
    [P_BAD_KEY] = {401, "invalid_request_error", "invalid_api_key"},
    [P_NOT_FOUND] = {404, "invalid_request_error", NULL},
    [P_NO_MODEL] = {404, "invalid_request_error", "model_not_found"},
    [P_BAD_REQUEST] = {400, "invalid_request_error", NULL},
    [P_TOO_MANY_ITEMS] = {400, "invalid_request_error", "array_above_max_length"},
    [P_TOO_LONG] = {400, "invalid_request_error", NULL},
    [P_TOO_MANY_TOKENS] = {400, "max_tokens_per_request", "max_tokens_per_request"},
    [P_RATE_REQUESTS] = {429, "rate_limit_error", "rate_limit_exceeded"},
    [P_RATE_TOKENS] = {429, "rate_limit_error", "rate_limit_exceeded"},
    [P_QUOTA] = {429, "insufficient_quota", "insufficient_quota"},
    [P_BAD_ITEM] = {400, "invalid_request_error", NULL},
    [P_SERVER] = {500, "server_error", NULL},
    [P_OVERLOADED] = {503, "service_unavailable_error", "server_is_overloaded"},
    [P_FORBIDDEN] = {403, "request_forbidden", "unsupported_country_region_territory"},
};

static const struct row tei_rows[] = {
    [P_NO_KEY] = {401, "Unauthorized", NULL},      [P_BAD_KEY] = {401, "Unauthorized", NULL},
    [P_NOT_FOUND] = {404, "Validation", NULL},     [P_NO_MODEL] = {404, "Validation", NULL},
    [P_BAD_REQUEST] = {422, "Tokenizer", NULL},    [P_TOO_MANY_ITEMS] = {413, "Validation", NULL},
    [P_TOO_LONG] = {413, "Validation", NULL},      [P_TOO_MANY_TOKENS] = {413, "Validation", NULL},
    [P_RATE_REQUESTS] = {429, "Overloaded", NULL}, [P_RATE_TOKENS] = {429, "Overloaded", NULL},
    [P_QUOTA] = {429, "Overloaded", NULL},         [P_BAD_ITEM] = {422, "Tokenizer", NULL},
    [P_SERVER] = {424, "Backend", NULL},           [P_OVERLOADED] = {503, "Unhealthy", NULL},
    [P_FORBIDDEN] = {403, "Unauthorized", NULL},
};

/* Where another server's status or type differs from OpenAI's. */
static const struct {
    enum shape shape;
    enum problem problem;
    struct row row;
} differences[] = {
    {SHAPE_AZURE, P_NO_KEY, {401, NULL, "401"}},
    {SHAPE_AZURE, P_BAD_KEY, {401, NULL, "401"}},
    {SHAPE_AZURE, P_NOT_FOUND, {404, NULL, "404"}},
    {SHAPE_AZURE, P_NO_MODEL, {404, NULL, "DeploymentNotFound"}},
    {SHAPE_AZURE, P_RATE_REQUESTS, {429, NULL, "429"}},
    {SHAPE_AZURE, P_RATE_TOKENS, {429, NULL, "429"}},
    {SHAPE_OLLAMA, P_NO_MODEL, {404, "not_found_error", NULL}},
    {SHAPE_OLLAMA, P_SERVER, {500, "api_error", NULL}},
    {SHAPE_OLLAMA, P_OVERLOADED, {503, "api_error", NULL}},
    {SHAPE_OLLAMA, P_RATE_REQUESTS, {429, "api_error", NULL}},
    {SHAPE_LLAMACPP, P_BAD_KEY, {401, "authentication_error", NULL}},
    {SHAPE_LLAMACPP, P_TOO_LONG, {500, "server_error", NULL}},
    {SHAPE_LLAMACPP, P_OVERLOADED, {503, "unavailable_error", NULL}},
    {SHAPE_VLLM, P_BAD_REQUEST, {400, "BadRequestError", NULL}},
    {SHAPE_VLLM, P_TOO_LONG, {400, "BadRequestError", NULL}},
    {SHAPE_VLLM, P_BAD_ITEM, {400, "BadRequestError", NULL}},
    {SHAPE_VLLM, P_NO_MODEL, {404, "NotFoundError", NULL}},
    {SHAPE_VLLM, P_SERVER, {500, "InternalServerError", NULL}},
    {SHAPE_OPENROUTER, P_QUOTA, {402, NULL, NULL}},
};

static struct row row_of(enum shape shape, enum problem p)
{
    if (shape == SHAPE_TEI)
        return tei_rows[p];
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
        if (differences[i].shape == shape && differences[i].problem == p)
            return differences[i].row;
    return openai_rows[p];
}

static json_t *body_of(enum shape shape, const struct row *row, const char *param, const char *message)
{
    switch (shape) {
    case SHAPE_TEI:
        return json_pack("{s:s, s:i, s:s}", "message", message, "code", row->status, "type", row->type);
    case SHAPE_AZURE:
        if (row->type == NULL)
            return json_pack("{s:{s:s, s:s}}", "error", "code", row->code, "message", message);
        break;
    case SHAPE_OPENROUTER:
        return json_pack("{s:{s:i, s:s}}", "error", "code", row->status, "message", message);
    case SHAPE_LLAMACPP:
        return json_pack("{s:{s:i, s:s, s:s}}", "error", "code", row->status, "message", message, "type", row->type);
    case SHAPE_VLLM:
        return json_pack("{s:{s:s, s:s, s:s?, s:i}}", "error", "message", message, "type", row->type, "param", param,
                         "code", row->status);
    case SHAPE_OLLAMA:
        return json_pack("{s:{s:s, s:s, s:n, s:n}}", "error", "message", message, "type", row->type, "param", "code");
    case SHAPE_OPENAI:
        break;
    }
    return json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", message, "type", row->type, "param", param,
                     "code", row->code);
}

void openai_problem(struct openai *o, struct mock_request *q, struct mock_answer *a, enum problem p, const char *code,
                    const char *param, const char *fmt, ...)
{
    struct row row = row_of(o->style.shape, p);
    char *message;
    va_list ap;

    va_start(ap, fmt);
    message = talloc_vasprintf(q, fmt, ap);
    va_end(ap);
    if (code != NULL && o->style.shape == SHAPE_OPENAI)
        row.code = code;
    answer_json(q, a, row.status, body_of(o->style.shape, &row, param, message));
}

/* A status that a fault asks for. What stands before the service answers 502, 504 and the like, and not in JSON. */
void openai_fail(void *state, struct mock_request *q, struct mock_answer *a, int status, const char *code)
{
    static const struct {
        int status;
        enum problem problem;
        const char *message;
    } known[] = {
        {400, P_BAD_REQUEST, "Invalid request."},
        {401, P_BAD_KEY, "Incorrect API key provided: sk-mo***key."},
        {403, P_FORBIDDEN, "Country, region, or territory not supported"},
        {404, P_NO_MODEL, "The model does not exist or you do not have access to it."},
        {429, P_RATE_REQUESTS, "Rate limit reached. Please try again later."},
        {500, P_SERVER, "The server had an error while processing your request. Sorry about that!"},
        {503, P_OVERLOADED, "The server is overloaded or not ready yet."},
    };
    struct openai *o = state;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].status != status)
            continue;
        openai_problem(o, q, a, known[i].problem, code, NULL, "%s", known[i].message);
        a->status = status;
        return;
    }
    if (status >= 502) {
        const char *page =
            "<html>\r\n<head><title>Bad gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n";

        answer_bytes(q, a, status, "text/html", page, strlen(page));
        return;
    }
    openai_problem(o, q, a, P_BAD_REQUEST, code, NULL, "Status %d.", status);
    a->status = status;
}
