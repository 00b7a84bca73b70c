/* fuzz_provider_windows1252.c - any bytes: what is converted is valid UTF-8, ASCII bytes are kept, UTF-8 is not touched */
#include "base/utf8.h"
#include "provider/windows1252.h"

#include <stdint.h>
#include <stdlib.h>

static size_t count_ascii(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += (unsigned char)s[i] < 0x80;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *in = (const char *)data;
    char *out = NULL;
    size_t out_n = 0;

    if (windows1252_to_utf8(in, n, &out, &out_n) != 1)
        return 0;
    if (utf8_valid(in, n, NULL) || !utf8_valid(out, out_n, NULL) || count_ascii(out, out_n) != count_ascii(in, n))
        abort();
    free(out);
    return 0;
}
