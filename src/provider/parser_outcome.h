/* parser_outcome.h - what a parser's end means; private to src/provider */
#ifndef PROVIDER_PARSER_OUTCOME_H
#define PROVIDER_PARSER_OUTCOME_H

#include "provider/child.h"
#include "provider/sniff.h"

/* 0 if the child did its work, else a code with the reason in *e. command: its path, for the message. */
int parser_judge(enum sniff_type type, const char *command, const struct child_spec *s, const struct child_outcome *o,
                 struct error *e) MUST_CHECK;

#endif
