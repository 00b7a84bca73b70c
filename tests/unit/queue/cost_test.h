/* cost_test.h - what the tests of costs and budgets share */
#ifndef TESTS_QUEUE_COST_TEST_H
#define TESTS_QUEUE_COST_TEST_H

#include "queue/cost.h"
#include "queue_test.h"

#define CENT (MONEY_DOLLAR / 100)

extern const struct cost_limits no_limits;

struct cost_ask ask_of(struct cost_item *items, int n, struct cost_limits limits);
/* How many are granted. */
int reserve(struct pg *p, struct cost_ask *a);
/* The line of item i of an ask. */
struct cost_line line_of(const struct cost_ask *ask, int i, int64_t quantity, int64_t cost);
void settle(struct pg *p, const struct cost_line *lines, int n);
/* Whether SQL's answer, a boolean, is true. */
bool holds(struct qt *q, const char *what);
/* Whether ledger and sums say the same. */
bool totals_agree(struct qt *q);

#endif
