/*
 * ctl.c - docmillctl's main: find the verb, read its arguments, find the sockets, run it
 *
 * The run directory: --run-dir, else run_dir of -c FILE, else DOCMILL_RUN_DIR, else /run/docmill. Of a configuration
 * only run_dir is read: its secrets may belong to somebody else.
 *
 * Depends on base, core, libconfig.
 */
#include "ctl/ctl.h"
#include "base/streams.h"
#include "core/reason.h"
#include "ctl/complete.h"

#include <curl/curl.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <talloc.h>
#include <unistd.h>

#define DEFAULT_RUN_DIR "/run/docmill"
#define WIDTH_DEFAULT   80
#define WIDTH_MIN       40

static int terminal_width(void)
{
    struct winsize w = {0};

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return WIDTH_DEFAULT;
    return w.ws_col < WIDTH_MIN ? WIDTH_MIN : w.ws_col;
}

static int run_dir_of(struct ctl *c, const char *file, struct error *e)
{
    config_t conf;
    const char *found = NULL;
    int rc = 0;

    config_init(&conf);
    if (config_read_file(&conf, file) != CONFIG_TRUE) {
        const char *where = config_error_file(&conf);
        if (where == NULL)
            rc = reason_error(e, REASON_file_error, EIO, "cannot read %s", file);
        else
            rc = reason_error(e, REASON_bad_config, EINVAL, "%s:%d: %s", where, config_error_line(&conf),
                              config_error_text(&conf));
    } else if (config_lookup_string(&conf, "run_dir", &found) == CONFIG_TRUE) {
        c->run_dir = talloc_strdup(c->mem, found);
    }
    config_destroy(&conf);
    return rc;
}

static int find_run_dir(struct ctl *c, struct error *e)
{
    const char *given = args_option(&c->args, "run-dir");
    const char *file = args_option(&c->args, "config");
    const char *env = getenv("DOCMILL_RUN_DIR");

    c->run_dir = env != NULL && env[0] != '\0' ? env : DEFAULT_RUN_DIR;
    if (file != NULL && given == NULL) {
        c->run_dir = DEFAULT_RUN_DIR;
        return run_dir_of(c, file, e);
    }
    if (given != NULL)
        c->run_dir = given;
    return 0;
}

static int run_verb(struct ctl *c, int argc, const char *const *argv)
{
    struct error e = {0};

    if (args_parse(c->mem, c->verb->grammar, ctl_global_grammar, argc, argv, &c->args, &e) != 0)
        return ctl_usage(c, &e);
    c->json = args_option(&c->args, "json") != NULL;
    if (args_option(&c->args, "help") != NULL) {
        verb_help(c->verb, stdout);
        return CTL_OK;
    }
    if (find_run_dir(c, &e) != 0)
        return ctl_fail(c, CTL_USAGE, &e);
    return c->verb->run(c);
}

/* Global options may stand before the verb: its index, or -1. */
static int verb_index(int argc, const char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] != '-')
            return i;
        if (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "--run-dir") == 0)
            i++;
    }
    return -1;
}

static int no_verb(const struct ctl *c, int argc, const char *const *argv)
{
    struct error e = {0};

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            ctl_help(stdout);
            return CTL_OK;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("docmillctl " DOCMILL_VERSION);
            return CTL_OK;
        }
        if (strcmp(argv[i], "--print-man") == 0) {
            ctl_print_man(stdout);
            return CTL_OK;
        }
    }
    reason_error(&e, REASON_bad_request, EINVAL, "a command is missing");
    error_hint(&e, "docmillctl --help lists the commands.");
    return ctl_fail(c, CTL_USAGE, &e);
}

static int print_completion(const struct ctl *c, const char *shell)
{
    struct error e = {0};

    if (shell != NULL && complete_print_script(shell, stdout))
        return CTL_OK;
    reason_error(&e, REASON_bad_request, EINVAL, "--print-completion wants bash or zsh");
    return ctl_fail(c, CTL_USAGE, &e);
}

/* What shells and packages ask; -1: something else is asked. */
static int answer_shell(struct ctl *c, int argc, const char *const *argv)
{
    struct error e = {0};

    if (argc > 0 && strcmp(argv[0], "--print-completion") == 0)
        return print_completion(c, argc > 1 ? argv[1] : NULL);
    if (argc == 0 || strcmp(argv[0], "--complete") != 0)
        return -1;
    if (find_run_dir(c, &e) == 0)
        complete(c, argc - 1, argv + 1, stdout);
    return CTL_OK;
}

static int choose(struct ctl *c, int argc, const char **argv)
{
    int at = verb_index(argc, argv);
    struct error e = {0};
    int rc = answer_shell(c, argc, argv);

    if (rc >= 0)
        return rc;
    if (at >= 0 && strcmp(argv[at], "help") == 0) { /* "help VERB" is "VERB --help" */
        if (at + 1 >= argc) {
            ctl_help(stdout);
            return CTL_OK;
        }
        argv[at] = "--help";
        at++;
    }
    if (at < 0)
        return no_verb(c, argc, argv);
    c->verb = verb_find(argv[at]);
    if (c->verb == NULL) {
        reason_error(&e, REASON_bad_request, EINVAL, "there is no command \"%.40s\"", argv[at]);
        error_hint(&e, "docmillctl --help lists the commands.");
        return ctl_fail(c, CTL_USAGE, &e);
    }
    memmove(&argv[at], &argv[at + 1], sizeof argv[0] * (size_t)(argc - at - 1));
    return run_verb(c, argc - 1, argv);
}

int ctl_main(int argc, char **argv)
{
    struct ctl c = {.mem = talloc_new(NULL), .width = terminal_width()};
    const char **words = talloc_array(c.mem, const char *, (unsigned)argc + 1);
    struct error e = {0};
    int rc;

    streams_hold();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (int i = 1; i < argc; i++)
        words[i - 1] = argv[i];
    for (int i = 1; i < argc; i++) /* errors are shaped by it, so it is looked for first */
        c.json = c.json || strcmp(argv[i], "--json") == 0;
    rc = choose(&c, argc > 0 ? argc - 1 : 0, words);
    client_free(&c);
    curl_global_cleanup();
    if (streams_flush(&e) != 0) {
        rc = rc == CTL_OK ? CTL_FAILED : rc;
        ctl_fail(&c, rc, &e);
    }
    talloc_free(c.mem);
    return rc;
}
