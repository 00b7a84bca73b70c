/* test_pause.c - what can be paused */
#include "core/pause.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(pause, names_are_read_as_they_are_written)
{
    for (int i = 0; i < PAUSE_MAX_; i++)
        cr_assert_eq(pause_parse(pause_name((enum pause)i)), i);
    cr_assert_eq(pause_parse("everything"), -EINVAL);
    cr_assert_eq(pause_parse(""), -EINVAL);
}

Test(pause, the_stages_together_are_every_status_that_is_no_end)
{
    uint32_t stages = pause_statuses(PAUSE_BIT(PAUSE_PARSE) | PAUSE_BIT(PAUSE_CHUNK) | PAUSE_BIT(PAUSE_EMBED));

    for (int s = 1; s < STATUS_MAX_; s++) {
        cr_assert_eq((stages & 1u << s) != 0, !status_is_end(s), "%s", status_name(s));
        cr_assert(pause_statuses(PAUSE_BIT(PAUSE_ALL)) & 1u << s);
    }
    cr_assert_eq(pause_statuses(PAUSE_BIT(PAUSE_BULK)), 0);
    cr_assert_eq(pause_statuses(PAUSE_BIT(PAUSE_PARSE)) & pause_statuses(PAUSE_BIT(PAUSE_EMBED)), 0);
}

Test(pause, a_lane_rests_by_itself_or_with_all)
{
    cr_assert(pause_lane(PAUSE_BIT(PAUSE_BULK), 2));
    cr_assert_not(pause_lane(PAUSE_BIT(PAUSE_BULK), 1));
    cr_assert_not(pause_lane(PAUSE_BIT(PAUSE_EMBED), 1));
    cr_assert_not(pause_lane(PAUSE_BIT(PAUSE_BULK), 500), "a lane that the mask has no bit for");
    cr_assert(pause_lane(PAUSE_BIT(PAUSE_ALL), 500));
}

Test(pause, the_words_make_a_list_for_a_sentence)
{
    char words[120], little[12];

    pause_words(words, sizeof words);
    cr_assert_str_eq(words, "all, parse, chunk, embed, interactive, bulk or fill");
    pause_words(little, sizeof little);
    cr_assert_str_eq(little, "all, parse,");
}
