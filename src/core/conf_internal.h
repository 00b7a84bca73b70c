/*
 * conf_internal.h - what the files conf*.c share; nobody else includes it
 *
 * One struct conf_loader lives for one reading. Whatever is wrong becomes a fault and reading goes on, so that
 * `docmilld -t` can show all faults at once; conf_load() answers with the first.
 */
#ifndef CORE_CONF_INTERNAL_H
#define CORE_CONF_INTERNAL_H

#include "core/conf.h"

#include <stddef.h>

#define CONF_MAX_FAULTS      100
#define CONF_MAX_TEXT_BYTES  ((size_t)1024 * 1024) /* of all files together */
#define CONF_MAX_INCLUDES    10                    /* deep */
#define CONF_MAX_SECRET_FILE 65536
#define CONF_ENV_PREFIX      "DOCMILL_"

struct conf_key {
    const char *name;
    enum conf_type type;
    const char *def;
    int64_t lo, hi;
    unsigned flags, roles;
    const char *help;
    size_t offset; /* in struct conf */
};

#define X_INDEX(field, ...) CONF_KEY_##field,
enum conf_key_index { CONF_KEYS(X_INDEX) CONF_N_KEYS };
#undef X_INDEX

extern const struct conf_key conf_keys[CONF_N_KEYS];
extern const char *const conf_choices[CONF_N_KEYS];  /* of an ENUM: "a|b|c" */
extern const char *const conf_examples[CONF_N_KEYS]; /* set, not commented out, in the example file; NULL: none */

int conf_find_key(const char *name); /* index, or -1 */

struct conf_loader {
    const char *path;
    struct conf *conf;
    struct conf_origin *origins;
    bool wrong[CONF_N_KEYS]; /* a value was given, and refused */
    struct error *faults;
    size_t n_faults;
};

/* conf.c: reads everything there is; never NULL; the faults say whether it is good. Free with talloc_free; steal
 * ->conf to keep it. */
struct conf_loader *conf_read(const void *talloc_parent, const char *path);

/* conf.c: the first fault, and how many more there are. */
void conf_first_fault(const struct conf_loader *l, struct error *e);

/* conf.c: an empty generation; never NULL. */
struct conf *conf_new(const void *talloc_parent);

/* Adds a fault. file NULL: no place; line 0: no line; key NULL: no key. */
void conf_fault(struct conf_loader *l, const char *file, int line, const char *key, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* A hint for the fault just added. */
void conf_fault_hint(struct conf_loader *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* conf_value.c: setting one key; a bad value becomes a fault at its origin. */
void conf_set_text(struct conf_loader *l, int key, const char *text, const struct conf_origin *o);
void conf_set_number(struct conf_loader *l, int key, int64_t value, const struct conf_origin *o);
void conf_set_bool(struct conf_loader *l, int key, bool value, const struct conf_origin *o);
void conf_wrong_type(struct conf_loader *l, int key, const char *found, const struct conf_origin *o);
/* A key's field of a conf, by type. */
const char **conf_field_text(struct conf *c, int key);
int64_t *conf_field_int(struct conf *c, int key);
bool *conf_field_bool(struct conf *c, int key);
bool conf_key_is_text(int key);

/* What a key allows, as a phrase: "1 to 64 characters". */
void conf_allowed(int key, char *out, size_t size);
void conf_format_size(int64_t bytes, char *out, size_t size);
void conf_format_duration(int64_t ms, char *out, size_t size);
void conf_env_name(int key, bool secret_file, char *out, size_t size); /* DOCMILL_DATABASE_URL[_FILE] */
/* conf_print.c: a value as the file spells it, secrets masked; the settings of one entry of a list, without braces. */
void conf_print_value(FILE *out, const struct conf *c, int key);
void conf_print_pool(FILE *out, const struct pool_conf *p);
void conf_print_collection(FILE *out, const struct collection_conf *one);
/* Cut to fit and free of control characters, for messages. */
void conf_printable(const char *s, char *out, size_t size);
/* conf_nearest.c */
const char *conf_nearest(const char *word, const char *const *words, size_t n); /* NULL: nothing is near */

/* conf_source.c: the file and what it includes as one text, with a map from its lines to files and lines. */
struct conf_place {
    const char *file;
    int line;
};

struct conf_source {
    char *text;
    struct conf_place *lines; /* [0] is line 1 */
    size_t n_lines;
};

int conf_source_read(struct conf_loader *l, struct conf_source *s); /* 0, or -EINVAL with faults added */
struct conf_place conf_source_place(const struct conf_source *s, int line);

/* conf_file.c: the settings of the file into l. */
void conf_file_apply(struct conf_loader *l);
/* conf.c: key's value is the first line of that file. */
void conf_set_from_secret_file(struct conf_loader *l, int key, const char *file, const struct conf_origin *named_at);

/* conf_pools.c */
struct config_setting_t;
void conf_pools_apply(struct conf_loader *l, struct config_setting_t *pools, const struct conf_source *s);
void conf_pools_default(struct conf *c);

/* A fault of one setting in an entry of a list: what was found, what is allowed. */
void conf_entry_fault(struct conf_loader *l, const struct conf_source *source, const char *list, int index,
                      const struct config_setting_t *s, const char *allowed);

/* conf_collections.c */
void conf_collections_apply(struct conf_loader *l, struct config_setting_t *list, const struct conf_source *s);
void conf_collections_check(struct conf_loader *l); /* against the other keys */

/* conf_check.c: what one key alone cannot know. */
void conf_check(struct conf_loader *l);

#endif
