/*
 * cl100k.c - see cl100k.h
 *
 * While a piece is worked on, a part is named by the byte it begins at. next[i] is where the part after it begins,
 * and pair[i] the rank that the two would have joined, NONE when they are no token.
 */
#include <errno.h>
#include <stdlib.h>

#include "text/cl100k.h"
#include "text/pretoken.h"

#define NONE UINT32_MAX
/* Up to here a scan over the pairs is quicker than a heap of them. */
#define SCANNED_BYTES 40

uint32_t cl100k_rank(const char *s, size_t n)
{
    const struct cl100k_table *t = &cl100k_table;
    const uint8_t *p = (const uint8_t *)s;
    uint32_t at, fingerprint, slot;
    uint64_t hash;

    if (n > CL100K_MAX_BYTES)
        return CL100K_TOKENS;
    hash = cl100k_hash(p, n);
    fingerprint = cl100k_fingerprint(hash);
    for (at = cl100k_slot_of(hash); (slot = t->slots[at]) != 0; at = (at + 1) & (CL100K_SLOTS - 1)) {
        uint32_t rank = (slot & ~CL100K_FINGERPRINT) - 1;

        if ((slot & CL100K_FINGERPRINT) == fingerprint && t->starts[rank + 1] - t->starts[rank] == n &&
            memcmp(t->bytes + t->starts[rank], p, n) == 0)
            return rank;
    }
    return CL100K_TOKENS;
}

/* ---- parts ---- */

struct parts {
    const char *s;
    uint32_t n;
    uint32_t *next, *pair;
};

static uint32_t rank_of_pair(const struct parts *p, uint32_t i)
{
    uint32_t second = p->next[i], rank;

    if (second >= p->n)
        return NONE;
    rank = cl100k_rank(p->s + i, p->next[second] - i);
    return rank == CL100K_TOKENS ? NONE : rank;
}

static void begin_parts(struct parts *p)
{
    uint32_t i;

    for (i = 0; i < p->n; i++)
        p->next[i] = i + 1;
    for (i = 0; i < p->n; i++)
        p->pair[i] = rank_of_pair(p, i);
}

static int give_parts(const struct parts *p, cl100k_token_fn fn, void *arg)
{
    uint32_t i;
    int rc = 0;

    for (i = 0; i < p->n && rc == 0; i = p->next[i])
        rc = fn(arg, cl100k_rank(p->s + i, p->next[i] - i), p->next[i]);
    return rc;
}

/* ---- short pieces: a scan over all pairs for each join ---- */

static void join_short(struct parts *p)
{
    for (;;) {
        uint32_t best = NONE, at = 0, before = NONE, before_best = NONE, i;

        for (i = 0; i < p->n; before = i, i = p->next[i])
            if (p->pair[i] < best) {
                best = p->pair[i];
                at = i;
                before_best = before;
            }
        if (best == NONE)
            return;
        p->next[at] = p->next[p->next[at]];
        p->pair[at] = rank_of_pair(p, at);
        if (before_best != NONE)
            p->pair[before_best] = rank_of_pair(p, before_best);
    }
}

/* ---- long pieces: a heap of pairs, by rank and then by place ---- */

struct heap {
    uint64_t *pairs; /* rank << 32 | where; a pair that is not so any more is passed over when it comes up */
    size_t n;
};

static void sink(struct heap *h, size_t i)
{
    uint64_t v = h->pairs[i];
    size_t child;

    for (; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->pairs[child + 1] < h->pairs[child])
            child++;
        if (v <= h->pairs[child])
            break;
        h->pairs[i] = h->pairs[child];
    }
    h->pairs[i] = v;
}

static void push(struct heap *h, const struct parts *p, uint32_t at)
{
    uint64_t v = (uint64_t)p->pair[at] << 32 | at;
    size_t i, up;

    if (p->pair[at] == NONE)
        return;
    for (i = h->n++; i > 0 && h->pairs[up = (i - 1) / 2] > v; i = up)
        h->pairs[i] = h->pairs[up];
    h->pairs[i] = v;
}

static uint64_t pop(struct heap *h)
{
    uint64_t top = h->pairs[0];

    h->pairs[0] = h->pairs[--h->n];
    sink(h, 0);
    return top;
}

static void begin_heap(struct heap *h, const struct parts *p)
{
    size_t i;

    h->n = 0;
    for (i = 0; i < p->n; i++)
        if (p->pair[i] != NONE)
            h->pairs[h->n++] = (uint64_t)p->pair[i] << 32 | i;
    for (i = h->n / 2; i-- > 0;)
        sink(h, i);
}

static void join_long(struct parts *p, uint32_t *previous, struct heap *h)
{
    uint32_t i, at, gone;

    for (i = 0; i < p->n; i++)
        previous[i] = i == 0 ? NONE : i - 1;
    begin_heap(h, p);
    while (h->n > 0) {
        uint64_t top = pop(h);

        at = (uint32_t)top;
        if (p->pair[at] != top >> 32)
            continue;
        gone = p->next[at];
        p->next[at] = p->next[gone];
        p->pair[gone] = NONE;
        if (p->next[at] < p->n)
            previous[p->next[at]] = at;
        p->pair[at] = rank_of_pair(p, at);
        push(h, p, at);
        if (previous[at] != NONE) {
            p->pair[previous[at]] = rank_of_pair(p, previous[at]);
            push(h, p, previous[at]);
        }
    }
}

/* The heap never holds more than 2 n: it begins with less than n, and each of less than n joins takes one and adds two. */
#define NUMBERS_A_BYTE (2 * sizeof(uint64_t) / sizeof(uint32_t) + 3)

/* memory has NUMBERS_A_BYTE * n numbers. */
static int join_piece(const char *s, uint32_t n, uint64_t *memory, cl100k_token_fn fn, void *arg)
{
    struct heap h = {.pairs = memory};
    struct parts p = {.s = s, .n = n, .next = (uint32_t *)(memory + 2 * (size_t)n)};

    p.pair = p.next + n;
    begin_parts(&p);
    if (n <= SCANNED_BYTES)
        join_short(&p);
    else
        join_long(&p, p.pair + n, &h);
    return give_parts(&p, fn, arg);
}

static int short_piece(const char *s, size_t n, cl100k_token_fn fn, void *arg)
{
    uint64_t memory[(NUMBERS_A_BYTE * CL100K_STACK_BYTES + 1) / 2];

    return join_piece(s, (uint32_t)n, memory, fn, arg);
}

static int long_piece(const char *s, size_t n, cl100k_token_fn fn, void *arg)
{
    uint64_t *memory = n < NONE ? malloc(n * NUMBERS_A_BYTE * sizeof(uint32_t) + sizeof *memory) : NULL;
    int rc = memory == NULL ? -ENOMEM : join_piece(s, (uint32_t)n, memory, fn, arg);

    free(memory);
    return rc;
}

int cl100k_piece(const char *s, size_t n, cl100k_token_fn fn, void *arg)
{
    uint32_t whole = cl100k_rank(s, n);

    if (whole != CL100K_TOKENS)
        return fn(arg, whole, n);
    return n <= CL100K_STACK_BYTES ? short_piece(s, n, fn, arg) : long_piece(s, n, fn, arg);
}

struct place {
    cl100k_token_fn fn;
    void *arg;
    size_t begin; /* of the piece in the text */
};

static int take_in_text(void *arg, uint32_t rank, size_t end)
{
    const struct place *p = arg;

    return p->fn(p->arg, rank, p->begin + end);
}

int cl100k_text(const char *s, size_t n, cl100k_token_fn fn, void *arg)
{
    struct place p = {.fn = fn, .arg = arg};
    size_t end;
    int rc = 0;

    for (; p.begin < n && rc == 0; p.begin = end) {
        end = pretoken_end(s, n, p.begin);
        rc = cl100k_piece(s + p.begin, end - p.begin, take_in_text, &p);
    }
    return rc;
}
