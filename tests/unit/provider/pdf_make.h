/* pdf_make.h - makes small PDF files for tests: one line of Helvetica a page, "" for a page that only has a drawing */
#ifndef PDF_MAKE_H
#define PDF_MAKE_H

#include <stddef.h>

/* malloc'ed; *n is its length. n_pages may be 0. line(i) gives the text of page i. */
char *pdf_make(int n_pages, const char *(*line)(int page), size_t *n);

#endif
