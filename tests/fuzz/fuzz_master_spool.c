/*
 * fuzz_master_spool.c - any bytes as the file of a former life: what is found is in order, and can be sent
 *
 * The mark at its beginning and the checksums are put right: no fuzzer guesses them, and whoever spoils a file can
 * reckon them.
 */
#include "master/spool.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct msg_audit out[SPOOL_RECORDS];
    static uint8_t buf[CHANNEL_MAX_BYTES], file[16 * SPOOL_SLOT_BYTES];
    int n;

    if (size > sizeof file)
        return 0;
    memcpy(file, data, size);
    if (size >= 8)
        memcpy(file, "dmAudit1", 8);
    for (size_t at = SPOOL_SLOT_BYTES; at + SPOOL_SLOT_BYTES <= size; at += SPOOL_SLOT_BYTES)
        sha256_of(file + at + SHA256_BYTES, SPOOL_SLOT_BYTES - SHA256_BYTES, file + at);
    n = spool_read(file, size, "", 1000, out);
    for (int i = 0; i < n; i++) {
        const struct channel_msg m = {.kind = CHANNEL_AUDIT, .audit = out[i]};
        if (out[i].at_ms > 1000 || (i > 0 && out[i].seq <= out[i - 1].seq) || channel_encode(&m, buf, sizeof buf) < 0)
            abort();
    }
    return 0;
}
