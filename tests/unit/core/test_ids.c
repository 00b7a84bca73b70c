/*
 * test_ids.c - the agreed identifiers, against vectors made by another program
 */
#include "core/ids.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_id(const struct uuid *u, const char *expected)
{
    char text[UUID_TEXT_LEN + 1];

    uuid_format(u, text);
    cr_expect_str_eq(text, expected);
}

static struct uuid parsed(const char *text)
{
    struct uuid u;

    cr_assert_eq(uuid_parse(text, &u), 0);
    return u;
}

Test(ids, chunk_and_document_as_agreed)
{
    struct uuid document = parsed("11111111-1111-1111-1111-111111111111");
    struct uuid user = parsed("22222222-2222-2222-2222-222222222222");
    struct uuid out;
    uint8_t sha[SHA256_BYTES];

    ids_chunk(&document, "markdown-simple", 1, 0, &out);
    expect_id(&out, "8152e34b-56e0-54a1-b75b-3abd2a632b34");
    memset(sha, 0xaa, sizeof sha); /* 64 times the letter a */
    ids_document(&user, sha, &out);
    expect_id(&out, "a698c713-e458-5325-b103-a62a7882830a");
    ids_document_in(&user, sha, "default", &out);
    expect_id(&out, "a698c713-e458-5325-b103-a62a7882830a");
    ids_document_in(&user, sha, "notes", &out); /* the same bytes in another collection */
    expect_id(&out, "203ba863-9e74-5ca4-9dcc-1f931e55fb04");
}

Test(ids, users)
{
    struct uuid out, again;

    ids_user_by_uid(1000, &out);
    expect_id(&out, "688ca082-326a-5818-a839-0c004891001d");
    ids_user_by_name("Alice", &out);
    expect_id(&out, "93d6ced5-0d29-5ea1-bd5b-e7463d9fbf6d");
    ids_user_by_name("alice", &again);
    cr_expect(uuid_equal(&out, &again));
    ids_user_by_name("22222222-2222-2222-2222-222222222222", &out);
    expect_id(&out, "22222222-2222-2222-2222-222222222222");
}

Test(ids, two_long_names_that_differ_at_the_end_are_two_users)
{
    char a[400], b[400];
    struct uuid ua, ub;

    memset(a, 'x', sizeof a);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof b);
    b[sizeof b - 2] = 'y';
    ids_user_by_name(a, &ua);
    ids_user_by_name(b, &ub);
    cr_expect_not(uuid_equal(&ua, &ub));
}
