/* test_webhook.c - webhooks: who sent it, and what it says */
#include "base/hash.h"
#include "headers.h"
#include "provider/webhook.h"

#include "payload.h" /* criterion has a CR_API too: after docmill's headers */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* The vector that Standard Webhooks publishes. */
#define SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIME      "1614265330"
#define NOW       1614265330
#define BODY      "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

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

TestSuite(webhook, .init = begin, .fini = end);

static int verify(const char *id, const char *time, const char *signature, const char *body, int64_t now)
{
    const char *const secrets[] = {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET, NULL};
    const char *const headers[] = {"Webhook-Id", id, "Webhook-Timestamp", time, "Webhook-Signature", signature, NULL};
    char seen[WEBHOOK_EVENT_ID] = "";
    int rc =
        webhook_verify_standard(secrets, header_of, headers, body, strlen(body), now, WEBHOOK_TOLERANCE_S, seen, &err);

    cr_assert_str_eq(seen, rc == 0 ? id : "");
    return rc;
}

Test(webhook, the_published_vector_of_standard_webhooks_is_accepted)
{
    cr_assert_eq(verify(ID, TIME, SIGNATURE, BODY, NOW), 0, "%s", err.message);
    cr_assert_eq(verify(ID, TIME, "v1,AAAA v1a,xyz v2,g0hM " SIGNATURE " v1,", BODY, NOW), 0, "one of several");
    cr_assert_eq(verify(ID, TIME, SIGNATURE, BODY, NOW + 300), 0);
    cr_assert_eq(verify(ID, TIME, SIGNATURE, BODY, NOW - 300), 0);
}

Test(webhook, the_same_with_svix_headers)
{
    const char *const secrets[] = {SECRET, NULL};
    const char *const headers[] = {"svix-id", ID, "svix-timestamp", TIME, "svix-signature", SIGNATURE, NULL};

    cr_assert_eq(webhook_verify_standard(secrets, header_of, headers, BODY, strlen(BODY), NOW, 300, NULL, &err), 0);
}

Test(webhook, anything_else_is_refused)
{
    static const struct {
        const char *id, *time, *signature, *body;
    } t[] = {
        {ID, TIME, SIGNATURE, "{\"test\": 2432232315}"},
        {ID "x", TIME, SIGNATURE, BODY},
        {ID, "1614265331", SIGNATURE, BODY},
        {ID, TIME, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", BODY},
        {ID, TIME, "v1,h0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY},
        {ID, TIME, "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY},
        {ID, TIME, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY},
        {ID, TIME, "", BODY},
        {"", TIME, SIGNATURE, BODY},
        {"a.b", TIME, SIGNATURE, BODY},
        {ID, "16142653e1", SIGNATURE, BODY},
        {ID, "-1", SIGNATURE, BODY},
    };
    const char *const secrets[] = {SECRET, NULL}, *const none[] = {NULL}, *const wrong[] = {"whsec_!", NULL};
    const char *const headers[] = {"webhook-id", ID, "webhook-timestamp", TIME, NULL};
    const char *const all[] = {"webhook-id", ID, "webhook-timestamp", TIME, "webhook-signature", SIGNATURE, NULL};

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        cr_assert_lt(verify(t[i].id, t[i].time, t[i].signature, t[i].body, NOW), 0, "%zu", i);
        cr_assert_str_eq(err.reason, "bad_signature", "%zu", i);
    }
    cr_assert_lt(webhook_verify_standard(secrets, header_of, headers, BODY, strlen(BODY), NOW, 300, NULL, &err), 0);
    cr_assert_lt(webhook_verify_standard(none, header_of, all, BODY, strlen(BODY), NOW, 300, NULL, &err), 0,
                 "no secret, no entry");
    cr_assert_lt(webhook_verify_standard(wrong, header_of, all, BODY, strlen(BODY), NOW, 300, NULL, &err), 0);
    cr_assert_str_eq(err.reason, "bad_config");
}

Test(webhook, too_old_and_too_new_are_refused_by_another_name)
{
    cr_assert_lt(verify(ID, TIME, SIGNATURE, BODY, NOW + 301), 0);
    cr_assert_str_eq(err.reason, "stale_signature");
    cr_assert_lt(verify(ID, TIME, SIGNATURE, BODY, NOW - 301), 0);
    cr_assert_str_eq(err.reason, "stale_signature");
}

/* By openssl: printf '%s' '{"a":1}' | openssl dgst -sha256 -hmac secret */
#define LC_BODY "{\"a\":1}"
#define LC_HEX  "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494"

Test(webhook, lc_signature_is_of_the_raw_body)
{
    const char *const secrets[] = {"older", "secret", NULL}, *const other[] = {"other", NULL};
    const char *good[] = {"LC-Signature", "sha256=" LC_HEX, NULL};
    const char *const none[] = {NULL}, *const empty[] = {"", NULL};
    const char *const by_empty[] = {"LC-Signature",
                                    "sha256=e0baad27ae5335a93e2979e6693e7630de7d66b4d5bfd687cdbf1f0018f79cb8", NULL};
    const char *const wrong[] = {LC_HEX, ("sha256=" LC_HEX "0"), ("sha1=" LC_HEX), "sha256=", "sha256=zz"};

    cr_assert_eq(webhook_verify_lc(secrets, header_of, good, LC_BODY, strlen(LC_BODY), &err), 0, "%s", err.message);
    cr_assert_lt(webhook_verify_lc(secrets, header_of, good, LC_BODY " ", strlen(LC_BODY) + 1, &err), 0);
    cr_assert_lt(webhook_verify_lc(other, header_of, good, LC_BODY, strlen(LC_BODY), &err), 0);
    cr_assert_lt(webhook_verify_lc(empty, header_of, by_empty, LC_BODY, strlen(LC_BODY), &err), 0,
                 "an empty secret is none");
    cr_assert_lt(webhook_verify_lc(none, header_of, good, LC_BODY, strlen(LC_BODY), &err), 0);
    cr_assert_lt(webhook_verify_lc(secrets, header_of, none, LC_BODY, strlen(LC_BODY), &err), 0);
    cr_assert_str_eq(err.reason, "bad_signature");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        good[1] = wrong[i];
        cr_assert_lt(webhook_verify_lc(secrets, header_of, good, LC_BODY, strlen(LC_BODY), &err), 0, "%s", wrong[i]);
    }
}

Test(webhook, a_token_is_known_by_its_hash)
{
    uint8_t hash[SHA256_BYTES];

    sha256_of("token", 5, hash);
    cr_assert(webhook_token_fits("token", 5, hash));
    cr_assert_not(webhook_token_fits("tokem", 5, hash));
    cr_assert_not(webhook_token_fits("token1", 6, hash));
    sha256_of("", 0, hash);
    cr_assert_not(webhook_token_fits("", 0, hash), "no token is no token");
}

static int take(const char *body, struct webhook *w)
{
    return webhook_read(body, strlen(body), w, &err);
}

Test(webhook, an_event_names_its_job_also_when_encoded_twice)
{
    static const char *const files[] = {"llamaparse/webhook_event.json", "llamaparse/webhook_event_string.json"};
    struct webhook w;

    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(take(payload(files[i]), &w), 0, "%s: %s", files[i], err.message);
        cr_assert(w.kind == WEBHOOK_EVENT && w.status == LLAMAPARSE_SUCCESS);
        cr_assert_str_eq(w.event_id, "evt_0001");
        cr_assert_str_eq(w.event_type, "parse.success");
        cr_assert_str_eq(w.job_id, "11111111-2222-4333-8444-555555555555");
    }
}

Test(webhook, each_event_type_has_its_status)
{
    static const struct {
        const char *type;
        enum llamaparse_status status;
    } t[] = {{"parse.pending", LLAMAPARSE_PENDING},
             {"parse.running", LLAMAPARSE_RUNNING},
             {"parse.success", LLAMAPARSE_SUCCESS},
             {"parse.error", LLAMAPARSE_ERROR},
             {"parse.partial_success", LLAMAPARSE_PARTIAL_SUCCESS},
             {"parse.cancelled", LLAMAPARSE_CANCELLED},
             {"extract.success", LLAMAPARSE_UNKNOWN},
             {"parse.resting", LLAMAPARSE_UNKNOWN}};
    char body[200];
    struct webhook w;

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        snprintf(body, sizeof body, "{\"event_id\":\"e\",\"event_type\":\"%s\",\"data\":{\"id\":\"j\"}}", t[i].type);
        cr_assert_eq(take(body, &w), 0);
        cr_assert_eq(w.status, t[i].status, "%s", t[i].type);
        cr_assert_str_eq(w.job_id, "j", "id where there is no job_id");
        cr_assert_str_eq(w.event_type, t[i].type);
    }
}

Test(webhook, a_result_is_known_by_its_pages_or_its_text_and_names_no_job)
{
    const char *const bodies[] = {payload("llamaparse/webhook_result.json"),
                                  payload("llamaparse/webhook_result_old.json"), "{\"md\":\"only\",\"json\":[]}",
                                  "{\"txt\":\"\"}", "{\"json\":[{\"page\":1}]}"};
    struct webhook w;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_eq(take(bodies[i], &w), 0, "%s: %s", bodies[i], err.message);
        cr_assert(w.kind == WEBHOOK_RESULT && w.status == LLAMAPARSE_SUCCESS && w.job_id[0] == '\0');
    }
}

Test(webhook, what_is_neither_is_refused)
{
    static const char *const bodies[] = {"",
                                         "x",
                                         "1",
                                         "null",
                                         "[]",
                                         "{}",
                                         "\"x\"",
                                         "\"\\\"{}\\\"\"",
                                         "{\"event_type\":\"parse.success\"}",
                                         "{\"event_type\":\"parse.success\",\"data\":{\"job_id\":\"../../x\"}}",
                                         "{\"md\":1}",
                                         "{\"json\":[]}",
                                         "{\"json\":[3]}",
                                         "{\"event_type\":5}"};
    struct webhook w;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_lt(take(bodies[i], &w), 0, "%s", bodies[i]);
        cr_assert_str_eq(err.reason, "bad_request");
    }
}
