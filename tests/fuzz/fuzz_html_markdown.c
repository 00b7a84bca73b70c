/*
 * fuzz_html_markdown.c - any bytes as a page: no crash, and the output is bounded and valid UTF-8
 *
 * The bound: prefixes of lists and quotes are capped, so output is at most a fixed multiple of the input.
 */
#include "html/html_markdown.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct sink {
    size_t n;
    int state; /* continuation bytes that must follow */
};

static int take(void *arg, const char *p, size_t n)
{
    struct sink *s = arg;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (s->state > 0) {
            if ((c & 0xc0) != 0x80)
                abort();
            s->state--;
        } else if (c >= 0x80) {
            if (c < 0xc2 || c > 0xf4)
                abort();
            s->state = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        }
    }
    s->n += n;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sink s = {0};

    if (html_to_markdown((const char *)data, n, 64, take, &s) == HTML_OK && (s.state != 0 || s.n > 512 + 256 * n))
        abort();
    return 0;
}
