/* object_fixture.c - see object_fixture.h */
#include "object_fixture.h"
#include "fork_test.h"
#include "http/http.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

const char *const kind_names[N_KINDS] = {"fs", "s3", "s3 in host style", "supabase"};
struct conf conf;
struct blob_store *store;
struct error err;
struct uuid user;

#define PEER_VARIABLE "DOCMILL_STORE_PEER"

static enum kind kind;
static char root[64];
static int port, server_input = -1;
static pid_t server;

static void start_server(void)
{
    int in[2], out[2];
    char text[16] = "";
    const char *peer = kind == KIND_SUPABASE ? NULL : getenv(PEER_VARIABLE);

    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    server = fork_mortal();
    if (server == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        if (peer != NULL)
            execl("/usr/bin/python3", "python3", DOCMILL_OBJECT_PROXY, peer, NULL);
        else
            execl("/usr/bin/python3", "python3", DOCMILL_OBJECT_SERVER, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    server_input = in[1];
    cr_assert_gt(read(out[0], text, sizeof text - 1), 0, "the object server does not start");
    close(out[0]);
    port = atoi(text);
}

enum kind *fixture_kinds(size_t *n)
{
    static enum kind kinds[N_KINDS] = {KIND_S3, KIND_S3_HOST, KIND_FS, KIND_SUPABASE};

    *n = getenv(PEER_VARIABLE) != NULL ? 2 : N_KINDS;
    return kinds;
}

bool fixture_store_judges(void)
{
    const char *peer = getenv(PEER_VARIABLE);

    return peer != NULL && strcmp(peer, "s3rver") == 0 && kind == KIND_S3;
}

static const char *address(const char *host, const char *path)
{
    static char texts[4][200];
    static int next;
    char *text = texts[next++ % 4];

    snprintf(text, sizeof texts[0], "http://%s:%d%s", host, port, path);
    return text;
}

static void fill_conf(void)
{
    static char endpoint[200];

    conf = (struct conf){.blob_spool = root,
                         .blob_timeout = 20000,
                         .blob_prefix = "pre fix/",
                         .http_allow_private = "all",
                         .blob_s3_region = "test-1",
                         .blob_s3_bucket = "docs",
                         .blob_s3_style = "path",
                         .blob_s3_access_key = "AKIDTEST",
                         .blob_s3_secret_key = "secrettest",
                         .blob_s3_part_size = 5 * MB,
                         .blob_supabase_bucket = "docs",
                         .blob_supabase_key = "service-key",
                         .blob_fs_root = root};
    conf.blob_backend = kind == KIND_FS ? "fs" : kind == KIND_SUPABASE ? "supabase" : "s3";
    snprintf(endpoint, sizeof endpoint, "%s", address(kind == KIND_S3_HOST ? "s3.localhost" : "127.0.0.1", ""));
    conf.blob_s3_endpoint = conf.blob_supabase_url = endpoint;
    if (kind == KIND_S3_HOST) {
        conf.blob_s3_style = "host";
        conf.blob_s3_session_token = "jot";
    }
}

void fixture_reopen(void)
{
    TALLOC_FREE(store);
    store = blob_open(NULL, &conf, &err);
    cr_assert_not_null(store, "%s", err.message);
}

void fixture_open(enum kind k)
{
    signal(SIGPIPE, SIG_IGN);
    kind = k;
    strcpy(root, "/tmp/docmill-blob-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    if (k != KIND_FS)
        start_server();
    fill_conf();
    cr_assert_eq(uuid_parse("11111111-2222-3333-4444-555555555555", &user), 0);
    fixture_reopen();
}

void fixture_close(void)
{
    char cmd[100];

    TALLOC_FREE(store);
    if (server > 0) {
        close(server_input);
        waitpid(server, NULL, 0);
    }
    snprintf(cmd, sizeof cmd, "rm -rf %s", root);
    cr_assert_eq(system(cmd), 0);
}

static char *talk(const char *path, const char *body)
{
    struct http_options o = {.allow_private = "all"};
    struct http_engine *h = http_new(NULL, &o, &err);
    struct http_request q = {.method = body != NULL ? "POST" : "GET",
                             .url = address("127.0.0.1", path),
                             .body = body,
                             .body_len = body != NULL ? strlen(body) : 0,
                             .body_fd = -1,
                             .response_fd = -1};
    struct http_response r;
    char *text;

    cr_assert_eq(http_fetch(h, h, &q, NULL, NULL, NULL, &r, &err), 0, "%s", err.message);
    cr_assert_eq(r.status, 200);
    text = talloc_strdup(NULL, r.body);
    http_free(&h);
    return text;
}

void fixture_control(const char *json)
{
    talloc_free(talk("/__control", json));
}

char *fixture_state(void)
{
    return talk("/__state", NULL);
}

int fixture_get(const char *url, char *body, size_t size)
{
    struct http_options o = {.allow_private = "all"};
    struct http_engine *h = http_new(NULL, &o, &err);
    struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .response_fd = -1};
    struct http_response r;

    cr_assert_eq(http_fetch(h, h, &q, NULL, NULL, NULL, &r, &err), 0, "%s", err.message);
    snprintf(body, size, "%s", r.body);
    http_free(&h);
    return r.status;
}

void fixture_older(int seconds)
{
    char text[200];

    if (kind == KIND_FS) {
        snprintf(text, sizeof text, "find %s -type f -exec touch -d '-%d seconds' {} +", root, seconds);
        cr_assert_eq(system(text), 0);
    } else {
        snprintf(text, sizeof text, "{\"older\": %d}", seconds);
        fixture_control(text);
    }
}

void fixture_damage(const uint8_t sha256[SHA256_BYTES])
{
    char hex[SHA256_HEX_LEN + 1], text[300];

    hex_encode(sha256, SHA256_BYTES, hex);
    if (kind == KIND_FS) {
        snprintf(text, sizeof text, "printf X | dd of=$(find %s -name %s) conv=notrunc status=none", root, hex);
        cr_assert_eq(system(text), 0);
    } else {
        snprintf(text, sizeof text, "{\"damage\": \"%s\"}", hex);
        fixture_control(text);
    }
}
