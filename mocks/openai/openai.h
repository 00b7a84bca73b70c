/*
 * openai.h - the embeddings mock: its state, the servers it can pretend to be, and its parts
 *
 * A style is a row: what the server asks of a request, what it can do, and how its errors look. `openai` is the
 * default; the others are the compatible servers whose differences a client has to know.
 */
#ifndef MOCKS_OPENAI_OPENAI_H
#define MOCKS_OPENAI_OPENAI_H

#include "common/limits.h"
#include "common/mock.h"

#define MAX_MODELS 16
#define MAX_KEYS   8

enum auth { AUTH_NONE, AUTH_BEARER, AUTH_API_KEY };
enum shape { SHAPE_OPENAI, SHAPE_AZURE, SHAPE_OLLAMA, SHAPE_TEI, SHAPE_LLAMACPP, SHAPE_VLLM, SHAPE_OPENROUTER };

struct style {
    const char *name;
    enum shape shape;
    enum auth auth;
    int max_items;          /* 0: no limit */
    int max_input_tokens;   /* an input above is refused, or cut when `truncates` */
    int max_request_tokens; /* 0: no limit */
    bool token_arrays, base64, dimensions, rate_headers, any_model, truncates;
};

struct model {
    char name[64];
    int dimension;
    bool shorter;     /* takes `dimensions` */
    int64_t pico_usd; /* a token */
    /* counted: billed is what was worked for, delivered what reached the caller whole */
    int64_t requests, inputs, tokens, delivered_requests, delivered_tokens;
};

struct openai {
    struct mock *mock;
    struct style style; /* a copy: flags change its limits */
    struct model models[MAX_MODELS];
    int n_models;
    const char *keys[MAX_KEYS];
    int n_keys;
    struct bucket requests, tokens;
    unsigned limits_generation;
    int64_t refused;
};

/* One request, checked. */
struct plan {
    struct model *model;
    const char *model_name; /* as answered */
    int n;
    struct item {
        const char *text; /* of a token array: its numbers as text */
        size_t len;
        int64_t tokens;
    } * items;
    int64_t tokens;
    int dimension;
    bool base64;
};

/* What can be wrong; each style has its status, type and code for it. */
enum problem {
    P_NO_KEY,
    P_BAD_KEY,
    P_NOT_FOUND,
    P_NO_MODEL,
    P_BAD_REQUEST,
    P_TOO_MANY_ITEMS,
    P_TOO_LONG,
    P_TOO_MANY_TOKENS,
    P_RATE_REQUESTS,
    P_RATE_TOKENS,
    P_QUOTA,
    P_BAD_ITEM,
    P_SERVER,
    P_OVERLOADED,
    P_FORBIDDEN
};

/* errors.c */
void openai_problem(struct openai *o, struct mock_request *q, struct mock_answer *a, enum problem p, const char *code,
                    const char *param, const char *fmt, ...) PRINTF_LIKE(7, 8);
void openai_fail(void *state, struct mock_request *q, struct mock_answer *a, int status, const char *code);

/* embeddings.c: 0, or -1 with the answer made */
int openai_plan(struct openai *o, struct mock_request *q, struct mock_answer *a, const char *deployment,
                struct plan *p) MUST_CHECK;
void openai_embed(struct openai *o, struct mock_request *q, struct mock_answer *a, const struct plan *p);

/* rates.c: refuses (false, the answer made), or takes the tokens; both leave the vendor's headers in the answer */
bool openai_rates(struct openai *o, struct mock_request *q, struct mock_answer *a, int64_t tokens);

/* styles.c: NULL: no such style; the names, for the help */
const struct style *openai_style(const char *name);

/* vectors.c: unit length, from the text and the model's name alone; a shorter one is the head of the longer */
void openai_vector(const char *model, const char *text, size_t len, int full, int dimension, float *out);

#endif
