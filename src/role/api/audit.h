/*
 * audit.h - records of what operators do over the HTTP interface
 *
 * A statement that does it is `WITH did AS MATERIALIZED (...) SELECT ..., NOTED("$2, $3, $4, $5", "'done'") FROM did`:
 * the record is in the same transaction.
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include "api/request.h"

#include <jansson.h>

/* places: those of audit_add_params(); result: an expression, 'done' or a reason */
#define NOTED(places, result) "upload_pipeline.note_audit(" places ", " result ")"

/* The four parameters of note_audit. Takes arguments. */
void audit_add_params(const struct request *r, struct pg_params *p, const char *verb, json_t *arguments);

#endif
