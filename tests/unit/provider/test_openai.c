/* test_openai.c - embeddings: the request that goes out and every answer that may come back */
#include "headers.h"
#include "provider/openai.h"
#include "provider/openai_fault.h"

#include "payload.h" /* criterion has a CR_API too: after docmill's headers */

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define KEY "sk-test-0123456789abcdef"

static struct openai_endpoint at(enum openai_kind kind)
{
    return (struct openai_endpoint){.kind = kind,
                                    .base_url = "https://api.openai.com/v1",
                                    .api_key = KEY,
                                    .model = "text-embedding-3-small",
                                    .dimension = 4};
}

static struct error err;
static void *ctx;

static void begin(void)
{
    ctx = talloc_new(NULL);
}

static void end(void)
{
    talloc_free(ctx);
}

TestSuite(openai, .init = begin, .fini = end);

static json_t *request(const struct openai_endpoint *ep, const struct embed_input *in, int n, struct http_request *q)
{
    json_t *j;

    cr_assert_eq(openai_request(ctx, ep, in, n, q, NULL, &err), 0, "%s", err.message);
    j = json_loadb(q->body, q->body_len, JSON_ALLOW_NUL, NULL);
    cr_assert(j != NULL, "%.*s", (int)q->body_len, q->body);
    return j;
}

static const char *header(const struct http_request *q, const char *name)
{
    for (int i = 0; i < q->n_headers; i++)
        if (strcmp(q->headers[i].name, name) == 0) {
            cr_assert_eq(q->headers[i].secret, strcmp(name, "Authorization") == 0 || strcmp(name, "api-key") == 0);
            return q->headers[i].value;
        }
    return NULL;
}

Test(openai, a_request_is_what_openai_documents)
{
    struct openai_endpoint ep = at(OPENAI_OPENAI);
    struct embed_input in[] = {{"one", 3}, {"two", 3}};
    struct http_request q;
    json_t *j;

    ep.organization = "org-1";
    ep.dimension = 256;
    j = request(&ep, in, 2, &q);
    cr_assert_str_eq(q.method, "POST");
    cr_assert_str_eq(q.url, "https://api.openai.com/v1/embeddings");
    cr_assert_str_eq(header(&q, "Authorization"), "Bearer " KEY);
    cr_assert_str_eq(header(&q, "OpenAI-Organization"), "org-1");
    cr_assert_str_eq(header(&q, "Content-Type"), "application/json");
    cr_assert_null(header(&q, "OpenAI-Project"));
    cr_assert_eq(q.body_fd, -1);
    cr_assert_eq(q.response_fd, -1);
    cr_assert_str_eq(json_string_value(json_object_get(j, "model")), "text-embedding-3-small");
    cr_assert_str_eq(json_string_value(json_object_get(j, "encoding_format")), "base64");
    cr_assert_eq(json_integer_value(json_object_get(j, "dimensions")), 256);
    cr_assert_eq(json_array_size(json_object_get(j, "input")), 2);
    cr_assert_str_eq(json_string_value(json_array_get(json_object_get(j, "input"), 1)), "two");
    json_decref(j);
    ep.dimension = 1536;
    j = request(&ep, in, 1, &q);
    cr_assert_null(json_object_get(j, "dimensions"), "the model's own dimension needs no asking");
    json_decref(j);
}

Test(openai, any_utf8_arrives_as_it_is)
{
    struct openai_endpoint ep = at(OPENAI_GENERIC);
    struct http_request q;
    char text[600];
    size_t n = 0;
    json_t *j, *v;

    for (int c = 0; c < 128; c++)
        text[n++] = (char)c;
    n += (size_t)sprintf(text + n, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8\"\\/");
    j = request(&ep, &(struct embed_input){text, n}, 1, &q);
    v = json_array_get(json_object_get(j, "input"), 0);
    cr_assert_eq(json_string_length(v), n);
    cr_assert_eq(memcmp(json_string_value(v), text, n), 0);
    cr_assert_str_eq(json_string_value(json_object_get(j, "encoding_format")), "float");
    json_decref(j);
}

Test(openai, each_kind_has_its_address_and_key)
{
    static const struct {
        enum openai_kind kind;
        const char *base, *version, *url;
    } t[] = {
        {OPENAI_OPENAI, "https://a.example", NULL, "https://a.example/v1/embeddings"},
        {OPENAI_OPENAI, "https://a.example/v1/", NULL, "https://a.example/v1/embeddings"},
        {OPENAI_OLLAMA, "http://127.0.0.1:11434/v1", NULL, "http://127.0.0.1:11434/v1/embeddings"},
        {OPENAI_TEI, "http://h:8080//", NULL, "http://h:8080/v1/embeddings"},
        {OPENAI_GENERIC, "https://h/v1beta/openai/", NULL, "https://h/v1beta/openai/embeddings"},
        {OPENAI_AZURE, "https://r.openai.azure.com", NULL, "https://r.openai.azure.com/openai/v1/embeddings"},
        {OPENAI_AZURE, "https://r.openai.azure.com/openai/v1/", NULL,
         "https://r.openai.azure.com/openai/v1/embeddings"},
        {OPENAI_AZURE, "https://r.openai.azure.com/", "2024-10-21",
         "https://r.openai.azure.com/openai/deployments/my%20dep/embeddings?api-version=2024-10-21"},
    };
    struct embed_input in = {"x", 1};
    struct http_request q;

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct openai_endpoint ep = at(t[i].kind);
        ep.base_url = t[i].base;
        ep.api_version = t[i].version;
        ep.model = "my dep";
        json_decref(request(&ep, &in, 1, &q));
        cr_assert_str_eq(q.url, t[i].url);
        cr_assert_str_eq(t[i].kind == OPENAI_AZURE ? header(&q, "api-key") : header(&q, "Authorization"),
                         t[i].kind == OPENAI_AZURE ? KEY : "Bearer " KEY);
    }
}

Test(openai, what_cannot_be_asked_is_refused_before_anything_is_sent)
{
    struct openai_endpoint ep = at(OPENAI_OPENAI), wrong;
    struct embed_input in[] = {{"ok", 2}, {"", 0}, {"\xff", 1}};
    struct http_request q;
    int bad;

    cr_assert_lt(openai_request(ctx, &ep, in, 2, &q, &bad, &err), 0);
    cr_assert_str_eq(err.reason, "embed_refused");
    cr_assert_eq(bad, 1);
    in[1] = in[2];
    cr_assert_lt(openai_request(ctx, &ep, in, 2, &q, &bad, &err), 0);
    cr_assert_eq(bad, 1);
    cr_assert_lt(openai_request(ctx, &ep, in, 0, &q, &bad, &err), 0);
#define REFUSED(field, value)                                                                                          \
    wrong = ep;                                                                                                        \
    wrong.field = value;                                                                                               \
    cr_assert_lt(openai_check(&wrong, &err), 0, #field);                                                               \
    cr_assert_str_eq(err.reason, "bad_config");                                                                        \
    cr_assert_null(strstr(err.message, "0123456789"))
    REFUSED(base_url, "ftp://x");
    REFUSED(base_url, "https://user:pass@x");
    REFUSED(base_url, "https://x/?a=b");
    REFUSED(api_key, NULL);
    REFUSED(api_key, KEY "\r\nX: y");
    REFUSED(model, "");
    REFUSED(dimension, 0);
    REFUSED(dimension, 1537);
    cr_assert_eq(openai_check(&ep, &err), 0);
}

static int read_body(const struct openai_endpoint *ep, const char *body, int n, float *out, uint8_t *bad,
                     struct openai_outcome *o)
{
    return openai_read(ep, body, strlen(body), n, out, bad, o, &err);
}

Test(openai, base64_numbers_and_any_order_give_the_same_vectors)
{
    static const struct {
        const char *file;
        enum openai_kind kind;
    } t[] = {{"openai/embeddings_base64.json", OPENAI_OPENAI},
             {"openai/embeddings_float.json", OPENAI_OPENAI},
             {"openai/embeddings_tei.json", OPENAI_TEI}};
    static const float want[8] = {1, 0, 0, 0, 0.5f, -0.5f, 0.5f, -0.5f};

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct openai_endpoint ep = at(t[i].kind);
        struct openai_outcome o;
        float out[8];
        uint8_t bad[2];
        cr_assert_eq(read_body(&ep, payload(t[i].file), 2, out, bad, &o), 0, "%s: %s", t[i].file, err.message);
        cr_assert_eq(memcmp(out, want, sizeof want), 0, "%s", t[i].file);
        cr_assert(o.n_bad == 0 && bad[0] == 0 && bad[1] == 0);
        cr_assert(o.prompt_tokens == 9 && o.total_tokens == 9);
    }
}

#define ITEM(i, v) "{\"object\":\"embedding\",\"index\":" i ",\"embedding\":" v "}"
#define ANSWER(items)                                                                                                  \
    "{\"object\":\"list\",\"data\":[" items "],\"model\":\"text-embedding-3-small\",\"usage\":{\"prompt_tokens\":2,"   \
    "\"total_tokens\":2}}"
#define ONE "[1,0,0,0]"

Test(openai, an_answer_that_does_not_fit_is_not_used)
{
    static const struct {
        const char *body, *words;
    } t[] = {
        {"", "byte 0"},
        {"[]", "byte 0"},
        {ANSWER(ITEM("0", ONE)), "1 vectors for 2"},
        {ANSWER(ITEM("0", ONE) "," ITEM("0", ONE)), "index 0 comes twice"},
        {ANSWER(ITEM("0", ONE) "," ITEM("2", ONE)), "holds index 2,"},
        {ANSWER(ITEM("0", ONE) "," ITEM("-1", ONE)), "holds index -1,"},
        {ANSWER(ITEM("0", ONE) "," ITEM("1", ONE) "," ITEM("1", ONE)), "comes twice"},
        {ANSWER(ITEM("0", ONE) ",{\"embedding\":[1,0,0,0]}"), "no index"},
        {ANSWER(ITEM("0", ONE) ",{\"index\":1}"), "no embedding"},
        {ANSWER(ITEM("0", ONE) "," ITEM("1", "[1,0,\"x\",0]")), "no number"},
        {ANSWER(ITEM("0", ONE) "," ITEM("1", "\"AAA*\"")), "no base64"},
        {ANSWER(ITEM("0", ONE) "," ITEM("1", "null")), "neither"},
        {ANSWER(ITEM("0", "[0,0,0,0]") "," ITEM("1", "[0,0,0,0]")), "no vector of it is right"},
        {ANSWER(ITEM("0", "[1]") "," ITEM("1", "[1]")), "has 1 dimensions, not 4"},
        {ANSWER(ITEM("0", ONE) "," ITEM("1", ONE)) "x", "byte"},
        {"{\"data\":[" ITEM("0", ONE) "," ITEM("1", ONE) "],\"model\":\"other\"}", "model other"},
        {"{\"data\":[" ITEM("0", ONE) "," ITEM("1", ONE) "],\"model\":\"text-embedding-3-smallish\"}", "model"},
        {"{\"data\":[" ITEM("0", ONE) "," ITEM("1", "[1,0"), "byte"},
    };
    struct openai_endpoint ep = at(OPENAI_OPENAI);

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct openai_outcome o;
        float out[8];
        uint8_t bad[2];
        err.message[0] = '\0';
        cr_assert_lt(read_body(&ep, t[i].body, 2, out, bad, &o), 0, "%s", t[i].body);
        cr_assert_str_eq(err.reason, "embed_bad_answer");
        cr_assert(strstr(err.message, t[i].words) != NULL, "%s: %s", t[i].body, err.message);
        cr_assert_eq(o.n_bad, 0);
    }
}

Test(openai, one_bad_vector_is_marked_and_the_others_stand)
{
    static const char *const vectors[] = {"[0,0,0,0]",
                                          "[1e39,0,0,0]",
                                          "[null,0,0,0]",
                                          "[1,0,0]",
                                          "[1,0,0,0,0]",
                                          "[2,0,0,0]",
                                          "\"AACAfwAAAAAAAAAAAAAAAA==\"",
                                          "\"AAAA\"",
                                          "\"AADAfwAAAAAAAAAAAAAAAA==\"",
                                          "[]"};
    struct openai_endpoint ep = at(OPENAI_OPENAI);
    char body[512];

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct http_response r = {.status = 200, .body = body};
        struct rate_head h;
        struct openai_outcome o;
        float out[8];
        uint8_t bad[2];
        ratehead_none(&h);
        r.len = (size_t)snprintf(body, sizeof body, ANSWER(ITEM("0", "%s") "," ITEM("1", ONE)), vectors[i]);
        openai_judge(&ep, &r, &h, 2, out, bad, &o);
        cr_assert_eq(o.verdict.act, PROVIDER_ITEM, "%s: %s", vectors[i], o.verdict.error.message);
        cr_assert_eq(o.verdict.reason, REASON_embed_bad_vector);
        cr_assert(o.n_bad == 1 && bad[0] == 1 && bad[1] == 0, "%s", vectors[i]);
        cr_assert_eq(out[4], 1.0f);
        cr_assert(strstr(o.verdict.error.message, "text 0") != NULL);
    }
}

Test(openai, another_dimension_of_the_only_vector_is_not_its_texts_fault)
{
    static const char *const vectors[] = {"[1,0,0]", "[1,0,0,0,0]", "\"AACAPwAAAAA=\""};
    struct openai_endpoint ep = at(OPENAI_OPENAI);
    char body[512];
    struct openai_outcome o;
    float out[4];
    uint8_t bad[1];

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        snprintf(body, sizeof body, ANSWER(ITEM("0", "%s")), vectors[i]);
        cr_assert_lt(read_body(&ep, body, 1, out, bad, &o), 0, "%s", vectors[i]);
        cr_assert_str_eq(err.reason, "embed_bad_answer");
        cr_assert(strstr(err.message, "dimensions, not 4") != NULL, "%s", err.message);
    }
    cr_assert_eq(read_body(&ep, ANSWER(ITEM("0", "[]")), 1, out, bad, &o), 0, "none is no dimension");
    cr_assert_eq(o.n_bad, 1);
}

Test(openai, vectors_of_any_length_are_scaled_where_none_is_promised)
{
    struct openai_endpoint ep = at(OPENAI_GENERIC);
    struct openai_outcome o;
    float out[4];
    uint8_t bad[1];

    cr_assert_eq(read_body(&ep, "{\"data\":[" ITEM("0", "[3,0,4,0]") "]}", 1, out, bad, &o), 0, "%s", err.message);
    cr_assert_float_eq(out[0], 0.6f, 1e-6);
    cr_assert_float_eq(out[2], 0.8f, 1e-6);
    cr_assert_eq(o.prompt_tokens, -1, "not said");
}

Test(openai, a_version_of_the_model_and_an_escaped_slash_are_accepted)
{
    struct openai_endpoint ep = at(OPENAI_OPENAI);
    struct openai_outcome o;
    float out[4];
    uint8_t bad[1];

    /* 0x3f800000 is "AACAPw"; the second number, 0x3b7f..., brings slashes into the text */
    cr_assert_eq(read_body(&ep,
                           "{\"data\":[" ITEM(
                               "0", "\"AACAPwAAAAAAAAAA\\/\\/8AAA==\"") "],\"model\":\"text-embedding-3-small-v2\"}",
                           1, out, bad, &o),
                 0, "%s", err.message);
    cr_assert_eq(out[0], 1.0f);
    cr_assert_lt(read_body(&ep, "{\"data\":[" ITEM("0", "\"\\nACAPwAAAAAAAAAAAAAAAA==\"") "]}", 1, out, bad, &o), 0);
}

static struct provider_verdict judge(int status, const char *body, const char *const *headers)
{
    struct openai_endpoint ep = at(OPENAI_OPENAI);
    struct http_response r = {.status = status, .body = body, .len = strlen(body)};
    struct openai_outcome o;
    struct rate_head h;
    float out[4];
    uint8_t bad[1];

    ratehead_read(header_of, headers, &h);
    openai_judge(&ep, &r, &h, 1, out, bad, &o);
    cr_assert_null(strstr(o.verdict.error.message, "sk-"), "%s", o.verdict.error.message);
    cr_assert_str_eq(o.verdict.error.reason, reason_name(o.verdict.reason));
    return o.verdict;
}

Test(openai, each_error_that_is_documented_has_its_verdict)
{
    static const struct {
        int status;
        const char *file;
        enum provider_act act;
        enum reason reason;
    } t[] = {
        {400, "max_tokens_per_request", PROVIDER_SPLIT_TOKENS, REASON_embed_too_long},
        {400, "too_long", PROVIDER_ITEM, REASON_embed_too_long},
        {400, "empty_input", PROVIDER_ITEM, REASON_embed_refused},
        {401, "invalid_api_key", PROVIDER_OPEN, REASON_provider_denied},
        {403, "server_error", PROVIDER_OPEN, REASON_provider_denied},
        {404, "model_not_found", PROVIDER_CONFIG, REASON_provider_config},
        {429, "rate_limit", PROVIDER_WAIT, REASON_provider_limited},
        {429, "slow_down", PROVIDER_WAIT, REASON_provider_limited},
        {429, "insufficient_quota", PROVIDER_OPEN, REASON_provider_quota},
        {500, "server_error", PROVIDER_RETRY, REASON_provider_failed},
        {503, "overloaded", PROVIDER_RETRY, REASON_provider_failed},
        {404, "ollama_not_found", PROVIDER_CONFIG, REASON_provider_config},
        {413, "tei_batch", PROVIDER_SPLIT_ITEMS, REASON_embed_refused},
        {429, "tei_overloaded", PROVIDER_WAIT, REASON_provider_limited},
        {503, "llamacpp_loading", PROVIDER_RETRY, REASON_provider_failed},
        {500, "llamacpp_too_large", PROVIDER_ITEM, REASON_embed_too_long},
        {400, "llamacpp_context", PROVIDER_ITEM, REASON_embed_too_long},
        {400, "llamacpp_pooling", PROVIDER_CONFIG, REASON_provider_config},
        {501, "llamacpp_no_embeddings", PROVIDER_CONFIG, REASON_provider_config},
        {401, "llamacpp_key", PROVIDER_OPEN, REASON_provider_denied},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char name[64];
        struct provider_verdict v;
        snprintf(name, sizeof name, "openai/error_%s.json", t[i].file);
        v = judge(t[i].status, payload(name), NULL);
        cr_assert_eq(v.act, t[i].act, "%s: %s", t[i].file, provider_act_name(v.act));
        cr_assert_eq(v.reason, t[i].reason, "%s: %s", t[i].file, v.error.reason);
        cr_assert_eq(v.slow_down, strcmp(t[i].file, "slow_down") == 0);
    }
    cr_assert_eq(judge(400, payload("openai/error_empty_input.json"), NULL).item, 3, "the service names the input");
}

Test(openai, every_row_of_the_table_is_reached_by_what_it_describes)
{
    const struct openai_fault_row *row;

    for (int i = 0; (row = openai_fault_row(i)) != NULL; i++) {
        struct openai_error e = {0};
        snprintf(e.code, sizeof e.code, "%s", row->word == NULL ? "" : row->word);
        snprintf(e.message, sizeof e.message, "<%s>", row->phrase == NULL ? "" : row->phrase);
        if (row->lowest == 0)
            cr_assert_eq(openai_fault_of(499, &e), row);
        else
            cr_assert(openai_fault_of(row->highest, &e) == row || openai_fault_of(row->lowest, &e) == row, "row %d", i);
    }
}

Test(openai, each_code_of_a_used_up_account_opens_the_breaker)
{
    static const char *const codes[] = {"insufficient_quota", "credit_balance_exhausted",
                                        "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
                                        "organization_usage_limit_exceeded"};
    char body[256];

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        snprintf(body, sizeof body,
                 "{\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\",\"code\":\"%s\",\"param\":null}}",
                 codes[i]);
        cr_assert_eq(judge(429, body, NULL).act, PROVIDER_OPEN, "%s", codes[i]);
    }
}

Test(openai, how_long_to_wait_comes_from_retry_after_and_else_from_the_empty_bucket)
{
    const char *const after[] = {"retry-after", "7", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens",
                                 "6m0s",        NULL};
    const char *const bucket[] = {"x-ratelimit-limit-tokens",
                                  "10",
                                  "x-ratelimit-remaining-tokens",
                                  "0",
                                  "x-ratelimit-reset-tokens",
                                  "250ms",
                                  "x-ratelimit-limit-requests",
                                  "9",
                                  "x-ratelimit-remaining-requests",
                                  "5",
                                  "x-ratelimit-reset-requests",
                                  "6m0s",
                                  NULL};

    cr_assert_eq(judge(429, "{}", after).wait_ms, 7000);
    cr_assert_eq(judge(429, "{}", bucket).wait_ms, 250);
    cr_assert_eq(judge(429, "{}", NULL).wait_ms, -1);
    cr_assert_eq(judge(503, "{}", after).wait_ms, 7000);
    cr_assert_eq(judge(500, "{}", bucket).wait_ms, -1, "a failure has nothing to do with buckets");
}

Test(openai, a_bad_parameter_is_no_document_s_fault)
{
    cr_assert_eq(
        judge(
            400,
            "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":\"dimensions\",\"code\":null}}",
            NULL)
            .act,
        PROVIDER_CONFIG);
    cr_assert_eq(
        judge(
            400,
            "{\"error\":{\"message\":\"This model does not support specifying dimensions.\",\"type\":\"invalid_request_error\"}}",
            NULL)
            .act,
        PROVIDER_CONFIG);
    cr_assert(judge(400,
                    "{\"error\":{\"message\":\"unknown encoding_format base64\",\"type\":\"invalid_request_error\"}}",
                    NULL)
                  .use_float);
}

Test(openai, errors_of_every_shape_are_read)
{
    static const char *const bodies[] = {
        "{\"error\":\"WORDS\",\"error_type\":\"Validation\"}", "{\"detail\":\"WORDS\"}",
        "{\"object\":\"error\",\"message\":\"WORDS\",\"type\":\"NotFoundError\",\"code\":404}", "<html>WORDS</html>"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        cr_assert(strstr(judge(500, bodies[i], NULL).error.message, "WORDS") != NULL, "%s", bodies[i]);
    cr_assert_eq(judge(500, "", NULL).act, PROVIDER_RETRY);
    cr_assert_eq(judge(418, "[]", NULL).reason, REASON_embed_bad_answer);
    cr_assert_eq(judge(307, "", NULL).act, PROVIDER_CONFIG);
}

Test(openai, a_key_is_never_in_a_message)
{
    struct provider_verdict v = judge(
        401, "{\"error\":{\"message\":\"bad key " KEY " or 'llx-abc' here\",\"type\":\"t\",\"code\":\"" KEY "\"}}",
        NULL);

    cr_assert(strstr(v.error.message, "bad key [key]") != NULL, "%s", v.error.message);
    cr_assert_null(strstr(v.error.message, "llx-"));
    cr_assert_neq(v.error.hint[0], '\0', "a person has to act");
}

Test(openai, no_answer_is_a_failure_of_the_service)
{
    struct openai_endpoint ep = at(OPENAI_OPENAI);
    struct http_response r = {.sent = true};
    struct openai_outcome o;
    struct rate_head h;
    float out[4];
    uint8_t bad[1];

    ratehead_none(&h);
    error_set(&r.error, ETIMEDOUT, ERR_TRANSIENT, "http_timeout", "no first byte after 60 s");
    openai_judge(&ep, &r, &h, 1, out, bad, &o);
    cr_assert_eq(o.verdict.act, PROVIDER_RETRY);
    cr_assert(o.verdict.unsure);
    error_set(&r.error, EACCES, ERR_PERMANENT, "http_refused", "10.0.0.1 is a private address");
    openai_judge(&ep, &r, &h, 1, out, bad, &o);
    cr_assert_eq(o.verdict.act, PROVIDER_CONFIG);
}

Test(openai, kinds_have_names_and_a_table_for_people)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    openai_print_markdown(f);
    fclose(f);
    for (int i = 0; i < OPENAI_KIND_MAX_; i++) {
        const struct openai_capabilities *k = openai_capabilities((enum openai_kind)i);
        char row[64];
        cr_assert_eq(openai_kind_parse(k->name), i);
        snprintf(row, sizeof row, "| %s | `%s` |", k->name, k->path);
        cr_assert(strstr(text, row) != NULL, "%s", row);
    }
    cr_assert_eq(openai_kind_parse("none"), -1);
    free(text);
}
