/*
 * money.h - US dollars as whole numbers of 1e-12, so that sums are exact
 *
 * 0.02 dollars a million tokens is 20,000 units a token; nine million dollars still fit.
 */
#ifndef MOCKS_COMMON_MONEY_H
#define MOCKS_COMMON_MONEY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PICO_USD 1000000000000LL

/* "0.02" with at most `digits` decimals, times 10^digits; negative errno-like on anything else. */
int decimal_parse(const char *s, int digits, int64_t *out) MUST_CHECK;
/* 0.00125, without zeros at the end; "0" for nothing. */
void pico_usd_print(int64_t pico, char *out, size_t size);

#endif
