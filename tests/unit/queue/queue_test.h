/*
 * queue_test.h - a migrated database of its own for every test, with users, documents and workers in it
 */
#ifndef QUEUE_TEST_H
#define QUEUE_TEST_H

#include "db_test.h"
#include "queue/queue.h"
#include "queue/rescue.h"

#include <criterion/criterion.h>

#define QT_DIM 8

struct qt {
    void *ctx;
    const char *url;
    struct pg *admin;  /* superuser: looks at everything */
    struct pg *worker; /* as docmill_worker */
    struct pg *other;  /* a second worker */
    struct pg *api;    /* as docmill_api */
    int n_documents;
};

struct qt *qt_open(const char *name);
void qt_close(struct qt *q);
/* One more connection as docmill_worker, of which the caller may choose the way and the hook. */
struct pg *qt_connect(const struct pg_options *o);

struct uuid qt_user(int n);
/* A document of bytes' size for a user in a lane; its id is made of `seed`. Returns the job's id. */
struct uuid qt_submit(struct qt *q, int user, int seed, int lane, int64_t bytes);
struct queue_job *qt_claim(struct qt *q, struct pg *p, int64_t child, int want, int *n);
struct queue_job *qt_claim_one(struct qt *q); /* by child 1; fails if there is none */
/* Work that completes a job with n chunks in one step. */
struct queue_work qt_work(struct qt *q, const struct queue_job *j, int n_chunks);
int qt_store(struct qt *q, struct queue_work *work, int n);
int64_t qt_int(struct qt *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void qt_run(struct qt *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *qt_id(struct qt *q, const struct uuid *id); /* quoted for SQL */

#endif
