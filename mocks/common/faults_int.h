/* faults_int.h - inside of the fault book: rules struck by faults.c, read and shown by faults_json.c */
#ifndef MOCKS_COMMON_FAULTS_INT_H
#define MOCKS_COMMON_FAULTS_INT_H

#include "common/faults.h"

struct fault_rule {
    struct fault_rule *next;
    enum fault_kind kind;
    uint64_t id;
    double probability;
    int64_t left;  /* requests that it may still strike; -1: any number */
    int64_t after; /* matching requests that it still lets pass */
    int64_t hits;
    json_t *params; /* as given */
};

enum delay_kind { DELAY_NONE, DELAY_FIXED, DELAY_UNIFORM, DELAY_LOGNORMAL };

struct fault_delay {
    enum delay_kind kind;
    double a, b; /* ms; least and most; median and sigma */
};

struct fault_book {
    unsigned family;
    struct fault_rule *first, *last;
    uint64_t last_rule;
    struct fault_delay delay;
    double failure_rate;
    json_t *status_codes; /* NULL: 500 */
    struct fault_limits limits;
};

int fault_by_name(const char *name, unsigned family); /* -1: this program has none of that name */
struct fault_rule *fault_rule_add(struct fault_book *b, enum fault_kind k, double probability, const json_t *params);

#endif
