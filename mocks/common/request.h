/* request.h - making a request out of what came over the connection */
#ifndef MOCKS_COMMON_REQUEST_H
#define MOCKS_COMMON_REQUEST_H

#include "common/mock.h"

/* A talloc context of its own. */
struct mock_request *request_new(struct mock *m, const char *uri);
void request_header(struct mock_request *q, const char *name, const char *value);

/* Percent-decoded copy; bytes after a broken escape stay as they are. */
char *url_decode(const void *ctx, const char *s, size_t n, bool plus_is_space);

#endif
