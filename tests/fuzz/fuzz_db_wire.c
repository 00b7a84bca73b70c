/*
 * fuzz_db_wire.c - the readers of binary values take any bytes
 *
 * Each reader must refuse or read within the given length, and what is read must be written back the same.
 */
#include "db/pg_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1), back[8]; /* exactly as long: a read beyond it is seen */
    int64_t i, ms;
    double f;
    bool b;

    memcpy(exact, data, size);
    if (wire_get_int(exact, size, &i) == 0) {
        wire_put_64(back, (uint64_t)i);
        if (memcmp(back + 8 - size, exact, size) != 0)
            abort();
    }
    if (wire_get_float(exact, size, &f) == 0 && size == 8) {
        uint64_t bits;
        memcpy(&bits, &f, sizeof bits);
        wire_put_64(back, bits);
        if (f == f && memcmp(back, exact, size) != 0)
            abort();
    }
    if (wire_get_bool(exact, size, &b) == 0 && (size != 1 || exact[0] != b))
        abort();
    if (wire_get_time_ms(exact, size, &ms) == 0 && size != 8)
        abort();
    free(exact);
    return 0;
}
