/* spoil.c - faults on the way in and out: see spoil.h */
#include "common/spoil.h"
#include "common/faults.h"
#include "common/mock_int.h"

#include <string.h>
#include <talloc.h>

#define HANG_MS    600000
#define DRIP_BYTES 64
#define DRIP_MS    50

static void fail(struct mock_request *q, struct mock_answer *a, int status, const json_t *rule)
{
    const struct mock_program *p = q->mock->program;
    int64_t retry_after = fault_int(rule, "retry_after", -1);

    p->fail(p->state, q, a, status, fault_text(rule, "code", NULL));
    if (retry_after >= 0)
        answer_header(q, a, "Retry-After", "%lld", (long long)retry_after);
}

bool spoil_before(struct mock_request *q, struct mock_answer *a)
{
    const json_t *rule;
    int status;

    if (fault_strikes(q, FAULT_DROP_BEFORE) != NULL) {
        a->drop = true;
        return true;
    }
    rule = fault_strikes(q, FAULT_STATUS);
    status = fault_status(q, rule);
    if (status == 0 && rule == NULL)
        return false;
    fail(q, a, status, rule);
    return true;
}

/* Of the answers with something in it, only those of success: a cut error would hide what the fault is for. */
static void spoil_body(struct mock_request *q, struct mock_answer *a, struct spoil *s)
{
    const json_t *rule;

    rule = fault_strikes(q, FAULT_MALFORMED);
    if (rule != NULL) {
        const char *text = fault_text(rule, "body", "{\"object\": \"list\", \"data\": [{\"obj");

        answer_bytes(q, a, a->status, fault_text(rule, "type", a->type), text, strlen(text));
        a->spoilt = true;
    }
    if (fault_strikes(q, FAULT_PARTIAL) != NULL) {
        a->body_len /= 2;
        a->spoilt = true;
    }
    rule = fault_strikes(q, FAULT_RESET);
    if (rule != NULL) {
        int64_t at = fault_int(rule, "bytes", (int64_t)a->body_len / 2);

        s->cut = true;
        s->cut_at = at < (int64_t)a->body_len ? (size_t)at : a->body_len - 1;
    }
    rule = fault_strikes(q, FAULT_DRIP);
    if (rule != NULL) {
        s->drip_bytes = (size_t)fault_int(rule, "bytes", DRIP_BYTES);
        s->drip_ms = fault_int(rule, "ms", DRIP_MS);
    }
}

void spoil_after(struct mock_request *q, struct mock_answer *a, struct spoil *s)
{
    const json_t *rule;

    if (a->drop)
        return;
    a->delay_ms += fault_delay_ms(q);
    if ((rule = fault_strikes(q, FAULT_DELAY)) != NULL)
        a->delay_ms += fault_int(rule, "ms", 1000);
    if ((rule = fault_strikes(q, FAULT_HANG)) != NULL)
        a->delay_ms += fault_int(rule, "ms", HANG_MS);
    if (fault_strikes(q, FAULT_DROP_AFTER) != NULL)
        a->drop = true;
    else if (a->status < 300 && a->body_len > 0)
        spoil_body(q, a, s);
}
