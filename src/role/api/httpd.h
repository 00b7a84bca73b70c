/*
 * httpd.h - HTTP connections: libmicrohttpd inside the event loop
 *
 * One daemon of the library a listening socket, each with its epoll descriptor nested in the loop. httpd.c owns the
 * connections, finds out who is at the other end, feeds requests (request.h) and sends their answers.
 *
 * Bounds: connections (api.max_connections for each listening socket: strangers over TCP must not shut out api.sock),
 * silence (api.idle_timeout), the time in which a request's headers must be complete, and a least average speed of a
 * body (HTTP_MIN_BYTES_PER_S).
 *
 * Depends on base, core, libmicrohttpd, libsystemd.
 */
#ifndef API_HTTPD_H
#define API_HTTPD_H

#include "api/api.h"

#define HTTP_MIN_BYTES_PER_S 1024
#define HTTP_DISCARD_MAX     1048576L /* bytes of a refused body that are read for the sake of the connection */

struct httpd *httpd_new(struct api *api, struct error *e) MUST_CHECK;
/* Takes no more connections but those that the kernel has accepted already; idle ones are closed. */
void httpd_drain(struct httpd *h);
int httpd_in_flight(const struct httpd *h); /* requests without a complete answer, or on their way */
/* Every second: closes connections that do not get on with their headers. */
void httpd_tick(struct httpd *h);
/* Answers what waits with `draining`, closes everything. */
void httpd_free(struct httpd **h);

#endif
