/* handlers.h - the functions that the route table names; each group stands in the file of its prefix */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/request.h"

int upload_begin(struct request *r, struct error *e) MUST_CHECK;
int upload_data(struct request *r, const void *p, size_t n, struct error *e) MUST_CHECK;
int upload_end(struct request *r, struct error *e) MUST_CHECK;

int documents_list(struct request *r, struct error *e) MUST_CHECK;
int documents_get(struct request *r, struct error *e) MUST_CHECK;
int documents_delete(struct request *r, struct error *e) MUST_CHECK;
int documents_reparse(struct request *r, struct error *e) MUST_CHECK;
int reparse_all(struct request *r, struct error *e) MUST_CHECK;
int stats_get(struct request *r, struct error *e) MUST_CHECK;

int jobs_list(struct request *r, struct error *e) MUST_CHECK;
int jobs_get(struct request *r, struct error *e) MUST_CHECK;
int jobs_retry(struct request *r, struct error *e) MUST_CHECK;
int jobs_cancel(struct request *r, struct error *e) MUST_CHECK;

int audit_get(struct request *r, struct error *e) MUST_CHECK;

int events_list(struct request *r, struct error *e) MUST_CHECK;

int cost_get(struct request *r, struct error *e) MUST_CHECK;

int spaces_get(struct request *r, struct error *e) MUST_CHECK;
int spaces_retry(struct request *r, struct error *e) MUST_CHECK;
int spaces_flip(struct request *r, struct error *e) MUST_CHECK;

int pauses_get(struct request *r, struct error *e) MUST_CHECK;
int pauses_pause(struct request *r, struct error *e) MUST_CHECK;
int pauses_resume(struct request *r, struct error *e) MUST_CHECK;

int search_get(struct request *r, struct error *e) MUST_CHECK;

int webhook_begin(struct request *r, struct error *e) MUST_CHECK;
int webhook_data(struct request *r, const void *p, size_t n, struct error *e) MUST_CHECK;
int webhook_end(struct request *r, struct error *e) MUST_CHECK;

int routes_get(struct request *r, struct error *e) MUST_CHECK;
int livez_get(struct request *r, struct error *e) MUST_CHECK;
int metrics_get(struct request *r, struct error *e) MUST_CHECK;
int readyz_get(struct request *r, struct error *e) MUST_CHECK;

/* What documents.c and jobs.c share: the answer of a statement that returns (job_id, status, state). */
int job_moved(struct request *r, const PGresult *res, struct error *e) MUST_CHECK;
void job_sqlstate(const char *sqlstate, struct error *e);

#endif
