/*
 * docmilld.c - the daemon's command line
 *
 * Runs the master in the foreground, answers questions about the configuration, migrates the database, and (for the
 * master's use only) becomes a child: `docmilld --child ROLE`.
 *
 * Exit status: 0 as asked; 1 failed; 2 wrong usage; 78 the configuration is not good. Children: 70 could not begin.
 *
 * Depends on core, db (migrate), master, and each role's main.
 */
#include "docmilld.h"
#include "docmilld_cli.h"

#include "base/log.h"
#include "base/streams.h"
#include "confine/confine.h"
#include "core/conf.h"
#include "core/state.h"
#include "db/pg.h"
#include "master/master.h"
#include "proc/child.h"
#include "proc/logs.h"
#include "provider/providers_page.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

static const struct {
    const char *role;
    int (*main)(void);
} children[] = {
    {"coordinator", coordinator_main},
    {"api", api_main},
    {"worker", worker_main},
};

static int become(const char *role)
{
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++)
        if (strcmp(children[i].role, role) == 0)
            return children[i].main();
    fprintf(stderr, "docmilld: there is no role \"%s\"\n", role);
    return EXIT_USAGE;
}

struct conf *docmilld_load(const char *path)
{
    struct error e = {0};
    struct conf *c = conf_load(NULL, path, &e);

    if (c != NULL)
        return c;
    fprintf(stderr, "docmilld: %s\n", e.message);
    if (e.hint[0] != '\0')
        fprintf(stderr, "  %s\n", e.hint);
    if (access(path, F_OK) != 0)
        fputs("  Name another with -c FILE; `docmilld --example` prints one to begin with.\n", stderr);
    else
        fprintf(stderr, "  `docmilld -t -c %s` shows every key.\n", path);
    return NULL;
}

/* What core cannot know of a good configuration. NULL is good: another URL takes its place. Returns how many are wrong. */
static int check_urls(const struct conf *c, const char *before, FILE *out)
{
    const struct {
        const char *key, *url;
    } urls[] = {{"database.url", c->database_url},
                {"database.direct_url", c->database_direct_url},
                {"database.migrate_url", c->database_migrate_url}};
    int n = 0;

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct error e = {0};
        if (urls[i].url == NULL || pg_check_url(urls[i].url, &e) == 0)
            continue;
        fprintf(out, "%s: %s: %s\n  %s\n", before, urls[i].key, e.message, e.hint);
        n++;
    }
    return n;
}

/* In a process of its own: what libpq loads and touches stays out of the master, which has no use for it. */
static bool urls_are_good(const struct conf *c)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(check_urls(c, "docmilld", stderr) != 0 ? EXIT_CONF : EXIT_OK);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_CONF; /* else its children find out */
}

static int check_more(const struct conf *c, FILE *out)
{
    return check_urls(c, "error", out);
}

static int dump(const char *path)
{
    struct conf *c = docmilld_load(path);

    if (c == NULL)
        return EXIT_CONF;
    conf_dump(c, stdout);
    talloc_free(c);
    return EXIT_OK;
}

/* It is read again later, perhaps from elsewhere. Links are followed then, not now: they may be made to point to another
 * file. */
static char *absolute(const void *mem, const char *path)
{
    char *here = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *whole = here != NULL ? talloc_asprintf(mem, "%s/%s", here, path) : talloc_strdup(mem, path);

    free(here);
    return whole;
}

static int run(const char *path)
{
    struct conf *c = docmilld_load(path);
    struct error e = {0};
    struct master_options o = {.conf = c};
    int r;

    if (c == NULL)
        return EXIT_CONF;
    if (!urls_are_good(c)) {
        talloc_free(c);
        return EXIT_CONF;
    }
    o.conf_path = absolute(c, path);
    if (confine_from_root(c, &e) != 0) {
        fprintf(stderr, "docmilld: %s\n  %s\n", e.message, e.hint);
        talloc_free(c);
        return EXIT_FAILED;
    }
    if (logs_open(c, &e) != 0) {
        fprintf(stderr, "docmilld: %s\n", e.message);
        talloc_free(c);
        return EXIT_FAILED;
    }
    logs_apply(c, "master");
    /* Held open: children come from the file that runs now, whatever an upgrade puts in its place. */
    o.exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (o.exe_fd < 0) {
        fprintf(stderr, "docmilld: /proc/self/exe: %s\n", strerror(errno));
        r = EXIT_FAILED;
    } else {
        r = master_run(&o) == 0 ? EXIT_OK : EXIT_FAILED;
        close(o.exe_fd);
    }
    talloc_free(c);
    return r;
}

static const struct option options[] = {
#define X_OPTION(NAME, letter, name, takes, ...) {name, takes, NULL, (letter) != 0 ? (letter) : OPT_##NAME},
    DOCMILLD_OPTIONS(X_OPTION)
#undef X_OPTION
        {"child", required_argument, NULL, OPT_CHILD},
    {NULL, 0, NULL, 0},
};

static int print_man(const char *page)
{
    if (page == NULL || strcmp(page, "docmill.conf") == 0) {
        conf_print_man(stdout);
    } else if (strcmp(page, "docmilld") == 0) {
        docmilld_print_man(stdout);
    } else {
        fprintf(stderr, "docmilld: there is no page \"%s\"\n", page);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int print_completion(const char *shell)
{
    if (docmilld_print_completion(shell, stdout))
        return EXIT_OK;
    fprintf(stderr, "docmilld: --print-completion wants bash or zsh\n");
    return EXIT_USAGE;
}

/* What needs no configuration; -1: the option is of another kind. */
static int answer_at_once(int opt)
{
    switch (opt) {
    case 'h':
        docmilld_help(stdout);
        return EXIT_OK;
    case OPT_EXAMPLE:
        conf_print_example(stdout);
        return EXIT_OK;
    case OPT_STATE_SQL:
        state_print_sql(stdout);
        return EXIT_OK;
    case OPT_STATE_PAGE:
        state_print_markdown(stdout);
        return EXIT_OK;
    case OPT_PROVIDERS_PAGE:
        providers_print_markdown(stdout);
        return EXIT_OK;
    case OPT_MAN:
        return print_man(optarg);
    case OPT_COMPLETION:
        return print_completion(optarg);
    case OPT_VERSION:
        puts("docmilld " DOCMILL_VERSION);
        return EXIT_OK;
    default:
        return -1;
    }
}

/* what NULL: getopt has said it. */
static int usage(const char *what, const char *word)
{
    if (what != NULL)
        fprintf(stderr, "docmilld: %s%s%s%s\n", what, word != NULL ? " \"" : "", word != NULL ? word : "",
                word != NULL ? "\"" : "");
    fputs("docmilld: `docmilld --help` shows how to call it\n", stderr);
    return EXIT_USAGE;
}

static int act(int argc, char **argv)
{
    const char *path = DEFAULT_CONF;
    bool online = false;
    int opt, what = 0;

    /* '+': options after `migrate` are that command's own. */
    while ((opt = getopt_long(argc, argv, "+c:tTh", options, NULL)) != -1) {
        int done = answer_at_once(opt);

        if (done >= 0)
            return done;
        if (opt == OPT_CHILD)
            return become(optarg);
        if (opt == 'c')
            path = optarg;
        else if (opt == OPT_ONLINE)
            online = true;
        else if (opt == 't' || opt == 'T')
            what = opt;
        else
            return usage(NULL, NULL);
    }
    if (optind < argc && strcmp(argv[optind], "migrate") == 0 && what == 0)
        return docmilld_migrate(argc - optind, argv + optind, path);
    if (optind < argc)
        return what != 0 ? usage("one argument too many:", argv[optind]) : usage("there is no command", argv[optind]);
    if (online && what != 't')
        return usage("--online goes with -t", NULL);
    if (what == 't')
        return conf_test(path, stdout, check_more) != 0 ? EXIT_CONF : online ? docmilld_online(path) : EXIT_OK;
    return what == 'T' ? dump(path) : run(path);
}

int main(int argc, char **argv)
{
    struct error e = {0};
    int r;

    streams_hold();
    r = act(argc, argv);
    if (streams_flush(&e) == 0)
        return r;
    fprintf(stderr, "docmilld: %s\n", e.message);
    return r == EXIT_OK ? EXIT_FAILED : r;
}
