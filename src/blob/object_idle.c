/*
 * object_idle.c - the object stores: which blobs have been idle, removing them, and whose store it is
 *
 * Idle is what was not put or touched for a while, by the store's own clock on both sides (a listing's times against
 * the answer's Date).
 *
 * Removing. No store in common use removes on condition that an object is still the one that was looked at: its version
 * mark is a hash of the content, and here the content is always the same. So who removes leaves a mark first, under a
 * name of its own beside the blob, then looks, then removes, then takes the mark away; and who puts or touches looks for
 * marks afterwards. The store shows every write at once to every reader, so one of the two always sees the other: either
 * the look finds a young blob and keeps it, or the mark is found and the bytes are put again when it is gone
 * (object.c). A removal without an answer may still come: its mark stays, for longer than the store would take the
 * request (its signature is good for 15 minutes).
 *
 * Diagnostics: reasons of the blob_* family. Depends on base, core.
 */
#include "base/clock.h"
#include "blob/object.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define DATABASE ".database"

/* ---- marks ---- */

static void marker_prefix(char out[OBJECT_KEY_BYTES], const struct uuid *user, const uint8_t sha256[SHA256_BYTES])
{
    char u[UUID_TEXT_LEN + 1], hex[SHA256_HEX_LEN + 1];

    uuid_format(user, u);
    hex_encode(sha256, SHA256_BYTES, hex);
    snprintf(out, OBJECT_KEY_BYTES, OBJECT_MARKER_DIR "/%s/%s/", u, hex);
}

int object_marked(struct object_store *s, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct object_entry found[16];
    char prefix[OBJECT_KEY_BYTES];
    bool more, young = false;
    int n, rc = 0;

    marker_prefix(prefix, user, sha256);
    n = s->ops->list(s->state, prefix, "", found, 16, &more, e);
    for (int i = 0; i < n && rc == 0; i++) {
        if (found[i].age_ms < OBJECT_STALE_MS)
            young = true;
        else
            rc = s->ops->remove(s->state, found[i].key, e);
    }
    return n < 0 ? n : rc < 0 ? rc : young;
}

static int put_marker(struct object_store *s, const char *key, struct error *e)
{
    uint8_t sha256[SHA256_BYTES];
    int fd = object_spool(s->spool, e), rc;

    if (fd < 0)
        return fd;
    sha256_of("", 0, sha256);
    rc = s->ops->put(s->state, key, fd, 0, sha256, false, e);
    close(fd);
    return rc;
}

/* ---- listing ---- */

static bool is_blob(const char *key, struct blob_name *name)
{
    char user[UUID_TEXT_LEN + 1], again[OBJECT_KEY_BYTES];

    if (strlen(key) != UUID_TEXT_LEN + 4 + SHA256_HEX_LEN)
        return false;
    snprintf(user, sizeof user, "%.36s", key);
    if (uuid_parse(user, &name->user) != 0 || hex_decode(key + UUID_TEXT_LEN + 4, SHA256_HEX_LEN, name->sha256) != 0)
        return false;
    object_key(again, &name->user, name->sha256);
    return strcmp(again, key) == 0;
}

/* Where to go on after a key. One that is too long is nobody's blob: all that begin like it are passed over. */
static void move_cursor(char cursor[BLOB_CURSOR_BYTES], const char *key)
{
    if (snprintf(cursor, BLOB_CURSOR_BYTES, "%s", key) >= BLOB_CURSOR_BYTES)
        cursor[BLOB_CURSOR_BYTES - 2] = '~';
}

int object_list(void *store, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
                struct error *e)
{
    struct object_store *s = store;
    int wanted = max < OBJECT_PAGE ? max : OBJECT_PAGE, n, have = 0;
    struct object_entry *found = talloc_array(s, struct object_entry, (unsigned)wanted);
    bool more = false;

    if (found == NULL)
        return blob_error(e, ENOMEM, "cannot list the blob store");
    n = s->ops->list(s->state, "", cursor, found, wanted, &more, e);
    for (int i = 0; i < n; i++) {
        move_cursor(cursor, found[i].key);
        if (is_blob(found[i].key, &names[have]) && found[i].age_ms >= idle_ms)
            have++;
    }
    talloc_free(found);
    if (n < 0)
        return n;
    if (!more || strcmp(cursor, "g") > 0) /* behind every user's name */
        cursor[0] = '\0';
    return have;
}

/* ---- removing ---- */

static int is_idle(struct object_store *s, const char *key, int64_t idle_ms, int64_t not_after_ms, struct error *e)
{
    struct object_entry found;
    bool more;
    int rc = s->ops->list(s->state, key, "", &found, 1, &more, e);

    return rc <= 0 ? rc : strcmp(found.key, key) == 0 && found.age_ms >= idle_ms && clock_ms() <= not_after_ms;
}

/* With the mark in place: 1 if the blob was idle and is gone. unsure: it may still go. */
static int remove_marked(struct object_store *s, const char *key, int64_t idle_ms, int64_t not_after_ms, bool *unsure,
                         struct error *e)
{
    int rc = is_idle(s, key, idle_ms, not_after_ms, e);

    if (rc <= 0)
        return rc;
    rc = s->ops->remove(s->state, key, e);
    *unsure = rc < 0 && rc != -EACCES;
    return rc < 0 ? rc : 1;
}

int object_remove_idle(void *store, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms,
                       struct error *e)
{
    struct object_store *s = store;
    char prefix[OBJECT_KEY_BYTES - UUID_TEXT_LEN], whole[OBJECT_KEY_BYTES], key[OBJECT_KEY_BYTES];
    char id_text[UUID_TEXT_LEN + 1], marker[OBJECT_KEY_BYTES];
    struct uuid id;
    bool unsure = false;
    int rc;

    marker_prefix(whole, &name->user, name->sha256);
    snprintf(prefix, sizeof prefix, "%.200s", whole);
    uuid_v4(&id);
    uuid_format(&id, id_text);
    snprintf(marker, sizeof marker, "%s%s", prefix, id_text);
    object_key(key, &name->user, name->sha256);
    rc = is_idle(s, key, idle_ms, not_after_ms, e); /* what is in use is not marked, or nobody could put it */
    if (rc <= 0 || (rc = put_marker(s, marker, e)) < 0)
        return rc;
    rc = remove_marked(s, key, idle_ms, not_after_ms, &unsure, e);
    if (!unsure && s->ops->remove(s->state, marker, rc < 0 ? NULL : e) < 0 && rc == 0)
        return -EIO; /* *e says why; the mark is taken away when it is old */
    return rc;
}

static int sweep_below(struct object_store *s, const char *prefix, int64_t age_ms, struct error *e)
{
    char after[OBJECT_KEY_BYTES] = "";
    struct object_entry found[64];
    bool more = true;
    int count = 0, n, rc;

    while (more) {
        n = s->ops->list(s->state, prefix, after, found, 64, &more, e);
        if (n < 0)
            return n;
        for (int i = 0; i < n; i++) {
            memcpy(after, found[i].key, sizeof after);
            if (found[i].age_ms < age_ms)
                continue;
            if ((rc = s->ops->remove(s->state, found[i].key, e)) < 0)
                return rc;
            count++;
        }
        more = more && n > 0;
    }
    return count;
}

int object_sweep(void *store, int64_t age_ms, struct error *e)
{
    struct object_store *s = store;
    int marks, probes, rc = 0;

    age_ms = age_ms > OBJECT_STALE_MS ? age_ms : OBJECT_STALE_MS;
    if ((marks = sweep_below(s, OBJECT_MARKER_DIR "/", age_ms, e)) < 0)
        return marks;
    if ((probes = sweep_below(s, OBJECT_PROBE_DIR "/", age_ms, e)) < 0)
        return probes;
    if (s->ops->sweep != NULL && (rc = s->ops->sweep(s->state, age_ms, e)) < 0)
        return rc;
    return marks + probes + rc;
}

/* ---- whose store it is ---- */

static int read_owner(struct object_store *s, char found[UUID_TEXT_LEN + 1], struct error *e)
{
    int fd = object_spool(s->spool, e), rc;

    if (fd < 0)
        return fd;
    memset(found, 0, UUID_TEXT_LEN + 1);
    rc = s->ops->get(s->state, DATABASE, fd, e);
    if (rc == 0 && pread(fd, found, UUID_TEXT_LEN, 0) < 0)
        rc = blob_error(e, errno, "cannot read whose the blob store is");
    close(fd);
    return rc;
}

static int write_owner(struct object_store *s, const char *mine, struct error *e)
{
    uint8_t sha256[SHA256_BYTES];
    int fd = object_spool(s->spool, e), rc;

    if (fd < 0)
        return fd;
    sha256_of(mine, UUID_TEXT_LEN, sha256);
    if (pwrite(fd, mine, UUID_TEXT_LEN, 0) != UUID_TEXT_LEN)
        rc = blob_error(e, ENOSPC, "cannot write whose the blob store is");
    else
        rc = s->ops->put(s->state, DATABASE, fd, UUID_TEXT_LEN, sha256, true, e);
    close(fd);
    return rc == -EEXIST ? 0 : rc; /* somebody was first: who, is read again */
}

int object_belongs(void *store, const struct uuid *database, struct error *e)
{
    struct object_store *s = store;
    char mine[UUID_TEXT_LEN + 1], found[UUID_TEXT_LEN + 1];
    int rc = read_owner(s, found, e);

    uuid_format(database, mine);
    if (rc == -ENOENT) {
        rc = write_owner(s, mine, e);
        if (rc == 0)
            rc = read_owner(s, found, e);
    }
    if (rc != 0)
        return rc;
    if (strcmp(found, mine) == 0)
        return 0;
    for (char *p = found; *p != '\0'; p++)
        if (strchr("0123456789abcdef-", *p) == NULL)
            *p = '?';
    reason_error(e, REASON_blob_denied, EEXIST, "the blob store belongs to the database %s, this one is %s", found,
                 mine);
    error_hint(e, "give each database a blob store of its own; if this database takes the other's place, remove the "
                  "object " DATABASE " in the store");
    return -EEXIST;
}
