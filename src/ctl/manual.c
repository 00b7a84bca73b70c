/*
 * manual.c - the manual page docmillctl(1), from the tables that --help is printed from
 *
 * Depends on base, core.
 */
#include "base/roff.h"
#include "ctl/ctl.h"
#include "ctl/helptext.h"
#include "proc/control.h"

#include <ctype.h>
#include <string.h>

static const char *const head[] = {
    ".SH NAME",
    "docmillctl \\- upload documents to docmill, search them, and look after the daemon",
    ".SH SYNOPSIS",
    ".B docmillctl",
    ".I COMMAND",
    ".RI [ ARGUMENTS ]",
    ".RB [ \\-\\-json ]",
    ".RB [ \\-\\-run\\-dir",
    ".IR DIR ]",
    ".RB [ \\-c",
    ".IR FILE ]",
    ".SH DESCRIPTION",
    ".B docmillctl",
    "speaks to a",
    ".BR docmilld (8)",
    "of this machine over its Unix sockets: to api.sock as the user who calls it, for documents, jobs and search; to",
    "control.sock for the daemon itself.",
    "On a terminal it prints tables; with",
    ".B \\-\\-json",
    "it prints JSON, errors too, which then come on standard error.",
    ".PP",
    "Bash and zsh complete commands, options, and what the daemon knows, such as the names of its pools.",
};

static const char *const tail[] = {
    ".SH ENVIRONMENT",
    ".TP",
    ".B DOCMILL_RUN_DIR",
    "Directory of the daemon's sockets, unless \\-\\-run\\-dir or \\-\\-config says so.",
    ".SH FILES",
    ".TP",
    ".I /run/docmill/control.sock",
    "Questions and orders to the master.",
    ".TP",
    ".I /run/docmill/api.sock",
    "The HTTP interface for users of this machine.",
};

static void print_sentence(FILE *out, const char *s, size_t n)
{
    if (n == 0)
        return;
    fputc(toupper((unsigned char)s[0]), out);
    roff_text_n(out, s + 1, n - 1);
    fputs(s[n - 1] == '.' || s[n - 1] == ':' ? "\n" : ".\n", out);
}

static void print_choice(FILE *out, const struct help_line *l)
{
    fputs(".br\n.I ", out);
    roff_text_n(out, l->choice, l->choice_n);
    fputs(":\n", out);
    roff_text_n(out, l->text, l->text_n);
    fputs(".\n", out);
}

static void print_options(FILE *out, const char *text)
{
    struct help_line l;
    bool any = false;

    fputs(".RS\n", out);
    while (help_next(&text, &l)) {
        if (l.kind == HELP_TERM) {
            fputs(".TP\n.B ", out);
            roff_text_n(out, l.term, l.term_n);
            fputc('\n', out);
        } else if (l.kind == HELP_PARAGRAPH) {
            fputs(any ? ".PP\n" : "", out);
        }
        if (l.choice != NULL)
            print_choice(out, &l);
        else
            print_sentence(out, l.text, l.text_n);
        any = true;
    }
    fputs(".RE\n", out);
}

static void print_examples(FILE *out, const char *text)
{
    fputs(".nf\n", out);
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        size_t indent = strspn(text, " ");

        roff_text_n(out, text + indent, n - indent);
        fputc('\n', out);
        text += n + (text[n] == '\n');
    }
    fputs(".fi\n", out);
}

static void print_verb(FILE *out, const struct verb *v)
{
    fputs(".TP\n.B ", out);
    roff_text(out, v->name);
    fputs(v->grammar[0] != '\0' ? " " : "", out);
    roff_line(out, v->grammar);
    roff_line(out, v->summary);
    fputs("Right: ", out);
    roff_text(out, v->right);
    fputs(".\n", out);
    if (v->options[0] != '\0')
        print_options(out, v->options);
    fputs(".RS\n.PP\n", out);
    print_examples(out, v->example);
    fputs(".RE\n", out);
}

static void print_rights(FILE *out)
{
    fputs(".SH RIGHTS\nRoot and the daemon\\(aqs own user have every right; each right includes those before it.\n"
          ".TP\n.B any\nEvery user of this machine, about documents of one\\(aqs own.\n",
          out);
#define X_PRINT(NAME, name, key, what)                                                                                 \
    fputs(".TP\n.B " name "\nMembers of\n.IR " key " :\n", out);                                                       \
    roff_text(out, what);                                                                                              \
    fputs(".\n", out);
    CONTROL_RIGHTS(X_PRINT)
#undef X_PRINT
    fputs(".PP\nWhat wants operate or admin is recorded, done or refused:\n.BR \"docmillctl audit\" .\n", out);
}

static void print_exits(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
#define X_PRINT(name, n, meaning)                                                                                      \
    fputs(".TP\n.B " #n "\n", out);                                                                                    \
    print_sentence(out, meaning, strlen(meaning));
    CTL_EXITS(X_PRINT)
#undef X_PRINT
}

static void print_lines(FILE *out, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\n", lines[i]);
}

void ctl_print_man(FILE *out)
{
    int n;
    const struct verb *v = verb_table(&n);

    fprintf(out, ".TH DOCMILLCTL 1 \"\" \"docmill %s\" \"docmill\"\n", DOCMILL_VERSION);
    print_lines(out, head, sizeof head / sizeof head[0]);
    fputs(".SH COMMANDS\n", out);
    for (int i = 0; i < n; i++)
        print_verb(out, &v[i]);
    fputs(".SH OPTIONS\n", out);
    print_options(out, ctl_global_options);
    print_options(out, ctl_own_options);
    print_rights(out);
    print_exits(out);
    print_lines(out, tail, sizeof tail / sizeof tail[0]);
    fputs(".SH EXAMPLES\n", out);
    print_examples(out, ctl_examples);
    fputs(".SH SEE ALSO\n.BR docmilld (8),\n.BR docmill.conf (5)\n", out);
}
