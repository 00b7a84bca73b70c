/*
 * log_modules.h - the modules that lines of the log name, for those who set a module's level
 *
 * X(name, what it tells of). A line of another module is our mistake: a test looks for every name in the sources.
 *
 * Depends on nothing.
 */
#ifndef CORE_LOG_MODULES_H
#define CORE_LOG_MODULES_H

/* clang-format off */
#define LOG_MODULES(X)                                                          \
    X(api, "requests that failed, embeddings for searches")                    \
    X(audit, "the record of what operators did")                               \
    X(breaker, "circuit breakers that an operator changed")                    \
    X(child, "a process that cannot go on")                                    \
    X(control, "the control socket")                                           \
    X(coordinator, "the node in the database: nodes, leader, rescue, pauses")  \
    X(cost, "the ledger and budgets")                                          \
    X(dbpool, "the API's database connections")                                \
    X(death, "why children died")                                              \
    X(embed, "requests to the embeddings service")                             \
    X(helper, "the API's helper thread")                                       \
    X(http, "every request to the API (debug)")                                \
    X(log, "the log itself")                                                   \
    X(master, "start and end of the daemon")                                   \
    X(pg, "database sessions")                                                 \
    X(pools, "pools: size, recycling, draining")                               \
    X(queue, "storing documents")                                              \
    X(ready, "readiness as the API sees it")                                   \
    X(reload, "taking a new configuration while the daemon runs")              \
    X(rundir, "the run directory")                                             \
    X(search, "searches")                                                      \
    X(stores, "blob stores as the API sees them")                              \
    X(supervise, "start and watching of children")                             \
    X(webhook, "callbacks of outside services")                                \
    X(worker, "documents on their way")
/* clang-format on */

#endif
