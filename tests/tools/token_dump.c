/*
 * token_dump.c - docmill-token-dump: the cl100k_base tokens of files
 *
 *   docmill-token-dump FILE...      a line a file: its tokens' ranks, separated by spaces
 *   docmill-token-dump --raw FILE   the ranks as 32-bit numbers of this machine, for large files
 *   docmill-token-dump --time FILE...   megabytes a second of processor time, best of three
 *
 * Diagnostics
 *   exit 1   a file cannot be read, or memory is short
 *   exit 2   usage
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/cl100k.h"

#define ROUNDS 3

enum form { FORM_TEXT, FORM_RAW, FORM_TIME };

static char *read_all(const char *path, size_t *n)
{
    size_t room = 1 << 20, got;
    FILE *f = fopen(path, "rb");
    char *text = f == NULL ? NULL : malloc(room), *more;

    *n = 0;
    while (text != NULL && (got = fread(text + *n, 1, room - *n, f)) > 0) {
        *n += got;
        if (*n < room)
            continue;
        more = realloc(text, room *= 2);
        if (more == NULL)
            free(text);
        text = more;
    }
    if (f != NULL)
        fclose(f);
    return text;
}

static int print_rank(void *arg, uint32_t rank, size_t end)
{
    (void)end;
    printf(*(bool *)arg ? "%u" : " %u", rank);
    *(bool *)arg = false;
    return 0;
}

static int write_rank(void *arg, uint32_t rank, size_t end)
{
    (void)arg;
    (void)end;
    return fwrite(&rank, sizeof rank, 1, stdout) == 1 ? 0 : -1;
}

static int count_rank(void *arg, uint32_t rank, size_t end)
{
    (void)rank;
    (void)end;
    ++*(size_t *)arg;
    return 0;
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int time_text(const char *path, const char *s, size_t n)
{
    double best = 1e9, began;
    size_t tokens = 0;
    int round, rc = 0;

    for (round = 0; round < ROUNDS && rc == 0; round++) {
        tokens = 0;
        began = cpu_s();
        rc = cl100k_text(s, n, count_rank, &tokens);
        best = cpu_s() - began < best ? cpu_s() - began : best;
    }
    printf("%7.1f MB/s  %9zu tokens  %6.2f MB  %s\n", (double)n * 1e-6 / best, tokens, (double)n * 1e-6, path);
    return rc;
}

static int do_file(enum form form, const char *path)
{
    size_t n;
    char *s = read_all(path, &n);
    bool first = true;
    int rc = 1;

    if (s == NULL)
        perror(path);
    else if (form == FORM_TIME)
        rc = time_text(path, s, n);
    else
        rc = cl100k_text(s, n, form == FORM_RAW ? write_rank : print_rank, &first);
    if (form == FORM_TEXT)
        putchar('\n');
    free(s);
    return rc;
}

int main(int argc, char **argv)
{
    enum form form = argc > 1 && strcmp(argv[1], "--raw") == 0    ? FORM_RAW
                     : argc > 1 && strcmp(argv[1], "--time") == 0 ? FORM_TIME
                                                                  : FORM_TEXT;
    int i = form == FORM_TEXT ? 1 : 2;

    if (i >= argc) {
        fprintf(stderr, "usage: docmill-token-dump [--raw | --time] FILE...\n");
        return 2;
    }
    for (; i < argc; i++)
        if (do_file(form, argv[i]) != 0)
            return 1;
    return fflush(stdout) != 0;
}
