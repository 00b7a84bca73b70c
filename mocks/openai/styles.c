/* styles.c - the servers that the mock can pretend to be: see openai.h */
#include "openai/openai.h"

#include <string.h>

/* clang-format off */
static const struct style styles[] = {
    /* name        shape             auth         items input request   arrays base64 dims headers any trunc */
    {"openai",     SHAPE_OPENAI,     AUTH_BEARER,  2048, 8192, 300000,  true,  true,  true,  true,  false, false},
    {"azure",      SHAPE_AZURE,      AUTH_API_KEY, 2048, 8192, 300000,  true,  true,  true,  true,  false, false},
    {"ollama",     SHAPE_OLLAMA,     AUTH_NONE,       0, 8192,      0,  false, true,  true,  false, false, true},
    {"tei",        SHAPE_TEI,        AUTH_NONE,      32,  512,      0,  true,  true,  false, false, true,  true},
    {"llamacpp",   SHAPE_LLAMACPP,   AUTH_NONE,       0,  512,      0,  true,  true,  false, false, true,  false},
    {"vllm",       SHAPE_VLLM,       AUTH_NONE,       0, 8192,      0,  true,  true,  false, false, false, false},
    {"openrouter", SHAPE_OPENROUTER, AUTH_BEARER,  2048, 8192,      0,  false, true,  true,  false, true,  false},
};
/* clang-format on */

const struct style *openai_style(const char *name)
{
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++)
        if (strcmp(styles[i].name, name) == 0)
            return &styles[i];
    return NULL;
}
