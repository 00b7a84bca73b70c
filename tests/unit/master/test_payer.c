/* test_payer.c - shares of the master's time */
#include "master/connection.h"

#include <criterion/criterion.h>

#define ONE 1000u
#define TWO 1001u

Test(payer, who_has_had_his_share_waits_for_the_next_window)
{
    struct payers p = {.window_ms = 5000};
    int64_t until;

    cr_assert(payers_may(&p, ONE, 5000, &until));
    payers_charge(&p, ONE, PAYER_EACH_US - 1, 5100);
    cr_assert(payers_may(&p, ONE, 5100, &until));
    payers_charge(&p, ONE, 1, 5200);
    cr_assert_not(payers_may(&p, ONE, 5200, &until));
    cr_assert_eq(until, 5000 + PAYER_WINDOW_MS);
    cr_assert(payers_may(&p, TWO, 5200, &until), "one does not pay for another");
    cr_assert(payers_may(&p, ONE, until, &until));
}

Test(payer, all_together_have_a_share_too)
{
    struct payers p = {.window_ms = 5000};
    int64_t until;

    for (uid_t uid = 0; uid < PAYER_TOGETHER_US / (PAYER_EACH_US / 2); uid++)
        payers_charge(&p, uid, PAYER_EACH_US / 2, 5001);
    cr_assert_not(payers_may(&p, 77, 5002, &until), "though it has had nothing");
    cr_assert(payers_may(&p, 77, 6000, &until));
}

Test(payer, more_users_than_the_table_holds_share_the_whole)
{
    struct payers p = {.window_ms = 5000};
    int64_t until;

    for (uid_t uid = 0; uid < 3 * PAYERS; uid++)
        payers_charge(&p, uid, 10, 5001);
    cr_assert(payers_may(&p, 3 * PAYERS, 5002, &until));
    payers_charge(&p, 3 * PAYERS, PAYER_TOGETHER_US, 5003);
    cr_assert_not(payers_may(&p, 1, 5004, &until));
}
