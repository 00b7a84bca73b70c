/* test_error_ring.c - the last errors: newest first, the same one once, never a torn one, always safe to print */
#include "proc/error_ring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error_ring *ring(void)
{
    struct error_ring *r = calloc(1, sizeof *r);

    cr_assert_not_null(r);
    return r;
}

Test(error_ring, the_newest_comes_first_and_the_oldest_goes)
{
    struct error_ring *r = ring();
    struct error_seen e;
    char text[32];

    cr_assert(!error_ring_read(r, 0, &e));
    for (int i = 0; i < ERROR_RING_ENTRIES + 10; i++) {
        snprintf(text, sizeof text, "error %d", i);
        error_ring_raise(r, "test", "internal", text, i);
    }
    for (int i = 0; i < ERROR_RING_ENTRIES; i++) {
        snprintf(text, sizeof text, "error %d", ERROR_RING_ENTRIES + 9 - i);
        cr_assert(error_ring_read(r, i, &e));
        cr_assert_str_eq(e.text.message, text);
        cr_assert_eq(e.first_ms, ERROR_RING_ENTRIES + 9 - i);
    }
    cr_assert(!error_ring_read(r, ERROR_RING_ENTRIES, &e));
    cr_assert(!error_ring_read(r, -1, &e));
    free(r);
}

Test(error_ring, the_same_error_soon_after_only_counts_up)
{
    struct error_ring *r = ring();
    struct error_seen e;

    error_ring_raise(r, "embedder", "provider_key", "it refuses the key", 100);
    error_ring_raise(r, "llamaparse", "provider_key", "it refuses the key", 150);
    error_ring_raise(r, "embedder", "provider_key", "it refuses the key", 200);
    cr_assert(error_ring_read(r, 1, &e));
    cr_assert_eq(e.times, 2);
    cr_assert_eq(e.first_ms, 100);
    cr_assert_eq(e.last_ms, 200);
    cr_assert(!error_ring_read(r, 2, &e));
    error_ring_raise(r, "embedder", "provider_key", "it refuses the key", 201 + ERROR_RING_SAME_MS);
    cr_assert(error_ring_read(r, 2, &e), "later it is another one");
    free(r);
}

Test(error_ring, an_entry_that_is_being_written_or_has_been_mixed_is_not_shown)
{
    struct error_ring *r = ring();
    struct error_seen e;

    error_ring_raise(r, "a", "internal", "first", 1);
    error_ring_raise(r, "a", "internal", "second", 2);
    r->slots[0].seq = 1; /* its writer was killed */
    cr_assert(!error_ring_read(r, 1, &e));
    cr_assert(error_ring_read(r, 0, &e));
    memcpy(r->slots[1].text.message, "SECOND", 6); /* one who slept for a lap wrote on */
    cr_assert(!error_ring_read(r, 0, &e));
    free(r);
}

Test(error_ring, text_is_cut_and_cannot_steer_a_terminal)
{
    struct error_ring *r = ring();
    struct error_seen e;
    char longer[1000];

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    error_ring_raise(r, longer, longer, longer, 1);
    cr_assert(error_ring_read(r, 0, &e));
    cr_assert_eq(strlen(e.text.message), sizeof e.text.message - 1);
    cr_assert_eq(strlen(e.text.reason), sizeof e.text.reason - 1);
    error_ring_raise(r, "m", "internal",
                     "a\033[31mb\nc\xff"
                     "d \xc3\xa9 \xc2\x9b!",
                     2);
    cr_assert(error_ring_read(r, 0, &e));
    cr_assert_str_eq(e.text.message, "a?[31mb?c?d \xc3\xa9 ?\?!");
    free(r);
}
