/*
 * sigv4.c - see sigv4.h
 *
 * canonical request -> string to sign -> signature, as the specification names them. A failure inside the HMAC
 * means that memory is gone: NULL, as for any other allocation.
 *
 * Depends on base, talloc.
 */
#include "blob/sigv4.h"
#include "base/hmac.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

char *sigv4_encode(const void *ctx, const char *text, int keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    char *out = talloc_array(ctx, char, (unsigned)strlen(text) * 3 + 1), *to = out;

    if (out == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (strchr(plain, c) != NULL || (c == '/' && keep_slash)) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
    return out;
}

static int by_name(const void *a, const void *b)
{
    const struct sigv4_field *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->value, y->value);
}

/* All names of ours consist of unreserved characters, so that their order is the same before and after encoding. */
char *sigv4_query(const void *ctx, struct sigv4_request *q)
{
    char *out = talloc_strdup(ctx, "");

    qsort(q->query, (size_t)q->n_query, sizeof q->query[0], by_name);
    for (int i = 0; i < q->n_query && out != NULL; i++) {
        char *name = sigv4_encode(out, q->query[i].name, 0), *value = sigv4_encode(out, q->query[i].value, 0);

        if (name == NULL || value == NULL)
            return NULL;
        out = talloc_asprintf_append(out, "%s%s=%s", i > 0 ? "&" : "", name, value);
    }
    return out;
}

void sigv4_date(int64_t time_s, char out[SIGV4_DATE_BYTES])
{
    time_t t = (time_t)time_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
}

static bool hmac(const void *key, size_t key_len, const char *text, uint8_t out[SHA256_BYTES])
{
    const struct hmac_piece piece = {text, strlen(text)};

    return hmac_sha256(key, key_len, &piece, 1, out);
}

static int add(struct sigv4_field *fields, int *n, const char *name, const char *value)
{
    if (*n == SIGV4_MAX_FIELDS || value == NULL)
        return 0;
    fields[(*n)++] = (struct sigv4_field){name, value};
    return 1;
}

/* "host;x-amz-date", and "host:...\nx-amz-date:...\n" */
static int list_headers(const void *ctx, struct sigv4_request *q, char **names, char **lines)
{
    *names = talloc_strdup(ctx, "");
    *lines = talloc_strdup(ctx, "");
    qsort(q->headers, (size_t)q->n_headers, sizeof q->headers[0], by_name);
    for (int i = 0; i < q->n_headers && *names != NULL && *lines != NULL; i++) {
        *names = talloc_asprintf_append(*names, "%s%s", i > 0 ? ";" : "", q->headers[i].name);
        *lines = talloc_asprintf_append(*lines, "%s:%s\n", q->headers[i].name, q->headers[i].value);
    }
    return *names != NULL && *lines != NULL;
}

static char *scope_of(const void *ctx, const struct sigv4_key *k, const char *date)
{
    return talloc_asprintf(ctx, "%.8s/%s/s3/aws4_request", date, k->region);
}

static int signature(const void *ctx, const struct sigv4_key *k, struct sigv4_request *q, const char *date,
                     const char *names, const char *lines, char out[SHA256_HEX_LEN + 1])
{
    char *query = sigv4_query(ctx, q), *scope = scope_of(ctx, k, date), *text, *secret;
    char day[9], hex[SHA256_HEX_LEN + 1];
    uint8_t key[SHA256_BYTES], sum[SHA256_BYTES];
    int good;

    memcpy(day, date, 8);
    day[8] = '\0';
    text = talloc_asprintf(ctx, "%s\n%s\n%s\n%s\n%s\n%s", q->method, q->path, query, lines, names, q->payload_sha256);
    if (query == NULL || scope == NULL || text == NULL)
        return 0;
    sha256_of(text, strlen(text), sum);
    hex_encode(sum, sizeof sum, hex);
    text = talloc_asprintf(ctx, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex);
    secret = talloc_asprintf(ctx, "AWS4%s", k->secret);
    if (text == NULL || secret == NULL)
        return 0;
    good = hmac(secret, strlen(secret), day, key) && hmac(key, sizeof key, k->region, key) &&
           hmac(key, sizeof key, "s3", key) && hmac(key, sizeof key, "aws4_request", key) &&
           hmac(key, sizeof key, text, sum);
    explicit_bzero(secret, strlen(secret));
    explicit_bzero(key, sizeof key);
    hex_encode(sum, sizeof sum, out);
    return good;
}

char *sigv4_authorization(const void *ctx, const struct sigv4_key *k, struct sigv4_request *q)
{
    char date[SIGV4_DATE_BYTES], hex[SHA256_HEX_LEN + 1], *names, *lines, *out = NULL;
    void *tmp = talloc_new(ctx);

    sigv4_date(q->time_s, date);
    if (tmp != NULL && add(q->headers, &q->n_headers, "host", q->host) &&
        add(q->headers, &q->n_headers, "x-amz-content-sha256", q->payload_sha256) &&
        add(q->headers, &q->n_headers, "x-amz-date", talloc_strdup(tmp, date)) &&
        (k->token == NULL || add(q->headers, &q->n_headers, "x-amz-security-token", k->token)) &&
        list_headers(tmp, q, &names, &lines) && signature(tmp, k, q, date, names, lines, hex))
        out = talloc_asprintf(ctx, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s", k->access,
                              scope_of(tmp, k, date), names, hex);
    talloc_free(tmp);
    return out;
}

char *sigv4_presign(const void *ctx, const struct sigv4_key *k, struct sigv4_request *q, int expires_s)
{
    char date[SIGV4_DATE_BYTES], hex[SHA256_HEX_LEN + 1], *names, *lines, *out = NULL, *query;
    void *tmp = talloc_new(ctx);

    sigv4_date(q->time_s, date);
    q->payload_sha256 = "UNSIGNED-PAYLOAD";
    if (tmp != NULL && add(q->headers, &q->n_headers, "host", q->host) && list_headers(tmp, q, &names, &lines) &&
        add(q->query, &q->n_query, "X-Amz-Algorithm", "AWS4-HMAC-SHA256") &&
        add(q->query, &q->n_query, "X-Amz-Credential",
            talloc_asprintf(tmp, "%s/%s", k->access, scope_of(tmp, k, date))) &&
        add(q->query, &q->n_query, "X-Amz-Date", talloc_strdup(tmp, date)) &&
        add(q->query, &q->n_query, "X-Amz-Expires", talloc_asprintf(tmp, "%d", expires_s)) &&
        add(q->query, &q->n_query, "X-Amz-SignedHeaders", names) &&
        (k->token == NULL || add(q->query, &q->n_query, "X-Amz-Security-Token", k->token)) &&
        signature(tmp, k, q, date, names, lines, hex) && (query = sigv4_query(tmp, q)) != NULL)
        out = talloc_asprintf(ctx, "%s?%s&X-Amz-Signature=%s", q->path, query, hex);
    talloc_free(tmp);
    return out;
}
