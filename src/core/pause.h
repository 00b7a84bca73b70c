/*
 * pause.h - what an operator can pause, once
 *
 * A pause is a row of the table `pauses`, so it holds for every node and over restarts; each node's coordinator reads
 * the rows into a word that its workers look at before they claim and between stages (proc/services.h).
 *
 * X(NAME, word, statuses, lanes, "what rests"): the word is stored, typed and shown; `statuses` (1 << status) are not
 * claimed, and a job in hand that comes to the first of them goes back to the queue; `lanes` (1 << lane) are not claimed.
 *
 * Depends on core/state.h.
 */
#ifndef CORE_PAUSE_H
#define CORE_PAUSE_H

#include "core/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAUSE_AT(name)   (1u << STATUS_##name)
#define PAUSE_EVERYTHING UINT32_MAX

/* clang-format off */
#define PAUSES(X)                                                                                                      \
    X(ALL, all, PAUSE_EVERYTHING, PAUSE_EVERYTHING, "all work")                                                        \
    X(PARSE, parse, PAUSE_AT(UPLOADED) | PAUSE_AT(PARSE_QUEUED), 0, "parsing")                                         \
    X(CHUNK, chunk, PAUSE_AT(PARSED) | PAUSE_AT(PARSE_VALIDATED) | PAUSE_AT(CHUNKING), 0, "checking and chunking")     \
    X(EMBED, embed, PAUSE_AT(CHUNKS_STORED) | PAUSE_AT(EMBEDDING_QUEUED) | PAUSE_AT(EMBEDDING_IN_PROGRESS) |           \
      PAUSE_AT(EMBEDDINGS_STORED), 0, "embedding")                                                                     \
    X(INTERACTIVE, interactive, 0, 1u << 1, "the interactive lane")                                                    \
    X(BULK, bulk, 0, 1u << 2, "the bulk lane")                                                                         \
    X(FILL, fill, 0, 1u << 3, "filling new embedding spaces")
/* clang-format on */

#define X_PAUSE(NAME, ...) PAUSE_##NAME,
enum pause { PAUSES(X_PAUSE) PAUSE_MAX_ };
#undef X_PAUSE

#define PAUSE_BIT(p) (1u << (p))

const char *pause_name(enum pause p);
const char *pause_title(enum pause p); /* "embedding", for sentences */
int pause_parse(const char *name);     /* enum pause, or -EINVAL */

/* Of a mask of PAUSE_BIT: the statuses (1 << status) that rest, and whether a lane does. */
uint32_t pause_statuses(uint32_t mask);
bool pause_lane(uint32_t mask, int lane);

/* "all, parse or embed": every word, for sentences. */
void pause_words(char *out, size_t size);

#endif
