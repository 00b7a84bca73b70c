/*
 * master_int.h - what the files of src/master share: one struct master, and who may do what to it
 *
 *   run.c       start-up order, signals, the loop, systemd's notifications, the end
 *   rundir.c    run_dir, its lock, the sockets in it
 *   held.c      sockets that systemd holds: activation, and the descriptor store
 *   watchdog.c  systemd's watchdog
 *   spawn.c     fork + exec of one child
 *   supervise.c the children: what is due, and when
 *   children.c  one child: what it says, how it starts, is told to go, and dies
 *   pool_slots.c     which pools and slots there are
 *   pools.c     which slots hold a pool's children: retiring, replacing, more and fewer of them
 *   reload.c    another configuration, child by child; what it was asked and how it went: reload_report.c
 *   conf_reader.c    reads the file in a process of its own
 *   oom.c       the kernel's counters of out-of-memory kills
 *   death.c     evidence of a death; the queue of deaths for the coordinator
 *   share.c     what is counted, for the children to read
 *   logfile.c   the log file anew, in all processes
 *   server.c    who gets a connection of the control socket, and how much of the master's time; payer.c
 *   connection.c one connection
 *   verbs.c     what the verbs answer
 *   audit.c     records of operators' verbs; their queue for the coordinator
 *   spool.c     the same queue on disk, for the next master
 *   pool_verbs.c     the same, about the pools
 *   service_verbs.c  the same, about the outside services
 *   status_parts.c   parts of what status and health answer
 *   log_verbs.c      the same, about the log's levels
 *   policy      pool_policy.c, pool_plan.c, pool_size.c, stop_policy.c: decisions without means
 *
 * handle_* (event callbacks) record and never act on others; one post source runs supervise_process() after them.
 */
#ifndef MASTER_MASTER_INT_H
#define MASTER_MASTER_INT_H

#include "base/error.h"
#include "base/log.h"
#include "core/conf.h"
#include "core/conf_diff.h"
#include "master/oom.h"
#include "master/pool_plan.h"
#include "master/pool_policy.h"
#include "master/reload.h"
#include "master/pool_size.h"
#include "master/stop_policy.h"
#include "master/suspend.h"
#include "master/wear.h"
#include "proc/channel.h"
#include "proc/memory.h"
#include "proc/rights.h"
#include "proc/scoreboard.h"
#include "proc/services.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#define MASTER_DEATHS_KEPT 16 /* last deaths shown by status */

#define MASTER_TRACE_BYTES 1200

struct master;

/* Why we sent a signal. */
enum kill_cause { KILL_NONE, KILL_LATE, KILL_HUNG, KILL_STOP, KILL_BROKEN, KILL_RETIRED };

struct child_slot {
    struct master *master;
    int index;  /* in the scoreboard */
    int pool;   /* in conf.pools */
    int number; /* within the pool */
    struct slot_policy policy;

    /* the present child; pid 0: none */
    pid_t pid;
    bool reaped; /* it is dead, and what it left is being looked at */
    int pidfd, channel;
    sd_event_source *pid_source, *channel_source;
    int64_t serial, started_ms;
    uint64_t generation; /* of the configuration it was started with */
    int sent_signal;
    enum kill_cause kill_cause;
    char hang[80];          /* KILL_HUNG: in which way */
    bool trace_told;        /* its trace is in the log */
    int64_t trace_asked_ms; /* late or slow, it was asked where it is before KILL; 0: not */
    bool asked;             /* told to drain, or it said BYE */
    bool drain_owed;        /* DRAIN could not be sent yet */
    bool log_owed;          /* nor the new log file */
    struct msg_fatal fatal; /* its last words; reason "" : none */
    int64_t second_ms;      /* when the second began in which its messages are counted */
    int second_messages;

    int listen_tcp; /* api: this place's own socket, handed on to the slot of a successor; -1: none */
    uint64_t starts;
    char last_death[200]; /* "": none yet */
};

#define POOL_BY_DEMAND (-1)

/* A pool of the configuration, and its slots. */
struct pool_state {
    int16_t
        slots[CONF_MAX_POOL_SIZE * 2]; /* in master.slots: as many as it may have children, and some for successors */
    int n_slots;
    struct pool_size size; /* what its work wants */
    int scaled;            /* an operator's word on that, or POOL_BY_DEMAND */
    bool drained;          /* by an operator: none */
    struct pool_faults faults;
    uint64_t finished_before; /* of its living children, when the count of faults began */
    char fault[200];          /* the last one's cause */
    int64_t wear_ms;          /* when its children were last looked at for jobs, age and memory */
    int64_t fresh_bytes;      /* least that a fresh child of it used; 0: not known */
    bool memory_refused;      /* max_memory is too near to that, and not applied */
    int most;                 /* a pool that a reload brings has few until it is trusted */
};

struct death_item {
    struct death_item *next;
    struct msg_death death;
    bool sent;
};

struct death_record {
    int64_t at_ms;
    int slot;
    struct msg_death death; /* jobs are not shown here: n_jobs only */
    char cause[200];
    char trace[MASTER_TRACE_BYTES]; /* where it was, by its own word; "": it did not say */
};

struct master_totals {
    uint64_t starts, deaths;
    uint64_t claims, jobs_done, jobs_failed, jobs_lost, requests;
    uint64_t stages[STATUS_MAX_];
};

struct server;
struct audit;

struct master {
    const struct conf *conf;
    int exe_fd;
    int64_t incarnation, next_serial, started_ms;
    sd_event *event;
    sd_event_source *timer;
    struct scoreboard *board;
    struct memory_watch memory; /* of the master itself */
    int64_t usage_ms;           /* when its use was last read */
    struct services *services;
    int lock_fd;
    int log_fd; /* the log file opened anew, while a child does not have it yet; -1: none */

    int n_slots;
    struct child_slot *slots;
    struct pool_state pools[CONF_MAX_POOLS];
    uint64_t generation; /* of conf */
    struct reload reload;
    struct policy_limits limits;
    struct stop_plan stop;
    struct suspend_watch suspend;
    bool drained;      /* an operator drains the node, and it stays up */
    bool ready;        /* READY=1 was said */
    bool stopping;     /* STOPPING=1 was said */
    bool coordinated;  /* a coordinator has been ready: this node's name and its schema are ours to use */
    bool refused;      /* the last coordinator said that they are not */
    bool taken;        /* and that a living master has the name: waiting would not help */
    bool failed;       /* the daemon ends because it cannot do its work */
    int64_t missed_ms; /* when a WAKE last found no worker idle */
    int next_wake;     /* where the search for an idle worker begins */

    struct death_item *deaths, **deaths_end; /* for the coordinator, oldest first */
    int n_deaths;
    uint64_t deaths_dropped;
    struct oom_watch oom;
    int64_t oom_tick_ms;
    struct death_record recent[MASTER_DEATHS_KEPT];
    uint64_t n_recent;           /* ever */
    struct master_totals totals; /* of children that are gone, starts and deaths of all */

    int listen_unix; /* api.sock, shared by the api slots; -1: none */
    char listen_address[128];
    struct held *held;   /* sockets that systemd handed over */
    bool sockets_stored; /* systemd keeps ours over a restart */
    int activated;       /* of docmill.socket's, how many are in use */
    sd_event_source *watchdog;
    uint64_t watchdog_usec;
    int hungry; /* how often in a row the watchdog was not fed */
    struct server *server;
    struct audit *audit;   /* NULL: no record yet */
    struct rights rights;  /* who may do what over the control socket */
    char status_text[260]; /* as last told to systemd */
};

/* rundir.c */
int rundir_take(struct master *m, struct error *e) MUST_CHECK;
/* Descriptor; looks the groups of control.* up. */
int rundir_listen_control(struct master *m, struct rights *r, struct error *e) MUST_CHECK;
int rundir_listen_api(struct master *m, struct error *e) MUST_CHECK; /* listen_unix, and listen_tcp of each held slot */
int rundir_listen_slot(struct master *m, struct child_slot *s, struct error *e) MUST_CHECK; /* one more listen_tcp */
void rundir_close_slot(struct master *m, struct child_slot *s);
void rundir_close_api(struct master *m);
void rundir_leave(struct master *m);

/* held.c */
void held_take(
    struct master *m); /* what systemd handed over; once, before anything else opens descriptors of its own */
int held_tcp(struct master *m, const struct sockaddr *a, bool *stored); /* one that listens there, or -1 */
int held_unix(struct master *m, const char *path);
void held_store(struct master *m, int fd);  /* to be there after a restart */
void held_forget(struct master *m, int fd); /* not any more; before it is closed */
void held_drop_rest(struct master *m);

/* watchdog.c: nothing without systemd's watchdog */
int watchdog_start(struct master *m, struct error *e) MUST_CHECK;

/* spawn.c: starts the child of s. 0, and the slot's child fields are filled; the caller watches its descriptors. */
int spawn_child(struct master *m, struct child_slot *s, struct error *e) MUST_CHECK;

/* supervise.c */
int supervise_init(struct master *m, struct error *e) MUST_CHECK;
void supervise_process(struct master *m);
void supervise_stop(struct master *m, enum stop_mode mode);

/* children.c */
enum pool_role child_role(const struct child_slot *s);
const char *child_pool_name(const struct child_slot *s);
void child_log(enum log_level level, const struct child_slot *s, const char *msg);
void supervise_apply(struct master *m);                /* the configuration's limits */
bool slot_has_ready_child(const struct child_slot *s); /* retiring ones too, until they are told to drain */
void child_start(struct master *m, struct child_slot *s);
void child_ping(struct child_slot *s);
void child_ask_trace(struct child_slot *s, const struct slot_pulse *p); /* it hangs: where is it? */
/* Writes where the child says it was into the log, once, if it says so; out: the same, or "". */
void child_tell_trace(struct child_slot *s, char out[MASTER_TRACE_BYTES]);
void child_kill(struct child_slot *s, int sig, enum kill_cause cause);
/* Told to finish within limit_ms and to take no more; who has not begun is killed for `cause`. */
void child_drain(struct child_slot *s, int64_t limit_ms, enum kill_cause cause);

/* pools.c: how many children a pool has, and replacing them
 *
 * Whoever wants a child replaced calls pools_retire(): its successor is started at once in another slot, with the
 * configuration of then; the child drains when the successor is ready, within supervise.drain_timeout, and no longer
 * counts. Not more of a pool retire at once than it has room for (pools_room); the rest follow by themselves. */
struct pool_count {
    int held;         /* slots that hold a place: starting, up, waiting */
    int starting, up; /* of these; up: ready, and not told to go */
    int waiting;      /* of these: no child now */
    int retiring;     /* children that finish */
    int wishes;       /* held ones that are still to be replaced */
};
int pools_init(struct master *m, struct error *e) MUST_CHECK; /* makes the slots */
void pools_process(struct master *m, int64_t now, int64_t *wake);
/* One child. 0, or -ESRCH: the slot has none that counts. */
int pools_retire(struct master *m, int slot, enum retire_cause cause);
int pools_retire_all(struct master *m, int pool, enum retire_cause cause); /* how many */
void pools_count(const struct master *m, int pool, struct pool_count *out);
int pools_find(const struct master *m, const char *name); /* index, or -1 */
struct child_slot *pool_slot(const struct master *m, int pool, int i);
bool pool_has_children(const struct master *m, int pool);
bool pool_is_gone(const struct master *m, int pool); /* removed by a reload; its last children may be finishing */
/* For a reload. Lists the pools of `next` as the master does and makes room for what is new, which gets no children
 * until pool_state.most is raised; on failure, or with next NULL, all is as it was. */
int pools_arrange(struct master *m, const struct conf_diff *d, struct conf *next, struct error *e) MUST_CHECK;
void pools_adopt(struct master *m, const struct conf_diff *d,
                 struct conf *next); /* next is the one: sizes, pools that go */
/* `former` is the one again: what was new in `next` goes. */
void pools_disown(struct master *m, struct conf *former, const struct conf *next);
int pools_target(const struct master *m, int pool); /* children that it should have now */
void pools_try_now(struct master *m, int pool);     /* who waits before a start does not wait on */
int pools_room(int max);                            /* slots for successors in a pool of so many */
void pools_child_gone(struct master *m, struct child_slot *s, const struct slot_death *d);
void pools_reset(struct master *m, int pool); /* forgets every failure, and tries again */

/* death.c */
void death_init(struct master *m);
void death_end(struct master *m);
void death_baseline(struct master *m); /* at every tick: reads the kernel's counters of out-of-memory kills */
/* The child of s is gone: joins the evidence, enters it in records, totals and queue; tells how it died. */
struct slot_death death_record(struct master *m, struct child_slot *s, int wait_status, const struct rusage *ru);
void death_describe(const struct msg_death *d, enum kill_cause cause, const struct msg_fatal *fatal, char *out,
                    size_t size);
void death_send(struct master *m);   /* to the coordinator, as far as it takes them */
void death_unsend(struct master *m); /* the coordinator is gone: its successor gets them again */
void death_released(struct master *m, const struct msg_released *r);
struct child_slot *coordinator_slot(const struct master *m); /* one that is up, or NULL */

/* share.c */
void share_start(struct master *m, const struct child_slot *s);
/* Somebody lives in s or does not any more, and how many deaths are not answered yet; NULL: the latter only. */
void share_living(struct master *m, const struct child_slot *s);
/* The child of s is gone, and its slot was read into *score: it is empty afterwards. */
void share_death(struct master *m, const struct child_slot *s, const struct msg_death *d, const struct rusage *ru,
                 const struct score_data *score);
void share_process(struct master *m, int64_t now);
void share_new_pool(struct master *m, int i); /* its index was another's: it counts from nothing */

/* logfile.c */
void logfile_reopen(struct master *m);
void logfile_process(struct master *m, int64_t now, int64_t *wake);

/* server.c, verbs.c */
int server_start(struct master *m, int listen_fd, struct error *e) MUST_CHECK;
void server_stop(struct master *m);
struct control_request;
struct pack;

/* audit.c */
void audit_begin(struct master *m); /* takes over what a former life could not write; before the sandbox */
/* A verb that wants more than read came: the record, with its result ("done" or a reason). */
void audit_note(struct master *m, uid_t uid, const struct control_request *r, enum control_verb v, bool allowed,
                const char *result);
/* What a verb began, or a signal, is over. arguments: a JSON object. */
void audit_outcome(struct master *m, const char *verb, const char *arguments, const char *result);
void audit_send(struct master *m);   /* to the coordinator, as far as it takes them */
void audit_unsend(struct master *m); /* the coordinator is gone: its successor gets them again */
void audit_written(struct master *m, const struct msg_audited *w);
int audit_pending(const struct master *m);
uint64_t audit_dropped(const struct master *m);
void audit_end(struct master *m); /* says what nobody has confirmed */
/* pool_verbs.c: what an operator tells a pool */
int verb_recycle(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_restart(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_scale(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_reset(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_drain(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;

/* service_verbs.c: what an operator asks about the outside services */
int verb_breakers(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_breaker(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_errors(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
/* log_verbs.c: levels of the log */
int verb_log_levels(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_log_level(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
/* Says in words why a service is out of service; false: it is not. */
bool service_trouble(struct master *m, enum service v, char *out, size_t size);

/* *e is what the reply says if it refuses. Returns the reply's length, or negative: it grew too large. */
int verb_answer(struct master *m, const struct control_request *r, struct pack *reply, const void *talloc_parent,
                struct error *e);

#endif
