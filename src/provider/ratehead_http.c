/* ratehead_http.c - see ratehead_http.h */
#include "provider/ratehead_http.h"

static const char *header(const void *response, const char *name)
{
    return http_response_header(response, name);
}

void ratehead_of(const struct http_response *r, struct rate_head *out)
{
    if (r->status == 0)
        ratehead_none(out);
    else
        ratehead_read(header, r, out);
}
