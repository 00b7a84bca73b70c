/*
 * state.c - what a mock keeps over a restart: its count of requests, the journal, and what the program kept
 *
 * One JSON file, written beside and renamed. A file that is not there is an empty state; one that cannot be read is
 * fatal, because a test that asked for the state would go wrong in silence.
 *
 * Depends on common.
 */
#include "common/mock_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

int state_load(struct mock *m, struct error *e)
{
    const struct mock_program *p = m->program;
    json_error_t why;
    json_t *kept;

    if (m->state_file == NULL || access(m->state_file, F_OK) != 0)
        return 0;
    kept = json_load_file(m->state_file, 0, &why);
    if (kept == NULL)
        return error_set(e, -EINVAL, ERR_PERMANENT, "state", "%s: %s", m->state_file, why.text);
    m->requests = (uint64_t)json_integer_value(json_object_get(kept, "requests"));
    m->ahead_ms = (int64_t)json_integer_value(json_object_get(kept, "ahead_ms"));
    journal_load(m->journal, json_object_get(kept, "journal"));
    mock_lock(m);
    if (p->load != NULL)
        p->load(p->state, json_object_get(kept, "program"));
    mock_unlock(m);
    json_decref(kept);
    return 0;
}

int state_save(struct mock *m, struct error *e)
{
    const struct mock_program *p = m->program;
    char *beside;
    json_t *kept;
    int r = 0;

    if (m->state_file == NULL)
        return 0;
    mock_lock(m);
    kept = json_pack("{s:I, s:I, s:o, s:o*}", "requests", (json_int_t)m->requests, "ahead_ms", (json_int_t)m->ahead_ms,
                     "journal", journal_save(m->journal), "program", p->save != NULL ? p->save(p->state) : NULL);
    m->changed = false;
    mock_unlock(m);
    beside = talloc_asprintf(NULL, "%s.new", m->state_file);
    if (json_dump_file(kept, beside, JSON_COMPACT) != 0 || rename(beside, m->state_file) != 0)
        r = error_set(e, -EIO, ERR_PERMANENT, "state", "%s: cannot be written: %s", m->state_file, strerror(errno));
    talloc_free(beside);
    json_decref(kept);
    return r;
}
