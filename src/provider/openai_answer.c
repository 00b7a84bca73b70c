/*
 * openai_answer.c - the vectors out of an answer's body
 *
 * One pass that builds nothing: of each element of `data` the place of its embedding is kept until its index is known
 * (servers write them in either order), then the numbers go straight to where they belong. A string is base64 of
 * little-endian floats, an array is numbers; which of them was asked for does not matter.
 *
 * Diagnostics
 *   embed_bad_answer   the JSON is broken, or its vectors are not the ones that were asked for
 *   embed_bad_vector   marked for one vector, in the outcome; never the function's error
 *
 * Depends on base, core.
 */
#include "base/base64.h"
#include "provider/json_scan.h"
#include "provider/openai.h"
#include "provider/redact.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* Servers that promise length one keep it to single precision. What is scaled here must have a length to speak of. */
#define UNIT_TOLERANCE  1e-3
#define SMALLEST_LENGTH 1e-12

struct reading {
    const struct openai_endpoint *ep;
    struct json_scan scan;
    int n, seen;
    int other_size; /* vectors of another dimension */
    float *out;
    uint8_t *item_bad; /* during the reading: 2 where no vector has come yet */
    struct openai_outcome *o;
    struct error *e;
};

/* Of one element, until its index is known. */
struct embedding {
    const char *at; /* NULL: none */
    bool is_text;
    struct json_span text;
};

enum { ITEM_GOOD = 0, ITEM_BAD = 1, ITEM_ABSENT = 2 };

static int bad_answer(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int bad_answer(struct reading *r, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return reason_error(r->e, REASON_embed_bad_answer, EBADMSG, "The embedding service's answer cannot be used: %s%s",
                        text, text[strlen(text) - 1] == '.' ? "" : ".");
}

static int broken(struct reading *r, const char *body)
{
    return bad_answer(r, "it is no JSON of the expected shape at byte %td", r->scan.at - body);
}

/* Marks a vector as bad; the first one's fault is the outcome's error. */
static void bad_vector(struct reading *r, int index, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void bad_vector(struct reading *r, int index, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    r->item_bad[index] = ITEM_BAD;
    if (r->o->n_bad++ > 0)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    reason_error(&r->o->verdict.error, REASON_embed_bad_vector, EBADMSG, "The vector of text %d %s.", index, text);
}

/* None at all may be what a server makes of a text; any other number of dimensions is its model's. */
static void bad_size(struct reading *r, int index, int64_t dimensions)
{
    r->other_size += dimensions > 0;
    bad_vector(r, index, "has %" PRId64 " dimensions, not %d", dimensions, r->ep->dimension);
}

static double sum_of_squares(const float *v, int n)
{
    double s[4] = {0};
    int i = 0;

    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += (double)v[i + k] * (double)v[i + k];
    for (; i < n; i++)
        s[0] += (double)v[i] * (double)v[i];
    return s[0] + s[1] + s[2] + s[3];
}

/* A square of a float never overflows a double, so the sum is finite exactly if every component is. */
static void check_vector(struct reading *r, int index, float *v)
{
    int dimension = r->ep->dimension;
    double squares = sum_of_squares(v, dimension), length = sqrt(squares);

    r->item_bad[index] = ITEM_GOOD;
    if (!isfinite(squares))
        bad_vector(r, index, "holds something that is no finite number");
    else if (squares == 0)
        bad_vector(r, index, "is zero");
    else if (!openai_capabilities(r->ep->kind)->unit && length >= SMALLEST_LENGTH)
        for (int i = 0; i < dimension; i++)
            v[i] = (float)((double)v[i] / length);
    else if (fabs(length - 1) > UNIT_TOLERANCE)
        bad_vector(r, index, "has length %.4g, not 1", length);
}

static void to_host_order(float *v, int n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (int i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, &v[i], sizeof word);
        word = __builtin_bswap32(word);
        memcpy(&v[i], &word, sizeof word);
    }
#else
    (void)v;
    (void)n;
#endif
}

/* JSON may write '/' as "\/"; a backslash before anything else stays, and is no base64. What does not fit is longer than
 * any vector. */
static size_t without_escapes(const struct json_span *text, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < text->n && n < room; i++) {
        if (text->p[i] == '\\' && i + 1 < text->n && text->p[i + 1] == '/')
            i++;
        out[n++] = text->p[i];
    }
    return n;
}

static int place_base64(struct reading *r, int index, struct json_span text)
{
    size_t bytes = (size_t)r->ep->dimension * sizeof(float);
    float *v = r->out + (size_t)index * (size_t)r->ep->dimension;
    char plain[BASE64_ENCODED(4096 * sizeof(float)) + 4];
    ssize_t got;

    if (text.escaped) {
        text.n = without_escapes(&text, plain, sizeof plain);
        text.p = plain;
    }
    got = base64_decode(text.p, text.n, (uint8_t *)v, bytes);
    if (got == -EINVAL)
        return bad_answer(r, "the embedding of text %d is no base64", index);
    if (got != (ssize_t)bytes) {
        bad_size(r, index, (int64_t)(text.n / 4 * 3 / sizeof(float)));
        return 0;
    }
    to_host_order(v, r->ep->dimension);
    check_vector(r, index, v);
    return 0;
}

static int place_numbers(struct reading *r, int index, const char *at)
{
    float *v = r->out + (size_t)index * (size_t)r->ep->dimension;
    int64_t count = 0;
    struct json_scan s;
    bool first = true;
    double x;

    json_scan_begin(&s, at, (size_t)(r->scan.end - at));
    if (!json_scan_open(&s, '['))
        return bad_answer(r, "the embedding of text %d is neither a string nor an array", index);
    for (; json_scan_next(&s, ']', &first); count++) {
        x = NAN; /* null is how some servers write it */
        if (json_scan_peek(&s) == 'n' ? !json_scan_skip(&s) : !json_scan_number(&s, &x))
            break;
        if (count < r->ep->dimension)
            v[count] = fabs(x) <= (double)FLT_MAX ? (float)x : NAN;
    }
    if (s.bad)
        return bad_answer(r, "the embedding of text %d holds something that is no number", index);
    if (count != r->ep->dimension) {
        bad_size(r, index, count);
        return 0;
    }
    check_vector(r, index, v);
    return 0;
}

static int place(struct reading *r, int64_t index, const struct embedding *v)
{
    if (index < 0 || index >= r->n)
        return bad_answer(r, "it holds index %" PRId64 ", for %d texts", index, r->n);
    if (r->item_bad[index] != ITEM_ABSENT)
        return bad_answer(r, "index %" PRId64 " comes twice", index);
    r->seen++;
    return v->is_text ? place_base64(r, (int)index, v->text) : place_numbers(r, (int)index, v->at);
}

/* A string is kept. An array of numbers ends at its first bracket; whatever else it holds is found when it is read. */
static bool take_embedding(struct json_scan *s, struct embedding *v)
{
    char first = json_scan_peek(s);
    const char *end;

    v->at = s->at;
    v->is_text = first == '"';
    if (v->is_text)
        return json_scan_string(s, &v->text);
    if (first != '[')
        return json_scan_skip(s);
    end = memchr(s->at, ']', (size_t)(s->end - s->at));
    s->at = end == NULL ? s->end : end + 1;
    s->bad = s->bad || end == NULL;
    return !s->bad;
}

static int read_item(struct reading *r, const char *body)
{
    struct json_scan *s = &r->scan;
    struct embedding embedding = {0};
    int64_t index = -1;
    bool first = true, has_index = false;
    struct json_span key;

    if (!json_scan_open(s, '{'))
        return broken(r, body);
    while (json_scan_next(s, '}', &first)) {
        if (!json_scan_key(s, &key))
            break;
        if (json_span_is(&key, "embedding")) {
            take_embedding(s, &embedding);
        } else if (json_span_is(&key, "index")) {
            has_index = json_scan_int(s, &index);
        } else {
            json_scan_skip(s);
        }
    }
    if (s->bad)
        return broken(r, body);
    if (embedding.at == NULL || !has_index)
        return bad_answer(r, "an element of data has no %s", embedding.at == NULL ? "embedding" : "index");
    return place(r, index, &embedding);
}

static int read_data(struct reading *r, const char *body)
{
    bool first = true;
    int rc = 0;

    if (!json_scan_open(&r->scan, '['))
        return broken(r, body);
    while (rc == 0 && json_scan_next(&r->scan, ']', &first))
        rc = read_item(r, body);
    return rc == 0 && r->scan.bad ? broken(r, body) : rc;
}

/* Counts are for the ledger; one that is missing or odd is "not said", which the ledger marks as an estimate. */
static void read_usage(struct reading *r)
{
    struct json_scan *s = &r->scan;
    bool first = true;
    struct json_span key;
    int64_t v;

    if (json_scan_peek(s) != '{') {
        json_scan_skip(s);
        return;
    }
    json_scan_open(s, '{');
    while (json_scan_next(s, '}', &first) && json_scan_key(s, &key)) {
        char c = json_scan_peek(s);
        bool prompt = json_span_is(&key, "prompt_tokens"), total = json_span_is(&key, "total_tokens");
        if (!(prompt || total) || c < '0' || c > '9')
            json_scan_skip(s);
        else if (json_scan_int(s, &v))
            *(prompt ? &r->o->prompt_tokens : &r->o->total_tokens) = v;
    }
}

/* The model itself, or a dated or numbered version of it ("text-embedding-ada-002-v2"). */
static bool is_model(const struct json_span *said, const char *model)
{
    size_t n = strlen(model);

    return said->n >= n && memcmp(said->p, model, n) == 0 && (said->n == n || said->p[n] == '-' || said->p[n] == ':');
}

static int read_model(struct reading *r, const char *body)
{
    struct json_span said;
    char shown[80];

    if (json_scan_peek(&r->scan) != '"')
        return json_scan_skip(&r->scan) ? 0 : broken(r, body);
    if (!json_scan_string(&r->scan, &said))
        return broken(r, body);
    if (openai_capabilities(r->ep->kind)->echo == OPENAI_ECHO_ANY || said.escaped || is_model(&said, r->ep->model))
        return 0;
    redact(r->ep->api_key, said.p, said.n, shown, sizeof shown);
    return bad_answer(r, "it is of the model %s, not of %.80s", shown, r->ep->model);
}

static int read_member(struct reading *r, const char *body, const struct json_span *key)
{
    if (json_span_is(key, "data"))
        return read_data(r, body);
    if (json_span_is(key, "model"))
        return read_model(r, body);
    if (json_span_is(key, "usage"))
        read_usage(r);
    else
        json_scan_skip(&r->scan);
    return r->scan.bad ? broken(r, body) : 0;
}

static int read_all(struct reading *r, const char *body)
{
    struct json_span key;
    bool first = true;
    int rc = 0;

    if (!json_scan_open(&r->scan, '{'))
        return broken(r, body);
    while (rc == 0 && json_scan_next(&r->scan, '}', &first))
        rc = json_scan_key(&r->scan, &key) ? read_member(r, body, &key) : broken(r, body);
    if (rc < 0)
        return rc;
    if (!json_scan_done(&r->scan))
        return broken(r, body);
    if (r->seen != r->n)
        return bad_answer(r, "it has %d vectors for %d texts", r->seen, r->n);
    /* one text's vector may be bad by its text, but not in its dimension */
    if (r->o->n_bad == r->n && (r->n > 1 || r->other_size == r->n))
        return bad_answer(r, "no vector of it is right. %.100s", r->o->verdict.error.message);
    return 0;
}

int openai_read(const struct openai_endpoint *ep, const char *body, size_t len, int n, float *out, uint8_t *item_bad,
                struct openai_outcome *o, struct error *e)
{
    struct reading r = {.ep = ep, .n = n, .out = out, .item_bad = item_bad, .o = o, .e = e};
    int rc;

    *o = (struct openai_outcome){.prompt_tokens = -1, .total_tokens = -1, .verdict = {.wait_ms = -1, .item = -1}};
    memset(item_bad, ITEM_ABSENT, (size_t)n);
    json_scan_begin(&r.scan, body, len);
    rc = read_all(&r, body);
    if (rc < 0) {
        o->n_bad = 0;
        memset(item_bad, 0, (size_t)n);
    }
    return rc;
}
