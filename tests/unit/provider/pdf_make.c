/* pdf_make.c - see pdf_make.h; aborts when memory is gone */
#include "pdf_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAGE_OBJECT 4 /* after catalog, pages and font; then page and content in turn */

char *pdf_make(int n_pages, const char *(*line)(int page), size_t *n)
{
    int objects = FIRST_PAGE_OBJECT - 1 + 2 * n_pages;
    long *offsets = calloc((size_t)objects + 1, sizeof *offsets);
    char *out = NULL;
    FILE *f = open_memstream(&out, n);

    if (f == NULL || offsets == NULL)
        abort();
    fputs("%PDF-1.4\n", f);
    offsets[1] = ftell(f);
    fputs("1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n", f);
    offsets[2] = ftell(f);
    fputs("2 0 obj\n<< /Type /Pages /Kids [", f);
    for (int i = 0; i < n_pages; i++)
        fprintf(f, "%d 0 R ", FIRST_PAGE_OBJECT + 2 * i);
    fprintf(f, "] /Count %d >>\nendobj\n", n_pages);
    offsets[3] = ftell(f);
    fputs("3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\n", f);
    for (int i = 0; i < n_pages; i++) {
        int page = FIRST_PAGE_OBJECT + 2 * i;
        char content[300];
        if (line(i)[0] == '\0')
            snprintf(content, sizeof content, "0 0 100 100 re f");
        else
            snprintf(content, sizeof content, "BT /F1 12 Tf 72 700 Td (%s) Tj ET", line(i));
        offsets[page] = ftell(f);
        fprintf(f,
                "%d 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
                "/Contents %d 0 R >>\nendobj\n",
                page, page + 1);
        offsets[page + 1] = ftell(f);
        fprintf(f, "%d 0 obj\n<< /Length %zu >>\nstream\n%s\nendstream\nendobj\n", page + 1, strlen(content), content);
    }
    long xref = ftell(f);
    fprintf(f, "xref\n0 %d\n0000000000 65535 f \n", objects + 1);
    for (int i = 1; i <= objects; i++)
        fprintf(f, "%010ld 00000 n \n", offsets[i]);
    fprintf(f, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%ld\n%%%%EOF\n", objects + 1, xref);
    fclose(f);
    free(offsets);
    return out;
}
