/*
 * helper_child.c - a child that behaves as its pool's name says
 *
 *   good...      says READY, beats, answers PING, ends when drained; WAKEs are counted in `claims`
 *   fatal...     says why it cannot start and exits 70
 *   vanish...    exits 3 at once without a word
 *   mute...      never says READY
 *   crash...     READY, finishes a job, then aborts after 50 ms
 *   fragile...   READY, then aborts after 50 ms without having done anything
 *   away...      says that the database is away and exits 70
 *   stubborn...  hears neither DRAIN nor TERM
 *   slow...      as good, but takes 1.5 s to finish when drained
 *   once...      the first one of a master is good, the later ones exit 3 before they are ready
 *   toggle...    as good, and shows itself busy while run_dir/busy exists
 *   eater...     as good, and keeps 2 MB more every 50 ms, up to 100
 *   glutton...   as good, with a job in hand, and takes 400 MB after a while
 *   doer...      as good, and finishes a job every 50 ms
 *   frozen...    READY, then its loop never moves again; ignores TERM
 *   spinner...   READY, then an endless loop
 *   blocked...   READY, then a read that nobody answers; TERM does not end it
 *   stuck...     READY, busy, beats, and never gets on with its work
 *   segv...      READY, then touches what it must not
 *   late...      READY, beats, but its work has passed its deadline; TERM ends it
 *   rude...      sends a message that only the master sends
 *   garbage...   sends bytes that are no message
 *   giver...     sends the master descriptors that it did not ask for
 *   holder...    holds two jobs, and dies (when killed) in the middle of writing its slot
 *   waker...     api: sends WAKE every 50 ms
 *   leaky...     as good, and forgets 4321 bytes
 *   burst...     api: sends 3000 WAKEs at once
 *   flood...     READY, then two processes that send WAKEs without end
 *   parting...   as good; once run_dir/busy exists, bytes that are no message, and KILL by its own hand
 *   mad...       as good; once run_dir/busy exists it writes anything anywhere in the memory that all processes share
 *   sleeper...   READY, then hears nothing for 2 s
 *   coordinator  READY, database ok; appends each DEATH to run_dir/deaths.log and answers RELEASED, each AUDIT to
 *                audit.log and answers AUDITED
 *   lazy...      a coordinator that never answers
 *   obey...      as openai.organization says: fatal, mute, crash, busy, done, denied, or anything else: good
 *   taken...     a coordinator whose node name is taken
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/child.h"
#include "proc/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BEAT_MS 50

static struct child self;

static bool is(const char *behaviour)
{
    return strncmp(self.pool->name, behaviour, strlen(behaviour)) == 0;
}

/* What the configuration tells it to be. */
static bool told(const char *behaviour)
{
    return is("obey") && self.conf->openai_organization != NULL &&
           strcmp(self.conf->openai_organization, behaviour) == 0;
}

static void write_death(const struct msg_death *d)
{
    char path[200], line[400];
    FILE *f;

    snprintf(path, sizeof path, "%s/deaths.log", self.conf->run_dir);
    snprintf(line, sizeof line,
             "{\"serial\": %lld, \"pid\": %d, \"signal\": %d, \"exit\": %d, \"ours\": %d, \"torn\": %d, \"jobs\": %d, "
             "\"stage\": %d, \"lease\": %lld, \"by\": %d}\n",
             (long long)d->serial, d->pid, d->signal, d->exit_code, d->sent_by_us, d->torn, d->n_jobs, d->stage,
             d->n_jobs > 1 ? (long long)d->jobs[1].lease : 0LL, (int)getpid());
    f = fopen(path, "a");
    if (f == NULL || fputs(line, f) == EOF || fclose(f) != 0)
        abort();
}

static void hear_death(const struct msg_death *d)
{
    struct channel_msg m = {.kind = CHANNEL_RELEASED};

    write_death(d);
    m.released = (struct msg_released){.serial = d->serial, .jobs = d->n_jobs};
    if (!is("lazy"))
        (void)channel_send(self.channel, &m);
}

/* "SEQ UID VERB ARGUMENTS RESULT", a line each, in run_dir/audit.log. */
static void hear_audit(const struct msg_audit *a)
{
    struct channel_msg m = {.kind = CHANNEL_AUDITED};
    char path[200];
    FILE *f;

    snprintf(path, sizeof path, "%s/audit.log", self.conf->run_dir);
    f = fopen(path, "a");
    if (f == NULL ||
        fprintf(f, "%lld %lld %s %s %s\n", (long long)a->seq, (long long)a->uid, a->verb, a->arguments, a->result) <
            0 ||
        fclose(f) != 0)
        abort();
    m.audited.seq = a->seq;
    if (!is("lazy"))
        (void)channel_send(self.channel, &m);
}

static void hear(const struct channel_msg *m)
{
    const struct channel_msg pong = {.kind = CHANNEL_PONG};

    switch (m->kind) {
    case CHANNEL_PING:
        (void)channel_send(self.channel, &pong);
        return;
    case CHANNEL_LOG:
        logs_take(m);
        log_info("helper", "heard of the log", NULL);
        return;
    case CHANNEL_WAKE:
        score_begin(self.score)->claims++;
        score_end(self.score);
        return;
    case CHANNEL_DEATH:
        hear_death(&m->death);
        return;
    case CHANNEL_AUDIT:
        hear_audit(&m->audit);
        return;
    case CHANNEL_DRAIN:
        if (is("stubborn"))
            return;
        if (is("slow"))
            poll(NULL, 0, 1500);
        child_say_bye(&self);
        exit(0);
    default:
        abort();
    }
}

static void eat(void)
{
    static char *eaten[200];
    static int n;

    if (n == (is("eater") ? 50 : 200) || (eaten[n] = malloc(2 << 20)) == NULL)
        return;
    memset(eaten[n++], 1, 2 << 20);
}

static _Noreturn void flood(void)
{
    const struct channel_msg wake = {.kind = CHANNEL_WAKE};

    int r;

    (void)!fork();
    do
        r = channel_send(self.channel, &wake);
    while (r == 0 || r == -EAGAIN); /* the second one ends when the master has hung up */
    _exit(1);
}

struct memory {
    uint64_t *words;
    size_t n;
};

static struct memory map_all(int fd)
{
    struct memory m = {.n = (size_t)lseek(fd, 0, SEEK_END) / sizeof *m.words};

    m.words = mmap(NULL, m.n * sizeof *m.words, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m.words == MAP_FAILED)
        abort();
    return m;
}

static uint64_t random_word(void)
{
    static const uint64_t likely[] = {UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN, 0, 1, 0x7fffffffffffffff, 0xffffffff};
    uint64_t r = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();

    return r % 3 == 0   ? likely[r / 3 % (sizeof likely / sizeof likely[0])]
           : r % 3 == 1 ? r % 2000
                        : r * 0x9e3779b97f4a7c15;
}

/* Mostly near the beginning: the head, and the slots that are in use. */
static _Noreturn void rave(void)
{
    struct memory all[] = {map_all(CHILD_FD_SCORE), map_all(CHILD_FD_SERVICES)};

    srandom((unsigned)getpid());
    for (int64_t until = clock_ms() + 300;; until = clock_ms() + 300) {
        while (clock_ms() < until)
            for (int i = 0; i < 64; i++) {
                struct memory *m = &all[random() % 2];
                size_t end = random() % 8 == 0 || m->n < 16384 ? m->n : 16384;

                m->words[(size_t)random() % end] = random_word();
            }
        poll(NULL, 0, 20); /* what it wrote is to be seen, too */
    }
}

static bool told_busy(void)
{
    char path[200];

    snprintf(path, sizeof path, "%s/busy", self.conf->run_dir);
    return access(path, F_OK) == 0;
}

static void loop(void)
{
    const int64_t began = clock_ms();
    const struct channel_msg wake = {.kind = CHANNEL_WAKE};
    struct channel_msg m;
    struct error e;
    int r;

    for (;;) {
        struct pollfd p = {.fd = self.channel, .events = POLLIN};

        poll(&p, 1, BEAT_MS);
        while ((r = channel_recv(self.channel, &m, &e)) == 0)
            hear(&m);
        if (r == -EPIPE)
            exit(0);
        score_beat(self.score);
        if (is("toggle"))
            score_phase(self.score, told_busy() ? SCORE_BUSY : SCORE_READY, "");
        if (is("parting") && told_busy() && send(self.channel, "\xc1\xc1\xc1", 3, 0) == 3)
            (void)raise(SIGKILL);
        if (is("mad") && told_busy())
            rave();
        child_look_at_memory(&self);
        if (is("eater"))
            eat();
        if (is("glutton") && clock_ms() - began > 600)
            for (int i = 0; i < 8; i++)
                eat();
        if (is("doer")) {
            score_begin(self.score)->jobs_done++;
            score_end(self.score);
        }
        if (is("waker"))
            (void)channel_send(self.channel, &wake);
    }
}

/* The file is the master's: it has a run directory of its own. */
static bool is_first(void)
{
    char path[200];
    int fd;

    snprintf(path, sizeof path, "%s/first", self.conf->run_dir);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void misbehave_early(void)
{
    struct error e = {0};

    if (is("vanish") || (is("once") && !is_first()))
        exit(3);
    if (is("fatal") || is("taken") || told("fatal")) {
        (void)error_set(&e, EINVAL, ERR_PERMANENT, is("taken") ? "conflict" : "bad_request", "it is written so");
        child_say_fatal(&self, &e);
        exit(70);
    }
    if (is("away")) {
        (void)error_set(&e, EAGAIN, ERR_RECOVERABLE, "db_unavailable", "it is written so");
        child_say_fatal(&self, &e);
        exit(70);
    }
    while (is("mute") || told("mute"))
        pause();
}

/* Far from the stack that the leak checker looks through for pointers. */
static __attribute__((noinline)) void forget_some(void)
{
    char *volatile gone = malloc(4321);

    if (gone == NULL)
        abort();
    gone[0] = 1;
    gone = NULL;
}

static __attribute__((noinline)) void spin(void)
{
    for (volatile int n = 0;; n++)
        ;
}

static __attribute__((noinline)) void read_for_ever(void)
{
    int fds[2];
    char byte;

    if (pipe(fds) != 0)
        abort();
    while (read(fds[0], &byte, 1) != 0)
        ;
}

static void *volatile touched = (void *)24;

static void misbehave(void)
{
    const struct channel_msg drain = {.kind = CHANNEL_DRAIN}, wake = {.kind = CHANNEL_WAKE};
    const struct channel_msg file = {.kind = CHANNEL_LOG, .fd = STDIN_FILENO};
    struct score_data *d;

    if (is("crash")) {
        score_begin(self.score)->jobs_done++;
        score_end(self.score);
    }
    if (told("done")) {
        score_begin(self.score)->jobs_done++;
        score_end(self.score);
    }
    if (told("denied"))
        score_fault(self.score, REASON_provider_denied);
    if (is("crash") || is("fragile") || told("crash")) {
        poll(NULL, 0, 50);
        abort();
    }
    if (is("rude"))
        (void)channel_send(self.channel, &drain);
    for (int i = 0; is("giver") && i < 8; i++)
        (void)channel_send(self.channel, &file);
    if (is("garbage") && send(self.channel, "\xc1\xc1\xc1", 3, 0) != 3)
        abort();
    if (is("late"))
        score_stage(self.score, STATUS_CHUNKING, 200);
    if (is("holder")) {
        d = score_begin(self.score);
        d->stage = STATUS_CHUNKING;
        d->n_in_hand = 2;
        d->in_hand[1].lease = 99;
        while (true)
            pause();
    }
    if (is("flood"))
        flood();
    if (is("sleeper"))
        poll(NULL, 0, 2000);
    for (int i = 0; is("burst") && i < 3000; i++)
        while (channel_send(self.channel, &wake) == -EAGAIN)
            poll(NULL, 0, 1);
    if (is("leaky"))
        forget_some();
    while (is("frozen"))
        pause();
    if (is("spinner"))
        spin();
    if (is("blocked"))
        read_for_ever();
    if (is("glutton")) {
        d = score_begin(self.score);
        d->stage = STATUS_CHUNKING;
        d->since_ms = clock_ms();
        d->n_in_hand = 1;
        score_end(self.score);
    }
    if (is("stuck"))
        score_phase(self.score, SCORE_BUSY, "");
    if (is("segv"))
        *(volatile int *)touched = 1;
}

int main(int argc, char **argv)
{
    struct error e = {0};
    struct score_data *d;

    if (argc < 3 || strcmp(argv[1], "--child") != 0)
        return 2;
    if (child_begin(&self, argv[2], &e) != 0) {
        child_say_fatal(&self, &e);
        return 70;
    }
    if (is("stubborn") || is("frozen") || is("blocked"))
        signal(SIGTERM, SIG_IGN);
    misbehave_early();
    /* Never a moment at rest for who is told to be busy: a test would take it for another. */
    score_phase(self.score, told("busy") ? SCORE_BUSY : SCORE_READY, "");
    d = score_begin(self.score);
    d->db_ok = 1;
    d->storage_ok = 1;
    score_end(self.score);
    child_say_ready(&self);
    misbehave();
    loop();
}
