/*
 * vectors.c - a vector made of the text alone
 *
 * Words and their trigrams are hashed into the numbers with a sign, so that texts that share words are near; a little
 * noise, also from the text, fills the rest, because a real vector has no zeros. Another model gives other vectors. A
 * shorter vector is the head of the long one, at unit length again.
 */
#include "openai/openai.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#define GRAM         3
#define WORD_WEIGHT  1.0
#define GRAM_WEIGHT  0.25
#define NOISE_WEIGHT 0.15 /* of the whole length */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 30;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 27;
    h *= 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

static uint64_t hash_of(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)tolower((unsigned char)s[i])) * 0x100000001b3u;
    return mix(h);
}

static void put(double *v, int full, uint64_t h, double weight)
{
    v[h % (uint64_t)full] += h >> 63 != 0 ? weight : -weight;
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static void put_word(double *v, int full, uint64_t salt, const char *s, size_t n)
{
    put(v, full, hash_of(salt, s, n), WORD_WEIGHT);
    for (size_t i = 0; i + GRAM <= n; i++)
        put(v, full, hash_of(salt + 1, s + i, GRAM), GRAM_WEIGHT);
}

static double length_of(const double *v, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += v[i] * v[i];
    return sqrt(sum);
}

static void put_noise(double *v, int full, uint64_t seed)
{
    double length = length_of(v, full), each = (length > 0 ? length : 1) * NOISE_WEIGHT * sqrt(3.0 / full);

    for (int i = 0; i < full; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        v[i] += each * ((double)(seed >> 11) / 4503599627370496.0 - 1); /* 2^52: from -1 to 1 */
    }
}

void openai_vector(const char *model, const char *text, size_t len, int full, int dimension, float *out)
{
    uint64_t salt = hash_of(0xcbf29ce484222325u, model, __builtin_strlen(model));
    double *v = calloc((size_t)full, sizeof *v), length;

    if (v == NULL)
        abort();
    for (size_t i = 0, n; i < len; i += n + (n == 0)) {
        for (n = 0; i + n < len && in_word(text[i + n]);)
            n++;
        if (n > 0)
            put_word(v, full, salt, text + i, n);
    }
    put_noise(v, full, hash_of(salt + 2, text, len));
    length = length_of(v, dimension);
    for (int i = 0; i < dimension; i++)
        out[i] = (float)(v[i] / length);
    free(v);
}
