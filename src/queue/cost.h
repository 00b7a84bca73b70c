/*
 * cost.h - what outside services cost: reserve, settle, write down
 *
 * A paid act is one request to a paid service: a micro-batch to an embedder, a submission to a parser. Its life:
 *
 *   cost_reserve()    before it is sent, in a short transaction of its own: may it be paid for? A budget refuses what
 *                     would exceed it, item by item; what is granted counts against the budgets until it is settled.
 *   cost_settle()     when it is answered: one row of the ledger an item, once however often it is called. Best in the
 *                     transaction that stores what was paid for: hang the lines on queue_work.costs, and queue_store
 *                     writes them, as dropped for jobs that were lost meanwhile. By itself for what is not stored: the
 *                     document failed for another reason, or queue_store gave up.
 *   cost_give_back()  when it is certain that nothing was paid (refused connection, 4xx, 429): the reservation goes.
 *
 * An act has a name of its own for each request that is sent, and an item in it a line: (act, line) is the key that
 * makes all of this safe to repeat. Who dies between reserve and settle leaves the reservation: it is given back by
 * expire_reservations() in sql/0003 as soon as the job is no longer worked on under its lease (or, for what outlives its
 * worker, when it expires), and the ledger gets a row of outcome `unknown`, without cost; a late settle turns that into
 * the truth.
 *
 * Budgets are US dollars a UTC day, by the database's clock: of all documents and of one user. Concurrent callers never
 * pass one together as long as what is settled is no more than was reserved. What is refused fails with
 * budget_exceeded, which costs no attempt: queue_fail() lets it wait for the next day, and the leader lets it go on
 * sooner when there is room again, because the budget was raised or a reservation was given back.
 *
 * Money is picodollars (base/money.h), never floating point.
 *
 * Errors: those of db/pg.h. Warns: a budget that has reached 80 % or refuses something, once a day each.
 * Depends on base, core, db.
 */
#ifndef QUEUE_COST_H
#define QUEUE_COST_H

#include "base/money.h"
#include "queue/queue.h"

#define COST_ACT_MAX     64
#define COST_NOTICES_MAX 8

/* X(name): what quantities count. The names are those of the ledger. */
#define COST_UNITS(X) X(tokens) X(pages) X(requests)
#define X_UNIT(name)  COST_##name,
enum cost_unit { COST_UNITS(X_UNIT) COST_UNIT_MAX_ };
#undef X_UNIT
const char *cost_unit_name(enum cost_unit u);

/* Picodollars a day; -1: no budget. */
struct cost_limits {
    int64_t daily, user_daily;
};
/* From budget.daily and budget.user_daily. bad_config if one is no amount. */
int cost_limits_of(const struct conf *c, struct cost_limits *out, struct error *e) MUST_CHECK;

enum cost_verdict {
    COST_GRANTED = 0,
    COST_OVER_DAILY,      /* the budget of all refuses it */
    COST_OVER_USER_DAILY, /* that of its user does */
};

/* One document's share of an act. */
struct cost_item {
    const struct queue_job *job;
    int64_t quantity, cost;                              /* estimates, better too high than too low */
    enum cost_verdict verdict;                           /* out */
    char budget[MONEY_TEXT + 16], used[MONEY_TEXT + 16]; /* out: US dollars, of the budget that refused it */
};

/* Said once a day for each budget and level: 80 (per cent of it are used or reserved) or 100 (something was refused).
 * cost_reserve() has logged it; callers may show it elsewhere too. The table budget_notices keeps them. */
struct cost_notice {
    int level;
    bool of_user; /* whose budget: one user's, or that of all */
    struct uuid user_id;
    char budget[MONEY_TEXT + 16], used[MONEY_TEXT + 16];
};

struct cost_ask {
    const char *provider, *model; /* or tier */
    enum cost_unit unit;
    struct cost_limits limits;
    int64_t hold_ms;         /* longer than the request can take, with the storing of its answer */
    bool outlives;           /* the act goes on without its worker (a submission): only hold_ms ends its reservation */
    bool repeated;           /* an earlier request for the same may have been paid for too */
    char act[COST_ACT_MAX];  /* "": a new name is made; the same ask repeated after an error keeps it */
    struct cost_item *items; /* in the order in which they are served while there is room; at most one a document */
    int n_items;
    struct cost_notice notices[COST_NOTICES_MAX]; /* out */
    int n_notices;
};

/* How many items are granted (their verdicts are set), or a negative code: then nothing is known to be reserved, and the
 * same ask may be repeated as it is. */
int cost_reserve(struct pg *p, struct cost_ask *ask, struct error *e) MUST_CHECK;
/* A sentence for a person. Returns out. */
const char *cost_notice_text(const struct cost_notice *n, char *out, size_t size);
/* budget_exceeded, in words, for an item that was refused. Returns -EDQUOT. */
int cost_refusal(const struct cost_item *item, struct error *e);

/* A row of the ledger. Strings stay the caller's. */
struct cost_line {
    const struct queue_job *job;
    char act[COST_ACT_MAX];
    int line;
    const char *provider, *model;
    enum cost_unit unit;
    int64_t quantity, cost; /* what the service charges, no estimate */
    bool dropped;           /* paid for, but of no use to the document */
    bool repeated;
    const char *note; /* NULL: none */
};

/* Divides a total by weights so that the parts add up to it exactly (largest remainder, ties to the first). Weights are
 * not negative; if all are 0 they count as equal. n above 0. */
void cost_divide(int64_t total, const int64_t *weights, int n, int64_t *parts);

/* In the caller's transaction, if one is open, otherwise in one of its own. 0 or a negative code; may be repeated. */
int cost_settle(struct pg *p, const struct cost_line *lines, int n, struct error *e) MUST_CHECK;
int cost_give_back(struct pg *p, const char *act, struct error *e) MUST_CHECK;

/* ---- upkeep, for the leader ---- */

/* $1 limit -> count */
extern const char cost_expire_sql[];
/* $1 daily, $2 user_daily in picodollars or NULL, $3 limit -> count of jobs that may go on */
extern const char cost_release_sql[];
void cost_release_params(struct pg_params *p, const struct cost_limits *l, int limit);

#endif
