/*
 * object_fixture.h - the three stores for the conformance tests, and a hand on the object stores' server
 *
 * With DOCMILL_STORE_PEER=s3rver or moto in the environment (scripts/test-peers), S3 is that server behind a proxy that
 * checks what it does not, and the only store.
 */
#ifndef TESTS_BLOB_OBJECT_FIXTURE_H
#define TESTS_BLOB_OBJECT_FIXTURE_H

#include "blob/blob.h"

enum kind { KIND_FS, KIND_S3, KIND_S3_HOST, KIND_SUPABASE, N_KINDS };

extern const char *const kind_names[N_KINDS];
extern struct conf conf;
extern struct blob_store *store;
extern struct error err;
extern struct uuid user;

/* The kinds that are to be tested. */
enum kind *fixture_kinds(size_t *n);
/* Whether the open store is somebody else's and checks URLs that are given away by itself too. */
bool fixture_store_judges(void);
/* Opens a store of this kind, empty, with a server of its own if it needs one. */
void fixture_open(enum kind k);
void fixture_reopen(void); /* with conf as it is now */
void fixture_close(void);
/* Tells the server something, or asks it: the answer is the caller's to free (talloc). */
void fixture_control(const char *json);
char *fixture_state(void);
/* Makes everything in the store so much older. */
void fixture_older(int seconds);
/* Flips a bit of the stored blob. */
void fixture_damage(const uint8_t sha256[SHA256_BYTES]);
/* GETs a URL without any header; the status. */
int fixture_get(const char *url, char *body, size_t size);

#endif
