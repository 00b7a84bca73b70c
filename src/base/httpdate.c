/* httpdate.c - see httpdate.h */
#include "base/httpdate.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

int64_t httpdate_parse(const char *text)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);

        if (end != NULL && end[strspn(end, " \t")] == '\0') {
            int64_t t = timegm(&tm);
            return t < 0 ? -1 : t;
        }
    }
    return -1;
}
