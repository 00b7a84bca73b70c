/* ratehead_http.h - the headers of an answer of http.h, for ratehead_read(). Depends on http. */
#ifndef PROVIDER_RATEHEAD_HTTP_H
#define PROVIDER_RATEHEAD_HTTP_H

#include "http/http.h"
#include "provider/ratehead.h"

/* An answer that did not come (status 0) says nothing. */
void ratehead_of(const struct http_response *r, struct rate_head *out);

#endif
