/* stores.c - see stores.h */
#include "api/stores.h"
#include "api/helper.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <talloc.h>

#define KEEP           HELPER_THREADS_NET
#define PROBE_EVERY_MS 10000
#define PROBE_AGAIN_MS 1000  /* while it does not work */
#define PROBE_LATE_MS  10000 /* an answer that comes later is none */

struct probe {
    struct blob_store *store;
    int rc;
    struct error error;
};

struct stores {
    const struct conf *conf;
    int n_kept;
    struct blob_store *kept[KEEP];
    struct probe probe;
    bool probing;
    int64_t probed_ms, began_ms;
    int state;
    atomic_bool stopping; /* read on the helper threads */
    char why[512];
};

struct stores *stores_new(const void *talloc_parent, const struct conf *conf)
{
    struct stores *s = talloc_zero(talloc_parent, struct stores);

    if (s == NULL)
        log_panic("stores", "out of memory");
    s->conf = conf;
    s->state = -1;
    return s;
}

void stores_free(struct stores **stores)
{
    struct stores *s = *stores;

    *stores = NULL;
    if (s == NULL)
        return;
    while (s->n_kept > 0)
        talloc_free(s->kept[--s->n_kept]);
    talloc_free(s);
}

static bool is_stopping(void *arg)
{
    return atomic_load(&((struct stores *)arg)->stopping);
}

void stores_stop(struct stores *s)
{
    atomic_store(&s->stopping, true);
}

struct blob_store *stores_take(struct stores *s, struct error *e)
{
    struct blob_hooks hooks = {.stop = is_stopping, .arg = s};
    struct blob_store *one;

    if (s->n_kept > 0)
        return s->kept[--s->n_kept];
    one = blob_open(NULL, s->conf, e);
    if (one != NULL)
        blob_set_hooks(one, &hooks);
    return one;
}

void stores_give(struct stores *s, struct blob_store **store)
{
    struct blob_store *one = *store;

    *store = NULL;
    if (one == NULL)
        return;
    if (s->n_kept < KEEP)
        s->kept[s->n_kept++] = one;
    else
        talloc_free(one);
}

static void probe_work(void *arg)
{
    struct probe *p = arg;

    p->rc = blob_probe(p->store, &p->error);
}

static void note_state(struct stores *s, int state, const struct error *e)
{
    if (state == 0 && s->state != 0)
        log_warn("stores", "blob store does not work", "reason", e->reason, "error", e->message, NULL);
    if (state == 1 && s->state == 0)
        log_info("stores", "blob store works again", NULL);
    s->state = state;
    memcpy(s->why, e->message, sizeof s->why);
    s->probed_ms = clock_ms();
}

static void handle_probed(void *arg)
{
    struct stores *s = (struct stores *)((char *)arg - offsetof(struct stores, probe));

    s->probing = false;
    note_state(s, s->probe.rc == 0, &s->probe.error);
    if (s->probe.rc == 0)
        stores_give(s, &s->probe.store);
    else
        TALLOC_FREE(s->probe.store); /* a root that was replaced is opened anew */
}

void stores_probe(struct stores *s, struct helper *helper)
{
    int64_t every_ms = s->state == 0 ? PROBE_AGAIN_MS : PROBE_EVERY_MS;
    struct error e = {0};

    if (s->probing || (s->probed_ms != 0 && clock_ms() - s->probed_ms < every_ms))
        return;
    s->probe = (struct probe){.rc = -1, .store = stores_take(s, &e)};
    if (s->probe.store == NULL) {
        note_state(s, 0, &e);
        return;
    }
    s->began_ms = clock_ms();
    s->probing = helper_submit(helper, probe_work, handle_probed, &s->probe, &e) != NULL;
    if (!s->probing)
        stores_give(s, &s->probe.store);
}

void stores_doubt(struct stores *s)
{
    s->probed_ms = 0;
}

int stores_state(const struct stores *s, const char **why)
{
    if (s->probing && clock_ms() - s->began_ms > PROBE_LATE_MS) {
        *why = "the blob store does not answer";
        return 0;
    }
    *why = s->why;
    return s->state;
}
