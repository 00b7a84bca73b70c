/* pause.c - see pause.h. Depends on core. */
#include "core/pause.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WIDEST_LANE 31 /* of the mask; lanes beyond it rest with all work only */

struct pause_row {
    const char *name, *title;
    uint32_t statuses, lanes;
};

#define X_ROW(NAME, word, statuses, lanes, title) [PAUSE_##NAME] = {#word, title, statuses, lanes},
static const struct pause_row rows[PAUSE_MAX_] = {PAUSES(X_ROW)};
#undef X_ROW

const char *pause_name(enum pause p)
{
    return rows[p].name;
}

const char *pause_title(enum pause p)
{
    return rows[p].title;
}

int pause_parse(const char *name)
{
    for (int i = 0; i < PAUSE_MAX_; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -EINVAL;
}

uint32_t pause_statuses(uint32_t mask)
{
    uint32_t rest = 0;

    for (int i = 0; i < PAUSE_MAX_; i++)
        if (mask & PAUSE_BIT(i))
            rest |= rows[i].statuses;
    return rest;
}

bool pause_lane(uint32_t mask, int lane)
{
    uint32_t rest = 0;

    for (int i = 0; i < PAUSE_MAX_; i++)
        if (mask & PAUSE_BIT(i))
            rest |= rows[i].lanes;
    return lane > WIDEST_LANE || lane < 0 ? rest == PAUSE_EVERYTHING : (rest & 1u << lane) != 0;
}

void pause_words(char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = 0; i < PAUSE_MAX_ && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s",
                              i == 0               ? ""
                              : i + 1 < PAUSE_MAX_ ? ", "
                                                   : " or ",
                              rows[i].name);
}
