/*
 * test_conformance.c - what blob.h promises, of every store: fs, s3 (path and host style), supabase
 */
#include "base/clock.h"
#include "object_fixture.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define EACH_STORE(name)                                                                                               \
    ParameterizedTestParameters(conformance, name)                                                                     \
    {                                                                                                                  \
        size_t n;                                                                                                      \
        enum kind *kinds = fixture_kinds(&n);                                                                          \
        return cr_make_param_array(enum kind, kinds, n);                                                               \
    }                                                                                                                  \
    static void name##_of(void);                                                                                       \
    ParameterizedTest(enum kind *k, conformance, name, .timeout = 60)                                                  \
    {                                                                                                                  \
        fixture_open(*k);                                                                                              \
        cr_log_info("%s", kind_names[*k]);                                                                             \
        name##_of();                                                                                                   \
        fixture_close();                                                                                               \
    }                                                                                                                  \
    static void name##_of(void)

static void put(const char *text, uint8_t sha256[SHA256_BYTES])
{
    cr_assert_eq(blob_put(store, &user, text, strlen(text), sha256, &err), 0, "%s", err.message);
}

static void expect_text(const uint8_t sha256[SHA256_BYTES], const char *text)
{
    struct blob_view v;

    cr_assert_eq(blob_view(store, &user, sha256, (int64_t)strlen(text), &v, &err), 0, "%s", err.message);
    cr_expect_eq(v.size, strlen(text));
    cr_expect_eq(memcmp(v.data != NULL ? v.data : "", text, v.size), 0);
    cr_expect_eq(lseek(v.fd, 0, SEEK_CUR), 0);
    blob_unview(&v);
}

static void expect_absent(const uint8_t sha256[SHA256_BYTES])
{
    struct blob_view v;

    cr_expect_lt(blob_view(store, &user, sha256, -1, &v, &err), 0);
    cr_expect_str_eq(err.reason, "blob_absent", "%s", err.message);
}

EACH_STORE(what_is_streamed_in_reads_back)
{
    struct blob_writer *w = blob_begin(store, &user, &err);
    uint8_t sha256[SHA256_BYTES], want[SHA256_BYTES];
    int64_t size = 0;

    cr_assert_not_null(w, "%s", err.message);
    cr_assert_eq(blob_write(w, "hello ", 6, &err), 0);
    cr_assert_eq(blob_write(w, "world", 5, &err), 0);
    cr_assert_eq(blob_commit(&w, sha256, &size, &err), 0, "%s", err.message);
    sha256_of("hello world", 11, want);
    cr_expect_arr_eq(sha256, want, sizeof want);
    cr_expect_eq(size, 11);
    expect_text(sha256, "hello world");
}

EACH_STORE(an_empty_blob_is_a_blob)
{
    uint8_t sha256[SHA256_BYTES];

    put("", sha256);
    expect_text(sha256, "");
}

EACH_STORE(what_was_aborted_or_never_put_is_absent)
{
    struct blob_writer *w = blob_begin(store, &user, &err);
    uint8_t sha256[SHA256_BYTES];

    cr_assert_eq(blob_write(w, "gone", 4, &err), 0);
    blob_abort(&w);
    sha256_of("gone", 4, sha256);
    expect_absent(sha256);
}

EACH_STORE(another_users_blob_is_absent)
{
    uint8_t sha256[SHA256_BYTES];

    put("mine", sha256);
    user.b[0] ^= 1;
    expect_absent(sha256);
}

EACH_STORE(damage_is_found)
{
    uint8_t sha256[SHA256_BYTES];
    struct blob_view v;

    put("damaged", sha256);
    fixture_damage(sha256);
    cr_expect_lt(blob_view(store, &user, sha256, 7, &v, &err), 0);
    cr_expect_str_eq(err.reason, "blob_corrupt");
    put("damaged", sha256); /* heals it */
    expect_text(sha256, "damaged");
}

EACH_STORE(large_blobs_come_back_whole)
{
    size_t n = 11 * 1024 * 1024 + 17; /* three parts */
    char *bytes = malloc(n);
    struct blob_writer *w = blob_begin(store, &user, &err);
    uint8_t sha256[SHA256_BYTES];
    struct blob_view v;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + i / 977);
    cr_assert_eq(blob_write(w, bytes, n, &err), 0);
    cr_assert_eq(blob_commit(&w, sha256, NULL, &err), 0, "%s", err.message);
    cr_assert_eq(blob_view(store, &user, sha256, (int64_t)n, &v, &err), 0, "%s", err.message);
    cr_expect_eq(memcmp(v.data, bytes, n), 0);
    blob_unview(&v);
    free(bytes);
}

EACH_STORE(a_probe_finds_it_usable_and_leaves_nothing)
{
    char cursor[BLOB_CURSOR_BYTES] = "";
    struct blob_name names[4];

    cr_expect_eq(blob_probe(store, &err), 0, "%s", err.message);
    cr_expect_eq(blob_list(store, cursor, 0, names, 4, &err), 0);
    cr_expect_str_eq(cursor, "");
}

static int list_all(int64_t idle_ms, int max, struct blob_name *names, int room)
{
    char cursor[BLOB_CURSOR_BYTES] = "";
    int n = 0, rc, turns = 0;

    do {
        rc = blob_list(store, cursor, idle_ms, names + n, room - n < max ? room - n : max, &err);
        cr_assert_geq(rc, 0, "%s", err.message);
        n += rc;
        cr_assert_lt(turns++, 1000, "the listing does not end");
    } while (cursor[0] != '\0');
    return n;
}

EACH_STORE(a_listing_names_every_idle_blob_once)
{
    struct blob_name names[64];
    uint8_t sha256[SHA256_BYTES];
    char text[16];

    for (int i = 0; i < 23; i++) {
        snprintf(text, sizeof text, "text %d", i);
        user.b[0] = (uint8_t)(i % 3);
        put(text, sha256);
    }
    fixture_older(1000);
    put("young", sha256);
    for (int max = 1; max <= 40; max += 13) {
        int n = list_all(500000, max, names, 64);
        cr_expect_eq(n, 23, "%d with pages of %d", n, max);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++)
                cr_expect(memcmp(&names[i], &names[j], sizeof names[i]) != 0);
    }
    cr_expect_eq(list_all(0, 40, names, 64), 24);
}

static struct blob_name name_of(const uint8_t sha256[SHA256_BYTES])
{
    struct blob_name n = {.user = user};

    memcpy(n.sha256, sha256, SHA256_BYTES);
    return n;
}

EACH_STORE(only_what_is_idle_is_removed)
{
    uint8_t sha256[SHA256_BYTES];
    struct blob_name name;
    int64_t soon = clock_ms() + 60000;

    put("idle", sha256);
    name = name_of(sha256);
    cr_expect_eq(blob_remove_idle(store, &name, 500000, soon, &err), 0, "it is young");
    expect_text(sha256, "idle");
    fixture_older(1000);
    cr_expect_eq(blob_remove_idle(store, &name, 500000, clock_ms() - 1, &err), 0, "it is too late");
    expect_text(sha256, "idle");
    cr_expect_eq(blob_remove_idle(store, &name, 500000, soon, &err), 1, "%s", err.message);
    expect_absent(sha256);
    cr_expect_eq(blob_remove_idle(store, &name, 500000, soon, &err), 0, "%s", err.message);
}

EACH_STORE(a_put_and_a_commit_of_the_same_bytes_make_it_young)
{
    uint8_t sha256[SHA256_BYTES];
    struct blob_writer *w;
    struct blob_name name;

    put("again", sha256);
    name = name_of(sha256);
    fixture_older(1000);
    put("again", sha256);
    cr_expect_eq(blob_remove_idle(store, &name, 500000, clock_ms() + 60000, &err), 0);
    fixture_older(1000);
    w = blob_begin(store, &user, &err);
    cr_assert_eq(blob_write(w, "again", 5, &err), 0);
    cr_assert_eq(blob_commit(&w, sha256, NULL, &err), 0, "%s", err.message);
    cr_expect_eq(blob_remove_idle(store, &name, 500000, clock_ms() + 60000, &err), 0);
    expect_text(sha256, "again");
}

EACH_STORE(it_belongs_to_the_first_database)
{
    struct uuid first = {{1, 2, 3}}, second = {{3, 2, 1}};

    cr_expect_eq(blob_belongs(store, &first, &err), 0, "%s", err.message);
    cr_expect_eq(blob_belongs(store, &first, &err), 0, "%s", err.message);
    cr_expect_eq(blob_belongs(store, &second, &err), -EEXIST);
    cr_expect_str_eq(err.reason, "blob_denied");
}

EACH_STORE(a_url_needs_no_key_where_there_are_urls)
{
    uint8_t sha256[SHA256_BYTES];
    char body[64], *url;

    put("by url", sha256);
    url = blob_url(store, NULL, &user, sha256, 60, &err);
    if (!blob_is_remote(&conf)) {
        cr_expect_null(url);
        cr_expect_str_eq(err.reason, "blob_denied");
        return;
    }
    cr_assert_not_null(url, "%s", err.message);
    cr_expect_eq(fixture_get(url, body, sizeof body), 200, "%s: %s", url, body);
    cr_expect_str_eq(body, "by url");
    url[strlen(url) - 5] = url[strlen(url) - 5] == 'a' ? 'b' : 'a';
    cr_expect_neq(fixture_get(url, body, sizeof body), 200);
    talloc_free(url);
}

/* What curl makes of a URL, without a header or a key: the status, and the body. */
static int curl_get(const char *url, char *body, size_t size)
{
    char *command = talloc_asprintf(NULL, "curl -q -s -m 20 --noproxy '*' -w '%%{stderr}%%{http_code}' '%s' 2>&1", url);
    FILE *f = popen(command, "re");
    size_t n;

    cr_assert_not_null(f);
    n = fread(body, 1, size - 1, f);
    body[n] = '\0';
    cr_assert_eq(pclose(f), 0, "curl is needed: %s", body);
    talloc_free(command);
    cr_assert_geq(n, 3);
    n -= 3;
    int status = atoi(body + n);
    body[n] = '\0';
    return status;
}

EACH_STORE(a_url_serves_curl_until_it_expires)
{
    uint8_t sha256[SHA256_BYTES];
    int64_t end = clock_ms() + 20000;
    char body[2000], *url;
    int status;

    if (!blob_is_remote(&conf))
        return;
    put("for curl", sha256);
    url = blob_url(store, NULL, &user, sha256, 3, &err);
    cr_assert_not_null(url, "%s", err.message);
    cr_expect_eq(curl_get(url, body, sizeof body), 200, "%s: %s", url, body);
    cr_expect_str_eq(body, "for curl");
    while ((status = curl_get(url, body, sizeof body)) == 200 && clock_ms() < end)
        poll(NULL, 0, 200);
    cr_expect(status == 403 || (status == 400 && conf.blob_backend[1] == 'u'), "%d: %s", status, body);
    cr_expect_null(strstr(body, "for curl"));
    if (fixture_store_judges()) {
        char *state = fixture_state();
        cr_expect_not_null(strstr(state, "\"upstream\": 403"), "the store itself refused it: %s", state);
        talloc_free(state);
    }
    talloc_free(url);
}
