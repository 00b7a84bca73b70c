/*
 * sigv4.c - is a request signed as AWS Signature Version 4 has it
 *
 * By the Authorization header or by the query of a presigned URL. Everything is recomputed from what was received: the
 * canonical request with the path encoded once, the query sorted, the headers that are named as signed; the hash of
 * the payload against the payload itself. Beyond the arithmetic it is asked that host and every x-amz- header are
 * signed, that the date is within a quarter of an hour, and that a presigned URL is not too old.
 *
 * Depends on base, libcrypto.
 */
#include "base/hash.h"
#include "supabase/supabase.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define SKEW_MS     (15 * 60 * 1000)
#define PRESIGN_MAX 604800
#define MAX_ARGS    100
#define UNSIGNED    "UNSIGNED-PAYLOAD"

/* What the request says of its signature. */
struct claim {
    bool presigned;
    char *key_id, *day, *region, *service;
    char *signed_headers, *signature;
    const char *date; /* 20260922T101112Z */
    const char *hash; /* of the payload, as it goes into the canonical request */
    int64_t expires_s;
};

/* ---- reading the claim ---- */

static char *field(const void *ctx, const char *text, const char *name)
{
    size_t n = strlen(name);
    const char *p = text;

    while ((p = strstr(p, name)) != NULL && p[n] != '=')
        p += n;
    return p != NULL ? talloc_strndup(ctx, p + n + 1, strcspn(p + n + 1, ", ")) : NULL;
}

/* id/day/region/service/aws4_request; the id may hold slashes. */
static bool take_scope(const void *ctx, struct claim *c, const char *credential)
{
    char *text = talloc_strdup(ctx, credential != NULL ? credential : ""), *parts[4];

    for (int i = 3; i >= 0; i--) {
        char *slash = strrchr(text, '/');

        if (slash == NULL)
            return false;
        *slash = '\0';
        parts[i] = slash + 1;
    }
    c->key_id = text;
    c->day = parts[0];
    c->region = parts[1];
    c->service = parts[2];
    return strcmp(parts[3], "aws4_request") == 0 && strcmp(c->service, "s3") == 0;
}

static bool take_header_claim(struct mock_request *q, struct claim *c, const char *header)
{
    if (strncmp(header, ALGORITHM " ", strlen(ALGORITHM) + 1) != 0)
        return false;
    c->signed_headers = field(q, header, "SignedHeaders");
    c->signature = field(q, header, "Signature");
    c->date = mock_header(q, "x-amz-date");
    c->hash = mock_header(q, "x-amz-content-sha256");
    return c->signed_headers != NULL && c->signature != NULL && c->date != NULL && strlen(c->date) == 16 &&
           take_scope(q, c, field(q, header, "Credential"));
}

static bool take_query_claim(struct mock_request *q, struct claim *c)
{
    const char *expires = mock_arg(q, "X-Amz-Expires"), *algorithm = mock_arg(q, "X-Amz-Algorithm"),
               *headers = mock_arg(q, "X-Amz-SignedHeaders"), *signature = mock_arg(q, "X-Amz-Signature");

    c->presigned = true;
    c->date = mock_arg(q, "X-Amz-Date");
    c->hash = mock_header(q, "x-amz-content-sha256") != NULL ? mock_header(q, "x-amz-content-sha256") : UNSIGNED;
    if (algorithm == NULL || strcmp(algorithm, ALGORITHM) != 0 || expires == NULL || headers == NULL ||
        signature == NULL || c->date == NULL || strlen(c->date) != 16)
        return false;
    c->signed_headers = talloc_strdup(q, headers);
    c->signature = talloc_strdup(q, signature);
    c->expires_s = strtoll(expires, NULL, 10);
    return c->expires_s >= 1 && c->expires_s <= PRESIGN_MAX && take_scope(q, c, mock_arg(q, "X-Amz-Credential"));
}

/* ---- the canonical request ---- */

static char *encode(const void *ctx, const char *s, size_t n, bool keep_slash)
{
    char *out = talloc_array(ctx, char, (unsigned)(3 * n + 1)), *p = out;

    for (size_t i = 0; i < n; i++) {
        char c = s[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            memchr("-_.~", c, 4) != NULL || (keep_slash && c == '/'))
            *p++ = c;
        else
            p += sprintf(p, "%%%02X", (unsigned char)c);
    }
    *p = '\0';
    return out;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* As the query has it: percent only, a plus is a plus. */
static char *decode(const void *ctx, const char *s, size_t n, size_t *out_n)
{
    char *out = talloc_array(ctx, char, (unsigned)n + 1), *p = out;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            *p++ = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        } else {
            *p++ = s[i];
        }
    }
    *out_n = (size_t)(p - out);
    *p = '\0';
    return out;
}

static char *encoded_again(const void *ctx, const char *s, size_t n, bool keep_slash)
{
    size_t m;
    char *plain = decode(ctx, s, n, &m);

    return encode(ctx, plain, m, keep_slash);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *canonical_query(struct mock_request *q)
{
    char *pairs[MAX_ARGS], *out = talloc_strdup(q, "");
    size_t n = 0;

    for (const char *p = q->query; *p != '\0' && n < MAX_ARGS;) {
        size_t len = strcspn(p, "&"), eq = strcspn(p, "=&");

        if (strncmp(p, "X-Amz-Signature=", 16) != 0 && len > 0)
            /* a low byte between name and value, so that the order is first by name */
            pairs[n++] = talloc_asprintf(q, "%s\x01%s", encoded_again(q, p, eq, false),
                                         eq < len ? encoded_again(q, p + eq + 1, len - eq - 1, false) : "");
        p += len + (p[len] == '&');
    }
    qsort(pairs, n, sizeof *pairs, by_text);
    for (size_t i = 0; i < n; i++) {
        *strchr(pairs[i], '\x01') = '=';
        out = talloc_asprintf_append_buffer(out, "%s%s", i > 0 ? "&" : "", pairs[i]);
    }
    return out;
}

/* Trimmed, runs of spaces made one. */
static char *trimmed(const void *ctx, const char *s)
{
    char *out = talloc_strdup(ctx, s + strspn(s, " \t")), *to = out;

    for (const char *from = out; *from != '\0'; from++)
        if (*from != ' ' || (to > out && to[-1] != ' '))
            *to++ = *from;
    while (to > out && to[-1] == ' ')
        to--;
    *to = '\0';
    return out;
}

static char *canonical_headers(struct mock_request *q, const char *names)
{
    char *out = talloc_strdup(q, "");

    while (*names != '\0') {
        char *name = talloc_strndup(q, names, strcspn(names, ";"));
        const char *value = mock_header(q, name);

        out = talloc_asprintf_append_buffer(out, "%s:%s\n", name, trimmed(q, value != NULL ? value : ""));
        names += strlen(name);
        names += *names == ';';
    }
    return out;
}

static char *canonical_request(struct mock_request *q, const struct claim *c)
{
    size_t n = strcspn(q->uri, "?");

    return talloc_asprintf(q, "%s\n%s\n%s\n%s\n%s\n%s", q->method, encoded_again(q, q->uri, n, true),
                           canonical_query(q), canonical_headers(q, c->signed_headers), c->signed_headers, c->hash);
}

/* ---- the signature ---- */

static void mac(const void *key, size_t n, const char *text, unsigned char out[SHA256_BYTES])
{
    unsigned len;
    unsigned char full[EVP_MAX_MD_SIZE];

    HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)text, strlen(text), full, &len);
    memcpy(out, full, SHA256_BYTES);
}

static char *signature_of(const void *ctx, const struct claim *c, const char *secret, const char *canonical)
{
    char *first = talloc_asprintf(ctx, "AWS4%s", secret), *text, hash[65], *hex = talloc_array(ctx, char, 65);
    unsigned char k[SHA256_BYTES];

    mock_sha256_hex(canonical, strlen(canonical), hash);
    text =
        talloc_asprintf(ctx, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", c->date, c->day, c->region, c->service, hash);
    mac(first, strlen(first), c->day, k);
    mac(k, sizeof k, c->region, k);
    mac(k, sizeof k, c->service, k);
    mac(k, sizeof k, "aws4_request", k);
    mac(k, sizeof k, text, k);
    hex_encode(k, sizeof k, hex);
    return hex;
}

/* ---- what else has to be so ---- */

static bool is_signed(const struct claim *c, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = c->signed_headers; (p = strstr(p, name)) != NULL; p += n)
        if ((p == c->signed_headers || p[-1] == ';') && (p[n] == ';' || p[n] == '\0'))
            return true;
    return false;
}

static bool all_signed(const struct mock_request *q, const struct claim *c)
{
    const char *name;
    json_t *value;

    json_object_foreach(q->headers, name, value)
    {
        if (strncmp(name, "x-amz-", 6) == 0 && !is_signed(c, name))
            return false;
    }
    return is_signed(c, "host");
}

static int64_t date_ms(const char *date)
{
    struct tm tm = {0};

    return strptime(date, "%Y%m%dT%H%M%SZ", &tm) != NULL ? (int64_t)timegm(&tm) * 1000 : 0;
}

static bool date_is_right(struct mock_request *q, struct mock_answer *a, const struct claim *c)
{
    int64_t at = date_ms(c->date), now = mock_now_ms(q->mock);

    if (strncmp(c->date, c->day, 8) != 0)
        s3_error(q, a, 403, "SignatureDoesNotMatch", "The credential's date is not the request's");
    else if (at - now > SKEW_MS || (!c->presigned && now - at > SKEW_MS))
        s3_error(q, a, 403, "RequestTimeTooSkewed",
                 "The difference between the request time and the current time is too large.");
    else if (c->presigned && now > at + c->expires_s * 1000)
        s3_error(q, a, 403, "AccessDenied", "Request has expired");
    else
        return true;
    return false;
}

static bool payload_is_right(const struct supabase *s, struct mock_request *q, struct mock_answer *a,
                             const struct claim *c)
{
    char hash[65];

    if (c->hash == NULL) {
        s3_error(q, a, 400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
        return false;
    }
    if (strcmp(c->hash, UNSIGNED) == 0) {
        if (c->presigned || !s->refuse_unsigned)
            return true;
        s3_error(q, a, 400, "InvalidRequest", "UNSIGNED-PAYLOAD is not accepted");
        return false;
    }
    if (strncmp(c->hash, "STREAMING-", 10) == 0) {
        s3_error(q, a, 501, "NotImplemented", "Chunked signatures are not implemented");
        return false;
    }
    mock_sha256_hex(q->body, q->body_len, hash);
    if (strcmp(hash, c->hash) == 0)
        return true;
    s3_error(q, a, 400, "XAmzContentSHA256Mismatch",
             "The provided 'x-amz-content-sha256' header does not match what was computed.");
    return false;
}

static const char *secret_of(const struct supabase *s, const char *id)
{
    for (int i = 0; i < s->n_s3_keys; i++)
        if (strcmp(s->s3_keys[i].id, id) == 0)
            return s->s3_keys[i].secret;
    return NULL;
}

static bool claim_of(struct mock_request *q, struct mock_answer *a, struct claim *c)
{
    const char *header = mock_header(q, "authorization");

    if (header == NULL && mock_arg(q, "X-Amz-Signature") == NULL) {
        s3_error(q, a, 403, "AccessDenied", "Access Denied");
        return false;
    }
    if (header != NULL ? take_header_claim(q, c, header) : take_query_claim(q, c))
        return true;
    s3_error(q, a, 400, header != NULL ? "AuthorizationHeaderMalformed" : "AuthorizationQueryParametersError",
             "The authorization is malformed");
    return false;
}

static void mismatch(struct mock_request *q, struct mock_answer *a, const char *canonical)
{
    answer_xml(q, a, 403,
               talloc_asprintf(q,
                               "<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated "
                               "does not match the signature you provided. Check your key and signing "
                               "method.</Message><CanonicalRequest>%s</CanonicalRequest></Error>",
                               xml_text(q, canonical)));
}

bool sigv4_verify(const struct supabase *s, struct mock_request *q, struct mock_answer *a)
{
    struct claim c = {0};
    const char *secret;
    char *canonical;

    if (!claim_of(q, a, &c))
        return false;
    secret = secret_of(s, c.key_id);
    if (secret == NULL) {
        s3_error(q, a, 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
        return false;
    }
    if (s->region != NULL && strcmp(c.region, s->region) != 0) {
        s3_error(q, a, 400, "AuthorizationHeaderMalformed",
                 talloc_asprintf(q, "The region '%s' is wrong; expecting '%s'", c.region, s->region));
        return false;
    }
    if (!date_is_right(q, a, &c))
        return false;
    if (!all_signed(q, &c)) {
        s3_error(q, a, 403, "AccessDenied", "There were headers present in the request which were not signed");
        return false;
    }
    if (c.hash == NULL)
        return payload_is_right(s, q, a, &c);
    canonical = canonical_request(q, &c);
    if (strcmp(signature_of(q, &c, secret, canonical), c.signature) != 0) {
        mismatch(q, a, canonical);
        return false;
    }
    return payload_is_right(s, q, a, &c);
}
