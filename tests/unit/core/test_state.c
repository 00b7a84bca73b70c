/*
 * test_state.c - the state table: every status with every state, every edge, what follows from them
 *
 * The expectations are written out here a second time, by hand, so that a slip in the table is seen.
 */
#include "core/state.h"
#include "base/files.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define ALL_ACTORS (ACTOR_WORKER | ACTOR_WEBHOOK | ACTOR_RESCUE | ACTOR_OPERATOR)

Test(state, every_status_name_and_number_round_trips)
{
#define X_CHECK(NAME, text, n, progress, legal, meaning)                                                               \
    cr_expect_str_eq(status_name(n), #text);                                                                           \
    cr_expect_eq(status_parse(#text), STATUS_##NAME);                                                                  \
    cr_expect_eq(status_progress(n), progress);
    STATUSES(X_CHECK)
#undef X_CHECK
}

Test(state, every_state_name_is_its_table_name_in_lower_case)
{
#define X_CHECK(NAME, n, claimable, ends, meaning)                                                                     \
    do {                                                                                                               \
        char lower[32] = #NAME;                                                                                        \
        for (char *p = lower; *p != '\0'; p++)                                                                         \
            *p = (char)tolower((unsigned char)*p);                                                                     \
        cr_expect_str_eq(state_name(n), lower);                                                                        \
        cr_expect_eq(state_parse(lower), n);                                                                           \
        cr_expect_eq(state_is_end(n), ends);                                                                           \
    } while (0);
    STATES(X_CHECK)
#undef X_CHECK
}

Test(state, unknown_numbers_and_names_are_said_to_be_unknown)
{
    static const int numbers[] = {0, -1, STATUS_MAX_, 1000, -2147483647};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int n = numbers[i];
        cr_expect_null(status_name(n));
        cr_expect_eq(status_progress(n), -1);
        cr_expect_not(status_is_end(n));
        cr_expect_not(state_legal(n, STATE_QUEUED));
        cr_expect_not(edge_allowed(n, STATUS_PARSED, ALL_ACTORS));
        cr_expect_not(path_allowed(n, STATUS_PARSED, ALL_ACTORS));
    }
    cr_expect_null(state_name(0));
    cr_expect_null(state_name(-1));
    cr_expect_null(state_name(STATE_MAX_));
    cr_expect_not(state_is_end(STATE_MAX_));
    cr_expect_not(state_is_end(-5));
    cr_expect_not(state_legal(STATUS_PARSED, 0));
    cr_expect_not(state_legal(STATUS_PARSED, STATE_MAX_));
    cr_expect_eq(status_parse("Parsed"), -EINVAL);
    cr_expect_eq(status_parse(""), -EINVAL);
    cr_expect_eq(state_parse("nothing"), -EINVAL);
}

/* Rows: statuses 1 to 15; columns: queued working waiting parked retryable done deadletter quarantined cancelled. */
static const char *const legal[STATUS_MAX_] = {
    [1] = "11011....",  [2] = "11111....",  [3] = "11011....",  [4] = "11011....",  [5] = "11011....",
    [6] = "11011....",  [7] = "11011....",  [8] = "11111....",  [9] = "11011....",  [10] = ".....1...",
    [11] = "......11.", [12] = "......11.", [13] = "......11.", [14] = ".....1...", [15] = "........1",
};

Test(state, every_pair_of_status_and_state_is_legal_or_not_as_agreed)
{
    for (int status = 1; status < STATUS_MAX_; status++)
        for (int state = 1; state < STATE_MAX_; state++)
            cr_expect_eq(state_legal(status, state), legal[status][state - 1] == '1', "%s %s", status_name(status),
                         state_name(state));
}

Test(state, a_status_is_an_end_exactly_when_its_states_are)
{
    for (int status = 1; status < STATUS_MAX_; status++)
        for (int state = 1; state < STATE_MAX_; state++)
            if (state_legal(status, state))
                cr_expect_eq(status_is_end(status), state_is_end(state), "%s %s", status_name(status),
                             state_name(state));
}

/* From, then for each status that follows it the actors: w worker, h webhook, r rescue, o operator. */
struct expected {
    int from, to;
    const char *actors;
};

static const struct expected expected[] = {
    {1, 2, "wr"},  {2, 3, "whr"}, {3, 4, "wr"},  {3, 14, "wr"}, {4, 5, "wr"},   {5, 6, "wr"},  {6, 7, "wr"},
    {7, 8, "wr"},  {8, 9, "wr"},  {9, 10, "wr"}, {1, 11, "wr"}, {2, 11, "whr"}, {3, 11, "wr"}, {4, 12, "wr"},
    {5, 12, "wr"}, {6, 13, "wr"}, {7, 13, "wr"}, {8, 13, "wr"}, {9, 13, "wr"},  {1, 15, "o"},  {2, 15, "o"},
    {3, 15, "o"},  {4, 15, "o"},  {5, 15, "o"},  {6, 15, "o"},  {7, 15, "o"},   {8, 15, "o"},  {9, 15, "o"},
    {11, 1, "o"},  {12, 1, "o"},  {13, 1, "o"},  {15, 1, "o"},  {14, 1, "or"},  {10, 1, "o"},
};

static bool expected_edge(int from, int to, char actor)
{
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (expected[i].from == from && expected[i].to == to)
            return strchr(expected[i].actors, actor) != NULL;
    return false;
}

Test(state, exactly_the_agreed_edges_exist_for_exactly_the_agreed_actors)
{
    static const unsigned actors[] = {ACTOR_WORKER, ACTOR_WEBHOOK, ACTOR_RESCUE, ACTOR_OPERATOR};

    for (int from = 1; from < STATUS_MAX_; from++)
        for (int to = 1; to < STATUS_MAX_; to++)
            for (int a = 0; a < 4; a++)
                cr_expect_eq(edge_allowed(from, to, actors[a]), expected_edge(from, to, "whro"[a]), "%d > %d by %c",
                             from, to, "whro"[a]);
}

/* Closure over the hand-written edges, by repetition instead of by recursion: a second way to the same answer. */
static void closure(char actor, bool reach[STATUS_MAX_][STATUS_MAX_])
{
    for (int from = 1; from < STATUS_MAX_; from++)
        for (int to = 1; to < STATUS_MAX_; to++)
            reach[from][to] = expected_edge(from, to, actor);
    for (int round = 0; round < STATUS_MAX_; round++)
        for (int from = 1; from < 10; from++)
            for (int mid = 1; mid < 10; mid++)
                for (int to = 1; to < STATUS_MAX_; to++)
                    if (reach[from][mid] && reach[mid][to])
                        reach[from][to] = true;
}

Test(state, paths_are_the_closure_of_edges_and_lead_through_no_end)
{
    static const unsigned actors[] = {ACTOR_WORKER, ACTOR_WEBHOOK, ACTOR_RESCUE, ACTOR_OPERATOR};
    bool reach[STATUS_MAX_][STATUS_MAX_];

    for (int a = 0; a < 4; a++) {
        memset(reach, 0, sizeof reach);
        closure("whro"[a], reach);
        for (int from = 1; from < STATUS_MAX_; from++)
            for (int to = 1; to < STATUS_MAX_; to++)
                cr_expect_eq(path_allowed(from, to, actors[a]), reach[from][to], "%d > %d by %c", from, to, "whro"[a]);
    }
}

Test(state, a_few_paths_by_hand)
{
    cr_expect(path_allowed(STATUS_UPLOADED, STATUS_COMPLETE, ACTOR_WORKER));
    cr_expect(path_allowed(STATUS_UPLOADED, STATUS_DUPLICATE, ACTOR_WORKER));
    cr_expect_not(path_allowed(STATUS_UPLOADED, STATUS_COMPLETE, ACTOR_WEBHOOK));
    cr_expect_not(path_allowed(STATUS_COMPLETE, STATUS_UPLOADED, ALL_ACTORS & ~(unsigned)ACTOR_OPERATOR));
    cr_expect(path_allowed(STATUS_COMPLETE, STATUS_UPLOADED, ACTOR_OPERATOR));
    cr_expect_not(path_allowed(STATUS_COMPLETE, STATUS_PARSED, ALL_ACTORS));
    cr_expect_not(path_allowed(STATUS_PARSED, STATUS_UPLOADED, ALL_ACTORS));
    cr_expect_not(path_allowed(STATUS_FAILED_PARSE, STATUS_PARSED, ALL_ACTORS));
    cr_expect_not(path_allowed(STATUS_CHUNKING, STATUS_DUPLICATE, ALL_ACTORS));
    cr_expect_not(path_allowed(STATUS_UPLOADED, STATUS_UPLOADED, ALL_ACTORS));
}

Test(state, every_status_that_is_no_end_can_complete_fail_and_be_cancelled)
{
    for (int status = 1; status < STATUS_MAX_; status++) {
        if (status_is_end(status))
            continue;
        cr_expect(path_allowed(status, STATUS_COMPLETE, ACTOR_WORKER), "%s", status_name(status));
        cr_expect(edge_allowed(status, status_failure_of(status), ACTOR_WORKER), "%s", status_name(status));
        cr_expect(edge_allowed(status, status_failure_of(status), ACTOR_RESCUE), "%s", status_name(status));
        cr_expect(edge_allowed(status, STATUS_CANCELLED, ACTOR_OPERATOR), "%s", status_name(status));
    }
}

Test(state, progress_never_falls_on_a_forward_edge)
{
    for (int from = 1; from < STATUS_MAX_; from++)
        for (int to = 1; to < STATUS_MAX_; to++)
            if (!status_is_end(from) && edge_allowed(from, to, ALL_ACTORS))
                cr_expect_leq(status_progress(from), status_progress(to));
}

/* What print writes, as a string to free. */
static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    print(out);
    fclose(out);
    return text;
}

static char *checked_in(const char *name)
{
    struct error e = {0};
    char path[512], *text;
    size_t n;

    snprintf(path, sizeof path, DOCMILL_SOURCE_DIR "/%s", name);
    cr_assert_eq(file_read(NULL, path, 1024 * 1024, &text, &n, &e), 0, "%s", e.message);
    return text;
}

Test(state, the_migration_holds_the_table_word_for_word)
{
    char *sql = printed(state_print_sql), *file = checked_in("sql/0001_initial.up.sql");

    cr_expect(strstr(file, sql) != NULL, "sql/0001_initial.up.sql lacks what --print-state-sql prints:\n%s", sql);
    free(sql);
    talloc_free(file);
}

Test(state, a_later_migration_holds_each_later_edge)
{
    char row[120], *file = checked_in("sql/0005_parsed_by.up.sql");

#define X_EDGE(FROM, TO, actors, migration)                                                                            \
    snprintf(row, sizeof row, "INSERT INTO job_edges (from_status, to_status, actors) VALUES\n    (%d, %d, %d);\n",    \
             STATUS_##FROM, STATUS_##TO, actors);                                                                      \
    cr_expect(migration == 5 && strstr(file, row) != NULL, "%s", row);
    LATER_EDGES(X_EDGE)
#undef X_EDGE
    talloc_free(file);
}

Test(state, the_page_in_docs_is_what_the_table_prints)
{
    char *page = printed(state_print_markdown), *file = checked_in("docs/states.md");

    cr_expect_str_eq(file, page);
    free(page);
    talloc_free(file);
}
