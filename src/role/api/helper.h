/*
 * helper.h - a few threads for what may wait for the disk or the object store: making an upload durable, looking at its
 * type, probing the store
 *
 * The event loop must never wait, and fsync and a PUT do. A job is a function and its argument; the thread owns the argument
 * from helper_submit until `done` is called in the loop. Jobs share nothing with the loop or with each other: an
 * upload brings its own blob store object (talloc contexts are not shared between threads).
 *
 * Diagnostics: panics if threads cannot be made at start.
 *
 * Depends on base, libsystemd, pthreads.
 */
#ifndef API_HELPER_H
#define API_HELPER_H

#include "base/error.h"

#include <systemd/sd-event.h>

#define HELPER_THREADS     4  /* for a disk, which does little at once */
#define HELPER_THREADS_NET 32 /* for a service over a network: they wait, and do nothing else */
#define HELPER_QUEUE_MAX   4096

struct helper;
struct helper_job;

/* At most HELPER_THREADS_NET threads. */
struct helper *helper_new(const void *talloc_parent, sd_event *event, int n_threads, struct error *e) MUST_CHECK;
/* Waits for jobs that run, drops those that wait; their done is called. */
void helper_free(struct helper **h);
/* NULL with *e (overloaded) if the queue is full. */
struct helper_job *helper_submit(struct helper *h, void (*work)(void *arg), void (*done)(void *arg), void *arg,
                                 struct error *e) MUST_CHECK;

#endif
