/*
 * buffer.h - bytes that grow, with a failure that sticks
 *
 * After a failed allocation the buffer stays as it was and `failed` is set; callers look once, at the end of a step.
 *
 * Private to src/html.
 */
#ifndef HTML_BUFFER_H
#define HTML_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    char *p;
    size_t n, room;
    bool failed;
};

static inline bool buffer_reserve(struct buffer *b, size_t more)
{
    size_t room = b->room == 0 ? 256 : b->room;
    char *p;

    if (b->failed || more <= b->room - b->n)
        return !b->failed;
    while (room - b->n < more)
        room *= 2;
    p = realloc(b->p, room);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->room = room;
    return true;
}

static inline void buffer_add(struct buffer *b, const char *p, size_t n)
{
    if (n == 0 || !buffer_reserve(b, n))
        return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void buffer_char(struct buffer *b, char c)
{
    buffer_add(b, &c, 1);
}

static inline void buffer_text(struct buffer *b, const char *s)
{
    buffer_add(b, s, strlen(s));
}

static inline void buffer_free(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){0};
}

#endif
