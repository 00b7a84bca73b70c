/*
 * webhook_read.c - the two shapes of LlamaParse's webhooks
 *
 * Depends on base, core.
 */
#include "provider/redact.h"
#include "provider/webhook.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define FLAGS (JSON_ALLOW_NUL | JSON_DECODE_ANY)

static int malformed(struct error *e, const char *why)
{
    return reason_error(e, REASON_bad_request, EINVAL, "The webhook's body is malformed: %s.", why);
}

static void copy_text(const json_t *object, const char *key, char *out, size_t room)
{
    const json_t *v = json_object_get(object, key);

    out[0] = '\0';
    if (json_is_string(v))
        redact(NULL, json_string_value(v), json_string_length(v), out, room);
}

static int read_event(const json_t *root, struct webhook *out, struct error *e)
{
    const json_t *data = json_object_get(root, "data");
    const char *job = json_string_value(json_object_get(data, "job_id"));
    const char *id = json_string_value(json_object_get(data, "id"));

    out->kind = WEBHOOK_EVENT;
    copy_text(root, "event_id", out->event_id, sizeof out->event_id);
    copy_text(root, "event_type", out->event_type, sizeof out->event_type);
    out->status = llamaparse_event_status(out->event_type);
    if (job == NULL || job[0] == '\0')
        job = id;
    if (job == NULL || !llamaparse_is_id(job))
        return malformed(e, "it names no job");
    snprintf(out->job_id, sizeof out->job_id, "%s", job);
    return 0;
}

/* Pages or a whole text show that it is one; the text itself is fetched, with better proof of where it comes from. */
static int read_result(const json_t *root, struct webhook *out, struct error *e)
{
    static const char *const lists[] = {"json", "jsonOutput"}, *const wholes[] = {"md", "txt"};
    bool is_result = false;

    for (size_t i = 0; i < 2; i++)
        is_result = is_result || json_is_object(json_array_get(json_object_get(root, lists[i]), 0)) ||
                    json_is_string(json_object_get(root, wholes[i]));
    if (!is_result)
        return malformed(e, "it is neither an event nor a result");
    out->kind = WEBHOOK_RESULT;
    out->status = LLAMAPARSE_SUCCESS;
    return 0;
}

/* JSON, or JSON in a JSON string. */
static json_t *decode(const char *body, size_t len)
{
    json_t *root = json_loadb(body, len, FLAGS, NULL), *inner;

    if (!json_is_string(root))
        return root;
    inner = json_loadb(json_string_value(root), json_string_length(root), FLAGS, NULL);
    json_decref(root);
    return inner;
}

int webhook_read(const char *body, size_t len, struct webhook *out, struct error *e)
{
    json_t *root = decode(body, len);
    int rc;

    memset(out, 0, sizeof *out);
    if (!json_is_object(root))
        rc = malformed(e, "it is no JSON object");
    else if (json_is_string(json_object_get(root, "event_type")))
        rc = read_event(root, out, e);
    else
        rc = read_result(root, out, e);
    json_decref(root);
    return rc;
}
