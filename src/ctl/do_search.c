/*
 * do_search.c - docmillctl search: passages with where they stand
 *
 * Depends on base.
 */
#include "ctl/lists.h"
#include "ctl/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <talloc.h>
#include <unistd.h>

#define LIMIT_DEFAULT 5
#define LIMIT_MAX     200
#define PASSAGE_LINES 6
#define PIPE_WIDTH    100
#define TEXT_WIDTH    100 /* lines longer than this are hard to read on any terminal */

static void show_hit(struct ctl *c, size_t i, const json_t *hit)
{
    const char *bold = c->width > 0 ? "\033[1m" : "";
    const char *plain = c->width > 0 ? "\033[0m" : "";
    const char *heading = ctl_string(hit, "heading_path");
    int width = c->width == 0 ? PIPE_WIDTH : c->width < TEXT_WIDTH ? c->width : TEXT_WIDTH;

    printf("%zu. %s", i + 1, bold);
    text_print(stdout, ctl_string(hit, "filename"), c->width > 0 ? width - 4 : 0);
    printf("%s\n   ", plain);
    if (heading[0] != '\0') {
        text_print(stdout, heading, c->width > 0 ? width - 3 : 0);
        fputs("\n   ", stdout);
    }
    if (ctl_int(hit, "page") > 0)
        printf("page %" PRId64 ", ", (int64_t)ctl_int(hit, "page"));
    printf("score %.3f, document %s\n", json_number_value(json_object_get(hit, "score")),
           ctl_string(hit, "document_id"));
    text_wrap(stdout, ctl_string(hit, "text"), 3, width, PASSAGE_LINES);
    putchar('\n');
}

static char *words_of(struct ctl *c)
{
    char *text = talloc_strdup(c->mem, "");

    for (int i = 0; i < c->args.n_words; i++)
        text = talloc_asprintf_append(text, "%s%s", i > 0 ? " " : "", c->args.words[i]);
    return text;
}

int do_search(struct ctl *c)
{
    struct error e = {0};
    int64_t limit = 0;
    json_t *body = NULL;
    json_t *list;
    json_t *hit;
    char *target;
    size_t i;
    int rc;

    if (args_number(&c->args, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit, &e) != 0)
        return ctl_usage(c, &e);
    target = talloc_asprintf(c->mem, "/v1/search?limit=%" PRId64 "&q=%s", limit, client_escape(c, words_of(c)));
    if (args_option(&c->args, "collection") != NULL)
        target =
            talloc_asprintf_append(target, "&collection=%s", client_escape(c, args_option(&c->args, "collection")));
    rc = client_call(c, "GET", target, &body);
    if (rc != CTL_OK)
        return rc;
    list = json_object_get(body, "results");
    if (c->json) {
        ctl_print_json(c, list);
    } else {
        json_array_foreach(list, i, hit)
        {
            show_hit(c, i, hit);
        }
        if (json_array_size(list) == 0)
            fputs("nothing found: no complete document of yours yet? (docmillctl documents)\n", stderr);
    }
    json_decref(body);
    return rc;
}
