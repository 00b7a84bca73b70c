/*
 * fuzz_base_text.c - the parsers of base: UUID and hex round trip, UTF-8 agrees with itself, a log line stays one line, of logfmt or JSON
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"
#include "base/uuid.h"

#include <jansson.h>
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

/* What an event with this text is written as. */
static size_t logged(const char *text, char *line, size_t size)
{
    static int fd = -1;
    int keep = dup(STDERR_FILENO);
    ssize_t n;

    if (fd < 0) {
        fd = memfd_create("log", 0);
        log_init("fuzz", LOG_LVL_INFO);
    }
    must(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    dup2(fd, STDERR_FILENO);
    log_info("fuzz", text, "value", text, "number", LOG_I(7), NULL);
    dup2(keep, STDERR_FILENO);
    close(keep);
    n = pread(fd, line, size, 0);
    must(n > 0);
    return (size_t)n;
}

/* Whatever the value, what is written is one line of UTF-8 without control characters, and in JSON an object. */
static void check_log(const char *s)
{
    static char line[8192];

    for (enum log_format f = LOG_LOGFMT; f <= LOG_JSON; f++) {
        size_t n;

        must(log_set_format(f, NULL) == 0);
        n = logged(s, line, sizeof line);
        must(n <= 4096 && line[n - 1] == '\n' && utf8_valid(line, n, NULL));
        for (size_t i = 0; i + 1 < n; i++)
            must((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
        if (f == LOG_JSON) {
            json_t *j = json_loadb(line, n, 0, NULL);
            must(json_is_object(j) && json_is_string(json_object_get(j, "msg")));
            json_decref(j);
        }
    }
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
