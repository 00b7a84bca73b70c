/*
 * ids.c - see ids.h. Pure; the check vectors stand in its test. Running out of memory is a panic: a wrong identifier
 * would join two users.
 */
#include "core/ids.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct uuid namespace_docmill = {
    {0x6c, 0x8a, 0x1e, 0x6e, 0x1f, 0x0b, 0x4a, 0xa8, 0x9f, 0x0a, 0x1a, 0x7c, 0x2e, 0x6f, 0x2b, 0x42}};

static void by_name(const char *name, struct uuid *out)
{
    uuid_v5(&namespace_docmill, name, strlen(name), out);
}

void ids_user_by_name(const char *name, struct uuid *out)
{
    char *text;

    if (uuid_parse(name, out) == 0)
        return;
    /* never cut: two names with a long common beginning are two users */
    if (asprintf(&text, "user:%s", name) < 0)
        log_panic("ids", "out of memory");
    for (char *p = text; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    by_name(text, out);
    free(text);
}

void ids_user_by_uid(unsigned uid, struct uuid *out)
{
    char text[32];

    snprintf(text, sizeof text, "uid:%u", uid);
    by_name(text, out);
}

void ids_document(const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct uuid *out)
{
    char text[UUID_TEXT_LEN + 1 + SHA256_HEX_LEN + 1];

    uuid_format(user, text);
    text[UUID_TEXT_LEN] = ':';
    hex_encode(sha256, SHA256_BYTES, text + UUID_TEXT_LEN + 1);
    by_name(text, out);
}

void ids_document_in(const struct uuid *user, const uint8_t sha256[SHA256_BYTES], const char *collection,
                     struct uuid *out)
{
    char id[UUID_TEXT_LEN + 1], hash[SHA256_HEX_LEN + 1], *text;

    if (strcmp(collection, "default") == 0) {
        ids_document(user, sha256, out);
        return;
    }
    uuid_format(user, id);
    hex_encode(sha256, SHA256_BYTES, hash);
    if (asprintf(&text, "%s:%s:%s", id, hash, collection) < 0)
        log_panic("ids", "out of memory");
    by_name(text, out);
    free(text);
}

void ids_chunk(const struct uuid *document, const char *chunker, int version, int ord, struct uuid *out)
{
    char id[UUID_TEXT_LEN + 1];
    char text[160];

    uuid_format(document, id);
    snprintf(text, sizeof text, "%s:%s:%d:%d", id, chunker, version, ord);
    by_name(text, out);
}
