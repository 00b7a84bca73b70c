/*
 * args.c - see args.h
 *
 * A grammar is walked anew for each question; it is one line.
 */
#include "ctl/args.h"
#include "core/reason.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static size_t copy_name(char out[ARGS_ELEMENT_BYTES], const char *from, const char *stop_at)
{
    size_t n = strcspn(from, stop_at);
    size_t fits = n < ARGS_ELEMENT_BYTES - 1 ? n : ARGS_ELEMENT_BYTES - 1;

    memcpy(out, from, fits);
    out[fits] = '\0';
    return n;
}

bool args_next_element(const char **at, struct args_element *el)
{
    const char *p = *at + strspn(*at, " ");

    *el = (struct args_element){0};
    if (*p == '\0')
        return false;
    if (*p == '[') {
        el->optional = true;
        p++;
    }
    if (p[0] == '-') {
        el->option = true;
        if (p[1] != '-') {
            el->short_name = p[1];
            p += 2 + (p[2] == '|');
        }
        p += 2;
        p += copy_name(el->name, p, " ]");
        el->takes_value = *p == ' ';
        if (el->takes_value)
            (void)copy_name(el->value, p + 1, " ]");
        p += strcspn(p, "]");
    } else {
        p += copy_name(el->name, p, " ].");
        el->many = *p == '.';
        p += strspn(p, ".");
    }
    *at = p + (*p == ']');
    return true;
}

/* The option that text (without its dashes; n characters) names. */
static bool find_option(const char *grammar, const char *text, size_t n, bool is_short, struct args_element *el)
{
    while (args_next_element(&grammar, el)) {
        if (!el->option)
            continue;
        if (is_short ? n == 1 && el->short_name == text[0] : strlen(el->name) == n && memcmp(el->name, text, n) == 0)
            return true;
    }
    return false;
}

static int add_option(struct args *out, const char *name, const char *value, const void *ctx, struct error *e)
{
    if (args_option(out, name) != NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "--%s is given twice", name);
    if (out->n_options == ARGS_MAX_OPTIONS)
        return reason_error(e, REASON_bad_request, E2BIG, "too many options");
    out->options[out->n_options++] = (struct args_option){talloc_strdup(ctx, name), value};
    return 0;
}

/* argv[i] is an option; returns how many words were used, or negative. */
static int read_option(const void *ctx, const char *grammar, const char *global_grammar, int argc,
                       const char *const *argv, int i, struct args *out, struct error *e)
{
    bool is_short = argv[i][1] != '-';
    const char *text = argv[i] + (is_short ? 1 : 2);
    size_t n = is_short ? 1 : strcspn(text, "=");
    const char *value = text + n;
    struct args_element el;
    int rc;

    if (!find_option(grammar, text, n, is_short, &el) && !find_option(global_grammar, text, n, is_short, &el))
        return reason_error(e, REASON_bad_request, EINVAL, "there is no option %.40s", argv[i]);
    if (!el.takes_value) {
        if (*value != '\0')
            return reason_error(e, REASON_bad_request, EINVAL, "--%s takes no value", el.name);
        rc = add_option(out, el.name, "", ctx, e);
        return rc != 0 ? rc : 1;
    }
    if (*value != '\0') {
        rc = add_option(out, el.name, value + (!is_short && *value == '='), ctx, e);
        return rc != 0 ? rc : 1;
    }
    if (i + 1 >= argc)
        return reason_error(e, REASON_bad_request, EINVAL, "--%s needs a value", el.name);
    rc = add_option(out, el.name, argv[i + 1], ctx, e);
    return rc != 0 ? rc : 2;
}

/* Whether word is one of the small words of the element; one with a word in capitals takes any. */
static bool stands_for(const struct args_element *el, const char *word)
{
    const char *at = el->name;

    while (*at != '\0') {
        size_t n = strcspn(at, "|");

        if (isupper((unsigned char)*at) || (strlen(word) == n && memcmp(at, word, n) == 0))
            return true;
        at += n + (at[n] == '|');
    }
    return false;
}

/* Whether as many words came as the grammar allows, and those that it names. */
static int check_words(const char *grammar, const struct args *a, struct error *e)
{
    struct args_element el;
    int least = 0;
    int most = 0;

    while (args_next_element(&grammar, &el)) {
        if (el.option)
            continue;
        if (!el.optional && least++ >= a->n_words)
            return reason_error(e, REASON_bad_request, EINVAL, "%s is missing", el.name);
        for (int i = most; i < a->n_words && (el.many || i == most); i++)
            if (!stands_for(&el, a->words[i]))
                return reason_error(e, REASON_bad_request, EINVAL, "\"%.60s\" stands where %s is wanted", a->words[i],
                                    el.name);
        most = el.many ? INT32_MAX : most + 1;
    }
    if (a->n_words > most)
        return reason_error(e, REASON_bad_request, EINVAL, "\"%.60s\" is one argument too many", a->words[most]);
    return 0;
}

int args_parse(const void *talloc_ctx, const char *grammar, const char *global_grammar, int argc,
               const char *const *argv, struct args *out, struct error *e)
{
    bool words_only = false;

    *out = (struct args){.words = talloc_array(talloc_ctx, const char *, (unsigned)argc + 1)};
    for (int i = 0; i < argc;) {
        int used = 1;

        if (!words_only && strcmp(argv[i], "--") == 0)
            words_only = true;
        else if (!words_only && argv[i][0] == '-' && argv[i][1] != '\0')
            used = read_option(talloc_ctx, grammar, global_grammar, argc, argv, i, out, e);
        else
            out->words[out->n_words++] = argv[i];
        if (used < 0)
            return used;
        i += used;
    }
    if (args_option(out, "help") != NULL)
        return 0;
    return check_words(grammar, out, e);
}

const char *args_option(const struct args *a, const char *name)
{
    for (int i = 0; i < a->n_options; i++)
        if (strcmp(a->options[i].name, name) == 0)
            return a->options[i].value;
    return NULL;
}

int args_number(const struct args *a, const char *name, int64_t def, int64_t min, int64_t max, int64_t *out,
                struct error *e)
{
    const char *text = args_option(a, name);
    char *end = NULL;

    *out = def;
    if (text == NULL)
        return 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || *out < min || *out > max)
        return reason_error(e, REASON_bad_request, EINVAL,
                            "--%s must be a number from %" PRId64 " to %" PRId64 ", not \"%.40s\"", name, min, max,
                            text);
    return 0;
}
