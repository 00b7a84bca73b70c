/*
 * chunk_dump.c - docmill-chunk-dump: what text makes of files
 *
 *   docmill-chunk-dump [--plain] [--approx] [--max-tokens N] [--overlap N] FILE...
 *   docmill-chunk-dump --check [--plain] FILE...
 *
 * The first form normalises and chunks each file and prints a line a chunk, its fields separated by tabs and named by
 * the first line. chunk_id is that of the document that a user whose id is all zeros would have uploaded. The second
 * form checks instead what must hold of normalised text and of chunks, with several options and those given, and prints
 * "ok" and the file's name.
 *
 * Diagnostics
 *   exit 1   a file cannot be read, or a check failed: the first one is named on standard error
 *   exit 2   usage
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "core/ids.h"
#include "text_check.h"

struct dump {
    enum normalise_kind kind;
    struct chunk_options o;
    bool check;
    const char *file;
    char sha256[SHA256_HEX_LEN + 1]; /* of the normalised text */
    struct uuid document;
    int n_chunks;
};

static char *read_all(const void *ctx, const char *path, size_t *n)
{
    size_t room = 1 << 16, got;
    FILE *f = fopen(path, "rb");
    char *text = f == NULL ? NULL : talloc_size(ctx, room);

    *n = 0;
    while (text != NULL && (got = fread(text + *n, 1, room - *n, f)) > 0) {
        *n += got;
        if (*n == room)
            text = talloc_realloc_size(ctx, text, room *= 2);
    }
    if (f != NULL && (ferror(f) != 0 || fclose(f) != 0))
        text = NULL;
    return text;
}

static int count_chunk(void *arg, const struct chunk *c)
{
    ((struct dump *)arg)->n_chunks = c->ord + 1;
    return 0;
}

static int print_chunk(void *arg, const struct chunk *c)
{
    const struct dump *d = arg;
    char id[UUID_TEXT_LEN + 1];
    struct uuid u;
    const char *p;

    const struct chunker *chunker = chunker_by_tokenizer(d->o.tokenizer);

    ids_chunk(&d->document, chunker->name, chunker->version, c->ord, &u);
    uuid_format(&u, id);
    printf("%s\t%d\t%d\t%zu\t%zu\t%zu\t%d\t%d\t", d->sha256, d->n_chunks, c->ord, c->start, c->end, c->overlap,
           c->tokens, c->page);
    for (p = c->heading_path; *p != '\0'; p++)
        putchar(*p == '\t' ? ' ' : *p);
    printf("\t%s\t%s\n", id, d->file);
    return 0;
}

/* As the worker has it: text in which no page breaks has no pages. */
static int chunk_once(struct dump *d, const struct normalised *text, chunk_fn fn)
{
    int n_pages = text->n_pages > 1 ? text->n_pages : 0;

    return chunk_text(text->text, text->len, text->page_starts, n_pages, &d->o, fn, d);
}

static int dump_chunks(struct dump *d, const char *in, size_t n, const struct normalised *text)
{
    static const struct uuid nobody;
    uint8_t digest[SHA256_BYTES];
    int rc;

    sha256_of(in, n, digest);
    ids_document(&nobody, digest, &d->document);
    sha256_of(text->text, text->len, digest);
    hex_encode(digest, sizeof digest, d->sha256);
    d->n_chunks = 0;
    rc = chunk_once(d, text, count_chunk);
    if (rc == 0)
        rc = chunk_once(d, text, print_chunk);
    if (rc != 0)
        fprintf(stderr, "%s: cannot be chunked: %s\n", d->file, strerror(-rc));
    return rc;
}

static int check_chunks(const struct dump *d, const char *in, size_t n, const struct normalised *text)
{
    const char *bad = text_check_all(d->kind, in, n);

    if (bad == NULL)
        bad = text_check_chunks(text, &d->o);
    if (bad != NULL)
        fprintf(stderr, "%s: %s\n", d->file, bad);
    else
        printf("ok\t%s\n", d->file);
    return bad != NULL;
}

static int do_file(struct dump *d)
{
    void *ctx = talloc_new(NULL);
    struct normalised text;
    size_t n;
    char *in = read_all(ctx, d->file, &n);
    int rc = 1;

    if (in == NULL)
        fprintf(stderr, "%s: %s\n", d->file, strerror(errno));
    else if ((rc = normalise(ctx, d->kind, in, n, &text)) != 0)
        fprintf(stderr, "%s: cannot be normalised: %s\n", d->file, strerror(-rc));
    else
        rc = d->check ? check_chunks(d, in, n, &text) : dump_chunks(d, in, n, &text);
    talloc_free(ctx);
    return rc;
}

static int parse(struct dump *d, int argc, char **argv)
{
    static const struct option options[] = {
        {"plain", no_argument, NULL, 'p'},
        {"check", no_argument, NULL, 'c'},
        {"max-tokens", required_argument, NULL, 'm'},
        {"overlap", required_argument, NULL, 'o'},
        {"approx", no_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'p':
            d->kind = NORMALISE_PLAIN;
            d->o.plain = true;
            break;
        case 'c':
            d->check = true;
            break;
        case 'a':
            d->o.tokenizer = TOKENS_APPROX;
            break;
        case 'm':
            d->o.max_tokens = atoi(optarg);
            break;
        case 'o':
            d->o.overlap_tokens = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    return optind < argc ? 0 : 2;
}

int main(int argc, char **argv)
{
    struct dump d = {.kind = NORMALISE_MARKDOWN, .o = {.max_tokens = 400, .overlap_tokens = 40}};
    int rc = parse(&d, argc, argv);

    if (rc != 0) {
        fprintf(stderr,
                "usage: docmill-chunk-dump [--check] [--plain] [--approx] [--max-tokens N] [--overlap N] FILE...\n");
        return rc;
    }
    if (!d.check)
        printf("sha256\tchunks\tord\tstart\tend\toverlap\ttokens\tpage\theading_path\tchunk_id\tfile\n");
    for (; optind < argc; optind++) {
        d.file = argv[optind];
        if (do_file(&d) != 0)
            return 1;
    }
    return fflush(stdout) != 0;
}
