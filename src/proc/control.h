/*
 * control.h - the supervisor's control socket: run_dir/control.sock, both ends
 *
 * A Unix stream socket that root, the daemon's user and the groups of control.* may open. One frame each way:
 *     4 bytes length, big-endian, of what follows; then msgpack
 *     request  [CONTROL_VERSION, id, verb, {args}]       at most CONTROL_MAX_REQUEST bytes
 *     reply    [CONTROL_VERSION, id, ok, {body}]         at most CONTROL_MAX_REPLY bytes; id is the request's
 * If ok is false, the body is {reason, message, hint}; a refusal that answers no request has the id 0. Requests may
 * follow each other on one connection; each is answered before the next is read. Each verb has a right that the peer
 * must have (rights.h: root and the daemon's user have all, others by their groups). Every verb answers from memory;
 * none waits. What wants more than read is written to audit_log, done or refused.
 *
 * Verbs
 *   version  {version, pid, node, build_id, started_ms_ago}
 *   health   {ok, live: {ok, reasons[]}, progress: {...}, ready: {...}, services: {...},
 *            paused: [{name, rests, for_ms}]}: three signals; ok is all three. `services` says which outside services are out of service; that is no signal, since the node serves
 *            whatever does not need them.
 *   status   {version, pid, node, run_dir, listen, incarnation, state: starting|running|drained|draining|stopping, uptime_ms,
 *            ready, generation, restart_pending: null or the keys, reload: null or {number, outcome, error} of the last,
 *            pools: [{name, role, size, min, max, scaled, ready, busy, starting, backoff, retiring, drained,
 *              fresh_bytes, memory_refused, restarts, faults, failed_ms_ago, fault}],
 *            children: [{pool, role, slot, pid, serial, phase: starting|ready|busy|retiring|draining|backoff|failed|empty,
 *              stage, note, in_hand, jobs: [{job_id, lease, status}], since_ms, age_ms, beat_age_ms, progress, claims, jobs_done,
 *              jobs_failed, jobs_lost, requests, bytes_in, db_reconnects, db_ok, storage_ok, private_bytes, torn,
 *              starts, start_in_ms, last_death}],
 *            queue: null or {age_ms, leader, schema_version, oldest_queued_ms, by_status: {}, by_state: {}},
 *            totals: {starts, deaths, claims, jobs_done, jobs_failed, jobs_lost, requests, stages: {}},
 *            services_down: [{service, why}], paused: [{name, rests, for_ms}],
 *            audit: {pending, dropped}, deaths_pending,
 *            deaths: [{ago_ms, pool, slot, pid, serial, cause, trace, exit_code, signal, by_us,
 *              in_hand, in_hand_ms, stage, torn, cpu_ms, maxrss_kb}]}
 *            `size` of a pool is how many children it should have now, `scaled`: because an operator said so.
 *            `faults` died since something was last finished; `failed_ms_ago`: when the pool was given up, or null; `fault` is the last one.
 *            `fresh_bytes` is what a fresh child of it used at least (PSS), `memory_refused`: max_memory is too near to that.
 *            Of a death, `exit_code` is -1 if a signal ended it, `signal` 0 if none did.
 *            `slot` is the number within the pool. `stage` is a status name or null. `since_ms` is how long it has been
 *            in this phase and stage. Totals and `deaths` outlive the children they were counted by.
 *   breakers {nodes, services: [{service, state: closed|open|half-open, held, cause, why, down_ms, probe_in_ms,
 *            failed_probes, window_requests, window_failures, requests_per_minute, tokens_per_minute,
 *            accepted_last_minute, pause_ms, requests, failures, refused, waited, waited_ms}]}
 *            `cause`, `why` are null of a closed one. `probe_in_ms` is null but of an open one that is not held. The
 *            rates are what this node may use now, null: no limit. Counters are since the daemon's start.
 *   breaker  args {service, order: "open" | "close" | "probe"}; answers with that service's entry
 *   errors   {errors: [{ago_ms, first_ago_ms, times, module, reason, message}]}, newest first
 *   log_levels  {level, modules: [{module, level, own}]}; own: another than the general one
 *   log_level   args {module: a name or "all", level: debug|info|warn|error|default}; answers as log_levels
 *   recycle, restart, reset   args {pool}; {pool, size, ready, to_replace, retiring, failed}
 *   scale    args {pool, size: a number, or "auto"}; the same
 *   drain    args {pool: "" for every pool of workers, order: "begin" (default) | "cancel"};
 *            {pools: [{pool, size, ready, to_replace, retiring, failed, drained}], left}: children that have not finished yet
 *   reload   args {mode: "run" (default) | "plan", plan: what an earlier one showed, or nothing}; {number}. It has only
 *            begun; ask reload-status until `outcome` is not "running". conflict: one runs.
 *   reload-status  args {number (default: the last)}; {number, dry_run, by, outcome: running|done|unchanged|planned|
 *            refused|taken-back|abandoned, ok, state: reading|canary|rolling|back|over, pool, took_ms, plan,
 *            former_secrets_ms, changes: [{key, from, to, needs_restart}], pools: [{pool, role, fate: resized|replaced|
 *            new|gone, children}], error: null or {reason, message, hint}}
 *   stop     args {mode: "drain" (default) | "fast" | "now"}: as TERM, TERM twice, QUIT. {state, limit_ms}
 *
 * Depends on base, core, proc/pack.
 */
#ifndef PROC_CONTROL_H
#define PROC_CONTROL_H

#include "base/error.h"
#include "proc/pack.h"

#include <jansson.h>
#include <stdint.h>

#define CONTROL_VERSION     1
#define CONTROL_SOCKET      "control.sock"
#define CONTROL_HEAD_BYTES  4
#define CONTROL_MAX_REQUEST 65536
#define CONTROL_MAX_REPLY   4194304

/* Who has one has those before it. X(NAME, "name", "key of the group that has it", what it is for) */
#define CONTROL_RIGHTS(X)                                                                                              \
    X(READ, "read", "control.read_group", "see what the daemon does and how it is")                                    \
    X(OPERATE, "operate", "control.group", "change how it works, and see what users' documents cost")                  \
    X(ADMIN, "admin", "control.admin_group", "end it")

#define X_RIGHT(NAME, ...) CONTROL_##NAME,
enum control_right { CONTROL_RIGHTS(X_RIGHT) CONTROL_RIGHT_MAX_ };
#undef X_RIGHT

const char *control_right_name(enum control_right r);
const char *control_right_key(enum control_right r);
int control_right_parse(const char *name); /* number, or -EINVAL */

/* X(NAME, "verb", right, "arguments", "help")
 * arguments: each as key=VALUE or key=one|two, separated by spaces; what is not named here, or as key=SECRET, does not
 * stand in the audit log. */
#define CONTROL_VERBS(X)                                                                                               \
    X(STATUS, "status", CONTROL_READ, "", "what every process is doing, the queue's counts, totals")                   \
    X(HEALTH, "health", CONTROL_READ, "", "liveness, progress and readiness, each with its reasons")                   \
    X(BREAKERS, "breakers", CONTROL_READ, "", "circuit breakers and limits of the outside services")                   \
    X(BREAKER, "breaker", CONTROL_OPERATE, "service=NAME order=open|close|probe", "change a circuit breaker")          \
    X(ERRORS, "errors", CONTROL_READ, "", "the last errors that want a person's attention")                            \
    X(LOG_LEVELS, "log_levels", CONTROL_READ, "", "how much each module of the log tells")                             \
    X(LOG_LEVEL, "log_level", CONTROL_OPERATE, "module=MODULE level=LEVEL", "set how much a module of the log tells")  \
    X(VERSION, "version", CONTROL_READ, "", "version of the running daemon")                                           \
    X(RECYCLE, "recycle", CONTROL_OPERATE, "pool=POOL", "replace a pool's children one after another")                 \
    X(RESTART, "restart", CONTROL_OPERATE, "pool=POOL", "end a pool's children and start them again, all at once")     \
    X(RESET, "reset", CONTROL_OPERATE, "pool=POOL", "try again with a pool that was given up")                         \
    X(SCALE, "scale", CONTROL_OPERATE, "pool=POOL size=N|auto", "set how many children a pool has")                    \
    X(DRAIN, "drain", CONTROL_OPERATE, "pool=POOL order=begin|cancel", "finish what is in hand and take no more")      \
    X(RELOAD, "reload", CONTROL_OPERATE, "mode=run|plan plan=PLAN", "begin to read the configuration anew")            \
    X(RELOAD_STATUS, "reload-status", CONTROL_READ, "number=N", "what a reload changes, and how it went")              \
    X(STOP, "stop", CONTROL_ADMIN, "mode=drain|fast|now", "stop the daemon; drain lets work in hand finish")

#define X_VERB(NAME, text, right, args, help) CONTROL_VERB_##NAME,
enum control_verb { CONTROL_VERBS(X_VERB) CONTROL_VERB_MAX_ };
#undef X_VERB

enum control_right control_verb_right(enum control_verb v);
const char *control_verb_args(enum control_verb v);
int control_verb_parse(const char *name); /* number, or -EINVAL */

/* ---- the audit log's view of a request: control_mask.c ---- */

#define CONTROL_MASKED_BYTES 512
struct control_request;
/* Its arguments as JSON: what the verb's grammar does not name, or names as SECRET, is not shown. */
void control_mask_args(const struct control_request *r, enum control_verb v, char out[CONTROL_MASKED_BYTES]);

/* ---- client (docmillctl) ---- */

/* Calls verb on the socket at path and waits at most timeout_ms for the whole answer. args: an object, or NULL. On 0
 * *reply is the body, to be json_decref'd. Otherwise *e: not_running, forbidden, control_timeout, bad_frame, or what
 * the daemon answered. */
int control_call(const char *path, const char *verb, const json_t *args, int64_t timeout_ms, json_t **reply,
                 struct error *e) MUST_CHECK;

/* ---- server and tests ---- */

struct control_request {
    uint64_t id;
    char verb[32];
    const uint8_t *args; /* the encoded map, within the frame */
    size_t args_bytes;
};

/* The length that stands before each frame, both ways. */
void control_put_length(uint8_t head[CONTROL_HEAD_BYTES], size_t n);
size_t control_get_length(const uint8_t head[CONTROL_HEAD_BYTES]);

/* The frame without its length. On error *id is the request's if it could be read, else 0. */
int control_decode_request(const uint8_t *buf, size_t n, struct control_request *r, struct error *e) MUST_CHECK;
/* A text argument; fallback if it is absent. -EPROTO if it is no string or does not fit. */
int control_arg_text(const struct control_request *r, const char *key, const char *fallback, char *out, size_t size,
                     struct error *e) MUST_CHECK;

/* A reply with its length: begin, write the body's members, end. -EMSGSIZE if it grew too large. */
void control_reply_begin(struct pack *p, const void *talloc_parent, uint64_t id, bool ok);
int control_reply_end(struct pack *p) MUST_CHECK;
int control_reply_error(struct pack *p, const void *talloc_parent, uint64_t id, const struct error *e) MUST_CHECK;

/* msgpack to JSON and back. NULL, or a sticky fault, for what has no counterpart. */
json_t *control_json_read(struct unpack *u);
void control_json_write(struct pack *p, const json_t *j);
/* What control_call does with the answer's bytes (without the length). */
int control_decode_reply(const uint8_t *buf, size_t n, uint64_t id, json_t **reply, struct error *e) MUST_CHECK;

#endif
