/*
 * events.c - what a job tells its webhook, and how that goes wrong
 *
 * Two shapes. `webhook_url`: the result itself, once, unsigned. `webhook_configurations`: an event for each state that
 * was asked for, signed over its body when there is a secret; only the first configuration counts. A delivery is
 * tried three times, after 1 and 2 seconds; 2xx ends it. All are planned when the job is made, and wait in `outbox`
 * for their time, so that they outlive a restart. GET /__webhooks shows what was sent and how it was received.
 *
 * One thread looks for what is due; each delivery has its own, so that a slow receiver holds up no other.
 *
 * Depends on common, libcurl, libcrypto.
 */
#include "base/hash.h"
#include "common/faults.h"
#include "llamaparse/llamaparse.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define ATTEMPTS       3
#define FIRST_RETRY_MS 1000
#define TIMEOUT_S      30L
#define LATE_MS        3000
#define LOOK_EVERY_MS  20
#define OUT_OF_ORDER   300 /* ms between the last event and those that should have come before */
#define SENT_MAX       10000

/* ---- planning ---- */

static json_t *sign(const char *secret, const char *body)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];

    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body), mac, &len);
    hex_encode(mac, len, hex);
    return json_sprintf("sha256=%s", hex);
}

/* What all events of one job have in common. */
struct plan {
    struct llamaparse *l;
    struct mock_request *q;
    const char *url, *secret, *job_id;
    const json_t *headers, *wanted; /* custom headers; names of events, NULL: all */
    bool as_string, doubled, badly_signed, malformed;
    int n;
};

static void put_out(const struct plan *p, json_t *delivery)
{
    mock_lock(p->l->mock);
    if (p->doubled)
        json_array_append_new(p->l->outbox, json_deep_copy(delivery));
    json_array_append_new(p->l->outbox, delivery);
    mock_changed(p->l->mock);
    mock_unlock(p->l->mock);
}

static json_t *headers_of(const struct plan *p, const char *event_id, const char *type, const char *body)
{
    json_t *h =
        json_pack("{s:s, s:s, s:s, s:s}", "Content-Type", "application/json", "User-Agent",
                  "llamaindex-webhook-service/1.0", "X-Webhook-Event-ID", event_id, "X-Webhook-Event-Type", type);

    if (json_is_object(p->headers))
        json_object_update(h, (json_t *)(uintptr_t)p->headers);
    if (p->secret != NULL)
        json_object_set_new(h, "LC-Signature", p->badly_signed ? sign("another secret", body) : sign(p->secret, body));
    return h;
}

static char *body_of(const struct plan *p, const char *event_id, const char *type, int64_t at_ms)
{
    json_t *event = json_pack("{s:s, s:s, s:f, s:{s:s, s:s}}", "event_id", event_id, "event_type", type, "timestamp",
                              (double)at_ms / 1000, "data", "id", p->job_id, "job_id", p->job_id);
    char *text = json_dumps(event, JSON_COMPACT);

    json_decref(event);
    if (p->malformed)
        text[strlen(text) / 2] = '\0';
    if (p->as_string) {
        json_t *string = json_string(text);

        free(text);
        text = json_dumps(string, JSON_ENCODE_ANY);
        json_decref(string);
    }
    return text;
}

static void plan_event(struct plan *p, const char *type, int64_t at_ms)
{
    char id[37], word[32];
    char *body;

    snprintf(word, sizeof word, "event %d", p->n++);
    mock_uuid(p->l->mock, p->q->number, word, id);
    body = body_of(p, id, type, at_ms);
    put_out(p, json_pack("{s:I, s:s, s:s, s:s, s:s, s:o, s:s, s:i}", "at_ms", (json_int_t)at_ms, "job", p->job_id,
                         "event_id", id, "type", type, "url", p->url, "headers", headers_of(p, id, type, body), "body",
                         body, "attempt", 0));
    free(body);
}

static bool is_wanted(const struct plan *p, const char *type)
{
    size_t i;
    json_t *name;

    if (!json_is_array(p->wanted) || json_array_size(p->wanted) == 0)
        return true;
    json_array_foreach(p->wanted, i, name)
    {
        if (json_is_string(name) && strcmp(json_string_value(name), type) == 0)
            return true;
    }
    return false;
}

static const char *last_event_of(const json_t *job)
{
    static const struct {
        const char *outcome, *event;
    } events[] = {{"SUCCESS", "parse.success"},
                  {"PARTIAL_SUCCESS", "parse.partial_success"},
                  {"ERROR", "parse.error"},
                  {"CANCELLED", "parse.cancelled"}};

    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (strcmp(events[i].outcome, job_text(job, "outcome")) == 0)
            return events[i].event;
    return "parse.archived";
}

/* The thin events of a configuration. */
static void plan_configured(struct plan *p, const json_t *job)
{
    const json_t *late = fault_strikes(p->q, FAULT_WEBHOOK_LATE);
    bool mixed = fault_strikes(p->q, FAULT_WEBHOOK_OUT_OF_ORDER) != NULL;
    int64_t end = job_int(job, "end_ms") + (late != NULL ? fault_int(late, "ms", LATE_MS) : 0);
    const char *last = fault_strikes(p->q, FAULT_WEBHOOK_UNKNOWN) != NULL ? "parse.archived" : last_event_of(job);

    /* out of order: what came before the end is told behind it, asked for or not */
    if (is_wanted(p, "parse.pending") || mixed)
        plan_event(p, "parse.pending", mixed ? end + 2 * OUT_OF_ORDER : job_int(job, "created_ms"));
    if (is_wanted(p, "parse.running") || mixed)
        plan_event(p, "parse.running", mixed ? end + OUT_OF_ORDER : job_int(job, "start_ms"));
    if (is_wanted(p, last) || strcmp(last, "parse.archived") == 0)
        plan_event(p, last, end);
}

/* webhook_url: the result is the body, and nothing says whose it is. */
static void plan_result(struct plan *p, const json_t *job)
{
    const json_t *late = fault_strikes(p->q, FAULT_WEBHOOK_LATE);
    int64_t end = job_int(job, "end_ms") + (late != NULL ? fault_int(late, "ms", LATE_MS) : 0);
    json_t *result;
    char *body;

    if (strstr(job_text(job, "outcome"), "SUCCESS") == NULL)
        return;
    result = json_pack("{s:s, s:s, s:o, s:[]}", "txt", result_joined(p->q, job, "text"), "md",
                       result_joined(p->q, job, "md"), "json", result_v1_pages(job), "images");
    body = json_dumps(result, JSON_COMPACT);
    json_decref(result);
    put_out(p,
            json_pack("{s:I, s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:i}", "at_ms", (json_int_t)end, "job", p->job_id,
                      "event_id", "", "type", "result", "url", p->url, "headers", "Content-Type", "application/json",
                      "User-Agent", "llamaindex-webhook-service/1.0", "body", body, "attempt", 0));
    free(body);
}

void events_plan(struct llamaparse *l, struct mock_request *q, const struct submission *s, json_t *job)
{
    const char *url = param_text(s, "webhook_url"), *text = param_text(s, "webhook_configurations");
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL, *c = json_array_get(all, 0);
    struct plan p = {.l = l, .q = q, .job_id = job_text(job, "id"), .url = url};
    const char *format = json_string_value(json_object_get(c, "webhook_output_format"));
    char unknown[37];

    if (all != NULL)
        json_array_append_new(q->kept, all);
    if ((url == NULL || *url == '\0') && json_string_value(json_object_get(c, "webhook_url")) == NULL)
        return;
    if (fault_strikes(q, FAULT_WEBHOOK_LOST) != NULL)
        return;
    p.doubled = fault_strikes(q, FAULT_WEBHOOK_DOUBLED) != NULL;
    if (url != NULL && *url != '\0')
        plan_result(&p, job);
    p.url = json_string_value(json_object_get(c, "webhook_url"));
    if (p.url == NULL)
        return;
    p.secret = json_string_value(json_object_get(c, "webhook_signing_secret"));
    if (fault_strikes(q, FAULT_WEBHOOK_UNSIGNED) != NULL)
        p.secret = NULL;
    p.badly_signed = fault_strikes(q, FAULT_WEBHOOK_BADLY_SIGNED) != NULL;
    p.malformed = fault_strikes(q, FAULT_WEBHOOK_MALFORMED) != NULL;
    p.headers = json_object_get(c, "webhook_headers");
    p.wanted = json_object_get(c, "webhook_events");
    p.as_string = format == NULL || strcmp(format, "json") != 0;
    if (fault_strikes(q, FAULT_WEBHOOK_UNKNOWN_JOB) != NULL) {
        mock_uuid(l->mock, q->number, "nobody's job", unknown);
        p.job_id = unknown;
    }
    plan_configured(&p, job);
}

void events_forget(struct llamaparse *l, const char *job_id)
{
    for (size_t i = json_array_size(l->outbox); i-- > 0;)
        if (strcmp(job_text(json_array_get(l->outbox, i), "job"), job_id) == 0)
            json_array_remove(l->outbox, i);
}

/* ---- delivering ---- */

static size_t discard(char *p, size_t size, size_t n, void *arg)
{
    (void)p;
    (void)arg;
    return size * n;
}

static int ends_too(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return mock_ending(arg) ? 1 : 0;
}

/* The receiver's status; 0: none. */
static long post(struct llamaparse *l, const json_t *delivery)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    CURL *c = curl_easy_init();
    char line[1024];
    const char *name;
    json_t *value;
    long status = 0;

    json_object_foreach(json_object_get(delivery, "headers"), name, value)
    {
        snprintf(line, sizeof line, "%s: %s", name, json_is_string(value) ? json_string_value(value) : "");
        headers = curl_slist_append(headers, line);
    }
    curl_easy_setopt(c, CURLOPT_URL, job_text(delivery, "url"));
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, job_text(delivery, "body"));
    curl_easy_setopt(c, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, ends_too);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, l->mock);
    if (curl_easy_perform(c) == CURLE_OK)
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return status;
}

/* Called locked. What came of it is kept; what failed is tried again, a second later, then two. */
static void record(struct llamaparse *l, json_t *delivery, long status)
{
    int64_t attempt = job_int(delivery, "attempt") + 1, now = mock_now_ms(l->mock);
    json_t *entry =
        json_pack("{s:O, s:O, s:O, s:I, s:I, s:o, s:O}", "job", json_object_get(delivery, "job"), "event_id",
                  json_object_get(delivery, "event_id"), "type", json_object_get(delivery, "type"), "attempt",
                  (json_int_t)attempt, "status", (json_int_t)status, "time", mock_time_text(now), "body",
                  json_object_get(delivery, "body"));

    json_array_append_new(l->sent, entry);
    if (json_array_size(l->sent) > SENT_MAX)
        json_array_remove(l->sent, 0);
    if ((status < 200 || status >= 300) && attempt < ATTEMPTS && !mock_ending(l->mock)) {
        json_object_set_new(delivery, "attempt", json_integer(attempt));
        json_object_set_new(delivery, "at_ms", json_integer(now + (FIRST_RETRY_MS << (attempt - 1))));
        json_array_append(l->outbox, delivery);
    }
    mock_changed(l->mock);
}

static void deliver(struct llamaparse *l, json_t *delivery)
{
    long status = post(l, delivery);

    mock_lock(l->mock);
    record(l, delivery, status);
    mock_unlock(l->mock);
    json_decref(delivery);
}

struct errand {
    struct llamaparse *l;
    json_t *delivery;
};

static void *run_errand(void *arg)
{
    struct errand *e = arg;
    struct llamaparse *l = e->l;

    deliver(l, e->delivery);
    free(e);
    mock_lock(l->mock);
    l->sending--;
    mock_unlock(l->mock);
    return NULL;
}

static void send_apart(struct llamaparse *l, json_t *delivery)
{
    struct errand *e = malloc(sizeof *e);
    pthread_t thread;

    if (e == NULL)
        abort();
    *e = (struct errand){l, delivery};
    if (pthread_create(&thread, NULL, run_errand, e) == 0)
        pthread_detach(thread);
    else
        run_errand(e);
}

/* The next that is due, taken out of the outbox; NULL: none. With a job's id only its own, and due or not. */
static json_t *take_due(struct llamaparse *l, const char *job_id)
{
    int64_t now = mock_now_ms(l->mock);
    json_t *delivery, *taken = NULL;
    size_t i;

    mock_lock(l->mock);
    json_array_foreach(l->outbox, i, delivery)
    {
        if (job_int(delivery, "at_ms") > now || (job_id != NULL && strcmp(job_text(delivery, "job"), job_id) != 0))
            continue;
        taken = json_incref(delivery);
        json_array_remove(l->outbox, i);
        break;
    }
    if (taken != NULL && job_id == NULL)
        l->sending++;
    mock_unlock(l->mock);
    return taken;
}

static int sending(struct llamaparse *l)
{
    int n;

    mock_lock(l->mock);
    n = l->sending;
    mock_unlock(l->mock);
    return n;
}

void events_send_now(struct llamaparse *l, const char *job_id)
{
    json_t *delivery;

    while ((delivery = take_due(l, job_id)) != NULL)
        deliver(l, delivery);
    /* the sender may have been quicker with one of them */
    while (sending(l) > 0 && mock_sleep(l->mock, LOOK_EVERY_MS))
        ;
}

static void *run_sender(void *arg)
{
    struct llamaparse *l = arg;
    json_t *delivery;

    while (mock_sleep(l->mock, LOOK_EVERY_MS))
        while ((delivery = take_due(l, NULL)) != NULL)
            send_apart(l, delivery);
    return NULL;
}

int events_start(struct llamaparse *l, struct error *e)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (pthread_create(&l->sender, NULL, run_sender, l) != 0)
        return error_set(e, -EAGAIN, ERR_INTERNAL, "thread", "no thread for the webhooks");
    l->sender_runs = true;
    return 0;
}

/* Deliveries under way see that the program ends and give up. */
void events_stop(struct llamaparse *l)
{
    const struct timespec moment = {.tv_nsec = 10000000};

    if (l->sender_runs)
        pthread_join(l->sender, NULL);
    while (sending(l) > 0)
        nanosleep(&moment, NULL);
    curl_global_cleanup();
}
