/*
 * charset.c - see charset.h
 *
 * Valid UTF-8 is taken as UTF-8 whatever the page declares: bytes of another set are hardly ever valid UTF-8 by chance,
 * and wrong declarations are common. A declared set that iconv does not know, or that cannot be (a page that declares
 * UTF-16 in single bytes), counts as not declared. iso-8859-1 and ascii mean windows-1252, as they do to browsers.
 *
 * Depends on iconv.
 */
#include "html/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#define DECLARED_WITHIN 8192
#define NAME_BYTES      40
#define REPLACEMENT     "\xef\xbf\xbd"

/* Length of the valid UTF-8 sequence at s, 0 if it is none. */
static size_t sequence(const unsigned char *s, size_t n)
{
    size_t len;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

static size_t valid_prefix(const char *in, size_t n)
{
    size_t i = 0, len;

    while (i < n && (len = sequence((const unsigned char *)in + i, n - i)) > 0)
        i += len;
    return i;
}

/* UTF-8 with every byte that is not part of a valid sequence replaced. */
static void repair(const char *in, size_t n, struct buffer *out)
{
    for (size_t i = 0; i < n;) {
        size_t good = valid_prefix(in + i, n - i);
        buffer_add(out, in + i, good);
        i += good;
        if (i < n) {
            buffer_text(out, REPLACEMENT);
            i++;
        }
    }
}

static bool convert(const char *from, const char *in, size_t n, struct buffer *out)
{
    iconv_t cd = iconv_open("UTF-8", from);
    char *at = (char *)(uintptr_t)in;

    if (cd == (iconv_t)-1)
        return false;
    while (n > 0 && buffer_reserve(out, 4096)) {
        char *to = out->p + out->n;
        size_t room = out->room - out->n;
        size_t rc = iconv(cd, &at, &n, &to, &room);
        out->n = (size_t)(to - out->p);
        if (rc == (size_t)-1 && errno != E2BIG) {
            /* EILSEQ, or EINVAL at the end: a byte that means nothing here. */
            buffer_text(out, REPLACEMENT);
            at++;
            n--;
        }
    }
    iconv_close(cd);
    return true;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == ':' || c == '.';
}

/* The word after the first `charset=` or `encoding=` near the page's beginning; "" if there is none. */
static void declared(const char *in, size_t n, char name[NAME_BYTES])
{
    static const char *const keys[] = {"charset", "encoding"};
    size_t within = n < DECLARED_WITHIN ? n : DECLARED_WITHIN;

    name[0] = '\0';
    for (size_t i = 0; i + 9 < within; i++)
        for (int k = 0; k < 2; k++) {
            size_t j = i + strlen(keys[k]), len = 0;
            if (strncasecmp(in + i, keys[k], strlen(keys[k])) != 0)
                continue;
            while (j < within && in[j] == ' ')
                j++;
            if (j >= within || in[j++] != '=')
                continue;
            while (j < within && (in[j] == ' ' || in[j] == '"' || in[j] == '\''))
                j++;
            while (j < within && len < NAME_BYTES - 1 && name_char(in[j]))
                name[len++] = in[j++];
            name[len] = '\0';
            if (len > 0)
                return;
        }
}

static const char *usable(const char *name)
{
    static const char *const latin[] = {"iso-8859-1", "iso8859-1", "latin1", "ascii", "us-ascii", "windows-1252"};

    if (name[0] == '\0' || strncasecmp(name, "utf", 3) == 0 || strncasecmp(name, "ucs", 3) == 0 ||
        strncasecmp(name, "iso-10646", 9) == 0)
        return "CP1252";
    for (size_t i = 0; i < sizeof latin / sizeof *latin; i++)
        if (strcasecmp(name, latin[i]) == 0)
            return "CP1252";
    return name;
}

static bool starts(const char *in, size_t n, const char *with, size_t k)
{
    return n >= k && memcmp(in, with, k) == 0;
}

/* NUL means the end to libxml2 and nothing to a reader: a blank. */
static int result(struct buffer *made, const char **out, size_t *out_n)
{
    for (size_t i = 0; i < made->n; i++)
        if (made->p[i] == '\0')
            made->p[i] = ' ';
    *out = made->p == NULL ? "" : made->p;
    *out_n = made->n;
    return made->failed ? -1 : 0;
}

int charset_to_utf8(const char *in, size_t n, struct buffer *made, const char **out, size_t *out_n)
{
    char name[NAME_BYTES];

    if (starts(in, n, "\xff\xfe", 2)) {
        convert("UTF-16LE", in + 2, n - 2, made);
    } else if (starts(in, n, "\xfe\xff", 2)) {
        convert("UTF-16BE", in + 2, n - 2, made);
    } else if (starts(in, n, "\xef\xbb\xbf", 3)) {
        repair(in + 3, n - 3, made);
    } else if (valid_prefix(in, n) == n) {
        if (memchr(in, 0, n) == NULL) {
            *out = in;
            *out_n = n;
            return 0;
        }
        buffer_add(made, in, n);
    } else {
        declared(in, n, name);
        if (strncasecmp(name, "utf-8", 5) == 0 || strncasecmp(name, "utf8", 4) == 0)
            repair(in, n, made);
        else if (!convert(usable(name), in, n, made))
            if (!convert("CP1252", in, n, made))
                repair(in, n, made); /* a system without gconv modules */
    }
    return result(made, out, out_n);
}
