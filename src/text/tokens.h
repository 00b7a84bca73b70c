/*
 * tokens.h - how many tokens a text has
 *
 * TOKENS_CL100K counts the tokens of cl100k_base exactly, as OpenAI's embedding models do (cl100k.h).
 *
 * TOKENS_APPROX is a stated estimator for models of other tokenizers. A text is a row of runs:
 *   ASCII letters           ceil(n / 4)
 *   digits                  ceil(n / 3)
 *   newlines                1, and 1 more for each 16
 *   spaces, tabs, controls  free when single, else 1 and 1 more for each 16
 *   other ASCII marks       1 each
 *   other characters        by their first byte in UTF-8: 1 for U+0080..U+04FF and U+0600..U+07FF (accented Latin,
 *                           Greek, Cyrillic, Arabic) and from U+3000 (Chinese, Japanese, Korean); 2 for
 *                           U+0500..U+05FF (Armenian, Hebrew) and U+0800..U+2FFF (Indic, Thai, typographic marks);
 *                           3 from U+10000
 * It is deterministic, a prefix never has more than the whole, and a cut between runs changes the sum by at most one.
 * Measured against cl100k_base it gives 1.1 to 1.6 times the count for prose of Latin script and for source code, 1.5
 * to 2 times for Cyrillic, Hebrew, Hindi and Thai, 0.8 to 1.2 times for Greek, Chinese, Japanese and Korean, and as
 * little as half for base64, random letters and scripts rare on the Web: leave room for that below a model's limit.
 * Text that is not UTF-8 is counted safely but means nothing.
 */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stddef.h>

/* The names are those of chunk.tokenizer. */
#define TOKENIZERS(X)                                                                                                  \
    X(TOKENS_CL100K, "cl100k_base")                                                                                    \
    X(TOKENS_APPROX, "approx")

#define X_ENUM(id, name) id,
enum tokenizer { TOKENIZERS(X_ENUM) TOKENIZERS_ };
#undef X_ENUM

/* SIZE_MAX when TOKENS_CL100K had no memory, which only a word of more than 512 bytes needs. */
size_t tokens_count(enum tokenizer t, const char *s, size_t n);
/* Bytes of about the longest beginning of s that has at most `budget` tokens, at least one character when n > 0. */
size_t tokens_prefix(enum tokenizer t, const char *s, size_t n, size_t budget);
/* -1 when there is none of the name. */
int tokenizer_by_name(const char *name);

#endif
