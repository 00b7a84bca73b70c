/*
 * fuzz_base_text.c - the parsers of base: UUID and hex round trip, UTF-8 agrees with itself, a log line stays one line
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"
#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good)
        abort();
}

static void check_uuid(const char *s)
{
    char text[UUID_TEXT_LEN + 1];
    struct uuid u;

    if (uuid_parse(s, &u) != 0)
        return;
    uuid_format(&u, text);
    must(strcasecmp(text, s) == 0);
}

static void check_hex(const char *s, size_t n)
{
    uint8_t *bytes = malloc(n / 2 + 1);
    char *back = malloc(n + 1);

    if (hex_decode(s, n, bytes) == 0) {
        hex_encode(bytes, n / 2, back);
        must(strncasecmp(back, s, n) == 0);
    }
    free(bytes);
    free(back);
}

static void check_utf8(const char *s, size_t n)
{
    size_t bad_at = 0, i = 0;
    bool good = utf8_valid(s, n, &bad_at);

    while (i < n && utf8_sequence(s + i, n - i) > 0)
        i += utf8_sequence(s + i, n - i);
    must(good == (i == n) && (good || bad_at == i));
}

/* Whatever the value, what is written is one line of UTF-8 without control characters. */
static void check_log(const char *s)
{
    static char line[8192];
    static int fd = -1;
    ssize_t n;

    if (fd < 0) {
        fd = memfd_create("log", 0);
        log_init("fuzz", LOG_LVL_INFO);
    }
    must(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    int keep = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    log_info("fuzz", s, "value", s, NULL);
    dup2(keep, STDERR_FILENO);
    close(keep);
    n = pread(fd, line, sizeof line, 0);
    must(n > 0 && n <= 4096 && line[n - 1] == '\n' && utf8_valid(line, (size_t)n, NULL));
    for (ssize_t i = 0; i < n - 1; i++)
        must((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = malloc(size + 1);

    memcpy(s, data, size);
    s[size] = '\0';
    check_uuid(s);
    check_hex(s, size);
    check_utf8(s, size);
    check_log(s);
    free(s);
    return 0;
}
