/*
 * test_conf.c - the configuration: every source, defaults, pools, hand-over to a role
 */
#include "conf_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

TestSuite(conf, .init = start, .fini = stop);

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

Test(conf, the_environment_wins_over_the_file_and_the_file_over_the_default)
{
    struct conf *c;

    setenv("DOCMILL_API_QUEUE", "12", 1);
    setenv("DOCMILL_LIMITS_MAX_UPLOAD", "1MB", 1);
    setenv("DOCMILL_BLOB_FS_ROOT", "/from/env", 1);
    setenv("DOCMILL_API_LISTEN", "", 1);
    c = accepted("api = { queue = 11; idle_timeout = \"2s\"; };");
    cr_expect_eq(c->api_queue, 12);
    cr_expect_eq(c->limits_max_upload, MB);
    cr_expect_str_eq(c->blob_fs_root, "/from/env");
    cr_expect_str_eq(c->api_listen, "");
    cr_expect_eq(c->api_idle_timeout, 2000);
}

Test(conf, a_secret_comes_from_the_first_line_of_its_file)
{
    char text[300];
    struct conf *c;

    write_file("token", "0123456789abcdef\r\nsecond line\n", 30);
    snprintf(text, sizeof text, "api = { token_file = \"%s/token\"; };", dir);
    c = accepted(text);
    cr_expect_str_eq(c->api_token, "0123456789abcdef");
    write_file("url", "host=/elsewhere", 15);
    snprintf(text, sizeof text, "%s/url", dir);
    setenv("DOCMILL_DATABASE_URL_FILE", text, 1);
    c = accepted("");
    cr_expect_str_eq(c->database_url, "host=/elsewhere");
}

Test(conf, every_key_may_be_set_in_the_file_with_its_default)
{
    struct conf *c = accepted("supervise : { ready_timeout : \"90s\", backoff_first : \"10ms\" }\n"
                              "retention = { events = \"3650d\"; generations = \"1h\"; }\n"
                              "limits = { max_upload = 2048; user_active = 100000000; };\n"
                              "search = { index = \"hnsw\"; exact_limit = 0; };\n"
                              "log = { level = \"debug\"; };\n"
                              "run_dir = \"/run/d\";");

    cr_expect_eq(c->supervise_ready_timeout, 90 * SEC);
    cr_expect_eq(c->supervise_backoff_first, 10);
    cr_expect_eq(c->retention_events, 3650 * DAY);
    cr_expect_eq(c->limits_max_upload, 2048);
    cr_expect_eq(c->limits_user_active, 100000000);
    cr_expect_eq(c->search_exact_limit, 0);
    cr_expect_str_eq(c->search_index, "hnsw");
    cr_expect_str_eq(c->log_level, "debug");
    cr_expect_str_eq(c->run_dir, "/run/d");
}

Test(conf, pools_are_read_with_all_their_keys)
{
    struct conf *c = accepted("pools = ( { name = \"c\"; role = \"coordinator\"; },\n"
                              "{ name = \"parse-1\"; role = \"worker\"; min = 0; max = 9; spare = 2;\n"
                              "  stages = (\"uploaded\", \"parsed\"); lanes = [3, 7]; max_jobs = 1000L;\n"
                              "  max_age = \"1h\"; max_memory = \"64MB\"; },\n"
                              "{ name = \"rest\"; role = \"worker\"; stages = [\"chunking\"]; } );");

    cr_assert_eq(c->n_pools, 3);
    cr_expect_eq(c->pools[0].role, POOL_COORDINATOR);
    cr_expect_eq(c->pools[0].min, 1);
    cr_expect_eq(c->pools[0].max, 1);
    cr_expect_str_eq(c->pools[1].name, "parse-1");
    cr_expect_eq(c->pools[1].role, POOL_WORKER);
    cr_expect_eq(c->pools[1].min, 0);
    cr_expect_eq(c->pools[1].max, 9);
    cr_expect_eq(c->pools[1].spare, 2);
    cr_expect_eq(c->pools[1].stages, 1u << 1 | 1u << 3);
    cr_expect_eq(c->pools[1].lane_min, 3);
    cr_expect_eq(c->pools[1].lane_max, 7);
    cr_expect_eq(c->pools[1].max_jobs, 1000);
    cr_expect_eq(c->pools[1].max_age_ms, HOUR);
    cr_expect_eq(c->pools[1].max_memory, 64 * MB);
    cr_expect_eq(c->pools[2].stages, 1u << 5);
    cr_expect_eq(c->pools[2].max, sysconf(_SC_NPROCESSORS_ONLN));
    cr_expect_eq(c->pools[2].min, c->pools[2].max);
}

Test(conf, sizes_and_durations_as_people_write_them)
{
    static const struct {
        const char *text;
        int size_rc;
        int64_t size;
        int duration_rc;
        int64_t duration;
    } cases[] = {
        {"64MB", 0, 64 * MB, -EINVAL, 0},
        {"1TB", 0, 1024 * GB, -EINVAL, 0},
        {"7 KB", 0, 7168, -EINVAL, 0},
        {"5B", 0, 5, -EINVAL, 0},
        {"1000", 0, 1000, -EINVAL, 0},
        {"2147483648", 0, INT64_C(1) << 31, -EINVAL, 0},
        {"2147483649", -ERANGE, 0, -EINVAL, 0},
        {"0", 0, 0, 0, 0},
        {"30s", -EINVAL, 0, 0, 30000},
        {"250ms", -EINVAL, 0, 0, 250},
        {"5m", -EINVAL, 0, 0, 300000},
        {"1h", -EINVAL, 0, 0, 3600000},
        {"90d", -EINVAL, 0, 0, 90 * DAY},
        {"", -EINVAL, 0, -EINVAL, 0},
        {"MB", -EINVAL, 0, -EINVAL, 0},
        {"-1MB", -EINVAL, 0, -EINVAL, 0},
        {"1.5GB", -EINVAL, 0, -EINVAL, 0},
        {"64mb", -EINVAL, 0, -EINVAL, 0},
        {"64MB ", -EINVAL, 0, -EINVAL, 0},
        {" 64MB", -EINVAL, 0, -EINVAL, 0},
        {"9223372036854775807B", 0, INT64_MAX, -EINVAL, 0},
        {"9223372036854775808B", -ERANGE, 0, -ERANGE, 0},
        {"8388608TB", -ERANGE, 0, -EINVAL, 0},
        {"106751991168d", -EINVAL, 0, -ERANGE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t n = -1;
        cr_expect_eq(conf_parse_size(cases[i].text, &n), cases[i].size_rc, "size %s", cases[i].text);
        cr_expect_eq(n, cases[i].size_rc == 0 ? cases[i].size : -1, "size %s", cases[i].text);
        n = -1;
        cr_expect_eq(conf_parse_duration(cases[i].text, &n), cases[i].duration_rc, "duration %s", cases[i].text);
        cr_expect_eq(n, cases[i].duration_rc == 0 ? cases[i].duration : -1, "duration %s", cases[i].text);
    }
}

Test(conf, what_looks_like_an_include_or_a_number_in_a_string_or_comment_is_none)
{
    struct conf *c = accepted("/* 99999999999999999999\n@include \"nowhere\"\n*/\n"
                              "# @include \"nowhere\" 30s\n// 99999999999999999999 \"open\n"
                              "api = { token_user = \"a \\\" 99999999999999999999 /* # \" /* in between */; };");

    cr_expect_str_eq(c->api_token_user, "a \" 99999999999999999999 /* # ");
}

Test(conf, a_descriptor_that_is_not_a_sealed_export_is_refused)
{
    struct conf *c = accepted("");
    uint8_t bytes[16384];
    ssize_t n;
    int fd = conf_export(c, CR_ALL, &err), plain;

    cr_assert_geq(fd, 0);
    cr_expect_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    cr_expect_eq(write(fd, "x", 1), -1, "the memfd is not sealed");
    n = pread(fd, bytes, sizeof bytes, 0);
    cr_assert(n > 100 && n < (ssize_t)sizeof bytes, "%zd", n);
    close(fd);
    plain = memfd_create("plain", MFD_ALLOW_SEALING);
    cr_assert_eq(write(plain, bytes, (size_t)n), n);
    cr_expect_null(conf_import(ctx, plain, &err));
    cr_expect(strstr(err.message, "not a sealed memfd") != NULL, "%s", err.message);
    cr_expect_null(conf_import(ctx, -1, &err));
    close(plain);
}

/* The bytes as a sealed memfd, imported. */
static struct conf *imported(const uint8_t *bytes, size_t n)
{
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    struct conf *c;

    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    c = conf_import(ctx, fd, &err);
    close(fd);
    return c;
}

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

Test(conf, an_export_that_is_cut_or_extended_is_refused)
{
    struct conf *c = accepted("");
    uint8_t bytes[4000];
    int fd = conf_export(c, CR_WORKER, &err);
    ssize_t n = pread(fd, bytes, sizeof bytes - 1, 0);

    close(fd);
    cr_assert_gt(n, 0);
    cr_assert_not_null(imported(bytes, (size_t)n));
    for (ssize_t cut = 0; cut < n; cut += 1 + n / 50)
        cr_expect_null(imported(bytes, (size_t)cut), "cut at %zd", cut);
    bytes[n] = 0;
    cr_expect_null(imported(bytes, (size_t)n + 1));
    cr_expect_null(imported((const uint8_t *)"\x94\x01\x80\x90\x90", 5));              /* another version */
    cr_expect_null(imported((const uint8_t *)"\x95\x03\x81\xa1x\x01\x90\x90\x90", 9)); /* an unknown key */
    cr_expect_null(imported((const uint8_t *)"\x95\x03\x80\x91\x90\x90\x90", 7));      /* a pool without fields */
    cr_expect_null(imported((const uint8_t *)"\x95\x03\x80\x90\x91\x90\x90", 7));      /* a collection without fields */
    cr_expect_null(imported((const uint8_t *)"\x95\x03\x80\x90\x90\x91\x90", 7)); /* a former secret without fields */
    cr_expect_null(
        imported(BYTES("\x95\x03\x80\x90\x90\x91\x93\xa7run_dir\xa1x\x01"))); /* of a key that nobody is verified by */
    cr_expect_not_null(imported((const uint8_t *)"\x95\x03\x80\x90\x90\x90", 6)); /* empty, and good */
}

Test(conf, collections_are_read_and_handed_over)
{
    struct conf *c = accepted("openai = { base_url = \"https://api.openai.com/v1\"; api_key = \"k\"; };"
                              "collections = ( { name = \"words\"; embedder = \"builtin\"; dimension = 256; },\n"
                              " { name = \"large-1\"; embedder = \"openai\"; model = \"text-embedding-3-large\";"
                              " price_per_million_tokens = \"0.13\"; } );");
    int fd = conf_export(c, CR_WORKER, &err);
    struct conf *w = conf_import(ctx, fd, &err);

    close(fd);
    cr_assert_not_null(w, "%s", err.message);
    for (int i = 0; i < 2; i++, c = w) {
        cr_assert_eq(c->n_collections, 2);
        cr_expect_str_eq(c->collections[0].name, "words");
        cr_expect_not(c->collections[0].outside);
        cr_expect_eq(c->collections[0].dimension, 256);
        cr_expect_str_eq(c->collections[1].name, "large-1");
        cr_expect(c->collections[1].outside);
        cr_expect_eq(c->collections[1].dimension, 0);
        cr_expect_str_eq(c->collections[1].model, "text-embedding-3-large");
        cr_expect_str_eq(c->collections[1].price, "0.13");
    }
}

Test(conf, every_role_sees_exactly_its_keys)
{
    static const unsigned roles[] = {CR_MASTER, CR_COORD, CR_API, CR_WORKER};
    struct conf *c = accepted("api = { token = \"0123456789abcdef\"; socket_user = \"u\"; };"
                              "control = { group = \"g\"; }; parser = { libexec = \"/l\"; };");

    c->database_direct_url = "d";
    c->database_migrate_url = "m";
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        int fd = conf_export(c, roles[i], &err);
        struct conf *r = conf_import(ctx, fd, &err);
        cr_assert_not_null(r, "%s", err.message);
        close(fd);
#define X_CHECK(field, key, type, def, lo, hi, flags, who, help)                                                       \
    cr_expect_eq(memcmp(&r->field, &(__typeof__(r->field)){0}, sizeof r->field) != 0,                                  \
                 ((who)&roles[i]) != 0 && memcmp(&c->field, &(__typeof__(c->field)){0}, sizeof c->field) != 0,         \
                 "%s for role %u", key, roles[i]);
        CONF_KEYS(X_CHECK)
#undef X_CHECK
    }
    c->database_direct_url = c->database_migrate_url = NULL;
}
