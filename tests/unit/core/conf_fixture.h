/*
 * conf_fixture.h - for tests of the configuration: a directory of its own, a good beginning, accepted or refused
 *
 * Included once by a test file; everything is static.
 */
#include "core/conf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#undef CR_API /* criterion's own macro hides the role of that name */

#define GOOD                                                                                                           \
    "database = { url = \"host=/run/pg dbname=d user=u password=hunter2\" };"                                          \
    "blob = { backend = \"fs\"; fs = { root = \"/srv/blobs\"; }; };"                                                   \
    "embedder = { name = \"builtin\" };\n"

static char dir[64];
static char path[128];
static void *ctx;
static struct error err;

static void start(void)
{
    strcpy(dir, "/tmp/docmill-conf-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/docmill.conf", dir);
    ctx = talloc_new(NULL);
    memset(&err, 0, sizeof err);
}

static void stop(void)
{
    char command[128];

    talloc_free(ctx);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

static inline void write_file(const char *name, const char *text, size_t n)
{
    char file[256];

    FILE *f;

    snprintf(file, sizeof file, "%s/%s", dir, name);
    f = fopen(file, "w");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, n, f), n);
    cr_assert_eq(fchmod(fileno(f), 0600), 0);
    cr_assert_eq(fclose(f), 0);
}

static inline struct conf *load(const char *text)
{
    write_file("docmill.conf", text, strlen(text));
    return conf_load(ctx, path, &err);
}

/* GOOD and this text must fail, with each of the words in the message or the hint. */
static inline void refused(const char *text, const char *in_message, const char *in_hint)
{
    char *all = talloc_asprintf(ctx, "%s%s", GOOD, text);

    cr_assert_null(load(all), "accepted: %s", text);
    cr_expect_str_eq(err.reason, "bad_config");
    cr_expect_eq(err.code, -EINVAL);
    cr_expect(strstr(err.message, in_message) != NULL, "%s\n gave: %s\n want: %s", text, err.message, in_message);
    if (in_hint != NULL)
        cr_expect(strstr(err.hint, in_hint) != NULL, "%s\n gave: %s\n want: %s", text, err.hint, in_hint);
}

static inline struct conf *accepted(const char *text)
{
    char *all = talloc_asprintf(ctx, "%s%s", GOOD, text);
    struct conf *c = load(all);

    cr_assert_not_null(c, "%s\n gave: %s (%s)", text, err.message, err.hint);
    return c;
}
