/* test_providers_page.c - the page in docs is what the tables print */
#include "provider/providers_page.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

Test(providers_page, the_page_in_docs_is_what_the_tables_print)
{
    char *page = NULL, *file = calloc(1, 65536);
    size_t n = 0;
    FILE *f = open_memstream(&page, &n);

    providers_print_markdown(f);
    fclose(f);
    f = fopen(TEST_SOURCE "/docs/providers.md", "r");
    cr_assert(f != NULL);
    cr_assert_gt(fread(file, 1, 65535, f), 0);
    fclose(f);
    cr_expect_str_eq(file, page, "docmilld --print-providers-markdown > docs/providers.md");
    free(page);
    free(file);
}
