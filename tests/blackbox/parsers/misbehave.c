/*
 * misbehave.c - parsers that a document can drive mad, for the tests of the limits around them
 *
 * Built with WHAT as one of HANG, MEMORY, OUTPUT, CRASH; takes any arguments, reads nothing. A separate program: the
 * daemon is told in its configuration to run it in the place of pdftotext.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANG   1
#define MEMORY 2
#define OUTPUT 3
#define CRASH  4

int main(void)
{
#if WHAT == HANG
    for (;;)
        pause();
#elif WHAT == MEMORY
    for (;;) {
        char *p = malloc(16 << 20);
        if (p == NULL) {
            fputs("Out of memory\n", stderr); /* as poppler says it */
            return 1;
        }
        memset(p, 1, 16 << 20);
    }
#elif WHAT == OUTPUT
    for (;;)
        puts("line after line after line after line after line after line");
#elif WHAT == CRASH
    abort();
#endif
}
