/*
 * test_conf_diff.c - what a reload would change, what has to wait, what stays accepted
 */
#include "conf_fixture.h"

#include "core/conf_diff.h"

TestSuite(conf_diff, .init = start, .fini = stop);

static const struct conf_change *change_of(const struct conf_diff *d, const char *name)
{
    for (int i = 0; i < d->n_changes; i++)
        if (strcmp(d->changes[i].name, name) == 0)
            return &d->changes[i];
    return NULL;
}

static struct conf_diff *diff(const char *a, const char *b)
{
    struct conf *from = accepted(a);

    return conf_diff_make(ctx, from, accepted(b));
}

Test(conf_diff, the_same_changes_nothing)
{
    struct conf_diff *d = diff("queue = { claim_batch = 3; };", "queue = { claim_batch = 3; };");

    cr_expect_eq(d->n_changes, 0);
    cr_expect_eq(d->roles, 0u);
    cr_expect_eq(d->n_pools, 3);
    cr_expect_eq(d->pools[0].fate, CONF_POOL_KEPT);
}

Test(conf_diff, a_key_names_old_and_new_and_the_pools_that_see_it)
{
    struct conf_diff *d = diff("", "queue = { claim_batch = 3; }; supervise = { hang_timeout = \"90s\"; };");
    const struct conf_change *c = change_of(d, "queue.claim_batch");

    cr_assert_eq(d->n_changes, 2);
    cr_assert_not_null(c);
    cr_expect_str_eq(c->from, "16");
    cr_expect_str_eq(c->to, "3");
    cr_expect_not(c->restart);
    cr_expect_eq(d->roles, (unsigned)(CR_WORKER | CR_MASTER));
    cr_expect_str_eq(change_of(d, "supervise.hang_timeout")->to, "\"90s\"");
    cr_expect_eq(d->pools[0].fate, CONF_POOL_KEPT, "the coordinator sees none of it");
    cr_expect_eq(d->pools[1].fate, CONF_POOL_KEPT);
    cr_expect_eq(d->pools[2].fate, CONF_POOL_REPLACED);
}

Test(conf_diff, a_key_that_needs_a_restart_is_named_and_replaces_nobody)
{
    struct conf_diff *d = diff("", "search = { index = \"hnsw\"; };\n");
    const struct conf_change *c = change_of(d, "search.index");

    cr_assert_not_null(c);
    cr_expect(c->restart);
    cr_expect_str_eq(c->from, "\"none\"");
    cr_expect_str_eq(c->to, "\"hnsw\"");
    cr_expect_eq(d->n_restart, 1);
    cr_expect_eq(d->roles, 0u);
    cr_expect_eq(d->pools[2].fate, CONF_POOL_KEPT);
}

Test(conf_diff, secrets_are_masked_on_both_sides)
{
    struct conf_diff *d =
        diff("api = { token = \"first-secret-token\"; };", "api = { token = \"second-secret-token\"; };");
    const struct conf_change *c = change_of(d, "api.token");

    cr_assert_not_null(c);
    cr_expect_str_eq(c->from, "\"***\"");
    cr_expect_str_eq(c->to, "\"***\" (another)");
    d = diff("", "api = { token = \"second-secret-token\"; };");
    cr_expect_str_eq(change_of(d, "api.token")->from, "(unset)");
}

Test(conf_diff, a_new_password_is_taken_another_database_is_not)
{
    static const char text[] = "blob = { backend = \"fs\"; fs = { root = \"/srv/blobs\"; }; };"
                               "embedder = { name = \"builtin\" };database = { url = \"%s\"; };";
    static const struct {
        const char *from, *to;
        bool restart;
    } cases[] = {
        {"host=/run/pg dbname=d user=u password=old", "host=/run/pg dbname=d user=u password=new", false},
        {"host=/run/pg dbname=d user=u password=old", "host=/run/pg dbname=e user=u password=new", true},
        {"host=/run/pg service=a password=old", "host=/run/pg service=b password=old", true},
        {"postgresql://u:old@h:5432/d?sslmode=require", "postgresql://u:n%20w@h:5432/d?sslmode=require", false},
        {"postgresql://u:old@h/d", "postgresql://u:old@other/d", true},
        {"postgresql://u:old@h/d?options=-csearch_path%3Da", "postgresql://u:old@h/d?options=-csearch_path%3Db", true},
        {"postgresql://u@h/d?password=old", "postgresql://u@h/d?password=new", false},
        {"host=h 'odd", "host=h 'other", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf *from = load(talloc_asprintf(ctx, text, cases[i].from));
        struct conf *to = load(talloc_asprintf(ctx, text, cases[i].to));
        struct conf_diff *d = conf_diff_make(ctx, from, to);

        cr_assert_eq(d->n_changes, 1, "%s", cases[i].to);
        cr_expect_eq(d->changes[0].restart, cases[i].restart, "%s to %s", cases[i].from, cases[i].to);
        cr_expect_null(strstr(d->changes[0].from, "old"));
        cr_expect_null(strstr(d->changes[0].to, "new"));
    }
}

#define COORDINATOR   "{ name = \"coordinator\"; role = \"coordinator\"; }"
#define WORKERS(more) "{ name = \"workers\"; role = \"worker\"; max = 2; " more " }"

Test(conf_diff, pools_come_go_are_resized_and_replaced)
{
    struct conf_diff *d = diff(
        "pools = (" COORDINATOR ", " WORKERS("") ", { name = \"old\"; role = \"worker\"; max = 1; },"
                                                 " { name = \"web\"; role = \"api\"; max = 1; });",
        "pools = ({ name = \"head\"; role = \"coordinator\"; }, " WORKERS(
            "lanes = (0, 7);") ","
                               " { name = \"fresh\"; role = \"worker\"; max = 1; }, { name = \"web\"; role = \"api\"; max = 3; });");

    cr_assert_eq(d->n_pools, 5);
    cr_expect_eq(d->pools[0].fate, CONF_POOL_REPLACED,
                 "the same by another name; it publishes how large the pools are");
    cr_expect_eq(d->roles, (unsigned)(CR_MASTER | CR_COORD));
    cr_expect_eq(d->pools[1].fate, CONF_POOL_REPLACED);
    cr_expect_eq(d->pools[2].fate, CONF_POOL_NEW);
    cr_expect_eq(d->pools[3].fate, CONF_POOL_RESIZED);
    cr_expect_eq(d->pools[4].fate, CONF_POOL_GONE);
    cr_expect_str_eq(d->pools[4].from->name, "old");
    cr_expect_str_eq(change_of(d, "pools.workers")->from, "lanes = (0, 32767);");
    cr_expect_str_eq(change_of(d, "pools.workers")->to, "lanes = (0, 7);");
    cr_expect_str_eq(change_of(d, "pools.web")->to, "min = 3; max = 3;");
    cr_expect_str_eq(change_of(d, "pools.old")->to, "(none)");
    cr_expect_str_eq(change_of(d, "pools.fresh")->from, "(none)");
    cr_expect_str_eq(change_of(d, "pools.head")->to, "name = \"head\";");
}

Test(conf_diff, what_waits_for_a_restart_keeps_its_value)
{
    struct conf *from = accepted("search = { index = \"hnsw\"; };api = { listen = \"\"; };"
                                 "collections = ({ name = \"a\"; embedder = \"builtin\"; });");
    struct conf *to = accepted("queue = { claim_batch = 3; };");

    conf_keep_fixed(to, from);
    cr_expect_str_eq(to->search_index, "hnsw");
    cr_expect_str_eq(to->api_listen, "");
    cr_expect_eq(to->queue_claim_batch, 3);
    cr_expect_eq(to->n_collections, 1);
    cr_expect_eq(conf_diff_make(ctx, from, to)->n_restart, 0);
}

Test(conf_diff, a_former_secret_is_accepted_for_a_while_and_by_the_roles_that_see_it)
{
    struct conf *a = accepted("api = { token = \"first-secret-token\"; };");
    struct conf *b = accepted("api = { token = \"second-secret-token\"; };");
    struct conf *c = accepted("api = { token = \"third-secret-token\"; };");
    const char *list[CONF_MAX_ACCEPTED + 1];
    struct conf *seen;
    int fd;

    conf_keep_former(b, a, 1000, 5000);
    conf_keep_former(c, b, 1000, 5500);
    fd = conf_export(c, CR_API, &err);
    seen = conf_import(ctx, fd, &err);
    cr_assert_not_null(seen, "%s", err.message);
    close(fd);
    cr_assert_eq(conf_accepted(seen, &seen->api_token, 5999, list), 3);
    cr_expect_str_eq(list[0], "third-secret-token");
    cr_expect_str_eq(list[1], "second-secret-token");
    cr_expect_str_eq(list[2], "first-secret-token");
    cr_expect_null(list[3]);
    cr_expect_eq(conf_accepted(seen, &seen->api_token, 6000, list), 2, "the first one's time is over");
    cr_expect_eq(conf_accepted(seen, &seen->api_token, 6500, list), 1);
    cr_expect_eq(conf_accepted(seen, &seen->llamaparse_webhook_secret, 0, list), 0, "another key's is no such key's");
    fd = conf_export(c, CR_WORKER, &err);
    seen = conf_import(ctx, fd, &err);
    close(fd);
    cr_expect_eq(seen->n_formers, 0, "a worker never sees the token");
}

Test(conf_diff, a_secret_that_is_removed_or_that_gets_no_grace_is_cut_off)
{
    struct conf *a = accepted("api = { token = \"first-secret-token\"; };");
    struct conf *b = accepted("api = { token = \"second-secret-token\"; };");
    struct conf *none = accepted("");
    struct conf *c = accepted("api = { token = \"third-secret-token\"; };");
    struct conf *same = accepted("api = { token = \"first-secret-token\"; };");
    const char *list[CONF_MAX_ACCEPTED + 1];

    conf_keep_former(none, a, 1000, 0);
    cr_expect_eq(conf_accepted(none, &none->api_token, 0, list), 0);
    conf_keep_former(b, a, 1000, 0);
    conf_keep_former(c, b, 0, 1);
    cr_expect_eq(conf_accepted(c, &c->api_token, 1, list), 1, "without a grace the older ones go as well");
    conf_keep_former(same, a, 1000, 0);
    cr_expect_eq(same->n_formers, 0);
}

Test(conf_diff, formers_are_bounded)
{
    struct conf *last = accepted("api = { token = \"secret-token-number-000\"; };");

    for (int i = 1; i < 30; i++) {
        struct conf *next = accepted(talloc_asprintf(ctx, "api = { token = \"secret-token-number-%03d\"; };", i));

        conf_keep_former(next, last, 100000, i);
        last = next;
    }
    cr_expect_eq(last->n_formers, CONF_MAX_FORMERS);
    cr_expect_str_eq(last->formers[0].text, "secret-token-number-028", "the newest stay");
}

Test(conf_diff, the_next_configuration_is_refused_with_its_place)
{
    struct conf *running = accepted("");
    char want[160];

    write_file("docmill.conf", GOOD "\nqueue = { claim_batch = 0; };", strlen(GOOD "\nqueue = { claim_batch = 0; };"));
    cr_assert_null(conf_load_next(ctx, path, running, &err));
    snprintf(want, sizeof want, "%s:3: queue.claim_batch", path);
    cr_expect_not_null(strstr(err.message, want), "%s", err.message);
}

Test(conf_diff, keys_that_stay_must_go_with_what_is_new)
{
    /* the file is good without the service that the collection needs which stays */
    struct conf *running = accepted("collections = ({ name = \"a\"; embedder = \"openai\"; model = \"m\"; });"
                                    "openai = { base_url = \"https://e.example/v1\"; api_key = \"k\"; };");

    write_file("docmill.conf", GOOD, strlen(GOOD));
    cr_assert_null(conf_load_next(ctx, path, running, &err));
    cr_expect_not_null(strstr(err.message, "openai.base_url: missing"), "%s", err.message);
    cr_expect_not_null(strstr(err.hint, "keeps its collections"), "%s", err.hint);
}

Test(conf_diff, a_pool_does_not_change_its_role)
{
    struct conf *running = accepted("pools = (" COORDINATOR ", { name = \"x\"; role = \"worker\"; });");
    const char *text = GOOD "pools = (" COORDINATOR ", { name = \"x\"; role = \"api\"; });";

    write_file("docmill.conf", text, strlen(text));
    cr_assert_null(conf_load_next(ctx, path, running, &err));
    cr_expect_not_null(strstr(err.message, "\"x\" has the role worker"), "%s", err.message);
}

Test(conf_diff, a_pool_that_is_gone_is_no_pool)
{
    struct conf *from = accepted("pools = (" COORDINATOR ", " WORKERS("") ", { name = \"old\"; role = \"api\"; });");
    struct conf_diff *d;

    from->pools[2].max = from->pools[2].min = 0;
    d = conf_diff_make(ctx, from, accepted("pools = (" COORDINATOR ", " WORKERS("") ");"));
    cr_expect_eq(d->n_changes, 0);
    d = conf_diff_make(ctx, from,
                       accepted("pools = (" COORDINATOR ", " WORKERS("") ", { name = \"old\"; role = \"api\"; });"));
    cr_expect_eq(d->pools[2].fate, CONF_POOL_NEW);
}
