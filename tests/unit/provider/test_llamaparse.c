/* test_llamaparse.c - LlamaParse: requests of both interfaces, and every answer that may come back */
#include "base/money.h"
#include "headers.h"
#include "provider/llamaparse.h"

#include "payload.h" /* criterion has a CR_API too: after docmill's headers */

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <talloc.h>

#define KEY "llx-test0123456789"
#define JOB "11111111-2222-4333-8444-555555555555"

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

TestSuite(llamaparse, .init = begin, .fini = end);

static struct llamaparse_endpoint endpoint(enum llamaparse_api api)
{
    return (struct llamaparse_endpoint){.api = api, .api_key = KEY, .tier = "cost_effective"};
}

static struct llamaparse_file file_of(const char *name)
{
    return (struct llamaparse_file){.fd = 7, .size = 1234, .filename = name, .content_type = "application/pdf"};
}

static const struct http_part *part(const struct http_request *q, const char *name)
{
    for (int i = 0; i < q->n_parts; i++)
        if (strcmp(q->parts[i].name, name) == 0)
            return &q->parts[i];
    return NULL;
}

static const char *field(const struct http_request *q, const char *name)
{
    const struct http_part *p = part(q, name);

    if (p == NULL)
        return NULL;
    cr_assert(p->fd == -1 && p->len == strlen(p->data), "%s", name);
    return p->data;
}

Test(llamaparse, a_v1_submission_carries_the_file_and_all_that_is_asked)
{
    struct llamaparse_endpoint ep = endpoint(LLAMAPARSE_V1);
    struct llamaparse_file file = file_of("re\"port\n.pdf");
    struct http_request q;
    json_t *hooks, *hook;

    ep.organization_id = "o 1";
    ep.project_id = "p1";
    ep.languages = "en,de";
    ep.max_pages = 50;
    ep.do_not_cache = true;
    ep.job_timeout_s = 300;
    ep.version = "2026-08-19";
    file.target_pages = "1-3,7";
    file.webhook_url = "https://docmill.example/hooks/llamaparse/abc";
    file.webhook_secret = "s3cret";
    file.webhook_token = "tok";
    cr_assert_eq(llamaparse_submit(ctx, &ep, &file, &q, &err), 0, "%s", err.message);
    cr_assert_str_eq(q.method, "POST");
    cr_assert_str_eq(q.url, LLAMAPARSE_BASE_NA "/api/v1/parsing/upload?organization_id=o%201&project_id=p1");
    cr_assert_str_eq(q.headers[0].value, "Bearer " KEY);
    cr_assert(q.headers[0].secret);
    cr_assert_str_eq(field(&q, "tier"), "cost_effective");
    cr_assert_str_eq(field(&q, "version"), "2026-08-19");
    cr_assert_str_eq(field(&q, "target_pages"), "0-2,6", "v1 counts from 0");
    cr_assert_str_eq(field(&q, "max_pages"), "50");
    cr_assert_str_eq(field(&q, "language"), "en");
    cr_assert_str_eq(field(&q, "do_not_cache"), "true");
    cr_assert_str_eq(field(&q, "job_timeout_in_seconds"), "300");
    cr_assert_str_eq(field(&q, "page_separator"), LLAMAPARSE_PAGE_MARK);
    cr_assert(part(&q, "file")->fd == 7 && part(&q, "file")->len == 1234);
    cr_assert_str_eq(part(&q, "file")->filename, "re_port_.pdf");
    hooks = json_loads(field(&q, "webhook_configurations"), 0, NULL);
    hook = json_array_get(hooks, 0);
    cr_assert_str_eq(json_string_value(json_object_get(hook, "webhook_output_format")), "json");
    cr_assert_str_eq(json_string_value(json_object_get(hook, "webhook_signing_secret")), "s3cret");
    cr_assert_str_eq(
        json_string_value(json_object_get(json_object_get(hook, "webhook_headers"), LLAMAPARSE_TOKEN_HEADER)), "tok");
    cr_assert_eq(json_array_size(json_object_get(hook, "webhook_events")), 4);
    json_decref(hooks);
}

Test(llamaparse, a_v2_submission_is_one_configuration_and_the_file)
{
    struct llamaparse_endpoint ep = endpoint(LLAMAPARSE_V2);
    struct llamaparse_file file = file_of(NULL);
    struct http_request q;
    json_t *c;

    ep.europe = true;
    ep.languages = "en, de";
    ep.max_pages = 50;
    ep.do_not_cache = true;
    ep.job_timeout_page_s = 20;
    file.target_pages = "1-3,7";
    file.webhook_url = "https://docmill.example/h";
    cr_assert_eq(llamaparse_submit(ctx, &ep, &file, &q, &err), 0, "%s", err.message);
    cr_assert_str_eq(q.url, LLAMAPARSE_BASE_EU "/api/v2/parse/upload");
    cr_assert_eq(q.n_parts, 2);
    c = json_loads(field(&q, "configuration"), 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(c, "tier")), "cost_effective");
    cr_assert_str_eq(json_string_value(json_object_get(c, "version")), "latest");
    cr_assert(json_is_true(json_object_get(c, "disable_cache")));
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(c, "page_ranges"), "target_pages")), "1-3,7",
                     "v2 counts from 1");
    cr_assert_eq(json_array_size(json_object_get(
                     json_object_get(json_object_get(c, "processing_options"), "ocr_parameters"), "languages")),
                 2);
    cr_assert_eq(
        json_integer_value(json_object_get(json_object_get(json_object_get(c, "processing_control"), "timeouts"),
                                           "extra_time_per_page_in_seconds")),
        20);
    cr_assert_null(
        json_object_get(json_array_get(json_object_get(c, "webhook_configurations"), 0), "webhook_signing_secret"));
    cr_assert_str_eq(part(&q, "file")->filename, "file");
    json_decref(c);
}

Test(llamaparse, status_and_result_have_their_addresses)
{
    struct llamaparse_endpoint v1 = endpoint(LLAMAPARSE_V1), v2 = endpoint(LLAMAPARSE_V2);
    struct http_request q;

    v2.base_url = "http://127.0.0.1:8001/";
    v2.project_id = "p";
    cr_assert_eq(llamaparse_status(ctx, &v1, JOB, &q, &err), 0);
    cr_assert_str_eq(q.url, LLAMAPARSE_BASE_NA "/api/v1/parsing/job/" JOB);
    cr_assert_eq(llamaparse_result(ctx, &v1, JOB, &q, &err), 0);
    cr_assert_str_eq(q.url, LLAMAPARSE_BASE_NA "/api/v1/parsing/job/" JOB "/result/json");
    cr_assert_eq(llamaparse_status(ctx, &v2, "pjb-1", &q, &err), 0);
    cr_assert_str_eq(q.url, "http://127.0.0.1:8001/api/v2/parse/pjb-1?project_id=p");
    cr_assert_eq(llamaparse_result(ctx, &v2, "pjb-1", &q, &err), 0);
    cr_assert_str_eq(
        q.url,
        "http://127.0.0.1:8001/api/v2/parse/pjb-1?expand=markdown&expand=job_metadata&expand=usage&project_id=p");
    cr_assert_lt(llamaparse_status(ctx, &v1, "../x", &q, &err), 0);
    cr_assert_lt(llamaparse_status(ctx, &v1, "..", &q, &err), 0);
    cr_assert_lt(llamaparse_status(ctx, &v1, "", &q, &err), 0);
}

Test(llamaparse, what_cannot_be_asked_is_refused_before_anything_is_sent)
{
    static const char *const pages[] = {"", "0", "1-", "-3", "1,,2", "a", "1;2", "1 2", "999999999"};
    static const char *const hooks[] = {"http://a.example/", "https://10.1.2.3/x", "https://[::1]/x", "ftp://x"};
    struct llamaparse_endpoint ep = endpoint(LLAMAPARSE_V1), wrong = ep;
    struct llamaparse_file file = file_of("a.pdf");
    struct http_request q;
    char longest[300] = "https://a.example/";

    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        file.target_pages = pages[i];
        cr_assert_lt(llamaparse_submit(ctx, &ep, &file, &q, &err), 0, "<%s>", pages[i]);
    }
    file.target_pages = NULL;
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        file.webhook_url = hooks[i];
        cr_assert_lt(llamaparse_submit(ctx, &ep, &file, &q, &err), 0, "%s", hooks[i]);
        cr_assert_str_eq(err.reason, "bad_config");
    }
    wrong.base_url = "http://127.0.0.1:8001"; /* a stand-in calls back as it is called */
    for (int i = 0; i < 3; i++) {
        file.webhook_url = hooks[i];
        cr_assert_eq(llamaparse_submit(ctx, &wrong, &file, &q, &err), 0, "%s: %s", hooks[i], err.message);
    }
    wrong = ep;
    memset(longest + 18, 'a', 200);
    file.webhook_url = longest;
    cr_assert_lt(llamaparse_submit(ctx, &ep, &file, &q, &err), 0);
    wrong.tier = "premium";
    cr_assert_lt(llamaparse_check(&wrong, &err), 0);
    wrong = ep;
    wrong.api_key = NULL;
    cr_assert_lt(llamaparse_check(&wrong, &err), 0);
    wrong = ep;
    wrong.base_url = "https://u:p@x";
    cr_assert_lt(llamaparse_check(&wrong, &err), 0);
}

static struct llamaparse_answer answer(enum llamaparse_api api, enum llamaparse_step step, int status, const char *body)
{
    struct llamaparse_endpoint ep = endpoint(api);
    struct http_response r = {.status = status, .body = body, .len = strlen(body)};
    struct llamaparse_answer a;
    struct rate_head h;

    ratehead_none(&h);
    llamaparse_judge(ctx, &ep, step, &r, &h, &a);
    return a;
}

Test(llamaparse, a_submission_s_answer_names_the_job)
{
    struct llamaparse_answer a = answer(LLAMAPARSE_V1, LLAMAPARSE_SUBMIT, 200, payload("llamaparse/v1_upload.json"));

    cr_assert_eq(a.verdict.act, PROVIDER_OK);
    cr_assert_str_eq(a.job_id, JOB);
    cr_assert_eq(a.status, LLAMAPARSE_PENDING);
    a = answer(LLAMAPARSE_V2, LLAMAPARSE_SUBMIT, 200, payload("llamaparse/v2_upload.json"));
    cr_assert_eq(a.verdict.act, PROVIDER_OK);
    cr_assert_str_eq(a.job_id, "pjb-0001");
    a = answer(LLAMAPARSE_V1, LLAMAPARSE_SUBMIT, 200, "{\"id\":\"../x\",\"status\":\"PENDING\"}");
    cr_assert_eq(a.verdict.reason, REASON_parse_bad_answer);
}

Test(llamaparse, each_status_says_what_to_do)
{
    static const struct {
        enum llamaparse_api api;
        const char *file;
        enum provider_act act;
        enum reason reason;
    } t[] = {
        {LLAMAPARSE_V1, "v1_job_pending", PROVIDER_PENDING, REASON_NONE},
        {LLAMAPARSE_V1, "v1_job_success", PROVIDER_OK, REASON_NONE},
        {LLAMAPARSE_V1, "v1_job_partial", PROVIDER_OK, REASON_NONE},
        {LLAMAPARSE_V1, "v1_job_error", PROVIDER_ITEM, REASON_parse_encrypted},
        {LLAMAPARSE_V2, "v2_running", PROVIDER_PENDING, REASON_NONE},
        {LLAMAPARSE_V2, "v2_failed", PROVIDER_ITEM, REASON_parse_encrypted},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char name[64];
        struct llamaparse_answer a;
        snprintf(name, sizeof name, "llamaparse/%s.json", t[i].file);
        a = answer(t[i].api, LLAMAPARSE_STATUS, 200, payload(name));
        cr_assert_eq(a.verdict.act, t[i].act, "%s: %s", t[i].file, provider_act_name(a.verdict.act));
        cr_assert_eq(a.verdict.reason, t[i].reason, "%s: %s", t[i].file, a.verdict.error.message);
    }
}

Test(llamaparse, both_spellings_of_cancelled_and_a_status_that_nobody_knows)
{
    struct llamaparse_answer a;

    a = answer(LLAMAPARSE_V1, LLAMAPARSE_STATUS, 200, "{\"id\":\"a\",\"status\":\"CANCELED\"}");
    cr_assert_eq(a.verdict.act, PROVIDER_NEW_JOB);
    a = answer(LLAMAPARSE_V1, LLAMAPARSE_STATUS, 200, "{\"id\":\"a\",\"status\":\"CANCELLED\"}");
    cr_assert(a.verdict.act == PROVIDER_NEW_JOB && a.verdict.reason == REASON_parse_job_failed);
    a = answer(LLAMAPARSE_V1, LLAMAPARSE_STATUS, 200, "{\"id\":\"a\",\"status\":\"RESTING\"}");
    cr_assert(a.verdict.act == PROVIDER_PENDING && a.status == LLAMAPARSE_UNKNOWN,
              "it is asked again until the deadline");
    cr_assert(strstr(a.verdict.error.message, "RESTING") != NULL);
}

Test(llamaparse, each_error_code_has_its_row)
{
    static const struct {
        const char *code;
        enum provider_act act;
        enum reason reason;
    } t[] = {
        {"PDF_IS_PROTECTED", PROVIDER_ITEM, REASON_parse_encrypted},
        {"UNSUPPORTED_FILE_TYPE", PROVIDER_ITEM, REASON_unsupported_type},
        {"NO_DATA_FOUND_IN_FILE", PROVIDER_ITEM, REASON_parse_no_text},
        {"INVALID_TIER_VERSION_COMBINATION", PROVIDER_CONFIG, REASON_provider_config},
        {"INVALID_PAGE_RANGE", PROVIDER_ITEM, REASON_parse_refused},
        {"ERROR_DURING_PROCESSING", PROVIDER_NEW_JOB, REASON_parse_job_failed},
        {"EXPIRED", PROVIDER_NEW_JOB, REASON_parse_job_failed},
        {"SOMETHING_NEW", PROVIDER_NEW_JOB, REASON_parse_job_failed},
        {"", PROVIDER_NEW_JOB, REASON_parse_job_failed},
    };
    char body[256];

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct llamaparse_answer a;
        snprintf(body, sizeof body, "{\"id\":\"a\",\"status\":\"ERROR\",\"error_code\":\"%s\",\"error_message\":\"m\"}",
                 t[i].code);
        a = answer(LLAMAPARSE_V1, LLAMAPARSE_STATUS, 200, body);
        cr_assert(a.verdict.act == t[i].act && a.verdict.reason == t[i].reason, "v1 %s: %s", t[i].code,
                  a.verdict.error.message);
        snprintf(body, sizeof body,
                 "{\"job\":{\"id\":\"a\",\"status\":\"FAILED\",\"error_message\":\"job failed (%s)\"}}", t[i].code);
        a = answer(LLAMAPARSE_V2, LLAMAPARSE_STATUS, 200, body);
        cr_assert(a.verdict.act == t[i].act && a.verdict.reason == t[i].reason, "v2 %s: %s", t[i].code,
                  a.verdict.error.message);
    }
    cr_assert_eq(answer(LLAMAPARSE_V2, LLAMAPARSE_STATUS, 200,
                        "{\"id\":\"a\",\"status\":\"FAILED\",\"error_message\":\"XPDF_IS_PROTECTEDX\"}")
                     .verdict.act,
                 PROVIDER_NEW_JOB, "a code is a word");
}

Test(llamaparse, each_http_error_has_its_row)
{
    static const struct {
        int status;
        enum llamaparse_step step;
        const char *body;
        enum provider_act act;
        enum reason reason;
    } t[] = {
        {400, LLAMAPARSE_SUBMIT, "{\"detail\":\"tier requires version\"}", PROVIDER_CONFIG, REASON_provider_config},
        {400, LLAMAPARSE_SUBMIT, "{\"detail\":\"Unsupported file type: .xyz\"}", PROVIDER_ITEM,
         REASON_unsupported_type},
        {400, LLAMAPARSE_SUBMIT, "{\"detail\":\"the file is empty\"}", PROVIDER_ITEM, REASON_parse_refused},
        {401, LLAMAPARSE_STATUS, "{\"detail\":\"Invalid API Key " KEY "\"}", PROVIDER_OPEN, REASON_provider_denied},
        {402, LLAMAPARSE_SUBMIT, "{}", PROVIDER_OPEN, REASON_provider_quota},
        {400, LLAMAPARSE_SUBMIT, "{\"detail\":\"You've exceeded the maximum number of credits for your plan.\"}",
         PROVIDER_OPEN, REASON_provider_quota},
        {403, LLAMAPARSE_RESULT, "{}", PROVIDER_OPEN, REASON_provider_denied},
        {404, LLAMAPARSE_SUBMIT, "{}", PROVIDER_CONFIG, REASON_provider_config},
        {404, LLAMAPARSE_STATUS, "{\"detail\":\"Job not found\"}", PROVIDER_NEW_JOB, REASON_parse_job_failed},
        {404, LLAMAPARSE_RESULT, "{}", PROVIDER_PENDING, REASON_parse_job_failed},
        {413, LLAMAPARSE_SUBMIT, "", PROVIDER_ITEM, REASON_parse_refused},
        {415, LLAMAPARSE_SUBMIT, "", PROVIDER_ITEM, REASON_unsupported_type},
        {422, LLAMAPARSE_SUBMIT, "{\"detail\":[{\"loc\":[\"body\",\"file\"],\"msg\":\"bad\"}]}", PROVIDER_ITEM,
         REASON_parse_refused},
        {422, LLAMAPARSE_SUBMIT, "{\"detail\":[{\"loc\":[\"body\",\"max_pages\"],\"msg\":\"bad\"}]}", PROVIDER_CONFIG,
         REASON_provider_config},
        {429, LLAMAPARSE_STATUS, "{}", PROVIDER_WAIT, REASON_provider_limited},
        {409, LLAMAPARSE_SUBMIT, "{}", PROVIDER_RETRY, REASON_provider_failed},
        {500, LLAMAPARSE_SUBMIT, "<html>", PROVIDER_RETRY, REASON_provider_failed},
        {503, LLAMAPARSE_RESULT, "", PROVIDER_RETRY, REASON_provider_failed},
        {302, LLAMAPARSE_SUBMIT, "", PROVIDER_CONFIG, REASON_provider_config},
        {418, LLAMAPARSE_STATUS, "[]", PROVIDER_RETRY, REASON_parse_bad_answer},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct llamaparse_answer a = answer(LLAMAPARSE_V1, t[i].step, t[i].status, t[i].body);
        cr_assert_eq(a.verdict.act, t[i].act, "%d %s: %s", t[i].status, t[i].body, provider_act_name(a.verdict.act));
        cr_assert_eq(a.verdict.reason, t[i].reason, "%d %s: %s", t[i].status, t[i].body, a.verdict.error.reason);
        cr_assert_null(strstr(a.verdict.error.message, "llx-"), "%s", a.verdict.error.message);
        cr_assert_eq(a.verdict.unsure, t[i].step == LLAMAPARSE_SUBMIT && t[i].status >= 500);
        cr_assert_eq(a.verdict.wait_ms, -1, "LlamaParse does not say how long");
    }
    cr_assert(
        strstr(
            answer(LLAMAPARSE_V1, LLAMAPARSE_SUBMIT, 422, payload("llamaparse/v1_invalid.json")).verdict.error.message,
            "body.tier: Input should be") != NULL);
}

Test(llamaparse, every_row_of_the_tables_is_reached)
{
    const struct llamaparse_fault_row *f;
    const struct llamaparse_code_row *c;

    for (int i = 0; (f = llamaparse_fault_row(i)) != NULL; i++) {
        bool reached = false;
        for (int step = 0; step < 3; step++)
            for (int status = f->lowest == 0 ? 418 : f->lowest; status <= f->highest && !reached; status++)
                reached =
                    strchr(f->steps, "SQR"[step]) != NULL &&
                    llamaparse_fault_of(status, (enum llamaparse_step)step, f->phrase == NULL ? "" : f->phrase) == f;
        cr_assert(reached, "row %d", i);
    }
    for (int i = 0; (c = llamaparse_code_row(i)) != NULL; i++)
        cr_assert_eq(llamaparse_code_of(c->code, ""), c, "%s", c->code);
}

Test(llamaparse, a_result_becomes_one_text_with_form_feeds_between_pages)
{
    struct llamaparse_answer a =
        answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200, payload("llamaparse/v1_result_json.json"));

    cr_assert_eq(a.verdict.act, PROVIDER_OK, "%s", a.verdict.error.message);
    cr_assert_str_eq(a.text, "# Title\n\nfirst page\fzweite Seite, gr\xc3\xb6\xc3\x9f"
                             "er");
    cr_assert(a.len == strlen(a.text) && a.n_pages == 2 && a.n_failed == 0 && a.page_count == 2);
    cr_assert(a.credits_milli == 0 && !a.cache_hit);
    a = answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200, payload("llamaparse/v1_result_markdown.json"));
    cr_assert(a.verdict.act == PROVIDER_OK && a.cache_hit && a.page_count == 2);
    a = answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200, "{\"markdown\":\"a\\n\\n[[docmill-page-break]]\\n\\nb\\fc\"}");
    cr_assert_str_eq(a.text, "a\fb\nc");
}

Test(llamaparse, partial_success_keeps_the_errors_of_pages)
{
    struct llamaparse_answer a =
        answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200, payload("llamaparse/v1_result_partial.json"));

    cr_assert(a.verdict.act == PROVIDER_OK && a.n_pages == 3 && a.n_failed == 1);
    cr_assert_str_eq(a.pages[1].error, "page rendering failed");
    cr_assert_str_eq(a.text, "one\f\fthree", "the failed page is empty and counts");
    a = answer(LLAMAPARSE_V2, LLAMAPARSE_RESULT, 200, payload("llamaparse/v2_completed.json"));
    cr_assert_eq(a.verdict.act, PROVIDER_OK, "%s", a.verdict.error.message);
    cr_assert(a.n_pages == 3 && a.n_failed == 1 && a.page_count == 3 && a.credits_milli == 9000);
    cr_assert_str_eq(a.text, "# Title\n\nfirst page\f\fthird page");
    cr_assert_str_eq(a.pages[1].error, "page timed out");
}

Test(llamaparse, pages_keep_their_numbers_whatever_their_order)
{
    struct llamaparse_answer a;

    a = answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200,
               "{\"pages\":[{\"page\":4,\"md\":\"d\\ff\"},{\"page\":2,\"md\":\"\",\"text\":\"b\\u0000x\"}]}");
    cr_assert(a.verdict.act == PROVIDER_OK && a.len == 9, "%zu", a.len);
    cr_assert_eq(memcmp(a.text,
                        "\f"
                        "b\0x\f\f"
                        "d\nf",
                        9),
                 0);
}

Test(llamaparse, an_answer_without_sense_is_not_used)
{
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"pages\":1}",
                                         "{\"pages\":[1]}",
                                         "{\"pages\":[{\"page\":0}]}",
                                         "{\"pages\":[{\"page\":100001}]}",
                                         "{\"pages\":[{\"page\":1,\"md\":\"cut",
                                         "{\"markdown\":[]}"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct llamaparse_answer a = answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200, bodies[i]);
        cr_assert(a.verdict.act == PROVIDER_RETRY && a.verdict.reason == REASON_parse_bad_answer, "%s", bodies[i]);
    }
    cr_assert_eq(answer(LLAMAPARSE_V1, LLAMAPARSE_STATUS, 200, "{}").verdict.reason, REASON_parse_bad_answer);
    cr_assert_eq(answer(LLAMAPARSE_V2, LLAMAPARSE_RESULT, 200, payload("llamaparse/v2_running.json")).verdict.act,
                 PROVIDER_PENDING);
    cr_assert_eq(
        answer(LLAMAPARSE_V1, LLAMAPARSE_RESULT, 200, "{\"pages\":[{\"page\":1,\"error\":\"x\"}]}").verdict.act,
        PROVIDER_NEW_JOB);
}

Test(llamaparse, a_submission_without_an_answer_may_have_been_made)
{
    struct llamaparse_endpoint ep = endpoint(LLAMAPARSE_V1);
    struct http_response r = {.sent = true};
    struct llamaparse_answer a;
    struct rate_head h;

    ratehead_none(&h);
    error_set(&r.error, EPIPE, ERR_TRANSIENT, "http_broken", "the connection ended");
    llamaparse_judge(ctx, &ep, LLAMAPARSE_SUBMIT, &r, &h, &a);
    cr_assert(a.verdict.act == PROVIDER_RETRY && a.verdict.unsure);
    llamaparse_judge(ctx, &ep, LLAMAPARSE_STATUS, &r, &h, &a);
    cr_assert_not(a.verdict.unsure, "asking twice costs nothing");
    r.sent = false;
    llamaparse_judge(ctx, &ep, LLAMAPARSE_SUBMIT, &r, &h, &a);
    cr_assert_not(a.verdict.unsure);
}

Test(llamaparse, deadlines_grow_with_pages_and_prices_are_exact)
{
    struct llamaparse_endpoint ep = endpoint(LLAMAPARSE_V1);
    char text[MONEY_TEXT];
    int64_t cost;

    cr_assert_eq(llamaparse_deadline_ms(&ep, 1), (600 + 30 + 120) * 1000);
    cr_assert_eq(llamaparse_deadline_ms(&ep, 10), (600 + 300 + 120) * 1000);
    cr_assert_gt(llamaparse_deadline_ms(&ep, 0), llamaparse_deadline_ms(&ep, 10));
    ep.job_timeout_s = 300;
    ep.job_timeout_page_s = 999;
    cr_assert_eq(llamaparse_deadline_ms(&ep, 2), (300 + 600 + 120) * 1000);
    cr_assert_eq(money_times(llamaparse_page_price("cost_effective"), 7, &cost), 0);
    cr_assert_str_eq(money_text(cost, text), "0.02625");
    cr_assert_str_eq(money_text(llamaparse_page_price("agentic_plus"), text), "0.05625");
    cr_assert_eq(llamaparse_page_price("premium"), -1);
}
