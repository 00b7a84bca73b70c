/*
 * health.c - /livez, /readyz and the list of routes: answered from this process's own state, without the database
 *
 * Depends on base, core.
 */
#include "api/api.h"
#include "api/handlers.h"
#include "api/ready.h"
#include "api/route.h"

int livez_get(struct request *r, struct error *e)
{
    (void)e;
    request_answer(r, 200, json_pack("{s:s}", "status", "ok"));
    return 0;
}

/* Open to everybody: it says which part is not ready, not why in detail. */
int readyz_get(struct request *r, struct error *e)
{
    struct ready_view v;

    (void)e;
    ready_look(r->api->ready, &v);
    if (!v.ready)
        r->answer.retry_after_s = 2;
    request_answer(r, v.ready ? 200 : 503,
                   json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "status", v.ready ? "ready" : "not ready", "database",
                             v.database, "storage", v.storage, "pools", v.pools, "configuration", v.configuration,
                             "draining", v.draining));
    return 0;
}

int routes_get(struct request *r, struct error *e)
{
    json_t *list = json_array();
    int n = 0;
    const struct route *t = route_table(&n);

    (void)e;
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "method", t[i].method, "path", t[i].path,
                                              "parameters", t[i].params, "help", t[i].help));
    request_answer(r, 200, json_pack("{s:o, s:s}", "routes", list, "version", DOCMILL_VERSION));
    return 0;
}
