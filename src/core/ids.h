/*
 * ids.h - how docmill names things: every deterministic identifier is made here and nowhere else
 *
 * UUIDv5 in docmill's namespace 6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42; names are lower case, joined by colons.
 */
#ifndef CORE_IDS_H
#define CORE_IDS_H

#include "base/hash.h"
#include "base/uuid.h"

void ids_user_by_name(const char *name, struct uuid *out); /* "user:<name>"; a UUID's text is taken as it is */
void ids_user_by_uid(unsigned uid, struct uuid *out);      /* "uid:<n>": the caller of a Unix socket */
void ids_document(const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct uuid *out); /* "<user>:<hex>" */
/* In a collection of that name: "<user>:<hex>:<collection>", and as above in default. */
void ids_document_in(const struct uuid *user, const uint8_t sha256[SHA256_BYTES], const char *collection,
                     struct uuid *out);
void ids_chunk(const struct uuid *document, const char *chunker, int version, int ord, struct uuid *out);

#endif
