/*
 * test_conf.c - the configuration: every source, every kind of fault, hand-over to a role
 *
 * Each test writes its files into a directory of its own and removes it.
 */
#include "core/conf.h"
#include "base/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define GOOD                                                                                                           \
    "database = { url = \"host=/run/pg dbname=d user=u password=hunter2\" };"                                          \
    "blob = { backend = \"fs\"; fs = { root = \"/srv/blobs\"; }; };"                                                   \
    "embedder = { name = \"builtin\" };\n"

static char dir[64];
static char path[128];
static void *ctx;
static struct error err;

static void start(void)
{
    strcpy(dir, "/tmp/docmill-conf-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/docmill.conf", dir);
    ctx = talloc_new(NULL);
    memset(&err, 0, sizeof err);
}

static void stop(void)
{
    char command[128];

    talloc_free(ctx);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(conf, .init = start, .fini = stop);

static void write_file(const char *name, const char *text, size_t n)
{
    char file[256];

    snprintf(file, sizeof file, "%s/%s", dir, name);
    cr_assert_eq(file_write_atomic(file, text, n, 0600, NULL), 0);
}

static struct conf *load(const char *text)
{
    write_file("docmill.conf", text, strlen(text));
    return conf_load(ctx, path, &err);
}

/* GOOD and this text must fail, with each of the words in the message or the hint. */
static void refused(const char *text, const char *in_message, const char *in_hint)
{
    char *all = talloc_asprintf(ctx, "%s%s", GOOD, text);

    cr_assert_null(load(all), "accepted: %s", text);
    cr_expect_str_eq(err.reason, "bad_config");
    cr_expect_eq(err.code, -EINVAL);
    cr_expect(strstr(err.message, in_message) != NULL, "%s\n gave: %s\n want: %s", text, err.message, in_message);
    if (in_hint != NULL)
        cr_expect(strstr(err.hint, in_hint) != NULL, "%s\n gave: %s\n want: %s", text, err.hint, in_hint);
}

static struct conf *accepted(const char *text)
{
    char *all = talloc_asprintf(ctx, "%s%s", GOOD, text);
    struct conf *c = load(all);

    cr_assert_not_null(c, "%s\n gave: %s (%s)", text, err.message, err.hint);
    return c;
}

Test(conf, a_small_file_gets_defaults_for_the_rest)
{
    struct conf *c = accepted("");
    char host[256];

    cr_expect_str_eq(c->database_url, "host=/run/pg dbname=d user=u password=hunter2");
    cr_expect_str_eq(c->blob_fs_root, "/srv/blobs");
    cr_expect_str_eq(c->run_dir, "/run/docmill");
    cr_expect_eq(c->limits_max_upload, 256 * MB);
    cr_expect_eq(c->supervise_drain_timeout, 30 * SEC);
    cr_expect_null(c->api_token);
    gethostname(host, sizeof host);
    cr_expect_str_eq(c->node_name, host);
}

Test(conf, without_pools_there_are_three_and_workers_by_processors)
{
    struct conf *c = accepted("");

    cr_assert_eq(c->n_pools, 3);
    cr_expect_str_eq(c->pools[0].name, "coordinator");
    cr_expect_eq(c->pools[0].max, 1);
    cr_expect_eq(c->pools[1].role, POOL_API);
    cr_expect_eq(c->pools[2].role, POOL_WORKER);
    cr_expect_eq(c->pools[2].max, sysconf(_SC_NPROCESSORS_ONLN));
    cr_expect_eq(c->pools[2].lane_max, 32767);
}

Test(conf, an_unknown_key_is_named_with_its_line_and_the_nearest_key)
{
    char want[200];

    snprintf(want, sizeof want, "%s:3: api.listn: unknown key", path);
    refused("# a comment\napi = { listn = \"127.0.0.1:1\" };", want, "did you mean api.listen?");
    refused("limit = { max_pages = 3; };", "limit.max_pages: unknown key", "limits.max_pages");
    refused("rundir = \"/x\";", "rundir: unknown key", "run_dir");
    refused("nothing_like_it = 1;", "nothing_like_it: unknown key", NULL);
    cr_expect_null(strstr(err.hint, "mean"));
    refused("log = 5;", "log: wrong type: found a whole number, allowed is a group", NULL);
    refused("nothing = { };", "nothing: unknown key", NULL);
}

Test(conf, a_number_that_libconfig_would_wrap_is_refused)
{
    refused("limits = { max_pages = 5000000000; };", "found \"5000000000\", allowed is an integer, 1 to 1000000", NULL);
    refused("limits = { max_pages = 4294967299; };", "found \"4294967299\"", NULL); /* 3 after wrapping */
    refused("limits = { max_pages = 0x100000003; };", "found \"4294967299\"", NULL);
    refused("limits = { max_pages = -5; };", "found \"-5\"", NULL);
    refused("limits = { max_pages = 99999999999999999999; };", "does not fit 64 bits", NULL);
    refused("limits = { max_pages = 3.0; };", "wrong type: found a number with a fraction", NULL);
    cr_expect_eq(accepted("limits = { max_pages = 0x10; };")->limits_max_pages, 16);
    cr_expect_eq(accepted("limits = { max_pages = 010; };")->limits_max_pages, 10);
}

Test(conf, a_plain_file_loads_through_an_include_and_places_stay_right)
{
    const char *bad_queue = "max_connections = 7;\n\n\nqueue = 0;";
    char want[200];

    write_file("good.conf", GOOD, strlen(GOOD));
    cr_assert_not_null(load("@include \"good.conf\"\n"), "%s", err.message);
    write_file("api.conf", bad_queue, strlen(bad_queue));
    cr_assert_null(load("@include \"good.conf\"\napi = {\n  @include \"api.conf\"\n};"));
    snprintf(want, sizeof want, "%s/api.conf:4: api.queue: out of bounds", dir);
    cr_expect(strstr(err.message, want) != NULL, "%s", err.message);
    cr_assert_null(load("@include \"good.conf\"\n\nx = 1;"));
    snprintf(want, sizeof want, "%s:3: x: unknown key", path);
    cr_expect(strstr(err.message, want) != NULL, "%s", err.message);
}

Test(conf, an_export_holds_only_what_the_role_may_see)
{
    struct conf *c = accepted("api = { token = \"0123456789abcdef\"; };");
    int fd = conf_export(c, CR_WORKER, &err);
    struct conf *w;

    cr_assert_geq(fd, 0);
    w = conf_import(ctx, fd, &err);
    cr_assert_not_null(w, "%s", err.message);
    cr_expect_null(w->api_token);
    cr_expect_null(w->database_direct_url);
    cr_expect_str_eq(w->database_url, c->database_url);
    cr_expect_eq(w->chunk_max_tokens, 400);
    cr_expect_eq(w->api_queue, 0);
    cr_expect_eq(w->n_pools, 3);
    cr_expect_str_eq(w->pools[2].name, "workers");
    cr_expect_eq(w->pools[2].max, c->pools[2].max);
    close(fd);
}
