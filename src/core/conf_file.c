/*
 * conf_file.c - the settings of the file, found by libconfig, set by the table
 *
 * Walks libconfig's tree: groups make dotted names (database = { url = ... } is database.url). A name that is neither
 * a key, nor a group of keys, nor `pools` or `collections`, is a fault with the nearest known name; nothing is skipped.
 *
 * Depends on libconfig, conf_source.c, conf_value.c, conf_pools.c.
 */
#include "core/conf_internal.h"

#include <libconfig.h>
#include <string.h>
#include <talloc.h>

#define MAX_NAME 120

struct walk {
    struct conf_loader *l;
    const struct conf_source *source;
    int seen[CONF_N_KEYS]; /* key was given by itself (1) or by its _file (2) */
};

static struct conf_origin origin_of(const struct walk *w, const config_setting_t *s)
{
    struct conf_place at = conf_source_place(w->source, (int)config_setting_source_line(s));

    return (struct conf_origin){.source = CONF_SRC_FILE, .file = at.file, .line = at.line};
}

/* Some key is called name.something. */
static bool is_group(const char *name)
{
    size_t n = strlen(name);

    for (int i = 0; i < CONF_N_KEYS; i++)
        if (strncmp(conf_keys[i].name, name, n) == 0 && conf_keys[i].name[n] == '.')
            return true;
    return false;
}

static void unknown(struct walk *w, const char *name, const config_setting_t *s)
{
    const char *words[2 * CONF_N_KEYS + 2];
    char secret_files[CONF_N_KEYS][MAX_NAME];
    struct conf_origin o = origin_of(w, s);
    const char *near;
    size_t n = 0;

    for (int i = 0; i < CONF_N_KEYS; i++) {
        words[n++] = conf_keys[i].name;
        if ((conf_keys[i].flags & CF_SECRET) == 0)
            continue;
        snprintf(secret_files[i], MAX_NAME, "%s_file", conf_keys[i].name);
        words[n++] = secret_files[i];
    }
    words[n++] = "pools";
    words[n++] = "collections";
    near = conf_nearest(name, words, n);
    conf_fault(w->l, o.file, o.line, name, "unknown key; allowed are the keys of docmill.conf(5)");
    if (near != NULL)
        conf_fault_hint(w->l, "did you mean %s?", near);
}

static const char *type_phrase(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "a truth value";
    case CONFIG_TYPE_ARRAY:
        return "an array [ ]";
    default:
        return "a list ( )";
    }
}

static void set_key(struct walk *w, int key, const config_setting_t *s)
{
    struct conf_origin o = origin_of(w, s);

    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        conf_set_number(w->l, key, config_setting_get_int64(s), &o);
        return;
    case CONFIG_TYPE_BOOL:
        conf_set_bool(w->l, key, config_setting_get_bool(s) != 0, &o);
        return;
    case CONFIG_TYPE_STRING:
        if (conf_keys[key].type == CONF_INT || conf_keys[key].type == CONF_BOOL)
            conf_wrong_type(w->l, key, "a string", &o);
        else
            conf_set_text(w->l, key, config_setting_get_string(s), &o);
        return;
    default:
        conf_wrong_type(w->l, key, type_phrase(s), &o);
    }
}

/* Notes that key is given here; false, with a fault, if it was given before (KEY and KEY_file). */
static bool first_time(struct walk *w, int key, const config_setting_t *s)
{
    struct conf_origin o = origin_of(w, s);

    if (w->seen[key]++ == 0)
        return true;
    conf_fault(w->l, o.file, o.line, conf_keys[key].name, "set twice, by %s and by %s_file", conf_keys[key].name,
               conf_keys[key].name);
    return false;
}

/* True if name is SECRET_file; its setting has then been applied. */
static bool apply_secret_file(struct walk *w, const char *name, const config_setting_t *s)
{
    struct conf_origin o = origin_of(w, s);
    char stem[MAX_NAME];
    size_t n = strlen(name);
    int key;

    if (n < 6 || strcmp(name + n - 5, "_file") != 0)
        return false;
    snprintf(stem, sizeof stem, "%.*s", (int)(n - 5), name);
    key = conf_find_key(stem);
    if (key < 0 || (conf_keys[key].flags & CF_SECRET) == 0)
        return false;
    if (!first_time(w, key, s))
        return true;
    if (config_setting_type(s) != CONFIG_TYPE_STRING)
        conf_fault(w->l, o.file, o.line, name, "wrong type: found %s, allowed is an absolute path", type_phrase(s));
    else
        conf_set_from_secret_file(w->l, key, config_setting_get_string(s), &o);
    return true;
}

static void walk_group(struct walk *w, const config_setting_t *group, const char *prefix);

static void walk_setting(struct walk *w, config_setting_t *s, const char *prefix)
{
    struct conf_origin o = origin_of(w, s);
    char name[MAX_NAME];
    int key;

    snprintf(name, sizeof name, "%s%s%.60s", prefix, *prefix != '\0' ? "." : "", config_setting_name(s));
    key = conf_find_key(name);
    if (key >= 0) {
        if (first_time(w, key, s))
            set_key(w, key, s);
    } else if (strcmp(name, "pools") == 0) {
        w->l->conf->pools_origin = o;
        conf_pools_apply(w->l, s, w->source);
    } else if (strcmp(name, "collections") == 0) {
        w->l->conf->collections_origin = o;
        conf_collections_apply(w->l, s, w->source);
    } else if (apply_secret_file(w, name, s)) {
        return;
    } else if (is_group(name) && config_setting_type(s) != CONFIG_TYPE_GROUP) {
        conf_fault(w->l, o.file, o.line, name, "wrong type: found %s, allowed is a group, %s = { ... }", type_phrase(s),
                   config_setting_name(s));
    } else if (is_group(name) ||
               (config_setting_type(s) == CONFIG_TYPE_GROUP && *prefix == '\0' && config_setting_length(s) > 0)) {
        walk_group(w, s, name); /* also of an unknown group, so that its keys are named with their nearest */
    } else {
        unknown(w, name, s);
    }
}

static void walk_group(struct walk *w, const config_setting_t *group, const char *prefix)
{
    for (int i = 0; i < config_setting_length(group); i++)
        walk_setting(w, config_setting_get_elem(group, (unsigned)i), prefix);
}

void conf_file_apply(struct conf_loader *l)
{
    struct conf_source source;
    struct conf_place at;
    struct walk *w;
    config_t file;

    if (conf_source_read(l, &source) != 0) {
        explicit_bzero(source.text, strlen(source.text));
        return;
    }
    config_init(&file);
    if (config_read_string(&file, source.text) != CONFIG_TRUE) {
        at = conf_source_place(&source, config_error_line(&file));
        conf_fault(l, at.file, at.line, NULL, "%s", config_error_text(&file));
        conf_fault_hint(l, "a setting is `name = value;`, a group `name = { ... };`, text stands in quotes");
    } else {
        w = talloc_zero(l, struct walk);
        w->l = l;
        w->source = &source;
        walk_group(w, config_root_setting(&file), "");
        talloc_free(w);
    }
    config_destroy(&file);
    explicit_bzero(source.text, strlen(source.text));
}
