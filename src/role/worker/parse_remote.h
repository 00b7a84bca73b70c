/* parse_remote.h - documents that an outside service parses; private to src/role/worker */
#ifndef WORKER_PARSE_REMOTE_H
#define WORKER_PARSE_REMOTE_H

#include "provider/llamaparse.h"
#include "provider/parser.h"
#include "worker/outside.h"

bool parse_remote_wanted(const struct conf *c); /* parser.order names it */

enum parse_place {
    PARSE_HERE,
    PARSE_THERE,
    PARSE_INSTEAD, /* here, because the service that should has been away for long */
    PARSE_LATER,   /* as PARSE_INSTEAD, but readers have a version of it: it waits for its parser */
};
enum parse_place parse_remote_place(struct worker *w, enum sniff_type type, bool visible);

struct parse_remote *parse_remote_new(struct outside *o, struct error *e);
void parse_remote_free(struct parse_remote **pr);
/* 1: the passage waits, 0: its hand is over (another's by now, or behind the gate), or negative. */
int parse_remote_add(struct parse_remote *pr, struct passage *p, struct error *e) MUST_CHECK;
bool parse_remote_busy(const struct parse_remote *pr);
bool parse_remote_room(const struct parse_remote *pr);
int64_t parse_remote_next_ms(const struct parse_remote *pr);
void parse_remote_send(struct parse_remote *pr);
/* Passages whose text has come are at PASSAGE_TEXT afterwards. How many moved, or negative. */
int parse_remote_collect(struct parse_remote *pr, struct error *e) MUST_CHECK;
/* The text of a passage is durable, or of no use to anybody: its place at the service is free. Before that, whoever goes
 * on after a crash fetches it again instead of having it parsed, and paid for, once more. */
int parse_remote_finish(struct passage *p, struct error *e) MUST_CHECK;

#endif
