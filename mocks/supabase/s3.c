/*
 * s3.c - the S3 protocol: objects, bulk deletes, conditions; errors in XML
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "supabase/supabase.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_DELETES 1000

/* ---- XML ---- */

char *xml_text(const void *ctx, const char *s)
{
    char *out = talloc_strdup(ctx, "");

    for (; *s != '\0'; s++) {
        const char *entity = *s == '&'   ? "&amp;"
                             : *s == '<' ? "&lt;"
                             : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                                         : NULL;

        out = entity != NULL ? talloc_strdup_append_buffer(out, entity) : talloc_asprintf_append_buffer(out, "%c", *s);
    }
    return out;
}

static char *entities_decoded(char *s)
{
    static const struct {
        const char *entity;
        char c;
    } table[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&#34;", '"'}};
    char *to = s;

    for (const char *from = s; *from != '\0'; to++) {
        size_t i = 0, n = sizeof table / sizeof *table;

        while (i < n && strncmp(from, table[i].entity, strlen(table[i].entity)) != 0)
            i++;
        *to = i < n ? table[i].c : *from;
        from += i < n ? strlen(table[i].entity) : 1;
    }
    *to = '\0';
    return s;
}

char *xml_next(const void *ctx, const char **at, const char *element)
{
    char *open = talloc_asprintf(ctx, "<%s>", element), *close = talloc_asprintf(ctx, "</%s>", element);
    const char *from = strstr(*at, open), *to = from != NULL ? strstr(from, close) : NULL;

    if (to == NULL)
        return NULL;
    from += strlen(open);
    *at = to + strlen(close);
    return entities_decoded(talloc_strndup(ctx, from, (size_t)(to - from)));
}

char *xml_first(const void *ctx, const char *text, const char *element)
{
    return xml_next(ctx, &text, element);
}

void answer_xml(struct mock_request *q, struct mock_answer *a, int status, const char *xml)
{
    char *text = talloc_asprintf(q, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n%s", xml);

    answer_bytes(q, a, status, "application/xml", text, strlen(text));
}

void s3_error(struct mock_request *q, struct mock_answer *a, int status, const char *code, const char *message)
{
    answer_xml(q, a, status,
               talloc_asprintf(q,
                               "<Error><Code>%s</Code><Message>%s</Message><Resource>%s</Resource>"
                               "<RequestId>%016llx</RequestId></Error>",
                               code, xml_text(q, message), xml_text(q, q->path), (unsigned long long)q->number));
    if (strcmp(q->method, "HEAD") == 0)
        answer_bytes(q, a, status, NULL, "", 0);
}

/* ---- objects ---- */

static char *md5_in_base64(struct mock_request *q)
{
    char *hex = object_md5(q, q->body, q->body_len);
    unsigned char raw[MD5_BYTES];
    json_t *v;
    char *out;

    for (int i = 0; i < MD5_BYTES; i++)
        raw[i] = (unsigned char)strtoul((char[]){hex[2 * i], hex[2 * i + 1], '\0'}, NULL, 16);
    v = bytes_to_json(raw, sizeof raw);
    out = talloc_strdup(q, json_string_value(v));
    json_decref(v);
    return out;
}

/* Called locked. */
static bool may_put(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                    const char *key)
{
    const char *md5 = mock_header(q, "content-md5"), *if_none = mock_header(q, "if-none-match");

    if ((int64_t)q->body_len > s->max_object)
        s3_error(q, a, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
    else if (md5 != NULL && strcmp(md5, md5_in_base64(q)) != 0)
        s3_error(q, a, 400, "BadDigest", "The Content-MD5 you specified did not match what we received.");
    else if (if_none != NULL && strcmp(if_none, "*") == 0 && object_find(s, bucket, key) != NULL)
        s3_error(q, a, 412, "PreconditionFailed", "At least one of the preconditions you specified did not hold");
    else
        return true;
    return false;
}

static void put(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key)
{
    struct object o = {.bucket = bucket,
                       .key = key,
                       .type = mock_header(q, "content-type"),
                       .cache_control = mock_header(q, "cache-control"),
                       .data = q->body,
                       .len = q->body_len,
                       .created_ms = q->started_ms,
                       .updated_ms = q->started_ms};
    bool lose = fault_strikes(q, FAULT_LOSE_OBJECT) != NULL;

    mock_lock(s->mock);
    if (may_put(s, q, a, bucket, key)) {
        if (!lose)
            object_put(s, &o, q->number);
        s->puts++;
        s->bytes_in += (int64_t)o.len;
        answer_bytes(q, a, 200, NULL, "", 0);
        answer_header(q, a, "ETag", "\"%s\"", object_md5(q, q->body, q->body_len));
    }
    mock_unlock(s->mock);
}

static void get(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key)
{
    const struct object *o;

    mock_lock(s->mock);
    s->gets++;
    o = object_find(s, bucket, key);
    if (o != NULL)
        download(s, q, a, o);
    mock_unlock(s->mock);
    if (o == NULL)
        s3_error(q, a, 404, "NoSuchKey", "The specified key does not exist.");
    else if (a->status == 416)
        s3_error(q, a, 416, "InvalidRange", "The requested range is not satisfiable");
    else
        download_spoil(q, a);
}

static void delete_one(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                       const char *key)
{
    mock_lock(s->mock);
    object_delete(s, bucket, key);
    s->deletes++;
    mock_unlock(s->mock);
    answer_bytes(q, a, 204, NULL, "", 0); /* whether it was there or not */
}

static void delete_many(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket)
{
    char *out = talloc_strdup(q, "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"), *key;
    bool quiet = strstr(q->body, "<Quiet>true</Quiet>") != NULL;
    const char *at = q->body;
    int n = 0;

    mock_lock(s->mock);
    s->deletes++;
    while ((key = xml_next(q, &at, "Key")) != NULL && n++ < MAX_DELETES) {
        object_delete(s, bucket, key);
        if (!quiet)
            out = talloc_asprintf_append_buffer(out, "<Deleted><Key>%s</Key></Deleted>", xml_text(q, key));
    }
    mock_unlock(s->mock);
    if (n == 0 || n > MAX_DELETES)
        s3_error(q, a, 400, "MalformedXML", "The XML you provided was not well-formed");
    else
        answer_xml(q, a, 200, talloc_strdup_append_buffer(out, "</DeleteResult>"));
}

/* ---- routes ---- */

static void list_buckets(const struct supabase *s, struct mock_request *q, struct mock_answer *a)
{
    char *out = talloc_strdup(q, "<ListAllMyBucketsResult><Buckets>");

    for (int i = 0; i < s->n_buckets; i++)
        out = talloc_asprintf_append(out, "<Bucket><Name>%s</Name></Bucket>", s->buckets[i].name);
    answer_xml(q, a, 200, talloc_strdup_append(out, "</Buckets></ListAllMyBucketsResult>"));
}

static void serve_bucket(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket)
{
    bool wants_deletes = strcmp(q->method, "POST") == 0 && mock_arg(q, "delete") != NULL;

    if (strcmp(q->method, "HEAD") == 0)
        answer_bytes(q, a, 200, NULL, "", 0);
    else if (wants_deletes)
        delete_many(s, q, a, bucket);
    else if (strcmp(q->method, "GET") == 0 && mock_arg(q, "location") != NULL)
        answer_xml(q, a, 200, "<LocationConstraint/>");
    else if (strcmp(q->method, "GET") == 0) {
        mock_lock(s->mock);
        s->lists++;
        s3_list(s, q, a, bucket);
        mock_unlock(s->mock);
    } else
        s3_error(q, a, 501, "NotImplemented", "Not implemented");
}

static void serve_object(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                         const char *key)
{
    if (s3_multipart(s, q, a, bucket, key))
        return;
    if (strcmp(q->method, "PUT") == 0 && mock_header(q, "x-amz-copy-source") == NULL)
        put(s, q, a, bucket, key);
    else if (strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0)
        get(s, q, a, bucket, key);
    else if (strcmp(q->method, "DELETE") == 0)
        delete_one(s, q, a, bucket, key);
    else
        s3_error(q, a, 501, "NotImplemented", "Not implemented");
}

static bool is_utf8(const char *s)
{
    json_t *v = json_string(s);

    json_decref(v);
    return v != NULL;
}

void serve_s3(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key)
{
    if (!sigv4_verify(s, q, a))
        return;
    if (*bucket == '\0')
        list_buckets(s, q, a);
    else if (bucket_find(s, bucket) == NULL)
        s3_error(q, a, 404, "NoSuchBucket", "The specified bucket does not exist");
    else if (*key == '\0')
        serve_bucket(s, q, a, bucket);
    else if (!is_utf8(key))
        s3_error(q, a, 400, "InvalidURI", "Couldn't parse the specified URI.");
    else
        serve_object(s, q, a, bucket, key);
}
