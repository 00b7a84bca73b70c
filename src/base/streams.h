/*
 * streams.h - the standard streams of a command: whole from the first line on, and no output lost without a word
 *
 * Depends on base/error.
 */
#ifndef BASE_STREAMS_H
#define BASE_STREAMS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* First thing in main: whoever closed a standard stream gets one that goes nowhere, so that no file or socket that is
 * opened later takes its number and is written to. Writes to a standard output that was closed fail. */
void streams_hold(void);

/* Last thing in main: 0, or a negative code and why, if something that was written to standard output did not arrive. */
int streams_flush(struct error *e) MUST_CHECK;

/* Waits ms; false, early, once nobody can read standard output any more (a pipe whose reader has ended). */
bool streams_rest(int64_t ms);

#endif
