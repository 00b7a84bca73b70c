/*
 * docmilld_migrate.c - `docmilld migrate up | down [--to N] [--drop-data] | status`
 *
 * The one place where the owner's connection string is used: database.migrate_url, else database.direct_url, else
 * database.url. No role is set: who migrates must be able to create roles and tables.
 *
 * Depends on core, db.
 */
#include "docmilld.h"

#include "core/conf.h"
#include "db/migrate.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct migrate_args {
    const char *verb;
    int to; /* -1: one less than now */
    bool drop_data;
};

static int usage(const char *complaint)
{
    fprintf(stderr, "docmilld migrate: %s\n  docmilld [-c FILE] migrate up | down [--to N] [--drop-data] | status\n",
            complaint);
    return EXIT_USAGE;
}

static int parse_number(const char *text, int *out)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < 0 || v > 9999)
        return -EINVAL;
    *out = (int)v;
    return 0;
}

/* 0, or the exit status. */
static int parse(int argc, char **argv, struct migrate_args *a)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 'n'}, {"drop-data", no_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
    int opt;

    *a = (struct migrate_args){.to = -1};
    optind = 0; /* a new argv for getopt */
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'd')
            a->drop_data = true;
        else if (opt != 'n')
            return usage("unknown option");
        else if (parse_number(optarg, &a->to) != 0)
            return usage("--to wants the number of a schema version");
    }
    if (optind != argc - 1)
        return usage("say up, down or status");
    a->verb = argv[optind];
    if (strcmp(a->verb, "up") != 0 && strcmp(a->verb, "down") != 0 && strcmp(a->verb, "status") != 0)
        return usage("say up, down or status");
    if (strcmp(a->verb, "down") != 0 && (a->to >= 0 || a->drop_data))
        return usage("--to and --drop-data belong to down");
    return 0;
}

static int act(struct pg *p, const struct migrate_args *a, struct error *e)
{
    int now = 0, r;

    if (strcmp(a->verb, "up") == 0)
        return migrate_up(p, stdout, e);
    if (strcmp(a->verb, "status") == 0)
        return migrate_status(p, stdout, e);
    if (a->to >= 0)
        return migrate_down(p, a->to, a->drop_data, stdout, e);
    r = migrate_check(p, &now, e);
    if (r != 0 && now == 0) /* one that this program cannot run on can be gone back from all the same */
        return r;
    return migrate_down(p, now > 0 ? now - 1 : 0, a->drop_data, stdout, e);
}

static const char *owner_url(const struct conf *c)
{
    return c->database_migrate_url != NULL  ? c->database_migrate_url
           : c->database_direct_url != NULL ? c->database_direct_url
                                            : c->database_url;
}

int docmilld_migrate(int argc, char **argv, const char *conf_path)
{
    struct migrate_args a;
    struct error e = {0};
    struct conf *c;
    struct pg *p;
    int r = parse(argc, argv, &a);

    if (r != 0)
        return r;
    c = docmilld_load(conf_path);
    if (c == NULL)
        return EXIT_CONF;
    p = pg_new(c, &(struct pg_options){.url = owner_url(c),
                                       .application = "docmilld migrate",
                                       .connect_timeout_ms = c->database_connect_timeout,
                                       .statement_timeout_ms = c->database_statement_timeout});
    r = act(p, &a, &e);
    if (r != 0 && e.hint[0] == '\0' && strcmp(pg_sqlstate(p), "42501") == 0)
        error_hint(&e,
                   "Migrations connect with database.migrate_url: its role must be allowed to create roles, schemas "
                   "and extensions.");
    pg_free(&p);
    talloc_free(c);
    if (r == 0)
        return EXIT_OK;
    fprintf(stderr, "docmilld migrate: %s\n", e.message);
    if (e.hint[0] != '\0')
        fprintf(stderr, "  %s\n", e.hint);
    return EXIT_FAILED;
}
