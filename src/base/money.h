/*
 * money.h - exact amounts of money, for prices and cost
 *
 * An amount is a whole number of picodollars (10^-12 USD) in 64 bits: up to 9.2 million dollars either way, far above
 * any row of the ledger; sums over many rows are the database's, as numeric. There is no floating point anywhere: text
 * in, text out, and every operation says when it does not fit.
 *
 * A price per million tokens with at most six decimals is a whole number of picodollars a token, so a token's price is
 * as exact as a page's.
 *
 * Pure.
 */
#ifndef BASE_MONEY_H
#define BASE_MONEY_H

#include "base/error.h"

#include <stdint.h>

#define MONEY_DECIMALS             12
#define MONEY_DOLLAR               1000000000000LL
#define MONEY_TEXT                 24 /* room for any amount as text: sign, 7 digits, point, 12 decimals, NUL */
#define MONEY_PER_MILLION_DECIMALS 6

/* "0.02", "12", "-1.5": digits with at most max_decimals (0 to 12) behind the point, no sign but '-', no exponent.
 * 0, -EINVAL (not such a number) or -ERANGE. */
int money_parse(const char *text, int max_decimals, int64_t *picodollars) MUST_CHECK;
/* Price per million of something, at most six decimals, into picodollars for one. */
int money_parse_per_million(const char *text, int64_t *picodollars_each) MUST_CHECK;
/* The shortest text that is the amount: "0.00002", "12", "-1.5". PostgreSQL reads it as numeric. Returns buf. */
const char *money_text(int64_t picodollars, char buf[MONEY_TEXT]);

/* 0 or -ERANGE, then *out is left alone. */
int money_times(int64_t each, int64_t count, int64_t *out) MUST_CHECK;

#endif
