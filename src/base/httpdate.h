/* httpdate.h - the dates in HTTP's headers */
#ifndef BASE_HTTPDATE_H
#define BASE_HTTPDATE_H

#include <stdint.h>

/* Unix time in seconds of an HTTP-date of RFC 9110 (all three forms); -1 if it is none, or before 1970. */
int64_t httpdate_parse(const char *text);

#endif
