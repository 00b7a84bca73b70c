/*
 * spoil.h - the faults that every service can have, put on a request and its answer
 *
 * Before: refuse without serving (status, quota, a closed connection). After: change, cut, slow or drop what was made.
 */
#ifndef MOCKS_COMMON_SPOIL_H
#define MOCKS_COMMON_SPOIL_H

#include "common/mock.h"

struct spoil {
    bool cut; /* the connection is reset after cut_at bytes of the body */
    size_t cut_at;
    size_t drip_bytes; /* 0: as fast as it goes */
    int64_t drip_ms;
};

/* True if the request is not to be served: the answer, or that there is none, is in *a. */
bool spoil_before(struct mock_request *q, struct mock_answer *a);
void spoil_after(struct mock_request *q, struct mock_answer *a, struct spoil *s);

#endif
