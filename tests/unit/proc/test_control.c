/* test_control.c - requests and replies of the control socket, and the client's deadlines */
#include "proc/control.h"

#include "base/clock.h"
#include "core/reason.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

static size_t request(uint8_t *buf, size_t size, int64_t version, const char *verb, const char *args_json)
{
    json_t *args = json_loads(args_json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    struct pack p;

    pack_init(&p, buf, size);
    pack_array(&p);
    pack_int(&p, version);
    pack_uint(&p, 77);
    pack_str(&p, verb);
    control_json_write(&p, args);
    pack_end(&p);
    json_decref(args);
    return (size_t)pack_end_frame(&p);
}

Test(control, a_request_is_read_with_its_arguments)
{
    uint8_t buf[256];
    size_t n = request(buf, sizeof buf, CONTROL_VERSION, "stop", "{\"other\": [1, {}], \"mode\": \"fast\"}");
    struct control_request r;
    char mode[16];

    cr_assert_eq(control_decode_request(buf, n, &r, NULL), 0);
    cr_assert_eq(r.id, 77);
    cr_assert_str_eq(r.verb, "stop");
    cr_assert_eq(control_arg_text(&r, "mode", "drain", mode, sizeof mode, NULL), 0);
    cr_assert_str_eq(mode, "fast");
    cr_assert_eq(control_arg_text(&r, "absent", "drain", mode, sizeof mode, NULL), 0);
    cr_assert_str_eq(mode, "drain");
    cr_assert_eq(control_arg_text(&r, "other", "", mode, sizeof mode, NULL), -EPROTO);
    cr_assert_eq(control_arg_text(&r, "mode", "", mode, 4, NULL), -EPROTO);
}

Test(control, a_request_cut_short_or_too_long_is_an_error)
{
    uint8_t buf[256];
    size_t n = request(buf, sizeof buf, CONTROL_VERSION, "status", "{\"a\": 1}");
    struct control_request r;

    for (size_t cut = 0; cut < n; cut++)
        cr_assert_eq(control_decode_request(buf, cut, &r, NULL), -EPROTO);
    buf[n] = 1;
    cr_assert_eq(control_decode_request(buf, n + 1, &r, NULL), -EPROTO);
}

Test(control, a_foreign_version_and_arguments_that_are_no_map_are_errors)
{
    uint8_t buf[256];
    struct control_request r;
    struct error e = {0};

    cr_assert_eq(control_decode_request(buf, request(buf, sizeof buf, 9, "status", "{}"), &r, &e), -EPROTO);
    cr_assert(strstr(e.message, "version 9") != NULL);
    cr_assert_eq(r.id, 77, "the answer must find its request");
    cr_assert_eq(control_decode_request(buf, request(buf, sizeof buf, 1, "status", "[]"), &r, &e), -EPROTO);
}

Test(control, every_verb_is_known_by_its_name)
{
#define X_CHECK(NAME, name, ...) cr_assert_eq(control_verb_parse(name), CONTROL_VERB_##NAME);
    CONTROL_VERBS(X_CHECK)
#undef X_CHECK
    cr_assert_eq(control_verb_parse("frobnicate"), -EINVAL);
}

Test(control, json_survives_the_way_there_and_back)
{
    static const char *text = "{\"a\": [1, -5, 1.5, true, false, null, \"\\u00e9\"], \"b\": {\"c\": {}}}";
    json_t *in = json_loads(text, 0, NULL), *out;
    uint8_t buf[512];
    struct pack p;
    struct unpack u;

    pack_init(&p, buf, sizeof buf);
    control_json_write(&p, in);
    unpack_init(&u, buf, (size_t)pack_end_frame(&p));
    out = control_json_read(&u);
    cr_assert_eq(unpack_close(&u, NULL), 0);
    cr_assert(json_equal(in, out));
    json_decref(in);
    json_decref(out);
}

Test(control, text_that_is_no_utf8_is_read_with_question_marks)
{
    static const uint8_t bytes[] = {0xa3, 'a', 0xff, 'b'};
    struct unpack u;
    json_t *j;

    unpack_init(&u, bytes, sizeof bytes);
    j = control_json_read(&u);
    cr_assert_str_eq(json_string_value(j), "a?b");
    json_decref(j);
}

Test(control, an_error_reply_comes_back_as_that_error)
{
    void *ctx = talloc_new(NULL);
    struct error in = {0}, out = {0};
    struct pack p;
    json_t *body = NULL;
    int n;

    (void)reason_error(&in, REASON_forbidden, EACCES, "Not you.");
    error_hint(&in, "Ask root.");
    n = control_reply_error(&p, ctx, 5, &in);
    cr_assert_gt(n, 4);
    cr_assert_eq(p.buf[2] << 8 | p.buf[3], n - 4);
    cr_assert_eq(control_decode_reply(p.buf + 4, (size_t)n - 4, 5, &body, &out), -EREMOTEIO);
    cr_assert_null(body);
    cr_assert_str_eq(out.reason, "forbidden");
    cr_assert_str_eq(out.message, "Not you.");
    cr_assert_str_eq(out.hint, "Ask root.");
    cr_assert_eq(control_decode_reply(p.buf + 4, (size_t)n - 4, 6, &body, &out), -EPROTO, "another request's answer");
    talloc_free(ctx);
}

/* ---- the client against a peer that behaves badly ---- */

static char socket_path[64];

static int listener(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(socket_path, sizeof socket_path, "/tmp/dm-control-%d.sock", (int)getpid());
    unlink(socket_path);
    memcpy(a.sun_path, socket_path, strlen(socket_path) + 1);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(listen(fd, 4), 0);
    return fd;
}

static void answer(int listen_fd, const void *bytes, size_t n)
{
    if (fork_mortal() == 0) {
        char sink[256];
        int c = accept(listen_fd, NULL, NULL);
        if (read(c, sink, sizeof sink) < 0 || write(c, bytes, n) < 0)
            _exit(1);
        _exit(0);
    }
}

Test(control_client, a_daemon_that_never_answers_costs_the_timeout_and_no_more)
{
    int fd = listener();
    int64_t began = clock_ms();
    struct error e = {0};
    json_t *reply;

    cr_assert_eq(control_call(socket_path, "status", NULL, 150, &reply, &e), -ETIMEDOUT);
    cr_assert_str_eq(e.reason, "control_timeout");
    cr_assert_geq(clock_ms() - began, 149);
    cr_assert_lt(clock_ms() - began, 2000);
    close(fd);
    unlink(socket_path);
}

Test(control_client, no_daemon_is_named_as_that)
{
    struct error e = {0};
    json_t *reply;

    cr_assert_eq(control_call("/tmp/dm-no-such.sock", "status", NULL, 1000, &reply, &e), -ENOENT);
    cr_assert_str_eq(e.reason, "not_running");
}

Test(control_client, a_full_backlog_is_waited_for_until_the_timeout)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct error e = {0};
    json_t *reply;
    int r = 0;

    close(fd);
    fd = listener();
    listen(fd, 0);
    for (int i = 0; i < 3 && r != -ETIMEDOUT; i++)
        r = control_call(socket_path, "status", NULL, 50, &reply, &e);
    cr_assert_eq(r, -ETIMEDOUT);
    close(fd);
    unlink(socket_path);
}

Test(control_client, garbage_a_giant_and_a_hang_up_are_errors)
{
    int fd = listener();
    struct error e = {0};
    json_t *reply;

    answer(fd, "\xff\xff\xff\xff", 4);
    cr_assert_eq(control_call(socket_path, "status", NULL, 2000, &reply, &e), -EPROTO);
    answer(fd, "\0\0\0\2\xc1\xc1", 6);
    cr_assert_eq(control_call(socket_path, "status", NULL, 2000, &reply, &e), -EPROTO);
    answer(fd, "\0\0\0\7abc", 7);
    cr_assert_eq(control_call(socket_path, "status", NULL, 2000, &reply, &e), -ECONNRESET);
    while (wait(NULL) > 0)
        ;
    close(fd);
    unlink(socket_path);
}

static void mask(const char *args_json, const char *expected)
{
    uint8_t buf[2048];
    size_t n = request(buf, sizeof buf, CONTROL_VERSION, "breaker", args_json);
    struct control_request r;
    struct error e;
    char out[CONTROL_MASKED_BYTES];

    cr_assert_eq(control_decode_request(buf, n, &r, &e), 0);
    control_mask_args(&r, CONTROL_VERB_BREAKER, out);
    cr_assert_str_eq(out, expected);
}

Test(control_mask, what_the_grammar_names_is_shown_and_the_rest_is_counted)
{
    mask("{\"service\": \"embedder\", \"order\": \"open\"}", "{\"order\":\"open\",\"service\":\"embedder\"}");
    mask("{}", "{}");
    mask("{\"service\": \"x\", \"key\": \"sk-1234\", \"serv\": \"a\", \"\": 1}", "{\"***\":3,\"service\":\"x\"}");
    mask("{\"service\": 7, \"order\": [\"sk-1234\"]}", "{\"order\":\"***\",\"service\":7}");
    mask("{\"service\": {\"order\": \"sk-1234\"}}", "{\"service\":\"***\"}");
}

Test(control_mask, shows_what_a_database_takes_and_no_more_than_fits)
{
    char args[600], expected[200];

    mask("{\"service\": \"a\\u0000b\"}", "{\"service\":\"***\"}");
    snprintf(args, sizeof args, "{\"service\": \"%s%0400d\"}", "\xc3\xa9", 0);
    snprintf(expected, sizeof expected, "{\"service\":\"%s%098d\"}", "\xc3\xa9", 0);
    mask(args, expected);
    snprintf(args, sizeof args, "{\"service\": \"%099d%s\"}", 0, "\xc3\xa9");
    snprintf(expected, sizeof expected, "{\"service\":\"%099d\"}", 0); /* no half character */
    mask(args, expected);
}

Test(control_mask, every_argument_of_every_verb_has_its_form)
{
    for (int v = 0; v < CONTROL_VERB_MAX_; v++)
        for (const char *at = strchr(control_verb_args((enum control_verb)v), '='); at != NULL;
             at = strchr(at + 1, '='))
            cr_assert(at[1] != '\0' && at[1] != ' ' && at[1] != '=');
}
