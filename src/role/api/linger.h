/*
 * linger.h - closing a connection whose peer is still sending
 *
 * When a request is refused before its body was read, closing the socket with unread bytes makes the kernel send a
 * reset, which can destroy the answer on its way. So a duplicate of the descriptor stays here after the server library
 * has closed its own: what still comes is read and dropped until the peer closes, at most LINGER_MS and
 * LINGER_MAX_BYTES.
 *
 * Depends on base, libsystemd.
 */
#ifndef API_LINGER_H
#define API_LINGER_H

#include <systemd/sd-event.h>

#define LINGER_MS        3000
#define LINGER_MAX_BYTES 67108864L /* 64 MB */
#define LINGER_MAX       128       /* at once; more are closed the hard way */

struct lingerers;

struct lingerers *linger_new(const void *talloc_parent, sd_event *event);
void linger_free(struct lingerers **l);
/* Takes fd over (a duplicate; -1 is ignored); the other descriptor must be shut down for writing by its owner. */
void linger_add(struct lingerers *l, int fd);

#endif
