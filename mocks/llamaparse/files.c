/*
 * files.c - files that are uploaded first and parsed by their id
 *
 * Kept as text in `files`: what is not UTF-8 is only good for its name and size, and is parsed as made up pages.
 *
 * Depends on common.
 */
#include "common/multipart.h"
#include "llamaparse/llamaparse.h"

#include <string.h>
#include <talloc.h>

#define PROJECT "00000000-0000-4000-8000-000000000001"

static json_t *shown(const json_t *file)
{
    json_t *out = json_deep_copy(file);

    json_object_del(out, "data");
    return out;
}

static void create(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    struct part *parts;
    int n = multipart_parse(q, &parts);
    const struct part *file = multipart_find(parts, n, "file"), *purpose = multipart_find(parts, n, "purpose");
    json_t *kept;
    char id[37];

    if (file == NULL)
        file = multipart_find(parts, n, "upload_file");
    if (file == NULL) {
        answer_json(q, a, 422,
                    json_pack("{s:[{s:s, s:[s, s], s:s}]}", "detail", "type", "missing", "loc", "body", "file", "msg",
                              "Field required"));
        return;
    }
    mock_uuid(l->mock, q->number, "file", id);
    kept = json_pack("{s:s, s:o, s:s, s:s?, s:o, s:n, s:I, s:o}", "id", id, "name",
                     mock_text(file->filename != NULL ? file->filename : "file",
                               strlen(file->filename != NULL ? file->filename : "file")),
                     "project_id", PROJECT, "file_type", file->type, "purpose",
                     purpose != NULL ? mock_text(purpose->data, purpose->len) : json_string("parse"), "expires_at",
                     "file_size", (json_int_t)file->len, "data", mock_text(file->data, file->len));
    mock_lock(l->mock);
    json_object_set_new(l->files, id, kept);
    answer_json(q, a, 200, shown(kept));
    mock_changed(l->mock);
    mock_unlock(l->mock);
}

static void list(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    json_t *items = json_array(), *file;
    const char *id;

    mock_lock(l->mock);
    json_object_foreach(l->files, id, file) json_array_append_new(items, shown(file));
    mock_unlock(l->mock);
    answer_json(q, a, 200, json_pack("{s:o, s:n}", "items", items, "next_page_token"));
}

static void one(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const char *id)
{
    json_t *file;
    bool gone = strcmp(q->method, "DELETE") == 0;

    mock_lock(l->mock);
    file = json_object_get(l->files, id);
    if (file == NULL)
        detail(q, a, 404, "File not found");
    else if (gone)
        answer_bytes(q, a, 204, NULL, "", 0);
    else
        answer_json(q, a, 200, shown(file));
    if (gone)
        json_object_del(l->files, id);
    mock_unlock(l->mock);
}

/* rest: what stands behind /api/v1/beta/files or /api/v1/files */
void serve_files(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const char *rest)
{
    if (*rest == '/')
        one(l, q, a, rest + 1);
    else if (strcmp(q->method, "POST") == 0)
        create(l, q, a);
    else
        list(l, q, a);
}
