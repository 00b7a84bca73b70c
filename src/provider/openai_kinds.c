/* openai_kinds.c - lookups over the table in openai_kinds.h, and the table for people */
#include "provider/openai_kinds.h"
#include "provider/openai_fault.h"

#include <inttypes.h>
#include <string.h>

/* clang-format off */
#define X_ROW(id, name, path, auth, arrays, b64, dims, items, rtok, itok, bytes, errors, heads, echo, unit, evidence, note) \
    [OPENAI_##id] = {name, path, OPENAI_AUTH_##auth, arrays, b64, dims, items, rtok, itok, bytes,                           \
                     OPENAI_ERRORS_##errors, heads, OPENAI_ECHO_##echo, unit, OPENAI_EVIDENCE_##evidence, note},
/* clang-format on */
static const struct openai_capabilities rows[OPENAI_KIND_MAX_] = {OPENAI_KINDS(X_ROW)};
#undef X_ROW

const struct openai_capabilities *openai_capabilities(enum openai_kind kind)
{
    return (int)kind >= 0 && kind < OPENAI_KIND_MAX_ ? &rows[kind] : &rows[OPENAI_GENERIC];
}

int openai_kind_parse(const char *name)
{
    for (int i = 0; i < OPENAI_KIND_MAX_; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

static const char *yes(bool b)
{
    return b ? "yes" : "no";
}

static void print_limit(FILE *f, int64_t n)
{
    if (n > 0)
        fprintf(f, " %" PRId64 " |", n);
    else
        fprintf(f, " - |");
}

static void print_kind(FILE *f, const struct openai_capabilities *k)
{
    static const char *const auth[] = {"none needed", "Bearer", "api-key"};

    fprintf(f, "| %s | `%s` | %s | %s | %s |", k->name, k->path, auth[k->auth], yes(k->base64), yes(k->dimensions));
    print_limit(f, k->items);
    print_limit(f, k->request_tokens);
    print_limit(f, k->input_tokens);
    print_limit(f, k->body_bytes);
    fprintf(f, " %s | %s | %s | %s | %s |\n", k->errors == OPENAI_ERRORS_WRAPPED ? "wrapped" : "flat",
            yes(k->rate_headers), k->echo == OPENAI_ECHO_SAME ? "checked" : "not checked",
            k->unit ? "checked" : "scaled", k->evidence == OPENAI_EVIDENCE_SEEN ? "seen" : "documents");
}

void openai_print_markdown(FILE *f)
{
    fprintf(f, "| kind | path | key | base64 | dimensions | inputs | tokens a request | tokens an input | bytes | "
               "errors | rate headers | model's name | length 1 | known from |\n"
               "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < OPENAI_KIND_MAX_; i++)
        print_kind(f, &rows[i]);
    fprintf(f, "\n");
    for (int i = 0; i < OPENAI_KIND_MAX_; i++)
        if (rows[i].note[0] != '\0')
            fprintf(f, "- %s: %s.\n", rows[i].name, rows[i].note);
    fprintf(f, "\n| status | type or code | words | act | reason |\n|---|---|---|---|---|\n");
    openai_print_faults(f);
}
