/*
 * test_conf_print.c - what is shown of a configuration: the example, the manual page, -t, -T, and nothing secret
 */
#include "base/files.h"
#include "core/conf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

static char dir[64];
static char path[128];
static void *ctx;
static struct error err;

static void start(void)
{
    strcpy(dir, "/tmp/docmill-print-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/docmill.conf", dir);
    ctx = talloc_new(NULL);
}

static void stop(void)
{
    char command[128];

    talloc_free(ctx);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(conf_print, .init = start, .fini = stop);

static char *taken(char **text)
{
    char *copy = talloc_strdup(ctx, *text);

    free(*text);
    return copy;
}

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    print(out);
    fclose(out);
    return taken(&text);
}

static void put_file(const char *file, const char *text)
{
    FILE *f = fopen(file, "w");

    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fchmod(fileno(f), 0600), 0);
    cr_assert_eq(fclose(f), 0);
}

static void write_conf(const char *text)
{
    put_file(path, text);
}

static char *tested(const char *conf, int *faults)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    write_conf(conf);
    *faults = conf_test(path, out, NULL);
    fclose(out);
    return taken(&text);
}

static char *dumped(const char *conf)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    struct conf *c;

    write_conf(conf);
    c = conf_load(ctx, path, &err);
    cr_assert_not_null(c, "%s", err.message);
    conf_dump(c, out);
    fclose(out);
    return taken(&text);
}

static void expect_in(const char *text, const char *part)
{
    cr_expect(strstr(text, part) != NULL, "%s\n lacks: %s", text, part);
}

static void expect_not_in(const char *text, const char *part)
{
    cr_expect(strstr(text, part) == NULL, "%s\n holds: %s", text, part);
}

Test(conf_print, the_example_in_etc_is_what_the_table_prints)
{
    char *file;
    size_t n;

    cr_assert_eq(file_read(ctx, DOCMILL_SOURCE_DIR "/etc/docmill.conf", 1 << 20, &file, &n, &err), 0, "%s",
                 err.message);
    cr_expect_str_eq(file, printed(conf_print_example));
}

Test(conf_print, the_example_loads)
{
    struct conf *c;

    write_conf(printed(conf_print_example));
    c = conf_load(ctx, path, &err);
    cr_assert_not_null(c, "%s", err.message);
    cr_expect_str_eq(c->blob_fs_root, "/var/lib/docmill/blobs");
    cr_expect_eq(c->n_pools, 3);
}

/* "    # key = value;" of every line that shows a default or the pools. */
static char *uncommented(char *text)
{
    char *out = talloc_strdup(ctx, "");

    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *hash = strchr(line, '#');
        size_t n = strlen(line);
        bool is_default = hash != NULL && hash[1] == ' ' && line[n - 1] == ';' && strstr(hash, "...") == NULL &&
                          strstr(hash, "_file") == NULL && strstr(hash, " = ") != NULL;
        bool is_pools = hash == line && (strncmp(line, "# pools", 7) == 0 || strncmp(line, "#     {", 7) == 0 ||
                                         strncmp(line, "# collections =", 15) == 0 || strcmp(line, "# );") == 0);
        if (is_default || is_pools)
            *hash = ' ';
        out = talloc_asprintf_append(out, "%s\n", line);
    }
    return out;
}

Test(conf_print, the_example_still_loads_with_every_default_uncommented)
{
    char *text = uncommented(printed(conf_print_example));
    struct conf *c;

    write_conf(text);
    c = conf_load(ctx, path, &err);
    cr_assert_not_null(c, "%s", err.message);
    cr_expect_eq(c->pools_origin.source, CONF_SRC_FILE);
    cr_expect_eq(c->n_collections, 1);
    {
        static const char *const defaults[] = {
#define X_DEFAULT(field, key, type, def, ...) def,
            CONF_KEYS(X_DEFAULT)
#undef X_DEFAULT
        };
        for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
            if (defaults[i] != NULL)
                cr_expect_eq(c->origins[i].source, CONF_SRC_FILE, "key %zu was not in the example", i);
    }
}

Test(conf_print, the_manual_page_names_every_key_and_no_line_is_a_stray_request)
{
    char *man = printed(conf_print_man);

#define X_CHECK(field, key, ...) expect_in(man, ".B " key "\n");
    CONF_KEYS(X_CHECK)
#undef X_CHECK
    for (char *line = man; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line == '.')
            cr_expect(line[1] >= 'A' && line[1] <= 'Z' ? true
                                                       : strncmp(line, ".nf", 3) == 0 || strncmp(line, ".fi", 3) == 0,
                      "%.40s", line);
    }
}

#define GOOD                                                                                                           \
    "database = { url = \"postgresql://docmill:hunter2@db.example:5432/docmill?sslmode=verify-full\"; "                \
    "direct_url = \"host=/run/pg password='hun ter2' user=docmill\"; };\n"                                             \
    "blob = { backend = \"fs\"; fs = { root = \"/srv/blobs\"; }; };\n"                                                 \
    "embedder = { name = \"builtin\"; };\n"                                                                            \
    "api = { token = \"hunter2hunter2hunter2\"; };\n"

Test(conf_print, a_dump_shows_values_with_their_source_and_no_secret)
{
    char *text = dumped(GOOD);

    expect_in(text, "database.url = \"postgresql://docmill:***@db.example:5432/docmill?sslmode=verify-full\"    # ");
    expect_in(text, "docmill.conf:1\n");
    expect_in(text, "database.direct_url = \"host=/run/pg password=*** user=docmill\"");
    expect_in(text, "api.token = \"***\"");
    expect_in(text, "limits.max_upload = \"256MB\"    # default");
    expect_in(text, "api.queue = 1000    # default");
    expect_in(text, "control.group = (unset)");
    expect_in(text, "{ name = \"workers\"; role = \"worker\";");
    expect_not_in(text, "hunter2");
    expect_not_in(text, "ter2");
}

Test(conf_print, a_dump_names_the_environment_and_secret_files)
{
    char file[200], *text;

    snprintf(file, sizeof file, "%s/token", dir);
    put_file(file, "s3cret-s3cret-s3cret\n");
    setenv("DOCMILL_API_QUEUE", "77", 1);
    setenv("DOCMILL_API_TOKEN_FILE", file, 1);
    text = dumped(GOOD);
    expect_in(text, "api.queue = 77    # environment DOCMILL_API_QUEUE");
    expect_in(text, "api.token = \"***\"    # file /tmp/docmill-print-");
    expect_not_in(text, "s3cret");
}

Test(conf_print, a_test_names_each_key_as_set_default_unset_or_missing)
{
    int faults;
    char *text = tested("database = { url = \"host=/x\"; };", &faults);

    cr_expect_eq(faults, 2);
    expect_in(text, "  database.url                   set      /tmp/docmill-print-");
    expect_in(text, "  blob.backend                   missing\n");
    expect_in(text, "  api.token                      unset\n");
    expect_in(text, "  api.listen                     default\n");
    expect_in(text, "docmill.conf: blob.backend: missing");
    expect_in(text, "DOCMILL_BLOB_BACKEND");
    expect_in(text, "docmill.conf: embedder.name: missing");
    expect_in(text, "docmill.conf has 2 errors\n");
}

Test(conf_print, a_test_shows_every_fault_and_no_secret)
{
    int faults;
    char *text = tested("api = { token = \"hunter2\"; queue = 0; listn = 1; };\n"
                        "limits = { max_pages = \"many\"; };\n",
                        &faults);

    cr_expect_eq(faults, 4, "%s", text);
    expect_in(text, "api.token: has the wrong length; allowed is a string of 16 to 400 characters");
    expect_in(text, "api.queue: out of bounds: found \"0\"");
    expect_in(text, "  api.queue                      wrong\n");
    expect_in(text, "  limits.max_pages               wrong\n");
    expect_in(text, "did you mean api.listen?");
    expect_in(text, "limits.max_pages: wrong type: found a string, allowed is an integer");
    expect_not_in(text, "hunter2");
}

Test(conf_print, a_good_file_is_said_to_be_good_with_warnings_for_what_looks_wrong)
{
    int faults;
    char *text;

    setenv("DOCMILL_DATABSE_URL", "x", 1);
    setenv("DOCMILL_SLOT", "1", 1);
    text = tested(GOOD, &faults);
    cr_expect_eq(faults, 0, "%s", text);
    expect_in(text, "docmill.conf is good\n");
    expect_in(text, "warning: environment DOCMILL_DATABSE_URL: no key has this name");
    expect_not_in(text, "DOCMILL_SLOT");
    expect_not_in(text, "everyone may read");
}

Test(conf_print, a_file_with_secrets_that_everyone_may_read_is_warned_of)
{
    int faults;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    write_conf(GOOD);
    cr_assert_eq(chmod(path, 0644), 0);
    faults = conf_test(path, out, NULL);
    fclose(out);
    cr_expect_eq(faults, 0);
    expect_in(text, "everyone may read this file, and api.token is in it");
    free(text);
}

struct mask_case {
    const char *url, *masked;
};

Test(conf_print, connection_strings_are_masked_by_what_is_known_to_be_harmless)
{
    static const struct mask_case cases[] = {
        {"postgresql://u:p@h/d", "postgresql://u:***@h/d"},
        {"postgres://u:p@h/d", "postgres://u:***@h/d"},
        {"postgresql://u@h/d", "postgresql://u@h/d"},
        {"postgresql:///d?host=/run/pg&user=u", "postgresql:///d?host=/run/pg&user=u"},
        {"postgresql://h/d?password=p&sslmode=require", "postgresql://h/d?password=***&sslmode=require"},
        {"postgresql://h/d?p%61ssword=p", "postgresql://h/d?p%61ssword=***"},
        {"postgresql://u:p@ss@h/d", "postgresql://u:***@h/d"},
        {"postgresql://u:p?ss@h/d", "postgresql://***"},
        {"postgresql://u:pa/ss@h/d", "postgresql://u:***@h/d"},
        {"postgresql://h/d?sslpassword=p", "postgresql://h/d?sslpassword=***"},
        {"postgresql://h/d?bare", "postgresql://h/d?***"},
        {"host=h password=p dbname=d", "host=h password=*** dbname=d"},
        {"password = 'p q' host=h", "password=*** host=h"},
        {"password='p\\' q' host=h", "password=*** host=h"},
        {"password=p\\ q host=h", "password=*** host=h"},
        {"password='open", "***"},
        {"dbname='postgresql://u:p@h/d' user=u", "dbname=*** user=u"},
        {"dbname='password=p' user=u", "dbname=*** user=u"},
        {"passwordp", "***"},
        {"", ""},
    };
    char out[200];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        conf_mask_url(cases[i].url, out, sizeof out);
        cr_expect_str_eq(out, cases[i].masked, "%s gave %s", cases[i].url, out);
    }
    conf_mask_url("postgresql://user:p@h/d", out, 10);
    cr_expect_str_eq(out, "postgresq");
}
