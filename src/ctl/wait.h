/* wait.h - the two kinds of docmillctl wait: for documents (do_wait.c) and for the daemon (do_wait_for.c) */
#ifndef CTL_WAIT_H
#define CTL_WAIT_H

#include "ctl/ctl.h"

/* Whether a word is a state of the daemon; ids of documents and jobs never are. */
bool wait_is_condition(const char *word);
/* Waits for the state that the first word names; timeout_ms below 0: none was given. The exit code. */
int wait_for_daemon(struct ctl *c, int64_t timeout_ms);

#endif
