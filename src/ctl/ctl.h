/*
 * ctl.h - docmillctl: what its verbs share
 *
 * Exit codes (CTL_EXITS) are part of the interface: documented in --help, used by scripts.
 *
 * Depends on base, core, proc, jansson, libcurl.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/error.h"
#include "ctl/args.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CTL_EXITS(X)                                                                                                   \
    X(OK, 0, "done")                                                                                                   \
    X(FAILED, 1,                                                                                                       \
      "documents failed, the daemon is not healthy, a reload was taken back, or standard output took not all")         \
    X(USAGE, 2, "the command line is wrong, or a file cannot be read")                                                 \
    X(UNREACHABLE, 3, "the daemon does not run or cannot be reached")                                                  \
    X(REFUSED, 4, "the daemon refused the request")                                                                    \
    X(SERVER, 5, "the daemon had an error or is not ready")                                                            \
    X(TIMEOUT, 6, "the time given was over first")

#define X_EXIT(name, n, meaning) CTL_##name = n,
enum ctl_exit { CTL_EXITS(X_EXIT) };
#undef X_EXIT

struct verb;

struct ctl {
    void *mem; /* talloc: everything of this call */
    const struct verb *verb;
    struct args args;
    const char *run_dir;
    bool json;
    int width;  /* of the terminal that standard output is; 0: it is none */
    void *curl; /* client.c's */
};

/* One verb of the command line. Who adds one adds its row in verbs.c, and every word in capitals that its grammar
 * uses has its row in words.c. */
struct verb {
    const char *name, *grammar; /* args.h says how a grammar is written */
    const char *socket;         /* "api" or "control": who answers */
    const char *right; /* "any", or one of CONTROL_RIGHTS; a form that wants more stands behind it: "read, with ORDER
                          operate" */
    int (*run)(struct ctl *c);
    const char *summary;
    const char *options; /* help, of the form of helptext.h: manual page and completion are made of it too */
    const char *example;
};

int ctl_main(int argc, char **argv);

/* ---- verbs.c ---- */
const struct verb *verb_table(int *n);
const struct verb *verb_find(const char *name);
extern const char ctl_global_grammar[];
extern const char ctl_global_options[], ctl_own_options[], ctl_examples[]; /* of the form of helptext.h */
void ctl_help(FILE *out);
void verb_help(const struct verb *v, FILE *out);

/* ---- manual.c ---- */
void ctl_print_man(FILE *out);

/* ---- output.c ---- */
/* Says on standard error what went wrong and what to do; returns code. */
int ctl_fail(const struct ctl *c, int code, const struct error *e);
int ctl_usage(const struct ctl *c, const struct error *e); /* the same with the usage line; returns CTL_USAGE */
/* Writes JSON. Control characters that JSON allows (C1, DEL) are escaped: a terminal would obey them. */
void ctl_put_json(FILE *out, const json_t *j, size_t flags);
/* Waits; false once nobody reads standard output any more, as for one who only wanted the first line. */
bool ctl_rest(int64_t ms);
/* Prints a value as JSON: indented on a terminal, else one line. */
void ctl_print_json(const struct ctl *c, const json_t *j);
/* "3s", "5m", "2h", "4d" since an RFC 3339 time, by this machine's clock; "" if it is none. */
void ctl_age(const char *time, char out[24]);
void ctl_span(int64_t ms, char out[24]); /* "90s", "5m", "2h", "4d"; "-" below 0 */
void ctl_bytes(int64_t bytes, char out[24]);
const char *ctl_string(const json_t *object, const char *key); /* "" if absent or no string */
int64_t ctl_int(const json_t *object, const char *key);
/* "90", "90s", "5m", "1h": seconds unless a unit is given. 0 or -EINVAL. */
int ctl_parse_duration(const char *text, int64_t *out_ms);

/* ---- client.c ---- */
/* One request to api.sock; on CTL_OK *body is the answer (json_decref it). Otherwise the exit code, with *e set. */
int client_try(struct ctl *c, const char *method, const char *path, json_t **body, struct error *e) MUST_CHECK;
/* The same, and says on standard error what went wrong. */
int client_call(struct ctl *c, const char *method, const char *path, json_t **body) MUST_CHECK;
char *client_escape(struct ctl *c, const char *text); /* for a URL; talloc */
void client_free(struct ctl *c);

/* ---- control.c ---- */
/* One call to control.sock; on CTL_OK *body is the answer (json_decref it). Otherwise the exit code, with *e set. */
int ctl_control(struct ctl *c, const char *verb, const json_t *args, json_t **body, struct error *e) MUST_CHECK;

/* ---- the verbs, in the files of their subject ---- */
int do_upload(struct ctl *c);
int do_documents(struct ctl *c);
int do_reparse(struct ctl *c);
int do_document(struct ctl *c);
int do_delete(struct ctl *c);
int do_jobs(struct ctl *c);
int do_job(struct ctl *c);
int do_retry(struct ctl *c);
int do_cancel(struct ctl *c);
int do_search(struct ctl *c);
int do_events(struct ctl *c);
int do_cost(struct ctl *c);
int do_spaces(struct ctl *c);
int do_wait(struct ctl *c);
int do_pause(struct ctl *c);
int do_resume(struct ctl *c);
int do_audit(struct ctl *c);
int do_status(struct ctl *c);
int do_top(struct ctl *c);
int do_workers(struct ctl *c);
int do_pools(struct ctl *c);
int do_health(struct ctl *c);
int do_breakers(struct ctl *c);
int do_errors(struct ctl *c);
int do_recycle(struct ctl *c);
int do_restart(struct ctl *c);
int do_reset(struct ctl *c);
int do_scale(struct ctl *c);
int do_drain(struct ctl *c);
int do_log(struct ctl *c);
int do_reload(struct ctl *c);
int do_stop(struct ctl *c);
int do_version(struct ctl *c);

#endif
