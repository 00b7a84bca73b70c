/*
 * helptext.h - the form of the verbs' `options` text, read line by line
 *
 * One text serves --help as it stands, the manual page, and completion:
 *
 *     "  TERM           what it is\n"                  two spaces, a word of the grammar or an option, two spaces or more
 *     "                 more of it\n"                  four spaces or more: goes on
 *     "                 open: what this choice does\n" a word in small letters and a colon: one of the term's choices
 *     "A sentence.\n"                                  no space: a paragraph of its own
 *
 * A choice may also stand on the term's first line. Depends on nothing.
 */
#ifndef CTL_HELPTEXT_H
#define CTL_HELPTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define HELP_WIDTH 100

enum help_kind { HELP_TERM, HELP_MORE, HELP_PARAGRAPH };

struct help_line {
    enum help_kind kind;
    const char *term; /* of HELP_TERM; not terminated, nor are the others */
    size_t term_n;
    const char *choice; /* of HELP_TERM and HELP_MORE, NULL: the text is no choice; the text is what it does */
    size_t choice_n;
    const char *text;
    size_t text_n;
};

/* Reads the line at *at and moves past it; false at the end. */
bool help_next(const char **at, struct help_line *l);
/* For --help: lines of more than HELP_WIDTH columns go on below where their text began. */
void help_print(FILE *out, const char *text);
/* Whether a term is the word, or an option with it: "--lane LANE" and "-n, --limit N" are options of LANE and N. */
bool help_is_term_of(const struct help_line *l, const char *option, const char *word);

#endif
