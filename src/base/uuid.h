/* uuid.h - RFC 4122 identifiers: random (v4), by name (v5, SHA-1), text form */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_LEN 36

struct uuid {
    uint8_t b[16];
};

void uuid_v4(struct uuid *out);
void uuid_v5(const struct uuid *ns, const void *name, size_t n, struct uuid *out);
void uuid_format(const struct uuid *u, char out[UUID_TEXT_LEN + 1]); /* lower case */
int uuid_parse(const char *s, struct uuid *out); /* exactly the 36-character form; 0, or -EINVAL and *out as it was */
int uuid_equal(const struct uuid *a, const struct uuid *b);

#endif
