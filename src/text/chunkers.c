/*
 * chunkers.c - the table of chunkers: see chunker.h
 */
#include "text/chunker.h"

#define X_ROW(id, name, version, tokenizer) {id, name, version, tokenizer},
static const struct chunker chunkers[] = {CHUNKERS(X_ROW)};

const struct chunker *chunker_by_id(int id)
{
    size_t i;

    for (i = 0; i < sizeof chunkers / sizeof *chunkers; i++)
        if (chunkers[i].id == id)
            return &chunkers[i];
    return NULL;
}

const struct chunker *chunker_by_tokenizer(enum tokenizer t)
{
    size_t i;

    for (i = 0; i < sizeof chunkers / sizeof *chunkers; i++)
        if (chunkers[i].tokenizer == t)
            return &chunkers[i];
    return NULL;
}
