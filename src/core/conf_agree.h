/*
 * conf_agree.h - what all nodes of one database must agree on
 *
 * The keys decide what a document becomes and where it is: two nodes that differ in one of them would undo each other's
 * work or not find each other's files. Each node publishes a digest of each; values leave the node as digests only, and
 * no key of the list is a secret. The coordinator, which publishes them, has to see each (CR_COORD).
 *
 * Depends on base/hash.
 */
#ifndef CORE_CONF_AGREE_H
#define CORE_CONF_AGREE_H

#include "core/conf.h"

/* X(field, "" or the value of blob.backend or embedder.name for which alone it counts) */
#define CONF_AGREED(X)                                                                                                 \
    X(blob_backend, "")                                                                                                \
    X(blob_fs_root, "fs")                                                                                              \
    X(blob_prefix, "object")                                                                                           \
    X(blob_s3_endpoint, "s3")                                                                                          \
    X(blob_s3_region, "s3")                                                                                            \
    X(blob_s3_bucket, "s3")                                                                                            \
    X(blob_supabase_url, "supabase")                                                                                   \
    X(blob_supabase_bucket, "supabase")                                                                                \
    X(chunk_max_tokens, "")                                                                                            \
    X(chunk_overlap_tokens, "")                                                                                        \
    X(chunk_tokenizer, "")                                                                                             \
    X(embedder_name, "")                                                                                               \
    X(embedder_dimension, "")                                                                                          \
    X(openai_model, "openai")                                                                                          \
    X(search_index, "")                                                                                                \
    X(limits_max_upload, "")                                                                                           \
    X(limits_max_pages, "")                                                                                            \
    X(limits_max_unpacked, "")                                                                                         \
    X(limits_max_depth, "")                                                                                            \
    X(limits_max_chunks, "")                                                                                           \
    X(limits_user_active, "")                                                                                          \
    X(retention_blobs, "")

#define CONF_FINGERPRINT_MAX 32 /* characters */

/* The digests, {"key": "digest", ...}; collections are `collections.NAME`. NULL: out of memory. */
char *conf_agreement(const void *talloc_parent, const struct conf *c, char fingerprint[CONF_FINGERPRINT_MAX + 1]);
/* Children of a pool at its largest, with those that retire while their successors start. */
int conf_pool_room(int max); /* how many successors there may be at once */
int conf_pool_children(const struct pool_conf *p);
/* Connections to the database that this node may need at once. */
int conf_connections(const struct conf *c);

#endif
