/*
 * conf.h - the configuration: read, checked, explained, handed to the roles
 *
 * One struct conf is one configuration generation, owned by its talloc parent; a reload makes a new one beside the old
 * one and swaps. It is never changed after it was made. Children get a sealed memfd with only the keys their role may
 * see.
 *
 * Sources, later ones win: default, file (with @include; a relative path there starts at the including file's
 * directory), environment (DOCMILL_DATABASE_URL for database.url). Secrets may also be given as KEY_file in the file or
 * DOCMILL_..._FILE in the environment (the first line of that file); KEY and KEY_file at the same place is an error.
 * Paths are absolute; a relative one is refused, since a daemon has no useful directory to start from.
 *
 * Diagnostics (as struct error; file:line, key, what was found, what is allowed):
 *   unknown key, wrong type, out of bounds, bad unit, missing required key, unreadable *_file, duplicate pool name
 */
#ifndef CORE_CONF_H
#define CORE_CONF_H

#include "base/error.h"
#include "core/conf_keys.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

enum conf_flags { CF_REQUIRED = 1, CF_SECRET = 2, CF_RELOAD = 4, CF_NODE = 8, CF_VERIFY = 16 };
enum conf_roles { CR_MASTER = 1, CR_COORD = 2, CR_API = 4, CR_WORKER = 8, CR_ALL = 15 };
enum conf_type { CONF_STR, CONF_PATH, CONF_INT, CONF_BOOL, CONF_SIZE, CONF_DURATION, CONF_ENUM };

#define CONF_CTYPE_STR      const char *
#define CONF_CTYPE_PATH     const char *
#define CONF_CTYPE_ENUM     const char *
#define CONF_CTYPE_INT      int64_t
#define CONF_CTYPE_BOOL     bool
#define CONF_CTYPE_SIZE     int64_t
#define CONF_CTYPE_DURATION int64_t

/* Where a value came from. */
enum conf_source_kind { CONF_SRC_UNSET, CONF_SRC_DEFAULT, CONF_SRC_FILE, CONF_SRC_ENV, CONF_SRC_SECRET_FILE };
struct conf_origin {
    enum conf_source_kind source;
    const char *file; /* of CONF_SRC_FILE and CONF_SRC_SECRET_FILE */
    int line;         /* of CONF_SRC_FILE */
};

/* One pool of children. `pools = ( { name = "workers"; role = "worker"; max = 4; } )` */
enum pool_role { POOL_COORDINATOR, POOL_API, POOL_WORKER };

#define CONF_MAX_POOLS     16
#define CONF_MAX_POOL_SIZE 256

struct pool_conf {
    char name[32];
    enum pool_role role;
    uint32_t stages;        /* worker: bit mask of 1 << status it may claim; 0: every claimable one */
    int lane_min, lane_max; /* 0 to 32767 */
    int min, max, spare;    /* max 0: a reload removed it, and its last children may be finishing */
    int64_t max_jobs;       /* 0: no limit */
    int64_t max_age_ms;     /* 0: no limit */
    int64_t max_memory;     /* bytes, of its own share (PSS); 0: no limit */
};

/* One collection beside `default`. `collections = ( { name = "notes"; embedder = "builtin"; dimension = 256; } )` */
#define CONF_MAX_COLLECTIONS 31

struct collection_conf {
    char name[32];
    bool outside;   /* embedded by the service of openai.*, else by builtin */
    char model[65]; /* "": openai.model */
    int dimension;  /* 0: embedder.dimension */
    char price[25]; /* "": openai.price_per_million_tokens */
};

const char *conf_pool_role_name(enum pool_role r); /* "worker"; "unknown" for no role */

/* A secret that a reload replaced and that is still accepted where docmill verifies by it. */
#define CONF_MAX_FORMERS 8

struct conf_former {
    int key;          /* in table order */
    const char *text; /* owned by the conf, wiped with it */
    int64_t until_ms; /* by the monotonic clock */
};

struct conf {
#define X_FIELD(field, key, type, def, lo, hi, flags, roles, help) CONF_CTYPE_##type field;
    CONF_KEYS(X_FIELD)
#undef X_FIELD
    int n_pools;
    struct pool_conf pools[CONF_MAX_POOLS];
    struct conf_origin pools_origin;
    int n_collections;
    struct collection_conf collections[CONF_MAX_COLLECTIONS];
    struct conf_origin collections_origin;
    const struct conf_origin *origins; /* one a key, in table order: where its value came from */
    int n_formers;
    struct conf_former formers[CONF_MAX_FORMERS]; /* newest first */
};

/* What is accepted for the secret of `field`, a member of c: its value if it is set, then the former ones that are
 * accepted still. Fills list, NULL-terminated; returns how many. */
#define CONF_MAX_ACCEPTED (CONF_MAX_FORMERS + 1)
int conf_accepted(const struct conf *c, const char *const *field, int64_t now_ms,
                  const char *list[CONF_MAX_ACCEPTED + 1]);

/* Reads path and the environment. NULL with *e set if anything is wrong. Free with talloc_free. Without `pools` in
 * the file: one coordinator, one api, and as many workers as the machine has processors. */
struct conf *conf_load(const void *talloc_parent, const char *path, struct error *e) MUST_CHECK;

/* docmilld -t: every key with set, default, unset, missing or wrong; returns the number of faults (each printed), 0 if
 * it is good. more, NULL for none: asked of a configuration that is good so far, prints and counts faults as well. */
int conf_test(const char *path, FILE *out, int (*more)(const struct conf *c, FILE *out));
/* docmilld -T: effective values with their source; secrets masked. */
void conf_dump(const struct conf *c, FILE *out);
/* docmilld --example: the commented example, checked in as etc/docmill.conf. docmilld --print-man: the manual page
 * docmill.conf(5). Both from the table. */
void conf_print_example(FILE *out);
void conf_print_man(FILE *out);

/* A sealed memfd (close-on-exec off) with the keys that role may see, and its counterpart in the child. */
int conf_export(const struct conf *c, unsigned role, struct error *e) MUST_CHECK; /* descriptor, or negative */
int conf_export_into(const struct conf *c, unsigned role, int fd, struct error *e) MUST_CHECK; /* an empty memfd */
struct conf *conf_import(const void *talloc_parent, int fd, struct error *e) MUST_CHECK;       /* leaves fd open */

/* "64MB" and "30s" as the file spells them (also "1h", "90d", "250ms", plain numbers refused for sizes over 2^31 and
 * for durations). 0 or -EINVAL / -ERANGE. */
int conf_parse_size(const char *s, int64_t *out);
int conf_parse_duration(const char *s, int64_t *out_ms);
/* "127.0.0.1:8000" or "[::1]:8000": a numeric address and a port of 1 to 65535. 0 or -EINVAL. */
int conf_parse_listen(const char *s, struct sockaddr_storage *out, socklen_t *len);
/* A connection string with everything masked that is not known to be harmless. */
void conf_mask_url(const char *url, char *out, size_t size);
/* Two connection strings that differ in nothing but the password. */
bool conf_url_same_but_password(const char *a, const char *b);

#endif
