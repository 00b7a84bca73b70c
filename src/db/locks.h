/*
 * locks.h - the advisory-lock keyspace, all of it
 *
 * Two-integer keys: the first is docmill's class, the second is the object. Nothing else in docmill takes an advisory
 * lock.
 *   (LOCK_CLASS_MIGRATE, 0)            one migration at a time
 *   (LOCK_CLASS_LEADER, 0)             the leader of a database; held by a coordinator's session
 *   (LOCK_CLASS_NODE, hash(node name)) a node's identity; held by its coordinator's session. The hash is
 *                                      PostgreSQL's hashtext(name): computed in SQL, never in C.
 *   (LOCK_CLASS_BUDGET, 0)             one reservation at a time against the day's budgets; held by its transaction
 *   (LOCK_CLASS_COLLECTION, id)        which spaces a collection has: shared by whoever stores vectors, alone by who
 *                                      changes it; held by the transaction
 */
#ifndef DB_LOCKS_H
#define DB_LOCKS_H

#define LOCK_CLASS_MIGRATE    0x646d0001 /* "dm" 1 */
#define LOCK_CLASS_LEADER     0x646d0002
#define LOCK_CLASS_NODE       0x646d0003
#define LOCK_CLASS_BUDGET     0x646d0004
#define LOCK_CLASS_COLLECTION 0x646d0005

#endif
