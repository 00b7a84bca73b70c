/*
 * cl100k_data.c - places the table of cl100k_table.h into .rodata
 *
 * By the assembler's .incbin: as an array in C the compiler would work on it for half a minute.
 */
#include "text/cl100k.h"

/* clang-format off */
__asm__(".pushsection .rodata.cl100k, \"a\", %progbits\n"
        ".balign 64\n"
        ".globl cl100k_table\n"
        ".type cl100k_table, %object\n"
        "cl100k_table:\n"
        ".incbin \"" CL100K_TABLE_FILE "\"\n"
        ".size cl100k_table, . - cl100k_table\n"
        ".popsection\n");
/* clang-format on */
