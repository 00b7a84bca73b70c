/* test_builtin.c - the builtin embedder: unit vectors, the same on every machine, near for texts that share words */
#include "provider/builtin.h"
#include "provider/embedder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM 512

static struct error err;

static void embed(const char *text, float *v)
{
    struct embed_input in = {text, strlen(text)};

    cr_assert_eq(embed_batch(&in, 1, DIM, v, &err), 0, "%s: %s", text, err.message);
}

static double cosine(const char *a, const char *b)
{
    float va[DIM], vb[DIM];
    double dot = 0;

    embed(a, va);
    embed(b, vb);
    for (int i = 0; i < DIM; i++)
        dot += (double)va[i] * (double)vb[i];
    return dot;
}

Test(builtin, a_known_text_gives_the_recorded_vector)
{
    /* Recorded once; a change means another version of the model, and every stored vector is of the old one. */
    float v[8];

    cr_assert_eq(builtin_embed("The quick brown fox, 42 \xc3\x84pfel \xe6\x9d\xb1\xe4\xba\xac.", 34, 8, v), 0);
    static const char *const want[] = {"-0x1.09de38p-3", "-0x1.8c3ee2p-1", "-0x1.99071cp-4", "-0x1.d661c6p-2",
                                       "-0x1.4738e2p-4", "0x1.32c554p-4",  "-0x1.ad7aaap-4", "0x1.7f76aap-2"};
    for (int i = 0; i < 8; i++) {
        char got[32];
        snprintf(got, sizeof got, "%a", (double)v[i]);
        cr_expect_str_eq(got, want[i], "component %d is %s", i, got);
    }
}

Test(builtin, case_and_punctuation_do_not_matter)
{
    cr_assert_float_eq(cosine("Install the Server", "install -- the, SERVER!"), 1, 1e-6);
    cr_assert_float_eq(cosine("\xc3\x9c"
                              "BER \xd0\x9c\xd0\x98\xd0\xa0",
                              "\xc3\xbc"
                              "ber \xd0\xbc\xd0\xb8\xd1\x80"),
                       1, 1e-6);
}

Test(builtin, shared_words_are_near_and_strangers_are_far)
{
    double same = cosine("how to restart the database server", "restarting a database server safely");
    double other = cosine("how to restart the database server", "grandmother bakes plum cake every sunday");

    cr_assert_gt(same, 0.4, "%f", same);
    cr_assert_lt(fabs(other), 0.2, "%f", other);
}

Test(builtin, inflected_words_are_near_by_their_parts)
{
    cr_assert_gt(cosine("configuration", "configurations"), 0.5);
    cr_assert_gt(cosine("Donaudampfschifffahrt", "Dampfschifffahrt"), 0.4);
}

Test(builtin, scripts_without_spaces_find_words_inside_sentences)
{
    double same = cosine("\xe6\x9d\xb1\xe4\xba\xac",
                         "\xe7\xa7\x81\xe3\x81\xaf\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xab\xe4\xbd\x8f\xe3\x82\x80");
    double other = cosine("\xe6\x9d\xb1\xe4\xba\xac", "\xe5\xa4\xa7\xe9\x98\xaa\xe3\x81\xae\xe5\xa4\xa9\xe6\xb0\x97");

    cr_assert_gt(same, other + 0.2, "%f %f", same, other);
}

Test(builtin, nothing_gives_a_zero_vector)
{
    static const char *const texts[] = {"!", "--", "...", " ", "\n\n\n", "\xff\xfe", "\xf0\x9f\x98\x80",
                                        "a", "ab", "1"};
    float v[DIM];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        embed(texts[i], v);
}

Test(builtin, every_pair_of_letters_survives_the_smallest_dimension)
{
    float v[8];

    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char text[2] = {(char)a, (char)b};
            struct embed_input in = {text, 2};
            cr_assert_eq(embed_batch(&in, 1, 8, v, &err), 0, "%02x%02x: %s", a, b, err.message);
        }
}

Test(builtin, a_batch_is_the_same_as_one_by_one)
{
    struct embed_input in[3] = {{"alpha beta", 10}, {"gamma", 5}, {"delta epsilon zeta", 18}};
    float all[3 * DIM], one[DIM];

    cr_assert_eq(embed_batch(in, 3, DIM, all, &err), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(embed_batch(&in[i], 1, DIM, one, &err), 0);
        cr_assert_eq(memcmp(one, all + i * DIM, sizeof one), 0);
    }
}

Test(builtin, many_different_words_grow_the_table)
{
    char *text = malloc(1000000);
    size_t n = 0;
    float v[DIM];

    for (int i = 0; i < 100000; i++)
        n += (size_t)sprintf(text + n, "w%dx ", i);
    cr_assert_eq(builtin_embed(text, n, DIM, v), 0);
    cr_assert_eq(embed_check(v, DIM, &err), 0);
    free(text);
}

Test(builtin, an_empty_text_is_an_error)
{
    struct embed_input in = {"", 0};
    float v[DIM];

    cr_assert_lt(embed_batch(&in, 1, DIM, v, &err), 0);
    cr_assert_str_eq(err.reason, "embed_bad_vector");
}

Test(embedder, each_collection_has_the_model_that_is_configured_for_it)
{
    struct conf c = {
        .embedder_name = "builtin", .embedder_dimension = DIM, .openai_model = "small", .n_collections = 2};
    struct collection_conf large = {
        .name = "large", .outside = true, .model = "large", .dimension = 1024, .price = "0.5"};
    struct collection_conf plain = {.name = "plain", .outside = true};
    int64_t price;

    c.collections[0] = large;
    c.collections[1] = plain;
    cr_assert_str_eq(embedder_collection(&c, 0), "default");
    cr_assert_str_eq(embedder_identity(&c, 0).model, "builtin");
    cr_assert_eq(embedder_identity(&c, 0).dimension, DIM);
    cr_assert_str_eq(embedder_collection(&c, 1), "large");
    cr_assert_str_eq(embedder_identity(&c, 1).model, "large");
    cr_assert_eq(embedder_identity(&c, 1).dimension, 1024);
    cr_assert_str_eq(embedder_identity(&c, 2).model, "small");
    cr_assert_eq(embedder_identity(&c, 2).dimension, DIM);
    cr_assert(embedder_outside(&c));
    c.openai_price_per_million_tokens = "0.02";
    cr_assert_eq(embedder_price(&c, "large", &price, &err), 0);
    cr_assert_eq(price, 500000);
    cr_assert_eq(embedder_price(&c, "small", &price, &err), 0);
    cr_assert_eq(price, 20000);
    c.openai_price_per_million_tokens = "dear";
    cr_assert_lt(embedder_price(&c, "small", &price, &err), 0);
}

Test(embedder, a_service_is_there_if_somebody_needs_it_or_its_address_is_known)
{
    struct conf c = {.embedder_name = "builtin", .embedder_dimension = DIM};

    cr_assert_not(embedder_outside(&c));
    c.openai_base_url = "https://api.example.com/v1";
    cr_assert(embedder_outside(&c));
    cr_assert(embedder_is_builtin("builtin") && !embedder_is_builtin("small"));
    cr_assert_eq(embedder_version("builtin"), BUILTIN_VERSION);
    cr_assert_eq(embedder_version("small"), 1);
}

Test(embedder, bad_vectors_are_refused)
{
    float v[4] = {1, 0, 0, 0};

    cr_assert_eq(embed_check(v, 4, &err), 0);
    v[1] = NAN;
    cr_assert_lt(embed_check(v, 4, &err), 0);
    v[1] = INFINITY;
    cr_assert_lt(embed_check(v, 4, &err), 0);
    v[1] = 0.1f;
    cr_assert_lt(embed_check(v, 4, &err), 0);
    cr_assert_str_eq(err.reason, "embed_bad_vector");
    memset(v, 0, sizeof v);
    cr_assert_lt(embed_check(v, 4, &err), 0);
}
