/*
 * test_conf_agree.c - what nodes must agree on: digests of those keys and of no other, never a value
 */
#include "conf_fixture.h"
#include "core/conf_agree.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

TestSuite(conf_agree, .init = start, .fini = stop);

static char fingerprint[CONF_FINGERPRINT_MAX + 1];

static char *agreement(const char *more)
{
    char *text = talloc_asprintf(ctx,
                                 "database = { url = \"password=geheim\"; }; embedder = { name = \"builtin\"; };"
                                 "blob = { backend = \"fs\"; fs = { root = \"/data/blobs\"; }; }; %s",
                                 more);
    struct conf *c = load(text);
    char *json;

    cr_assert_not_null(c, "%s", err.message);
    json = conf_agreement(ctx, c, fingerprint);
    cr_assert_not_null(json);
    return json;
}

static void same_as_plain(const char *more, bool same)
{
    char *plain = agreement(""), first[sizeof fingerprint];

    memcpy(first, fingerprint, sizeof first);
    cr_expect_eq(strcmp(agreement(more), plain) == 0, same, "%s", more);
    cr_expect_eq(strcmp(fingerprint, first) == 0, same, "%s", more);
}

Test(conf_agree, keys_that_decide_what_a_document_becomes_count)
{
    same_as_plain("chunk = { max_tokens = 300; };", false);
    same_as_plain("limits = { max_pages = 7; };", false);
    same_as_plain("retention = { blobs = \"7h\"; };", false);
    same_as_plain("collections = ( { name = \"notes\"; embedder = \"builtin\"; dimension = 64; } );", false);
}

Test(conf_agree, the_default_written_down_is_the_same)
{
    same_as_plain("chunk = { max_tokens = 400; };", true);
}

Test(conf_agree, what_a_node_may_have_for_itself_does_not_count)
{
    same_as_plain("node = { name = \"other\"; }; log = { level = \"debug\"; };", true);
    same_as_plain("api = { token = \"a token of this node\"; };", true);
    same_as_plain("openai = { model = \"unused\"; };", true);
}

Test(conf_agree, values_do_not_leave_the_node)
{
    char *json = agreement("openai = { api_key = \"sk-something-secret\"; };");

    cr_expect_null(strstr(json, "/data/blobs"));
    cr_expect_null(strstr(json, "geheim"));
    cr_expect_null(strstr(json, "api_key"));
    cr_expect_not_null(strstr(json, "\"blob.fs.root\": \""));
    cr_expect_null(strstr(json, "blob.s3"), "no key of a store that is not used");
}

Test(conf_agree, connections_are_those_of_all_pools_at_their_largest)
{
    struct conf *c =
        load("database = { url = \"x=y\"; }; embedder = { name = \"builtin\"; };"
             "blob = { backend = \"fs\"; fs = { root = \"/b\"; }; }; api = { db_connections = 3; };"
             "pools = ( { name = \"c\"; role = \"coordinator\"; }, { name = \"a\"; role = \"api\"; max = 2; },"
             "{ name = \"w\"; role = \"worker\"; min = 1; max = 5; } );");

    cr_assert_not_null(c, "%s", err.message);
    cr_expect_eq(conf_connections(c), 1 + (2 + 1) * 3 + 5 + 2, "with successors");
}
