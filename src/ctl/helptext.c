/* helptext.c - see helptext.h */
#include "ctl/helptext.h"

#include <ctype.h>
#include <string.h>

#define INDENT_MORE 4

/* The term ends where two spaces, or the line, end it. */
static size_t term_length(const char *s, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        if (s[i] == ' ' && s[i + 1] == ' ')
            return i;
    return n;
}

static void take_choice(struct help_line *l)
{
    size_t n = 0;

    while (n < l->text_n && (islower((unsigned char)l->text[n]) || isdigit((unsigned char)l->text[n]) ||
                             l->text[n] == '_' || l->text[n] == '-'))
        n++;
    if (n == 0 || n + 1 >= l->text_n || l->text[n] != ':' || l->text[n + 1] != ' ')
        return;
    l->choice = l->text;
    l->choice_n = n;
    l->text += n + 2;
    l->text_n -= n + 2;
}

bool help_next(const char **at, struct help_line *l)
{
    const char *s = *at;
    size_t n = strcspn(s, "\n");
    size_t indent = strspn(s, " ");

    *l = (struct help_line){.kind = HELP_PARAGRAPH};
    if (*s == '\0')
        return false;
    *at = s + n + (s[n] == '\n');
    if (indent > n)
        indent = n;
    l->text = s + indent;
    l->text_n = n - indent;
    if (indent == 0)
        return true;
    l->kind = indent < INDENT_MORE ? HELP_TERM : HELP_MORE;
    if (l->kind == HELP_TERM) {
        l->term = l->text;
        l->term_n = term_length(l->text, l->text_n);
        l->text += l->term_n;
        l->text_n -= l->term_n;
        while (l->text_n > 0 && *l->text == ' ') {
            l->text++;
            l->text_n--;
        }
    }
    take_choice(l);
    return true;
}

/* Where the text of a line begins, behind its term and its choice. */
static size_t text_column(const char *s, size_t n)
{
    size_t indent = strspn(s, " ");

    if (indent == 0 || indent >= INDENT_MORE || indent >= n)
        return indent < n ? indent : 0;
    indent += term_length(s + indent, n - indent);
    while (indent < n && s[indent] == ' ')
        indent++;
    return indent < HELP_WIDTH / 2 ? indent : INDENT_MORE;
}

static void print_line(FILE *out, const char *s, size_t n)
{
    size_t column = text_column(s, n);
    size_t room = HELP_WIDTH;
    size_t before = 0;

    while (n > room) {
        size_t cut = room;

        while (cut > 0 && s[cut] != ' ')
            cut--;
        if (cut <= (before == 0 ? column : 0)) /* a word that is too long */
            break;
        fprintf(out, "%*s%.*s\n", (int)before, "", (int)cut, s);
        n -= cut + 1;
        s += cut + 1;
        before = column;
        room = HELP_WIDTH - column;
    }
    fprintf(out, "%*s%.*s\n", (int)before, "", (int)n, s);
}

void help_print(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        print_line(out, text, n);
        text += n + (text[n] == '\n');
    }
}

bool help_is_term_of(const struct help_line *l, const char *option, const char *word)
{
    size_t word_n = strlen(word);
    size_t option_n = option != NULL ? strlen(option) : 0;
    size_t at;

    if (l->kind != HELP_TERM || l->term_n < word_n || memcmp(l->term + l->term_n - word_n, word, word_n) != 0)
        return false;
    if (option == NULL)
        return l->term_n == word_n;
    if (l->term_n < word_n + option_n + 3)
        return false;
    at = l->term_n - word_n - 1 - option_n;
    return l->term[at + option_n] == ' ' && memcmp(l->term + at, option, option_n) == 0 && l->term[at - 1] == '-';
}
