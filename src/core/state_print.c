/*
 * state_print.c - the state table as SQL for the lookup tables, and as a page for people
 *
 * `docmilld --print-state-sql` and `--print-state-markdown` print these. Migration 1 holds the SQL word for word and
 * docs/states.md the page; a test compares both, so that C, database and documentation cannot drift apart.
 *
 * Diagnostics: none; a full disk shows in ferror(out). Depends on core/state.
 */
#include "core/state.h"

#include <stddef.h>
#include <string.h>

struct state_text {
    int state;
    bool claimable, ends;
    const char *meaning;
};

#define X_ROW(NAME, n, claim, end, mean) {n, claim, end, mean},
static const struct state_text states[] = {STATES(X_ROW)};
#undef X_ROW

struct status_text {
    int status, progress;
    unsigned legal;
    const char *meaning;
};

#define X_ROW(NAME, text, n, prog, legal_mask, mean) {n, prog, legal_mask, mean},
static const struct status_text statuses[] = {STATUSES(X_ROW)};
#undef X_ROW

struct edge_text {
    int from, to;
    unsigned actors;
};

#define X_ROW(FROM, TO, who, ...) {STATUS_##FROM, STATUS_##TO, who},
static const struct edge_text edges[] = {EDGES(X_ROW) LATER_EDGES(X_ROW)};
#undef X_ROW

#define X_ROW(...) +1
enum { FIRST_EDGES = EDGES(X_ROW) }; /* of migration 1 */
#undef X_ROW

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void print_quoted(FILE *out, const char *s)
{
    fputc('\'', out);
    for (; *s != '\0'; s++) {
        if (*s == '\'')
            fputc('\'', out);
        fputc(*s, out);
    }
    fputc('\'', out);
}

static const char *sql_bool(bool b)
{
    return b ? "true" : "false";
}

static const char *row_end(size_t i, size_t n)
{
    return i + 1 < n ? ",\n" : ";\n";
}

void state_print_sql(FILE *out)
{
    fputs("INSERT INTO job_statuses (status, name, progress, legal_states, is_end, meaning) VALUES\n", out);
    for (size_t i = 0; i < COUNT(statuses); i++) {
        const struct status_text *s = &statuses[i];
        fprintf(out, "    (%d, '%s', %d, %u, %s, ", s->status, status_name(s->status), s->progress, s->legal,
                sql_bool(status_is_end(s->status)));
        print_quoted(out, s->meaning);
        fprintf(out, ")%s", row_end(i, COUNT(statuses)));
    }
    fputs("INSERT INTO job_states (state, name, claimable, is_end, meaning) VALUES\n", out);
    for (size_t i = 0; i < COUNT(states); i++) {
        const struct state_text *s = &states[i];
        fprintf(out, "    (%d, '%s', %s, %s, ", s->state, state_name(s->state), sql_bool(s->claimable),
                sql_bool(s->ends));
        print_quoted(out, s->meaning);
        fprintf(out, ")%s", row_end(i, COUNT(states)));
    }
    fputs("INSERT INTO job_edges (from_status, to_status, actors) VALUES\n", out);
    for (size_t i = 0; i < FIRST_EDGES; i++)
        fprintf(out, "    (%d, %d, %u)%s", edges[i].from, edges[i].to, edges[i].actors, row_end(i, FIRST_EDGES));
}

static void print_actors(FILE *out, unsigned actors)
{
    static const char *const names[] = {"worker", "webhook", "rescue", "operator"};
    const char *separator = "";

    for (unsigned i = 0; i < COUNT(names); i++) {
        if ((actors & (1u << i)) == 0)
            continue;
        fprintf(out, "%s%s", separator, names[i]);
        separator = ", ";
    }
}

static void print_statuses(FILE *out)
{
    fputs("## Statuses\n\nWhere a document is.\n\n| no. | status | progress | end | legal states | meaning |\n"
          "|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < COUNT(statuses); i++) {
        const struct status_text *s = &statuses[i];
        const char *separator = "";
        fprintf(out, "| %d | `%s` | %d %% | %s | ", s->status, status_name(s->status), s->progress,
                status_is_end(s->status) ? "yes" : "");
        for (int state = 1; state < STATE_MAX_; state++) {
            if (!state_legal(s->status, state))
                continue;
            fprintf(out, "%s%s", separator, state_name(state));
            separator = ", ";
        }
        fprintf(out, " | %s |\n", s->meaning);
    }
}

static void print_states(FILE *out)
{
    fputs("\n## States\n\nWhat the queue does with it.\n\n| no. | state | claimable | end | meaning |\n"
          "|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < COUNT(states); i++)
        fprintf(out, "| %d | `%s` | %s | %s | %s |\n", states[i].state, state_name(states[i].state),
                states[i].claimable ? "yes" : "", states[i].ends ? "yes" : "", states[i].meaning);
}

static void print_edges(FILE *out)
{
    fputs("\n## Moves\n\nA transition takes one move, or a path of moves that each of its actors may take and that "
          "leads through no end.\nRescue is the coordinator after a death or an expiry; an operator is `docmillctl` "
          "or the user through the API.\n\n| from | to | by |\n|---|---|---|\n",
          out);
    for (size_t i = 0; i < COUNT(edges); i++) {
        fprintf(out, "| `%s` | `%s` | ", status_name(edges[i].from), status_name(edges[i].to));
        print_actors(out, edges[i].actors);
        fputs(" |\n", out);
    }
    fputs("\n## Failure ends\n\nWhere a document goes that fails for good.\n\n| in status | goes to |\n|---|---|\n",
          out);
    for (size_t i = 0; i < COUNT(statuses); i++)
        if (!status_is_end(statuses[i].status))
            fprintf(out, "| `%s` | `%s` |\n", status_name(statuses[i].status),
                    status_name(status_failure_of(statuses[i].status)));
}

void state_print_markdown(FILE *out)
{
    fputs("# Statuses, states and moves\n\nMade from the table in `src/core/state.h` by `docmilld "
          "--print-state-markdown`; do not edit.\nNumbers are stored in the database and are never reused.\n\n",
          out);
    print_statuses(out);
    print_states(out);
    print_edges(out);
}
