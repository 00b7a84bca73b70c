/*
 * metrics.h - every metric of /metrics, once
 *
 * X(NAME, "family", TYPE, "unit" or "", put, "help"). A counter's family stands without _total, which its samples have.
 * Numbers are this node's since the daemon's start and survive the deaths of children, but for the queue's, which every
 * node counts of the whole database. From the table come the text, its order, and the test that nothing is undocumented.
 *
 * Prometheus' text format, or OpenMetrics' for who asks for it.
 *
 * Depends on core, proc.
 */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "proc/scoreboard.h"
#include "proc/services.h"

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
#define METRICS(X)                                                                                                     \
    X(BUILD, "docmill_build_info", GAUGE, "", put_build, "Version of the running program.")                            \
    X(UPTIME, "docmill_uptime_seconds", GAUGE, "seconds", put_uptime, "Time since the daemon's start.")                \
    X(PROCESSES, "docmill_processes", GAUGE, "", put_processes, "Child processes by pool and what they do.")           \
    X(CPU, "docmill_process_cpu_seconds", COUNTER, "seconds", put_cpu,                                                 \
      "Processor time of all processes of a pool, those that are gone too; the pool master is the master itself.")     \
    X(PSS, "docmill_process_pss_bytes", GAUGE, "bytes", put_pss,                                                       \
      "Proportional share of memory of each process, as it last read it.")                                             \
    X(DESCRIPTORS, "docmill_process_open_fds", GAUGE, "", put_descriptors, "Open file descriptors of each process.")   \
    X(STARTS, "docmill_child_starts", COUNTER, "", put_starts, "Children started.")                                    \
    X(DEATHS, "docmill_child_deaths", COUNTER, "", put_deaths, "Children that are gone, by cause.")                    \
    X(LEADER, "docmill_leader", GAUGE, "", put_leader, "1 on the node that leads.")                                    \
    X(DIFFERS, "docmill_configuration_differs", GAUGE, "", put_differs,                                                \
      "1 if this node's configuration differs from the other nodes' where it must not; it claims nothing then.")       \
    X(QUEUE, "docmill_queue_jobs", GAUGE, "", put_queue, "Jobs that have not ended, by the status of their document.") \
    X(QUEUE_STATE, "docmill_queue_jobs_by_state", GAUGE, "", put_queue_state, "Jobs that have not ended, by state.")   \
    X(QUEUE_AGE, "docmill_queue_oldest_seconds", GAUGE, "seconds", put_queue_age,                                      \
      "How long the oldest job that could be claimed has waited.")                                                     \
    X(QUEUE_STATUS_AGE, "docmill_queue_longest_in_status_seconds", GAUGE, "seconds", put_queue_status_age,             \
      "How long the job that has not moved for longest has been in its status.")                                       \
    X(QUEUE_COUNTED, "docmill_queue_counted_age_seconds", GAUGE, "seconds", put_queue_counted,                         \
      "How long ago the queue was counted; it grows while the database is away.")                                      \
    X(STAGES, "docmill_stage_duration_seconds", HISTOGRAM, "seconds", put_stages,                                      \
      "Time that documents took for each status they passed through.")                                                 \
    X(JOBS, "docmill_jobs", COUNTER, "", put_jobs, "Jobs that left a worker's hands, by how.")                         \
    X(CLAIMS, "docmill_claims", COUNTER, "", put_claims, "Claims that found jobs.")                                    \
    X(REQUESTS, "docmill_http_requests", COUNTER, "", put_requests, "HTTP requests answered.")                         \
    X(BYTES_IN, "docmill_http_received_bytes", COUNTER, "bytes", put_bytes_in, "Bytes of request bodies.")             \
    X(DB_UP, "docmill_database_up", GAUGE, "", put_db_up, "1 while the coordinator has its session.")                  \
    X(DB_WAITS, "docmill_database_wait_seconds", HISTOGRAM, "seconds", put_db_waits,                                   \
      "Time from a statement's start to its answer, reconnecting on the way included.")                                \
    X(DB_CONNECTS, "docmill_database_connects", COUNTER, "", put_db_connects, "Connections made to the database.")     \
    X(STORAGE_UP, "docmill_storage_up", GAUGE, "", put_storage_up, "1 if the blob store could be written when last tried.") \
    X(SERVICE_UP, "docmill_service_up", GAUGE, "", put_service_up, "1 unless the outside service's breaker is open.")  \
    X(SERVICE_REQUESTS, "docmill_service_requests", COUNTER, "", put_service_requests, "Requests to an outside service.") \
    X(SERVICE_FAILURES, "docmill_service_failures", COUNTER, "", put_service_failures, "Those of them that failed.")   \
    X(SERVICE_WAIT, "docmill_service_wait_seconds", COUNTER, "seconds", put_service_wait,                              \
      "Time that requests waited for their turn.")                                                                     \
    X(LOG_DROPPED, "docmill_log_dropped_lines", COUNTER, "", put_log_dropped,                                          \
      "Lines of the log that nobody took in time.")
/* clang-format on */

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

/* What is shown, at one moment. */
struct metrics_view {
    struct totals totals;
    struct score_data *slots; /* SCORE_SLOTS of them */
    struct services *services;
    int64_t now_ms;
    struct score_counters all; /* filled here: of all children, those that are gone too */
};

/* The text, a talloc child; *n its length. NULL: out of memory. */
char *metrics_text(const void *talloc_parent, struct metrics_view *v, bool openmetrics, size_t *n);

#endif
