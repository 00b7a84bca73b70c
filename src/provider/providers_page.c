/* providers_page.c - docs/providers.md, made of the tables; see providers_page.h */
#include "provider/providers_page.h"
#include "provider/llamaparse_tables.h"
#include "provider/openai_kinds.h"
#include "provider/verdict.h"

/* Where a worker may die while a document is at an outside parser: each has a test (tests/blackbox/test_submit_kills.py)
 * that kills one there. X("name", "where it stands", submissions that the service sees, whether the ledger marks the last
 * as repeated) */
#define KILL_POINTS(X)                                                                                                 \
    X("begin", "before the submission is written down", 1, false)                                                      \
    X("written", "the submission is written down, nothing was sent", 1, true)                                          \
    X("sent", "the request was sent, no answer has come", 2, true)                                                     \
    X("answered", "the answer has come and is not stored", 2, true)                                                    \
    X("stored", "the answer is stored, the worker does not know it yet", 1, false)                                     \
    X("fetched", "the text was fetched and is not durable", 1, false)

static void print_kill_points(FILE *f)
{
    static const struct {
        const char *name, *where;
        int submissions;
        bool marked;
    } points[] = {
#define X_POINT(name, where, submissions, marked) {name, where, submissions, marked},
        KILL_POINTS(X_POINT)
#undef X_POINT
    };

    fprintf(f, "| point | a worker is killed when | submissions | the last is marked |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        fprintf(f, "| `%s` | %s | %d | %s |\n", points[i].name, points[i].where, points[i].submissions,
                points[i].marked ? "yes" : "no");
}

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
    fprintf(
        f,
        "\nThe first row that fits wins. Any other answer is malformed: docmill backs off and sends it again.\n"
        "A parameter that is refused by name (`model`, `dimensions`, `encoding_format`) is the configuration's\n"
        "fault; without base64 numbers are asked for.\n\n"
        "### A change of the model\n\n"
        "While a collection's new embedding space is filled, its old one serves: documents are embedded for both, and\n"
        "the texts of searches for the old one. All models are asked of the one service of `openai.*`, each request\n"
        "naming the model and dimension of its space. A service that no longer has the old model refuses them\n"
        "(`provider_config`); searches then fail with that reason until the new space is filled. From `builtin` to a\n"
        "service and back nothing fails, as long as `openai.*` stays configured until the change is done. There is no\n"
        "fallback from one model to another.\n\n"
        "## LlamaParse\n\n");
    llamaparse_print_markdown(f);
    fprintf(
        f,
        "\n### A worker killed around a submission\n\n"
        "What the service sees of one document. After each of them the document is complete. A submission that may\n"
        "have been paid for before is marked as repeated in the ledger, where the one that nobody heard of again is\n"
        "`unknown` once its time is up.\n\n");
    print_kill_points(f);
}
