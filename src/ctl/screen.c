/*
 * screen.c - see screen.h
 *
 * Owns the terminal's former settings and the signal handlers while the screen is open. Handlers that end or stop the
 * process only note the signal; screen_wait() acts on it, so that a stop (^Z) gives the terminal back first and takes it
 * again afterwards. Handlers of a crash restore it themselves: write() and tcsetattr() may be called there.
 *
 * Depends on base.
 */
#include "ctl/screen.h"
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ROWS_DEFAULT    24
#define COLUMNS_DEFAULT 80
#define ENTER           "\033[?1049h\033[?25l\033[2J"
#define LEAVE           "\033[0m\033[?25h\033[?1049l"
#define ESCAPE_MS       30 /* for the rest of a key's sequence */

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
static const int crashing[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

static struct termios former;
static volatile sig_atomic_t is_open, got_end, got_stop, got_redraw;

/* ---- drawing ---- */

bool screen_possible(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

void screen_size(int *rows, int *columns)
{
    struct winsize w = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0)
        w = (struct winsize){0};
    *rows = w.ws_row > 0 ? w.ws_row : ROWS_DEFAULT;
    *columns = w.ws_col > 0 ? w.ws_col : COLUMNS_DEFAULT;
}

/* A terminal that is slow or stopped (^S) is waited for: there is nothing else to do. */
static void put_all(const char *text, size_t n)
{
    while (n > 0) {
        ssize_t k = write(STDOUT_FILENO, text, n);
        if (k < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (k < 0 && errno == EINTR && got_end)
            return;
        text += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}

static void draw_line(FILE *out, const char *line, size_t n, int columns)
{
    char *text = strndup(line, n);
    const char *shown = text != NULL ? text : "";
    char mark = *shown;

    if (mark == SCREEN_BOLD || mark == SCREEN_REVERSE) {
        fputs(mark == SCREEN_BOLD ? "\033[1m" : "\033[7m", out);
        shown++;
    }
    text_print(out, shown, columns);
    fputs("\033[0m\033[K", out);
    free(text);
}

void screen_draw(const char *page, int more)
{
    int rows, columns, row = 0;
    char *frame = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&frame, &size);

    if (out == NULL)
        return;
    screen_size(&rows, &columns);
    fputs("\033[H", out);
    while (*page != '\0' && row < rows - more) {
        size_t n = strcspn(page, "\n");
        if (row++ > 0)
            fputs("\r\n", out);
        draw_line(out, page, n, columns);
        page += n + (page[n] == '\n');
    }
    fputs("\033[J", out);
    if (more > 0 && !is_open)
        fputs("\r\n", out);
    if (fclose(out) == 0)
        put_all(frame, size);
    free(frame);
}

void screen_last_line(const char *text)
{
    char *frame = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&frame, &size);
    int rows, columns;

    if (out == NULL)
        return;
    screen_size(&rows, &columns);
    fprintf(out, "\033[%d;1H\033[2m", rows);
    text_print(out, text, columns);
    fputs("\033[0m\033[K", out);
    if (fclose(out) == 0)
        put_all(frame, size);
    free(frame);
}

/* ---- the terminal, taken and given back ---- */

static void take(void)
{
    struct termios t = former;

    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
    put_all(ENTER, sizeof ENTER - 1);
    is_open = 1;
}

/* Also from a signal handler. With TTOU blocked, so that one who is no longer in the foreground is not stopped for it. */
static void give_back(void)
{
    sigset_t set, before;

    if (!is_open)
        return;
    is_open = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    sigprocmask(SIG_BLOCK, &set, &before);
    (void)!write(STDOUT_FILENO, LEAVE, sizeof LEAVE - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &former);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void handle_end(int sig)
{
    got_end = sig;
}

static void handle_stop(int sig)
{
    got_stop = sig;
}

static void handle_redraw(int sig)
{
    (void)sig;
    got_redraw = 1;
}

static void handle_crash(int sig)
{
    give_back();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void set_handlers(bool ours)
{
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
        sigaction(ending[i], &(struct sigaction){.sa_handler = ours ? handle_end : SIG_DFL}, NULL);
    for (size_t i = 0; i < sizeof crashing / sizeof crashing[0]; i++)
        sigaction(crashing[i], &(struct sigaction){.sa_handler = ours ? handle_crash : SIG_DFL}, NULL);
    sigaction(SIGTSTP, &(struct sigaction){.sa_handler = ours ? handle_stop : SIG_DFL}, NULL);
    sigaction(SIGWINCH, &(struct sigaction){.sa_handler = ours ? handle_redraw : SIG_DFL}, NULL);
    sigaction(SIGCONT, &(struct sigaction){.sa_handler = ours ? handle_redraw : SIG_DFL}, NULL);
}

int screen_open(struct error *e)
{
    static bool at_exit;

    if (!screen_possible() || tcgetattr(STDIN_FILENO, &former) != 0)
        return reason_error(e, REASON_bad_request, ENOTTY, "standard input and output are no terminal");
    if (!at_exit && atexit(give_back) != 0)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    at_exit = true;
    got_end = got_stop = got_redraw = 0;
    set_handlers(true);
    take();
    return 0;
}

void screen_close(void)
{
    if (!is_open)
        return;
    give_back();
    set_handlers(false);
}

/* Stops as ^Z asks; returns when somebody continues the process. */
static void stop_here(void)
{
    give_back();
    got_stop = 0;
    sigaction(SIGTSTP, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(SIGTSTP);
    sigaction(SIGTSTP, &(struct sigaction){.sa_handler = handle_stop}, NULL);
    got_redraw = 1;
}

void screen_die(void)
{
    int sig = got_end;

    if (sig == 0)
        return;
    signal(sig, SIG_DFL);
    raise(sig);
}

/* ---- events ---- */

/* One byte, or -1 if none comes in time. */
static int next_byte(int ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char c;

    return poll(&p, 1, ms) == 1 && read(STDIN_FILENO, &c, 1) == 1 ? c : -1;
}

/* "\033[A" and the like; an unknown sequence is swallowed. */
static int escape_key(void)
{
    int c = next_byte(ESCAPE_MS), key = 0;

    if (c != '[' && c != 'O')
        return '\033';
    c = next_byte(ESCAPE_MS);
    switch (c) {
    case 'A':
        return SCREEN_UP;
    case 'B':
        return SCREEN_DOWN;
    case '5':
        key = SCREEN_PAGE_UP;
        break;
    case '6':
        key = SCREEN_PAGE_DOWN;
        break;
    default:
        break;
    }
    while (c >= 0 && (c < '@' || c > '~'))
        c = next_byte(ESCAPE_MS);
    return key;
}

static enum screen_event read_key(const struct pollfd *p, int *key)
{
    unsigned char c;
    ssize_t n = read(STDIN_FILENO, &c, 1);

    if (n == 1) {
        *key = c == '\033' ? escape_key() : c;
        return SCREEN_KEY;
    }
    if ((n < 0 && (errno == EINTR || errno == EAGAIN)) || (n == 0 && (p->revents & (POLLHUP | POLLERR)) == 0))
        return SCREEN_TICK;
    return SCREEN_HANGUP;
}

/* What signals have noted; SCREEN_TICK: nothing. */
static enum screen_event noted(void)
{
    if (got_end)
        return SCREEN_LEAVE;
    if (got_stop)
        stop_here();
    if (!got_redraw)
        return SCREEN_TICK;
    got_redraw = 0;
    take(); /* also after a stop that nobody could announce (SIGSTOP), when the shell has had the terminal */
    return SCREEN_REDRAW;
}

enum screen_event screen_wait(int64_t ms, int *key)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t all, before;
    struct timespec left;
    int n = 0;

    *key = 0;
    ms = ms > 0 ? ms : 0;
    left = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    if (!got_end && !got_stop && !got_redraw) /* and nothing can come between this look and ppoll() */
        n = ppoll(&p, 1, &left, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (n > 0)
        return read_key(&p, key);
    return noted();
}
