/*
 * embed_cl100k.c - makes the bytes of struct cl100k_table from the rank file; runs at build time
 *
 *   embed_cl100k RANKS OUT
 *
 * RANKS has a line a token, its bytes in base64 and its rank, ranks rising by one from 0. The SHA-256 was checked by
 * CMake before; what is checked here is what the table relies on.
 *
 * Diagnostics
 *   exit 1   a file cannot be read or written, or RANKS is not as it should be
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/cl100k_table.h"

#define LINE_BYTES 256

static struct cl100k_table *table;
static size_t used; /* of table->bytes */

static int fail(const char *what, unsigned line)
{
    fprintf(stderr, "embed_cl100k: %s (line %u)\n", what, line);
    return 1;
}

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

/* Decodes to the end of the bytes; where the base64 ended, or NULL. */
static const char *decode(const char *s)
{
    unsigned bits = 0, have = 0;

    for (; sextet(*s) >= 0; s++) {
        bits = bits << 6 | (unsigned)sextet(*s);
        have += 6;
        if (have >= 8) {
            have -= 8;
            table->bytes[used++] = (uint8_t)(bits >> have);
        }
    }
    while (*s == '=')
        s++;
    return *s == ' ' ? s + 1 : NULL;
}

static void insert(uint32_t rank)
{
    const uint8_t *p = table->bytes + table->starts[rank];
    uint64_t hash = cl100k_hash(p, table->starts[rank + 1] - table->starts[rank]);
    uint32_t at = cl100k_slot_of(hash);

    while (table->slots[at] != 0)
        at = (at + 1) & (CL100K_SLOTS - 1);
    table->slots[at] = cl100k_fingerprint(hash) | (rank + 1);
}

static int read_ranks(FILE *f)
{
    char line[LINE_BYTES], *end;
    const char *number;
    uint32_t rank = 0;

    for (; fgets(line, sizeof line, f) != NULL; rank++) {
        if (rank == CL100K_TOKENS)
            return fail("more tokens than expected", rank + 1);
        table->starts[rank] = (uint32_t)used;
        number = decode(line);
        if (number == NULL || strtoul(number, &end, 10) != rank || *end != '\n')
            return fail("not a token and its rank", rank + 1);
        if (used == table->starts[rank] || used - table->starts[rank] > CL100K_MAX_BYTES)
            return fail("a token that is empty or too long", rank + 1);
        table->starts[rank + 1] = (uint32_t)used;
        insert(rank);
    }
    return rank == CL100K_TOKENS ? 0 : fail("fewer tokens than expected", rank);
}

int main(int argc, char **argv)
{
    FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL, *out = argc == 3 ? fopen(argv[2], "wb") : NULL;
    int rc = 1;

    table = calloc(1, sizeof *table + (size_t)CL100K_TOKENS * CL100K_MAX_BYTES);
    if (in == NULL || out == NULL || table == NULL)
        (void)fail("usage: embed_cl100k RANKS OUT, or a file that cannot be opened", 0);
    else
        rc = read_ranks(in);
    if (rc == 0 && fwrite(table, sizeof *table + used, 1, out) != 1)
        rc = fail("cannot write the table", 0);
    if (in != NULL)
        fclose(in);
    if (out != NULL && fclose(out) != 0)
        rc = 1;
    free(table);
    return rc;
}
