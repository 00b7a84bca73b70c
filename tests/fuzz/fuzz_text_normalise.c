/*
 * fuzz_text_normalise.c - any bytes: normalise() gives its normal form, twice the same
 *
 * The first byte chooses Markdown or plain text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <talloc.h>

#include "text_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct normalised n;
    enum normalise_kind kind;
    const char *bad;

    if (size == 0)
        return 0;
    kind = data[0] == 'p' ? NORMALISE_PLAIN : NORMALISE_MARKDOWN;
    if (normalise(NULL, kind, (const char *)data + 1, size - 1, &n) != 0)
        abort();
    bad = text_check_normalised(kind, &n);
    if (bad != NULL) {
        fprintf(stderr, "%s\n", bad);
        abort();
    }
    talloc_free(n.text);
    talloc_free(n.page_starts);
    return 0;
}
