/*
 * test_sigv4.c - the signatures that AWS publishes with its specification for S3
 */
#include "blob/sigv4.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key example = {
    .access = "AKIAIOSFODNN7EXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", .region = "us-east-1"};

/* 24 May 2013, 00:00:00 GMT */
static struct sigv4_request request(const char *method, const char *path, const char *sha256)
{
    return (struct sigv4_request){.method = method,
                                  .host = "examplebucket.s3.amazonaws.com",
                                  .path = path,
                                  .payload_sha256 = sha256,
                                  .time_s = 1369353600};
}

static void expect(struct sigv4_request *q, const char *names, const char *signature)
{
    void *ctx = talloc_new(NULL);
    char *got = sigv4_authorization(ctx, &example, q);

    cr_assert_not_null(got);
    cr_expect_str_eq(got, talloc_asprintf(ctx,
                                          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                                          "aws4_request,SignedHeaders=%s,Signature=%s",
                                          names, signature));
    talloc_free(ctx);
}

Test(sigv4, get_object)
{
    struct sigv4_request q = request("GET", "/test.txt", EMPTY_SHA256);

    q.headers[q.n_headers++] = (struct sigv4_field){"range", "bytes=0-9"};
    expect(&q, "host;range;x-amz-content-sha256;x-amz-date",
           "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

Test(sigv4, put_object)
{
    void *ctx = talloc_new(NULL);
    uint8_t sum[SHA256_BYTES];
    char hex[SHA256_HEX_LEN + 1];
    struct sigv4_request q = request("PUT", sigv4_encode(ctx, "/test$file.text", 1), hex);

    sha256_of("Welcome to Amazon S3.", 21, sum);
    hex_encode(sum, sizeof sum, hex);
    q.headers[q.n_headers++] = (struct sigv4_field){"x-amz-storage-class", "REDUCED_REDUNDANCY"};
    q.headers[q.n_headers++] = (struct sigv4_field){"date", "Fri, 24 May 2013 00:00:00 GMT"};
    expect(&q, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
           "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    talloc_free(ctx);
}

Test(sigv4, get_bucket_lifecycle_with_a_parameter_without_a_value)
{
    struct sigv4_request q = request("GET", "/", EMPTY_SHA256);

    q.query[q.n_query++] = (struct sigv4_field){"lifecycle", ""};
    expect(&q, "host;x-amz-content-sha256;x-amz-date",
           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

Test(sigv4, list_objects_with_parameters_in_any_order)
{
    struct sigv4_request q = request("GET", "/", EMPTY_SHA256);

    q.query[q.n_query++] = (struct sigv4_field){"prefix", "J"};
    q.query[q.n_query++] = (struct sigv4_field){"max-keys", "2"};
    expect(&q, "host;x-amz-content-sha256;x-amz-date",
           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

Test(sigv4, presigned_get)
{
    struct sigv4_request q = request("GET", "/test.txt", NULL);
    char *url = sigv4_presign(NULL, &example, &q, 86400);

    cr_expect_str_eq(url,
                     "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
                     "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
                     "X-Amz-SignedHeaders=host&X-Amz-Signature="
                     "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    talloc_free(url);
}

Test(sigv4, a_token_of_temporary_credentials_is_signed)
{
    struct sigv4_key k = example;
    struct sigv4_request q = request("GET", "/test.txt", EMPTY_SHA256), p = request("GET", "/test.txt", NULL);
    char *header, *url;

    k.token = "tok/en+=";
    header = sigv4_authorization(NULL, &k, &q);
    url = sigv4_presign(NULL, &k, &p, 60);
    cr_expect_not_null(strstr(header, "x-amz-date;x-amz-security-token,"));
    cr_expect_not_null(strstr(url, "&X-Amz-Security-Token=tok%2Fen%2B%3D&"));
    talloc_free(header);
    talloc_free(url);
}

Test(sigv4, encoding_leaves_only_what_is_unreserved)
{
    char *a = sigv4_encode(NULL, "a-Z_0.~/ +%\xc3\xa9", 1), *b = sigv4_encode(NULL, "a/b", 0);

    cr_expect_str_eq(a, "a-Z_0.~/%20%2B%25%C3%A9");
    cr_expect_str_eq(b, "a%2Fb");
    talloc_free(a);
    talloc_free(b);
}
