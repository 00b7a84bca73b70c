/* test_hook.c - which callbacks are believed, and what they ask for */
#include "api/hook.h"
#include "core/reason.h"

#include <criterion/criterion.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define TOKEN  "0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECRET "a secret of the service"
#define JOB    "0b8a2a4e-6a2f-4f58-8f2e-5d6a0a6f1c11"
#define EVENT(type)                                                                                                    \
    "{\"event_id\":\"evt-1\",\"event_type\":\"" type "\",\"timestamp\":1753985275.1,\"data\":{\"id\":\"x\","           \
    "\"job_id\":\"" JOB "\"}}"
/* The vector that Standard Webhooks publishes. */
#define STD_SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define STD_ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define STD_TIME      "1614265330"
#define STD_BODY      "{\"test\": 2432232314}"
#define STD_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static struct hook_news news;
static struct error err;

static int read_as(const struct hook_in *in)
{
    memset(&err, 0, sizeof err);
    return hook_read(in, &news, &err);
}

static int read_plain(const char *body)
{
    return read_as(&(struct hook_in){.token = TOKEN, .body = body, .len = strlen(body)});
}

static const char *lc(const char *secret, const char *body)
{
    static char text[7 + 2 * SHA256_BYTES + 1] = "sha256=";
    uint8_t mac[SHA256_BYTES];
    unsigned n = sizeof mac;

    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body), mac, &n);
    hex_encode(mac, sizeof mac, text + 7);
    return text;
}

static int read_signed(const char *body, const char *signature)
{
    return read_as(&(struct hook_in){
        .token = TOKEN, .secrets = {SECRET}, .headers = {[HOOK_LC] = signature}, .body = body, .len = strlen(body)});
}

Test(hook, an_event_that_ends_a_job_is_something_to_fetch_and_no_other_is)
{
    static const struct {
        const char *body;
        bool to_fetch;
    } rows[] = {{EVENT("parse.success"), true},         {EVENT("parse.error"), true},
                {EVENT("parse.partial_success"), true}, {EVENT("parse.cancelled"), true},
                {EVENT("parse.pending"), false},        {EVENT("parse.running"), false},
                {EVENT("parse.levitated"), false},      {EVENT("extract.success"), false}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(read_plain(rows[i].body), 0, "%s", err.message);
        cr_expect_eq(news.to_fetch, rows[i].to_fetch, "%s", rows[i].body);
        cr_expect_str_eq(news.external_id, JOB);
        cr_expect_str_eq(news.nonce, "evt-1");
    }
}

Test(hook, json_in_a_string_says_the_same)
{
    cr_assert_eq(read_plain("\"{\\\"event_id\\\":\\\"e\\\",\\\"event_type\\\":\\\"parse.success\\\",\\\"data\\\":"
                            "{\\\"job_id\\\":\\\"" JOB "\\\"}}\""),
                 0, "%s", err.message);
    cr_assert(news.to_fetch);
    cr_assert_str_eq(news.external_id, JOB);
    cr_assert_str_eq(news.nonce, "e");
}

Test(hook, a_result_names_no_job_and_is_told_from_another_by_its_hash)
{
    char first[WEBHOOK_EVENT_ID];

    cr_assert_eq(read_plain("{\"txt\":\"a\",\"md\":\"# a\",\"json\":[],\"images\":[]}"), 0, "%s", err.message);
    cr_assert(news.to_fetch);
    cr_assert_str_eq(news.external_id, "");
    cr_assert_eq(strlen(news.nonce), 2 * SHA256_BYTES);
    strcpy(first, news.nonce);
    cr_assert_eq(read_plain("{\"txt\":\"b\",\"md\":\"# b\",\"json\":[],\"images\":[]}"), 0);
    cr_assert_str_neq(news.nonce, first);
}

Test(hook, an_event_without_an_id_or_with_a_strange_one_is_known_by_its_hash)
{
    cr_assert_eq(read_plain("{\"event_type\":\"parse.success\",\"data\":{\"job_id\":\"" JOB "\"}}"), 0);
    cr_assert_eq(strlen(news.nonce), 2 * SHA256_BYTES);
    cr_assert_eq(
        read_plain("{\"event_id\":\"a b\",\"event_type\":\"parse.success\",\"data\":{\"job_id\":\"" JOB "\"}}"), 0);
    cr_assert_eq(strlen(news.nonce), 2 * SHA256_BYTES);
}

Test(hook, what_is_no_callback_is_malformed)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "null",
                                         "1",
                                         "\"x\"",
                                         "{}",
                                         "{\"event_type\":\"parse.success\"}",
                                         "{\"event_type\":\"parse.success\",\"data\":{\"job_id\":\"../x\"}}"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_neq(read_plain(bodies[i]), 0, "%s", bodies[i]);
        cr_assert_str_eq(err.reason, "bad_request", "%s: %s", bodies[i], err.reason);
    }
}

Test(hook, with_a_secret_a_signature_must_be_there_and_fit)
{
    const char *body = EVENT("parse.success");

    cr_assert_eq(read_signed(body, lc(SECRET, body)), 0, "%s", err.message);
    cr_assert_neq(read_signed(body, NULL), 0);
    cr_assert_str_eq(err.reason, "bad_signature");
    cr_assert_neq(read_signed(body, lc("another secret", body)), 0);
    cr_assert_str_eq(err.reason, "bad_signature");
    cr_assert_neq(read_signed(body, lc(SECRET, EVENT("parse.error"))), 0);
    cr_assert_neq(read_signed("{", lc("another secret", "{")), 0);
    cr_assert_str_eq(err.reason, "bad_signature", "the signature comes before the body");
}

Test(hook, a_former_secret_fits_too)
{
    const char *body = EVENT("parse.success"), *signature = lc("the former secret", body);
    struct hook_in in = {.token = TOKEN,
                         .secrets = {SECRET, "the former secret"},
                         .headers = {[HOOK_LC] = signature},
                         .body = body,
                         .len = strlen(body)};

    cr_assert_eq(read_as(&in), 0, "%s", err.message);
    in.headers[HOOK_LC] = lc("yet another", body);
    cr_assert_neq(read_as(&in), 0);
}

Test(hook, standard_webhooks_sign_too_and_not_for_ever)
{
    struct hook_in in = {.token = TOKEN,
                         .secrets = {STD_SECRET},
                         .headers = {[HOOK_ID] = STD_ID, [HOOK_TIMESTAMP] = STD_TIME, [HOOK_SIGNATURE] = STD_SIGNATURE},
                         .body = STD_BODY,
                         .len = strlen(STD_BODY),
                         .now = 1614265330};

    cr_assert_neq(read_as(&in), 0);
    cr_assert_str_eq(err.reason, "bad_request", "it is signed, and no callback of this service: %s", err.message);
    in.now += WEBHOOK_TOLERANCE_S + 1;
    cr_assert_neq(read_as(&in), 0);
    cr_assert_str_eq(err.reason, "stale_signature");
    in.now = 1614265330;
    in.headers[HOOK_SVIX_ID] = in.headers[HOOK_ID];
    in.headers[HOOK_SVIX_TIMESTAMP] = in.headers[HOOK_TIMESTAMP];
    in.headers[HOOK_SVIX_SIGNATURE] = in.headers[HOOK_SIGNATURE];
    in.headers[HOOK_ID] = in.headers[HOOK_TIMESTAMP] = in.headers[HOOK_SIGNATURE] = NULL;
    cr_assert_neq(read_as(&in), 0);
    cr_assert_str_eq(err.reason, "bad_request");
    in.secrets[0] = "not base64 !";
    in.secrets[1] = STD_SECRET;
    cr_assert_neq(read_as(&in), 0);
    cr_assert_str_eq(err.reason, "bad_request", "one that is of another kind is passed over: %s", err.message);
    in.secrets[1] = NULL;
    cr_assert_neq(read_as(&in), 0);
    cr_assert_str_eq(err.reason, "bad_signature", "a stranger's choice of headers is no fault of the configuration");
}

Test(hook, the_tokens_header_must_be_the_addresses)
{
    const char *body = EVENT("parse.success");
    struct hook_in in = {.token = TOKEN, .headers = {[HOOK_TOKEN] = TOKEN}, .body = body, .len = strlen(body)};
    uint8_t hash[SHA256_BYTES];

    sha256_of(TOKEN, strlen(TOKEN), hash);
    cr_assert_eq(read_as(&in), 0);
    cr_assert_arr_eq(news.token_sha256, hash, sizeof hash);
    in.headers[HOOK_TOKEN] = "0123";
    cr_assert_neq(read_as(&in), 0);
    cr_assert_str_eq(err.reason, "bad_signature");
}
