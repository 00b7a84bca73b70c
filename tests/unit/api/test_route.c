/* test_route.c - which handler answers which path */
#include "api/route.h"

#include <criterion/criterion.h>
#include <string.h>

#define ID "a698c713-e458-5325-b103-a62a7882830a"

static const struct route *found;
static struct uuid id;
static char allow[64], token[REQUEST_TOKEN_MAX + 1];
static struct error e;

static int find(const char *method, const char *path)
{
    found = NULL;
    memset(&e, 0, sizeof e);
    return route_find(method, path, &found, &id, token, allow, &e);
}

Test(route, every_route_finds_itself)
{
    int n = 0;
    const struct route *t = route_table(&n);

    cr_assert_gt(n, 10);
    for (int i = 0; i < n; i++) {
        char path[128];
        const char *mark = strchr(t[i].path, '{');

        if (mark != NULL)
            snprintf(path, sizeof path, "%.*s" ID "%s", (int)(mark - t[i].path), t[i].path, strchr(mark, '}') + 1);
        else
            snprintf(path, sizeof path, "%s", t[i].path);
        cr_assert_eq(find(t[i].method, path), 0, "%s %s", t[i].method, path);
        cr_assert_eq(found, &t[i], "%s %s is answered by %s", t[i].method, path, found->path);
        cr_assert_not_null(t[i].end);
        cr_assert_eq(t[i].begin == NULL, t[i].data == NULL);
        cr_assert_neq(t[i].help[0], '\0');
    }
}

Test(route, takes_the_id_out_of_the_path)
{
    struct uuid expected;

    cr_assert_eq(uuid_parse(ID, &expected), 0);
    cr_assert_eq(find("POST", "/v1/jobs/" ID "/retry"), 0);
    cr_assert_str_eq(found->path, "/v1/jobs/{id}/retry");
    cr_assert(uuid_equal(&id, &expected));
}

Test(route, an_id_that_is_no_uuid_is_the_clients_mistake)
{
    cr_assert_neq(find("GET", "/v1/jobs/1"), 0);
    cr_assert_str_eq(e.reason, "bad_request");
    cr_assert_neq(find("GET", "/v1/jobs/" ID "x"), 0);
    cr_assert_str_eq(e.reason, "bad_request");
}

Test(route, another_path_is_not_found)
{
    static const char *const paths[] = {
        "",          "/",  "/v1/",       "/v1/documents/",          "/v1/jobs//retry", "/v1/jobs/" ID "/",
        "/v2/stats", "v1", "/v1/statss", "/v1/jobs/" ID "/retry/x", "/livez/"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        cr_assert_neq(find("GET", paths[i]), 0, "%s", paths[i]);
        cr_assert_str_eq(e.reason, "not_found", "%s gives %s", paths[i], e.reason);
    }
}

Test(route, another_method_is_told_which_are_allowed)
{
    cr_assert_neq(find("PUT", "/v1/documents"), 0);
    cr_assert_str_eq(e.reason, "method_not_allowed");
    cr_assert_str_eq(allow, "POST, GET");
    cr_assert_neq(find("GET", "/v1/jobs/" ID "/retry"), 0);
    cr_assert_str_eq(allow, "POST");
}

Test(route, head_is_get_without_the_body)
{
    cr_assert_eq(find("HEAD", "/livez"), 0);
    cr_assert_str_eq(found->method, "GET");
}

Test(route, only_the_probes_and_what_has_a_token_are_open)
{
    int n = 0;
    int open = 0;
    const struct route *t = route_table(&n);

    for (int i = 0; i < n; i++)
        if (t[i].flags & ROUTE_OPEN) {
            open++;
            cr_assert(strcmp(t[i].path, "/livez") == 0 || strcmp(t[i].path, "/readyz") == 0 ||
                          strcmp(t[i].path, "/metrics") == 0 || /* asks for a secret of its own */
                          strstr(t[i].path, "{token}") != NULL,
                      "%s is open", t[i].path);
        }
    cr_assert_eq(open, 4);
}

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef"

Test(route, takes_a_token_out_of_the_path_and_shows_it_to_nobody)
{
    char path[256];

    cr_assert_eq(find("POST", "/v1/webhooks/llamaparse/" TOKEN), 0);
    cr_assert_str_eq(token, TOKEN);
    cr_assert_eq(find("GET", "/v1/stats"), 0);
    cr_assert_str_eq(token, "");
    cr_assert_str_eq(route_shown("/v1/stats"), "/v1/stats");
    cr_assert_null(strstr(route_shown("/v1/webhooks/llamaparse/" TOKEN), "0123"));
    cr_assert_null(strstr(route_shown("/v1/webhooks/llamaparse/" TOKEN "/more"), "0123"));
    snprintf(path, sizeof path, "/v1/webhooks/llamaparse/%0200d", 1);
    cr_assert_eq(find("POST", path), 0);
    cr_assert_str_eq(token, "", "one that is too long is none");
}
