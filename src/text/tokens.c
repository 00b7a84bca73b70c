/*
 * tokens.c - the calls of tokens.h and token_scan.h, to whichever tokenizer is asked for
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "text/cl100k.h"
#include "text/token_scan.h"
#include "text/utf8.h"

void token_scan_begin(struct token_scan *t, struct token_counter *c)
{
    *t = (struct token_scan){.counter = c, .at = token_approx_begin};
}

size_t token_scan_feed(struct token_scan *t, const char *s, size_t n, size_t budget)
{
    return t->counter->tokenizer == TOKENS_APPROX ? token_approx_feed(t, s, n, budget)
                                                  : token_cl100k_feed(t, s, n, budget);
}

size_t token_scan_suffix(struct token_counter *c, const char *s, size_t n, size_t budget)
{
    return c->tokenizer == TOKENS_APPROX ? token_approx_suffix(s, n, budget) : token_cl100k_suffix(c, s, n, budget);
}

static int count_one(void *arg, uint32_t rank, size_t end)
{
    (void)rank;
    (void)end;
    ++*(size_t *)arg;
    return 0;
}

size_t tokens_count(enum tokenizer tokenizer, const char *s, size_t n)
{
    struct token_counter c = {.tokenizer = tokenizer};
    struct token_scan t;
    size_t count = 0;

    if (tokenizer == TOKENS_CL100K)
        return cl100k_text(s, n, count_one, &count) == 0 ? count : SIZE_MAX;
    token_scan_begin(&t, &c);
    (void)token_approx_feed(&t, s, n, SIZE_MAX);
    return t.count;
}

size_t tokens_prefix(enum tokenizer tokenizer, const char *s, size_t n, size_t budget)
{
    struct token_counter c = {.tokenizer = tokenizer};
    struct token_scan t;
    size_t fits;

    token_scan_begin(&t, &c);
    fits = token_scan_feed(&t, s, n, budget);
    return fits > 0 || n == 0 ? fits : utf8_next(s, n, 0);
}

int tokenizer_by_name(const char *name)
{
#define X_NAME(id, text) text,
    static const char *const names[] = {TOKENIZERS(X_NAME)};
    int i;

    for (i = 0; i < TOKENIZERS_; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}
