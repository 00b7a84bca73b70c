/*
 * docmilld_help.c - docmilld's --help, its manual page docmilld(8) and its completion, from docmilld_cli.h
 *
 * Depends on base.
 */
#include "docmilld_cli.h"

#include "base/roff.h"

#include <ctype.h>
#include <getopt.h>
#include <string.h>

#define WIDTH  100
#define COLUMN 28 /* where the help of an option begins */

static const struct option_row {
    char letter;
    const char *name;
    int takes; /* no_argument, required_argument, optional_argument */
    const char *shown, *choices, *help;
} option_rows[] = {
#define X_OPTION(NAME, letter, name, takes, shown, choices, help) {letter, name, takes, shown, choices, help},
    DOCMILLD_OPTIONS(X_OPTION)
#undef X_OPTION
};

static const struct command_row {
    const char *name, *options, *help;
} command_rows[] = {
#define X_COMMAND(name, options, help) {name, options, help},
    DOCMILLD_COMMANDS(X_COMMAND)
#undef X_COMMAND
};

static const struct exit_row {
    int number;
    const char *meaning;
} exit_rows[] = {
#define X_EXIT(NAME, number, meaning) {number, meaning},
    DOCMILLD_EXITS(X_EXIT)
#undef X_EXIT
};

static const struct signal_row {
    const char *names, *help;
} signal_rows[] = {
#define X_SIGNAL(names, help) {names, help},
    DOCMILLD_SIGNALS(X_SIGNAL)
#undef X_SIGNAL
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char first_start[] =
    "docmilld --example > docmill.conf   then set database.url, blob.backend, blob.fs.root and embedder.name\n"
    "docmilld -t -c docmill.conf         says what is still missing\n"
    "docmilld -c docmill.conf migrate up\n"
    "docmilld -c docmill.conf            and in another terminal: docmillctl health\n";

/* "-c, --config FILE", "--print-man[=PAGE]" */
static void form_of(const struct option_row *r, char *out, size_t size)
{
    const char *before = r->takes == optional_argument ? "[=" : r->takes == required_argument ? " " : "";

    snprintf(out, size, "%c%c%s--%s%s%s%s", r->letter != 0 ? '-' : ' ', r->letter != 0 ? r->letter : ' ',
             r->letter != 0 ? ", " : "  ", r->name, before, r->shown, r->takes == optional_argument ? "]" : "");
}

/* ---- --help ---- */

/* The text behind term, broken at spaces. */
static void print_entry(FILE *out, const char *term, const char *text)
{
    size_t at = (size_t)fprintf(out, "  %s", term);
    const size_t room = WIDTH - COLUMN;

    if (at + 2 > COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    while (*text != '\0') {
        size_t n = strlen(text);

        if (n > room)
            for (n = room; n > 0 && text[n] != ' '; n--)
                ;
        if (n == 0)
            n = strcspn(text, " ");
        fprintf(out, "%*s%.*s\n", (int)(COLUMN - at), "", (int)n, text);
        text += n;
        text += strspn(text, " ");
        at = 0;
    }
}

void docmilld_help(FILE *out)
{
    char term[80];

    fputs("docmilld - the docmill daemon: documents in, searchable vectors out, on PostgreSQL\n\n"
          "usage: docmilld [OPTIONS] [COMMAND]\n\n"
          "Without a command and without an option that prints something, it runs in the foreground until TERM.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < COUNT(command_rows); i++) {
        snprintf(term, sizeof term, "%s%s%s", command_rows[i].name, command_rows[i].options[0] != '\0' ? " " : "",
                 command_rows[i].options);
        print_entry(out, term, command_rows[i].help);
    }
    fputs("\nOptions:\n", out);
    for (size_t i = 0; i < COUNT(option_rows); i++) {
        form_of(&option_rows[i], term, sizeof term);
        print_entry(out, term, option_rows[i].help);
    }
    fputs("\nSignals:\n", out);
    for (size_t i = 0; i < COUNT(signal_rows); i++)
        print_entry(out, signal_rows[i].names, signal_rows[i].help);
    fputs("\nExit status:\n", out);
    for (size_t i = 0; i < COUNT(exit_rows); i++) {
        snprintf(term, sizeof term, "%d", exit_rows[i].number);
        print_entry(out, term, exit_rows[i].meaning);
    }
    fprintf(out, "\nA first start:\n");
    for (const char *line = first_start; *line != '\0'; line += strcspn(line, "\n") + 1)
        fprintf(out, "  %.*s\n", (int)strcspn(line, "\n"), line);
}

/* ---- docmilld(8) ---- */

static const char *const head[] = {
    ".SH NAME",
    "docmilld \\- ingest documents for PostgreSQL",
    ".SH SYNOPSIS",
    ".B docmilld",
    ".RI [ OPTIONS ]",
    ".RI [ COMMAND ]",
    ".SH DESCRIPTION",
    ".B docmilld",
    "takes documents in and gives searchable vectors out.",
    "The queue, the data and the coordination are in PostgreSQL, with the extension pgvector.",
    ".PP",
    "Without a command it is the master: it stays in the foreground, starts a coordinator, the HTTP interface and a",
    "pool of workers, watches them, and starts another where one dies.",
    "A job that a dead process had in hand is given to another one; what was written under the old lease no longer counts.",
    ".PP",
    "Each document passes these stages: its bytes are stored and hashed, parsed in a sandbox, normalised, cut into chunks,",
    "embedded, and made visible to search, all at once, when every chunk has its vector.",
};

static const char *const commands_head[] = {
    ".SH COMMANDS",
    "Tables are made and changed by an operator, never by a start of the service.",
};

static const char *const commands_tail[] = {
    ".PP",
    "After the first migration the daemon\\(aqs login role needs",
    ".IR \"GRANT docmill_worker, docmill_api TO ROLE\" .",
};

static const char *const tail[] = {
    ".SH SECURITY",
    "Started by root, docmilld becomes the user that the key",
    ".I user",
    "names, for good and without any other group, before it does anything.",
    "Master and children then shut themselves in by landlock and seccomp, each with what its role needs",
    ".RI ( sandbox.processes );",
    "a directory that the configuration names and that appears later, or again, wants a restart.",
    "Parsers run in a narrower sandbox of their own.",
    ".SH SYSTEMD",
    "The listening sockets are kept over a restart, so that clients wait and are not refused.",
    "With",
    ".I docmill.socket",
    "enabled, systemd holds the port of the HTTP interface, and the first connection starts the service;",
    "its address has to be that of",
    ".IR api.listen .",
    "The watchdog is fed while a pool can serve.",
    "`systemctl reload` fails where `docmillctl reload` does.",
    ".SH FILES",
    ".TP",
    (".I " DEFAULT_CONF),
    "The configuration.",
    ".TP",
    ".I /run/docmill/control.sock",
    "Questions and orders to the master; see",
    ".BR docmillctl (1).",
    ".TP",
    ".I /run/docmill/api.sock",
    "The HTTP interface for users of this machine.",
    ".TP",
    ".I /var/lib/docmill",
    "Stored documents, where the blob store is",
    ".IR fs .",
    ".SH SEE ALSO",
    ".BR docmillctl (1),",
    ".BR docmill.conf (5),",
    ".BR pdftotext (1),",
    ".BR pandoc (1)",
};

static void print_lines(FILE *out, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\n", lines[i]);
}

static void print_item(FILE *out, const char *term, const char *text)
{
    fputs(".TP\n.B ", out);
    roff_line(out, term + strspn(term, " "));
    fputc(toupper((unsigned char)text[0]), out);
    roff_text(out, text + 1);
    fputs(text[strlen(text) - 1] == '.' ? "\n" : ".\n", out);
}

void docmilld_print_man(FILE *out)
{
    char term[80];

    fprintf(out, ".TH DOCMILLD 8 \"\" \"docmill %s\" \"docmill\"\n", DOCMILL_VERSION);
    print_lines(out, head, COUNT(head));
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < COUNT(option_rows); i++) {
        form_of(&option_rows[i], term, sizeof term);
        print_item(out, term, option_rows[i].help);
    }
    print_lines(out, commands_head, COUNT(commands_head));
    for (size_t i = 0; i < COUNT(command_rows); i++) {
        snprintf(term, sizeof term, "%s%s%s", command_rows[i].name, command_rows[i].options[0] != '\0' ? " " : "",
                 command_rows[i].options);
        print_item(out, term, command_rows[i].help);
    }
    print_lines(out, commands_tail, COUNT(commands_tail));
    fputs(".SH SIGNALS\n", out);
    for (size_t i = 0; i < COUNT(signal_rows); i++)
        print_item(out, signal_rows[i].names, signal_rows[i].help);
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < COUNT(exit_rows); i++) {
        snprintf(term, sizeof term, "%d", exit_rows[i].number);
        print_item(out, term, exit_rows[i].meaning);
    }
    fputs(".SH EXAMPLES\nA first start:\n.PP\n.nf\n", out);
    for (const char *line = first_start; *line != '\0'; line += strcspn(line, "\n") + 1) {
        roff_text_n(out, line, strcspn(line, "\n"));
        fputc('\n', out);
    }
    fputs(".fi\n", out);
    print_lines(out, tail, COUNT(tail));
}

/* ---- completion ---- */

/* The words of the commands after the first: "up down status"; and its options without what stands around them. */
static void print_command_words(FILE *out, bool options)
{
    for (size_t i = 0; i < COUNT(command_rows); i++) {
        const char *second = strchr(command_rows[i].name, ' ');

        if (!options)
            fprintf(out, "%s%s", i > 0 ? " " : "", second != NULL ? second + 1 : "");
        for (const char *at = command_rows[i].options; options && (at = strstr(at, "--")) != NULL; at += 2)
            fprintf(out, " %.*s", (int)strcspn(at, " ]"), at);
    }
}

static void print_bash_values(FILE *out)
{
    for (size_t i = 0; i < COUNT(option_rows); i++) {
        const struct option_row *r = &option_rows[i];

        if (r->choices[0] == '\0')
            continue;
        fprintf(out, "    ");
        if (r->letter != 0)
            fprintf(out, "-%c | ", r->letter);
        fprintf(out, "--%s)\n", r->name);
        if (strcmp(r->choices, ":files") == 0)
            fputs("        compopt -o filenames 2>/dev/null\n"
                  "        while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -f -- \"$current\")\n",
                  out);
        else
            fprintf(out, "        words=\"%s\"\n", r->choices);
        fputs("        ;;\n", out);
    }
}

static void print_bash(FILE *out)
{
    fputs("# bash completion of docmilld, made by `docmilld --print-completion bash`.\n"
          "_docmilld() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' word\n"
          "    COMPREPLY=()\n"
          "    if [[ $current == '=' ]]; then current=; fi\n"
          "    if [[ $before == '=' ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
          "    case $before in\n",
          out);
    print_bash_values(out);
    fputs("    migrate) words=\"", out);
    print_command_words(out, false);
    fputs("\" ;;\n    *)\n        case \" ${COMP_WORDS[*]:0:COMP_CWORD} \" in\n        *' migrate '*) words=\"", out);
    print_command_words(out, true);
    fputs("\" ;;\n        *) words=\"migrate", out);
    for (size_t i = 0; i < COUNT(option_rows); i++)
        fprintf(out, " --%s", option_rows[i].name);
    fputs("\" ;;\n"
          "        esac\n"
          "        ;;\n"
          "    esac\n"
          "    for word in $words; do\n"
          "        [[ $word == \"$current\"* ]] && COMPREPLY+=(\"$word\")\n"
          "    done\n"
          "}\n"
          "complete -F _docmilld docmilld\n",
          out);
}

/* As it stands in single quotes and square brackets of _arguments. */
static void print_zsh_text(FILE *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '\'')
            fputs("'\\''", out);
        else if (*s == '[' || *s == ']' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else
            fputc(*s, out);
    }
}

static void print_zsh_option(FILE *out, const struct option_row *r)
{
    if (r->letter != 0)
        fprintf(out, "'(-%c --%s)'{-%c,--%s}'[", r->letter, r->name, r->letter, r->name);
    else
        fprintf(out, "'--%s%s[", r->name, r->takes == optional_argument ? "=-" : "");
    print_zsh_text(out, r->help);
    fputc(']', out);
    if (r->takes != no_argument) {
        fprintf(out, "%s%s:", r->takes == optional_argument ? "::" : ":", r->shown);
        if (strcmp(r->choices, ":files") == 0)
            fputs("_files", out);
        else if (r->choices[0] != '\0')
            fprintf(out, "(%s)", r->choices);
    }
    fputs("' \\\n    ", out);
}

static void print_zsh(FILE *out)
{
    fputs(
        "#compdef docmilld\n# zsh completion of docmilld, made by `docmilld --print-completion zsh`.\n_arguments \\\n    ",
        out);
    for (size_t i = 0; i < COUNT(option_rows); i++)
        print_zsh_option(out, &option_rows[i]);
    fputs("'1:command:(migrate)' \\\n    '2:order:(", out);
    print_command_words(out, false);
    fputs(")' \\\n    '*:option:(", out);
    print_command_words(out, true);
    fputs(")'\n", out);
}

bool docmilld_print_completion(const char *shell, FILE *out)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(out);
    else
        return false;
    return true;
}
