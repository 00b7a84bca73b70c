/*
 * fuzz_blob_answer.c - listings, errors and times as an object store may send them
 *
 * What is read must lie within its bounds and be made of the input.
 */
#include "blob/s3.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct object_entry entries[8];
    struct http_response r = {.status = 200};
    char *text = malloc(size + 1), out[40];
    bool more = false;
    int n;

    memcpy(text, data, size);
    text[size] = '\0';
    r.body = text;
    r.len = size;
    n = s3_read_list("p/", &r, entries, 8, &more);
    assert(n <= 8);
    for (int i = 0; i < n; i++)
        assert(strlen(entries[i].key) < OBJECT_KEY_BYTES && entries[i].age_ms >= 0);
    if (xml_text(text, NULL, "Code", out, sizeof out) != NULL)
        assert(strlen(out) < sizeof out);
    if (xml_text(text, "</Upload>", "UploadId", out, 2) != NULL)
        assert(strlen(out) < 2);
    (void)object_time_ms(text);
    free(text);
    return 0;
}
