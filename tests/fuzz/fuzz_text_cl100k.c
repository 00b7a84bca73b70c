/*
 * fuzz_text_cl100k.c - any bytes: tokens are the text, counts agree, and what is fed in two parts counts as a whole
 *
 * The first byte is a budget, the second says where the text is cut in two.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/cl100k.h"
#include "text/token_scan.h"

struct seen {
    const char *text;
    size_t n, end;
};

static int see(void *arg, uint32_t rank, size_t end)
{
    struct seen *s = arg;
    const struct cl100k_table *t = &cl100k_table;

    if (rank >= CL100K_TOKENS || end - s->end != t->starts[rank + 1] - t->starts[rank] ||
        memcmp(s->text + s->end, t->bytes + t->starts[rank], end - s->end) != 0)
        abort();
    s->end = end;
    s->n++;
    return 0;
}

/* The last place not behind `at` where a character ends, however ill-formed the text is. */
static size_t character_end(const char *text, size_t n, size_t at)
{
    size_t i = 0;
    uint32_t cp;
    int took;

    while (i < at) {
        took = utf8_decode(text + i, n - i, &cp);
        if (i + (size_t)abs(took) > at)
            break;
        i += (size_t)abs(took);
    }
    return i;
}

static void check_scan(const char *text, size_t n, size_t cut, size_t budget, size_t count)
{
    struct token_counter c = {.tokenizer = TOKENS_CL100K};
    struct token_scan t;
    size_t fits, from;

    token_scan_begin(&t, &c);
    if (token_scan_feed(&t, text, cut, SIZE_MAX) != cut ||
        token_scan_feed(&t, text + cut, n - cut, SIZE_MAX) != n - cut || t.count != count)
        abort();
    token_scan_begin(&t, &c);
    fits = token_scan_feed(&t, text, n, budget);
    if (fits > n || (fits == n) != (count <= budget))
        abort();
    from = token_scan_suffix(&c, text, n, budget + 1);
    /* A text that begins within a piece may have more tokens than one that begins before it: so a suffix may be found
     * too long though the whole is not. */
    if (from > n || (from == 0 && count > budget + 1) || (from > 0 && n <= budget + 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen s = {.text = (const char *)data + 2};
    size_t n = size - 2;

    if (size < 2)
        return 0;
    if (cl100k_text(s.text, n, see, &s) != 0 || s.end != n || tokens_count(TOKENS_CL100K, s.text, n) != s.n)
        abort();
    check_scan(s.text, n, character_end(s.text, n, data[1] * n / 256), data[0], s.n);
    return 0;
}
