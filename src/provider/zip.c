/*
 * zip.c - see zip.h
 *
 * Finds the end record (and the 64-bit one) from the end of the file, then walks the central directory through one
 * small window, so that memory does not grow with the archive. Every offset comes from the file and is checked against
 * its size before it is used. Names are only compared, never used as paths.
 *
 * Pure but for pread. Depends on nothing.
 */
#include "provider/zip.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define LOCAL_SIG       0x04034b50u
#define CENTRAL_SIG     0x02014b50u
#define END_SIG         0x06054b50u
#define END64_SIG       0x06064b50u
#define LOCATOR64_SIG   0x07064b50u
#define LOCAL_BYTES     30
#define CENTRAL_BYTES   46
#define END_BYTES       22
#define END64_BYTES     56
#define LOCATOR64_BYTES 20
#define COMMENT_MAX     65535
#define EXTRA_SIZES64   1
#define WINDOW_BYTES    65536
#define NAME_MAX_BYTES  64 /* longer names are none that we look for */

struct window {
    int fd;
    int64_t size;  /* of the file */
    int64_t start; /* offset in the file of buf[0] */
    int64_t len;
    unsigned char buf[WINDOW_BYTES];
};

struct directory {
    int64_t offset, size, entries;
};

static uint32_t le16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const unsigned char *p)
{
    return le16(p) | le16(p + 2) << 16;
}

static uint64_t le64(const unsigned char *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* n bytes at offset, n <= WINDOW_BYTES. NULL with errno 0 when the file has no such bytes, else errno says why. */
static const unsigned char *look(struct window *w, int64_t offset, int64_t n)
{
    errno = 0;
    if (n < 0 || n > WINDOW_BYTES || offset < 0 || offset > w->size - n)
        return NULL;
    if (offset >= w->start && offset + n <= w->start + w->len)
        return w->buf + (offset - w->start);
    w->start = offset;
    w->len = 0;
    while (w->len < n) {
        ssize_t got = pread(w->fd, w->buf + w->len, (size_t)(WINDOW_BYTES - w->len), offset + w->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return NULL;
        if (got == 0) {
            errno = 0;
            return NULL;
        }
        w->len += got;
    }
    errno = 0;
    return w->buf;
}

static int missing(void)
{
    return errno != 0 ? -errno : ZIP_BROKEN;
}

/* Offset of the end record; -1 if there is none, or another negative errno. */
static int64_t find_end(struct window *w)
{
    int64_t lowest = w->size - END_BYTES - COMMENT_MAX;

    for (int64_t at = w->size - END_BYTES; at >= 0 && at >= lowest;) {
        /* Backwards, a block at a time: the window reads forward from where it is asked. */
        int64_t from = at - 4096 > lowest ? at - 4096 : lowest;
        if (from < 0)
            from = 0;
        const unsigned char *p = look(w, from, at - from + END_BYTES);
        if (p == NULL)
            return errno != 0 ? -errno : -1;
        for (; at >= from; at--)
            if (le32(p + (at - from)) == END_SIG && at + END_BYTES + (int64_t)le16(p + (at - from) + 20) <= w->size)
                return at;
    }
    return -1;
}

/* The 64-bit end record, if the locator before the old one leads to it. */
static int read_end64(struct window *w, int64_t end, struct directory *d)
{
    const unsigned char *p = look(w, end - LOCATOR64_BYTES, LOCATOR64_BYTES);

    if (p == NULL || le32(p) != LOCATOR64_SIG)
        return missing();
    p = look(w, (int64_t)(le64(p + 8) & INT64_MAX), END64_BYTES);
    if (p == NULL || le32(p) != END64_SIG)
        return missing();
    d->entries = (int64_t)(le64(p + 32) & INT64_MAX);
    d->size = (int64_t)(le64(p + 40) & INT64_MAX);
    d->offset = (int64_t)(le64(p + 48) & INT64_MAX);
    return ZIP_OK;
}

static int find_directory(struct window *w, struct directory *d)
{
    int64_t end = find_end(w);
    const unsigned char *p;

    if (end < 0)
        return end == -1 ? ZIP_BROKEN : (int)end;
    p = look(w, end, END_BYTES);
    if (p == NULL)
        return missing();
    d->entries = le16(p + 10);
    d->size = le32(p + 12);
    d->offset = le32(p + 16);
    if (d->entries == 0xffff || d->size == 0xffffffff || d->offset == 0xffffffff) {
        int rc = read_end64(w, end, d);
        if (rc != ZIP_OK)
            return rc;
    }
    if (d->offset > w->size || d->size > w->size - d->offset)
        return ZIP_BROKEN;
    return ZIP_OK;
}

static bool name_is(const unsigned char *name, uint32_t n, const char *want)
{
    return n == strlen(want) && memcmp(name, want, n) == 0;
}

static void note_name(struct zip_summary *s, const unsigned char *name, uint32_t n)
{
    s->has_document_xml = s->has_document_xml || name_is(name, n, "word/document.xml");
    s->has_content_types = s->has_content_types || name_is(name, n, "[Content_Types].xml");
    s->has_container_xml = s->has_container_xml || name_is(name, n, "META-INF/container.xml");
    s->has_content_xml = s->has_content_xml || name_is(name, n, "content.xml");
}

/* The unpacked size of an entry whose 32-bit field is full: first field of extra block 1. */
static uint64_t size64(const unsigned char *extra, uint32_t n)
{
    while (n >= 4) {
        uint32_t id = le16(extra), len = le16(extra + 2);
        if (len > n - 4)
            break;
        if (id == EXTRA_SIZES64 && len >= 8)
            return le64(extra + 4);
        extra += 4 + len;
        n -= 4 + len;
    }
    return 0xffffffff;
}

static void add_size(struct zip_summary *s, uint64_t unpacked)
{
    int64_t n = unpacked > INT64_MAX ? INT64_MAX : (int64_t)unpacked;

    s->unpacked = s->unpacked > INT64_MAX - n ? INT64_MAX : s->unpacked + n;
}

/* The entry at offset; *next is where the one after it begins. */
static int read_entry(struct window *w, int64_t offset, struct zip_summary *s, int64_t *next)
{
    const unsigned char *p = look(w, offset, CENTRAL_BYTES);
    uint32_t name_len, extra_len, comment_len;
    uint64_t unpacked;

    if (p == NULL || le32(p) != CENTRAL_SIG)
        return missing();
    s->encrypted = s->encrypted || (le16(p + 8) & 1) != 0;
    unpacked = le32(p + 24);
    name_len = le16(p + 28);
    extra_len = le16(p + 30);
    comment_len = le16(p + 32);
    if (name_len <= NAME_MAX_BYTES) {
        p = look(w, offset + CENTRAL_BYTES, name_len);
        if (p == NULL)
            return missing();
        note_name(s, p, name_len);
    }
    if (unpacked == 0xffffffff && extra_len > 0) {
        p = look(w, offset + CENTRAL_BYTES + name_len, extra_len);
        if (p == NULL)
            return missing();
        unpacked = size64(p, extra_len);
    }
    add_size(s, unpacked);
    *next = offset + CENTRAL_BYTES + name_len + extra_len + comment_len;
    return ZIP_OK;
}

/* ODF and EPUB begin with a stored entry `mimetype`, so that anybody can tell them apart. */
static int read_mimetype(struct window *w, struct zip_summary *s)
{
    const unsigned char *p = look(w, 0, LOCAL_BYTES);
    uint32_t name_len, extra_len, size, method;

    if (p == NULL || le32(p) != LOCAL_SIG)
        return errno != 0 ? -errno : ZIP_OK;
    method = le16(p + 8);
    size = le32(p + 18);
    name_len = le16(p + 26);
    extra_len = le16(p + 28);
    if (method != 0 || name_len != 8 || size == 0 || size >= sizeof s->mimetype)
        return ZIP_OK;
    p = look(w, LOCAL_BYTES, name_len);
    if (p == NULL || !name_is(p, name_len, "mimetype"))
        return errno != 0 ? -errno : ZIP_OK;
    p = look(w, LOCAL_BYTES + name_len + extra_len, size);
    if (p == NULL)
        return errno != 0 ? -errno : ZIP_OK;
    memcpy(s->mimetype, p, size);
    s->mimetype[size] = '\0';
    s->mimetype[strcspn(s->mimetype, " \t\r\n")] = '\0';
    return ZIP_OK;
}

int zip_summarise(int fd, int64_t size, struct zip_summary *s)
{
    struct window w = {.fd = fd, .size = size};
    struct directory d = {0};
    int rc;

    *s = (struct zip_summary){0};
    rc = read_mimetype(&w, s);
    if (rc == ZIP_OK)
        rc = find_directory(&w, &d);
    if (rc != ZIP_OK)
        return rc;
    /* The directory's length decides, not the count it claims: the 16-bit count of a large archive wraps. */
    for (int64_t at = d.offset; at < d.offset + d.size;) {
        if (s->entries >= ZIP_MAX_ENTRIES)
            return ZIP_TOO_MANY;
        rc = read_entry(&w, at, s, &at);
        if (rc != ZIP_OK)
            return rc;
        s->entries++;
    }
    return s->entries == 0 || (d.entries & 0xffff) != (s->entries & 0xffff) ? ZIP_BROKEN : ZIP_OK;
}
