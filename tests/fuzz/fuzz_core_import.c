/*
 * fuzz_core_import.c - any bytes as the configuration a child is handed, and any text as a connection string to mask and
 * to compare
 */
#include "core/conf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <talloc.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void import(const uint8_t *data, size_t size)
{
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    struct error e = {0};
    struct conf *c;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        abort();
    c = conf_import(NULL, fd, &e);
    if (c == NULL && (e.code >= 0 || e.message[0] == '\0'))
        abort();
    talloc_free(c);
    close(fd);
}

/* What follows "password" and an equals sign must not be shown. */
static void mask(const uint8_t *data, size_t size)
{
    static const char *const before[] = {
        "password=", "host=h password = ", "postgresql://u:", "postgresql://h/d?password="};
    static const char *const after[] = {"", " host=h", "@h/d", "&host=h"};
    char url[600], out[600], secret[64];
    size_t which = size > 0 ? data[0] % 4u : 0;

    memset(secret, 0, sizeof secret);
    for (size_t i = 1; i < size && i < 40; i++)
        secret[i - 1] = (char)(data[i] % 94 + 33);
    snprintf(url, sizeof url, "%s%s%s", before[which], secret, after[which]);
    conf_mask_url(url, out, sizeof out);
    (void)conf_url_same_but_password(url, out);
    conf_mask_url(url, out, which + 1);
    snprintf(url, sizeof url, "%.*s", (int)(size > 500 ? 500 : size), (const char *)data);
    conf_mask_url(url, out, sizeof out);
    (void)conf_url_same_but_password(url, url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    import(data, size);
    mask(data, size);
    return 0;
}
