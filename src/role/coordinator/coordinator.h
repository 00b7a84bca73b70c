/*
 * coordinator.h - the coordinator's inside
 *
 * One database session holds the node's lock and, on one node, the leader's. Everything runs on it, one statement at a
 * time: tasks.c says what is due and in which order, main.c drives it from one sd-event loop.
 *
 *   main.c     start, event sources, drain
 *   tasks.c    the table of tasks: when due, what to send, what to do with the answer
 *   node.c     this node in the database: session, name, row, heartbeat
 *   spaces.c   the collections' embedding spaces: wanted, filled, flipped
 *   gates.c    which jobs behind the gates of outside services may go on
 *   agree.c    whether this node has the configuration that the others have
 *   lead.c     which node leads
 *   pauses.c   what operators have paused
 *   audit.c    the queue of operators' verbs that are to be written down
 *   deaths.c   the queue of dead children whose jobs are to be released
 *   unheard.c  claims that the dead get after that
 */
#ifndef COORDINATOR_COORDINATOR_H
#define COORDINATOR_COORDINATOR_H

#include "db/pg.h"
#include "proc/child.h"
#include "queue/rescue.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

/* In order of importance: the first that is due goes next. */
#define COORD_TASKS(X)                                                                                                 \
    X(SESSION, "prove that the connection is a session, and take the node's lock")                                     \
    X(HOLDER, "see who holds this node's name")                                                                        \
    X(SCHEMA, "check the schema's version")                                                                            \
    X(REGISTER, "write the node's row, and find its former life")                                                      \
    X(FORMER, "take back the jobs of this node's former life")                                                         \
    X(AGREE, "see whether this node has the configuration that the others have")                                       \
    X(RESIGN, "lead no longer")                                                                                        \
    X(LISTEN, "listen for wake-ups")                                                                                   \
    X(PAUSES, "read what operators have paused")                                                                       \
    X(SPACE, "make sure that the collections are there")                                                               \
    X(RELEASE, "release a dead child's jobs")                                                                          \
    X(AUDIT, "write down what an operator did")                                                                        \
    X(DUE, "queue what waited for its retry time")                                                                     \
    X(GATES, "let out what waits for an outside service that can take more")                                           \
    X(RECOVERED, "count what a fallback parsed while its parser was away")                                             \
    X(NOTIFY, "wake the other nodes")                                                                                  \
    X(HEARTBEAT, "write the heartbeat")                                                                                \
    X(LEADER, "try to lead")                                                                                           \
    X(EXPIRED, "take back what is past its deadline")                                                                  \
    X(UNHEARD, "take back what children were given after they had died")                                               \
    X(COUNTS, "count the queue")                                                                                       \
    X(DEAD_NODES, "look for dead nodes")                                                                               \
    X(DEAD_JOBS, "take back a dead node's jobs")                                                                       \
    X(FORGET, "forget a dead node")                                                                                    \
    X(NOBODYS, "take back what nodes were given that nobody knows any more")                                           \
    X(SWEEP, "remove stale generations")                                                                               \
    X(WANT, "begin an embedding space if a collection is to have another")                                             \
    X(SPACES, "fill new embedding spaces, flip, tidy up")                                                              \
    X(COST, "give back reservations of the dead")                                                                      \
    X(BUDGET, "let go on what a budget stopped, as far as there is room")                                              \
    X(TIDY, "free the places of submissions that nobody waits for")                                                    \
    X(FORGET_AUDIT, "remove old audit records")                                                                        \
    X(PARTITIONS, "make and drop event partitions")                                                                    \
    X(GOODBYE, "say goodbye")

#define X_TASK(name, what) TASK_##name,
enum coord_task { COORD_TASKS(X_TASK) TASK_COUNT_ };
#undef X_TASK

struct coordinator {
    struct child child;
    const struct conf *conf;
    sd_event *event;
    sd_event_source *io, *timer, *channel;
    struct pg *pg;
    int pg_fd_seen;
    int64_t due_ms[TASK_COUNT_]; /* INT64_MAX: not wanted now */
    enum coord_task running;     /* TASK_COUNT_: none */
    void *running_ctx;           /* memory of its parameters */
    uint64_t epoch;              /* of the session that is set up */
    bool set_up, ready_said, leader, draining, gone;
    int64_t drain_until_ms;
    unsigned failures;
    int64_t former; /* incarnation of this node's former life whose jobs are to be taken, 0: none */
    bool former_polite;
    char dead_name[80]; /* node being taken over */
    int64_t dead_incarnation;
    bool dead_polite; /* it said goodbye */
    struct msg_death deaths[DEATHS_AT_ONCE];
    int n_deaths, first_death;
    struct msg_audit audits[AUDIT_AT_ONCE];
    int n_audits, first_audit;
    int64_t audited, audited_told; /* the last record that is written, and that the master knows of */
    int64_t notified_ms;
    int collection;       /* whose space is made sure of or wanted now */
    int64_t fills_failed; /* documents that hold up a flip, as last told */
    bool fell_back;       /* LlamaParse was away for so long that others took its documents, and is not back yet */
    int pauses_unknown;   /* rows of no known name, as last told */
    char differs[220];    /* in words, from whom and in what this node differs; "": it does not */
    char strays[220];     /* leader: who else does, as last told */
    int64_t missing;      /* nodes that neither live nor are known to be dead */
    bool want_owed;       /* leader: what collections are to have is not asked for yet, for the sake of those */
    int backend_pid;
    int64_t lock_since_ms;          /* when the node's name was first found taken, 0: it was not */
    int64_t holder, holder_beat_us; /* incarnation and heartbeat of who holds it, as last seen; 0: not seen */
    const char *fatal;              /* the session cannot be set up: say so and leave */
    struct error fatal_error;
};

/* node.c: statements, their parameters, and what follows from the answers */
extern const char node_session_sql[], node_holder_sql[], node_schema_sql[], node_register_sql[], node_listen_sql[],
    node_heartbeat_sql[], node_goodbye_sql[];
void node_add_name(struct coordinator *c, struct pg_params *p);
void node_add_me(struct coordinator *c, struct pg_params *p);
void node_add_alive(struct coordinator *c, struct pg_params *p);
void node_add_register(struct coordinator *c, struct pg_params *p);
void node_add_former(struct coordinator *c, struct pg_params *p);
void node_got_session(struct coordinator *c, const PGresult *r);
void node_got_holder(struct coordinator *c, const PGresult *r);
void node_got_schema(struct coordinator *c, const PGresult *r);
void node_got_register(struct coordinator *c, const PGresult *r);
void node_got_former(struct coordinator *c, const PGresult *r);
void node_got_listen(struct coordinator *c, const PGresult *r);
void node_got_heartbeat(struct coordinator *c, const PGresult *r);
void node_got_goodbye(struct coordinator *c, const PGresult *r);

/* gates.c */
bool gates_used(const struct coordinator *c); /* is there a service to wait for? */
void gates_params(struct coordinator *c, struct pg_params *p);
int64_t gates_wait_ms(const struct coordinator *c, int64_t most_ms); /* until there may be more to let out */
bool gates_recovered(struct coordinator *c);
extern const char gates_fallbacks_sql[];
void gates_fallbacks_params(struct coordinator *c, struct pg_params *p);
void gates_tell_fallbacks(struct coordinator *c, const PGresult *r);
void gates_tidy_params(struct coordinator *c, struct pg_params *p);

/* agree.c */
extern const char agree_sql[];
void agree_params(struct coordinator *c, struct pg_params *p);
bool agree_read(struct coordinator *c, const PGresult *r); /* whether it changed sides */

/* lead.c */
extern const char lead_sql[], lead_resign_sql[];
void lead_params(struct coordinator *c, struct pg_params *p);
void lead_got(struct coordinator *c, const PGresult *r);
void lead_got_agree(struct coordinator *c, const PGresult *r);
void lead_got_resign(struct coordinator *c, const PGresult *r);

/* pauses.c */
extern const char pauses_sql[];
bool pauses_read(struct coordinator *c, const PGresult *r); /* whether something changed */

/* spaces.c */
void spaces_ensure_params(struct coordinator *c, struct pg_params *p);
void spaces_step_params(struct coordinator *c, struct pg_params *p);
int64_t spaces_wanted(struct coordinator *c,
                      const PGresult *r); /* how long until the next is asked for; -1: all were */
int64_t spaces_stepped(struct coordinator *c, const PGresult *r, bool *wake); /* how long until the next step */

/* tasks.c */
void tasks_session_lost(struct coordinator *c);
void tasks_step(struct coordinator *c); /* starts the next due task if none runs */
int64_t tasks_next_ms(const struct coordinator *c);
void tasks_want(struct coordinator *c, enum coord_task t); /* as soon as may be */
void tasks_wake_workers(struct coordinator *c);
void tasks_again_in(struct coordinator *c, enum coord_task t, int64_t ms);

/* audit.c */
extern const char audit_write_sql[], audit_forget_sql[];
void audit_add(struct coordinator *c, const struct msg_audit *m);
void audit_params(struct coordinator *c, struct pg_params *p);
void audit_got(struct coordinator *c, const PGresult *r);
void audit_tell(struct coordinator *c); /* the master, if it does not know yet */
void audit_forget_params(struct coordinator *c, struct pg_params *p);
bool audit_forgot_all(const PGresult *r);

/* deaths.c */
void deaths_add(struct coordinator *c, const struct msg_death *d);
/* The statement for the first one, and its answer: jobs that were released. */
void deaths_params(struct coordinator *c, struct pg_params *p);
void deaths_answered(struct coordinator *c, int jobs);
void deaths_want(struct coordinator *c); /* the next one */

/* unheard.c */
void unheard_params(struct coordinator *c, struct pg_params *p);
void unheard_got(struct coordinator *c, const PGresult *r);
void unheard_nobodys_params(struct coordinator *c, struct pg_params *p);
void unheard_got_nobodys(struct coordinator *c, const PGresult *r);
struct rescue_limits coord_limits(const struct coordinator *c);

#endif
