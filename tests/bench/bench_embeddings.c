/*
 * bench_embeddings.c - how long an answer of 256 x 1,536 takes to become vectors
 *
 * usage: bench_embeddings [rounds]. Prints milliseconds an answer, best and median, for base64 and for numbers, beside
 * what jansson takes for its tree alone.
 */
#include "base/clock.h"
#include "provider/openai.h"

#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS     256
#define DIMENSION 1536
#define ROOM      (16u << 20)

static float vectors[TEXTS][DIMENSION], out[TEXTS * DIMENSION];
static uint8_t bad[TEXTS];

static void make_vectors(void)
{
    srandom(1);
    for (int i = 0; i < TEXTS; i++) {
        double squares = 0;
        for (int k = 0; k < DIMENSION; k++) {
            vectors[i][k] = (float)((double)random() / 2147483648.0 - 0.5);
            squares += (double)vectors[i][k] * (double)vectors[i][k];
        }
        for (int k = 0; k < DIMENSION; k++)
            vectors[i][k] = (float)((double)vectors[i][k] / sqrt(squares));
    }
}

static size_t make_answer(char *p, int base64)
{
    char *from = p;

    p += sprintf(p, "{\"object\":\"list\",\"data\":[");
    for (int i = 0; i < TEXTS; i++) {
        p += sprintf(p, "%s{\"object\":\"embedding\",\"index\":%d,\"embedding\":", i == 0 ? "" : ",", i);
        if (base64) {
            *p++ = '"';
            p += EVP_EncodeBlock((unsigned char *)p, (const unsigned char *)vectors[i], (int)sizeof vectors[i]);
            *p++ = '"';
        } else {
            for (int k = 0; k < DIMENSION; k++)
                p += sprintf(p, "%s%.9g", k == 0 ? "[" : ",", (double)vectors[i][k]);
            *p++ = ']';
        }
        *p++ = '}';
    }
    p += sprintf(p, "],\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}");
    return (size_t)(p - from);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void report(const char *what, size_t bytes, int64_t *ns, int rounds)
{
    qsort(ns, (size_t)rounds, sizeof *ns, by_size);
    printf("%-16s %8zu bytes  best %7.2f ms  median %7.2f ms\n", what, bytes, (double)ns[0] / 1e6,
           (double)ns[rounds / 2] / 1e6);
}

static void measure(const char *what, int base64, char *body, int rounds)
{
    struct openai_endpoint ep = {.kind = OPENAI_LLAMACPP, .base_url = "http://h", .model = "m", .dimension = DIMENSION};
    size_t n = make_answer(body, base64);
    int64_t *ns = calloc((size_t)rounds, sizeof *ns);
    struct openai_outcome o;
    struct error e;
    char label[32];

    for (int i = 0; i < rounds; i++) {
        int64_t from = clock_ns();
        if (openai_read(&ep, body, n, TEXTS, out, bad, &o, &e) < 0) {
            fprintf(stderr, "bench_embeddings: %s\n", e.message);
            exit(1);
        }
        ns[i] = clock_ns() - from;
    }
    if (memcmp(out, vectors, sizeof out) != 0) {
        fprintf(stderr, "bench_embeddings: other vectors came out\n");
        exit(1);
    }
    report(what, n, ns, rounds);
    for (int i = 0; i < rounds; i++) {
        int64_t from = clock_ns();
        json_t *j = json_loadb(body, n, 0, NULL);
        ns[i] = clock_ns() - from;
        json_decref(j);
    }
    snprintf(label, sizeof label, "jansson %s", what);
    report(label, n, ns, rounds);
    free(ns);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 20;
    char *body = malloc(ROOM);

    if (rounds < 1 || body == NULL)
        return 2;
    make_vectors();
    measure("base64", 1, body, rounds);
    measure("numbers", 0, body, rounds);
    free(body);
    return 0;
}
