/*
 * rest_list.c - Storage's two lists of objects
 *
 * The first shows one folder: what is deeper appears as the folder's name, without an id. The second goes through all
 * keys that begin with the prefix, page by page.
 *
 * Depends on common.
 */
#include "supabase/supabase.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define LIMIT    100
#define LIMIT_V2 1000

static json_t *shown(const struct object *o, const char *name)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s, s:I, s:s, s:s, s:I, s:i}}", "name", name, "id", o->id,
                     "updated_at", mock_time_text(o->updated_ms), "created_at", mock_time_text(o->created_ms),
                     "last_accessed_at", mock_time_text(o->updated_ms), "metadata", "eTag", o->etag, "size",
                     (json_int_t)o->len, "mimetype", o->type, "cacheControl", o->cache_control, "contentLength",
                     (json_int_t)o->len, "httpStatusCode", 200);
}

static json_t *folder(const char *name, size_t n)
{
    return json_pack("{s:s%, s:n, s:n, s:n, s:n, s:n}", "name", name, n, "id", "updated_at", "created_at",
                     "last_accessed_at", "metadata");
}

static int by_name(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

    return strcmp(json_string_value(json_object_get(x, "name")), json_string_value(json_object_get(y, "name")));
}

static json_t *cut(json_t *all, int64_t offset, int64_t limit, bool descending)
{
    size_t n = json_array_size(all);
    json_t **list = calloc(n + 1, sizeof *list), *out = json_array();

    for (size_t i = 0; i < n; i++)
        list[i] = json_array_get(all, i);
    qsort(list, n, sizeof *list, by_name);
    for (int64_t i = offset; i < offset + limit && i < (int64_t)n; i++)
        json_array_append(out, list[descending ? n - 1 - (size_t)i : (size_t)i]);
    free(list);
    json_decref(all);
    return out;
}

static bool last_is(const json_t *list, const char *name, size_t n)
{
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    const char *its = json_string_value(json_object_get(last, "name"));

    return its != NULL && strlen(its) == n && strncmp(its, name, n) == 0;
}

json_t *rest_list(const struct supabase *s, const char *bucket, const json_t *what)
{
    const char *given = json_string_value(json_object_get(what, "prefix"));
    const char *order = json_string_value(json_object_get(json_object_get(what, "sortBy"), "order"));
    char *prefix = talloc_strdup(NULL, given != NULL ? given : "");
    json_t *list = json_array(), *limit = json_object_get(what, "limit");

    if (*prefix != '\0' && prefix[strlen(prefix) - 1] != '/')
        prefix = talloc_strdup_append(prefix, "/");
    for (size_t i = object_from(s, bucket, prefix); i < s->n_objects; i++) {
        const struct object *o = s->objects[i];
        const char *name = o->key + strlen(prefix);
        size_t n;

        if (strcmp(o->bucket, bucket) != 0 || strncmp(o->key, prefix, strlen(prefix)) != 0)
            break;
        n = strcspn(name, "/");
        if (name[n] == '\0')
            json_array_append_new(list, shown(o, name));
        else if (!last_is(list, name, n))
            json_array_append_new(list, folder(name, n));
    }
    talloc_free(prefix);
    return cut(list, (int64_t)json_integer_value(json_object_get(what, "offset")),
               json_is_integer(limit) ? (int64_t)json_integer_value(limit) : LIMIT,
               order != NULL && strcmp(order, "desc") == 0);
}

json_t *rest_list_v2(const struct supabase *s, const char *bucket, const json_t *what)
{
    const char *prefix = json_string_value(json_object_get(what, "prefix")),
               *cursor = json_string_value(json_object_get(what, "cursor"));
    json_int_t limit = json_integer_value(json_object_get(what, "limit"));
    json_t *list = json_array(), *out;
    size_t i, n = limit > 0 && limit < LIMIT_V2 ? (size_t)limit : LIMIT_V2;
    bool more = false;

    prefix = prefix != NULL ? prefix : "";
    for (i = object_from(s, bucket, cursor != NULL ? cursor : prefix); i < s->n_objects; i++) {
        const struct object *o = s->objects[i];

        if (strcmp(o->bucket, bucket) != 0 || strncmp(o->key, prefix, strlen(prefix)) != 0)
            break;
        more = json_array_size(list) == n;
        if (more)
            break;
        json_array_append_new(list, shown(o, o->key));
    }
    out = json_pack("{s:b, s:[], s:o}", "hasNext", more, "folders", "objects", list);
    if (more)
        json_object_set_new(out, "nextCursor", json_string(s->objects[i]->key));
    return out;
}
