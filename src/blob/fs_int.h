/*
 * fs_int.h - what fs.c (writing, reading) and fs_idle.c (listing, removing) share
 *
 * Private to src/blob.
 */
#ifndef BLOB_FS_INT_H
#define BLOB_FS_INT_H

#include "blob/blob.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#define FS_DIR_FLAGS    (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define FS_SYNCED_SLOTS 1024 /* a direct-mapped memory; forgetting only costs a sync */

struct synced_dir {
    struct uuid user;
    uint8_t prefix;
    bool used;
};

struct fs_store {
    int root_fd, tmp_fd;
    struct synced_dir synced[FS_SYNCED_SLOTS];
};

struct fs_path {
    char user[UUID_TEXT_LEN + 1];
    char dir[UUID_TEXT_LEN + 4];                   /* user/aa */
    char file[UUID_TEXT_LEN + 5 + SHA256_HEX_LEN]; /* user/aa/sha256 */
};

static inline int64_t fs_time_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

/* fs.c */
void fs_path_of(struct fs_path *p, const struct uuid *user, const uint8_t sha256[SHA256_BYTES]);
int fs_sync_dir(int at, const char *path);
int fs_now_ms(struct fs_store *s, int64_t *now_ms); /* the store's own clock; 0 or -errno */

/* fs_idle.c: see backend.h */
int fs_list(void *store, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
            struct error *e);
int fs_remove_idle(void *store, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms, struct error *e);
int fs_belongs(void *store, const struct uuid *database, struct error *e);

#endif
