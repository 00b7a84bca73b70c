/*
 * docmilld_cli.h - docmilld's command line, once: getopt's options, --help, docmilld(8) and completion are made of it
 *
 *   DOCMILLD_OPTIONS   X(NAME, short letter or 0, "long", has_arg, "ARGUMENT as shown", "what may stand there", "help")
 *                      what may stand there: choices separated by spaces, ":files", or "" for anything
 *   DOCMILLD_COMMANDS  X("command", "its options as shown", "help")
 *   DOCMILLD_EXITS     X(NAME, number, "meaning"), of docmilld itself
 *   DOCMILLD_SIGNALS   X("signals", "what they do")
 */
#ifndef BIN_DOCMILLD_CLI_H
#define BIN_DOCMILLD_CLI_H

#define DEFAULT_CONF "/etc/docmill/docmill.conf"

/* clang-format off */
#define DOCMILLD_OPTIONS(X)                                                                                            \
    X(CONFIG, 'c', "config", required_argument, "FILE", ":files",                                                      \
      "configuration; see docmill.conf(5) (default: " DEFAULT_CONF ")")                                                \
    X(TEST, 't', "test", no_argument, "", "",                                                                          \
      "check the configuration, key by key: set, default or missing")                                                  \
    X(ONLINE, 0, "online", no_argument, "", "",                                                                        \
      "with -t: and that the server's connections and the memory of the machine, or of the control group of whoever "  \
      "asks, suffice for the pools at their largest beside the other living nodes")                                    \
    X(DUMP, 'T', "dump", no_argument, "", "",                                                                          \
      "print the effective values and where each comes from; secrets are masked")                                      \
    X(EXAMPLE, 0, "example", no_argument, "", "",                                                                      \
      "print a commented configuration with every key")                                                                \
    X(MAN, 0, "print-man", optional_argument, "PAGE", "docmill.conf docmilld",                                         \
      "print the manual page docmill.conf(5) or docmilld(8)")                                                          \
    X(COMPLETION, 0, "print-completion", required_argument, "SHELL", "bash zsh",                                       \
      "print what bash or zsh loads to complete command lines of docmilld")                                            \
    X(STATE_SQL, 0, "print-state-sql", no_argument, "", "",                                                            \
      "print the table of statuses and states as SQL")                                                                 \
    X(STATE_PAGE, 0, "print-state-markdown", no_argument, "", "",                                                      \
      "print the same for people: docs/states.md")                                                                     \
    X(PROVIDERS_PAGE, 0, "print-providers-markdown", no_argument, "", "",                                              \
      "print what is known of the outside services, from the tables the program runs by: docs/providers.md")           \
    X(VERSION, 0, "version", no_argument, "", "",                                                                      \
      "print the version")                                                                                             \
    X(HELP, 'h', "help", no_argument, "", "",                                                                          \
      "print a summary of this page")

#define DOCMILLD_COMMANDS(X)                                                                                           \
    X("migrate up", "",                                                                                                \
      "Bring the database to this program's schema. It connects with database.migrate_url, whose role must be allowed "\
      "to create roles and extensions.")                                                                               \
    X("migrate down", "[--to N] [--drop-data]",                                                                        \
      "Go back to version N (default: one less). Refuses while rows would be lost, unless --drop-data is given.")      \
    X("migrate status", "",                                                                                            \
      "Show which versions are applied.")

#define DOCMILLD_EXITS(X)                                                                                              \
    X(OK, 0, "as asked")                                                                                               \
    X(FAILED, 1, "failed")                                                                                             \
    X(USAGE, 2, "wrong usage")                                                                                         \
    X(CONF, 78, "the configuration is not good; the message names file, line and key")

#define DOCMILLD_SIGNALS(X)                                                                                            \
    X("TERM, INT", "Finish what is in hand, for supervise.drain_timeout at most, and end; a second one ends within two seconds.")\
    X("QUIT", "End at once; the next start picks the work up.")                                                        \
    X("HUP", "Read the configuration anew, as docmillctl reload does.")                                                \
    X("USR1", "Open log.file anew, in every process.")
/* clang-format on */

#include <stdbool.h>
#include <stdio.h>

enum docmilld_option {
    OPT_FIRST_ = 255,
#define X_OPTION(NAME, ...) OPT_##NAME,
    DOCMILLD_OPTIONS(X_OPTION)
#undef X_OPTION
        OPT_CHILD /* the master's own way to start a child */
};

void docmilld_help(FILE *out);
void docmilld_print_man(FILE *out);
bool docmilld_print_completion(const char *shell, FILE *out); /* false: there is none for it */

#endif
