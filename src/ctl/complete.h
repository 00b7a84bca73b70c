/*
 * complete.h - what may stand next on docmillctl's command line, for the shells
 *
 * The scripts that the shells load hand the words over and print what comes back, so what they offer is what this very
 * program's tables accept:
 *     docmillctl --complete WORD...     the words after docmillctl up to the cursor, the last one unfinished, maybe ""
 * answers a line each: the candidate, a tab, what it is; or ":files", ":dirs": those of the file system.
 */
#ifndef CTL_COMPLETE_H
#define CTL_COMPLETE_H

#include "ctl/ctl.h"

#include <stdio.h>

typedef void (*complete_emit)(void *arg, const char *word, const char *what);

/* words.c: the candidates of a word in capitals, beside the choices that a verb's help names; with c NULL
 * nothing is emitted. false: the table does not have it. */
bool words_each(struct ctl *c, const char *word, complete_emit emit, void *arg);

void complete(struct ctl *c, int argc, const char *const *words, FILE *out);
/* What a shell loads; false: there is none for it. */
bool complete_print_script(const char *shell, FILE *out);

#endif
