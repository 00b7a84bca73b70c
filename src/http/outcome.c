/*
 * outcome.c - from what happened to a response: a status, or a reason and a sentence
 *
 * A sentence names scheme, host and port, never a path, a query, a header or anything the server wrote, except the
 * place a redirect points to, and of that only scheme and host. libcurl's own words are used for failures before the
 * request is sent (names, connections, certificates), where no secret has gone out yet.
 *
 * Depends on base/clock.h, core/reason.h, libcurl.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "http/http_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void describe_stop(struct http_call *c, struct error *e)
{
    const struct http_request *q = &c->q;
    int err = c->stop_errno;

    switch (c->stop) {
    case HTTP_STOP_NONE:
        break;
    case HTTP_STOP_CANCELLED:
        reason_error(e, REASON_cancelled, err, "the request to %s was cancelled", c->where);
        break;
    case HTTP_STOP_CONNECT:
        reason_error(e, REASON_http_timeout, err, "no connection to %s within %" PRId64 " ms", c->where, q->connect_ms);
        break;
    case HTTP_STOP_FIRST_BYTE:
        reason_error(e, REASON_http_timeout, err,
                     "%s took the request but did not begin to answer within %" PRId64 " ms", c->where,
                     q->first_byte_ms);
        break;
    case HTTP_STOP_TOTAL:
        reason_error(e, REASON_http_timeout, err, "the request to %s was not finished within %" PRId64 " ms", c->where,
                     q->total_ms);
        break;
    case HTTP_STOP_LOW_SPEED:
        reason_error(e, REASON_http_timeout, err,
                     "less than %" PRId64 " bytes a second went to or came from %s for %" PRId64 " ms",
                     q->low_speed_bytes, c->where, q->low_speed_ms);
        break;
    case HTTP_STOP_TOO_LARGE:
        reason_error(e, REASON_http_too_large, err, "the answer of %s is larger than the %zu bytes allowed", c->where,
                     q->max_response);
        break;
    case HTTP_STOP_HEADERS:
        reason_error(e, REASON_http_too_large, err, "the headers of %s's answer do not end", c->where);
        break;
    case HTTP_STOP_ADDRESS:
        reason_error(e, REASON_http_refused, err, "%s is at %s, which is no public address", c->where, c->refused);
        error_hint(e, "http.allow_private lists the private networks that may be called.");
        break;
    case HTTP_STOP_UNKNOWN:
        reason_error(e, REASON_http_refused, err, "the address of %s cannot be checked through a proxy", c->where);
        error_hint(e, "http.allow_private = \"all\" leaves it to the proxy which addresses may be called.");
        break;
    case HTTP_STOP_RESEND:
        reason_error(e, REASON_http_broken, err,
                     "%s closed the connection on which the request was sent; it was not sent again", c->where);
        break;
    case HTTP_STOP_SOURCE:
        reason_error(e, REASON_os_error, err, "the file to be sent to %s could not be read: %s", c->where,
                     err == ENODATA ? "it is shorter than it was" : strerror(err));
        break;
    case HTTP_STOP_SINK:
        reason_error(e, REASON_os_error, err, "the answer of %s could not be written: %s", c->where, strerror(err));
        break;
    case HTTP_STOP_MEMORY:
        reason_error(e, REASON_os_error, err, "out of memory");
        break;
    }
}

/* libcurl's sentence with nothing in it that could break a log line. */
static const char *words(struct http_call *c)
{
    if (c->result == CURLE_COULDNT_RESOLVE_PROXY || c->result == CURLE_NOT_BUILT_IN)
        return curl_easy_strerror(c->result); /* its own sentence quotes the proxy, with the password in it */
    for (char *p = c->words; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = '?';
    return c->words[0] != '\0' ? c->words : curl_easy_strerror(c->result);
}

static void describe_unsent(struct http_call *c, struct error *e)
{
    switch (c->result) {
    case CURLE_OPERATION_TIMEDOUT:
        c->stop = HTTP_STOP_CONNECT;
        c->stop_errno = ETIMEDOUT;
        describe_stop(c, e);
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        reason_error(e, REASON_http_refused, EACCES, "the certificate of %s is not accepted: %s", c->where, words(c));
        error_hint(e, "http.ca_file names a file with the certificates to trust.");
        return;
    default:
        break;
    }
    if (c->refused[0] != '\0' && c->sockets == 0) {
        c->stop = HTTP_STOP_ADDRESS;
        c->stop_errno = EACCES;
        describe_stop(c, e);
        return;
    }
    reason_error(e, REASON_http_unreachable, EHOSTUNREACH, "no connection to %s: %s", c->where, words(c));
}

static void describe_result(struct http_call *c, struct error *e)
{
    if (c->sends == 0)
        describe_unsent(c, e);
    else if (c->result == CURLE_OUT_OF_MEMORY)
        reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    else
        reason_error(e, REASON_http_broken, ECONNRESET, "%s: %s", c->where, curl_easy_strerror(c->result));
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void describe_redirect(struct http_call *c, long status, struct error *e)
{
    CURLU *u = curl_url();
    char *to = NULL, *scheme = NULL, *host = NULL;
    bool known;

    curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &to);
    known = u != NULL && to != NULL && curl_url_set(u, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    reason_error(e, REASON_http_refused, EACCES, "%s answered %ld, a redirect%s%.20s%s%.200s, which is not followed",
                 c->where, status, known ? " to " : "", known ? scheme : "", known ? "://" : "", known ? host : "");
    for (char *p = e->message; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
}

static void measure(struct http_call *c, struct http_response *r)
{
    curl_off_t connect = 0, secure = 0, first = 0, up = 0, down = 0;
    long request = 0, header = 0;

    curl_easy_getinfo(c->easy, CURLINFO_CONNECT_TIME_T, &connect);
    curl_easy_getinfo(c->easy, CURLINFO_APPCONNECT_TIME_T, &secure);
    curl_easy_getinfo(c->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &request);
    curl_easy_getinfo(c->easy, CURLINFO_HEADER_SIZE, &header);
    r->connect_ms = (secure > connect ? secure : connect) / 1000;
    r->first_byte_ms = first / 1000;
    r->total_ms = clock_ms() - c->started_ms;
    r->sent_bytes = request + up;
    r->received_bytes = header + down;
}

void http_outcome(struct http_call *c, struct http_response *r)
{
    struct http_answer *a = c->answer;
    long status = 0;

    memset(r, 0, sizeof *r);
    r->sent = c->sends > 0;
    if (c->in_multi || c->sends > 0)
        measure(c, r);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (c->stop != HTTP_STOP_NONE)
        describe_stop(c, &r->error);
    else if (c->result != CURLE_OK)
        describe_result(c, &r->error);
    else if (is_redirect(status))
        describe_redirect(c, status, &r->error);
    else
        r->status = (int)status;
    r->headers = a->headers;
    r->n_headers = a->n_headers;
    r->memory = a;
    r->len = a->len;
    r->body = a->body;
    if (r->body == NULL && (c->q.response_fd < 0 || status / 100 != 2))
        r->body = "";
}
