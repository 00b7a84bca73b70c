/*
 * args.h - the command line, read by grammar strings
 *
 * A grammar is the usage line itself: "FILE... [--lane LANE] [--jobs N]". Words in capitals are arguments (NAME... is
 * one or more, [NAME...] any number, [NAME] at most one), words in small letters stand for themselves ("level LEVEL",
 * "[ready|idle]"; "[cancel|POOL]" is the word cancel or a POOL), "[-n|--limit N]" is an option with a value, "[--fast]"
 * a flag.
 * What is printed as usage is what is accepted. Options stand anywhere; "--" ends them; "--opt=value" works.
 *
 * Pure. Depends on base.
 */
#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ARGS_MAX_OPTIONS   16
#define ARGS_ELEMENT_BYTES 80

/* One element of a grammar: an option, or the words that an argument may be. */
struct args_element {
    bool option;
    char short_name;                /* 0: none */
    char name[ARGS_ELEMENT_BYTES];  /* long name, or the words, separated by | */
    char value[ARGS_ELEMENT_BYTES]; /* of an option: the word for its value */
    bool takes_value, optional, many;
};

/* Reads the element at *at and moves past it; false at the end. */
bool args_next_element(const char **at, struct args_element *el);

struct args_option {
    const char *name;  /* long name without dashes, as the grammar has it */
    const char *value; /* "" for a flag */
};

struct args {
    int n_words;
    const char **words;
    int n_options;
    struct args_option options[ARGS_MAX_OPTIONS];
};

/* argv without the program and the verb. The grammars of the verb and of the global options are both known. Errors
 * are bad_request, in words for a person. Strings point into argv or live in ctx. */
int args_parse(const void *talloc_ctx, const char *grammar, const char *global_grammar, int argc,
               const char *const *argv, struct args *out, struct error *e) MUST_CHECK;
const char *args_option(const struct args *a, const char *name); /* NULL: not given */
int args_number(const struct args *a, const char *name, int64_t def, int64_t min, int64_t max, int64_t *out,
                struct error *e) MUST_CHECK;

#endif
