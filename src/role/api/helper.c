/*
 * helper.c - see helper.h
 *
 * One mutex guards two lists (to do, done); an eventfd wakes the loop. Threads block every signal: those are the
 * loop's.
 */
#include "api/helper.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <talloc.h>
#include <unistd.h>

TAILQ_HEAD(helper_jobs, helper_job);

struct helper_job {
    TAILQ_ENTRY(helper_job) entry;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct helper {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct helper_jobs todo, finished;
    int n_todo;
    bool stop;
    int wake_fd;
    sd_event_source *source;
    int n_threads;
    pthread_t threads[HELPER_THREADS_NET];
};

static void *thread_main(void *arg)
{
    struct helper *h = arg;
    const uint64_t one = 1;

    pthread_mutex_lock(&h->lock);
    for (;;) {
        struct helper_job *j = TAILQ_FIRST(&h->todo);
        if (j == NULL && h->stop)
            break;
        if (j == NULL) {
            pthread_cond_wait(&h->more, &h->lock);
            continue;
        }
        TAILQ_REMOVE(&h->todo, j, entry);
        h->n_todo--;
        pthread_mutex_unlock(&h->lock);
        j->work(j->arg);
        pthread_mutex_lock(&h->lock);
        TAILQ_INSERT_TAIL(&h->finished, j, entry);
        if (write(h->wake_fd, &one, sizeof one) < 0) /* cannot fail: the counter does not overflow */
            log_panic("helper", "eventfd");
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void process_finished(struct helper *h)
{
    struct helper_jobs list = TAILQ_HEAD_INITIALIZER(list);
    struct helper_job *j;

    pthread_mutex_lock(&h->lock);
    TAILQ_CONCAT(&list, &h->finished, entry);
    pthread_mutex_unlock(&h->lock);
    while ((j = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, j, entry);
        j->done(j->arg);
        free(j);
    }
}

static int handle_wake(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    uint64_t n;

    (void)s;
    (void)revents;
    if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
        log_error("helper", "eventfd", "error", strerror(errno), NULL);
    process_finished(arg);
    return 0;
}

struct helper_job *helper_submit(struct helper *h, void (*work)(void *arg), void (*done)(void *arg), void *arg,
                                 struct error *e)
{
    struct helper_job *j = NULL;

    pthread_mutex_lock(&h->lock);
    if (h->n_todo < HELPER_QUEUE_MAX && !h->stop)
        j = malloc(sizeof *j); /* not talloc: a thread's parent would be shared */
    if (j != NULL) {
        *j = (struct helper_job){.work = work, .done = done, .arg = arg};
        TAILQ_INSERT_TAIL(&h->todo, j, entry);
        h->n_todo++;
        pthread_cond_signal(&h->more);
    }
    pthread_mutex_unlock(&h->lock);
    if (j == NULL)
        reason_error(e, REASON_overloaded, EBUSY, NULL);
    return j;
}

static int start_threads(struct helper *h, int n)
{
    sigset_t all, before;
    int rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && h->n_threads < n && n <= HELPER_THREADS_NET) {
        rc = pthread_create(&h->threads[h->n_threads], NULL, thread_main, h);
        if (rc == 0)
            h->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

struct helper *helper_new(const void *talloc_parent, sd_event *event, int n_threads, struct error *e)
{
    struct helper *h = talloc_zero(talloc_parent, struct helper);
    int rc;

    if (h == NULL)
        log_panic("helper", "out of memory");
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    TAILQ_INIT(&h->todo);
    TAILQ_INIT(&h->finished);
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = h->wake_fd < 0 ? -errno : sd_event_add_io(event, &h->source, h->wake_fd, EPOLLIN, handle_wake, h);
    if (rc >= 0)
        rc = start_threads(h, n_threads);
    if (rc < 0) {
        reason_error(e, REASON_internal, rc, "cannot start helper threads: %s", strerror(-rc));
        helper_free(&h);
    }
    return h;
}

void helper_free(struct helper **helper)
{
    struct helper *h = *helper;

    *helper = NULL;
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    TAILQ_CONCAT(&h->finished, &h->todo, entry);
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
    for (int i = 0; i < h->n_threads; i++)
        pthread_join(h->threads[i], NULL);
    process_finished(h);
    sd_event_source_disable_unref(h->source);
    if (h->wake_fd >= 0)
        close(h->wake_fd);
    pthread_cond_destroy(&h->more);
    pthread_mutex_destroy(&h->lock);
    talloc_free(h);
}
