/* fuzz_proc_control.c - any bytes as a request to the master and as a reply to the client: no crash, no giant */
#include "proc/control.h"

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
    if (control_decode_reply(data, size, 1, &reply, &e) == 0)
        json_decref(reply);
    return 0;
}
