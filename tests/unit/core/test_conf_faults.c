/*
 * test_conf_faults.c - every kind of fault: the place, the key, what was found, what is allowed
 */
#include "conf_fixture.h"

#include <netinet/in.h>
#include <sys/stat.h>

TestSuite(conf_faults, .init = start, .fini = stop);

Test(conf_faults, a_file_that_cannot_be_read, .timeout = 10)
{
    cr_expect_null(conf_load(ctx, "/nonexistent/docmill.conf", &err));
    cr_expect_str_eq(err.message, "cannot open /nonexistent/docmill.conf: No such file or directory");
    cr_expect_null(conf_load(ctx, dir, &err));
    cr_expect(strstr(err.message, "Is a directory") != NULL, "%s", err.message);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_null(conf_load(ctx, path, &err));
    cr_expect(strstr(err.message, "not a regular file") != NULL, "%s", err.message);
    cr_expect_null(conf_load(ctx, path, NULL));
}

Test(conf_faults, a_missing_required_key_is_named_with_ways_to_set_it)
{
    cr_assert_null(load("blob = { backend = \"fs\"; fs = { root = \"/b\"; }; }; embedder = { name = \"builtin\"; };"));
    cr_expect(strstr(err.message, "docmill.conf: database.url: missing; it is required") != NULL, "%s", err.message);
    cr_expect(strstr(err.hint, "DOCMILL_DATABASE_URL") != NULL, "%s", err.hint);
    cr_assert_null(load("database = { url = \"x=y\"; }; embedder = { name = \"builtin\"; };"));
    cr_expect(strstr(err.message, "blob.backend: missing") != NULL, "%s", err.message);
    cr_assert_null(load("database = { url = \"x=y\"; }; blob = { backend = \"fs\"; fs = { root = \"/b\"; }; };"));
    cr_expect(strstr(err.message, "embedder.name: missing") != NULL, "%s", err.message);
    cr_assert_null(load(""));
    cr_expect(strstr(err.hint, "DOCMILL_DATABASE_URL") != NULL, "%s", err.hint);
}

Test(conf_faults, a_wrong_type_names_the_right_one)
{
    refused("api = { queue = \"many\"; };", "api.queue: wrong type: found a string, allowed is an integer, 1 to 100000",
            NULL);
    refused("api = { queue = true; };", "api.queue: wrong type: found true", NULL);
    refused("api = { queue = [1]; };", "api.queue: wrong type: found an array", NULL);
    refused("api = { queue = (1); };", "api.queue: wrong type: found a list", NULL);
    refused("api = { queue = { x = 1; }; };", "api.queue: wrong type: found a group", NULL);
    refused("api = { listen = 8000; };", "api.listen: wrong type: found a number", NULL);
    refused("api = { idle_timeout = 30; };", "api.idle_timeout: wrong type: found a number", "as in \"30s\"");
    refused("limits = { max_upload = 5000000000; };", "limits.max_upload: wrong type: found a number over 2^31",
            "64MB");
    refused("limits = { max_upload = true; };", "limits.max_upload: wrong type", "64MB");
    refused("run_dir = { a = 1; };", "run_dir: wrong type: found a group", NULL);
    refused("pools = 5;", "pools: wrong type; allowed is a list", NULL);
    refused("api = { token_file = 5; };", "api.token_file: wrong type: found a whole number", NULL);
}

Test(conf_faults, a_log_file_beside_the_journal_is_refused)
{
    refused("log = { format = \"journald\"; file = \"/var/log/x\"; };", "log.file: log.format = \"journald\"", NULL);
    refused("log = { format = \"xml\"; };", "log.format", NULL);
}

Test(conf_faults, a_value_out_of_bounds_says_the_bounds)
{
    refused("api = { queue = 0; };", "api.queue: out of bounds: found \"0\", allowed is an integer, 1 to 100000", NULL);
    refused("api = { queue = 100001; };", "api.queue: out of bounds", NULL);
    refused("api = { idle_timeout = \"999ms\"; };",
            "api.idle_timeout: out of bounds: found \"999ms\", allowed is a duration, \"1s\" to \"1h\"", NULL);
    refused("limits = { max_upload = \"17GB\"; };", "allowed is a size, \"1KB\" to \"16GB\"", NULL);
    refused("limits = { max_upload = 1000; };", "limits.max_upload: out of bounds: found \"1000\"", NULL);
    refused("api = { token_user = \"\"; };", "api.token_user: is empty", NULL);
    refused(
        "run_dir = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\";",
        "run_dir: has the wrong length", NULL);
}

Test(conf_faults, a_unit_that_is_not_understood_names_the_ones_that_are)
{
    refused("api = { idle_timeout = \"30\"; };", "api.idle_timeout: not understood: found \"30\", allowed is", NULL);
    refused("api = { idle_timeout = \"30 sec\"; };", "(ms, s, m, h, d)", NULL);
    refused("limits = { max_upload = \"64mb\"; };", "(B, KB, MB, GB, TB)", NULL);
    refused("api = { idle_timeout = 30s; };", "found 30s: a value with a unit stands in quotes", NULL);
    refused("limits = { max_upload = 64MB; };", "found 64MB: a value with a unit stands in quotes", NULL);
}

Test(conf_faults, an_unknown_choice_names_the_choices)
{
    refused("log = { level = \"verbose\"; };",
            "log.level: unknown choice: found \"verbose\", allowed is one of: debug, info, warn, error", NULL);
    refused("log = { level = \"\"; };", "log.level: unknown choice", NULL);
    refused("log = { level = \"info|warn\"; };", "log.level: unknown choice", NULL);
    refused("search = { index = \"hns\"; };", "allowed is one of: none, hnsw", NULL);
}

Test(conf_faults, a_relative_path_is_refused)
{
    refused("run_dir = \"run\";", "run_dir: is not an absolute path: found \"run\", allowed is an absolute path", NULL);
    refused("api = { token_file = \"token\"; };", "api.token_file: the path of a secret's file must be absolute", NULL);
}

Test(conf_faults, text_with_control_characters_is_refused_and_shown_harmless)
{
    refused("api = { token_user = \"a\\nb\"; };", "api.token_user: holds a control character: found \"a?b\"", NULL);
    refused("api = { token_user = \"\\xff\"; };", "api.token_user: is not valid UTF-8", NULL);
}

Test(conf_faults, a_secret_is_never_shown)
{
    static const char *const texts[] = {
        "api = { token = \"hunter2\"; };",
        "api = { token = \"hunter2hunter2hunter2\\n\"; };",
        "api = { token = \"hunter2hunter2hunter2\"; token_file = \"/x\"; };",
        "api = { token = [\"hunter2\"]; };",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refused(texts[i], "api.token", NULL);
        cr_expect_null(strstr(err.message, "hunter2"), "%s", err.message);
        cr_expect_null(strstr(err.hint, "hunter2"), "%s", err.hint);
    }
    setenv("DOCMILL_API_TOKEN", "hunter2", 1);
    refused("", "DOCMILL_API_TOKEN: api.token: has the wrong length", NULL);
    cr_expect_null(strstr(err.message, "hunter2"), "%s", err.message);
}

Test(conf_faults, a_secret_given_twice_is_refused)
{
    refused("api = { token = \"0123456789abcdef\"; token_file = \"/x\"; };",
            "api.token: set twice, by api.token and by api.token_file", NULL);
    setenv("DOCMILL_API_TOKEN", "0123456789abcdef", 1);
    setenv("DOCMILL_API_TOKEN_FILE", "/x", 1);
    refused("", "api.token: set twice in the environment, by DOCMILL_API_TOKEN and by DOCMILL_API_TOKEN_FILE", NULL);
}

Test(conf_faults, a_secret_file_must_be_there_and_hold_something)
{
    char text[300];

    refused("api = { token_file = \"/nonexistent/token\"; };", "api.token_file: cannot open /nonexistent/token", NULL);
    write_file("empty", "\nsecond", 7);
    snprintf(text, sizeof text, "api = { token_file = \"%s/empty\"; };", dir);
    refused(text, "has an empty first line", NULL);
    write_file("nul", "0123456789\0abcdefgh", 19);
    snprintf(text, sizeof text, "api = { token_file = \"%s/nul\"; };", dir);
    refused(text, "holds a NUL byte", NULL);
    refused("api = { listen_file = \"/x\"; };", "api.listen_file: unknown key", NULL);
}

Test(conf_faults, the_environment_is_named_as_the_place)
{
    setenv("DOCMILL_API_QUEUE", "12x", 1);
    refused("", "DOCMILL_API_QUEUE: api.queue: not understood: found \"12x\"", NULL);
    setenv("DOCMILL_API_QUEUE", " 12", 1);
    refused("", "not understood", NULL);
    setenv("DOCMILL_API_QUEUE", "99999999999999999999", 1);
    refused("", "out of bounds", NULL);
    unsetenv("DOCMILL_API_QUEUE");
    setenv("DOCMILL_CHUNK_OVERLAP_TOKENS", "300", 1);
    refused("", "DOCMILL_CHUNK_OVERLAP_TOKENS: chunk.overlap_tokens: found 300, allowed is at most half", NULL);
}

Test(conf_faults, what_one_key_alone_cannot_know_is_checked)
{
    refused("chunk = { max_tokens = 100; overlap_tokens = 51; };",
            "chunk.overlap_tokens: found 51, allowed is at most half", NULL);
    refused("chunk = { max_tokens = 79; };",
            "chunk.max_tokens: found 40, allowed is at most half of chunk.max_tokens, 39", NULL);
    accepted("chunk = { max_tokens = 80; };");
    refused("search = { index = \"hnsw\"; }; embedder = { dimension = 2001; };", "", NULL); /* embedder twice */
    refused("supervise = { backoff_first = \"61s\"; };",
            "supervise.backoff_first: found supervise.backoff_first \"61s\" above supervise.backoff_cap \"1m\"", NULL);
    refused("supervise = { backoff_cap = \"1s\"; };", "docmill.conf:2: supervise.backoff_cap:", NULL);
    refused("queue = { retry_first = \"6m\"; };", "queue.retry_first", NULL);
    refused("node = { heartbeat = \"31s\"; };", "node.heartbeat", NULL);
    refused(
        "parser = { timeout = \"12m\"; };",
        "docmill.conf:2: parser.timeout: found parser.timeout \"12m\" and queue.stage_deadline \"15m\"; allowed is a "
        "timeout below 80 % of the deadline",
        NULL);
    accepted("parser = { timeout = \"719s\"; };");
    refused("queue = { stage_deadline = \"150s\"; };", "docmill.conf:2: queue.stage_deadline:", NULL);
    accepted("queue = { stage_deadline = \"151s\"; };");
    refused("retention = { blobs = \"61m\"; };",
            "retention.blobs: found retention.blobs \"61m\"; allowed is at least four times queue.stage_deadline and "
            "database.statement_timeout together, \"62m\"",
            NULL);
    accepted("retention = { blobs = \"62m\"; };");
    refused("queue = { stage_deadline = \"2h\"; };", "docmill.conf:2: queue.stage_deadline: found retention.blobs",
            NULL);
    refused("node = { name = \"a b\"; };", "node.name: allowed are letters, digits", NULL);
    refused("node = { name = \"a;b\"; };", "node.name", NULL);
}

Test(conf_faults, a_backend_without_what_it_needs_is_refused)
{
    cr_assert_null(
        load("database = { url = \"x=y\"; }; blob = { backend = \"fs\"; }; embedder = { name = \"builtin\"; };"));
    cr_expect(strstr(err.message, "blob.fs.root: missing; blob.backend = \"fs\" requires it") != NULL, "%s",
              err.message);
    cr_assert_null(load("database = { url = \"x=y\"; }; blob = { backend = \"fs\"; fs = { root = \"/b\"; }; };\n"
                        "embedder = { name = \"builtin\"; dimension = 2001; }; search = { index = \"hnsw\"; };"));
    cr_expect(strstr(err.message, "docmill.conf:2: embedder.dimension: above 2000") != NULL, "%s", err.message);
}

Test(conf_faults, a_list_of_parsers_holds_known_names_once)
{
    refused("parser = { order = \"locall\"; };", "parser.order: found \"locall\", allowed are local and llamaparse",
            NULL);
    refused("parser = { order = \"local, local\"; };", "parser.order: found \"local\" twice", NULL);
    refused("parser = { order = \" ,\"; };", "parser.order: names no parser", NULL);
}

Test(conf_faults, a_service_without_its_address_and_key_is_refused)
{
    refused("parser = { order = \"llamaparse,local\"; };", "llamaparse.base_url: missing; parser.order requires it",
            "and 1 more");
    refused("parser = { order = \"llamaparse\"; }; llamaparse = { base_url = \"https://x\"; };",
            "llamaparse.api_key: missing; parser.order requires it", NULL);
    refused("parser = { order = \"llamaparse\"; };\n"
            "llamaparse = { base_url = \"https://x\"; api_key = \"k\"; webhook_url = \"ftp://x\"; };",
            "llamaparse.webhook_url: allowed is an address that begins with https://", NULL);
    refused("parser = { order = \"llamaparse\"; };\n"
            "llamaparse = { base_url = \"https://x\"; api_key = \"k\"; webhook_url = \"http://a.example\"; };",
            "llamaparse.webhook_url: allowed is an address that begins with https://", NULL);
    refused("parser = { order = \"llamaparse\"; };\n"
            "llamaparse = { base_url = \"https://x\"; api_key = \"k\"; webhook_url = \"https://10.0.0.1:8000\"; };",
            "llamaparse.webhook_url: allowed is an address with a name", NULL);
}

Test(conf_faults, a_long_list_of_choices_is_told_whole)
{
    refused("openai = { kind = \"opena\"; };", "allowed is one of: openai, azure, ollama, llamacpp, tei, vllm, generic",
            NULL);
}

Test(conf_faults, a_listen_address_is_numeric_with_a_port)
{
    static const char *const bad[] = {"8000",        "localhost:8000",  ":8000",         "127.0.0.1",    "127.0.0.1:",
                                      "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1",  "127.0.0.1: 1", "::1:8000",
                                      "[::1]",       "[::1:8000",       "[127.0.0.1]:1", "127.0.0.1:1x", "1.2.3:4"};
    static const char *const good[] = {"127.0.0.1:8000", "0.0.0.0:1", "[::1]:65535", "[::]:80"};
    struct sockaddr_storage address;
    socklen_t len;
    char text[200];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "api = { listen = \"%s\"; };", bad[i]);
        refused(text, "api.listen: found \"", NULL);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect_eq(conf_parse_listen(good[i], &address, &len), 0, "%s", good[i]);
        cr_expect_eq(address.ss_family, good[i][0] == '[' ? AF_INET6 : AF_INET);
        cr_expect_eq(len, good[i][0] == '[' ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    }
}

Test(conf_faults, broken_syntax_is_placed_in_the_right_file)
{
    char want[200];

    snprintf(want, sizeof want, "%s:3: syntax error", path);
    refused("api = {\n  queue = ;\n};", want, "name = value;");
    refused("api = { queue = 1; };\napi = { queue = 2; };", "docmill.conf:3: duplicate setting name", NULL);
    refused("/* open", "docmill.conf:2: a comment begins here and does not end", NULL);
    refused("\nx = \"open\ny = 1;", "docmill.conf:3: a string begins here and does not end", NULL);
    refused("x = @include;", "docmill.conf:2: found @", NULL);
    write_file("docmill.conf", GOOD "\n\0", sizeof(GOOD "\n\0") - 1);
    cr_expect_null(conf_load(ctx, path, &err));
    cr_expect(strstr(err.message, "docmill.conf:3: found a NUL byte") != NULL, "%s", err.message);
    refused("\n# \xff", "docmill.conf:3: found bytes that are not UTF-8", NULL);
}

Test(conf_faults, a_bad_include_is_placed_where_it_stands, .timeout = 20)
{
    char want[200];

    refused("\n@include \"nowhere.conf\"", "docmill.conf:3: cannot open /tmp/docmill-conf-", NULL);
    refused("@include nowhere.conf", "docmill.conf:2: found an @include without a path in quotes", NULL);
    refused("@include \"\"", "docmill.conf:2: found an @include without a path", NULL);
    refused("@include \".\"", "Is a directory", NULL); /* libconfig itself would end the process here */
    refused("@include \"docmill.conf\"", "more than 10 deep", NULL);
    write_file("broken.conf", "\n\nqueue = ;", 11);
    snprintf(want, sizeof want, "%s/broken.conf:3: syntax error", dir);
    refused("api = {\n@include \"broken.conf\"\n};", want, NULL);
    write_file("open.conf", "/* open", 7);
    snprintf(want, sizeof want, "%s/open.conf:1: a comment", dir);
    refused("@include \"open.conf\"\n*/", want, NULL);
}

Test(conf_faults, a_configuration_beyond_a_megabyte_is_refused)
{
    size_t n = 2 * 1024 * 1024;
    char *big = talloc_array(ctx, char, 2 * 1024 * 1024);

    memset(big, '\n', n);
    write_file("docmill.conf", big, n);
    cr_expect_null(conf_load(ctx, path, &err));
    cr_expect(strstr(err.message, "larger than 1048576 bytes") != NULL, "%s", err.message);
    write_file("half.conf", big, 600 * 1024);
    refused("@include \"half.conf\"\n@include \"half.conf\"", "docmill.conf:3: cannot read", NULL);
}

#define COORD "{ name = \"c\"; role = \"coordinator\"; }"

Test(conf_faults, a_bad_pool_says_which_and_why)
{
    refused("pools = ();", "pools: found 0 coordinator pools, allowed is exactly 1", NULL);
    refused("pools = ( " COORD ", { name = \"d\"; role = \"coordinator\"; } );", "found 2 coordinator pools", NULL);
    refused("pools = ( { name = \"c\"; role = \"coordinator\"; max = 2; } );", "pools[0]: found 2 to 2 coordinators",
            NULL);
    refused("pools = ( " COORD ", { name = \"c\"; role = \"api\"; } );", "the name \"c\" is used twice", NULL);
    refused("pools = ( " COORD ",\n { name = \"w\"; } );", "docmill.conf:3: pools[1]: a pool needs a name and a role",
            NULL);
    refused("pools = ( " COORD ", { role = \"api\"; } );", "a pool needs a name and a role", NULL);
    refused("pools = ( " COORD ", 5 );", "entry 1 has the wrong type", NULL);
    refused("pools = ( " COORD ", { name = \"W\"; role = \"worker\"; } );",
            "pools[1].name: found \"W\", allowed is 1 to 31", NULL);
    refused("pools = ( { name = \"w\"; role = \"master\"; } );", "pools[0].role: found \"master\", allowed is", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; max = 257; } );",
            "pools[0].max: found 257, allowed is an integer, 1", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; max = 4294967297; } );", "found 4294967297", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; min = \"x\"; } );", "pools[0].min: found \"x\"", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; min = 3; max = 2; } );", "found min 3, spare 0, max 2", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; spare = 3; max = 2; } );", "found min 2, spare 3, max 2",
            NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; stages = (\"complete\"); } );", "pools[0].stages: wrong type",
            NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; stages = (); } );", "pools[0].stages", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; stages = \"parsed\"; } );", "pools[0].stages", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; lanes = (2, 1); } );", "pools[0].lanes", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; lanes = (0, 1, 2); } );", "pools[0].lanes", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; lanes = (0, \"1\"); } );", "pools[0].lanes", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; lanes = (0, 40000); } );", "pools[0].lanes", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; max_age = 5; } );",
            "pools[0].max_age: found 5, allowed is a duration", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; max_memory = \"2TB\"; } );",
            "pools[0].max_memory: found \"2TB\"", NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; max_jobs = -1; } );", "pools[0].max_jobs: found -1", NULL);
    refused("pools = ( " COORD ", { name = \"a\"; role = \"api\"; lanes = (1, 2); } );", "for the role worker only",
            NULL);
    refused("pools = ( { name = \"w\"; role = \"worker\"; spares = 1; } );", "pools[0].spares: unknown key of a pool",
            "did you mean spare?");
}

Test(conf_faults, too_many_pools_are_refused)
{
    char *text = talloc_strdup(ctx, "pools = ( " COORD);

    for (int i = 0; i < CONF_MAX_POOLS; i++)
        text = talloc_asprintf_append(text, ", { name = \"p%d\"; role = \"api\"; }", i);
    refused(talloc_asprintf(ctx, "%s );", text), "found 17 pools, allowed are at most 16", NULL);
}

Test(conf_faults, many_faults_are_bounded_and_counted)
{
    char *text = talloc_strdup(ctx, "");

    for (int i = 0; i < 300; i++)
        text = talloc_asprintf_append(text, "unknown%d = 1;\n", i);
    refused(text, "unknown0: unknown key", NULL);
    cr_expect(strstr(err.hint, "and 99 more; docmilld -t shows them all") != NULL, "%s", err.hint);
}

Test(conf_faults, networks_and_a_proxy_are_understood_or_refused)
{
    refused("http = { allow_private = \"10.0.0.0/33\"; };", "http.allow_private: allowed is none, all, or networks",
            NULL);
    refused("http = { allow_private = true; };", "http.allow_private: wrong type: found true", NULL);
    refused("http = { proxy = \"socks5://user:hunter2@p:1\"; };", "http.proxy: allowed is an address that begins with",
            NULL);
    cr_expect_null(strstr(err.message, "hunter2"), "%s", err.message);
}

Test(conf_faults, an_amount_of_money_is_an_exact_decimal)
{
    refused("budget = { daily = \"12,50\"; };",
            "budget.daily: found \"12,50\", allowed is an amount of US dollars with at most 12 decimals", NULL);
    refused("budget = { user_daily = \"-1\"; };", "budget.user_daily: found \"-1\"", NULL);
    refused("llamaparse = { price_per_page = \"1e-3\"; };", "llamaparse.price_per_page: found", NULL);
    refused("openai = { price_per_million_tokens = \"0.0000001\"; };", "at most 6 decimals", NULL);
}

Test(conf_faults, an_object_store_names_what_it_lacks)
{
    static const char base[] = "database = { url = \"x=y\"; }; embedder = { name = \"builtin\"; };";
    char text[600];

    snprintf(text, sizeof text, "%s blob = { backend = \"s3\"; };", base);
    cr_assert_null(load(text));
    cr_expect(strstr(err.message, "blob.s3.bucket: missing; blob.backend = \"s3\" requires it") != NULL, "%s",
              err.message);
    snprintf(text, sizeof text,
             "%s blob = { backend = \"s3\"; s3 = { bucket = \"abc\"; access_key = \"a\"; secret_key = \"hunter2\"; "
             "endpoint = \"minio:9000\"; }; };",
             base);
    cr_assert_null(load(text));
    cr_expect(strstr(err.message, "blob.s3.endpoint: allowed is an address that begins with") != NULL, "%s",
              err.message);
    cr_expect_null(strstr(err.message, "hunter2"));
    snprintf(text, sizeof text, "%s blob = { backend = \"supabase\"; supabase = { url = \"https://x\"; }; };", base);
    cr_assert_null(load(text));
    cr_expect(strstr(err.message, "blob.supabase.bucket: missing") != NULL, "%s", err.message);
}

#define WORDS "{ name = \"words\"; embedder = \"builtin\"; }"

Test(conf_faults, collections_are_checked)
{
    refused("collections = 5;", "collections: wrong type; allowed is a list", NULL);
    refused("collections = ( 5 );", "collections[0]: wrong type; allowed is a group", NULL);
    refused("collections = ( { name = \"a b\"; embedder = \"builtin\"; } );",
            "collections[0].name: found \"a b\", allowed is 1 to 31", NULL);
    refused("collections = ( { name = \"default\"; embedder = \"builtin\"; } );", "allowed is another name", NULL);
    refused("collections = ( { name = \"w\"; } );", "a collection needs a name and an embedder", NULL);
    refused("collections = ( { embedder = \"builtin\"; } );", "a collection needs a name and an embedder", NULL);
    refused("collections = ( " WORDS ", " WORDS " );", "the name \"words\" is used twice", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"ollama\"; } );",
            "collections[0].embedder: found \"ollama\", allowed is builtin or openai", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"builtin\"; model = \"m\"; } );",
            "model and price_per_million_tokens are allowed with openai only", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"builtin\"; dimension = 4; } );",
            "collections[0].dimension: found 4, allowed is an integer, 8 to 4000", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"builtin\"; dimension = \"8\"; } );",
            "collections[0].dimension: found \"8\"", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"openai\"; model = \"builtin\"; } );",
            "collections[0].model: found \"builtin\"", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"openai\"; price_per_million_tokens = \"dear\"; } );",
            "collections[0].price_per_million_tokens: found \"dear\"", NULL);
    refused("collections = ( { name = \"w\"; embedder = \"builtin\"; dimensoin = 8; } );",
            "collections[0].dimensoin: unknown key of a collection", "did you mean dimension?");
    refused("collections = ( { name = \"w\"; embedder = \"openai\"; } );",
            "openai.base_url: missing; a collection with embedder = \"openai\" requires it", NULL);
    refused("openai = { base_url = \"https://a/v1\"; api_key = \"k\"; };"
            "collections = ( { name = \"w\"; embedder = \"openai\"; } );",
            "collections[0]: a model is missing", NULL);
    refused("search = { index = \"hnsw\"; };"
            "collections = ( { name = \"w\"; embedder = \"builtin\"; dimension = 2001; } );",
            "collections[0]: found dimension 2001, allowed is at most 2000", NULL);
}
