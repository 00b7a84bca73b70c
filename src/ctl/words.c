/*
 * words.c - the words in capitals that grammars use, and where the shells find what may stand for each
 *
 * A word whose choices the verb's own help names needs no candidates here, only its row. What the daemon has to be
 * asked for (pools) is asked for with a short deadline, and comes to nothing without a daemon.
 *
 * Depends on base, core, proc.
 */
#include "base/log.h"
#include "core/log_modules.h"
#include "core/pause.h"
#include "core/state.h"
#include "ctl/complete.h"
#include "proc/control.h"
#include "proc/services.h"

#include <string.h>
#include <talloc.h>

#define ASK_TIMEOUT_MS 500

struct word_row {
    const char *word;
    void (*each)(struct ctl *c, complete_emit emit, void *arg);
};

static void each_file(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    emit(arg, ":files", NULL);
}

static void each_dir(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    emit(arg, ":dirs", NULL);
}

static void each_state(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    for (int i = 1; i < STATE_MAX_; i++)
        emit(arg, state_name(i), "");
}

static void each_service(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    for (int v = 0; v < SERVICE_MAX_; v++)
        emit(arg, service_name((enum service)v), service_title((enum service)v));
}

static void each_pause(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    for (int p = 0; p < PAUSE_MAX_; p++)
        emit(arg, pause_name((enum pause)p), pause_title((enum pause)p));
}

static void each_module(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    emit(arg, "all", "every module");
#define X_MODULE(name, what) emit(arg, #name, what);
    LOG_MODULES(X_MODULE)
#undef X_MODULE
}

static void each_level(struct ctl *c, complete_emit emit, void *arg)
{
    (void)c;
    for (int i = LOG_LVL_DEBUG; i <= LOG_LVL_ERROR; i++)
        emit(arg, log_level_name((enum log_level)i), "");
    emit(arg, "default", "");
}

static void each_pool(struct ctl *c, complete_emit emit, void *arg)
{
    const char *path = talloc_asprintf(c->mem, "%s/" CONTROL_SOCKET, c->run_dir);
    json_t *body = NULL;
    const json_t *pool;
    struct error e;
    size_t i;

    if (control_call(path, "status", NULL, ASK_TIMEOUT_MS, &body, &e) != 0)
        return;
    json_array_foreach(json_object_get(body, "pools"), i, pool)
        emit(arg, ctl_string(pool, "name"), ctl_string(pool, "role"));
    json_decref(body);
}

/* clang-format off */
static const struct word_row rows[] = {
    {"FILE",    each_file},
    {"DIR",     each_dir},
    {"POOL",    each_pool},
    {"SERVICE", each_service},
    {"STATE",   each_state},
    {"WHAT",    each_pause},
    {"MODULE",  each_module},
    {"LEVEL",   each_level},
    {"DAY",     NULL},
    {"ID",      NULL},
    {"N",       NULL},
    {"NAME",    NULL},
    {"PLAN",    NULL},
    {"SIZE",    NULL},
    {"TEXT",    NULL},
    {"TIME",    NULL},
};
/* clang-format on */

bool words_each(struct ctl *c, const char *word, complete_emit emit, void *arg)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].word, word) != 0)
            continue;
        if (rows[i].each != NULL && c != NULL)
            rows[i].each(c, emit, arg);
        return true;
    }
    return false;
}
