/* roff.c - see roff.h */
#include "base/roff.h"

#include <string.h>

void roff_text_n(FILE *out, const char *s, size_t n)
{
    if (n > 0 && (*s == '.' || *s == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\')
            fputs("\\e", out);
        else if (s[i] == '-')
            fputs("\\-", out);
        else if (s[i] == '"')
            fputs("\\(dq", out);
        else if (s[i] == '\'')
            fputs("\\(aq", out);
        else
            fputc(s[i], out);
    }
}

void roff_text(FILE *out, const char *s)
{
    roff_text_n(out, s, strlen(s));
}

void roff_line(FILE *out, const char *s)
{
    roff_text(out, s);
    fputc('\n', out);
}
