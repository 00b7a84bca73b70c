/*
 * files.h - small whole-file helpers: read with a cap, write atomically, make a path of directories
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

/* Replaces path as a whole: written beside it, synced, renamed, directory synced. After a crash the old or the new
 * content stands there, never a part. */
int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct error *e) MUST_CHECK;

/* mkdir -p: makes what is missing of an absolute or relative path with this mode; 0 if it is there already. */
int file_mkdirs(const char *path, mode_t mode, struct error *e) MUST_CHECK;

/* fsync of the directory that holds path, so that a rename or a new name in it is durable. */
int file_sync_parent(const char *path, struct error *e) MUST_CHECK;

/* Writes all n bytes, over short writes and EINTR. 0, or a negative errno. */
int file_write_all(int fd, const void *data, size_t n) MUST_CHECK;

#endif
