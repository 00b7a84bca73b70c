/* multipart.h - the parts of a multipart/form-data body; their bytes stay in the request */
#ifndef MOCKS_COMMON_MULTIPART_H
#define MOCKS_COMMON_MULTIPART_H

#include "common/mock.h"

struct part {
    const char *name, *filename, *type; /* filename and type may be NULL */
    const char *data;
    size_t len;
};

/* How many, in *parts, which belong to the request; -1: not such a body, or broken. */
int multipart_parse(struct mock_request *q, struct part **parts);
const struct part *multipart_find(const struct part *parts, int n, const char *name);

#endif
