/* payload.h - a file of tests/fixtures as a string */
#ifndef TESTS_PROVIDER_PAYLOAD_H
#define TESTS_PROVIDER_PAYLOAD_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static inline char *payload(const char *name)
{
    static char text[65536];
    char path[1024];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", TEST_PAYLOADS, name);
    f = fopen(path, "r");
    cr_assert(f != NULL, "%s", path);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

#endif
