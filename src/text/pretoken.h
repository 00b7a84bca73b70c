/*
 * pretoken.h - the pieces that cl100k_base splits a text into before it pairs bytes
 *
 * By hand what tiktoken says with a regular expression, the first of these that matches being taken:
 *   '(?i:[sdmt]|ll|ve|re)         an English ending
 *   [^\r\n\p{L}\p{N}]?\p{L}+      letters, with one mark or blank before them
 *   \p{N}{1,3}                    digits in threes
 *    ?[^\s\p{L}\p{N}]+[\r\n]*     marks, with one space before and line ends behind
 *   \s+$                          white space to the end of the text
 *   \s*[\r\n]                     white space to its last line end
 *   \s+(?!\S)                     white space less the last, which goes with what follows
 *   \s
 * White space is Unicode's, and U+017F folds to s, as in tiktoken. A piece depends on what follows it, so how a text
 * ends changes its last piece, but only that one: all before the last piece of a text are pieces of every longer text.
 *
 * Ill-formed UTF-8 counts as a mark for each of its errors. Pure. Private to src/text.
 */
#ifndef TEXT_PRETOKEN_H
#define TEXT_PRETOKEN_H

#include <stddef.h>

/* Where the piece that begins at `at` ends. at < n. */
size_t pretoken_end(const char *s, size_t n, size_t at);

#endif
