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
