/* test_room.c - who has too many connections makes room himself, and the owners are spared */
#include "master/connection.h"

#include <criterion/criterion.h>
#include <string.h>

static struct connection connections[CONNECTIONS_MAX];
static struct connection *list;
static int n;

/* The newest is first. */
static struct connection *add(uid_t uid, bool owner)
{
    struct connection *c = &connections[n++];

    *c = (struct connection){.uid = uid, .owner = owner, .next = list};
    list = c;
    return c;
}

Test(room, while_there_is_room_nobody_goes)
{
    cr_assert_null(room_made_by(list, 1));
    for (int i = 0; i < PER_UID - 1; i++)
        add(1, false);
    cr_assert_null(room_made_by(list, 1));
}

Test(room, who_has_his_share_gives_up_his_own_oldest)
{
    struct connection *first = add(1, false);

    add(2, false);
    for (int i = 0; i < PER_UID - 1; i++)
        add(1, false);
    cr_assert_eq(room_made_by(list, 1), first);
    cr_assert_null(room_made_by(list, 2));
}

Test(room, an_owner_who_has_his_share_gives_up_his_own_oldest_too)
{
    struct connection *first = add(0, true);

    for (int i = 0; i < PER_UID - 1; i++)
        add(0, true);
    cr_assert_eq(room_made_by(list, 0), first);
}

Test(room, when_all_is_full_the_oldest_of_who_has_most_goes)
{
    struct connection *most = NULL;

    for (int i = 0; i < CONNECTIONS_MAX / 2; i++)
        add(100 + (uid_t)i, false);
    for (int i = 0; i < 2; i++) {
        struct connection *c = add(7, false);

        most = most == NULL ? c : most;
    }
    while (n < CONNECTIONS_MAX)
        add(1000 + (uid_t)n, false);
    cr_assert_eq(room_made_by(list, 5), most);
}

Test(room, of_those_who_have_as_many_the_one_who_was_first_goes)
{
    struct connection *first = add(100, false);

    while (n < CONNECTIONS_MAX)
        add(100 + (uid_t)n, false);
    cr_assert_eq(room_made_by(list, 5), first);
}

Test(room, others_make_room_and_not_an_owner)
{
    struct connection *first;

    for (int i = 0; i < PER_UID; i++)
        add(0, true);
    first = add(100, false);
    while (n < CONNECTIONS_MAX)
        add(100 + (uid_t)n, false);
    cr_assert_eq(room_made_by(list, 5), first, "though the owner has most");
    cr_assert_eq(room_made_by(list, 33), first, "and for the other owner, too");
}
