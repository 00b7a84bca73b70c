/*
 * call.c - one request: checked, copied, and set up as an easy handle
 *
 * The address is parsed once, and libcurl gets the parsed form, so that what was checked is what is used. Credentials
 * in it are refused: they belong into a secret header. Nothing of the environment counts, no proxy and no .netrc.
 *
 * Diagnostics
 *   bad_request  an address that is none, another scheme, credentials in it, a header with a line break, two bodies
 *
 * Depends on core/reason.h, libcurl.
 */
#include "core/reason.h"
#include "http/http_int.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#define CONNECT_MS   10000
#define TOTAL_MS     60000
#define MAX_RESPONSE (16UL * 1024 * 1024)
#define MAX_URL      8000

static int bad(struct error *e, const char *what)
{
    return reason_error(e, REASON_bad_request, EINVAL, "%s", what);
}

static int parse_url(struct http_call *c, const char *text, struct error *e)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    int rc = 0;

    if (text == NULL || strlen(text) > MAX_URL)
        return bad(e, "the address to call is missing or too long");
    c->url = curl_url();
    if (c->url == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    switch (curl_url_set(c->url, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS)) {
    case CURLUE_OK:
        break;
    case CURLUE_USER_NOT_ALLOWED:
        return bad(e, "the address to call holds credentials, which belong into a header");
    default:
        return bad(e, "the address to call is no address of the form https://host/path");
    }
    curl_url_set(c->url, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(c->url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
        rc = bad(e, "the address to call is neither http:// nor https://");
    else if (curl_url_get(c->url, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '\0' ||
             curl_url_get(c->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        rc = bad(e, "the address to call names no host");
    else
        c->where = talloc_asprintf(c, "%s://%.255s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return rc;
}

static bool is_token(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~");

    return n > 0 && s[n] == '\0' && n < 200;
}

/* Visible ASCII, spaces, tabs, and what is above ASCII: nothing that could begin another header. */
static bool is_value(const char *s)
{
    for (; *s != '\0'; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

/* What the client sets by itself. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "Connection", "Host", "Expect"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static int append_header(struct http_call *c, const char *line)
{
    struct curl_slist *l = line != NULL ? curl_slist_append(c->header_list, line) : NULL;

    if (l == NULL)
        return -ENOMEM;
    c->header_list = l;
    return 0;
}

static int add_headers(struct http_call *c, const struct http_request *q, struct error *e)
{
    bool typed = q->n_parts > 0;
    int rc = append_header(c, "Expect:"); /* else a large body would wait a second for a server's leave */

    for (int i = 0; i < q->n_headers && rc == 0; i++) {
        const struct http_header *h = &q->headers[i];
        char *line;

        if (!is_token(h->name) || !is_value(h->value) || is_ours(h->name))
            return reason_error(e, REASON_bad_request, EINVAL, "a header of the request is not allowed: %.60s",
                                is_token(h->name) ? h->name : "its name is no name");
        typed = typed || strcasecmp(h->name, "Content-Type") == 0;
        /* libcurl spells a header without a value with a semicolon */
        line = talloc_asprintf(c, h->value[0] != '\0' ? "%s: %s" : "%s;", h->name, h->value);
        rc = append_header(c, line);
        if (line != NULL)
            memset(line, 0, strlen(line)); /* may hold a secret */
        talloc_free(line);
    }
    if (rc == 0 && !typed)
        rc = append_header(c, "Content-Type:"); /* libcurl would call every POST a form */
    if (rc != 0)
        return reason_error(e, REASON_os_error, rc, "out of memory");
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->header_list);
    return 0;
}

static void set_transport(struct http_call *c)
{
    struct http_engine *h = c->engine;
    CURL *easy = c->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a lookup that is given up is not waited for */
#endif
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (h->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, h->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_PROXY, h->proxy != NULL ? h->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->q.connect_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, h->user_agent);
}

static int set_method(struct http_call *c, const struct http_request *q, struct error *e)
{
    static const char *const known[] = {"GET", "HEAD", "PUT", "DELETE", "POST"};
    bool body = q->body != NULL || q->body_fd >= 0 || q->n_parts > 0;
    size_t i = 0;

    while (i < 5 && strcmp(q->method, known[i]) != 0)
        i++;
    if (i == 5)
        return bad(e, "the request's method is not one of GET, HEAD, PUT, DELETE, POST");
    c->repeatable = i < 4 && !q->once;
    c->head = i == 1;
    if (i < 2 && body)
        return bad(e, "a GET or HEAD with a body");
    if (c->head)
        curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
    else if (i == 0)
        curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
    else
        curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, q->method);
    return http_source_set(c, q, e);
}

static void fill_defaults(struct http_call *c, const struct http_request *q)
{
    c->q = *q;
    c->q.connect_ms = q->connect_ms > 0 ? q->connect_ms : CONNECT_MS;
    c->q.total_ms = q->total_ms > 0 ? q->total_ms : TOTAL_MS;
    c->q.first_byte_ms = q->first_byte_ms > 0 ? q->first_byte_ms : c->q.total_ms;
    c->q.max_response = q->max_response > 0 ? q->max_response : MAX_RESPONSE;
    c->q.url = NULL;
    c->q.method = NULL;
    c->q.headers = NULL;
    c->q.parts = NULL;
}

void http_call_free(struct http_call *c)
{
    curl_easy_cleanup(c->easy);
    curl_mime_free(c->mime);
    curl_url_cleanup(c->url);
    for (struct curl_slist *l = c->header_list; l != NULL; l = l->next)
        explicit_bzero(l->data, strlen(l->data));
    curl_slist_free_all(c->header_list);
    talloc_free(c);
}

struct http_call *http_start(struct http_engine *h, const struct http_request *q, struct error *e)
{
    struct http_call *c = talloc_zero(h, struct http_call);
    int rc;

    if (c != NULL) {
        c->engine = h;
        c->fd = -1;
        c->easy = curl_easy_init();
        c->answer = talloc_zero(c, struct http_answer);
    }
    if (c == NULL || c->easy == NULL || c->answer == NULL) {
        reason_error(e, REASON_os_error, ENOMEM, "out of memory");
        if (c != NULL)
            http_call_free(c);
        return NULL;
    }
    fill_defaults(c, q);
    rc = parse_url(c, q->url, e);
    if (rc == 0)
        rc = add_headers(c, q, e);
    if (rc == 0)
        rc = set_method(c, q, e);
    if (rc == 0) {
        curl_easy_setopt(c->easy, CURLOPT_CURLU, c->url);
        curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
        curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->words);
        set_transport(c);
        http_answer_set(c);
        rc = http_reach_set(c, e);
    }
    if (rc == 0)
        rc = http_engine_add(h, c, e);
    if (rc == 0)
        return c;
    http_call_free(c);
    return NULL;
}
