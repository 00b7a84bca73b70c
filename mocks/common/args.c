/*
 * args.c - the flags of a mock: the common ones, the program's own, and one for each fault it knows
 *
 * `--name value` and `--name=value`. Wrong flags end the program with 2 and a sentence.
 *
 * Depends on common.
 */
#include "common/mock_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_number(const char *flag, const char *value, int64_t most, int64_t *out, struct error *e)
{
    char *end;

    errno = 0;
    *out = strtoll(value, &end, 10);
    if (*end != '\0' || end == value || errno != 0 || *out < 0 || *out > most)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--%s %s: a number up to %lld is wanted", flag, value,
                         (long long)most);
    return 0;
}

static int take_faults(struct mock *m, const char *value, struct error *e)
{
    json_t *what = value[0] == '@' ? json_load_file(value + 1, 0, NULL) : json_loads(value, 0, NULL);
    int r;

    if (what == NULL)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--faults: JSON, or @FILE with it, is wanted");
    r = fault_book_apply(m->faults, what, e);
    json_decref(what);
    return r;
}

static int take_common(struct mock *m, const char *flag, const char *value, struct error *e)
{
    int64_t n = 0;
    int r = 0;

    if (strcmp(flag, "port") == 0) {
        r = take_number(flag, value, 65535, &n, e);
        m->port = (int)n;
    } else if (strcmp(flag, "seed") == 0) {
        r = take_number(flag, value, INT64_MAX, &n, e);
        m->seed = (uint64_t)n;
    } else if (strcmp(flag, "state") == 0) {
        m->state_file = value;
    } else if (strcmp(flag, "faults") == 0) {
        r = take_faults(m, value, e);
    } else {
        r = 1;
    }
    return r;
}

static void print_manual(const struct mock *m)
{
    const struct mock_program *p = m->program;

    printf("%s - %s\n\nusage: %s [flags]\n\n", p->name, p->purpose, p->name);
    printf("  --port N              port on 127.0.0.1 (default %d; 0: any); printed as `listening on 127.0.0.1:N`\n"
           "  --seed N              of the faults' dice and of what is generated (default 1)\n"
           "  --state FILE          keep requests, journal and data over a restart\n"
           "  --faults JSON|@FILE   as a PUT to /__faults\n",
           p->port);
    for (const struct mock_option *o = p->options; o->flag != NULL; o++) {
        char usage[64];

        snprintf(usage, sizeof usage, "--%s %s", o->flag, o->value != NULL ? o->value : "");
        printf("  %-21s %s\n", usage, o->help);
    }
    printf("\nbehaviour, also at run time by GET, PUT, POST and DELETE of /__faults:\n"
           "  --delay fixed:MS | uniform:MIN:MAX | lognormal:MEDIAN:SIGMA\n"
           "  --failure-rate P  --status-codes 500:3,503:1\n"
           "  --requests-per-minute N  --tokens-per-minute N\n"
           "\nfaults, each --NAME PROBABILITY or --NAME '{\"probability\": P, \"count\": N, \"after\": N, \"path\": "
           "PREFIX,\n\"match\": TEXT, ...}':\n");
    for (int k = 0; k < FAULT_KIND_COUNT; k++)
        if (fault_known((enum fault_kind)k, p->family))
            printf("  %-22s %s\n", fault_name((enum fault_kind)k), fault_meaning((enum fault_kind)k));
}

static const struct mock_option *option_of(const struct mock_program *p, const char *flag)
{
    for (const struct mock_option *o = p->options; o->flag != NULL; o++)
        if (strcmp(o->flag, flag) == 0)
            return o;
    return NULL;
}

static int take_flag(struct mock *m, const char *flag, const char *value, struct error *e)
{
    const struct mock_option *o = option_of(m->program, flag);
    int r;

    if (o != NULL)
        return o->take(m->program->state, value, e);
    r = take_common(m, flag, value, e);
    if (r <= 0)
        return r;
    if (fault_book_has_flag(m->faults, flag))
        return fault_book_flag(m->faults, flag, value, e);
    return error_set(e, -EINVAL, ERR_PERMANENT, "bad_flag", "--%s: no such flag; --help lists them", flag);
}

int args_take(struct mock *m, int argc, char **argv, struct error *e)
{
    for (int i = 1; i < argc; i++) {
        char flag[64];
        const char *value = strchr(argv[i], '=');
        const struct mock_option *o;
        int r;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_manual(m);
            return 1;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return error_set(e, -EINVAL, ERR_PERMANENT, "bad_flag", "%s: flags begin with --", argv[i]);
        snprintf(flag, sizeof flag, "%.*s", (int)strcspn(argv[i] + 2, "="), argv[i] + 2);
        o = option_of(m->program, flag);
        if (value != NULL)
            value++;
        else if (o != NULL && o->value == NULL)
            value = "";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return error_set(e, -EINVAL, ERR_PERMANENT, "bad_flag", "--%s: a value is wanted", flag);
        r = take_flag(m, flag, value, e);
        if (r < 0)
            return r;
    }
    return 0;
}
