/* llamaparse_tables.c - lookups over the tables of llamaparse_tables.h */
#include "provider/llamaparse_tables.h"
#include "base/money.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct status_row {
    const char *name, *event;
    enum provider_act act;
};

#define X_STATUS(id, name, event, act) [LLAMAPARSE_##id] = {name, event, PROVIDER_##act},
static const struct status_row statuses[LLAMAPARSE_STATUS_MAX_] = {
    [LLAMAPARSE_UNKNOWN] = {"unknown", NULL, PROVIDER_PENDING}, LLAMAPARSE_STATUSES(X_STATUS)};
#define X_CODE(code, whole, act, reason) {code, whole, PROVIDER_##act, REASON_##reason},
static const struct llamaparse_code_row codes[] = {LLAMAPARSE_CODES(X_CODE)};
#define X_FAULT(lo, hi, steps, phrase, act, reason) {lo, hi, steps, phrase, PROVIDER_##act, REASON_##reason},
static const struct llamaparse_fault_row faults[] = {LLAMAPARSE_FAULTS(X_FAULT)};
#define X_TIER(name, credits) {name, credits},
static const struct {
    const char *name;
    int64_t credits;
} tiers[] = {LLAMAPARSE_TIERS(X_TIER)};

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

const char *llamaparse_status_name(enum llamaparse_status s)
{
    return (int)s > 0 && s < LLAMAPARSE_STATUS_MAX_ ? statuses[s].name : statuses[LLAMAPARSE_UNKNOWN].name;
}

enum llamaparse_status llamaparse_status_parse(const char *spelling)
{
    for (int i = LLAMAPARSE_UNKNOWN + 1; i < LLAMAPARSE_STATUS_MAX_; i++)
        if (strcasecmp(statuses[i].name, spelling) == 0)
            return (enum llamaparse_status)i;
    return LLAMAPARSE_UNKNOWN;
}

enum llamaparse_status llamaparse_event_status(const char *event_type)
{
    for (int i = LLAMAPARSE_UNKNOWN + 1; i < LLAMAPARSE_STATUS_MAX_; i++)
        if (statuses[i].event != NULL && strcmp(statuses[i].event, event_type) == 0)
            return (enum llamaparse_status)i;
    return LLAMAPARSE_UNKNOWN;
}

enum provider_act llamaparse_status_act(enum llamaparse_status s)
{
    return (int)s > 0 && s < LLAMAPARSE_STATUS_MAX_ ? statuses[s].act : PROVIDER_PENDING;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The code as a word of the message, or what begins with it. */
static bool message_has(const char *message, const struct llamaparse_code_row *row)
{
    size_t n = strlen(row->code);

    if (n == 0)
        return false;
    for (const char *p = message; (p = strstr(p, row->code)) != NULL; p += n)
        if ((p == message || !is_word_char(p[-1])) && (row->whole ? !is_word_char(p[n]) : p[n] == '_'))
            return true;
    return false;
}

const struct llamaparse_code_row *llamaparse_code_of(const char *code, const char *message)
{
    for (int i = 0; i < COUNT(codes); i++) {
        const struct llamaparse_code_row *r = &codes[i];
        if (code[0] == '\0' ? message_has(message, r)
            : r->whole      ? strcmp(code, r->code) == 0
                            : strncmp(code, r->code, strlen(r->code)) == 0)
            return r;
    }
    return &codes[COUNT(codes) - 1];
}

const struct llamaparse_code_row *llamaparse_code_row(int i)
{
    return i >= 0 && i < COUNT(codes) ? &codes[i] : NULL;
}

const struct llamaparse_fault_row *llamaparse_fault_of(int status, enum llamaparse_step step, const char *message)
{
    char letter = "SQR"[step];

    for (int i = 0; i < COUNT(faults); i++) {
        const struct llamaparse_fault_row *r = &faults[i];
        if (status >= r->lowest && status <= r->highest && strchr(r->steps, letter) != NULL &&
            (r->phrase == NULL || strcasestr(message, r->phrase) != NULL))
            return r;
    }
    return &faults[COUNT(faults) - 1];
}

const struct llamaparse_fault_row *llamaparse_fault_row(int i)
{
    return i >= 0 && i < COUNT(faults) ? &faults[i] : NULL;
}

int64_t llamaparse_page_price(const char *tier)
{
    for (int i = 0; i < COUNT(tiers); i++)
        if (strcmp(tiers[i].name, tier) == 0)
            return tiers[i].credits * LLAMAPARSE_CREDIT_PICODOLLARS;
    return -1;
}

static void print_faults(FILE *f)
{
    static const struct {
        char letter;
        const char *name;
    } steps[] = {{'S', "submit"}, {'Q', "status"}, {'R', "result"}};

    fprintf(f, "\n| status | at | words | act | reason |\n|---|---|---|---|---|\n");
    for (int i = 0; i < COUNT(faults) - 1; i++) {
        const struct llamaparse_fault_row *r = &faults[i];
        const char *comma = "";
        fprintf(f, r->highest == r->lowest ? "| %d | " : "| %d to %d | ", r->lowest, r->highest);
        for (int k = 0; k < COUNT(steps); k++)
            if (strchr(r->steps, steps[k].letter) != NULL) {
                fprintf(f, "%s%s", comma, steps[k].name);
                comma = ", ";
            }
        fprintf(f, " | %s | %s | %s |\n", r->phrase == NULL ? "" : r->phrase, provider_act_name(r->act),
                reason_name(r->reason));
    }
}

void llamaparse_print_markdown(FILE *f)
{
    char price[MONEY_TEXT];

    fprintf(f, "| status | webhook | act |\n|---|---|---|\n");
    for (int i = LLAMAPARSE_UNKNOWN + 1; i < LLAMAPARSE_STATUS_MAX_; i++)
        fprintf(f, "| %s | %s | %s |\n", statuses[i].name, statuses[i].event == NULL ? "" : statuses[i].event,
                i == LLAMAPARSE_ERROR || i == LLAMAPARSE_FAILED ? "by its error code"
                                                                : provider_act_name(statuses[i].act));
    fprintf(f, "\n| error code | act | reason |\n|---|---|---|\n");
    for (int i = 0; i < COUNT(codes); i++)
        fprintf(f, "| %s%s | %s | %s |\n", codes[i].code[0] == '\0' ? "any other" : codes[i].code,
                codes[i].whole || codes[i].code[0] == '\0' ? "" : "...", provider_act_name(codes[i].act),
                reason_name(codes[i].reason));
    print_faults(f);
    fprintf(f, "\n| tier | credits a page | USD a page |\n|---|---|---|\n");
    for (int i = 0; i < COUNT(tiers); i++)
        fprintf(f, "| %s | %lld | %s |\n", tiers[i].name, (long long)tiers[i].credits,
                money_text(tiers[i].credits * LLAMAPARSE_CREDIT_PICODOLLARS, price));
}
