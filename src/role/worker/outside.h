/*
 * outside.h - the worker's requests to outside services; private to src/role/worker
 *
 * outside.c owns the HTTP engine and what every request shares: the permit of the node's pace and circuit breaker, and
 * what an answer means for them. embed_remote.c and parse_remote.c drive documents through it. Callbacks of the engine
 * only record; whatever needs the database happens in their collect functions, between rounds.
 */
#ifndef WORKER_OUTSIDE_H
#define WORKER_OUTSIDE_H

#include "http/http.h"
#include "proc/services.h"
#include "provider/openai.h"
#include "provider/ratehead_http.h"
#include "provider/verdict.h"
#include "worker/paid.h"
#include "worker/passage.h"
#include "worker/worker.h"

struct outside {
    struct worker *w;
    struct http_engine *http;
    struct paid paid;
    struct embed_remote *embed; /* NULL: the embedder is in this process */
    struct parse_remote *parse; /* NULL: all parsers are local */
};

/* One request to a service, from asking for permission to its answer. Zeroed at first. */
struct outside_call {
    struct service_permit permit;
    struct http_call *http; /* NULL: not under way */
    int64_t not_before_ms;  /* 0: at once */
    unsigned tries;         /* failures of the service so far */
};

enum outside_turn {
    OUTSIDE_GO,    /* send it now */
    OUTSIDE_LATER, /* not before call->not_before_ms */
    OUTSIDE_CLOSED /* the service is out of service: nothing is kept */
};
enum outside_turn outside_ask(struct outside *o, struct outside_call *call, enum service service, int64_t tokens);
/* The answer, whatever it was; tells the node's pace and breaker, and plans call->not_before_ms for another try. */
void outside_answered(struct outside *o, struct outside_call *call, const struct http_response *r,
                      const struct provider_verdict *v, const struct rate_head *head, int64_t tokens);
/* Not sent, or (with a request under way) cancelled: its callback then calls outside_abandoned(). */
void outside_give_up(struct outside *o, struct outside_call *call);
void outside_abandoned(struct outside *o, struct outside_call *call);
/* Until when storing may be tried again. */
int64_t outside_give_up_ms(const struct worker *w);

/* embed_remote.c, whose inside is in embed_int.h */
struct embed_remote *embed_remote_new(struct outside *o, struct error *e);
void embed_remote_free(struct embed_remote **r);
/* The passage's chunk rows are durable; its vectors from p->first_vector on are wanted. */
int embed_remote_add(struct embed_remote *r, struct passage *p, const struct queue_space *space,
                     struct error *e) MUST_CHECK;
bool embed_remote_busy(const struct embed_remote *r);
bool embed_remote_room(const struct embed_remote *r, bool to_fill);
int64_t embed_remote_next_ms(const struct embed_remote *r); /* when something is due without an event; INT64_MAX */
void embed_remote_send(struct embed_remote *r);             /* forms micro-batches and starts what may go */
int embed_remote_collect(struct embed_remote *r, struct error *e) MUST_CHECK;

#endif
