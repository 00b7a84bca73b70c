/*
 * client.c - HTTP over api.sock, by libcurl
 *
 * One handle a call of docmillctl, so that a waiting command keeps its connection. Every request has a deadline.
 *
 * Errors become exit codes: no socket or no answer 3, a 4xx answer 4, anything else that is not 2xx 5, deadline 6. The
 * server's problem+json gives reason, message and hint.
 */
#include "ctl/client.h"
#include "core/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_MS 40000 /* above the server's own deadline for a statement */
#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_MAX_BYTES   268435456UL /* 256 MB */

size_t client_receive(char *p, size_t size, size_t n, void *arg)
{
    struct client_answer *a = arg;

    n *= size;
    if (a->len + n > ANSWER_MAX_BYTES)
        return 0;
    a->text = talloc_realloc_size(a->ctx, a->text, a->len + n + 1);
    if (a->text == NULL)
        return 0;
    memcpy(a->text + a->len, p, n);
    a->len += n;
    a->text[a->len] = '\0';
    return n;
}

const char *client_socket(const struct ctl *c)
{
    return talloc_asprintf(c->mem, "%s/api.sock", c->run_dir);
}

static int unreachable(const struct ctl *c, const char *what, struct error *e)
{
    reason_error(e, REASON_not_running, ECONNREFUSED, "no docmill API answers on %s: %s", client_socket(c), what);
    error_hint(e, "Is the daemon started (systemctl start docmill)? Is it another --run-dir?");
    return CTL_UNREACHABLE;
}

int client_outcome(const struct ctl *c, CURLcode code, const char *words, long status, const json_t *body,
                   struct error *e)
{
    const char *type = ctl_string(body, "type");
    enum reason r = strncmp(type, "urn:docmill:", 12) == 0 ? reason_parse(type + 12) : REASON_NONE;

    if (code == CURLE_OPERATION_TIMEDOUT) {
        reason_error(e, REASON_not_running, ETIMEDOUT, "the daemon did not answer in time on %s", client_socket(c));
        error_hint(e, "Look at `docmillctl health`.");
        return CTL_TIMEOUT;
    }
    if (code == CURLE_COULDNT_CONNECT) /* libcurl would speak of a port */
        return unreachable(c, access(client_socket(c), W_OK) == 0 ? "nobody listens on it" : strerror(errno), e);
    if (code != CURLE_OK && status < 400)
        return unreachable(c, words[0] != '\0' ? words : curl_easy_strerror(code), e);
    if (status >= 200 && status < 300)
        return CTL_OK;
    if (r == REASON_NONE)
        reason_error(e, REASON_internal, EPROTO, "the daemon answered with status %ld", status);
    else
        reason_error(e, r, EREMOTEIO, "%s", ctl_string(body, "detail"));
    error_hint(e, "%s", ctl_string(body, "hint"));
    return status >= 400 && status < 500 ? CTL_REFUSED : CTL_SERVER;
}

void client_prepare(const struct ctl *c, CURL *h, const char *path, struct client_answer *a)
{
    curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, client_socket(c));
    curl_easy_setopt(h, CURLOPT_URL, talloc_asprintf(c->mem, "http://docmill%s", path));
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, client_receive);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, a->words);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "docmillctl/" DOCMILL_VERSION);
}

int client_try(struct ctl *c, const char *method, const char *path, json_t **body, struct error *e)
{
    struct client_answer a = {.ctx = c->mem};
    CURLcode code;
    long status = 0;
    int rc;

    if (c->curl == NULL)
        c->curl = curl_easy_init();
    if (c->curl == NULL) {
        reason_error(e, REASON_os_error, ENOMEM, "out of memory");
        return CTL_SERVER;
    }
    curl_easy_reset(c->curl);
    client_prepare(c, c->curl, path, &a);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)REQUEST_TIMEOUT_MS);
    code = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    *body = a.text != NULL ? json_loadb(a.text, a.len, 0, NULL) : NULL;
    rc = client_outcome(c, code, a.words, status, *body, e);
    talloc_free(a.text);
    if (rc == CTL_OK && *body == NULL) {
        reason_error(e, REASON_internal, EPROTO, "the daemon's answer is no JSON");
        rc = CTL_SERVER;
    }
    if (rc != CTL_OK) {
        json_decref(*body);
        *body = NULL;
    }
    return rc;
}

int client_call(struct ctl *c, const char *method, const char *path, json_t **body)
{
    struct error e = {0};
    int rc = client_try(c, method, path, body, &e);

    return rc == CTL_OK ? rc : ctl_fail(c, rc, &e);
}

char *client_escape(struct ctl *c, const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = talloc_strdup(c->mem, escaped != NULL ? escaped : "");

    curl_free(escaped);
    return copy;
}

void client_free(struct ctl *c)
{
    if (c->curl != NULL)
        curl_easy_cleanup(c->curl);
    c->curl = NULL;
}
