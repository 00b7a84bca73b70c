/* fuzz_provider_builtin.c - any bytes as a text: always a unit vector, and the same one again */
#include "provider/builtin.h"
#include "provider/embedder.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static float a[64], b[64];
    int dimension;

    if (n < 2)
        return 0;
    dimension = 8 + data[0] % 57;
    /* A copy of its own, so that a read past the text is seen. */
    char *text = malloc(n - 1);
    memcpy(text, data + 1, n - 1);
    if (builtin_embed(text, n - 1, dimension, a) < 0 || builtin_embed(text, n - 1, dimension, b) < 0)
        abort();
    free(text);
    if (embed_check(a, dimension, NULL) < 0 || memcmp(a, b, (size_t)dimension * sizeof *a) != 0)
        abort();
    return 0;
}
