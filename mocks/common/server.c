/*
 * server.c - connections in, answers out, faults on the way
 *
 * libmicrohttpd with a thread a connection. A request is read whole, given its number, and served; then the answer is
 * delayed, cut, dripped or dropped as the faults have it. A reset is a close with SO_LINGER 0 in the middle of a body
 * whose full length was announced.
 *
 * Diagnostics
 *   fatal   a port that cannot be had
 *
 * Depends on base, common, libmicrohttpd.
 */
#include "common/mock_int.h"
#include "common/request.h"
#include "common/spoil.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#define BLOCK_BYTES   32768
#define FIRST_BYTES   8192
#define DROPPED       MHD_NO
#define IDLE_SECONDS  120
#define THREAD_STACK  (1024 * 1024)
#define HUNG_SLICE_MS 200

/* A request with what only the server knows of it. */
struct exchange {
    struct mock *mock;
    struct mock_request *q; /* owns the exchange's answer */
    struct mock_answer a;
    struct spoil spoil;
    char *body;
    size_t len, room;
    bool begun, too_large, counted, answered;
    int fd;
};

static void *handle_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct exchange *x = talloc_zero(NULL, struct exchange);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    x->mock = cls;
    x->q = request_new(cls, uri);
    x->fd = info != NULL ? info->connect_fd : -1;
    x->a.headers = json_object();
    return x;
}

static enum MHD_Result handle_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    request_header(cls, name, value != NULL ? value : "");
    return MHD_YES;
}

static void append(struct exchange *x, const char *p, size_t n)
{
    if (x->len + n > x->mock->program->max_body) {
        x->too_large = true; /* read on, and say so at the end */
        return;
    }
    if (x->len + n + 1 > x->room) {
        x->room = (x->len + n + 1) * 2 + FIRST_BYTES;
        x->body = talloc_realloc(x->q, x->body, char, (unsigned)x->room);
    }
    memcpy(x->body + x->len, p, n);
    x->len += n;
    x->body[x->len] = '\0';
    x->q->body = x->body;
    x->q->body_len = x->len;
}

/* ---- the answer on its way ---- */

static ssize_t handle_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct exchange *x = cls;
    size_t end = x->spoil.cut ? x->spoil.cut_at : x->a.body_len, n = end - (size_t)pos;

    if (pos >= end) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};

        (void)setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (x->spoil.drip_bytes > 0) {
        if (!mock_sleep(x->mock, x->spoil.drip_ms))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        n = n < x->spoil.drip_bytes ? n : x->spoil.drip_bytes;
    }
    n = n < max ? n : max;
    memcpy(out, x->a.body + pos, n);
    return (ssize_t)n;
}

static struct MHD_Response *response_of(struct exchange *x)
{
    struct MHD_Response *r;
    const char *name;
    json_t *value;

    if (x->a.body_len == 0)
        r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    else if (!x->spoil.cut && x->spoil.drip_bytes == 0)
        r = MHD_create_response_from_buffer(x->a.body_len, (void *)(uintptr_t)x->a.body, MHD_RESPMEM_PERSISTENT);
    else
        r = MHD_create_response_from_callback(x->a.body_len, BLOCK_BYTES, handle_read, x, NULL);
    if (r == NULL)
        return NULL;
    if (x->a.type != NULL)
        MHD_add_response_header(r, "Content-Type", x->a.type);
    json_object_foreach(x->a.headers, name, value) MHD_add_response_header(r, name, json_string_value(value));
    return r;
}

static enum MHD_Result send_answer(struct exchange *x, struct MHD_Connection *c)
{
    struct MHD_Response *r;
    enum MHD_Result queued;

    if (x->counted) {
        mock_lock(x->mock);
        journal_add(x->mock->journal, x->q, &x->a, mock_now_ms(x->mock));
        x->mock->sending++;
        x->answered = true;
        mock_unlock(x->mock);
    }
    if (x->a.drop)
        return DROPPED;
    r = response_of(x);
    if (r == NULL)
        return DROPPED;
    queued = MHD_queue_response(c, (unsigned)x->a.status, r);
    MHD_destroy_response(r);
    return queued;
}

/* ---- one request ---- */

static void answer_too_large(struct exchange *x)
{
    answer_json(x->q, &x->a, 413, json_pack("{s:s}", "error", "request entity too large"));
}

/* As long as the client is there; in slices of the mock's time, so that a moved clock ends it. */
static void wait_for(struct exchange *x, int64_t ms)
{
    int64_t until = mock_now_ms(x->mock) + ms, left;
    char byte;

    while ((left = until - mock_now_ms(x->mock)) > 0) {
        if (!mock_sleep(x->mock, left < HUNG_SLICE_MS ? left : HUNG_SLICE_MS) ||
            recv(x->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            x->a.drop = true;
            return;
        }
    }
}

static void process(struct exchange *x)
{
    const struct mock_program *p = x->mock->program;

    if (control_serve(x->mock, x->q, &x->a))
        return;
    mock_lock(x->mock);
    x->q->number = ++x->mock->requests;
    mock_unlock(x->mock);
    x->counted = true;
    if (x->too_large)
        answer_too_large(x);
    else if (!spoil_before(x->q, &x->a))
        p->serve(p->state, x->q, &x->a);
    spoil_after(x->q, &x->a, &x->spoil);
    wait_for(x, x->a.delay_ms);
    if (strcmp(x->q->method, "HEAD") == 0)
        x->spoil = (struct spoil){0};
}

static enum MHD_Result handle_access(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                     const char *version, const char *data, size_t *n, void **con_cls)
{
    struct exchange *x = *con_cls;

    (void)cls;
    (void)url;
    (void)version;
    if (!x->begun) {
        x->begun = true;
        x->q->method = talloc_strdup(x->q, method);
        MHD_get_connection_values(c, MHD_HEADER_KIND, handle_header, x->q);
        return MHD_YES;
    }
    if (*n > 0) {
        append(x, data, *n);
        *n = 0;
        return MHD_YES;
    }
    process(x);
    return send_answer(x, c);
}

static void handle_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode how)
{
    struct mock *m = cls;
    struct exchange *x = *con_cls;

    (void)c;
    if (x == NULL)
        return;
    if (x->answered) {
        bool sent = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;

        mock_lock(m);
        journal_ended(m->journal, x->q->number, sent ? "sent" : "broken", mock_now_ms(m));
        if (m->program->ended != NULL)
            m->program->ended(m->program->state, x->q, &x->a, sent && !x->a.spoilt);
        m->changed = true;
        m->sending--;
        pthread_cond_broadcast(&m->moved);
        mock_unlock(m);
    }
    json_decref(x->a.headers);
    talloc_free(x->q);
    talloc_free(x);
    *con_cls = NULL;
}

/* ---- the socket ---- */

static int listen_on(int port, int *got, struct error *e)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 511) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
        error_set(e, -errno, ERR_PERMANENT, "listen", "port %d: %s", port, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *got = ntohs(at.sin_port);
    return fd;
}

int server_start(struct mock *m, struct error *e)
{
    int fd = listen_on(m->port, &m->port, e);

    if (fd < 0)
        return e->code;
    m->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, handle_access, m,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, handle_uri, m, MHD_OPTION_NOTIFY_COMPLETED,
        handle_completed, m, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK, MHD_OPTION_CONNECTION_LIMIT, 2000u, MHD_OPTION_END);
    if (m->daemon == NULL)
        return error_set(e, -EIO, ERR_INTERNAL, "listen", "the HTTP server did not start");
    return 0;
}

void server_stop(struct mock *m)
{
    MHD_stop_daemon(m->daemon);
    m->daemon = NULL;
}
