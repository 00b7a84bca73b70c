/*
 * oom.h - what the kernel ends first when memory runs out
 *
 * A process may make itself likelier than its parent was, and no less likely. The scores say who can be done without: a
 * parser's file is tried again, a worker's jobs go to another, the master is everybody.
 *
 * Depends on libc.
 */
#ifndef BASE_OOM_H
#define BASE_OOM_H

#define OOM_COORDINATOR 100
#define OOM_API         200
#define OOM_WORKER      300
#define OOM_PARSER      600

/* Raises oom_score_adj to at least this. 0 or a negative errno; a process that is not dumpable may not (-EACCES). */
int oom_raise(int score);

#endif
