/*
 * generate.c - pages made up: sentences of a small vocabulary, headings, tables
 *
 * The same seed and file give the same pages. The vocabulary is of four languages, so that what depends on letters and
 * on tokens a character can be tested.
 *
 * Depends on common.
 */
#include "llamaparse/llamaparse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAGRAPHS 4
#define SENTENCES  5
#define ROWS       5

static const struct {
    const char *language;
    const char *words[16];
} vocabularies[] = {
    {"en",
     {"the", "report", "shows", "annual", "growth", "of", "river", "trade", "and", "its", "cost", "for", "every",
      "region", "in", "detail"}},
    {"de",
     {"der", "Bericht", "zeigt", "jährliches", "Wachstum", "des", "Handels", "über", "Flüsse", "und", "dessen",
      "Kosten", "für", "jede", "Region", "genau"}},
    {"ru",
     {"отчёт", "показывает", "ежегодный", "рост", "торговли", "по", "рекам", "и", "её", "стоимость", "для", "каждого",
      "региона", "в", "деталях", "год"}},
    {"zh",
     {"报告", "显示", "年度", "增长", "河流", "贸易", "以及", "成本", "每个", "地区", "的", "细节", "数据", "价格",
      "城市", "市场"}},
};

struct dice {
    uint64_t state;
};

static unsigned throw_dice(struct dice *d, unsigned n)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(d->state >> 33) % n;
}

static const char *const *words_of(const char *language)
{
    for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++)
        if (strcmp(vocabularies[i].language, language) == 0)
            return vocabularies[i].words;
    return vocabularies[0].words;
}

static void write_sentence(FILE *f, struct dice *d, const char *const *words)
{
    unsigned n = 6 + throw_dice(d, 10);

    for (unsigned i = 0; i < n; i++)
        fprintf(f, "%s%s", i > 0 ? " " : "", words[throw_dice(d, 16)]);
    fputs(". ", f);
}

static void write_table(FILE *f, struct dice *d, const char *const *words, bool marks)
{
    const char *bar = marks ? "| " : "", *between = marks ? " | " : "   ", *end = marks ? " |\n" : "\n";

    fprintf(f, "%s%s%s%s%s%s%s", bar, words[1], between, words[4], between, words[10], end);
    if (marks)
        fputs("| --- | --- | --- |\n", f);
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "%s%s%s%u%s%u.%02u%s", bar, words[throw_dice(d, 16)], between, throw_dice(d, 10000), between,
                throw_dice(d, 100), throw_dice(d, 100), end);
    fputc('\n', f);
}

/* The same page as markdown or as text: the same dice, other marks. */
static json_t *write_page(const struct llamaparse *l, uint64_t seed, int64_t page, bool marks)
{
    const char *const *words = words_of(l->language);
    struct dice d = {.state = seed + (uint64_t)page * 0x9e3779b97f4a7c15u};
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    json_t *v;

    if (f == NULL)
        abort();
    fprintf(f, "%s%s %s %lld\n\n", marks ? "# " : "", words[throw_dice(&d, 16)], words[throw_dice(&d, 16)],
            (long long)page);
    for (int i = 0; i < PARAGRAPHS; i++) {
        for (int k = 0; k < SENTENCES; k++)
            write_sentence(f, &d, words);
        fputs("\n\n", f);
    }
    if (l->tables)
        write_table(f, &d, words, marks);
    fclose(f);
    v = json_stringn(text, n);
    free(text);
    return v;
}

json_t *generate_pages(const struct llamaparse *l, const char *hash)
{
    uint64_t seed = strtoull(hash + 48, NULL, 16) ^ mock_seed(l->mock);
    json_t *pages = json_array();

    for (int64_t i = 1; i <= l->pages; i++)
        json_array_append_new(pages, json_pack("{s:I, s:o, s:o}", "page", (json_int_t)i, "text",
                                               write_page(l, seed, i, false), "md", write_page(l, seed, i, true)));
    return pages;
}
