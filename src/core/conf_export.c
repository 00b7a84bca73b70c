/*
 * conf_export.c - a configuration in a sealed memfd, and back
 *
 * Format: msgpack [version, {key: value, ...}, [[pool fields...], ...], [[collection fields...], ...], [[key, former
 * secret, until], ...]]. Only keys that the role may see are written,
 * so a child never holds a secret that is not its own. The seals say that nobody changed it after the master wrote it;
 * the reader refuses a descriptor without them.
 *
 * Depends on msgpack, talloc.
 */
#include "core/conf_internal.h"
#include "base/files.h"
#include "core/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <msgpack.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#define EXPORT_VERSION      3
#define EXPORT_MAX_BYTES    ((off_t)256 * 1024)
#define SEALS               (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define N_POOL_FIELDS       11
#define N_COLLECTION_FIELDS 5
#define N_FORMER_FIELDS     3

static void pack_text(msgpack_packer *p, const char *s)
{
    msgpack_pack_str_with_body(p, s, strlen(s));
}

static bool exported(const struct conf *c, unsigned role, int key)
{
    const char **text = conf_field_text((struct conf *)(uintptr_t)c, key);

    return (conf_keys[key].roles & role) != 0 && (text == NULL || *text != NULL);
}

static void pack_key(msgpack_packer *p, struct conf *c, int key)
{
    const char **text = conf_field_text(c, key);
    const int64_t *n = conf_field_int(c, key);

    pack_text(p, conf_keys[key].name);
    if (text != NULL)
        pack_text(p, *text);
    else if (n != NULL)
        msgpack_pack_int64(p, *n);
    else if (*conf_field_bool(c, key))
        msgpack_pack_true(p);
    else
        msgpack_pack_false(p);
}

static void pack_pool(msgpack_packer *p, const struct pool_conf *pool)
{
    msgpack_pack_array(p, N_POOL_FIELDS);
    pack_text(p, pool->name);
    msgpack_pack_int64(p, pool->role);
    msgpack_pack_int64(p, pool->stages);
    msgpack_pack_int64(p, pool->lane_min);
    msgpack_pack_int64(p, pool->lane_max);
    msgpack_pack_int64(p, pool->min);
    msgpack_pack_int64(p, pool->max);
    msgpack_pack_int64(p, pool->spare);
    msgpack_pack_int64(p, pool->max_jobs);
    msgpack_pack_int64(p, pool->max_age_ms);
    msgpack_pack_int64(p, pool->max_memory);
}

static void pack_collection(msgpack_packer *p, const struct collection_conf *c)
{
    msgpack_pack_array(p, N_COLLECTION_FIELDS);
    pack_text(p, c->name);
    pack_text(p, c->model);
    pack_text(p, c->price);
    msgpack_pack_int64(p, c->outside);
    msgpack_pack_int64(p, c->dimension);
}

static void pack_formers(msgpack_packer *p, const struct conf *c, unsigned role)
{
    size_t n = 0;

    for (int i = 0; i < c->n_formers; i++)
        n += (conf_keys[c->formers[i].key].roles & role) != 0;
    msgpack_pack_array(p, n);
    for (int i = 0; i < c->n_formers; i++) {
        const struct conf_former *f = &c->formers[i];
        if ((conf_keys[f->key].roles & role) == 0)
            continue;
        msgpack_pack_array(p, N_FORMER_FIELDS);
        pack_text(p, conf_keys[f->key].name);
        pack_text(p, f->text);
        msgpack_pack_int64(p, f->until_ms);
    }
}

static void pack_conf(msgpack_packer *p, struct conf *c, unsigned role)
{
    size_t n = 0;

    for (int i = 0; i < CONF_N_KEYS; i++)
        n += exported(c, role, i);
    msgpack_pack_array(p, 5);
    msgpack_pack_int64(p, EXPORT_VERSION);
    msgpack_pack_map(p, n);
    for (int i = 0; i < CONF_N_KEYS; i++)
        if (exported(c, role, i))
            pack_key(p, c, i);
    msgpack_pack_array(p, (size_t)c->n_pools);
    for (int i = 0; i < c->n_pools; i++)
        pack_pool(p, &c->pools[i]);
    msgpack_pack_array(p, (size_t)c->n_collections);
    for (int i = 0; i < c->n_collections; i++)
        pack_collection(p, &c->collections[i]);
    pack_formers(p, c, role);
}

int conf_export_into(const struct conf *c, unsigned role, int fd, struct error *e)
{
    msgpack_sbuffer buf;
    msgpack_packer p;
    int rc;

    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&p, &buf, msgpack_sbuffer_write);
    pack_conf(&p, (struct conf *)(uintptr_t)c, role);
    rc = file_write_all(fd, buf.data, buf.size);
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        rc = -errno;
    explicit_bzero(buf.data, buf.size);
    msgpack_sbuffer_destroy(&buf);
    return rc == 0 ? 0 : reason_error(e, REASON_file_error, rc, "cannot fill or seal a memfd: %s", strerror(-rc));
}

int conf_export(const struct conf *c, unsigned role, struct error *e)
{
    int fd = memfd_create("docmill-conf", MFD_ALLOW_SEALING);
    int rc;

    if (fd < 0)
        return reason_error(e, REASON_file_error, errno, "cannot make a memfd: %s", strerror(errno));
    rc = conf_export_into(c, role, fd, e);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int bad_import(struct error *e, const char *what)
{
    return reason_error(e, REASON_bad_config, -EPROTO, "the configuration handed to this process is wrong: %s", what);
}

static bool get_int(const msgpack_object *o, int64_t *out)
{
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX)
        *out = (int64_t)o->via.u64;
    else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *out = o->via.i64;
    else
        return false;
    return true;
}

static char *get_text(struct conf *c, const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_STR && o->via.str.size == 0) /* its pointer may be NULL */
        return talloc_strdup(c, "");
    if (o->type != MSGPACK_OBJECT_STR || memchr(o->via.str.ptr, '\0', o->via.str.size) != NULL)
        return NULL;
    return talloc_strndup(c, o->via.str.ptr, o->via.str.size);
}

static int unpack_key(struct conf *c, const msgpack_object_kv *kv, struct error *e)
{
    char *name = get_text(c, &kv->key);
    int key = name != NULL ? conf_find_key(name) : -1;
    bool good = false;

    talloc_free(name);
    if (key < 0)
        return bad_import(e, "it has a key that this program does not know");
    if (conf_field_text(c, key) != NULL)
        good = (*conf_field_text(c, key) = get_text(c, &kv->val)) != NULL;
    else if (conf_field_int(c, key) != NULL)
        good = get_int(&kv->val, conf_field_int(c, key));
    else if (kv->val.type == MSGPACK_OBJECT_BOOLEAN) {
        *conf_field_bool(c, key) = kv->val.via.boolean;
        good = true;
    }
    return good ? 0 : bad_import(e, "a value has the wrong type");
}

static int unpack_pool(struct conf *c, const msgpack_object *o, struct error *e)
{
    struct pool_conf *p = &c->pools[c->n_pools];
    int64_t n[N_POOL_FIELDS] = {0};
    const msgpack_object *f = o->via.array.ptr;

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != N_POOL_FIELDS || f[0].type != MSGPACK_OBJECT_STR ||
        f[0].via.str.size >= sizeof p->name)
        return bad_import(e, "a pool has the wrong form");
    for (int i = 1; i < N_POOL_FIELDS; i++)
        if (!get_int(&f[i], &n[i]) || n[i] < 0 || (i <= 7 && n[i] > INT32_MAX))
            return bad_import(e, "a pool's number is out of bounds");
    if (n[1] > POOL_WORKER)
        return bad_import(e, "a pool has an unknown role");
    memcpy(p->name, f[0].via.str.ptr, f[0].via.str.size);
    p->role = (enum pool_role)n[1];
    p->stages = (uint32_t)n[2];
    p->lane_min = (int)n[3];
    p->lane_max = (int)n[4];
    p->min = (int)n[5];
    p->max = (int)n[6];
    p->spare = (int)n[7];
    p->max_jobs = n[8];
    p->max_age_ms = n[9];
    p->max_memory = n[10];
    c->n_pools++;
    return 0;
}

static bool get_chars(const msgpack_object *o, char *out, size_t size)
{
    if (o->type != MSGPACK_OBJECT_STR || o->via.str.size >= size)
        return false;
    if (o->via.str.size > 0) /* its pointer may be NULL */
        memcpy(out, o->via.str.ptr, o->via.str.size);
    out[o->via.str.size] = '\0';
    return true;
}

static int unpack_collection(struct conf *c, const msgpack_object *o, struct error *e)
{
    struct collection_conf *one = &c->collections[c->n_collections];
    const msgpack_object *f = o->via.array.ptr;
    int64_t outside, dimension;

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != N_COLLECTION_FIELDS ||
        !get_chars(&f[0], one->name, sizeof one->name) || !get_chars(&f[1], one->model, sizeof one->model) ||
        !get_chars(&f[2], one->price, sizeof one->price) || !get_int(&f[3], &outside) || !get_int(&f[4], &dimension) ||
        dimension < 0 || dimension > INT32_MAX)
        return bad_import(e, "a collection has the wrong form");
    one->outside = outside != 0;
    one->dimension = (int)dimension;
    c->n_collections++;
    return 0;
}

static int unpack_former(struct conf *c, const msgpack_object *o, struct error *e)
{
    struct conf_former *one = &c->formers[c->n_formers];
    const msgpack_object *f = o->via.array.ptr;
    char name[80];

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != N_FORMER_FIELDS ||
        !get_chars(&f[0], name, sizeof name) || !get_int(&f[2], &one->until_ms))
        return bad_import(e, "a former secret has the wrong form");
    one->key = conf_find_key(name);
    one->text = get_text(c, &f[1]);
    if (one->key < 0 || (conf_keys[one->key].flags & CF_VERIFY) == 0 || one->text == NULL)
        return bad_import(e, "a former secret has the wrong form");
    c->n_formers++;
    return 0;
}

static int unpack_conf(struct conf *c, const msgpack_object *o, struct error *e)
{
    const msgpack_object *f = o->via.array.ptr;
    int64_t version = 0;
    int rc = 0;

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 5 || !get_int(&f[0], &version) ||
        version != EXPORT_VERSION)
        return bad_import(e, "it has another version");
    if (f[1].type != MSGPACK_OBJECT_MAP || f[2].type != MSGPACK_OBJECT_ARRAY || f[2].via.array.size > CONF_MAX_POOLS ||
        f[3].type != MSGPACK_OBJECT_ARRAY || f[3].via.array.size > CONF_MAX_COLLECTIONS ||
        f[4].type != MSGPACK_OBJECT_ARRAY || f[4].via.array.size > CONF_MAX_FORMERS)
        return bad_import(e, "it has the wrong form");
    for (uint32_t i = 0; rc == 0 && i < f[1].via.map.size; i++)
        rc = unpack_key(c, &f[1].via.map.ptr[i], e);
    for (uint32_t i = 0; rc == 0 && i < f[2].via.array.size; i++)
        rc = unpack_pool(c, &f[2].via.array.ptr[i], e);
    for (uint32_t i = 0; rc == 0 && i < f[3].via.array.size; i++)
        rc = unpack_collection(c, &f[3].via.array.ptr[i], e);
    for (uint32_t i = 0; rc == 0 && i < f[4].via.array.size; i++)
        rc = unpack_former(c, &f[4].via.array.ptr[i], e);
    return rc;
}

/* The bytes that follow a type byte (length field and body) and the values inside it. False: no type that we write. */
static bool measure(const uint8_t *p, size_t left, size_t *bytes, size_t *inside)
{
    uint8_t t = p[0];

    *bytes = *inside = 0;
    if (t < 0x80 || t >= 0xe0 || t == 0xc2 || t == 0xc3) /* small integers, false, true */
        return true;
    if (t <= 0x9f) /* short map or array */
        *inside = (t < 0x90 ? 2 : 1) * (size_t)(t & 15);
    else if (t <= 0xbf) /* short text */
        *bytes = t & 31u;
    else if (t >= 0xcc && t <= 0xd3) /* integers of 1, 2, 4, 8 bytes */
        *bytes = (size_t)1 << ((t - 0xcc) & 3);
    else if (t == 0xd9 && left > 1)
        *bytes = 1u + p[1];
    else if (t == 0xda && left > 2)
        *bytes = 2 + (size_t)p[1] * 256 + p[2];
    else if ((t == 0xdc || t == 0xde) && left > 2) {
        *bytes = 2;
        *inside = (t == 0xde ? 2 : 1) * ((size_t)p[1] * 256 + p[2]);
    } else
        return false;
    return true;
}

/* One value whose containers hold no more than the bytes can: the library allocates by what a header announces. */
static bool is_plausible(const char *buf, size_t n)
{
    const uint8_t *p = (const uint8_t *)buf;
    size_t wanted = 1, bytes, inside;

    while (wanted > 0) {
        if (wanted > n || !measure(p, n, &bytes, &inside) || bytes >= n)
            return false;
        p += 1 + bytes;
        n -= 1 + bytes;
        wanted += inside - 1;
    }
    return n == 0;
}

/* The bytes of a sealed descriptor; *n their number. NULL with *e set. */
static char *read_sealed(const void *parent, int fd, size_t *n, struct error *e)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    char *buf;

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0) {
        (void)bad_import(e, "its descriptor is not a sealed memfd");
        return NULL;
    }
    if (st.st_size <= 0 || st.st_size > EXPORT_MAX_BYTES) {
        (void)bad_import(e, "its size is out of bounds");
        return NULL;
    }
    *n = (size_t)st.st_size;
    buf = talloc_size(parent, *n);
    if (buf == NULL || pread(fd, buf, *n, 0) != (ssize_t)*n) {
        (void)bad_import(e, "it cannot be read");
        talloc_free(buf);
        return NULL;
    }
    return buf;
}

struct conf *conf_import(const void *talloc_parent, int fd, struct error *e)
{
    msgpack_unpacked m;
    struct conf *c;
    size_t n = 0, used = 0;
    char *buf = read_sealed(talloc_parent, fd, &n, e);
    int rc;

    if (buf == NULL)
        return NULL;
    c = conf_new(talloc_parent);
    msgpack_unpacked_init(&m);
    if (!is_plausible(buf, n) || msgpack_unpack_next(&m, buf, n, &used) != MSGPACK_UNPACK_SUCCESS || used != n)
        rc = bad_import(e, "it is not one value of msgpack");
    else
        rc = unpack_conf(c, &m.data, e);
    msgpack_unpacked_destroy(&m);
    explicit_bzero(buf, n);
    talloc_free(buf);
    if (rc != 0) {
        talloc_free(c);
        return NULL;
    }
    return c;
}
