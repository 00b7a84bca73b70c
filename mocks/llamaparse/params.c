/*
 * params.c - the parameters of a submission, by one table: what each may be, and what is answered if it is not
 *
 * Unknown parameters are let pass, as the service does. A wrong value is FastAPI's 422 with a list; what belongs
 * together and is not there is a 400 with a sentence.
 *
 * Depends on common.
 */
#include "llamaparse/llamaparse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

enum kind { BOOL, INT, PAGES, TIER, MODE, PRIORITY, JSON, URL };

static const struct {
    const char *name;
    enum kind kind;
    int64_t least;
} table[] = {
    {"tier", TIER, 0},
    {"parse_mode", MODE, 0},
    {"priority", PRIORITY, 0},
    {"target_pages", PAGES, 0},
    {"max_pages", INT, 0},
    {"job_timeout_in_seconds", INT, 120},
    {"job_timeout_extra_time_per_page_in_seconds", INT, 0},
    {"fast_mode", BOOL, 0},
    {"premium_mode", BOOL, 0},
    {"do_not_cache", BOOL, 0},
    {"invalidate_cache", BOOL, 0},
    {"disable_ocr", BOOL, 0},
    {"skip_diagonal_text", BOOL, 0},
    {"output_tables_as_HTML", BOOL, 0},
    {"hide_headers", BOOL, 0},
    {"hide_footers", BOOL, 0},
    {"extract_layout", BOOL, 0},
    {"take_screenshot", BOOL, 0},
    {"webhook_url", URL, 0},
    {"webhook_configurations", JSON, 0},
};

/* The price of a tier or mode, in tenths of a credit a page. */
static const struct {
    enum kind kind;
    const char *name;
    int64_t tenths;
} prices[] = {
    {TIER, "fast", 10},
    {TIER, "cost_effective", 30},
    {TIER, "agentic", 100},
    {TIER, "agentic_plus", 450},
    {MODE, "parse_page_without_llm", 10},
    {MODE, "parse_page_with_llm", 30},
    {MODE, "parse_page_with_lvm", 30},
    {MODE, "parse_page_with_agent", 100},
    {MODE, "parse_page_with_layout_agent", 30},
    {MODE, "parse_document_with_llm", 30},
    {MODE, "parse_document_with_lvm", 30},
    {MODE, "parse_document_with_agent", 450},
};
#define DEFAULT_TENTHS 30
#define FAST_TENTHS    10
#define PREMIUM_TENTHS 450

const char *param_text(const struct submission *s, const char *name)
{
    return json_string_value(json_object_get(s->params, name));
}

bool param_true(const struct submission *s, const char *name)
{
    const char *v = param_text(s, name);

    return v != NULL && (strcasecmp(v, "true") == 0 || strcmp(v, "1") == 0);
}

int64_t param_int(const struct submission *s, const char *name, int64_t otherwise)
{
    const char *v = param_text(s, name);

    return v != NULL && *v != '\0' ? strtoll(v, NULL, 10) : otherwise;
}

static int64_t price_of(enum kind kind, const char *name)
{
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++)
        if (prices[i].kind == kind && strcmp(prices[i].name, name) == 0)
            return prices[i].tenths;
    return -1;
}

int64_t params_price(const struct submission *s)
{
    const char *tier = param_text(s, "tier"), *mode = param_text(s, "parse_mode");

    if (tier != NULL)
        return price_of(TIER, tier);
    if (mode != NULL)
        return price_of(MODE, mode);
    return param_true(s, "fast_mode") ? FAST_TENTHS : param_true(s, "premium_mode") ? PREMIUM_TENTHS : DEFAULT_TENTHS;
}

/* ---- one value ---- */

static bool is_bool(const char *v)
{
    static const char *const words[] = {"true", "false", "1", "0", "on", "off", "yes", "no"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(v, words[i]) == 0)
            return true;
    return false;
}

static bool is_int(const char *v, int64_t least)
{
    char *end;
    long long n = strtoll(v, &end, 10);

    return *v != '\0' && *end == '\0' && n >= least;
}

/* Calls each(range) for every "a" or "a-b"; false if the text is something else. */
static bool ranges(const char *v, int64_t page, bool *among)
{
    while (*v != '\0') {
        char *end;
        long long from, to;

        if (!isdigit((unsigned char)*v))
            return false;
        from = to = strtoll(v, &end, 10);
        if (*end == '-') {
            if (!isdigit((unsigned char)end[1]))
                return false;
            to = strtoll(end + 1, &end, 10);
        }
        if (*end != ',' && *end != '\0')
            return false;
        *among = *among || (page >= from && page <= to);
        v = end + (*end == ',');
        v += strspn(v, " ");
    }
    return true;
}

bool params_page_wanted(const struct submission *s, int64_t page)
{
    const char *v = param_text(s, "target_pages");
    bool among = false;

    return v == NULL || *v == '\0' || (ranges(v, page, &among) && among);
}

static bool one_of(const char *v, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(v, *words) == 0)
            return true;
    return false;
}

static bool is_right(enum kind kind, const char *v, int64_t least)
{
    static const char *const priorities[] = {"low", "medium", "high", "critical", NULL};
    bool among = false;
    json_t *json;

    switch (kind) {
    case BOOL:
        return is_bool(v);
    case INT:
        return is_int(v, least);
    case PAGES:
        return ranges(v, 0, &among);
    case TIER:
    case MODE:
        return price_of(kind, v) >= 0;
    case PRIORITY:
        return one_of(v, priorities);
    case JSON:
        json = json_loads(v, 0, NULL);
        among = json_is_array(json);
        json_decref(json);
        return among;
    case URL:
        return strlen(v) < 200;
    }
    return false;
}

/* FastAPI's list of what is wrong. */
static void answer_422(struct mock_request *q, struct mock_answer *a, const char *name, const char *value)
{
    answer_json(q, a, 422,
                json_pack("{s:[{s:s, s:[s, s], s:s, s:o}]}", "detail", "type", "value_error", "loc", "body", name,
                          "msg", "Input is not valid for this field", "input", mock_text(value, strlen(value))));
}

/* ---- what belongs together ---- */

static bool webhook_is_allowed(const struct llamaparse *l, const char *url)
{
    const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;

    if (!l->strict_webhooks)
        return strncmp(url, "http://", 7) == 0 || host != NULL;
    return host != NULL && !isdigit((unsigned char)*host) && *host != '[' && strchr(host, '.') != NULL;
}

static const char *wrong_together(const struct llamaparse *l, const struct submission *s)
{
    const char *url = param_text(s, "webhook_url");

    if (s->data == NULL && s->source == NULL)
        return "No file, input_url or input_s3_path was given";
    if (param_text(s, "tier") != NULL && param_text(s, "version") == NULL)
        return "version is required when tier is set";
    if (param_text(s, "tier") != NULL && param_text(s, "parse_mode") != NULL)
        return "tier and parse_mode cannot both be set";
    if (s->version == 2 && (param_text(s, "tier") == NULL || param_text(s, "version") == NULL))
        return "tier and version are required";
    if (url != NULL && *url != '\0' && !webhook_is_allowed(l, url))
        return "webhook_url must be an HTTPS URL with a domain name";
    if (s->data != NULL && s->len == 0)
        return "The file is empty";
    return NULL;
}

int params_check(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const struct submission *s)
{
    const char *why;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *v = param_text(s, table[i].name);

        if (v == NULL || *v == '\0' || is_right(table[i].kind, v, table[i].least))
            continue;
        answer_422(q, a, table[i].name, v);
        return -1;
    }
    why = wrong_together(l, s);
    if (why == NULL)
        return 0;
    detail(q, a, 400, why);
    return -1;
}
