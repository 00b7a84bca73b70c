/*
 * fuzz_master_control.c - any bytes from a client of the control socket, in pieces, to the real server and its verbs
 *
 * The first byte is the size of the pieces, unless they were too many. A master without children answers; nothing it is told to do is done, since
 * no turn of supervision follows. What is in the input is a client's whole connection: heads, bodies, several requests.
 */
#include "base/clock.h"
#include "base/log.h"
#include "master/master_int.h"
#include "proc/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#define TURNS_MAX  64
#define PIECES_MAX 64

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct master *m;
static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_n = sizeof(sa_family_t); /* the kernel finds one */

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "cannot begin: %s\n", what);
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char empty[] = "/tmp/fuzz-conf-XXXXXX"; /* the environment has what is required */
    struct error e = {0};
    int fd;

    (void)argc;
    (void)argv;
    setenv("DOCMILL_DATABASE_URL", "host=/nonexistent", 1);
    setenv("DOCMILL_BLOB_BACKEND", "fs", 1);
    setenv("DOCMILL_BLOB_FS_ROOT", "/tmp", 1);
    setenv("DOCMILL_EMBEDDER_NAME", "builtin", 1);
    log_init("fuzz", LOG_LVL_ERROR);
    m = talloc_zero(NULL, struct master);
    fd = mkstemp(empty);
    require(fd >= 0, "a configuration file");
    m->conf = conf_load(m, empty, &e);
    unlink(empty);
    close(fd);
    require(m->conf != NULL, e.message);
    m->started_ms = clock_ms();
    m->next_serial = 1;
    m->lock_fd = m->listen_unix = m->exe_fd = -1;
    death_init(m);
    death_init(m);
    m->reload.report = talloc_zero(m, struct reload_report); /* one that never ends: no helper is forked here */
    require(sd_event_new(&m->event) >= 0, "event loop");
    require((m->board = scoreboard_create(&e)) != NULL, e.message);
    require((m->services = services_create(m->conf, &e)) != NULL, e.message);
    require(supervise_init(m, &e) == 0, e.message);
    require(rights_look_up(m->conf, &m->rights, &e) == 0, e.message);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(bind(fd, (struct sockaddr *)&name, name_n) == 0 && listen(fd, 16) == 0, "listening");
    name_n = sizeof name;
    require(getsockname(fd, (struct sockaddr *)&name, &name_n) == 0, "its name");
    require(server_start(m, fd, &e) == 0, e.message);
    return 0;
}

/* Until the server has nothing more to do; what it answers is read away. */
static void turn(int client)
{
    static char answers[65536];

    for (int i = 0; i < TURNS_MAX; i++) {
        int busy = sd_event_run(m->event, 0);
        ssize_t n = client >= 0 ? recv(client, answers, sizeof answers, MSG_DONTWAIT) : 0;

        if (busy <= 0 && n <= 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int client;
    size_t piece;

    if (size < 1)
        return 0;
    piece = data[0] == 0 ? size : data[0];
    if (piece < size / PIECES_MAX)
        piece = size / PIECES_MAX;
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(client >= 0 && connect(client, (struct sockaddr *)&name, name_n) == 0, "connecting");
    turn(client);
    for (size_t at = 1; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;

        if (send(client, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
            break; /* it has hung up */
        turn(client);
    }
    close(client);
    turn(-1);
    m->stop = (struct stop_plan){0};
    return 0;
}
