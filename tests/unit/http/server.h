/*
 * server.h - a scripted HTTP server for the client's tests
 *
 * Raw sockets in threads of the test's process: each connection is given to the test's own function, which reads and
 * writes bytes as it likes, well-formed or not. What was received is kept for the test to look at. Every wait ends
 * after SERVER_PATIENCE_MS, and when the server is stopped.
 */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define SERVER_PATIENCE_MS 20000
#define SERVER_MAX         64

struct server;

struct peer {
    struct server *server;
    int fd, no;    /* no: which connection this is, from 0 */
    void *tls;     /* SSL, or NULL */
    char *request; /* the last one read: headers, blank line, body */
    size_t len, header_len;
};

struct server {
    void (*handler)(struct peer *p);
    int listener, port;
    bool tls, h2;
    void *tls_context;
    char ca_file[64];
    pthread_t accepter, threads[SERVER_MAX];
    pthread_mutex_t lock;
    int n_connections, n_requests;
    int stop_pipe[2]; /* readable when the server stops */
    char *requests[SERVER_MAX];
    size_t request_lens[SERVER_MAX];
    int intact; /* connections in threads[] */
};

void server_start(struct server *s, void (*handler)(struct peer *p));
/* A self-signed certificate of localhost and 127.0.0.1, also in s->ca_file; h2: offers HTTP/2 by ALPN. */
void server_start_tls(struct server *s, void (*handler)(struct peer *p), bool h2);
void server_stop(struct server *s);

bool peer_read(struct peer *p);         /* a whole request; false at the end of the connection */
bool peer_read_headers(struct peer *p); /* only up to the blank line */
bool peer_read_exactly(struct peer *p, char *to, size_t n);
void peer_write(struct peer *p, const char *text); /* a string */
void peer_send(struct peer *p, const void *data, size_t n);
void peer_answer(struct peer *p, const char *body); /* 200 with Content-Length */
bool peer_pause(struct peer *p, int ms);            /* false if the client or the server went away meanwhile */
void peer_reset(struct peer *p);                    /* RST instead of FIN */

int server_tls_set_up(struct server *s);
int server_tls_accept(struct peer *p);
long server_tls_read(struct peer *p, void *to, size_t n);
long server_tls_write(struct peer *p, const void *from, size_t n);
void server_tls_close(struct peer *p);
void server_tls_free(struct server *s);

#endif
