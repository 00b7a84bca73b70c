/* providers_page.c - docs/providers.md, made of the tables; see providers_page.h */
#include "provider/providers_page.h"
#include "provider/llamaparse_tables.h"
#include "provider/openai_kinds.h"
#include "provider/verdict.h"

void providers_print_markdown(FILE *f)
{
    fprintf(f,
            "# Outside services\n\n"
            "What docmill knows of the services it calls, and what it does with each of their answers. This page is\n"
            "`docmilld --print-providers-markdown`; the tables are those that the program runs by.\n\n"
            "| act | what docmill does | a failure for the circuit breaker |\n|---|---|---|\n");
    for (int i = 0; i < PROVIDER_ACT_MAX_; i++)
        fprintf(f, "| %s | %s | %s |\n", provider_act_name((enum provider_act)i),
                provider_act_does((enum provider_act)i), provider_act_is_failure((enum provider_act)i) ? "yes" : "no");
    fprintf(f,
            "\n## Embeddings: OpenAI and servers that speak its language\n\n"
            "Limits are the most of one request; `-` is not known. `known from` says whether docmill was run against\n"
            "that server, or its documents and sources were read.\n\n");
    openai_print_markdown(f);
    fprintf(f, "\nThe first row that fits wins. Any other answer is malformed: docmill backs off and sends it again.\n"
               "A parameter that is refused by name (`model`, `dimensions`, `encoding_format`) is the configuration's\n"
               "fault; without base64 numbers are asked for.\n\n"
               "## LlamaParse\n\n");
    llamaparse_print_markdown(f);
}
