/*
 * do_top.c - docmillctl top: the daemon at work, full-screen
 *
 * On a terminal it has a screen and keys of its own (screen.h). Elsewhere, and with --json, one page or one line follows
 * the other. A daemon that goes away is waited for, with the last page in view.
 *
 * Depends on base, core, proc/control.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/rates.h"
#include "ctl/screen.h"
#include "ctl/status.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#define FIRST_MS 300 /* between the two looks that the first page is made of */

/* X(NAME, "word", value of a row; the largest stands first) */
#define ORDERS(X)                                                                                                      \
    X(POOL, "pool", 0.0)                                                                                               \
    X(CPU, "cpu", r->cpu_percent)                                                                                      \
    X(MEMORY, "memory", (double)r->used.bytes)                                                                         \
    X(DONE, "done/s", r->done_s)

#define X_ORDER(NAME, word, value) ORDER_##NAME,
enum order { ORDERS(X_ORDER) ORDER_MAX_ };
#undef X_ORDER

#define X_ORDER(NAME, word, value) word,
static const char *const order_names[] = {ORDERS(X_ORDER)};
#undef X_ORDER

struct top {
    struct ctl *c;
    void *whole; /* memory of the call; c->mem is that of a page */
    struct watch watch;
    struct rates *rates;
    json_t *status;   /* the last that came */
    struct error why; /* it is old: nobody answers */
    enum order order;
    int scroll;
    bool hold; /* the page stays as it is */
    int64_t pages_left;
};

/* ---- the page's head ---- */

static void show_rate(FILE *out, double rate)
{
    if (rate < 0)
        fputs("-", out);
    else
        fprintf(out, rate < 100 ? "%.1f" : "%.0f", rate);
}

static void show_through(const struct top *t, FILE *out)
{
    bool any = false;

    fputs("jobs      ", out);
    show_rate(out, t->rates->done_s);
    fputs("/s done, ", out);
    show_rate(out, t->rates->failed_s);
    fprintf(out, "/s failed; %" PRId64 " done and %" PRId64 " failed since the daemon's start\n", t->rates->done,
            t->rates->failed);
    for (int s = 1; s < STATUS_MAX_; s++) {
        if (t->rates->stages_s[s] < 0.05)
            continue;
        fputs(any ? ", " : "stages/s  ", out);
        any = true;
        fprintf(out, "%s ", status_name(s));
        show_rate(out, t->rates->stages_s[s]);
    }
    if (any)
        fputc('\n', out);
}

static void show_head(const struct top *t, FILE *out)
{
    const json_t *s = t->status;

    if (t->watch.lost_ms != 0) {
        fputc(SCREEN_REVERSE, out);
        watch_show_lost(&t->watch, &t->why, out);
    } else {
        fputc(SCREEN_BOLD, out);
        status_show_head(s, out);
    }
    status_show_paused(json_object_get(s, "paused"), out);
    show_through(t, out);
    status_show_queue(json_object_get(s, "queue"), out);
    status_show_services_down(json_object_get(s, "services_down"), out);
    status_show_reload(s, out);
    fputc('\n', out);
}

/* ---- the processes ---- */

struct row {
    const json_t *child; /* NULL: the master */
    const struct rates_child *rate;
    double key;
    int index;
};

static double key_of(enum order o, const struct rates_child *r)
{
    switch (o) {
#define X_ORDER(NAME, word, value)                                                                                     \
    case ORDER_##NAME:                                                                                                 \
        return value;
        ORDERS(X_ORDER)
#undef X_ORDER
    case ORDER_MAX_:
        break;
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    return x->index - y->index;
}

static struct row *rows_of(const struct top *t)
{
    const json_t *children = json_object_get(t->status, "children");
    int n = t->rates->n_children;
    struct row *rows = talloc_array(t->c->mem, struct row, (unsigned)n);

    for (int i = 0; i < n; i++)
        rows[i] = (struct row){.child = json_array_get(children, (size_t)i),
                               .rate = &t->rates->children[i],
                               .key = key_of(t->order, &t->rates->children[i]),
                               .index = i};
    qsort(rows, (size_t)n, sizeof *rows, by_key);
    return rows;
}

static const char *rate_text(struct ctl *c, double rate)
{
    return rate < 0 ? "-" : talloc_asprintf(c->mem, "%.1f", rate);
}

static const char *percent_text(struct ctl *c, double percent)
{
    return percent < 0 ? "-" : talloc_asprintf(c->mem, "%.0f%%", percent);
}

static void add_row(const struct top *t, struct table *tb, const struct row *r)
{
    const json_t *v = r->child != NULL ? r->child : t->status;
    bool master = r->child == NULL;
    char since[24], job[64] = "", memory[24];

    ctl_span(ctl_int(v, master ? "uptime_ms" : "since_ms"), since);
    if (!master)
        status_job_of(v, job);
    ctl_bytes(r->rate->used.bytes, memory);
    table_cell(tb, master ? "(master)" : ctl_string(v, "pool"));
    table_cell(tb, ctl_int(v, "pid") > 0 ? talloc_asprintf(t->c->mem, "%" PRId64, ctl_int(v, "pid")) : "-");
    table_cell(tb, ctl_string(v, master ? "state" : "phase"));
    table_cell(tb, master || ctl_string(v, "stage")[0] == '\0' ? "-" : ctl_string(v, "stage"));
    table_cell(tb, job[0] != '\0' ? job : "-");
    table_cell(tb, since);
    table_cell(tb, rate_text(t->c, master ? -1 : r->rate->done_s));
    table_cell(tb, percent_text(t->c, r->rate->cpu_percent));
    table_cell(tb, r->rate->used.bytes >= 0 ? memory : "-");
    table_cell(tb, master                                       ? ""
                   : ctl_string(v, "note")[0] != '\0'           ? ctl_string(v, "note")
                   : ctl_int(v, "pid") == 0 && r->child != NULL ? ctl_string(v, "last_death")
                                                                : "");
}

static void show_processes(const struct top *t, int first, FILE *out)
{
    static const struct table_column columns[] = {
        {"POOL", TABLE_LEFT, false},    {"PID", TABLE_RIGHT, false}, {"STATE", TABLE_LEFT, false},
        {"STAGE", TABLE_LEFT, true},    {"JOB", TABLE_LEFT, true},   {"FOR", TABLE_RIGHT, false},
        {"DONE/S", TABLE_RIGHT, false}, {"CPU", TABLE_RIGHT, false}, {"MEMORY", TABLE_RIGHT, false},
        {"NOTE", TABLE_LEFT, true},
    };
    struct table *tb = table_new(t->c->mem, columns, sizeof columns / sizeof columns[0]);
    const struct row *rows = rows_of(t);

    for (int i = first; i < t->rates->n_children; i++)
        add_row(t, tb, &rows[i]);
    if (t->watch.screen)
        fputc(SCREEN_REVERSE, out);
    table_print(tb, out, t->c->width);
}

/* ---- one page ---- */

static int lines_of(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* Rows stay in reach: with all of them in view there is nothing to scroll. */
static void bound_scroll(struct top *t, int head, int rows)
{
    int room = rows - head - 2; /* the table's title, the last line */
    int most = t->rates->n_children - (room > 1 ? room : 1);

    if (t->scroll > most)
        t->scroll = most;
    if (t->scroll < 0)
        t->scroll = 0;
}

static void draw(struct top *t)
{
    char *page = NULL;
    size_t size = 0;
    int rows;
    FILE *out = open_memstream(&page, &size);

    if (out == NULL)
        return;
    screen_size(&rows, &t->c->width);
    show_head(t, out);
    fflush(out);
    bound_scroll(t, lines_of(page), rows);
    show_processes(t, t->scroll, out);
    fflush(out);
    screen_draw(page, 1);
    screen_last_line(talloc_asprintf(t->c->mem, "q quit   s sort: %s   space %s   arrows scroll", order_names[t->order],
                                     t->hold ? "go on (HELD)" : "hold"));
    fclose(out);
    free(page);
}

/* "docmillctl top > file": pages after each other, without marks. */
static void print_page(struct top *t)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&page, &size);

    if (out == NULL)
        return;
    show_head(t, out);
    show_processes(t, 0, out);
    fclose(out);
    for (const char *p = page; *p != '\0'; p++)
        if (*p != SCREEN_BOLD && *p != SCREEN_REVERSE)
            putchar(*p);
    putchar('\n');
    free(page);
}

static json_t *rate_json(double rate)
{
    return rate < 0 ? json_null() : json_real(rate);
}

static void print_json(const struct top *t)
{
    json_t *j = json_copy(t->status), *children = json_array(), *stages = json_object();
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(t->status, "children"), i, v)
    {
        const struct rates_child *r = &t->rates->children[i];
        json_t *child = json_copy((json_t *)v);
        json_object_set_new(child, "done_per_s", rate_json(r->done_s));
        json_object_set_new(child, "cpu_percent", rate_json(r->cpu_percent));
        json_object_set_new(child, "memory_bytes", r->used.bytes >= 0 ? json_integer(r->used.bytes) : json_null());
        json_array_append_new(children, child);
    }
    for (int s = 1; s < STATUS_MAX_; s++)
        json_object_set_new(stages, status_name(s), rate_json(t->rates->stages_s[s]));
    json_object_set_new(j, "children", children);
    json_object_set_new(j, "rates",
                        json_pack("{s:o, s:o, s:o}", "done_per_s", rate_json(t->rates->done_s), "failed_per_s",
                                  rate_json(t->rates->failed_s), "stages_per_s", stages));
    ctl_put_json(stdout, j, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
}

/* ---- the loop ---- */

/* Another look. CTL_OK also if nobody answers for now. */
static int look(struct top *t)
{
    int rc;
    json_t *s = watch_ask(t->c, &t->watch, &rc, &t->why);

    if (s == NULL)
        return rc;
    json_decref(t->status);
    t->status = s;
    rates_look(t->rates, s, clock_ms());
    return CTL_OK;
}

/* False: the user wants to leave. */
static bool take_key(struct top *t, int key)
{
    int rows, columns;

    screen_size(&rows, &columns);
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case 's':
        t->order = (t->order + 1) % ORDER_MAX_;
        break;
    case ' ':
        t->hold = !t->hold;
        break;
    case SCREEN_UP:
        t->scroll--;
        break;
    case SCREEN_DOWN:
        t->scroll++;
        break;
    case SCREEN_PAGE_UP:
        t->scroll -= rows / 2;
        break;
    case SCREEN_PAGE_DOWN:
        t->scroll += rows / 2;
        break;
    default:
        break;
    }
    return true;
}

/* Until the next look is due. False: leave. */
static bool attend(struct top *t, int64_t until_ms)
{
    for (;;) {
        int key;
        switch (screen_wait(until_ms - clock_ms(), &key)) {
        case SCREEN_TICK:
            if (clock_ms() >= until_ms)
                return true;
            break;
        case SCREEN_KEY:
            if (!take_key(t, key))
                return false;
            draw(t);
            break;
        case SCREEN_REDRAW:
            draw(t);
            break;
        case SCREEN_HANGUP:
        case SCREEN_LEAVE:
            return false;
        }
    }
}

static int run_screen(struct top *t)
{
    struct error e = {0};
    int rc = CTL_OK;

    if (screen_open(&e) != 0)
        return ctl_fail(t->c, CTL_USAGE, &e);
    while (rc == CTL_OK && t->pages_left != 0) {
        int64_t next_ms = clock_ms() + t->watch.every_ms;
        t->c->mem = talloc_new(t->whole);
        if (!t->hold)
            rc = look(t);
        if (rc == CTL_OK)
            draw(t);
        t->pages_left -= t->pages_left > 0;
        if (rc == CTL_OK && t->pages_left != 0 && !attend(t, next_ms))
            t->pages_left = 0;
        talloc_free(t->c->mem);
        t->c->mem = t->whole;
    }
    screen_close();
    screen_die();
    return rc == CTL_OK ? rc : ctl_fail(t->c, rc, &t->why);
}

static int run_plain(struct top *t)
{
    int rc = CTL_OK;

    while (rc == CTL_OK && !ferror(stdout)) {
        t->c->mem = talloc_new(t->whole);
        rc = look(t);
        if (rc == CTL_OK && t->watch.lost_ms != 0)
            watch_show_lost(&t->watch, &t->why, stderr);
        else if (rc == CTL_OK && t->c->json)
            print_json(t);
        else if (rc == CTL_OK)
            print_page(t);
        fflush(stdout);
        talloc_free(t->c->mem);
        t->c->mem = t->whole;
        if (rc == CTL_OK && t->pages_left > 0 && --t->pages_left == 0)
            return CTL_OK;
        if (rc == CTL_OK && !ctl_rest(t->watch.every_ms))
            return CTL_FAILED;
    }
    return rc == CTL_OK ? CTL_FAILED : ctl_fail(t->c, rc, &t->why);
}

int do_top(struct ctl *c)
{
    struct top t = {.c = c, .whole = c->mem};
    struct error e = {0};
    int rc = watch_begin(c, &t.watch);

    if (rc != CTL_OK)
        return rc;
    if (args_number(&c->args, "pages", -1, 1, INT32_MAX, &t.pages_left, &e) != 0)
        return ctl_usage(c, &e);
    t.rates = rates_new(c->mem);
    rc = look(&t);
    if (rc == CTL_OK && t.status == NULL)
        rc = CTL_UNREACHABLE;
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &t.why);
    poll(NULL, 0, FIRST_MS);
    rc = t.watch.screen ? run_screen(&t) : run_plain(&t);
    json_decref(t.status);
    return rc;
}
