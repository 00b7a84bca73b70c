/*
 * supabase.h - the storage mock: its objects, and the two protocols that reach them
 *
 * The same objects answer to Storage's REST (/storage/v1/object/...) and to S3 (/storage/v1/s3/..., or a host
 * `<bucket>.s3.<anything>`). Objects are in one array, sorted by bucket and key; it and all it holds is touched only
 * under the mock's lock. What a request needs of an object it copies.
 */
#ifndef MOCKS_SUPABASE_SUPABASE_H
#define MOCKS_SUPABASE_SUPABASE_H

#include "common/mock.h"

#define MAX_BUCKETS 16
#define MAX_KEYS    8
#define MD5_BYTES   16

struct object {
    const char *bucket, *key, *type, *cache_control, *etag, *id; /* etag without the quotes */
    json_t *metadata;                                            /* NULL or an object */
    const char *data;
    size_t len;
    int64_t created_ms, updated_ms;
};

struct bucket_of {
    const char *name;
    bool public;
};

struct s3_key {
    const char *id, *secret;
};

struct supabase {
    struct mock *mock;
    /* flags */
    const char *keys[MAX_KEYS];
    int n_keys;
    struct s3_key s3_keys[MAX_KEYS];
    int n_s3_keys;
    const char *region, *only_type;
    int64_t max_object, min_part;
    bool honest_status, refuse_unsigned;
    /* data */
    struct bucket_of buckets[MAX_BUCKETS];
    int n_buckets;
    struct object **objects;
    size_t n_objects, room;
    json_t *uploads; /* id: {"bucket", "key", "type", "parts": {"00001": {"etag", "data" in base64}}} */
    /* counts */
    int64_t puts, gets, deletes, lists, bytes_in, bytes_out;
};

/* objects.c: called locked, but for object_md5 */
struct bucket_of *bucket_find(struct supabase *s, const char *name);
struct object *object_find(struct supabase *s, const char *bucket, const char *key);
/* Index of the first object of the bucket whose key is not before `key`. */
size_t object_from(const struct supabase *s, const char *bucket, const char *key);
/* Copies everything of `from`; keeps the id and the time of making of one that was there. */
struct object *object_put(struct supabase *s, const struct object *from, uint64_t number);
bool object_delete(struct supabase *s, const char *bucket, const char *key);
json_t *objects_save(const struct supabase *s);
void objects_load(struct supabase *s, const json_t *kept);
char *object_md5(const void *ctx, const void *p, size_t n); /* hex */
/* Base64 of a JSON string's kind and back; the length is that of the bytes. */
json_t *bytes_to_json(const void *p, size_t n);
char *bytes_from_json(const void *ctx, const json_t *v, size_t *n);

/* download.c: an object's bytes, whole or the Range asked for, with its headers; the object is copied.
 * Called locked. */
void download(struct supabase *s, struct mock_request *q, struct mock_answer *a, const struct object *o);
/* The fault wrong_bytes, for a download that was made. Not locked. */
void download_spoil(struct mock_request *q, struct mock_answer *a);

/* rest.c */
void serve_rest(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *rest);
/* The habit of the service: the status in the body, 400 on the line. */
void rest_error(struct supabase *s, struct mock_request *q, struct mock_answer *a, int status, const char *code,
                const char *error, const char *message);
/* rest_list.c: called locked */
json_t *rest_list(const struct supabase *s, const char *bucket, const json_t *what);
json_t *rest_list_v2(const struct supabase *s, const char *bucket, const json_t *what);

/* s3.c */
void serve_s3(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key);
void s3_error(struct mock_request *q, struct mock_answer *a, int status, const char *code, const char *message);
char *xml_text(const void *ctx, const char *s);
void answer_xml(struct mock_request *q, struct mock_answer *a, int status, const char *xml);
/* The text of the element's next occurrence from *at on, entities decoded; moves *at behind it. NULL: no more. */
char *xml_next(const void *ctx, const char **at, const char *element);
char *xml_first(const void *ctx, const char *text, const char *element);
/* s3_list.c: called locked */
void s3_list(const struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket);
/* s3_multipart.c */
bool s3_multipart(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                  const char *key);

/* sigv4.c: is the request signed by one of the keys? If not, the answer is made. */
bool sigv4_verify(const struct supabase *s, struct mock_request *q, struct mock_answer *a);

#endif
