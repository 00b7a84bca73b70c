/*
 * fuzz_text_chunker.c - any bytes and any options: every promise of chunker.h holds
 *
 * The first two bytes are the options. The third is the tokenizer by whether it is even; an upper-case letter makes the
 * text plain, and r or s that it is not normalised first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <talloc.h>

#include "text_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chunk_options o;
    struct normalised n;
    const char *bad, *text = (const char *)data + 3;

    if (size < 3)
        return 0;
    o.max_tokens = CHUNK_MIN_TOKENS + data[0];
    o.overlap_tokens = data[1] % (o.max_tokens / 2 + 1);
    o.tokenizer = data[2] % 2 == 0 ? TOKENS_CL100K : TOKENS_APPROX;
    o.plain = data[2] >= 'A' && data[2] <= 'Z';
    if ((data[2] | 0x21) == 's') { /* r, s, R, S */
        bad = text_check_raw_chunks(text, size - 3, &o);
    } else {
        if (normalise(NULL, o.plain ? NORMALISE_PLAIN : NORMALISE_MARKDOWN, text, size - 3, &n) != 0)
            abort();
        bad = text_check_chunks(&n, &o);
        talloc_free(n.text);
        talloc_free(n.page_starts);
    }
    if (bad != NULL) {
        fprintf(stderr, "%s\n", bad);
        abort();
    }
    return 0;
}
