/*
 * heading_path.h - "Manual > Install > Debian": the headings that the text at hand stands under
 *
 * Holds places in the text, not copies: the text must outlive it. A title loses its closing '#'s, a trailing
 * {#anchor}, ** and ` marks, and of links and images all but the words.
 *
 * Diagnostics: none. Private to src/text.
 */
#ifndef TEXT_HEADING_PATH_H
#define TEXT_HEADING_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define HEADING_PATH_MAX_BYTES 1000
#define HEADING_LEVELS         6

struct heading_path {
    struct {
        int level;
        const char *title;
        size_t len;
    } at[HEADING_LEVELS];
    int depth;
    bool stale; /* text is to be made anew */
    char text[HEADING_PATH_MAX_BYTES + 1];
};

void heading_path_begin(struct heading_path *p);
/* Takes the place of all headings of the same or a deeper level. */
void heading_path_enter(struct heading_path *p, int level, const char *title, size_t len);
const char *heading_path_text(struct heading_path *p); /* valid until the next call */

#endif
