/* base64.h - the standard alphabet of RFC 4648, strict, at gigabytes a second */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4) /* characters with padding, without the NUL */

/* Bytes written, or -EINVAL (a foreign character, a length that cannot be, bits left over) or -ENOSPC. The padding may
 * be absent, not wrong. out may be half written after an error. */
ssize_t base64_decode(const char *s, size_t n, uint8_t *out, size_t room) MUST_CHECK;

#endif
