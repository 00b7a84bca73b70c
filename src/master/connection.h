/*
 * connection.h - the control socket's server: connections (connection.c), who may have one and how much of the master's
 * time it gets (server.c, room.c, payer.c)
 *
 * Depends on base, core, proc.
 */
#ifndef MASTER_CONNECTION_H
#define MASTER_CONNECTION_H

#include "master/master_int.h"
#include "proc/control.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server;

struct connection {
    struct server *server;
    struct connection *next; /* newest first */
    int fd;
    uid_t uid;
    int right;  /* the highest it has */
    bool owner; /* root, or our own user: trusted with our time */
    int64_t deadline_ms;
    uint32_t watched; /* events it waits for; 0: its user has had enough of our time for now */
    uint8_t head[CONTROL_HEAD_BYTES];
    size_t have;    /* bytes of head and body read so far */
    size_t body_n;  /* known once the head is complete */
    uint8_t *body;  /* owned; NULL while there is none */
    uint8_t *reply; /* owned by reply_ctx; NULL: nothing to write */
    void *reply_ctx;
    size_t reply_n, reply_sent;
    bool close_after;
};

/* ---- connection.c ---- */

void connection_begin(struct connection *c); /* waits for a first request */
/* One step: reads, answers or writes as far as it goes at once, one request at most. false: the connection is of no more
 * use. */
bool connection_step(struct connection *c, uint32_t events);
/* Says by one attempt, which an empty socket takes whole, why the caller is refused. */
void connection_refuse(struct master *m, int fd);

/* ---- server.c, for connection.c ---- */

struct master *server_master(const struct server *s);
void server_watch(struct connection *c, uint32_t events);

/* ---- room.c: how many there are ---- */

#define CONNECTIONS_MAX 64
#define PER_UID         16

/* The connection of the list that goes when uid wants one more; NULL: there is room. */
struct connection *room_made_by(struct connection *list, uid_t uid);

/* ---- payer.c: whose time it is ---- */

/* Users other than the owners may use so much of the master's time in each window; then they wait for the next one. */
#define PAYER_WINDOW_MS   1000
#define PAYER_EACH_US     100000
#define PAYER_TOGETHER_US 300000
#define PAYERS            64

struct payers {
    int64_t window_ms, together_us; /* began; spent by all of them */
    int n;
    struct {
        uid_t uid;
        int64_t spent_us;
    } of[PAYERS];
};

void payers_charge(struct payers *p, uid_t uid, int64_t us, int64_t now_ms);
/* Whether uid may have more of this window; if not, *until_ms is when the next one begins. */
bool payers_may(struct payers *p, uid_t uid, int64_t now_ms, int64_t *until_ms);

#endif
