/*
 * gen_constants.c - src/core/state.h as a Promela header
 *
 * Prints the numbers of statuses (as UPLOADED) and states (as S_QUEUED), and as macros what the tables allow:
 * PATH_WORKER(from, to) and its like for each actor, LEGAL(status, state), ENDS(status), STATE_ENDS(state),
 * CLAIMABLE(state), FAILURE_OF(status). So the model has no opinion of its own about the table, and a change there is
 * checked by the next run. A relation is printed as one bit mask a row: spin's own buffers do not take the long form.
 *
 * Called by tests/model/run. Depends on core/state.
 */
#include "core/state.h"

#include <stdbool.h>
#include <stdio.h>

_Static_assert(STATUS_MAX_ <= 31 && STATE_MAX_ <= 31, "a row must fit Promela's int");

static bool by_worker(int from, int to)
{
    return path_allowed(from, to, ACTOR_WORKER);
}

static bool by_rescue(int from, int to)
{
    return path_allowed(from, to, ACTOR_RESCUE);
}

static bool by_operator(int from, int to)
{
    return path_allowed(from, to, ACTOR_OPERATOR);
}

static void print_relation(const char *name, bool (*holds)(int, int), int columns)
{
    printf("#define %s(a, b) (((0", name);
    for (int a = 1; a < STATUS_MAX_; a++) {
        unsigned mask = 0;
        for (int b = 1; b < columns; b++)
            mask |= holds(a, b) ? 1u << b : 0;
        if (mask != 0)
            printf(" + ((a) == %d) * %u", a, mask);
    }
    printf(") >> (b)) & 1)\n");
}

static void print_set(const char *name, bool (*holds)(int), int end)
{
    unsigned mask = 0;

    for (int a = 1; a < end; a++)
        mask |= holds(a) ? 1u << a : 0;
    printf("#define %s(a) ((%u >> (a)) & 1)\n", name, mask);
}

static bool state_claimable(int state)
{
#define X_STATE(NAME, n, claimable, ends, meaning) || (state == (n) && (claimable))
    return false STATES(X_STATE);
#undef X_STATE
}

int main(void)
{
    printf("/* Made by gen_constants.c from src/core/state.h. */\n");
#define X_STATE(NAME, n, claimable, ends, meaning) printf("#define S_%s %d\n", #NAME, n);
    STATES(X_STATE)
#undef X_STATE
#define X_STATUS(NAME, text, n, progress, legal, meaning) printf("#define %s %d\n", #NAME, n);
    STATUSES(X_STATUS)
#undef X_STATUS
    print_relation("PATH_WORKER", by_worker, STATUS_MAX_);
    print_relation("PATH_RESCUE", by_rescue, STATUS_MAX_);
    print_relation("PATH_OPERATOR", by_operator, STATUS_MAX_);
    print_relation("LEGAL", state_legal, STATE_MAX_);
    print_set("ENDS", status_is_end, STATUS_MAX_);
    print_set("STATE_ENDS", state_is_end, STATE_MAX_);
    print_set("CLAIMABLE", state_claimable, STATE_MAX_);
    printf("#define FAILURE_OF(a) (0");
    for (int status = 1; status < STATUS_MAX_; status++)
        if (!status_is_end(status))
            printf(" + ((a) == %d) * %d", status, status_failure_of(status));
    printf(")\n");
    return fflush(stdout) != 0 || ferror(stdout) != 0;
}
