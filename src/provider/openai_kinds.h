/*
 * openai_kinds.h - what each kind of server behind /v1/embeddings can do
 *
 * One row a kind; request, answer, packing, tests and docs/providers.md come from it. `evidence` says whether docmill
 * was run against it (SEEN) or its documents and sources were read (DOCUMENTED).
 *
 * path        below the base URL; "/v1" at the base URL's end is taken as part of it
 * auth        NONE needs no key, BEARER Authorization: Bearer, API_KEY api-key:. A key that is given is always sent
 * token_arrays  takes token numbers in place of text (docmill sends text)
 * base64, dimensions  takes encoding_format=base64, takes the parameter `dimensions`
 * items, request_tokens, input_tokens, body_bytes  most of each in one request; 0: not known
 * errors      WRAPPED {"error": {...}}, FLAT {"message": ...}; the reader takes either from any
 * rate_headers  sends x-ratelimit-*
 * echo        SAME: "model" of the answer is the one asked for, or a version of it; ANY: it says what it likes
 * unit        its vectors have length one: checked. Otherwise they are scaled to it
 */
#ifndef PROVIDER_OPENAI_KINDS_H
#define PROVIDER_OPENAI_KINDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* clang-format off */
/* X(ID, name, path, auth, token_arrays, base64, dimensions, items, request_tokens, input_tokens, body_bytes, errors,
 *   rate_headers, echo, unit, evidence, note) */
#define OPENAI_KINDS(X)                                                                                               \
    X(OPENAI, "openai", "/v1/embeddings", BEARER, true, true, true, 2048, 300000, 8192, 0, WRAPPED, true, SAME, true,   \
      DOCUMENTED, "api.openai.com")                                                                                    \
    X(AZURE, "azure", "/openai/v1/embeddings", API_KEY, true, true, true, 2048, 300000, 8192, 0, WRAPPED, true, ANY,    \
      true, DOCUMENTED, "model is the deployment's name; limits of -1 or 0 mean none; with an API version the path is /openai/deployments/<model>/embeddings") \
    X(OLLAMA, "ollama", "/v1/embeddings", NONE, false, true, true, 0, 0, 0, 0, WRAPPED, false, SAME, true,              \
      DOCUMENTED, "")                                                                                                  \
    X(LLAMACPP, "llamacpp", "/v1/embeddings", NONE, true, true, false, 0, 0, 0, 0, WRAPPED, false, ANY, true,           \
      SEEN, "0.7.0: llama-server --embeddings with a pooling; one model, whatever the name; a text of more tokens than --ubatch-size, 512 unless raised, is refused") \
    X(TEI, "tei", "/v1/embeddings", NONE, true, true, true, 32, 0, 0, 2000000, FLAT, false, ANY, true,                  \
      DOCUMENTED, "--max-client-batch-size is 32 unless raised; cuts long texts silently unless --auto-truncate false") \
    X(VLLM, "vllm", "/v1/embeddings", NONE, true, true, true, 0, 0, 0, 0, WRAPPED, false, SAME, false,                  \
      DOCUMENTED, "dimensions only for models trained for it")                                                         \
    X(GENERIC, "generic", "/embeddings", NONE, false, false, false, 0, 0, 0, 0, WRAPPED, false, ANY, false,             \
      DOCUMENTED, "any other: the base URL is taken as it is, numbers are asked for as text")
/* clang-format on */

enum openai_auth { OPENAI_AUTH_NONE, OPENAI_AUTH_BEARER, OPENAI_AUTH_API_KEY };
enum openai_errors { OPENAI_ERRORS_WRAPPED, OPENAI_ERRORS_FLAT };
enum openai_echo { OPENAI_ECHO_SAME, OPENAI_ECHO_ANY };
enum openai_evidence { OPENAI_EVIDENCE_SEEN, OPENAI_EVIDENCE_DOCUMENTED };

#define X_KIND(id, ...) OPENAI_##id,
enum openai_kind { OPENAI_KINDS(X_KIND) OPENAI_KIND_MAX_ };
#undef X_KIND

struct openai_capabilities {
    const char *name, *path;
    enum openai_auth auth;
    bool token_arrays, base64, dimensions;
    int items;
    int64_t request_tokens, input_tokens, body_bytes;
    enum openai_errors errors;
    bool rate_headers;
    enum openai_echo echo;
    bool unit;
    enum openai_evidence evidence;
    const char *note;
};

const struct openai_capabilities *openai_capabilities(enum openai_kind kind);
int openai_kind_parse(const char *name); /* an enum openai_kind, or -1 */
/* The table for people: docs/providers.md. */
void openai_print_markdown(FILE *f);

#endif
