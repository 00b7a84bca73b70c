/*
 * fuzz_core_conf.c - any text as a configuration file: an answer, never a crash, never an opened file
 *
 * The text reaches conf_load() through a memfd. What loads must survive export and import with every key the same, and
 * a fault must be filled in. `@include` of other files is taken out of the input, so that a run depends on nothing.
 */
#include "core/conf.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <talloc.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the text it was collecting when a syntax error ends the scan: some bytes a broken file. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

static void must(int good)
{
    if (!good)
        abort();
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

#define SAME_STR(f)      must(same_text(c->f, back->f))
#define SAME_PATH(f)     SAME_STR(f)
#define SAME_ENUM(f)     SAME_STR(f)
#define SAME_INT(f)      must(c->f == back->f)
#define SAME_BOOL(f)     SAME_INT(f)
#define SAME_SIZE(f)     SAME_INT(f)
#define SAME_DURATION(f) SAME_INT(f)

static void check_good(void *ctx, const struct conf *c)
{
    struct error e;
    int fd = conf_export(c, CR_ALL, &e);
    struct conf *back;

    must(fd >= 0);
    back = conf_import(ctx, fd, &e);
    close(fd);
    must(back != NULL);
#define X_SAME(f, key, type, def, lo, hi, flags, roles, help)                                                          \
    if ((roles) != 0)                                                                                                  \
        SAME_##type(f);
    CONF_KEYS(X_SAME)
#undef X_SAME
    must(c->n_pools == back->n_pools);
    must(memcmp(c->pools, back->pools, sizeof c->pools) == 0);
}

static void check_shown(const char *path, FILE *null)
{
    must(conf_test(path, null, NULL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *null;
    static char path[64];
    static int fd = -1;
    struct error e = {0};
    struct conf *c;
    void *ctx;

    if (memmem(data, size, "@include", 8) != NULL || memmem(data, size, "_file", 5) != NULL)
        return 0;
    if (fd < 0) {
        clearenv();
        null = fopen("/dev/null", "w");
        fd = memfd_create("conf", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        must(fd >= 0 && null != NULL);
    }
    must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    ctx = talloc_new(NULL);
    c = conf_load(ctx, path, &e);
    if (c != NULL) {
        check_good(ctx, c);
        conf_dump(c, null);
    } else {
        must(e.code < 0 && e.message[0] != '\0');
        check_shown(path, null);
    }
    talloc_free(ctx);
    return 0;
}
