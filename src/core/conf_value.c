/*
 * conf_value.c - one value: from text to a checked field, and back to text for people
 *
 * Sizes are powers of 1024 (B, KB, MB, GB, TB), durations milliseconds (ms, s, m, h, d). A bad value becomes a fault
 * that names place, key, what was found (never for a secret) and what is allowed; the field then stays unset.
 *
 * Depends on base, talloc.
 */
#include "core/conf_internal.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: the formatters take the first that divides. */
static const struct unit size_units[] = {{"TB", 1024 * GB}, {"GB", GB}, {"MB", MB}, {"KB", KB}, {"B", 1}};
static const struct unit duration_units[] = {{"d", DAY}, {"h", HOUR}, {"m", MINUTE}, {"s", SEC}, {"ms", 1}};

#define N_UNITS 5

/* Digits, then perhaps spaces and a unit. *unit is NULL if there is none. */
static int parse_with_unit(const char *s, const struct unit units[N_UNITS], int64_t *out, const struct unit **unit)
{
    int64_t n = 0;
    const char *p = s;

    *unit = NULL;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
            return -ERANGE;
    if (p == s)
        return -EINVAL;
    while (*p == ' ')
        p++;
    for (int i = 0; i < N_UNITS; i++)
        if (strcmp(p, units[i].name) == 0)
            *unit = &units[i];
    if (*unit == NULL && *p != '\0')
        return -EINVAL;
    if (*unit != NULL && __builtin_mul_overflow(n, (*unit)->factor, &n))
        return -ERANGE;
    *out = n;
    return 0;
}

int conf_parse_size(const char *s, int64_t *out)
{
    const struct unit *unit;
    int64_t n;
    int rc = parse_with_unit(s, size_units, &n, &unit);

    if (rc != 0)
        return rc;
    if (unit == NULL && n > INT64_C(1) << 31)
        return -ERANGE;
    *out = n;
    return 0;
}

int conf_parse_duration(const char *s, int64_t *out_ms)
{
    const struct unit *unit;
    int64_t n;
    int rc = parse_with_unit(s, duration_units, &n, &unit);

    if (rc != 0)
        return rc;
    if (unit == NULL && n != 0)
        return -EINVAL;
    *out_ms = n;
    return 0;
}

static void format_with_unit(int64_t n, const struct unit units[N_UNITS], char *out, size_t size)
{
    int i = 0;

    while (i < N_UNITS - 1 && (n == 0 || n % units[i].factor != 0))
        i++;
    snprintf(out, size, "%" PRId64 "%s", n / units[i].factor, units[i].name);
}

void conf_format_size(int64_t bytes, char *out, size_t size)
{
    format_with_unit(bytes, size_units, out, size);
}

void conf_format_duration(int64_t ms, char *out, size_t size)
{
    format_with_unit(ms, duration_units, out, size);
}

static void *field(struct conf *c, int key)
{
    return (char *)c + conf_keys[key].offset;
}

bool conf_key_is_text(int key)
{
    enum conf_type t = conf_keys[key].type;

    return t == CONF_STR || t == CONF_PATH || t == CONF_ENUM;
}

const char **conf_field_text(struct conf *c, int key)
{
    return conf_key_is_text(key) ? field(c, key) : NULL;
}

int64_t *conf_field_int(struct conf *c, int key)
{
    enum conf_type t = conf_keys[key].type;

    return t == CONF_INT || t == CONF_SIZE || t == CONF_DURATION ? field(c, key) : NULL;
}

bool *conf_field_bool(struct conf *c, int key)
{
    return conf_keys[key].type == CONF_BOOL ? field(c, key) : NULL;
}

static void join_choices(const char *choices, char *out, size_t size)
{
    size_t n = 0;

    for (; *choices != '\0' && n + 3 < size; choices++) {
        if (*choices == '|') {
            out[n++] = ',';
            out[n++] = ' ';
        } else {
            out[n++] = *choices;
        }
    }
    out[n] = '\0';
}

void conf_allowed(int key, char *out, size_t size)
{
    const struct conf_key *k = &conf_keys[key];
    char lo[40], hi[40];

    switch (k->type) {
    case CONF_STR:
        snprintf(out, size, "a string of %" PRId64 " to %" PRId64 " characters", k->lo, k->hi);
        return;
    case CONF_PATH:
        snprintf(out, size, "an absolute path of at most %" PRId64 " characters", k->hi);
        return;
    case CONF_INT:
        snprintf(out, size, "an integer, %" PRId64 " to %" PRId64, k->lo, k->hi);
        return;
    case CONF_BOOL:
        snprintf(out, size, "true or false");
        return;
    case CONF_SIZE:
        conf_format_size(k->lo, lo, sizeof lo);
        conf_format_size(k->hi, hi, sizeof hi);
        snprintf(out, size, "a size, \"%s\" to \"%s\" (B, KB, MB, GB, TB)", lo, hi);
        return;
    case CONF_DURATION:
        conf_format_duration(k->lo, lo, sizeof lo);
        conf_format_duration(k->hi, hi, sizeof hi);
        snprintf(out, size, "a duration, \"%s\" to \"%s\" (ms, s, m, h, d)", lo, hi);
        return;
    case CONF_ENUM:
        snprintf(out, size, "one of: ");
        join_choices(conf_choices[key], out + strlen(out), size - strlen(out));
        return;
    }
}

void conf_env_name(int key, bool secret_file, char *out, size_t size)
{
    snprintf(out, size, CONF_ENV_PREFIX "%s%s", conf_keys[key].name, secret_file ? "_file" : "");
    for (; *out != '\0'; out++) {
        if (*out == '.')
            *out = '_';
        else if (*out >= 'a' && *out <= 'z')
            *out = (char)(*out - 'a' + 'A');
    }
}

void conf_printable(const char *s, char *out, size_t size)
{
    size_t n = 0;

    for (; *s != '\0' && n + 4 < size; s++) {
        unsigned char c = (unsigned char)*s;
        out[n++] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    while (*s != '\0' && n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80)
        n--; /* a cut character would be invalid UTF-8 */
    if (*s != '\0' && n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0xc0)
        n--;
    snprintf(out + n, size - n, "%s", *s != '\0' ? "..." : "");
}

/* Adds the fault. found NULL: the value must not be shown. */
static void reject(struct conf_loader *l, int key, const char *found, const char *why, const struct conf_origin *o)
{
    char env[128], allowed[160], shown[80];
    const char *file = o->file;

    if (o->source == CONF_SRC_ENV) {
        conf_env_name(key, false, env, sizeof env);
        file = env;
    }
    l->wrong[key] = true;
    conf_allowed(key, allowed, sizeof allowed);
    if (found == NULL || (conf_keys[key].flags & CF_SECRET) != 0) {
        conf_fault(l, file, o->line, conf_keys[key].name, "%s; allowed is %s", why, allowed);
        return;
    }
    conf_printable(found, shown, sizeof shown);
    conf_fault(l, file, o->line, conf_keys[key].name, "%s: found \"%s\", allowed is %s", why, shown, allowed);
}

void conf_wrong_type(struct conf_loader *l, int key, const char *found, const struct conf_origin *o)
{
    char allowed[160];

    l->wrong[key] = true;
    conf_allowed(key, allowed, sizeof allowed);
    conf_fault(l, o->file, o->line, conf_keys[key].name, "wrong type: found %s, allowed is %s", found, allowed);
    if (conf_keys[key].type == CONF_DURATION || conf_keys[key].type == CONF_SIZE)
        conf_fault_hint(l, "write it in quotes with a unit, as in \"%s\"",
                        conf_keys[key].type == CONF_SIZE ? "64MB" : "30s");
}

static void keep_origin(struct conf_loader *l, int key, const struct conf_origin *o)
{
    l->origins[key] = *o;
}

void conf_set_number(struct conf_loader *l, int key, int64_t value, const struct conf_origin *o)
{
    int64_t *f = conf_field_int(l->conf, key);
    char found[32];

    snprintf(found, sizeof found, "%" PRId64, value);
    if (f == NULL || (conf_keys[key].type == CONF_DURATION && value != 0)) {
        conf_wrong_type(l, key, "a number", o);
        return;
    }
    if (conf_keys[key].type == CONF_SIZE && value > INT64_C(1) << 31) {
        conf_wrong_type(l, key, "a number over 2^31", o);
        return;
    }
    if ((conf_keys[key].lo != 0 || conf_keys[key].hi != 0) &&
        (value < conf_keys[key].lo || value > conf_keys[key].hi)) {
        reject(l, key, found, "out of bounds", o);
        return;
    }
    *f = value;
    keep_origin(l, key, o);
}

void conf_set_bool(struct conf_loader *l, int key, bool value, const struct conf_origin *o)
{
    bool *f = conf_field_bool(l->conf, key);

    if (f == NULL) {
        conf_wrong_type(l, key, value ? "true" : "false", o);
        return;
    }
    *f = value;
    keep_origin(l, key, o);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strcspn(text, "|"); /* a choice holds no bar, but the list does */

    if (n == 0 || text[n] != '\0')
        return false;
    for (const char *p = choices; p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return true;
    }
    return false;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

/* NULL if the text is good for a STR, PATH or ENUM, else why not. */
static const char *text_fault(int key, const char *text)
{
    const struct conf_key *k = &conf_keys[key];
    size_t n = strlen(text), bad_at;

    if (k->type == CONF_ENUM)
        return is_choice(conf_choices[key], text) ? NULL : "unknown choice";
    if (has_control(text))
        return "holds a control character";
    if (!utf8_valid(text, n, &bad_at))
        return "is not valid UTF-8";
    if ((k->lo != 0 || k->hi != 0) && ((int64_t)n < k->lo || (int64_t)n > k->hi))
        return n == 0 ? "is empty" : "has the wrong length";
    if (k->type == CONF_PATH && text[0] != '/')
        return "is not an absolute path";
    return NULL;
}

static void set_string(struct conf_loader *l, int key, const char *text, const struct conf_origin *o)
{
    const char *why = text_fault(key, text);
    const char **f = conf_field_text(l->conf, key);

    if (why != NULL) {
        reject(l, key, text, why, o);
        return;
    }
    if (*f != NULL && (conf_keys[key].flags & CF_SECRET) != 0)
        explicit_bzero((char *)(uintptr_t)*f, strlen(*f));
    *f = talloc_strdup(l->conf, text);
    keep_origin(l, key, o);
}

static int parse_integer(const char *text, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno == ERANGE)
        return -ERANGE;
    return end == text || *end != '\0' || strchr(" \t\n\v\f\r+", *text) != NULL ? -EINVAL : 0;
}

void conf_set_text(struct conf_loader *l, int key, const char *text, const struct conf_origin *o)
{
    int64_t n = 0;
    int rc;

    switch (conf_keys[key].type) {
    case CONF_STR:
    case CONF_PATH:
    case CONF_ENUM:
        set_string(l, key, text, o);
        return;
    case CONF_BOOL:
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            conf_set_bool(l, key, text[0] == 't', o);
        else
            reject(l, key, text, "not a truth value", o);
        return;
    case CONF_INT:
        rc = parse_integer(text, &n);
        break;
    case CONF_SIZE:
        rc = conf_parse_size(text, &n);
        break;
    case CONF_DURATION:
        rc = conf_parse_duration(text, &n);
        break;
    default:
        rc = -EINVAL;
    }
    if (rc != 0 ||
        ((conf_keys[key].lo != 0 || conf_keys[key].hi != 0) && (n < conf_keys[key].lo || n > conf_keys[key].hi))) {
        reject(l, key, text, rc == -EINVAL ? "not understood" : "out of bounds", o);
        return;
    }
    *conf_field_int(l->conf, key) = n;
    keep_origin(l, key, o);
}
