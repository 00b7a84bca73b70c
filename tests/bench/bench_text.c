/*
 * bench_text.c - megabytes a second of normalise and chunk_text
 *
 *   bench_text [-m MB] [FILE...]
 *
 * Over the files given, or over made-up texts: one like a manual, and one for each shape that has made such code
 * quadratic. A line a text: its name, size, MB/s of normalise (of input) and of chunk_text with its token counting by
 * the estimator (of normalised text), number of chunks by cl100k_base, and chunk_text's MB/s with that. Best of three.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "text/chunker.h"
#include "text/normalise.h"

#define ROUNDS 3

struct shape {
    const char *name;
    const char *head; /* once */
    const char *unit; /* repeated */
    const char *tail; /* once */
};

#define PROSE                                                                                                          \
    "The queue holds what is to be done, and a worker takes from it in batches of at most one hundred. When the\n"     \
    "worker dies, its lease ends; another one goes on. See `queue  claim` and **lease** for what that means.\n\n"

static const struct shape shapes[] = {
    {"manual", "# Manual\n\n",
     "## Section  of 12  parts\n\n" PROSE PROSE "*  one item\n*  another item, with `code`\n\n   - nested\n\n"
     "```c\nint main(void)\n{\n\treturn  0; /* # not a heading */\n}\n```\n\n"
     "| name | value  |\n|---|---|\n| alpha | 12.5 |\n| beta | 7 |\n\n" PROSE "Stra\xC3\x9F"
     "e, na\xC3\xAFve, \xE4\xB8\xAD\xE6\x96\x87 \xE2\x80\x94 and so on.\n\n",
     ""},
    {"one line", "", "word ", "\n"},
    {"one word", "", "a", ""},
    {"one sentence a line", "", "A sentence. ", "\n"},
    {"headings", "", "# H\n", ""},
    {"deep headings", "", "# A\n## B\n### C\n#### D\n##### E\n###### F\n", ""},
    {"huge heading", "# ", "[a](b) ", "\n"},
    {"brackets in heading", "# ", "[", "\n"},
    {"list", "", "* item of a list\n", ""},
    {"list in one item", "* a\n", "  more of it here\n", ""},
    {"nested markers", "", "* ", "x\n"},
    {"unclosed fence", "```\n", "int  a = b;\n", ""},
    {"fences", "", "```\na\n```\n", ""},
    {"fence of spaces", "```\n", "        ", "x\n"},
    {"table", "| a | b |\n|---|---|\n", "| 1   | two  |\n", ""},
    {"one row", "| a | b |\n|---|---|\n", "| 1 ", "|\n"},
    {"spaces", "", "        ", ""},
    {"newlines", "", "\n\n\n\n", ""},
    {"one letter lines", "", "a\n", ""},
    {"chinese", "", "\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97\xE7\xAC\xA6\xE3\x80\x82", ""},
    {"chinese without stops", "", "\xE4\xB8\xAD\xE6\x96\x87", ""},
    {"combining marks", "e", "\xCC\x81", ""},
    {"joined emoji", "", "\xF0\x9F\x91\xA8\xE2\x80\x8D", ""},
    {"joiners", "\xDB\x8C", "\xE2\x80\x8D", "\xDB\x8C"},
    {"cyrillic", "", "\xD0\xBC\xD0\xB8\xD1\x80 ", ""},
    {"ill-formed", "", "\xFF", ""},
    {"zero bytes", "", "a\0", ""},
    {"backticks", "", "` `` ``` ```` ", ""},
    {"growing backticks", "", NULL, ""},
    {"backslashes", "", "\\", ""},
    {"base64", "", "QmFzZTY0", ""},
    {"page breaks", "", "page\f", ""},
};

static char *made(const struct shape *s, size_t want, size_t *n)
{
    size_t unit = s->unit == NULL ? 0 : strcmp(s->name, "zero bytes") == 0 ? 2 : strlen(s->unit), run = 1;
    char *text = malloc(want + 1024);

    *n = (size_t)sprintf(text, "%s", s->head);
    while (*n < want) {
        if (unit > 0) {
            memcpy(text + *n, s->unit, unit);
            *n += unit;
        } else {
            size_t run_now = run < want - *n ? run : want - *n;

            memset(text + *n, '`', run_now);
            text[*n + run_now] = ' ';
            text[*n + run_now + 1] = ' ';
            *n += run_now + 2;
            run++;
        }
    }
    *n += (size_t)sprintf(text + *n, "%s", s->tail);
    return text;
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    long size;

    *n = 0;
    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        goto out;
    rewind(f);
    text = malloc((size_t)size + 1);
    if (text != NULL)
        *n = fread(text, 1, (size_t)size, f);
out:
    if (f != NULL)
        fclose(f);
    return text;
}

static int count_chunk(void *arg, const struct chunk *c)
{
    (void)c;
    ++*(int *)arg;
    return 0;
}

/* Processor time: what a core can do, also on a machine that others use. */
static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double mb_per_s(size_t bytes, int64_t ns)
{
    return (double)bytes * 1e3 / (double)(ns > 0 ? ns : 1);
}

static int bench(const char *name, const char *text, size_t n)
{
    struct chunk_options o = {.max_tokens = 400, .overlap_tokens = 40};
    int64_t best_n = INT64_MAX, best_a = INT64_MAX, best_e = INT64_MAX, t0, t1, t2, t3;
    struct normalised out;
    size_t len = 0;
    int chunks = 0, round, rc;

    for (round = 0; round < ROUNDS; round++) {
        t0 = cpu_ns();
        rc = normalise(NULL, NORMALISE_MARKDOWN, text, n, &out);
        t1 = cpu_ns();
        if (rc != 0) {
            fprintf(stderr, "%s: %s\n", name, strerror(-rc));
            return 1;
        }
        o.tokenizer = TOKENS_APPROX;
        (void)chunk_text(out.text, out.len, out.page_starts, out.n_pages, &o, count_chunk, &chunks);
        t2 = cpu_ns();
        chunks = 0;
        o.tokenizer = TOKENS_CL100K;
        (void)chunk_text(out.text, out.len, out.page_starts, out.n_pages, &o, count_chunk, &chunks);
        t3 = cpu_ns();
        best_n = t1 - t0 < best_n ? t1 - t0 : best_n;
        best_a = t2 - t1 < best_a ? t2 - t1 : best_a;
        best_e = t3 - t2 < best_e ? t3 - t2 : best_e;
        len = out.len;
        talloc_free(out.text);
        talloc_free(out.page_starts);
    }
    printf("%-24s %8.2f MB  normalise %7.0f MB/s  chunk %7.0f MB/s  %d chunks  exactly %5.0f MB/s\n", name,
           (double)n / 1e6, mb_per_s(n, best_n), mb_per_s(len, best_a), chunks, mb_per_s(len, best_e));
    return 0;
}

int main(int argc, char **argv)
{
    size_t want = 10 * 1000 * 1000, n, i;
    int opt, failed = 0;
    char *text;

    while ((opt = getopt(argc, argv, "m:")) != -1) {
        if (opt != 'm')
            return 2;
        want = (size_t)atoi(optarg) * 1000 * 1000;
    }
    for (i = 0; optind == argc && i < sizeof shapes / sizeof *shapes; i++) {
        text = made(&shapes[i], want, &n);
        failed |= bench(shapes[i].name, text, n);
        free(text);
    }
    for (; optind < argc; optind++) {
        text = read_file(argv[optind], &n);
        failed |= text == NULL || bench(argv[optind], text, n);
        free(text);
    }
    return failed;
}
