/* test_vectors.c - the memory for the latest queries' vectors */
#include "api/vectors.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#define DIM 4

static const uint8_t *key_of(int i)
{
    static uint8_t key[SHA256_BYTES];

    sha256_of(&i, sizeof i, key);
    return key;
}

static void put(struct vectors *v, int i)
{
    const float f[DIM] = {(float)i, 1, 2, 3};

    vectors_put(v, key_of(i), f);
}

static bool has(struct vectors *v, int i)
{
    const float *f = vectors_find(v, key_of(i));

    cr_assert(f == NULL || (f[0] == (float)i && f[3] == 3));
    return f != NULL;
}

/* How many it holds at a time. */
static int room_of(struct vectors *v)
{
    int n = 0;

    for (int i = 1000; i < 2000; i++)
        put(v, i);
    for (int i = 1000; i < 2000; i++)
        n += has(v, i);
    return n;
}

Test(vectors, gives_back_what_was_put_and_nothing_else)
{
    struct vectors *v = vectors_new(NULL, 1 << 16, DIM);

    cr_assert_not(has(v, 1));
    put(v, 1);
    put(v, 2);
    cr_assert(has(v, 1) && has(v, 2));
    cr_assert_not(has(v, 3));
    talloc_free(v);
}

Test(vectors, what_was_not_asked_for_the_longest_makes_room)
{
    struct vectors *v = vectors_new(NULL, 1 << 12, DIM);
    int room = room_of(v), held = 0;

    cr_assert(room > 4 && room < 200);
    for (int i = 0; i < room; i++)
        put(v, i);
    cr_assert(has(v, 0));
    put(v, 1); /* again: no second entry, and young */
    put(v, room);
    put(v, room + 1);
    cr_assert(has(v, 0) && has(v, 1) && has(v, room) && has(v, room + 1));
    cr_assert_not(has(v, 2));
    cr_assert_not(has(v, 3));
    for (int i = 0; i < room + 2; i++)
        held += has(v, i);
    cr_assert_eq(held, room);
    talloc_free(v);
}

Test(vectors, holds_one_at_least_and_stays_within_its_bytes)
{
    struct vectors *v = vectors_new(NULL, 10, 4000);
    static const float f[4000] = {1};

    for (int i = 0; i < 10; i++)
        vectors_put(v, key_of(i), f);
    for (int i = 0; i < 9; i++)
        cr_assert_null(vectors_find(v, key_of(i)));
    cr_assert_not_null(vectors_find(v, key_of(9)));
    talloc_free(v);
    v = vectors_new(NULL, 8 << 20, 1536);
    for (int i = 0; i < 1001; i++)
        vectors_put(v, key_of(i), f);
    cr_assert_not_null(vectors_find(v, key_of(0)));
    cr_assert_lt(talloc_total_size(v), 9 << 20);
    talloc_free(v);
}
