/*
 * pauses.c - what operators have paused: list, pause, resume
 *
 * For operators only; the database asks again, and enters who did it in audit_log. The other nodes are told by the
 * database, in the same transaction.
 *
 * Depends on base, core, db.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/handlers.h"
#include "core/pause.h"
#include "core/reason.h"

#include <errno.h>

static const char list_sql[] = "SELECT upload_pipeline.list_pauses()";
static const char set_sql[] = "SELECT upload_pipeline.set_pause($1, $2, $3, $4)";

static const struct answer_column columns[] = {{"paused", AS_JSON}};

static int list_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *j = json_object();

    (void)e;
    answer_add_row(j, res, 0, 0, columns, 1);
    request_answer(r, 200, j);
    return 0;
}

int pauses_get(struct request *r, struct error *e)
{
    int rc = request_claim_operator(r, "What is paused is", e);

    if (rc != 0)
        return rc;
    (void)request_sql(r, list_sql, true);
    return request_wait_db(r, list_rows, NULL, e);
}

static int set_rows(struct request *r, const PGresult *res, struct error *e)
{
    (void)e;
    request_answer(
        r, 200, json_pack("{s:s, s:b}", "what", query_get(&r->query, "what"), "changed", (int)pg_get_bool(res, 0, 0)));
    return 0;
}

static int set(struct request *r, bool pause, struct error *e)
{
    const char *what = query_get(&r->query, "what");
    char words[120];
    struct pg_params *p;
    int rc = request_claim_operator(r, "Pausing and resuming are", e);

    if (rc != 0)
        return rc;
    if (what == NULL || pause_parse(what) < 0) {
        pause_words(words, sizeof words);
        return reason_error(e, REASON_bad_request, EINVAL, "what must be %s.", words);
    }
    p = request_sql(r, set_sql, true);
    pg_add_text(p, what);
    pg_add_bool(p, pause);
    pg_add_int8(p, (int64_t)r->peer.uid);
    pg_add_text(p, r->api->conf->node_name);
    return request_wait_db(r, set_rows, NULL, e);
}

int pauses_pause(struct request *r, struct error *e)
{
    return set(r, true, e);
}

int pauses_resume(struct request *r, struct error *e)
{
    return set(r, false, e);
}
