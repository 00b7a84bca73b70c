/*
 * complete.c - see complete.h
 *
 * Follows the words as args.c reads them: global options, the verb, then options and arguments in any order. Bash takes
 * "--option=value" apart at the sign, so an option, "=" and a value may come as three words, too.
 *
 * Depends on base, core, proc.
 */
#include "ctl/complete.h"

#include "ctl/helptext.h"

#include <ctype.h>
#include <string.h>
#include <talloc.h>

struct completion {
    struct ctl *c;
    FILE *out;
    const char *begun;  /* what the candidates must begin with */
    const char *before; /* stands before each: "--lane=" */
};

static void offer(void *arg, const char *word, const char *what)
{
    const struct completion *k = arg;

    if (strpbrk(word, "\t\n\033") != NULL)
        return; /* no name of ours */
    if (word[0] == ':')
        fprintf(k->out, "%s\n", word);
    else if (strncmp(word, k->begun, strlen(k->begun)) == 0)
        fprintf(k->out, "%s%s\t%s\n", k->before, word, what);
}

/* The choices that the verb's help names for the word, or for the option's value. */
static bool offer_choices(struct completion *k, const char *text, const char *option, const char *word)
{
    struct help_line l;
    bool here = false;
    bool any = false;

    while (help_next(&text, &l)) {
        if (l.kind != HELP_MORE)
            here = help_is_term_of(&l, option, word);
        if (!here || l.choice == NULL)
            continue;
        offer(k, talloc_strndup(k->c->mem, l.choice, l.choice_n), talloc_strndup(k->c->mem, l.text, l.text_n));
        any = true;
    }
    return any;
}

static void offer_word(struct completion *k, const char *option, const char *word)
{
    const struct verb *v = k->c->verb;

    if (v == NULL || !offer_choices(k, v->options, option, word))
        (void)words_each(k->c, word, offer, k);
}

/* A small word of the grammar, with what the verb's help says of it. */
static void offer_small_word(struct completion *k, const char *word)
{
    const char *at = k->c->verb->options;
    struct help_line l;

    while (help_next(&at, &l)) {
        if (help_is_term_of(&l, NULL, word)) {
            offer(k, word, talloc_strndup(k->c->mem, l.text, l.text_n));
            return;
        }
    }
    offer(k, word, "");
}

/* "cancel|POOL": each of them. */
static void offer_alternatives(struct completion *k, const char *words)
{
    while (*words != '\0') {
        size_t n = strcspn(words, "|");
        const char *word = talloc_strndup(k->c->mem, words, n);

        if (isupper((unsigned char)word[0]))
            offer_word(k, NULL, word);
        else
            offer_small_word(k, word);
        words += n + (words[n] == '|');
    }
}

static const char *grammar_of(const struct ctl *c, bool global)
{
    return global ? ctl_global_grammar : c->verb != NULL ? c->verb->grammar : "";
}

/* The option that word (with its dashes) is, in the verb's grammar or the global one. */
static bool option_of(const struct ctl *c, const char *word, struct args_element *el)
{
    if (word[0] != '-' || word[1] == '\0')
        return false;
    for (int global = 0; global < 2; global++) {
        const char *at = grammar_of(c, global);

        while (args_next_element(&at, el))
            if (el->option &&
                (word[1] == '-' ? strcmp(el->name, word + 2) == 0 : el->short_name == word[1] && word[2] == '\0'))
                return true;
    }
    return false;
}

/* Those that stand without a verb. */
static void offer_own_options(struct completion *k)
{
    const char *at = ctl_own_options;
    struct help_line l;

    while (help_next(&at, &l))
        if (l.kind == HELP_TERM)
            offer(k, talloc_strndup(k->c->mem, l.term, strcspn(l.term, " ")),
                  talloc_strndup(k->c->mem, l.text, l.text_n));
}

static void offer_options(struct completion *k)
{
    if (k->c->verb == NULL)
        offer_own_options(k);
    for (int global = 0; global < 2; global++) {
        const char *at = grammar_of(k->c, global);
        struct args_element el;

        while (args_next_element(&at, &el))
            if (el.option)
                offer(k, talloc_asprintf(k->c->mem, "--%s", el.name), el.value);
    }
}

static void offer_verbs(struct completion *k, bool after_help)
{
    int n;
    const struct verb *v = verb_table(&n);

    for (int i = 0; i < n; i++)
        offer(k, v[i].name, v[i].summary);
    if (!after_help)
        offer(k, "help", "Explain docmillctl, or one command of it.");
}

/* The element in which the argument number n falls. */
static void offer_argument(struct completion *k, int n)
{
    const char *at = k->c->verb->grammar;
    struct args_element el;

    while (args_next_element(&at, &el)) {
        if (el.option)
            continue;
        if (n == 0 || el.many) {
            offer_alternatives(k, el.name);
            return;
        }
        n--;
    }
}

/* What the words before the last one leave open. */
struct reading {
    int arguments;              /* after the verb */
    bool value;                 /* the next word is the value of `option` */
    struct args_element option; /* the last one read */
    bool help;                  /* the verb was "help": another one comes */
    bool arguments_only;        /* "--" came */
};

static void read_word(struct ctl *c, struct reading *r, const char *word)
{
    if (r->value) {
        r->value = strcmp(word, "=") == 0; /* bash's third word is the value */
        if (r->option.option && strcmp(r->option.name, "run-dir") == 0 && !r->value)
            c->run_dir = word;
    } else if (!r->arguments_only && strcmp(word, "--") == 0) {
        r->arguments_only = true;
    } else if (!r->arguments_only && option_of(c, word, &r->option)) {
        r->value = r->option.takes_value;
    } else if (!r->arguments_only && word[0] == '-') {
        return; /* --option=value, or none of ours */
    } else if (c->verb == NULL && !r->help && strcmp(word, "help") == 0) {
        r->help = true;
    } else if (c->verb == NULL) {
        c->verb = verb_find(word);
    } else {
        r->arguments++;
    }
}

/* "--option=begun" */
static bool offer_joined_value(struct completion *k, const char *last)
{
    const char *sign = strchr(last, '=');
    struct args_element el;

    if (last[0] != '-' || sign == NULL ||
        !option_of(k->c, talloc_strndup(k->c->mem, last, (size_t)(sign - last)), &el) || !el.takes_value)
        return false;
    k->before = talloc_strndup(k->c->mem, last, (size_t)(sign - last) + 1);
    k->begun = sign + 1;
    offer_word(k, el.name, el.value);
    return true;
}

void complete(struct ctl *c, int argc, const char *const *words, FILE *out)
{
    const char *last = argc > 0 ? words[argc - 1] : "";
    struct completion k = {.c = c, .out = out, .begun = last, .before = ""};
    struct reading r = {0};

    for (int i = 0; i + 1 < argc; i++)
        read_word(c, &r, words[i]);
    if (r.value) {
        if (strcmp(last, "=") == 0)
            k.begun = "";
        offer_word(&k, r.option.name, r.option.value);
    } else if (!r.arguments_only && offer_joined_value(&k, last)) {
        return;
    } else if (!r.arguments_only && last[0] == '-') {
        offer_options(&k);
    } else if (c->verb == NULL) {
        offer_verbs(&k, r.help);
    } else if (!r.help) {
        offer_argument(&k, r.arguments);
    }
}

/* ---- what the shells load ---- */

static const char bash_script[] = "# bash completion of docmillctl, made by `docmillctl --print-completion bash`.\n"
                                  "# What may come next is asked of docmillctl itself, by its own grammar.\n"
                                  "_docmillctl() {\n"
                                  "    local line current=${COMP_WORDS[COMP_CWORD]}\n"
                                  "    COMPREPLY=()\n"
                                  "    while IFS= read -r line; do\n"
                                  "        case $line in\n"
                                  "        :files | :dirs)\n"
                                  "            compopt -o filenames 2>/dev/null\n"
                                  "            local what=-f file\n"
                                  "            [[ $line == :dirs ]] && what=-d\n"
                                  "            [[ $current == '=' ]] && current=\n"
                                  "            while IFS= read -r file; do\n"
                                  "                COMPREPLY+=(\"$file\")\n"
                                  "            done < <(compgen $what -- \"$current\")\n"
                                  "            ;;\n"
                                  "        *) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
                                  "        esac\n"
                                  "    done < <(docmillctl --complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
                                  "}\n"
                                  "complete -F _docmillctl docmillctl\n";

static const char zsh_script[] =
    "#compdef docmillctl\n"
    "# zsh completion of docmillctl, made by `docmillctl --print-completion zsh`.\n"
    "# What may come next is asked of docmillctl itself, by its own grammar.\n"
    "_docmillctl() {\n"
    "    local line\n"
    "    local -a found\n"
    "    for line in \"${(@f)$(docmillctl --complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
    "        case $line in\n"
    "        '') ;;\n"
    "        :files) _files ;;\n"
    "        :dirs) _files -/ ;;\n"
    "        *) found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
    "        esac\n"
    "    done\n"
    "    (( $#found )) && _describe 'docmillctl' found\n"
    "}\n"
    "_docmillctl \"$@\"\n";

bool complete_print_script(const char *shell, FILE *out)
{
    const char *script = strcmp(shell, "bash") == 0 ? bash_script : strcmp(shell, "zsh") == 0 ? zsh_script : NULL;

    if (script != NULL)
        fputs(script, out);
    return script != NULL;
}
