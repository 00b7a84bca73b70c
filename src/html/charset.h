/* charset.h - the bytes of a page as UTF-8; private to src/html */
#ifndef HTML_CHARSET_H
#define HTML_CHARSET_H

#include "html/buffer.h"

/* A view of valid UTF-8: into the input where that is valid already, else into *made, which the caller frees. Bytes
 * that mean nothing in the page's character set become U+FFFD. -1 when memory is gone. */
int charset_to_utf8(const char *in, size_t n, struct buffer *made, const char **out, size_t *out_n);

#endif
