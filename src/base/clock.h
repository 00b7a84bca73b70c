/* clock.h - monotonic time in milliseconds and nanoseconds; backoff with jitter. Never the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);
int64_t clock_ns(void);
int64_t clock_boot_ms(void); /* goes on while the machine sleeps; only to see that it did */

/* Backoff with jitter: a value in [base/2, base] where base = min(cap, first << try). try counts from 0. 0 if first_ms
 * is not positive. */
int64_t backoff_ms(int64_t first_ms, int64_t cap_ms, unsigned try_no);

#endif
