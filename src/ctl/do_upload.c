/*
 * do_upload.c - docmillctl upload: several files in flight at once
 *
 * Each file is hashed first, and the server checks that hash, so that what is stored is what was read. An answer of 429
 * or 503 (too many at once, database away) is tried again a few times with backoff; a refusal is not. A file that
 * cannot be uploaded does not stop the others; the exit code is the worst outcome.
 *
 * Depends on base, core, libcurl.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "core/reason.h"
#include "ctl/client.h"
#include "ctl/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#define JOBS_DEFAULT     4
#define JOBS_MAX         32
#define TRIES            6
#define BACKOFF_FIRST_MS 500
#define BACKOFF_CAP_MS   8000
#define SILENCE_S        90 /* no byte either way for so long: given up */

struct one {
    const char *path;
    int fd;
    int64_t size;
    char hash[SHA256_HEX_LEN + 1];
    CURL *curl;
    struct curl_slist *headers;
    struct client_answer answer;
    unsigned tries;
    int64_t again_ms; /* not before, when tried again */
    bool running, finished;
    int code; /* enum ctl_exit */
    struct error error;
    json_t *body;
};

struct upload {
    struct ctl *c;
    CURLM *multi;
    const char *lane;
    const char *collection;
    int n, n_finished, n_running, max_running;
    struct one *files;
};

/* ---- a file ---- */

static int hash_file(struct one *f)
{
    struct sha256 *s = sha256_new();
    uint8_t digest[SHA256_BYTES];
    char buf[65536];
    off_t at = 0;
    ssize_t n;

    if (s == NULL)
        return -ENOMEM;
    while ((n = pread(f->fd, buf, sizeof buf, at)) > 0) {
        sha256_update(s, buf, (size_t)n);
        at += n;
    }
    sha256_final(s, digest);
    sha256_free(&s);
    f->size = at;
    hex_encode(digest, sizeof digest, f->hash);
    return n < 0 ? -errno : 0;
}

static int open_file(struct one *f)
{
    struct stat st;
    int rc;

    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        rc = errno;
        return reason_error(&f->error, REASON_file_error, rc, "%s: %s", f->path, strerror(rc));
    }
    if (!S_ISREG(st.st_mode)) {
        reason_error(&f->error, REASON_file_error, EINVAL, "%s is %s, not a file", f->path,
                     S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
        error_hint(&f->error, "Name the files themselves, for instance %s/*.pdf",
                   S_ISDIR(st.st_mode) ? f->path : "DIR");
        return -EINVAL;
    }
    rc = hash_file(f);
    if (rc != 0)
        return reason_error(&f->error, REASON_file_error, rc, "%s: %s", f->path, strerror(-rc));
    return 0;
}

static size_t send_file(char *p, size_t size, size_t n, void *arg)
{
    struct one *f = arg;
    ssize_t got = read(f->fd, p, size * n);

    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int rewind_file(void *arg, curl_off_t offset, int origin)
{
    struct one *f = arg;

    return lseek(f->fd, (off_t)offset, origin) >= 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* The name as the server wants it: no directory, UTF-8, nothing that steers a terminal. */
static char *name_of(struct ctl *c, const char *path)
{
    const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    char *name = talloc_strdup(c->mem, base);
    int columns;
    bool bad;
    size_t n;

    for (char *p = name; (n = text_next(p, &columns, &bad)) > 0; p += n)
        if (bad)
            memset(p, '_', n);
    return name;
}

static void finish(struct upload *u, struct one *f, int code)
{
    f->code = code;
    f->finished = true;
    u->n_finished++;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

static void start(struct upload *u, struct one *f)
{
    struct ctl *c = u->c;
    char *path;

    if (f->fd < 0 && open_file(f) != 0) {
        finish(u, f, CTL_USAGE);
        return;
    }
    path = talloc_asprintf(c->mem, "/v1/documents?filename=%s&lane=%s", client_escape(c, name_of(c, f->path)), u->lane);
    if (u->collection != NULL)
        path = talloc_asprintf_append(path, "&collection=%s", client_escape(c, u->collection));
    f->answer = (struct client_answer){.ctx = c->mem};
    f->curl = curl_easy_init();
    f->headers = curl_slist_append(NULL, talloc_asprintf(c->mem, "X-Content-SHA256: %s", f->hash));
    f->headers = curl_slist_append(f->headers, "Content-Type: application/octet-stream");
    if (f->curl == NULL || f->headers == NULL || lseek(f->fd, 0, SEEK_SET) < 0) {
        reason_error(&f->error, REASON_os_error, ENOMEM, "cannot start an upload of %s", f->path);
        finish(u, f, CTL_SERVER);
        return;
    }
    client_prepare(c, f->curl, path, &f->answer);
    curl_easy_setopt(f->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(f->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->size);
    curl_easy_setopt(f->curl, CURLOPT_READFUNCTION, send_file);
    curl_easy_setopt(f->curl, CURLOPT_READDATA, f);
    curl_easy_setopt(f->curl, CURLOPT_SEEKFUNCTION, rewind_file);
    curl_easy_setopt(f->curl, CURLOPT_SEEKDATA, f);
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, f->headers);
    curl_easy_setopt(f->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(f->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    curl_easy_setopt(f->curl, CURLOPT_PRIVATE, f);
    curl_multi_add_handle(u->multi, f->curl);
    f->running = true;
    u->n_running++;
    f->tries++;
}

/* ---- what came back ---- */

static void report(const struct upload *u, const struct one *f)
{
    struct ctl *c = u->c;
    struct error e = f->error;

    if (c->json)
        return;
    if (f->code == CTL_OK) {
        printf("%-9s %s  ", json_is_true(json_object_get(f->body, "created")) ? "accepted" : "known",
               ctl_string(f->body, "document_id"));
        text_print(stdout, f->path, 0);
        putchar('\n');
        fflush(stdout);
        return;
    }
    if (f->code == CTL_REFUSED || f->code == CTL_SERVER)
        snprintf(e.message, sizeof e.message, "%.200s: %.300s", f->path, f->error.message);
    ctl_fail(c, f->code, &e);
}

static bool worth_another(const struct one *f, long status)
{
    return (status == 429 || status == 503) && f->tries < TRIES;
}

static void stop(struct upload *u, struct one *f)
{
    curl_multi_remove_handle(u->multi, f->curl);
    curl_easy_cleanup(f->curl);
    curl_slist_free_all(f->headers);
    f->curl = NULL;
    f->headers = NULL;
    f->running = false;
    u->n_running--;
}

static void process_done(struct upload *u, struct one *f, CURLcode code)
{
    long status = 0;
    int rc;

    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    f->body = f->answer.text != NULL ? json_loadb(f->answer.text, f->answer.len, 0, NULL) : NULL;
    rc = client_outcome(u->c, code, f->answer.words, status, f->body, &f->error);
    stop(u, f);
    if (rc != CTL_OK && worth_another(f, status)) {
        f->again_ms = clock_ms() + backoff_ms(BACKOFF_FIRST_MS, BACKOFF_CAP_MS, f->tries - 1);
        json_decref(f->body);
        f->body = NULL;
        return;
    }
    finish(u, f, rc);
    report(u, f);
}

/* ---- all of them ---- */

static void start_some(struct upload *u)
{
    int64_t now = clock_ms();

    for (int i = 0; i < u->n && u->n_running < u->max_running; i++) {
        struct one *f = &u->files[i];
        if (f->running || f->finished || f->again_ms > now)
            continue;
        start(u, f);
        if (f->finished)
            report(u, f);
    }
}

static void collect(struct upload *u)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(u->multi, &left)) != NULL) {
        struct one *f = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        process_done(u, f, code);
    }
}

static void run(struct upload *u)
{
    int running = 0;

    while (u->n_finished < u->n) {
        start_some(u);
        curl_multi_perform(u->multi, &running);
        collect(u);
        if (u->n_finished < u->n)
            curl_multi_poll(u->multi, NULL, 0, 100, NULL);
    }
}

static int severity(int code)
{
    static const int order[] = {CTL_OK, CTL_REFUSED, CTL_USAGE, CTL_TIMEOUT, CTL_SERVER, CTL_UNREACHABLE};

    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++)
        if (order[i] == code)
            return i;
    return 0;
}

static int conclude(struct upload *u)
{
    json_t *list = json_array();
    int worst = CTL_OK;
    int good = 0;

    for (int i = 0; i < u->n; i++) {
        struct one *f = &u->files[i];
        json_t *j = f->code == CTL_OK ? f->body
                                      : json_pack("{s:s, s:s, s:s}", "reason", f->error.reason, "message",
                                                  f->error.message, "hint", f->error.hint);
        json_object_set_new(j, "file", json_string(f->path));
        json_array_append_new(list, j);
        if (f->code != CTL_OK)
            json_decref(f->body);
        good += f->code == CTL_OK;
        if (severity(f->code) > severity(worst))
            worst = f->code;
    }
    if (u->c->json)
        ctl_print_json(u->c, list);
    else if (u->n > 1)
        fprintf(stderr, "%d of %d files uploaded\n", good, u->n);
    json_decref(list);
    return worst;
}

int do_upload(struct ctl *c)
{
    struct upload u = {.c = c,
                       .lane = args_option(&c->args, "lane"),
                       .collection = args_option(&c->args, "collection"),
                       .n = c->args.n_words};
    struct error e = {0};
    int64_t jobs = 0;
    int rc;

    if (args_number(&c->args, "jobs", JOBS_DEFAULT, 1, JOBS_MAX, &jobs, &e) != 0)
        return ctl_usage(c, &e);
    if (u.lane == NULL)
        u.lane = "interactive";
    if (strcmp(u.lane, "interactive") != 0 && strcmp(u.lane, "bulk") != 0) {
        reason_error(&e, REASON_bad_request, EINVAL, "--lane must be interactive or bulk");
        return ctl_usage(c, &e);
    }
    u.max_running = (int)jobs;
    u.multi = curl_multi_init();
    u.files = talloc_zero_array(c->mem, struct one, (unsigned)u.n);
    for (int i = 0; i < u.n; i++) {
        u.files[i].path = c->args.words[i];
        u.files[i].fd = -1;
    }
    run(&u);
    rc = conclude(&u);
    curl_multi_cleanup(u.multi);
    return rc;
}
