/*
 * s3.h - inside of the S3 store: one signed request
 *
 * Private to s3.c and s3_parts.c.
 */
#ifndef BLOB_S3_H
#define BLOB_S3_H

#include "blob/object.h"
#include "blob/sigv4.h"

struct s3 {
    struct object_net *net;
    struct sigv4_key key;
    const char *scheme, *host; /* host with the port, and with the bucket in host style */
    const char *root;          /* encoded: "/" or "/bucket/", behind the endpoint's path */
    const char *prefix;
    int64_t part_bytes;
    int64_t skew_s; /* the store's clock less ours, when it said that ours is wrong */
};

struct s3_request {
    const char *method;
    const char *key; /* without the prefix; NULL: the bucket */
    struct sigv4_field query[6];
    int n_query;
    struct sigv4_field headers[4]; /* lower case; signed */
    int n_headers;
    const char *body; /* or a stretch of fd */
    size_t body_len;
    int fd; /* -1: none */
    int64_t fd_offset, fd_len;
    const uint8_t *sha256; /* of the body; NULL: computed from body */
    int response_fd;       /* -1: in memory */
    bool once;             /* never repeated */
    const char *doing;
};

struct s3_request s3_request(const char *method, const char *key, const char *doing);
/* Sends it, again if that may help. 0 with a 2xx answer, whose memory belongs to ctx; otherwise *e by the store's code. */
int s3_send(struct s3 *s, const void *ctx, const struct s3_request *q, struct http_response *r,
            struct error *e) MUST_CHECK;

/* The answer to a listing: how many entries, or -EPROTO. Keys are without the prefix. */
int s3_read_list(const char *prefix, const struct http_response *r, struct object_entry *out, int max,
                 bool *more) MUST_CHECK;

/* s3_parts.c: a large blob in parts; and taking away what was never completed. */
int s3_put_parts(struct s3 *s, const char *key, int fd, int64_t len, struct error *e) MUST_CHECK;
int s3_sweep(void *state, int64_t age_ms, struct error *e) MUST_CHECK;

#endif
