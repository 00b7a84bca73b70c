/*
 * objects.c - the objects, sorted by bucket and key
 *
 * Depends on base, libcrypto.
 */
#include "base/hash.h"
#include "supabase/supabase.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct bucket_of *bucket_find(struct supabase *s, const char *name)
{
    for (int i = 0; i < s->n_buckets; i++)
        if (strcmp(s->buckets[i].name, name) == 0)
            return &s->buckets[i];
    return NULL;
}

static int compare(const struct object *o, const char *bucket, const char *key)
{
    int r = strcmp(o->bucket, bucket);

    return r != 0 ? r : strcmp(o->key, key);
}

size_t object_from(const struct supabase *s, const char *bucket, const char *key)
{
    size_t low = 0, high = s->n_objects;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(s->objects[middle], bucket, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct object *object_find(struct supabase *s, const char *bucket, const char *key)
{
    size_t i = object_from(s, bucket, key);

    return i < s->n_objects && compare(s->objects[i], bucket, key) == 0 ? s->objects[i] : NULL;
}

static int object_destroy(struct object *o)
{
    json_decref(o->metadata);
    return 0;
}

static struct object *copy_of(const struct object *from)
{
    struct object *o = talloc_zero(NULL, struct object);

    o->bucket = talloc_strdup(o, from->bucket);
    o->key = talloc_strdup(o, from->key);
    o->type = talloc_strdup(o, from->type != NULL ? from->type : "application/octet-stream");
    o->cache_control = talloc_strdup(o, from->cache_control != NULL ? from->cache_control : "no-cache");
    o->data = talloc_memdup(o, from->len > 0 ? from->data : "", from->len > 0 ? from->len : 1);
    o->len = from->len;
    o->etag = from->etag != NULL ? talloc_strdup(o, from->etag) : object_md5(o, o->data, o->len);
    o->metadata = json_deep_copy(from->metadata);
    o->created_ms = from->created_ms;
    o->updated_ms = from->updated_ms;
    talloc_set_destructor(o, object_destroy);
    return o;
}

static void insert(struct supabase *s, size_t at, struct object *o)
{
    if (s->n_objects == s->room) {
        s->room = s->room * 2 + 64;
        s->objects = realloc(s->objects, s->room * sizeof *s->objects);
        if (s->objects == NULL)
            abort();
    }
    memmove(&s->objects[at + 1], &s->objects[at], (s->n_objects - at) * sizeof *s->objects);
    s->objects[at] = o;
    s->n_objects++;
}

struct object *object_put(struct supabase *s, const struct object *from, uint64_t number)
{
    struct object *o = copy_of(from), *before = object_find(s, from->bucket, from->key);
    size_t at = object_from(s, from->bucket, from->key);
    char id[37];

    mock_uuid(s->mock, number, "object", id);
    o->id = talloc_strdup(o, before != NULL ? before->id : from->id != NULL ? from->id : id);
    if (before != NULL) {
        o->created_ms = before->created_ms;
        talloc_free(before);
        s->objects[at] = o;
    } else {
        insert(s, at, o);
    }
    mock_changed(s->mock);
    return o;
}

bool object_delete(struct supabase *s, const char *bucket, const char *key)
{
    struct object *o = object_find(s, bucket, key);
    size_t at = object_from(s, bucket, key);

    if (o == NULL)
        return false;
    memmove(&s->objects[at], &s->objects[at + 1], (s->n_objects - at - 1) * sizeof *s->objects);
    s->n_objects--;
    talloc_free(o);
    mock_changed(s->mock);
    return true;
}

char *object_md5(const void *ctx, const void *p, size_t n)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    char *hex = talloc_array(ctx, char, 2 * MD5_BYTES + 1);

    if (EVP_Digest(p, n, md, NULL, EVP_md5(), NULL) != 1)
        abort();
    hex_encode(md, MD5_BYTES, hex);
    return hex;
}

json_t *bytes_to_json(const void *p, size_t n)
{
    unsigned char *text = malloc(n / 3 * 4 + 8);
    json_t *v;

    if (text == NULL)
        abort();
    EVP_EncodeBlock(text, p, (int)n);
    v = json_string((char *)text);
    free(text);
    return v;
}

char *bytes_from_json(const void *ctx, const json_t *v, size_t *n)
{
    size_t len = json_string_length(v);
    const char *text = json_string_value(v);
    unsigned char *out = talloc_zero_size(ctx, len / 4 * 3 + 1);
    int got = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);

    *n = got > 0 ? (size_t)got : 0;
    for (size_t i = len; *n > 0 && i > 0 && text[i - 1] == '='; i--)
        (*n)--;
    return (char *)out;
}

json_t *objects_save(const struct supabase *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->n_objects; i++) {
        const struct object *o = s->objects[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:O?, s:o}", "bucket",
                                              o->bucket, "key", o->key, "type", o->type, "cache_control",
                                              o->cache_control, "etag", o->etag, "id", o->id, "created_ms",
                                              (json_int_t)o->created_ms, "updated_ms", (json_int_t)o->updated_ms,
                                              "metadata", o->metadata, "data", bytes_to_json(o->data, o->len)));
    }
    return list;
}

void objects_load(struct supabase *s, const json_t *kept)
{
    size_t i;
    json_t *v;

    json_array_foreach(kept, i, v)
    {
        json_int_t created = 0, updated = 0;
        struct object o = {0};

        if (json_unpack(v, "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "bucket", &o.bucket, "key", &o.key, "type",
                        &o.type, "cache_control", &o.cache_control, "etag", &o.etag, "id", &o.id, "created_ms",
                        &created, "updated_ms", &updated) < 0)
            continue;
        o.created_ms = created;
        o.updated_ms = updated;
        o.metadata = json_is_object(json_object_get(v, "metadata")) ? json_object_get(v, "metadata") : NULL;
        o.data = bytes_from_json(NULL, json_object_get(v, "data"), &o.len);
        object_put(s, &o, 0);
        talloc_free((void *)(uintptr_t)o.data);
    }
}
