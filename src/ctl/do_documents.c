/*
 * do_documents.c - docmillctl documents, document, delete: the caller's documents
 *
 * Depends on base, core.
 */
#include "ctl/lists.h"

#include <stdio.h>
#include <talloc.h>

static void add_row(struct table *t, const json_t *d)
{
    const json_t *chunks = json_object_get(d, "chunks");
    char age[24];
    char size[24];

    ctl_age(ctl_string(d, "created_at"), age);
    ctl_bytes(ctl_int(d, "bytes"), size);
    table_cell(t, ctl_string(d, "document_id"));
    table_cell(t, ctl_string(d, "status"));
    if (json_is_integer(chunks))
        table_cell_number(t, json_integer_value(chunks));
    else
        table_cell(t, "-");
    table_cell(t, size);
    table_cell(t, age);
    table_cell(t, ctl_string(d, "filename"));
}

int do_documents(struct ctl *c)
{
    static const struct table_column columns[] = {
        {"DOCUMENT", TABLE_LEFT, false}, {"STATUS", TABLE_LEFT, false}, {"CHUNKS", TABLE_RIGHT, false},
        {"SIZE", TABLE_RIGHT, false},    {"AGE", TABLE_RIGHT, false},   {"FILE", TABLE_LEFT, true},
    };

    const char *parser = args_option(&c->args, "parsed-by");
    const char *path = args_option(&c->args, "fallback") != NULL ? "/v1/documents?fallback=1&" : "/v1/documents?";

    if (parser != NULL)
        path = talloc_asprintf(c->mem, "%sparsed_by=%s&", path, client_escape(c, parser));
    return list_show(c, path, "documents", columns, (int)(sizeof columns / sizeof columns[0]), add_row);
}

int do_document(struct ctl *c)
{
    static const struct show_field fields[] = {
        {"filename", "file"},
        {"document_id", "document"},
        {"collection", "collection"},
        {"job_id", "job"},
        {"status", "status"},
        {"state", "state"},
        {"progress", "progress %"},
        {"content_type", "type"},
        {"bytes", "bytes"},
        {"pages", "pages"},
        {"chunks", "chunks"},
        {"parsed_by", "parsed by"},
        {"parsed_instead_of", "instead of"},
        {"duplicate_of", "duplicate of"},
        {"error_reason", "error"},
        {"error_message", ""},
        {"error_hint", "hint"},
        {"sha256", "sha256"},
        {"created_at", "received"},
        {"updated_at", "changed"},
    };
    json_t *d = NULL;
    int rc = client_call(c, "GET", talloc_asprintf(c->mem, "/v1/documents/%s", client_escape(c, c->args.words[0])), &d);

    if (rc != CTL_OK)
        return rc;
    if (c->json)
        ctl_print_json(c, d);
    else
        show_fields(d, fields, (int)(sizeof fields / sizeof fields[0]));
    json_decref(d);
    return rc;
}

int do_delete(struct ctl *c)
{
    const char *id = c->args.words[0];
    json_t *d = NULL;
    int rc = client_call(c, "DELETE", talloc_asprintf(c->mem, "/v1/documents/%s", client_escape(c, id)), &d);

    if (rc != CTL_OK)
        return rc;
    if (c->json)
        ctl_print_json(c, d);
    else
        printf("deleted %s\n", id);
    json_decref(d);
    return rc;
}
