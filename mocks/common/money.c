/* money.c - exact dollars: see money.h */
#include "common/money.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int decimal_parse(const char *s, int digits, int64_t *out)
{
    int64_t value = 0;
    int decimals = -1;

    if (*s == '\0')
        return -EINVAL;
    for (; *s != '\0'; s++) {
        if (*s == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*s < '0' || *s > '9' || decimals == digits || value > INT64_MAX / 10 - 1)
            return -EINVAL;
        value = value * 10 + (*s - '0');
        decimals += decimals >= 0;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < digits; i++) {
        if (value > INT64_MAX / 10)
            return -ERANGE;
        value *= 10;
    }
    *out = value;
    return 0;
}

void pico_usd_print(int64_t pico, char *out, size_t size)
{
    char text[48];
    size_t n;

    snprintf(text, sizeof text, "%lld.%012lld", (long long)(pico / PICO_USD), (long long)(pico % PICO_USD));
    n = strlen(text);
    while (text[n - 1] == '0')
        text[--n] = '\0';
    if (text[n - 1] == '.')
        text[n - 1] = '\0';
    snprintf(out, size, "%s", text);
}
