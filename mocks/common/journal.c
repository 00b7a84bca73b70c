/* journal.c - the list of requests: see journal.h */
#include "common/journal.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

struct journal {
    json_t *entries;
};

static int journal_destroy(struct journal *j)
{
    json_decref(j->entries);
    return 0;
}

struct journal *journal_new(const void *ctx)
{
    struct journal *j = talloc_zero(ctx, struct journal);

    j->entries = json_array();
    talloc_set_destructor(j, journal_destroy);
    return j;
}

static json_t *digest(const void *p, size_t n)
{
    char hex[SHA256_HEX_LEN + 1];

    mock_sha256_hex(p, n, hex);
    return json_string(hex);
}

static bool is_secret(const char *name)
{
    static const char *const words[] = {"authorization", "api-key", "apikey", "cookie", "secret", "token", "signature"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(name, words[i]) != NULL)
            return true;
    return false;
}

static json_t *masked(const char *value)
{
    const char *space = strchr(value, ' ');
    int scheme = space != NULL && space - value < 20 ? (int)(space - value + 1) : 0;
    json_t *hash = digest(value + scheme, strlen(value + scheme)), *text;

    text = json_sprintf("%.*s*** sha256:%.8s", scheme, value, json_string_value(hash));
    json_decref(hash);
    return text;
}

static json_t *masked_headers(const json_t *headers)
{
    json_t *out = json_object(), *v;
    const char *name;

    json_object_foreach((json_t *)headers, name, v)
        json_object_set_new(out, name, is_secret(name) ? masked(json_string_value(v)) : json_incref(v));
    return out;
}

/* Of a query too: presigned URLs carry signatures. */
static json_t *masked_args(const json_t *args)
{
    return masked_headers(args);
}

void journal_add(struct journal *j, const struct mock_request *q, const struct mock_answer *a, int64_t now_ms)
{
    json_t *entry = json_pack(
        "{s:I, s:o, s:s, s:s, s:o, s:o, s:I, s:o, s:O, s:O, s:i, s:I, s:I, s:s}", "number", (json_int_t)q->number,
        "time", mock_time_text(q->started_ms), "method", q->method, "path", q->path, "query", masked_args(q->args),
        "headers", masked_headers(q->headers), "body_bytes", (json_int_t)q->body_len, "body_sha256",
        digest(q->body, q->body_len), "summary", q->summary, "faults", q->faults, "status", a->drop ? 0 : a->status,
        "answer_bytes", (json_int_t)a->body_len, "answered_ms", (json_int_t)(now_ms - q->started_ms), "end", "sending");

    if (entry == NULL) /* a path that is not UTF-8 */
        entry = json_pack("{s:I, s:s, s:i, s:s}", "number", (json_int_t)q->number, "path", "", "status", a->status,
                          "end", "sending");
    json_array_append_new(j->entries, entry);
    if (json_array_size(j->entries) > JOURNAL_MAX)
        json_array_remove(j->entries, 0);
}

void journal_ended(struct journal *j, uint64_t number, const char *how, int64_t now_ms)
{
    /* it is among the last */
    for (size_t i = json_array_size(j->entries); i-- > 0;) {
        json_t *entry = json_array_get(j->entries, i);

        if ((uint64_t)json_integer_value(json_object_get(entry, "number")) != number)
            continue;
        json_object_set_new(entry, "end", json_string(how));
        json_object_set_new(entry, "ended", mock_time_text(now_ms));
        return;
    }
}

void journal_clear(struct journal *j)
{
    json_array_clear(j->entries);
}

json_t *journal_show(const struct journal *j, uint64_t since, const char *path, int status)
{
    json_t *list = json_array(), *entry;
    size_t i;

    json_array_foreach(j->entries, i, entry)
    {
        const char *its = json_string_value(json_object_get(entry, "path"));

        if ((uint64_t)json_integer_value(json_object_get(entry, "number")) <= since ||
            (path != NULL && strncmp(its, path, strlen(path)) != 0) ||
            (status != 0 && json_integer_value(json_object_get(entry, "status")) != status))
            continue;
        json_array_append_new(list, json_deep_copy(entry));
    }
    return json_pack("{s:o}", "requests", list);
}

json_t *journal_save(const struct journal *j)
{
    return json_deep_copy(j->entries);
}

void journal_load(struct journal *j, const json_t *kept)
{
    if (json_is_array(kept)) {
        json_decref(j->entries);
        j->entries = json_deep_copy(kept);
    }
}
