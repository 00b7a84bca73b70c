/* verdict.c - lookups over the table in verdict.h */
#include "provider/verdict.h"

struct row {
    const char *name, *does;
    bool failure;
};

#define X_ROW(id, name, does, failure) [PROVIDER_##id] = {name, does, failure},
static const struct row rows[PROVIDER_ACT_MAX_] = {PROVIDER_ACTS(X_ROW)};
#undef X_ROW

static const struct row *row(enum provider_act act)
{
    return (int)act >= 0 && act < PROVIDER_ACT_MAX_ ? &rows[act] : &rows[PROVIDER_RETRY];
}

const char *provider_act_name(enum provider_act act)
{
    return row(act)->name;
}

const char *provider_act_does(enum provider_act act)
{
    return row(act)->does;
}

bool provider_act_is_failure(enum provider_act act)
{
    return row(act)->failure;
}
