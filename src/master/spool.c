/*
 * spool.c - see spool.h
 *
 * Diagnostics
 *   warns   a file that cannot be made or written, once: records are then as safe as the process
 *
 * Depends on base, proc.
 */
#include "master/spool.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define MAGIC      "dmAudit1"
#define BOOT_BYTES 40
#define BOOT_PATH  "/proc/sys/kernel/random/boot_id"

struct spool_head {
    char magic[8], boot[BOOT_BYTES];
    int64_t written;
};

struct spool_slot {
    uint8_t sum[SHA256_BYTES]; /* of all that follows */
    uint32_t n;
    uint8_t frame[SPOOL_SLOT_BYTES - SHA256_BYTES - sizeof(uint32_t)];
};

_Static_assert(sizeof(struct spool_head) <= SPOOL_SLOT_BYTES && sizeof(struct spool_slot) == SPOOL_SLOT_BYTES,
               "places");

struct spool {
    int fd;
    char path[160], new_path[168];
    bool told;
};

static void read_boot(char out[BOOT_BYTES])
{
    int fd = open(BOOT_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, BOOT_BYTES - 1) : -1;

    if (fd >= 0)
        close(fd);
    memset(out + (n > 0 ? n : 0), 0, (size_t)(BOOT_BYTES - (n > 0 ? n : 0)));
}

static off_t place_of(int64_t seq)
{
    return SPOOL_SLOT_BYTES * (off_t)(1 + seq % SPOOL_RECORDS);
}

static void sum_of(const struct spool_slot *s, uint8_t out[SHA256_BYTES])
{
    sha256_of(&s->n, sizeof *s - SHA256_BYTES, out);
}

/* ---- reading ---- */

static bool read_slot(const uint8_t *bytes, size_t n, int64_t seq, struct msg_audit *out)
{
    size_t at = (size_t)place_of(seq);
    struct channel_msg m;
    struct spool_slot s;
    uint8_t sum[SHA256_BYTES];
    struct error e;

    if (at + sizeof s > n)
        return false;
    memcpy(&s, bytes + at, sizeof s);
    sum_of(&s, sum);
    if (s.n > sizeof s.frame || memcmp(sum, s.sum, sizeof sum) != 0 || channel_decode(s.frame, s.n, &m, &e) != 0 ||
        m.kind != CHANNEL_AUDIT || m.audit.seq != seq)
        return false;
    *out = m.audit;
    return true;
}

int spool_read(const uint8_t *bytes, size_t n, const char *boot, int64_t now_ms, struct msg_audit *out)
{
    struct spool_head h;
    int found = 0;

    if (n < SPOOL_SLOT_BYTES)
        return 0;
    memcpy(&h, bytes, sizeof h);
    h.boot[sizeof h.boot - 1] = '\0';
    if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.written < 0 || h.written > INT64_MAX - SPOOL_RECORDS)
        return 0;
    for (int64_t seq = h.written + 1; seq <= h.written + SPOOL_RECORDS; seq++) {
        if (!read_slot(bytes, n, seq, &out[found]))
            continue;
        if (strcmp(h.boot, boot) != 0 || out[found].at_ms > now_ms)
            out[found].at_ms = now_ms; /* that clock is gone */
        found++;
    }
    return found;
}

static int read_left(const void *talloc_parent, const struct spool *s, const char *boot, struct msg_audit **left)
{
    struct error e;
    char *bytes = NULL;
    size_t size = 0;
    int n = 0;

    *left = NULL;
    if (access(s->path, F_OK) != 0)
        return 0;
    if (file_read(NULL, s->path, (size_t)SPOOL_SLOT_BYTES * (SPOOL_RECORDS + 1), &bytes, &size, &e) != 0) {
        log_warn("audit", "records that a former life left cannot be read", "error", e.message, NULL);
        return 0;
    }
    *left = talloc_array(talloc_parent, struct msg_audit, SPOOL_RECORDS);
    if (*left != NULL)
        n = spool_read((const uint8_t *)bytes, size, boot, clock_ms(), *left);
    talloc_free(bytes);
    return n;
}

/* ---- writing ---- */

static void tell(struct spool *s, int err)
{
    if (!s->told)
        log_warn("audit", "records that wait for the database are not kept over a death of the master", "path", s->path,
                 "error", strerror(err), NULL);
    s->told = true;
}

static void put(struct spool *s, const void *data, size_t n, off_t at)
{
    ssize_t done;

    errno = ENOSPC; /* of a short write */
    done = pwrite(s->fd, data, n, at);
    if (done != (ssize_t)n)
        tell(s, errno);
}

struct spool *spool_open(const void *talloc_parent, const char *dir, struct msg_audit **left, int *n)
{
    struct spool *s = talloc_zero(talloc_parent, struct spool);
    struct spool_head h = {.magic = MAGIC};

    if (s == NULL)
        log_panic("audit", "out of memory");
    snprintf(s->path, sizeof s->path, "%s/" SPOOL_FILE, dir);
    snprintf(s->new_path, sizeof s->new_path, "%s.new", s->path);
    read_boot(h.boot);
    *n = read_left(talloc_parent, s, h.boot, left);
    s->fd = open(s->new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0) {
        tell(s, errno);
        talloc_free(s);
        return NULL;
    }
    put(s, &h, sizeof h, 0);
    return s;
}

void spool_put(struct spool *s, const struct msg_audit *m)
{
    const struct channel_msg frame = {.kind = CHANNEL_AUDIT, .audit = *m};
    struct spool_slot slot = {0};
    int n = s != NULL ? channel_encode(&frame, slot.frame, sizeof slot.frame) : 0;

    if (n <= 0) {
        if (s != NULL)
            tell(s, EMSGSIZE);
        return;
    }
    slot.n = (uint32_t)n;
    sum_of(&slot, slot.sum);
    put(s, &slot, sizeof slot, place_of(m->seq));
}

void spool_commit(struct spool *s)
{
    if (s != NULL && rename(s->new_path, s->path) != 0)
        tell(s, errno);
}

void spool_written(struct spool *s, int64_t seq)
{
    if (s != NULL)
        put(s, &seq, sizeof seq, offsetof(struct spool_head, written));
}

void spool_close(struct spool **s, bool nothing_left)
{
    if (*s == NULL)
        return;
    if (nothing_left)
        unlink((*s)->path);
    close((*s)->fd);
    TALLOC_FREE(*s);
}
