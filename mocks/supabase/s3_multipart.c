/*
 * s3_multipart.c - uploads in parts: begin, parts, complete, abort, list
 *
 * An upload is a JSON object in `uploads`; its parts are kept by five-digit number, so that they are in order. The
 * ETag of the whole is the MD5 of the parts' MD5s, and their count.
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "supabase/supabase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_PARTS 10000

static json_t *upload_of(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                         const char *key)
{
    json_t *u = json_object_get(s->uploads, mock_arg(q, "uploadId"));

    if (u != NULL && strcmp(json_string_value(json_object_get(u, "bucket")), bucket) == 0 &&
        strcmp(json_string_value(json_object_get(u, "key")), key) == 0)
        return u;
    s3_error(q, a, 404, "NoSuchUpload", "The specified multipart upload does not exist.");
    return NULL;
}

static void begin(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                  const char *key)
{
    char id[37];
    const char *type = mock_header(q, "content-type");

    mock_uuid(s->mock, q->number, "upload", id);
    json_object_set_new(s->uploads, id,
                        json_pack("{s:s, s:s, s:s, s:{}}", "bucket", bucket, "key", key, "type",
                                  type != NULL ? type : "application/octet-stream", "parts"));
    mock_changed(s->mock);
    answer_xml(q, a, 200,
               talloc_asprintf(q,
                               "<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId>"
                               "</InitiateMultipartUploadResult>",
                               bucket, xml_text(q, key), id));
}

static void put_part(struct supabase *s, struct mock_request *q, struct mock_answer *a, json_t *u)
{
    int number = atoi(mock_arg(q, "partNumber"));
    char name[8], *etag = object_md5(q, q->body, q->body_len);

    if (number < 1 || number > MAX_PARTS) {
        s3_error(q, a, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
        return;
    }
    snprintf(name, sizeof name, "%05d", number);
    json_object_set_new(json_object_get(u, "parts"), name,
                        json_pack("{s:s, s:o}", "etag", etag, "data", bytes_to_json(q->body, q->body_len)));
    s->puts++;
    s->bytes_in += (int64_t)q->body_len;
    mock_changed(s->mock);
    answer_bytes(q, a, 200, NULL, "", 0);
    answer_header(q, a, "ETag", "\"%s\"", etag);
}

/* All that was said of the parts put together. */
struct whole {
    char *data, *md5s;
    size_t len;
    int n, last;
};

static const char *bare(char *etag)
{
    size_t n = strlen(etag);

    if (n > 1 && *etag == '"' && etag[n - 1] == '"') {
        etag[n - 1] = '\0';
        return etag + 1;
    }
    return etag;
}

static const char *add_part(struct supabase *s, struct mock_request *q, const json_t *u, struct whole *w, int number,
                            char *etag, bool last)
{
    char name[8];
    const json_t *part;
    size_t n;
    char *data;

    snprintf(name, sizeof name, "%05d", number);
    part = json_object_get(json_object_get(u, "parts"), name);
    if (number <= w->last)
        return "InvalidPartOrder";
    if (part == NULL || strcmp(json_string_value(json_object_get(part, "etag")), bare(etag)) != 0)
        return "InvalidPart";
    data = bytes_from_json(q, json_object_get(part, "data"), &n);
    if ((int64_t)n < s->min_part && !last)
        return "EntityTooSmall";
    w->data = talloc_realloc_size(q, w->data, w->len + n + 1);
    memcpy(w->data + w->len, data, n);
    w->len += n;
    w->md5s = talloc_strdup_append(w->md5s, json_string_value(json_object_get(part, "etag")));
    w->last = number;
    w->n++;
    talloc_free(data);
    return NULL;
}

/* The hash of the parts' raw MD5s. */
static char *etag_of(struct mock_request *q, const struct whole *w)
{
    size_t n = strlen(w->md5s) / 2;
    unsigned char *raw = talloc_size(q, n + 1);

    for (size_t i = 0; i < n; i++)
        raw[i] = (unsigned char)strtoul((char[]){w->md5s[2 * i], w->md5s[2 * i + 1], '\0'}, NULL, 16);
    return talloc_asprintf(q, "%s-%d", object_md5(q, raw, n), w->n);
}

static void complete(struct supabase *s, struct mock_request *q, struct mock_answer *a, const json_t *u, bool lose)
{
    struct whole w = {.md5s = talloc_strdup(q, "")};
    struct object o = {.bucket = json_string_value(json_object_get(u, "bucket")),
                       .key = json_string_value(json_object_get(u, "key")),
                       .type = json_string_value(json_object_get(u, "type")),
                       .created_ms = q->started_ms,
                       .updated_ms = q->started_ms};
    const char *at = q->body, *wrong = NULL;
    char *part;

    while (wrong == NULL && (part = xml_next(q, &at, "Part")) != NULL) {
        char *number = xml_first(q, part, "PartNumber"), *etag = xml_first(q, part, "ETag");

        wrong = number == NULL || etag == NULL
                    ? "MalformedXML"
                    : add_part(s, q, u, &w, atoi(number), etag, strstr(at, "<Part>") == NULL);
    }
    if (wrong == NULL && w.n == 0)
        wrong = "MalformedXML";
    if (wrong != NULL) {
        s3_error(q, a, 400, wrong, "The list of parts is not as it should be");
        return;
    }
    o.data = w.data;
    o.len = w.len;
    o.etag = etag_of(q, &w);
    if (!lose)
        object_put(s, &o, q->number);
    answer_xml(q, a, 200,
               talloc_asprintf(q,
                               "<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key>"
                               "<ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>",
                               o.bucket, xml_text(q, o.key), o.etag));
    json_object_del(s->uploads, mock_arg(q, "uploadId"));
}

static void list_parts(struct mock_request *q, struct mock_answer *a, const json_t *u)
{
    char *out = talloc_strdup(q, "<ListPartsResult>");
    const char *name;
    json_t *part;

    json_object_foreach(json_object_get(u, "parts"), name, part) out =
        talloc_asprintf_append(out, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", atoi(name),
                               json_string_value(json_object_get(part, "etag")));
    answer_xml(q, a, 200, talloc_strdup_append(out, "</ListPartsResult>"));
}

bool s3_multipart(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                  const char *key)
{
    bool post = strcmp(q->method, "POST") == 0, begins = post && mock_arg(q, "uploads") != NULL, lose;
    json_t *u;

    if (!begins && mock_arg(q, "uploadId") == NULL)
        return false;
    lose = post && !begins && fault_strikes(q, FAULT_LOSE_OBJECT) != NULL;
    mock_lock(s->mock);
    if (begins) {
        begin(s, q, a, bucket, key);
    } else if ((u = upload_of(s, q, a, bucket, key)) != NULL) {
        if (strcmp(q->method, "PUT") == 0 && mock_arg(q, "partNumber") != NULL) {
            put_part(s, q, a, u);
        } else if (post) {
            complete(s, q, a, u, lose);
        } else if (strcmp(q->method, "DELETE") == 0) {
            json_object_del(s->uploads, mock_arg(q, "uploadId"));
            answer_bytes(q, a, 204, NULL, "", 0);
        } else {
            list_parts(q, a, u);
        }
    }
    mock_unlock(s->mock);
    return true;
}
