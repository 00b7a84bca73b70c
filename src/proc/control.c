/*
 * control.c - the control socket's frames: verbs, requests, replies
 *
 * Pure: no socket here. The server (master) and the client (control_client.c) share it, so that writer and reader of
 * each frame stand side by side. Fuzzed: a request comes from any member of control.read_group.
 *
 * Depends on base, core, proc/pack.
 */
#include "proc/control.h"

#include "core/reason.h"

#include <errno.h>
#include <string.h>

struct verb_row {
    const char *name;
    enum control_right right;
    const char *args;
};

#define X_ROW(NAME, text, r, a, h) [CONTROL_VERB_##NAME] = {text, r, a},
static const struct verb_row verbs[CONTROL_VERB_MAX_] = {CONTROL_VERBS(X_ROW)};
#undef X_ROW

static const struct {
    const char *name, *key;
} rights[CONTROL_RIGHT_MAX_] = {
#define X_RIGHT_ROW(NAME, name, key, ...) [CONTROL_##NAME] = {name, key},
    CONTROL_RIGHTS(X_RIGHT_ROW)
#undef X_RIGHT_ROW
};

const char *control_right_name(enum control_right r)
{
    return rights[r].name;
}

const char *control_right_key(enum control_right r)
{
    return rights[r].key;
}

int control_right_parse(const char *name)
{
    for (int i = 0; i < CONTROL_RIGHT_MAX_; i++)
        if (strcmp(rights[i].name, name) == 0)
            return i;
    return -EINVAL;
}

enum control_right control_verb_right(enum control_verb v)
{
    return verbs[v].right;
}

const char *control_verb_args(enum control_verb v)
{
    return verbs[v].args;
}

int control_verb_parse(const char *name)
{
    for (int i = 0; i < CONTROL_VERB_MAX_; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return i;
    return -EINVAL;
}

/* ---- requests ---- */

int control_decode_request(const uint8_t *buf, size_t n, struct control_request *r, struct error *e)
{
    struct unpack u;
    uint32_t members;
    int64_t version;
    size_t args_at;

    memset(r, 0, sizeof *r);
    unpack_init(&u, buf, n);
    members = unpack_array(&u);
    version = unpack_int(&u);
    r->id = unpack_uint(&u);
    if (u.fault == NULL && version != CONTROL_VERSION)
        return reason_error(e, REASON_bad_frame, EPROTO, "Control request of version %lld; this daemon speaks %d.",
                            (long long)version, CONTROL_VERSION);
    if (u.fault == NULL && members != 4)
        unpack_fail(&u, "a request has four members");
    unpack_str_copy(&u, r->verb, sizeof r->verb);
    args_at = u.at;
    if (unpack_peek(&u) != UNPACK_MAP)
        unpack_fail(&u, "the arguments are no map");
    unpack_skip(&u);
    r->args = buf + args_at;
    r->args_bytes = u.at - args_at;
    return unpack_close(&u, e);
}

int control_arg_text(const struct control_request *r, const char *key, const char *fallback, char *out, size_t size,
                     struct error *e)
{
    struct unpack u;
    uint32_t pairs;

    out[0] = '\0';
    strncat(out, fallback, size - 1);
    unpack_init(&u, r->args, r->args_bytes);
    pairs = unpack_map(&u);
    for (uint32_t i = 0; i < pairs && u.fault == NULL; i++) {
        size_t n;
        const char *k = unpack_str(&u, &n);

        if (k != NULL && n == strlen(key) && memcmp(k, key, n) == 0)
            unpack_str_copy(&u, out, size);
        else
            unpack_skip(&u);
    }
    return unpack_close(&u, e);
}

/* ---- replies ---- */

void control_reply_begin(struct pack *p, const void *talloc_parent, uint64_t id, bool ok)
{
    pack_init_growing(p, talloc_parent, CONTROL_HEAD_BYTES + CONTROL_MAX_REPLY);
    if (!p->failed)
        p->len = CONTROL_HEAD_BYTES; /* filled in at the end */
    pack_array(p);
    pack_int(p, CONTROL_VERSION);
    pack_uint(p, id);
    pack_bool(p, ok);
    pack_map(p);
}

void control_put_length(uint8_t head[CONTROL_HEAD_BYTES], size_t n)
{
    head[0] = (uint8_t)(n >> 24);
    head[1] = (uint8_t)(n >> 16);
    head[2] = (uint8_t)(n >> 8);
    head[3] = (uint8_t)n;
}

size_t control_get_length(const uint8_t head[CONTROL_HEAD_BYTES])
{
    return (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
}

int control_reply_end(struct pack *p)
{
    int n;

    pack_end(p);
    pack_end(p);
    n = pack_end_frame(p);
    if (n >= 0)
        control_put_length(p->buf, (size_t)n - CONTROL_HEAD_BYTES);
    return n;
}

int control_reply_error(struct pack *p, const void *talloc_parent, uint64_t id, const struct error *e)
{
    control_reply_begin(p, talloc_parent, id, false);
    pack_put_str(p, "reason", e->reason);
    pack_put_str(p, "message", e->message);
    pack_put_str(p, "hint", e->hint);
    return control_reply_end(p);
}

static int reply_failure(const json_t *body, struct error *e)
{
    const char *reason = json_string_value(json_object_get(body, "reason"));
    const char *message = json_string_value(json_object_get(body, "message"));
    const char *hint = json_string_value(json_object_get(body, "hint"));
    enum reason known = reason_parse(reason != NULL ? reason : "");

    if (known == REASON_NONE)
        known = REASON_internal;
    (void)error_set(e, EREMOTEIO, reason_class(known), reason != NULL ? reason : "internal", "%s",
                    message != NULL ? message : "The daemon refused and gave no reason.");
    if (hint != NULL && *hint != '\0')
        error_hint(e, "%s", hint);
    return -EREMOTEIO;
}

int control_decode_reply(const uint8_t *buf, size_t n, uint64_t id, json_t **reply, struct error *e)
{
    struct unpack u;
    uint32_t members;
    int64_t version;
    json_t *body;
    uint64_t answered;
    bool ok;
    int r;

    unpack_init(&u, buf, n);
    members = unpack_array(&u);
    version = unpack_int(&u);
    if (u.fault == NULL && version != CONTROL_VERSION)
        return reason_error(e, REASON_bad_frame, EPROTO, "The daemon answered in version %lld; this program speaks %d.",
                            (long long)version, CONTROL_VERSION);
    answered = unpack_uint(&u);
    if (members != 4)
        unpack_fail(&u, "a reply has four members");
    ok = unpack_bool(&u);
    if (answered != id && (ok || answered != 0))
        unpack_fail(&u, "the answer belongs to another request");
    if (unpack_peek(&u) != UNPACK_MAP)
        unpack_fail(&u, "the body is no map");
    body = control_json_read(&u);
    r = unpack_close(&u, e);
    if (r == 0 && ok) {
        *reply = body;
        return 0;
    }
    if (r == 0)
        r = reply_failure(body, e);
    json_decref(body);
    return r;
}
