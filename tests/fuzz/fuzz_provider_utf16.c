/* fuzz_provider_utf16.c - any bytes as UTF-16 text: valid UTF-8 within the promised size */
#include "provider/utf16.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *out = NULL;
    size_t out_n = 0;
    int follow = 0;

    if (utf16_to_utf8((const char *)data, n, &out, &out_n) != 1)
        return 0;
    for (size_t i = 0; i < out_n; i++) {
        unsigned char c = (unsigned char)out[i];
        if ((follow > 0) != ((c & 0xc0) == 0x80))
            abort();
        follow = follow > 0 ? follow - 1 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    }
    if (follow != 0)
        abort();
    free(out);
    return 0;
}
