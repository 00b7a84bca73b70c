/* fuzz_proc_channel.c - any bytes: decoding neither crashes nor accepts what encoding would not give back */
#include "proc/channel.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buf[CHANNEL_MAX_BYTES];
    struct channel_msg first, second;
    struct error e;
    int n;

    if (size > CHANNEL_MAX_BYTES || channel_decode(data, size, &first, &e) != 0)
        return 0;
    n = channel_encode(&first, buf, sizeof buf);
    if (n < 0 || channel_decode(buf, (size_t)n, &second, &e) != 0 || memcmp(&first, &second, sizeof first) != 0)
        abort();
    return 0;
}
