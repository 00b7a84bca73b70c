/*
 * control_json.c - msgpack to JSON and back, so that a client can print what it got as it is
 *
 * Only what both know: nil, booleans, integers, floating point, text, arrays, maps with text keys; at most PACK_DEPTH
 * levels. Text that is not UTF-8 (a child's words are not trusted) is read with '?' for each byte above 127.
 *
 * Depends on base, proc/pack.
 */
#include "proc/control.h"

#include <string.h>
#include <talloc.h>

static json_t *text_to_json(struct unpack *u)
{
    size_t n;
    const char *s = unpack_str(u, &n);
    json_t *j;
    char *clean;

    if (s == NULL)
        return NULL;
    j = json_stringn(s, n);
    if (j != NULL)
        return j;
    clean = talloc_memdup(NULL, s, n);
    for (size_t i = 0; clean != NULL && i < n; i++)
        if ((unsigned char)clean[i] > 127)
            clean[i] = '?';
    j = clean != NULL ? json_stringn(clean, n) : NULL;
    talloc_free(clean);
    return j;
}

static json_t *int_to_json(struct unpack *u)
{
    struct unpack before = *u;
    int64_t v = unpack_int(u);

    if (u->fault == NULL)
        return json_integer(v);
    *u = before; /* above INT64_MAX: JSON integers end there */
    (void)unpack_uint(u);
    return u->fault == NULL ? json_integer(INT64_MAX) : NULL;
}

static json_t *value_to_json(struct unpack *u, int depth);

static json_t *array_to_json(struct unpack *u, int depth)
{
    uint32_t n = unpack_array(u);
    json_t *j = json_array();

    for (uint32_t i = 0; i < n && u->fault == NULL; i++) {
        json_t *v = value_to_json(u, depth + 1);
        if (v == NULL || json_array_append_new(j, v) != 0)
            unpack_fail(u, "a value has no JSON form");
    }
    return j;
}

static json_t *map_to_json(struct unpack *u, int depth)
{
    uint32_t n = unpack_map(u);
    json_t *j = json_object();

    for (uint32_t i = 0; i < n && u->fault == NULL; i++) {
        char key[128];
        json_t *v;

        unpack_str_copy(u, key, sizeof key);
        v = u->fault == NULL ? value_to_json(u, depth + 1) : NULL;
        if (v == NULL || json_object_set_new(j, key, v) != 0)
            unpack_fail(u, "a member has no JSON form");
    }
    return j;
}

static json_t *value_to_json(struct unpack *u, int depth)
{
    if (depth > PACK_DEPTH) {
        unpack_fail(u, "the message is nested too deep");
        return NULL;
    }
    switch (unpack_peek(u)) {
    case UNPACK_NIL:
        unpack_nil(u);
        return json_null();
    case UNPACK_BOOL:
        return json_boolean(unpack_bool(u));
    case UNPACK_INT:
        return int_to_json(u);
    case UNPACK_DOUBLE:
        return json_real(unpack_double(u)); /* NULL for NaN and infinity: JSON has neither */
    case UNPACK_STR:
        return text_to_json(u);
    case UNPACK_ARRAY:
        return array_to_json(u, depth);
    case UNPACK_MAP:
        return map_to_json(u, depth);
    case UNPACK_END:
        unpack_fail(u, "the message ends too early");
        return NULL;
    case UNPACK_BIN:
    case UNPACK_BAD:
        unpack_fail(u, "a type that has no JSON form");
        return NULL;
    }
    return NULL;
}

json_t *control_json_read(struct unpack *u)
{
    json_t *j = value_to_json(u, 1);

    if (j == NULL)
        unpack_fail(u, "a value has no JSON form");
    if (u->fault == NULL)
        return j;
    json_decref(j);
    return NULL;
}

void control_json_write(struct pack *p, const json_t *j)
{
    const char *key;
    json_t *value;
    size_t i;

    switch (json_typeof(j)) {
    case JSON_OBJECT:
        pack_map(p);
        json_object_foreach((json_t *)j, key, value)
        {
            pack_str(p, key);
            if (!p->failed) /* too deep is a failure, and ends the recursion */
                control_json_write(p, value);
        }
        pack_end(p);
        return;
    case JSON_ARRAY:
        pack_array(p);
        json_array_foreach(j, i, value)
        {
            if (!p->failed)
                control_json_write(p, value);
        }
        pack_end(p);
        return;
    case JSON_STRING:
        pack_str_n(p, json_string_value(j), json_string_length(j));
        return;
    case JSON_INTEGER:
        pack_int(p, json_integer_value(j));
        return;
    case JSON_REAL:
        pack_double(p, json_real_value(j));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        pack_bool(p, json_is_true(j));
        return;
    case JSON_NULL:
        pack_nil(p);
        return;
    }
}
