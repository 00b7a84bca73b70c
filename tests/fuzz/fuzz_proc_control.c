/* fuzz_proc_control.c - any bytes as a request to the master, as what the audit log shows of it, and as a reply */
#include "proc/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_request r;
    struct error e;
    json_t *reply = NULL;
    char text[32];

    if (control_decode_request(data, size, &r, &e) == 0 &&
        control_arg_text(&r, "mode", "drain", text, sizeof text, &e) == 0)
        (void)control_verb_parse(r.verb);
    for (int v = 0; r.args != NULL && v < CONTROL_VERB_MAX_; v++) {
        char masked[CONTROL_MASKED_BYTES];
        json_t *again;

        control_mask_args(&r, (enum control_verb)v, masked);
        again = json_loads(masked, 0, NULL);
        if (!json_is_object(again))
            abort(); /* a database must take it */
        json_decref(again);
    }
    if (control_decode_reply(data, size, 1, &reply, &e) == 0)
        json_decref(reply);
    return 0;
}
