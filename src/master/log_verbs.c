/*
 * log_verbs.c - what an operator asks and tells about the log's levels
 *
 * The levels lie in the scoreboard's head (decisions.md), so that every child obeys at once, those that start later too.
 * They are the daemon's life long; the next one begins with the configuration's.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/log.h"
#include "core/log_modules.h"
#include "core/reason.h"
#include "proc/control.h"

#include <errno.h>
#include <string.h>

#define X_MODULE(name, what) #name,
static const char *const modules[] = {LOG_MODULES(X_MODULE)};
#undef X_MODULE
#define N_MODULES ((int)(sizeof modules / sizeof modules[0]))
_Static_assert(N_MODULES <= LOG_MODULES_MAX, "every module may have a level of its own");

static void put_levels(struct pack *p)
{
    enum log_level general = log_level_of("");

    pack_put_str(p, "level", log_level_name(general));
    pack_str(p, "modules");
    pack_array(p);
    for (int i = 0; i < N_MODULES; i++) {
        pack_map(p);
        pack_put_str(p, "module", modules[i]);
        pack_put_str(p, "level", log_level_name(log_level_of(modules[i])));
        pack_put_bool(p, "own", log_level_of(modules[i]) != general);
        pack_end(p);
    }
    pack_end(p);
}

int verb_log_levels(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    (void)m;
    (void)r;
    (void)e;
    put_levels(p);
    return 0;
}

static bool is_module(const char *name)
{
    for (int i = 0; i < N_MODULES; i++)
        if (strcmp(modules[i], name) == 0)
            return true;
    return false;
}

/* `default`: a module goes with the general level again, and that is the configuration's. */
static int set_level(const struct master *m, const char *module, const char *word, struct error *e)
{
    bool all = strcmp(module, "all") == 0, back = strcmp(word, "default") == 0;
    enum log_level level = LOG_LVL_INFO;

    if (!all && !is_module(module)) {
        (void)reason_error(e, REASON_not_found, ENOENT, "No module of the log has the name \"%s\".", module);
        error_hint(e, "`docmillctl log level` lists them; all means every one.");
        return -ENOENT;
    }
    if (back && all && m->conf->log_level != NULL)
        word = m->conf->log_level;
    if (log_level_parse(word, &level) != 0 && !back)
        return reason_error(e, REASON_bad_request, EINVAL,
                            "\"%s\" is no level; it may be debug, info, warn, error or default.", word);
    if (back && !all)
        log_unset_level(module);
    else if (log_set_level(all ? NULL : module, level) != 0)
        return reason_error(e, REASON_internal, ENOSPC, "too many modules have a level of their own");
    return 0;
}

int verb_log_level(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    char module[LOG_MODULE_MAX + 1], level[16];
    int bad = control_arg_text(r, "module", "all", module, sizeof module, e);

    if (bad == 0)
        bad = control_arg_text(r, "level", "", level, sizeof level, e);
    if (bad == 0)
        bad = set_level(m, module, level, e);
    if (bad != 0)
        return bad;
    log_warn("log", "an operator set a level", "of", module, "level", level, NULL);
    put_levels(p);
    return 0;
}
