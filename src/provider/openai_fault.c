/*
 * openai_fault.c - reading an error's body, and the lookup in the table of openai_fault.h
 *
 * Shapes that are read: {"error": {message, type, param, code}}, {"error": "words", "error_type": ...}, {message, type,
 * code} without a wrapper, {"detail": "words"}. A code may be a number. A body that is no JSON (a proxy's page) is its
 * own message.
 */
#include "provider/openai_fault.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_ERROR_BODY 262144

#define X_ROW(lo, hi, word, phrase, act, reason, slow) {lo, hi, word, phrase, PROVIDER_##act, REASON_##reason, slow},
static const struct openai_fault_row rows[] = {OPENAI_FAULTS(X_ROW)};
#undef X_ROW

#define N_ROWS ((int)(sizeof rows / sizeof *rows))

static void copy(char *out, size_t room, const char *text, size_t n)
{
    if (n >= room)
        n = room - 1;
    memcpy(out, text, n);
    out[n] = '\0';
}

static void copy_member(const json_t *object, const char *key, char *out, size_t room)
{
    const json_t *v = json_object_get(object, key);

    if (json_is_string(v))
        copy(out, room, json_string_value(v), json_string_length(v));
    else if (json_is_integer(v))
        snprintf(out, room, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
}

void openai_error_read(const char *body, size_t len, struct openai_error *out)
{
    json_t *root = body == NULL || len > LONGEST_ERROR_BODY ? NULL : json_loadb(body, len, JSON_ALLOW_NUL, NULL);
    const json_t *at = root, *inner = json_object_get(root, "error");

    *out = (struct openai_error){0};
    if (json_is_object(inner))
        at = inner;
    copy_member(at, "message", out->message, sizeof out->message);
    copy_member(at, "type", out->type, sizeof out->type);
    copy_member(at, "code", out->code, sizeof out->code);
    copy_member(at, "param", out->param, sizeof out->param);
    if (out->message[0] == '\0')
        copy_member(root, "error", out->message, sizeof out->message);
    if (out->message[0] == '\0')
        copy_member(root, "detail", out->message, sizeof out->message);
    if (out->type[0] == '\0')
        copy_member(root, "error_type", out->type, sizeof out->type);
    if (root == NULL && body != NULL)
        copy(out->message, sizeof out->message, body, strnlen(body, len));
    json_decref(root);
}

static bool fits(const struct openai_fault_row *row, int status, const struct openai_error *err)
{
    if (status < row->lowest || status > row->highest)
        return false;
    if (row->word != NULL && strcmp(row->word, err->type) != 0 && strcmp(row->word, err->code) != 0)
        return false;
    return row->phrase == NULL || strcasestr(err->message, row->phrase) != NULL;
}

const struct openai_fault_row *openai_fault_of(int status, const struct openai_error *err)
{
    for (int i = 0; i < N_ROWS; i++)
        if (fits(&rows[i], status, err))
            return &rows[i];
    return &rows[N_ROWS - 1];
}

const struct openai_fault_row *openai_fault_row(int i)
{
    return i >= 0 && i < N_ROWS ? &rows[i] : NULL;
}

void openai_print_faults(FILE *f)
{
    for (int i = 0; i < N_ROWS - 1; i++) {
        const struct openai_fault_row *r = &rows[i];
        fprintf(f, "| %d", r->lowest);
        if (r->highest != r->lowest)
            fprintf(f, " to %d", r->highest);
        fprintf(f, " | %s%s%s | %s | %s%s | %s |\n", r->word == NULL ? "" : "`", r->word == NULL ? "" : r->word,
                r->word == NULL ? "" : "`", r->phrase == NULL ? "" : r->phrase, provider_act_name(r->act),
                r->slow_down ? "; lower the rate, then raise it slowly" : "", reason_name(r->reason));
    }
}

int openai_error_item(const struct openai_error *err)
{
    const char *p = strstr(err->param, "input[");
    char *end;
    long v;

    if (p == NULL)
        p = strstr(err->message, "input[");
    if (p == NULL)
        return -1;
    v = strtol(p + 6, &end, 10);
    return end > p + 6 && *end == ']' && v >= 0 && v < 1000000 ? (int)v : -1;
}
