/*
 * screen.h - pages that are drawn over the former one, and the terminal as it was before
 *
 * A page is lines of text; each is cut to the width, and what is below the last row is left out. A line's first byte may
 * be SCREEN_BOLD or SCREEN_REVERSE. Only ANSI sequences that every terminal of this century knows.
 *
 * Depends on base.
 */
#ifndef CTL_SCREEN_H
#define CTL_SCREEN_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SCREEN_BOLD    '\001'
#define SCREEN_REVERSE '\002'

/* Whether standard output is a terminal that knows how to move its cursor. */
bool screen_possible(void);
void screen_size(int *rows, int *columns);
/* Over what stands there, from the first row on, in one write. `more`: rows that are left free at the end. */
void screen_draw(const char *page, int more);
/* In the last row, dimmed. */
void screen_last_line(const char *text);

/* ---- a screen of its own, with keys ---- */

/* Takes the terminal: its other screen, no cursor, keys without echo. It gets back what it was by screen_close(), at
 * exit(), when a signal ends or stops the process, and when the process crashes; not after SIGKILL. */
int screen_open(struct error *e) MUST_CHECK;
void screen_close(void);

enum screen_event {
    SCREEN_TICK,   /* the time is over */
    SCREEN_REDRAW, /* another size, or back from a stop */
    SCREEN_KEY,    /* *key: a character, or one of SCREEN_KEYS */
    SCREEN_HANGUP, /* the terminal is gone */
    SCREEN_LEAVE,  /* a signal wants the process to end: screen_close(), then screen_die() */
};
enum { SCREEN_UP = 256, SCREEN_DOWN, SCREEN_PAGE_UP, SCREEN_PAGE_DOWN };

enum screen_event screen_wait(int64_t ms, int *key);
void screen_die(void); /* ends the process by the signal that wanted it to; returns if there was none */

#endif
