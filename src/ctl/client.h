/* client.h - what client.c and the parallel upload share: handles, answers, outcomes */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "ctl/ctl.h"

#include <curl/curl.h>

struct client_answer {
    void *ctx; /* talloc parent of text */
    char *text;
    size_t len;
    char words[CURL_ERROR_SIZE];
};

const char *client_socket(const struct ctl *c);
/* Sets what every request has; the caller adds method, body and deadline. */
void client_prepare(const struct ctl *c, CURL *h, const char *path, struct client_answer *a);
size_t client_receive(char *p, size_t size, size_t n, void *answer);
/* CTL_OK for 2xx; else the exit code, and *e from the problem+json or libcurl's words. */
int client_outcome(const struct ctl *c, CURLcode code, const char *words, long status, const json_t *body,
                   struct error *e) MUST_CHECK;

#endif
