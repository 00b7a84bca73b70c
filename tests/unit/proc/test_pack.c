/* test_pack.c - the writer agrees with msgpack-c's reader; our reader believes nothing */
#include "proc/pack.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <msgpack.h>
#include <string.h>
#include <talloc.h>

Test(pack, writes_what_msgpack_c_reads)
{
    uint8_t buf[256];
    struct pack p;
    msgpack_unpacked msg;
    size_t off = 0;
    int n;

    pack_init(&p, buf, sizeof buf);
    pack_array(&p);
    pack_int(&p, -5);
    pack_uint(&p, UINT64_MAX);
    pack_map(&p);
    pack_put_str(&p, "name", "worker");
    pack_put_bool(&p, "ok", true);
    pack_end(&p);
    pack_nil(&p);
    pack_end(&p);
    n = pack_end_frame(&p);
    cr_assert_gt(n, 0);

    msgpack_unpacked_init(&msg);
    cr_assert_eq(msgpack_unpack_next(&msg, (const char *)buf, (size_t)n, &off), MSGPACK_UNPACK_SUCCESS);
    cr_assert_eq(off, (size_t)n);
    cr_assert_eq(msg.data.via.array.size, 4);
    cr_assert_eq(msg.data.via.array.ptr[0].via.i64, -5);
    cr_assert_eq(msg.data.via.array.ptr[1].via.u64, UINT64_MAX);
    cr_assert_eq(msg.data.via.array.ptr[2].via.map.size, 2);
    cr_assert_eq(msg.data.via.array.ptr[3].type, MSGPACK_OBJECT_NIL);
    msgpack_unpacked_destroy(&msg);
}

Test(pack, integers_come_back_at_every_width)
{
    static const int64_t values[] = {
        0,  1,   127, 128,  255,  256,       65535,     65536,     INT32_MAX,          INT64_MAX,
        -1, -32, -33, -128, -129, INT16_MIN, INT32_MIN, INT64_MIN, (int64_t)UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t buf[16];
        struct pack p;
        struct unpack u;

        pack_init(&p, buf, sizeof buf);
        pack_int(&p, values[i]);
        unpack_init(&u, buf, (size_t)pack_end_frame(&p));
        cr_assert_eq(unpack_int(&u), values[i]);
        cr_assert_eq(unpack_close(&u, NULL), 0);
    }
}

Test(pack, a_buffer_that_is_too_small_is_an_error_at_every_size)
{
    for (size_t size = 0; size < 12; size++) {
        uint8_t buf[12];
        struct pack p;

        pack_init(&p, buf, size);
        pack_array(&p);
        pack_str(&p, "abcdefgh");
        pack_end(&p);
        cr_assert_eq(pack_end_frame(&p), -EMSGSIZE, "size %zu", size);
    }
}

Test(pack, a_growing_buffer_stops_at_its_maximum)
{
    void *ctx = talloc_new(NULL);
    struct pack p;

    pack_init_growing(&p, ctx, 10000);
    pack_array(&p);
    for (int i = 0; i < 900; i++)
        pack_str(&p, "0123456789");
    pack_end(&p);
    cr_assert_eq(pack_end_frame(&p), 3 + 900 * 11);
    pack_init_growing(&p, ctx, 10000);
    pack_array(&p);
    for (int i = 0; i < 1000; i++)
        pack_str(&p, "0123456789");
    pack_end(&p);
    cr_assert_eq(pack_end_frame(&p), -EMSGSIZE);
    talloc_free(ctx);
}

Test(pack, a_map_with_a_key_and_no_value_is_an_error)
{
    uint8_t buf[32];
    struct pack p;

    pack_init(&p, buf, sizeof buf);
    pack_map(&p);
    pack_str(&p, "key");
    pack_end(&p);
    cr_assert_eq(pack_end_frame(&p), -EMSGSIZE);
}

Test(pack, what_is_left_open_or_nested_too_deep_is_an_error)
{
    uint8_t buf[256];
    struct pack p;

    pack_init(&p, buf, sizeof buf);
    pack_array(&p);
    cr_assert_eq(pack_end_frame(&p), -EMSGSIZE);
    pack_init(&p, buf, sizeof buf);
    pack_end(&p);
    cr_assert_eq(pack_end_frame(&p), -EMSGSIZE);
    pack_init(&p, buf, sizeof buf);
    for (int i = 0; i <= PACK_DEPTH; i++)
        pack_array(&p);
    for (int i = 0; i <= PACK_DEPTH; i++)
        pack_end(&p);
    cr_assert_eq(pack_end_frame(&p), -EMSGSIZE);
}

static int close_of(const char *bytes, size_t n, void (*read)(struct unpack *u))
{
    struct unpack u;

    unpack_init(&u, (const uint8_t *)bytes, n);
    read(&u);
    return unpack_close(&u, NULL);
}

static void read_array(struct unpack *u)
{
    for (uint32_t n = unpack_array(u); n > 0; n--)
        unpack_skip(u);
}

static void read_int(struct unpack *u)
{
    (void)unpack_int(u);
}

static void read_i32(struct unpack *u)
{
    (void)unpack_i32(u);
}

static void read_text(struct unpack *u)
{
    char text[4];

    unpack_str_copy(u, text, sizeof text);
}

Test(unpack, an_announced_count_beyond_the_message_is_refused)
{
    cr_assert_eq(close_of("\xdd\xff\xff\xff\xff", 5, read_array), -EPROTO);
    cr_assert_eq(close_of("\xdc\x00\x02\x01", 4, read_array), -EPROTO);
    cr_assert_eq(close_of("\xdf\xff\xff\xff\xff\x01\x01", 7, unpack_skip), -EPROTO);
}

Test(unpack, a_left_over_byte_is_refused)
{
    cr_assert_eq(close_of("\x01", 1, read_int), 0);
    cr_assert_eq(close_of("\x01\x01", 2, read_int), -EPROTO);
}

Test(unpack, a_missing_byte_is_refused)
{
    cr_assert_eq(close_of("", 0, read_int), -EPROTO);
    cr_assert_eq(close_of("\xcd\x01", 2, read_int), -EPROTO);
    cr_assert_eq(close_of("\243ab", 3, read_text), -EPROTO);
}

Test(unpack, numbers_out_of_range_are_refused)
{
    cr_assert_eq(close_of("\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9, read_int), -EPROTO);
    cr_assert_eq(close_of("\xce\x80\x00\x00\x00", 5, read_int), 0);
    cr_assert_eq(close_of("\xce\x80\x00\x00\x00", 5, read_i32), -EPROTO);
}

Test(unpack, strings_that_do_not_fit_or_hold_a_nul_are_refused)
{
    cr_assert_eq(close_of("\243abc", 4, read_text), 0);
    cr_assert_eq(close_of("\244abcd", 5, read_text), -EPROTO);
    cr_assert_eq(close_of("\243a\0c", 4, read_text), -EPROTO);
}

Test(unpack, deep_nesting_is_refused)
{
    char deep[64];

    memset(deep, 0x91, sizeof deep);
    deep[63] = 0x01;
    cr_assert_eq(close_of(deep, sizeof deep, unpack_skip), -EPROTO);
    cr_assert_eq(close_of(deep + 60, 4, unpack_skip), 0);
}

Test(unpack, extension_types_are_refused)
{
    cr_assert_eq(close_of("\xd4\x01\x01", 3, unpack_skip), -EPROTO);
    cr_assert_eq(close_of("\xc1", 1, unpack_skip), -EPROTO);
}

Test(unpack, the_first_fault_is_named)
{
    struct unpack u;
    struct error e = {0};

    unpack_init(&u, (const uint8_t *)"\xa1x", 2);
    (void)unpack_int(&u);
    (void)unpack_bool(&u);
    cr_assert_eq(unpack_close(&u, &e), -EPROTO);
    cr_assert(strstr(e.message, "an integer was expected") != NULL);
    cr_assert_str_eq(e.reason, "bad_frame");
}
