/* lists.h - what the verbs that list or show things share */
#ifndef CTL_LISTS_H
#define CTL_LISTS_H

#include "ctl/ctl.h"
#include "ctl/text.h"

#define LIST_DEFAULT 50
#define LIST_MAX     100000
#define LIST_PAGE    500 /* rows a request */

/* Fetches pages of `name` from path ("/v1/jobs?state=done&", ends so that parameters can follow) until --limit rows
 * are there, and prints them as a table or as JSON. */
int list_show(struct ctl *c, const char *path, const char *name, const struct table_column *columns, int n_columns,
              void (*add_row)(struct table *t, const json_t *row));

/* Prints "label  value" lines of an object's members; members that are null or absent are left out. */
struct show_field {
    const char *key, *label;
};
void show_fields(const json_t *object, const struct show_field *fields, int n);

/* The id of the job that `id` names: a job's own, or that of a document's job. Exit code. */
int job_id_of(struct ctl *c, const char *id, const char **job);

#endif
