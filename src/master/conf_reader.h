/*
 * conf_reader.h - reads the configuration in a process of its own, so that the master never waits for a file
 *
 * A file, one that it includes, or a secret's may lie on a file system that hangs. So a forked helper reads and checks
 * it, with no descriptor of the master's but two memfds for its answer, and has a limited time. One at a time; the
 * helper dies with the master.
 *
 * Depends on base, core, libsystemd.
 */
#ifndef MASTER_CONF_READER_H
#define MASTER_CONF_READER_H

#include "base/hash.h"
#include "core/conf.h"

#include <systemd/sd-event.h>

#define CONF_READER_KEY_BYTES 32

struct conf_reader;

struct conf_reading {
    struct conf *conf;            /* NULL: *error says why not; else its talloc parent is the one given */
    uint8_t digest[SHA256_BYTES]; /* of all its values, keyed: the same values have the same digest */
    struct error error;
};

/* What the helper does; conf_load_next() but in tests. */
typedef struct conf *(*conf_reader_load)(const void *talloc_parent, const char *path, const struct conf *running,
                                         struct error *e);
/* Called once for each start, from the loop. */
typedef void (*conf_reader_done)(void *arg, const struct conf_reading *r);

struct conf_reader_job {
    const char *path;
    const struct conf *running;
    uint8_t key[CONF_READER_KEY_BYTES]; /* secret, of the master's life */
    int64_t limit_ms;
    conf_reader_load load;
    conf_reader_done done;
    void *arg;
};

struct conf_reader *conf_reader_new(const void *talloc_parent, sd_event *event); /* free with talloc_free */
/* 0, or why the helper could not be started: -EBUSY while the last one is not gone. */
int conf_reader_start(struct conf_reader *r, const struct conf_reader_job *job, struct error *e) MUST_CHECK;
bool conf_reader_is_busy(const struct conf_reader *r); /* a helper is there */

#endif
