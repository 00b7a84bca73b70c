/*
 * child.h - the skeleton every role starts from
 *
 * docmilld is exec'd as `docmilld --child ROLE` with descriptors at fixed numbers: 3 the channel, 4 the configuration
 * memfd, 5 the scoreboard, 6 the services, 7 on: listening sockets (api). The environment carries DOCMILL_SLOT, DOCMILL_SERIAL,
 * DOCMILL_POOL, DOCMILL_INCARNATION (of the master, random 63 bit), DOCMILL_MASTER_PID and DOCMILL_LISTEN (what the
 * listening sockets are, in order: "tcp,unix"). child_begin() checks them, sets the death signal (and exits if the
 * master is gone already), process name, signal mask and logging, and maps the scoreboard. Signals: INT, QUIT, HUP and
 * PIPE are ignored; TERM kills, unless the role sets a handler of its own.
 *
 * Depends on base, core.
 */
#ifndef PROC_CHILD_H
#define PROC_CHILD_H

#include "core/conf.h"
#include "proc/channel.h"
#include "proc/memory.h"
#include "proc/scoreboard.h"
#include "proc/services.h"

#define CHILD_FD_CHANNEL  3
#define CHILD_FD_CONF     4
#define CHILD_FD_SCORE    5
#define CHILD_FD_SERVICES 6
#define CHILD_FD_LISTEN   7
#define CHILD_MAX_LISTEN  8

enum child_listen { CHILD_LISTEN_TCP, CHILD_LISTEN_UNIX };

struct child {
    const char *role;
    int channel; /* non-blocking */
    int slot;
    int64_t serial;      /* this child's number in the master's life */
    int64_t incarnation; /* of the master (node) */
    int n_listen;        /* descriptors from CHILD_FD_LISTEN on */
    enum child_listen listen_kind[CHILD_MAX_LISTEN];
    struct scoreboard *score;
    struct services *services;
    struct memory_watch memory;
    const struct histogram *db_waits; /* of this process's database connections; NULL: it has none */
    const uint64_t *db_connects;
    int64_t looked_ms; /* when it was last put on the scoreboard what this process uses */
    struct conf *conf;
    const struct pool_conf *pool;
};

/* 0 or a negative code with *e set; on failure the role exits 70 after sending CHANNEL_FATAL. */
int child_begin(struct child *c, const char *role, struct error *e) MUST_CHECK;
void child_end(struct child *c); /* gives back what child_begin took, also when it failed; the last thing a role does */
void child_say_ready(struct child *c);
/* From a role's loop, as often as it likes: puts what this process uses, and what it
 * counted elsewhere, on the scoreboard now and then. */
void child_look_at_memory(struct child *c);
void child_say_bye(struct child *c);
void child_say_fatal(struct child *c, const struct error *e); /* sends, logs, does not exit */

/* Each role's main; returns the exit status. */
int coordinator_main(void);
int api_main(void);
int worker_main(void);

#endif
