/*
 * docmill-html - a page on standard input, Markdown on standard output
 *
 *   docmill-html MAX_DEPTH
 *
 * Run by a docmill worker inside docmill-sandbox; useful by hand as well. Maps its input if that is a file, reads it
 * otherwise. Exit status: 0, or one of HTML_EXIT_* in html_markdown.h with a sentence on standard error.
 */
#include "html/buffer.h"
#include "html/html_markdown.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(void *arg, const char *p, size_t n)
{
    (void)arg;
    while (n > 0) {
        ssize_t put = write(STDOUT_FILENO, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int read_all(struct buffer *b)
{
    while (buffer_reserve(b, 65536)) {
        ssize_t got = read(STDIN_FILENO, b->p + b->n, b->room - b->n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return HTML_EXIT_INPUT;
        if (got == 0)
            return 0;
        b->n += (size_t)got;
    }
    return HTML_EXIT_NO_MEMORY;
}

static int convert(const char *p, size_t n, int max_depth)
{
    static const int exits[] = {[HTML_OK] = 0,
                                [HTML_NO_MEMORY] = HTML_EXIT_NO_MEMORY,
                                [HTML_TOO_DEEP] = HTML_EXIT_TOO_DEEP,
                                [HTML_NOT_WRITTEN] = HTML_EXIT_OUTPUT,
                                [HTML_BROKEN] = HTML_EXIT_BROKEN};
    static const char *const sentences[] = {"", "out of memory", "elements are nested too deep",
                                            "the output cannot be written", "the page cannot be parsed"};
    enum html_result r = html_to_markdown(p, n, max_depth, write_all, NULL);

    if (r != HTML_OK)
        fprintf(stderr, "docmill-html: %s\n", sentences[r]);
    return exits[r];
}

int main(int argc, char **argv)
{
    struct buffer b = {0};
    struct stat st;
    int depth = argc == 2 ? atoi(argv[1]) : 0;
    int rc;

    if (depth <= 0) {
        fprintf(stderr, "usage: docmill-html MAX_DEPTH < page.html > page.md\n");
        return HTML_EXIT_USAGE;
    }
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
        if (p != MAP_FAILED)
            return convert(p, (size_t)st.st_size, depth);
    }
    rc = read_all(&b);
    if (rc == 0)
        rc = convert(b.p, b.n, depth);
    buffer_free(&b);
    return rc;
}
