/* test_answer.c - rows as JSON */
#include "api/answer.h"
#include "core/state.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

/* One row of binary columns, made by hand. */
static PGresult *row_of(const Oid *types, const void *const *values, const int *lengths, int n)
{
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc d[8] = {0};
    static char name[] = "c";

    for (int i = 0; i < n; i++)
        d[i] = (PGresAttDesc){.name = name, .typid = types[i], .typlen = lengths[i], .format = 1};
    cr_assert(PQsetResultAttrs(r, n, d));
    for (int i = 0; i < n; i++)
        cr_assert(PQsetvalue(r, 0, i, (char *)(uintptr_t)values[i], values[i] != NULL ? lengths[i] : -1));
    return r;
}

Test(answer, shows_each_kind_by_its_rule)
{
    static const struct answer_column cols[] = {{"id", AS_UUID},   {"status", AS_STATUS}, {"lane", AS_LANE},
                                                {"sha", AS_HEX},   {"none", AS_TEXT},     {"skip", AS_NOTHING},
                                                {"json", AS_JSON}, {"at", AS_TIME}};
    const uint8_t id[16] = {0xa6, 0x98, 0xc7, 0x13, 0xe4, 0x58, 0x53, 0x25,
                            0xb1, 0x03, 0xa6, 0x2a, 0x78, 0x82, 0x83, 0x0a};
    const uint16_t complete = htobe16(10);
    const uint16_t bulk = htobe16(LANE_BULK);
    const uint64_t at = htobe64(1500); /* microseconds after 2000-01-01 */
    const Oid types[] = {PG_UUID, PG_INT2, PG_INT2, PG_BYTEA, PG_TEXT, PG_TEXT, PG_JSONB, PG_TIMESTAMPTZ};
    const void *values[] = {id, &complete, &bulk, "\x01\xff", NULL, "x", "\x01[1,2]", &at};
    const int lengths[] = {16, 2, 2, 2, 0, 1, 6, 8};
    PGresult *r = row_of(types, values, lengths, 8);
    json_t *j = json_object();
    char *text;

    answer_add_row(j, r, 0, 0, cols, 8);
    text = json_dumps(j, JSON_COMPACT);
    cr_assert_str_eq(text, "{\"id\":\"a698c713-e458-5325-b103-a62a7882830a\",\"status\":\"complete\",\"lane\":\"bulk\","
                           "\"sha\":\"01ff\",\"none\":null,\"json\":[1,2],\"at\":\"2000-01-01T00:00:00.001Z\"}");
    free(text);
    json_decref(j);
    PQclear(r);
}

Test(answer, an_unknown_number_is_named_not_guessed)
{
    json_t *j = answer_status(77);

    cr_assert_str_eq(json_string_value(j), "unknown(77)");
    json_decref(j);
    j = answer_state(-3);
    cr_assert_str_eq(json_string_value(j), "unknown(-3)");
    json_decref(j);
    j = answer_status(0);
    cr_assert(json_is_null(j));
    json_decref(j);
}

Test(answer, lanes_have_names)
{
    cr_assert_eq(lane_parse("interactive"), 1);
    cr_assert_eq(lane_parse("bulk"), 2);
    cr_assert_lt(lane_parse(""), 0);
    cr_assert_lt(lane_parse("0"), 0);
    cr_assert_null(lane_name(0));
    cr_assert_null(lane_name(3));
    cr_assert_str_eq(lane_name(2), "bulk");
}
