/* providers_page.h - docs/providers.md, made of the tables of the outside services */
#ifndef PROVIDER_PROVIDERS_PAGE_H
#define PROVIDER_PROVIDERS_PAGE_H

#include <stdio.h>

void providers_print_markdown(FILE *f);

#endif
