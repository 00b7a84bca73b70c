/*
 * files.h - small whole-file helpers: read with a cap, write all of it
 *
 * For configuration, secrets and small state; documents are streamed by the blob store. Errors carry the reason
 * "file_error", the path and the system's own sentence, never the content.
 *
 * Depends on base/error, talloc.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

/* Reads a regular file of at most max_bytes into talloc memory with a NUL after the last byte. A FIFO, a directory or
 * a device is refused instead of waited for. 0, or a negative code (-EFBIG: larger than max_bytes). */
int file_read(const void *talloc_parent, const char *path, size_t max_bytes, char **out, size_t *n,
              struct error *e) MUST_CHECK;

/* Writes all n bytes, over short writes and EINTR. 0, or a negative errno. */
int file_write_all(int fd, const void *data, size_t n) MUST_CHECK;

#endif
