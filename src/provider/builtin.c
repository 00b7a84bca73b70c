/*
 * builtin.c - builtin@1: a vector for a text by signed feature hashing
 *
 * What another implementation would have to do to get the same floats:
 *
 *   characters  UTF-8; each byte of an invalid sequence is a separator. Upper case is folded by fold() (ASCII, Latin-1,
 *               Latin Extended-A, Greek, Cyrillic; no locale). is_word() says which characters make words.
 *   words       maximal runs of word characters. In scripts that are written without spaces (is_dense()) each character
 *               is a word, and so is each pair of neighbours.
 *   hash        h = 0xcbf29ce484222325; for each character c of the feature: h = (h ^ c) * 0x9e3779b97f4a7c15, then
 *               h ^= h >> 29; at the end h = mix(h ^ kind), kind being 1 for words, n for n-grams of n characters;
 *               mix(h) = x ^ x >> 32 where x = (h ^ h >> 32) * 0xd6e8feb86659fd93.
 *   feature     adds its weight to bucket ((h >> 32) * dimension) >> 32, negated if bit 0 of h is set.
 *   weight      of a word that occurs tf times: 4096 + 2839 * log2(tf), log2 linear between powers of two, rounded
 *               down (about 1 + ln tf, in 1/4096); times 5/16, 8/16 or 11/16 for words of 1, 2 or 3 characters that
 *               are not digits and not of a dense script: short words are mostly grammar, in any language.
 *   n-grams     each different word of 2 to 64 characters, framed as `<word>`, gives its n-grams of 3, 4 and 5
 *               characters, each with a quarter of the word's weight.
 *   empty-handed  a text without words, or whose features cancel to nothing, gets the trigrams of its bytes (the whole
 *               of it when shorter) with weight 4096 each; if these cancel too, 4096 in the bucket of the whole text.
 *   result      sums are 64-bit integers; the length is the square root (double) of the exact integer sum of squares;
 *               each component is sum / length in double, then rounded to float.
 *
 * Sums are integers, so order does not matter and every machine gives the same bits. Two words with the same 64-bit
 * hash count as one.
 *
 * Owns no state between calls. Pure.
 */
#include "provider/builtin.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ONE            4096
#define LN2            2839 /* ln 2 * 4096 */
#define GRAM_MIN       3
#define GRAM_MAX       5
#define GRAM_WORD_MAX  64
#define HASH_SEED      0xcbf29ce484222325u
#define HASH_MULTIPLY  0x9e3779b97f4a7c15u
#define KIND_WORD      1
#define KIND_BYTES     2
#define TABLE_MIN_SIZE 512u

/* A different word of the text. */
struct word {
    uint64_t hash; /* 0: the slot is free; a word whose hash is 0 gets 1 */
    const char *at;
    uint32_t chars;
    uint32_t tf;
    bool short_counts; /* its shortness says nothing: digits, dense scripts */
};

struct table {
    struct word *slots;
    size_t size, used; /* size is a power of two */
};

struct sums {
    int64_t *bucket;
    uint32_t dimension;
};

/* One run of word characters as it is being read. */
struct run {
    uint64_t hash;
    const char *at;
    uint32_t chars;
    bool digits;
};

static inline uint64_t step(uint64_t h, uint32_t c)
{
    h = (h ^ c) * HASH_MULTIPLY;
    return h ^ h >> 29;
}

static inline uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static inline bool between(uint32_t c, uint32_t lo, uint32_t hi)
{
    return c >= lo && c <= hi;
}

/* Decodes one character of s[0, n), n > 0; returns its length. An invalid byte is character 0, of length 1. */
static inline size_t decode(const unsigned char *s, size_t n, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len;
    uint32_t v;

    if (s[0] < 0x80) {
        *c = s[0];
        return 1;
    }
    len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    *c = 0;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
        return 1;
    v = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 1;
        v = v << 6 | (s[i] & 0x3f);
    }
    if (v < least[len] || v > 0x10ffff || between(v, 0xd800, 0xdfff))
        return 1;
    *c = v;
    return len;
}

/* Lower case where that is a rule rather than a table. */
static inline uint32_t fold(uint32_t c)
{
    if (c < 0x80)
        return between(c, 'A', 'Z') ? c + 32 : c;
    if (c < 0x100)
        return between(c, 0xc0, 0xde) && c != 0xd7 ? c + 32 : c;
    if (c < 0x180) {
        if (between(c, 0x139, 0x148) || between(c, 0x179, 0x17e))
            return c % 2 == 1 ? c + 1 : c;
        if (c == 0x178)
            return 0xff;
        return c % 2 == 0 && c != 0x130 && c != 0x138 ? c + 1 : c;
    }
    if (between(c, 0x391, 0x3ab))
        return c + 32;
    if (c == 0x3c2) /* final sigma */
        return 0x3c3;
    if (between(c, 0x410, 0x42f))
        return c + 32;
    if (between(c, 0x400, 0x40f))
        return c + 80;
    return c;
}

/* Letters and digits. Beyond ASCII everything is a letter but the blocks of marks, symbols, spaces and the like. */
static inline bool is_word(uint32_t c)
{
    if (c < 0x80)
        return between(c, 'a', 'z') || between(c, 'A', 'Z') || between(c, '0', '9');
    if (c < 0xc0)
        return c == 0xaa || c == 0xb5 || c == 0xba;
    if (between(c, 0x2000, 0x2bff) || between(c, 0x2e00, 0x2e7f) || between(c, 0x3000, 0x3004))
        return false;
    if (between(c, 0x3008, 0x3020) || between(c, 0xd800, 0xf8ff) || between(c, 0xfe00, 0xfe6f))
        return false;
    if (between(c, 0xff00, 0xff0f) || between(c, 0xff1a, 0xff20) || between(c, 0xff5b, 0xff65))
        return false;
    return c != 0xd7 && c != 0xf7 && c != 0xfeff && c != 0xfffd && !between(c, 0x1f000, 0x1faff) && c < 0xe0000;
}

/* Scripts written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han. */
static inline bool is_dense(uint32_t c)
{
    if (c < 0xe00)
        return false;
    return between(c, 0xe00, 0xeff) || between(c, 0x1000, 0x109f) || between(c, 0x1780, 0x17ff) ||
           between(c, 0x2e80, 0x2fdf) || between(c, 0x3005, 0x3007) || between(c, 0x3021, 0x30ff) ||
           between(c, 0x3400, 0x4dbf) || between(c, 0x4e00, 0x9fff) || between(c, 0xf900, 0xfaff) ||
           between(c, 0xff66, 0xff9f) || between(c, 0x20000, 0x3ffff);
}

static inline void add(struct sums *s, uint64_t h, int64_t weight)
{
    uint32_t b = (uint32_t)(((h >> 32) * s->dimension) >> 32);
    int64_t minus = -(int64_t)(h & 1); /* without a branch: it would be mispredicted half of the time */

    s->bucket[b] += (weight ^ minus) - minus;
}

static struct word *table_find(const struct table *t, uint64_t hash)
{
    size_t i = (size_t)hash & (t->size - 1);

    while (t->slots[i].hash != 0 && t->slots[i].hash != hash)
        i = (i + 1) & (t->size - 1);
    return &t->slots[i];
}

static int table_grow(struct table *t)
{
    struct table bigger = {.size = t->size == 0 ? TABLE_MIN_SIZE : t->size * 2, .used = t->used};

    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < t->size; i++)
        if (t->slots[i].hash != 0)
            *table_find(&bigger, t->slots[i].hash) = t->slots[i];
    free(t->slots);
    *t = bigger;
    return 0;
}

static int table_count(struct table *t, uint64_t hash, const char *at, uint32_t chars, bool short_counts)
{
    struct word *w;

    if (2 * t->used >= t->size && table_grow(t) < 0)
        return -ENOMEM;
    hash = mix(hash ^ KIND_WORD);
    if (hash == 0)
        hash = 1;
    w = table_find(t, hash);
    if (w->hash == 0) {
        *w = (struct word){.hash = hash, .at = at, .chars = chars, .short_counts = short_counts};
        t->used++;
    }
    if (w->tf < UINT32_MAX)
        w->tf++;
    return 0;
}

static int run_end(struct table *t, struct run *r)
{
    int rc = r->chars == 0 ? 0 : table_count(t, r->hash, r->at, r->chars, r->digits);

    *r = (struct run){.hash = HASH_SEED, .digits = true};
    return rc;
}

/* The character and, if another dense one stood right before it (at `before`), the pair. */
static int count_dense(struct table *t, uint32_t c, const char *at, uint32_t c_before, const char *before)
{
    int rc = table_count(t, step(HASH_SEED, c), at, 1, true);

    if (rc == 0 && before != NULL)
        rc = table_count(t, step(step(HASH_SEED, c_before), c), before, 2, true);
    return rc;
}

static int count_words(struct table *t, const char *text, size_t n)
{
    struct run r = {.hash = HASH_SEED, .digits = true};
    uint32_t c, dense_c = 0;
    const char *dense = NULL; /* where the character before this one began, if it was dense */
    int rc = 0;

    for (size_t i = 0, len; i < n && rc == 0; i += len) {
        len = decode((const unsigned char *)text + i, n - i, &c);
        if (!is_word(c)) {
            rc = run_end(t, &r);
            dense = NULL;
        } else if (is_dense(c)) {
            rc = run_end(t, &r);
            if (rc == 0)
                rc = count_dense(t, c, text + i, dense_c, dense);
            dense = text + i;
            dense_c = c;
        } else {
            if (r.chars++ == 0)
                r.at = text + i;
            r.hash = step(r.hash, fold(c));
            r.digits = r.digits && between(c, '0', '9');
            dense = NULL;
        }
    }
    return rc == 0 ? run_end(t, &r) : rc;
}

static int64_t word_weight(const struct word *w)
{
    static const int64_t sixteenths[] = {0, 5, 8, 11};
    uint32_t k = 31u - (uint32_t)__builtin_clz(w->tf);
    int64_t weight = ONE + (int64_t)LN2 * k + (((int64_t)LN2 * (w->tf - (1u << k))) >> k);

    if (w->chars <= 3 && !w->short_counts)
        weight = weight * sixteenths[w->chars] / 16;
    return weight;
}

static void add_grams(struct sums *s, const struct word *w, int64_t weight)
{
    uint32_t c[GRAM_WORD_MAX + 2];
    uint32_t m = w->chars + 2;
    const unsigned char *at = (const unsigned char *)w->at;

    c[0] = '<';
    for (uint32_t i = 1; i <= w->chars; i++) {
        at += decode(at, 4, &c[i]); /* was decoded before: whole and valid */
        c[i] = fold(c[i]);
    }
    c[m - 1] = '>';
    for (uint32_t i = 0; i + GRAM_MIN <= m; i++) {
        uint64_t h = HASH_SEED;
        uint32_t last = i + GRAM_MAX < m ? i + GRAM_MAX : m;
        for (uint32_t k = i; k < last; k++) {
            h = step(h, c[k]);
            if (k - i + 1 >= GRAM_MIN)
                add(s, mix(h ^ (k - i + 1)), weight);
        }
    }
}

static void add_words(struct sums *s, const struct table *t)
{
    for (size_t i = 0; i < t->size; i++) {
        const struct word *w = &t->slots[i];
        if (w->hash == 0)
            continue;
        int64_t weight = word_weight(w);
        add(s, w->hash, weight);
        if (w->chars >= 2 && w->chars <= GRAM_WORD_MAX)
            add_grams(s, w, weight / 4);
    }
}

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = HASH_SEED;

    for (size_t i = 0; i < n; i++)
        h = step(h, (unsigned char)p[i]);
    return mix(h ^ KIND_BYTES);
}

/* Division and square root are rounded exactly by IEEE 754; false if every bucket is zero. */
static bool to_unit(const struct sums *s, float *out)
{
    unsigned __int128 squares = 0;
    double length;

    for (uint32_t i = 0; i < s->dimension; i++) {
        __int128 v = s->bucket[i];
        squares += (unsigned __int128)(v * v);
    }
    if (squares == 0)
        return false;
    length = sqrt((double)squares);
    for (uint32_t i = 0; i < s->dimension; i++)
        out[i] = (float)((double)s->bucket[i] / length);
    return true;
}

static void embed_by_bytes(struct sums *s, const char *text, size_t n, float *out)
{
    if (n < 3)
        add(s, hash_bytes(text, n), ONE);
    for (size_t i = 0; i + 3 <= n; i++)
        add(s, hash_bytes(text + i, 3), ONE);
    if (to_unit(s, out))
        return;
    add(s, hash_bytes(text, n), ONE);
    (void)to_unit(s, out);
}

int builtin_embed(const char *text, size_t n, int dimension, float *out)
{
    struct table t = {0};
    struct sums s = {.dimension = (uint32_t)dimension};
    int rc = -ENOMEM;

    s.bucket = calloc(s.dimension, sizeof *s.bucket);
    if (s.bucket != NULL)
        rc = count_words(&t, text, n);
    if (rc == 0) {
        add_words(&s, &t);
        if (!to_unit(&s, out))
            embed_by_bytes(&s, text, n, out);
    }
    free(s.bucket);
    free(t.slots);
    return rc;
}
