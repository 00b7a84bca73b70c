/* test_args.c - the usage line is the grammar */
#include "ctl/args.h"
#include "ctl/complete.h"
#include "ctl/ctl.h"
#include "ctl/helptext.h"
#include "proc/control.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static struct args a;
static struct error e;

static int parse(const char *grammar, const char *line)
{
    static void *ctx;
    const char *argv[16];
    char *copy;
    char *word;
    int n = 0;

    talloc_free(ctx);
    ctx = talloc_new(NULL);
    copy = talloc_strdup(ctx, line);
    while ((word = strsep(&copy, " ")) != NULL)
        if (*word != '\0')
            argv[n++] = word;
    memset(&e, 0, sizeof e);
    return args_parse(ctx, grammar, ctl_global_grammar, n, argv, &a, &e);
}

Test(args, words_and_options_stand_anywhere)
{
    cr_assert_eq(parse("FILE... [--lane LANE] [-j|--jobs N] [--fast]", "a --lane bulk b -j 3 --json c"), 0);
    cr_assert_eq(a.n_words, 3);
    cr_assert_str_eq(a.words[2], "c");
    cr_assert_str_eq(args_option(&a, "lane"), "bulk");
    cr_assert_str_eq(args_option(&a, "jobs"), "3");
    cr_assert_not_null(args_option(&a, "json"));
    cr_assert_null(args_option(&a, "fast"));
}

Test(args, values_may_be_joined)
{
    cr_assert_eq(parse("[-n|--limit N]", "-n5"), 0);
    cr_assert_str_eq(args_option(&a, "limit"), "5");
    cr_assert_eq(parse("[-n|--limit N]", "--limit=7"), 0);
    cr_assert_str_eq(args_option(&a, "limit"), "7");
}

Test(args, two_dashes_end_the_options)
{
    cr_assert_eq(parse("TEXT...", "-- --json -x"), 0);
    cr_assert_eq(a.n_words, 2);
    cr_assert_str_eq(a.words[0], "--json");
    cr_assert_eq(parse("TEXT...", "-"), 0);
    cr_assert_eq(a.n_words, 1);
}

Test(args, refuses_what_the_grammar_does_not_have)
{
    static const struct {
        const char *grammar, *line;
    } bad[] = {
        {"FILE...", ""},
        {"ID", "a b"},
        {"", "a"},
        {"ID", "--nope a"},
        {"ID", "-n a"},
        {"[-n|--limit N]", "-n"},
        {"[--fast]", "--fast=1"},
        {"[--fast]", "--fast --fast"},
        {"[--lane LANE]", "--lan x"},
        {"[--lane LANE]", "--lanes x"},
        {"[ID]", "a b"},
        {"[--lane LANE]", "-l x"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_neq(parse(bad[i].grammar, bad[i].line), 0, "\"%s\" was accepted by \"%s\"", bad[i].line,
                      bad[i].grammar);
        cr_assert_neq(e.message[0], '\0');
    }
}

Test(args, optional_words_may_be_left_out)
{
    cr_assert_eq(parse("[ID...] [--timeout TIME]", ""), 0);
    cr_assert_eq(parse("[ID...] [--timeout TIME]", "a b c"), 0);
    cr_assert_eq(parse("[ID]", "a"), 0);
}

Test(args, help_excuses_missing_words)
{
    cr_assert_eq(parse("FILE...", "--help"), 0);
    cr_assert_not_null(args_option(&a, "help"));
}

Test(args, numbers_keep_their_bounds)
{
    int64_t v = 0;

    cr_assert_eq(parse("[--jobs N]", "--jobs 8"), 0);
    cr_assert_eq(args_number(&a, "jobs", 4, 1, 32, &v, &e), 0);
    cr_assert_eq(v, 8);
    cr_assert_eq(parse("[--jobs N]", ""), 0);
    cr_assert_eq(args_number(&a, "jobs", 4, 1, 32, &v, &e), 0);
    cr_assert_eq(v, 4);
    for (const char *text = "--jobs=0\0--jobs=33\0--jobs=x\0--jobs=1x\0--jobs=-1\0"; *text != '\0';
         text += strlen(text) + 1) {
        cr_assert_eq(parse("[--jobs N]", text), 0);
        cr_assert_neq(args_number(&a, "jobs", 4, 1, 32, &v, &e), 0, "%s was accepted", text);
    }
}

Test(args, every_verb_is_complete)
{
    int n = 0;
    const struct verb *v = verb_table(&n);

    cr_assert_gt(n, 10);
    for (int i = 0; i < n; i++) {
        cr_assert_eq(verb_find(v[i].name), &v[i]);
        cr_assert_not_null(v[i].run);
        cr_assert(strcmp(v[i].socket, "api") == 0 || strcmp(v[i].socket, "control") == 0);
        cr_assert_eq(v[i].summary[strlen(v[i].summary) - 1] == '.' || strchr(v[i].summary, '?') != NULL, true);
        cr_assert_not_null(strstr(v[i].example, v[i].name), "the example of %s does not show it", v[i].name);
        cr_assert_eq(v[i].example[strlen(v[i].example) - 1], '\n');
        for (const char *o = v[i].grammar; (o = strstr(o, "--")) != NULL; o += 2) {
            char name[32];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(o, " ]"), o);
            cr_assert_not_null(strstr(v[i].options, name), "%s: the help does not explain %s", v[i].name, name);
        }
    }
}

Test(args, durations_have_units)
{
    int64_t ms = 0;

    cr_assert_eq(ctl_parse_duration("90", &ms), 0);
    cr_assert_eq(ms, 90000);
    cr_assert_eq(ctl_parse_duration("250ms", &ms), 0);
    cr_assert_eq(ms, 250);
    cr_assert_eq(ctl_parse_duration("2h", &ms), 0);
    cr_assert_eq(ms, 7200000);
    cr_assert_neq(ctl_parse_duration("", &ms), 0);
    cr_assert_neq(ctl_parse_duration("5x", &ms), 0);
    cr_assert_neq(ctl_parse_duration("-5s", &ms), 0);
    cr_assert_neq(ctl_parse_duration("9223372036854775807d", &ms), 0);
}

Test(args, small_words_stand_for_themselves)
{
    cr_assert_eq(parse("level MODULE LEVEL", "level db debug"), 0);
    cr_assert_neq(parse("level MODULE LEVEL", "lvl db debug"), 0);
    cr_assert_str_eq(e.message, "\"lvl\" stands where level is wanted");
    cr_assert_neq(parse("level MODULE LEVEL", "level db"), 0);
    cr_assert_str_eq(e.message, "LEVEL is missing");
    cr_assert_eq(parse("ready|drained|idle [--timeout TIME]", "--timeout 5 idle"), 0);
    cr_assert_neq(parse("ready|drained|idle", "idl"), 0);
    cr_assert_neq(parse("ready|drained|idle", "idle|"), 0);
    cr_assert_neq(parse("ready|drained|idle", "idle ready"), 0);
    cr_assert_eq(parse("[cancel|POOL]", "workers"), 0);
    cr_assert_eq(parse("[cancel|POOL]", ""), 0);
}

/* The first word of a verb's right, and what the supervisor wants for the verb of that name. */
Test(verbs, say_the_right_that_the_daemon_wants)
{
    int n;
    const struct verb *v = verb_table(&n);

    for (int i = 0; i < n; i++) {
        char first[16];
        int wanted = control_verb_parse(v[i].name);

        snprintf(first, sizeof first, "%.*s", (int)strcspn(v[i].right, ","), v[i].right);
        cr_assert(strcmp(first, "any") == 0 || control_right_parse(first) >= 0, "%s: %s", v[i].name, first);
        cr_assert(strcmp(v[i].socket, "api") == 0 || strcmp(v[i].socket, "control") == 0, "%s", v[i].name);
        if (strcmp(v[i].socket, "control") == 0 && wanted >= 0)
            cr_assert_eq(control_right_parse(first), (int)control_verb_right((enum control_verb)wanted), "%s",
                         v[i].name);
    }
}

static bool in_grammar(const struct verb *v, const char *option, const char *word)
{
    const char *at = v->grammar;
    struct args_element el;

    while (args_next_element(&at, &el))
        if (option != NULL ? el.option && strcmp(el.name, option) == 0 && strcmp(el.value, word) == 0
                           : !el.option && strstr(el.name, word) != NULL)
            return true;
    return false;
}

/* "-n, --limit N" or "ORDER" */
static void check_term(const struct verb *v, const struct help_line *l)
{
    char term[80], *space;
    char *word = term;

    snprintf(term, sizeof term, "%.*s", (int)l->term_n, l->term);
    if (term[0] == '-') {
        char *option = strstr(term, "--");
        cr_assert_not_null(option, "%s: %s", v->name, term);
        space = strchr(option, ' ');
        word = space != NULL ? space + 1 : option + strlen(option);
        if (space != NULL)
            *space = '\0';
        cr_assert(in_grammar(v, option + 2, word), "%s: the grammar has no %s %s", v->name, option, word);
    } else {
        cr_assert(in_grammar(v, NULL, word), "%s: the grammar has no %s", v->name, term);
    }
    cr_assert_gt(l->text_n, 0, "%s: two spaces must end \"%s\"", v->name, term);
}

Test(verbs, have_help_of_the_form_that_pages_and_completion_are_made_of)
{
    int n;
    const struct verb *v = verb_table(&n);

    for (int i = 0; i < n; i++) {
        const char *at = v[i].options;
        struct help_line l;

        while (help_next(&at, &l))
            if (l.kind == HELP_TERM)
                check_term(&v[i], &l);
        cr_assert(v[i].example[0] != '\0' && v[i].summary[0] != '\0', "%s", v[i].name);
    }
}

static bool has_choices(const struct verb *v, const char *option, const char *word)
{
    const char *at = v->options;
    struct help_line l;
    bool here = false;

    while (help_next(&at, &l)) {
        if (l.kind != HELP_MORE)
            here = help_is_term_of(&l, option, word);
        if (here && l.choice != NULL)
            return true;
    }
    return false;
}

/* A new word of a grammar needs its choices in the help, or a row in words.c. */
Test(verbs, use_words_that_shells_can_complete)
{
    int n;
    const struct verb *v = verb_table(&n);

    for (int i = 0; i < n; i++) {
        const char *at = v[i].grammar;
        struct args_element el;

        while (args_next_element(&at, &el)) {
            char *words = el.option ? el.value : el.name;
            char *word;

            while ((word = strsep(&words, "|")) != NULL)
                if (isupper((unsigned char)word[0]))
                    cr_assert(words_each(NULL, word, NULL, NULL) ||
                                  has_choices(&v[i], el.option ? el.name : NULL, word),
                              "%s: %s", v[i].name, word);
        }
    }
}

Test(helptext, long_lines_go_on_below_their_text)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    help_print(
        f,
        "  --fast         one two three four five six seven eight nine ten one two three four five six seven eight nine\n"
        "short\n"
        "A sentence that is long: one two three four five six seven eight nine ten one two three four five six x\n");
    fclose(f);
    cr_assert_str_eq(
        text, "  --fast         one two three four five six seven eight nine ten one two three four five six seven\n"
              "                 eight nine\n"
              "short\n"
              "A sentence that is long: one two three four five six seven eight nine ten one two three four five\n"
              "six x\n");
    free(text);
}
