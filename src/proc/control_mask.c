/*
 * control_mask.c - a request's arguments as the log and the audit log show them
 *
 * Shown is what the verb's grammar names, and is text, a number or a boolean. The rest is somebody's mistake, or a
 * secret at the wrong place: it is counted, not shown. The text is JSON that any PostgreSQL takes as jsonb.
 *
 * Pure. Depends on base, core, proc/pack.
 */
#include "proc/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 100 /* bytes of a text that are shown */
#define HIDDEN    "***"

/* What the grammar says of a key: NULL if it does not name it, else what stands behind the "=". */
static const char *named(const char *grammar, const char *key, size_t n)
{
    for (const char *at = grammar; *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");

        if (word > n && at[n] == '=' && memcmp(at, key, n) == 0)
            return at + n + 1;
        at += word;
    }
    return NULL;
}

static json_t *hidden(void)
{
    return json_string(HIDDEN);
}

static json_t *text_of(const char *s, size_t n)
{
    json_t *j;

    if (s == NULL || memchr(s, '\0', n) != NULL)
        return hidden();
    if (n > VALUE_MAX)
        for (n = VALUE_MAX; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
            ;
    j = json_stringn(s, n);
    return j != NULL ? j : hidden(); /* no UTF-8 */
}

static json_t *value_of(struct unpack *u, const char *wanted)
{
    size_t n;

    if (strncmp(wanted, "SECRET", 6) == 0) {
        unpack_skip(u);
        return hidden();
    }
    switch (unpack_peek(u)) {
    case UNPACK_STR: {
        const char *s = unpack_str(u, &n);
        return text_of(s, s != NULL ? n : 0);
    }
    case UNPACK_INT:
        return json_integer(unpack_int(u));
    case UNPACK_BOOL:
        return json_boolean(unpack_bool(u));
    default:
        unpack_skip(u);
        return hidden();
    }
}

static json_t *shown_of(const struct control_request *r, const char *grammar)
{
    json_t *j = json_object();
    json_int_t others = 0;
    struct unpack u;
    uint32_t pairs;

    unpack_init(&u, r->args, r->args_bytes);
    pairs = unpack_map(&u);
    for (uint32_t i = 0; i < pairs && u.fault == NULL; i++) {
        size_t n = 0;
        const char *key = unpack_str(&u, &n);
        const char *wanted = key != NULL && n > 0 ? named(grammar, key, n) : NULL;

        if (wanted == NULL) {
            unpack_skip(&u);
            others++;
        } else {
            json_object_setn_new(j, key, n, value_of(&u, wanted));
        }
    }
    if (others > 0)
        json_object_set_new(j, HIDDEN, json_integer(others));
    return j;
}

void control_mask_args(const struct control_request *r, enum control_verb v, char out[CONTROL_MASKED_BYTES])
{
    json_t *j = shown_of(r, control_verb_args(v));
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

    json_decref(j);
    if (text != NULL && strlen(text) < CONTROL_MASKED_BYTES)
        snprintf(out, CONTROL_MASKED_BYTES, "%s", text);
    else
        snprintf(out, CONTROL_MASKED_BYTES, "{\"%s\":\"too long\"}", HIDDEN);
    free(text);
}
