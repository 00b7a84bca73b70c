/* sql.h - the queue's statements; see the .c files for their parameters. Private to src/queue. */
#ifndef QUEUE_SQL_H
#define QUEUE_SQL_H

extern const char sql_claim[], sql_hand_back[], sql_reclaim[], sql_read_space[];
extern const char sql_fence[], sql_spaces_of[], sql_covered_at[], sql_make_fills[], sql_contents_take[],
    sql_contents_owner[], sql_clear_chunks[], sql_insert_chunks[], sql_insert_vectors_at[], sql_set_parsed[],
    sql_flip_at[], sql_advance[], sql_probe[];
extern const char sql_stored_vectors_at[], sql_read_chunks[], sql_count_chunks[], sql_fail[];

/* True for the session that holds the leader lock, false for all others while it does. 1684865026 is LOCK_CLASS_LEADER. */
#define LEADER_GUARD "pg_try_advisory_xact_lock(1684865026, 0)"

/* A statement of one embedding space: '@' in it becomes the space's number. */
char *sql_for_space(const void *ctx, const char *sql, int space);

#endif
