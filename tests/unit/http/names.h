/*
 * names.h - the test's own getaddrinfo, which libcurl finds before the C library's
 *
 *   private.test   127.0.0.1
 *   named.test     127.0.0.1
 *   mixed.test     10.255.255.1, then 127.0.0.1
 *   slow.test      127.0.0.1, after names_slow_ms
 *   moving.test    the next of names_moving[], the last one for ever
 * Other names of .test do not exist; everything else goes to the C library.
 */
#ifndef TESTS_HTTP_NAMES_H
#define TESTS_HTTP_NAMES_H

extern int names_slow_ms;
extern const char *names_moving[4];
extern int names_lookups; /* of moving.test */

#endif
