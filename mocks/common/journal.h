/*
 * journal.h - what a mock was asked, and what it answered
 *
 * An entry is made when the answer is known and completed when it has been sent. Secrets are masked: of an
 * authorization only the scheme and eight digits of its hash are kept, enough to tell two keys apart. The newest
 * JOURNAL_MAX entries are kept. Every call is made locked.
 */
#ifndef MOCKS_COMMON_JOURNAL_H
#define MOCKS_COMMON_JOURNAL_H

#include "common/mock.h"

#define JOURNAL_MAX 50000

struct journal;

struct journal *journal_new(const void *ctx);
void journal_add(struct journal *j, const struct mock_request *q, const struct mock_answer *a, int64_t now_ms);
void journal_ended(struct journal *j, uint64_t number, const char *how, int64_t now_ms);
void journal_clear(struct journal *j);
/* Entries with a number above `since`, a path that begins with path and the status, where these are given. */
json_t *journal_show(const struct journal *j, uint64_t since, const char *path, int status);
json_t *journal_save(const struct journal *j);
void journal_load(struct journal *j, const json_t *kept);

#endif
