/* test_status.c - what is said first is what is seen where there is little room */
#include "ctl/status.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(status, not_ready_is_seen_on_a_narrow_terminal)
{
    json_t *s = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:b}", "version", "0.1.0", "node", "ingest-1", "state",
                          "drained", "uptime_ms", 5000, "pid", 4194304, "run_dir", "/run/docmill", "ready", 0);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    status_show_head(s, out);
    fclose(out);
    cr_assert(strstr(text, "NOT READY") != NULL && strstr(text, "NOT READY") < text + 60, "%s", text);
    free(text);
    json_decref(s);
}

Test(status, the_last_deaths_are_the_newest_that_first)
{
    json_t *deaths = json_array();
    char *text = NULL, *first;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    for (int i = 9; i > 0; i--)
        json_array_append_new(deaths, json_pack("{s:i, s:s, s:i, s:i, s:s}", "ago_ms", i * 1000, "pool", "w", "slot", 0,
                                                "pid", 100 + i, "cause", "exited with status 1"));
    status_show_deaths(deaths, out);
    fclose(out);
    first = strstr(text, "1s ago");
    cr_assert(first != NULL && strstr(first, "2s ago") != NULL, "%s", text);
    cr_assert(strstr(text, "9s ago") == NULL, "%s", text);
    free(text);
    json_decref(deaths);
}
