/* totals.c - see totals.h */
#include "proc/totals.h"

const char *death_cause_name(enum death_cause c)
{
#define X_NAME(NAME, label, ...) [CAUSE_##NAME] = label,
    static const char *const names[CAUSE_MAX_] = {DEATH_CAUSES(X_NAME)};
#undef X_NAME

    return names[c];
}

/* All of it is uint64_t, so that nothing can be forgotten here. */
_Static_assert(sizeof(struct score_counters) % sizeof(uint64_t) == 0, "counters are words");

void counters_add(struct score_counters *to, const struct score_counters *from)
{
    uint64_t *a = (uint64_t *)(void *)to;
    const uint64_t *b = (const uint64_t *)(const void *)from;

    for (unsigned long i = 0; i < sizeof *to / sizeof *a; i++)
        a[i] += b[i];
}
