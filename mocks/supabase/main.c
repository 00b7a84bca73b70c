/*
 * docmill-mock-supabase - object storage as Supabase serves it: its own REST, and S3 with verified signatures
 *
 * Depends on base, common.
 */
#include "common/faults.h"
#include "supabase/supabase.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#define PORT           8003
#define MAX_BODY       (512u << 20)
#define MAX_OBJECT     (50LL << 20)
#define MIN_PART       (5LL << 20)
#define REST_PREFIX    "/storage/v1"
#define S3_PREFIX      "/storage/v1/s3"
#define DEFAULT_BUCKET "docmill"
#define DEFAULT_ID     "docmill-test"
#define DEFAULT_SECRET "docmill-test-secret"

static struct supabase state;

/* ---- flags ---- */

static int take_key(void *v, const char *value, struct error *e)
{
    struct supabase *s = v;

    if (s->n_keys == MAX_KEYS)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--key: at most %d", MAX_KEYS);
    s->keys[s->n_keys++] = value;
    return 0;
}

static int take_s3_key(void *v, const char *value, struct error *e)
{
    struct supabase *s = v;
    const char *colon = strchr(value, ':');

    if (colon == NULL || s->n_s3_keys == MAX_KEYS)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--s3-key %s: ID:SECRET is wanted", value);
    s->s3_keys[s->n_s3_keys++] = (struct s3_key){talloc_strndup(NULL, value, (size_t)(colon - value)), colon + 1};
    return 0;
}

static int add_bucket(struct supabase *s, const char *name, bool public, struct error *e)
{
    if (s->n_buckets == MAX_BUCKETS)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "at most %d buckets", MAX_BUCKETS);
    s->buckets[s->n_buckets++] = (struct bucket_of){name, public};
    return 0;
}

static int take_bucket(void *s, const char *value, struct error *e)
{
    return add_bucket(s, value, false, e);
}

static int take_public(void *s, const char *value, struct error *e)
{
    return add_bucket(s, value, true, e);
}

static int take_number(int64_t *where, const char *value, struct error *e)
{
    char *end;

    *where = strtoll(value, &end, 10);
    if (*value == '\0' || *end != '\0' || *where < 0)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "%s: a whole number is wanted", value);
    return 0;
}

static int take_max_object(void *s, const char *value, struct error *e)
{
    return take_number(&((struct supabase *)s)->max_object, value, e);
}

static int take_min_part(void *s, const char *value, struct error *e)
{
    return take_number(&((struct supabase *)s)->min_part, value, e);
}

static int take_region(void *s, const char *value, struct error *e)
{
    (void)e;
    ((struct supabase *)s)->region = value;
    return 0;
}

static int take_type(void *s, const char *value, struct error *e)
{
    (void)e;
    ((struct supabase *)s)->only_type = value;
    return 0;
}

static int take_honest(void *s, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    ((struct supabase *)s)->honest_status = true;
    return 0;
}

static int take_refuse(void *s, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    ((struct supabase *)s)->refuse_unsigned = true;
    return 0;
}

static const struct mock_option options[] = {
    {"bucket", "NAME", "one more bucket (default: only `docmill`)", take_bucket},
    {"public-bucket", "NAME", "one that /object/public/ may read", take_public},
    {"key", "KEY", "the only key that is right for REST (may be repeated; default: any)", take_key},
    {"s3-key", "ID:SECRET", "one more key for S3 (default: docmill-test:docmill-test-secret)", take_s3_key},
    {"region", "NAME", "the only region that S3's scope may name", take_region},
    {"max-object", "BYTES", "larger ones are refused (50 MiB)", take_max_object},
    {"min-part", "BYTES", "of a multipart upload, but for the last (5 MiB)", take_min_part},
    {"only-type", "TYPE", "content types that begin otherwise are refused", take_type},
    {"honest-status", NULL, "REST's errors with their status on the status line", take_honest},
    {"refuse-unsigned", NULL, "S3: no UNSIGNED-PAYLOAD", take_refuse},
    {0},
};

/* ---- requests ---- */

/* `<bucket>.s3.` at the beginning of the host; NULL: not in that style. */
static char *bucket_of_host(struct mock_request *q)
{
    const char *host = mock_header(q, "host"), *mark = host != NULL ? strstr(host, ".s3.") : NULL;

    return mark != NULL ? talloc_strndup(q, host, (size_t)(mark - host)) : NULL;
}

static bool is_s3(struct mock_request *q)
{
    size_t n = strlen(S3_PREFIX);

    return bucket_of_host(q) != NULL ||
           (strncmp(q->path, S3_PREFIX, n) == 0 && (q->path[n] == '\0' || q->path[n] == '/'));
}

static void route_s3(struct supabase *s, struct mock_request *q, struct mock_answer *a)
{
    char *bucket = bucket_of_host(q);
    const char *rest = q->path;

    if (bucket != NULL) {
        serve_s3(s, q, a, bucket, rest + (*rest == '/'));
        return;
    }
    rest += strlen(S3_PREFIX);
    rest += *rest == '/';
    bucket = talloc_strndup(q, rest, strcspn(rest, "/"));
    rest += strlen(bucket);
    serve_s3(s, q, a, bucket, rest + (*rest == '/'));
}

static void serve(void *v, struct mock_request *q, struct mock_answer *a)
{
    struct supabase *s = v;

    if (is_s3(q))
        route_s3(s, q, a);
    else if (strncmp(q->path, REST_PREFIX "/", strlen(REST_PREFIX) + 1) == 0)
        serve_rest(s, q, a, q->path + strlen(REST_PREFIX));
    else
        rest_error(s, q, a, 404, "NotFound", "Not Found", "Route not found");
}

static void fail(void *v, struct mock_request *q, struct mock_answer *a, int status, const char *code)
{
    static const struct {
        int status;
        const char *code, *message;
    } known[] = {{403, "AccessDenied", "Access Denied"},
                 {404, "NoSuchKey", "Object not found"},
                 {409, "KeyAlreadyExists", "The resource already exists"},
                 {413, "EntityTooLarge", "The object exceeded the maximum allowed size"},
                 {429, "SlowDown", "Please reduce your request rate"},
                 {500, "InternalError", "Internal server error"},
                 {503, "SlowDown", "Please reduce your request rate"},
                 {504, "DatabaseTimeout", "The database did not answer in time"}};
    const char *message = "Error";

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].status != status)
            continue;
        code = code != NULL ? code : known[i].code;
        message = known[i].message;
    }
    code = code != NULL ? code : "InternalError";
    if (is_s3(q))
        s3_error(q, a, status, code, message);
    else
        rest_error(v, q, a, status, code, code, message);
}

/* ---- counts and state ---- */

static json_t *usage(void *v)
{
    struct supabase *s = v;
    int64_t stored = 0;

    for (size_t i = 0; i < s->n_objects; i++)
        stored += (int64_t)s->objects[i]->len;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "requests",
                     (json_int_t)(s->puts + s->gets + s->deletes + s->lists), "puts", (json_int_t)s->puts, "gets",
                     (json_int_t)s->gets, "deletes", (json_int_t)s->deletes, "lists", (json_int_t)s->lists, "bytes_in",
                     (json_int_t)s->bytes_in, "bytes_out", (json_int_t)s->bytes_out, "objects",
                     (json_int_t)s->n_objects, "stored_bytes", (json_int_t)stored, "cost_usd", "0");
}

static void usage_reset(void *v)
{
    struct supabase *s = v;

    s->puts = s->gets = s->deletes = s->lists = s->bytes_in = s->bytes_out = 0;
}

static json_t *save(void *v)
{
    struct supabase *s = v;

    return json_pack("{s:o, s:o}", "objects", objects_save(s), "uploads", json_deep_copy(s->uploads));
}

static void load(void *v, const json_t *kept)
{
    struct supabase *s = v;
    json_t *uploads = json_object_get(kept, "uploads");

    objects_load(s, json_object_get(kept, "objects"));
    if (json_is_object(uploads)) {
        json_decref(s->uploads);
        s->uploads = json_deep_copy(uploads);
    }
}

static int start(struct mock *m, void *v, struct error *e)
{
    struct supabase *s = v;

    s->mock = m;
    s->uploads = json_object();
    if (s->n_buckets == 0)
        (void)add_bucket(s, DEFAULT_BUCKET, false, e);
    if (s->n_s3_keys == 0)
        s->s3_keys[s->n_s3_keys++] = (struct s3_key){DEFAULT_ID, DEFAULT_SECRET};
    return 0;
}

int main(int argc, char **argv)
{
    static const struct mock_program program = {
        .name = "docmill-mock-supabase",
        .purpose = "keeps objects as Supabase Storage does, by REST and by S3",
        .port = PORT,
        .family = FAULTS_STORAGE,
        .max_body = MAX_BODY,
        .options = options,
        .state = &state,
        .start = start,
        .serve = serve,
        .fail = fail,
        .usage = usage,
        .usage_reset = usage_reset,
        .save = save,
        .load = load,
    };

    state.max_object = MAX_OBJECT;
    state.min_part = MIN_PART;
    return mock_main(&program, argc, argv);
}
