/* mock_int.h - inside of the common part: the mock's own state, shared by server.c, control.c, main.c, state.c */
#ifndef MOCKS_COMMON_MOCK_INT_H
#define MOCKS_COMMON_MOCK_INT_H

#include "common/faults.h"
#include "common/journal.h"
#include "common/mock.h"

#include <microhttpd.h>
#include <pthread.h>

struct mock {
    const struct mock_program *program;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* the clock was moved, or the program ends */
    bool ending;
    int64_t ahead_ms; /* what /__time added */
    int port;
    uint64_t seed;
    uint64_t requests;
    int sending; /* answers made and not yet gone */
    const char *state_file;
    bool changed;
    struct journal *journal;
    struct fault_book *faults;
};

/* server.c */
int server_start(struct mock *m, struct error *e) MUST_CHECK;
void server_stop(struct mock *m);
/* main.c: waits, not for long, until the answers made are gone, so that counts are settled. Called locked. */
void mock_settle(struct mock *m);
/* control.c: true if it was one of /health and /__*, and is answered */
bool control_serve(struct mock *m, struct mock_request *q, struct mock_answer *a);
/* state.c */
int state_load(struct mock *m, struct error *e) MUST_CHECK;
int state_save(struct mock *m, struct error *e) MUST_CHECK;
/* args.c: 0; 1: the manual was printed; negative with *e */
int args_take(struct mock *m, int argc, char **argv, struct error *e) MUST_CHECK;

#endif
