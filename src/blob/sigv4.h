/*
 * sigv4.h - AWS Signature Version 4 for S3: in a header, or in the query of a URL that is given away
 *
 * libcurl signs as well, but differently from release to release (query order, host with a port, path), and presigns
 * nothing; both kinds share all but the last step. Times are the wall clock's, since the store compares them with its
 * own: whoever signs may add the difference it was told.
 *
 * Depends on base/hash.h, libcrypto, talloc.
 */
#ifndef BLOB_SIGV4_H
#define BLOB_SIGV4_H

#include "base/hash.h"

#include <stdint.h>

#define SIGV4_MAX_FIELDS 16
#define SIGV4_DATE_BYTES 17 /* 20130524T000000Z */

struct sigv4_key {
    const char *access, *secret;
    const char *token; /* of temporary credentials, or NULL */
    const char *region;
};

struct sigv4_field {
    const char *name, *value;
};

struct sigv4_request {
    const char *method;
    const char *host; /* with the port, unless it is the scheme's own */
    const char *path; /* encoded, begins with a slash */
    /* the query's parameters as they are meant, not encoded; sorted here */
    struct sigv4_field query[SIGV4_MAX_FIELDS];
    int n_query;
    /* further headers to be signed, lower case: host, x-amz-content-sha256, x-amz-date, x-amz-security-token are added */
    struct sigv4_field headers[SIGV4_MAX_FIELDS];
    int n_headers;
    const char *payload_sha256; /* hex, or UNSIGNED-PAYLOAD */
    int64_t time_s;             /* since 1970 */
};

/* Percent-encodes everything but unreserved characters, and slashes if keep_slash. NULL when out of memory. */
char *sigv4_encode(const void *ctx, const char *text, int keep_slash);
/* name=value pairs, encoded and in order; "" for none. Sorts q's. */
char *sigv4_query(const void *ctx, struct sigv4_request *q);
void sigv4_date(int64_t time_s, char out[SIGV4_DATE_BYTES]);
/* The value of Authorization; sorts q's fields. The request must carry what was signed. NULL when out of memory. */
char *sigv4_authorization(const void *ctx, const struct sigv4_key *k, struct sigv4_request *q);
/* "path?query" that is good for expires_s (at most seven days) without any header. NULL when out of memory. */
char *sigv4_presign(const void *ctx, const struct sigv4_key *k, struct sigv4_request *q, int expires_s);

#endif
