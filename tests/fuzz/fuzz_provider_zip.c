/* fuzz_provider_zip.c - any bytes as an archive: no crash, no endless walk, sums that make sense */
#include "provider/zip.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static int fd = -1;
    struct zip_summary s;
    int rc;

    if (fd < 0)
        fd = memfd_create("fuzz", 0);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
        return 0;
    rc = zip_summarise(fd, (int64_t)n, &s);
    if (rc < 0 || s.unpacked < 0 || s.entries < 0 || s.entries > ZIP_MAX_ENTRIES || s.entries * 46 > (int64_t)n)
        abort();
    return 0;
}
