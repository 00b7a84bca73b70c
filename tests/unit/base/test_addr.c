/*
 * test_addr.c - public is what is left when every special network is taken out
 */
#include "base/addr.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <talloc.h>

static bool is_public(const char *text)
{
    struct sockaddr_storage a;

    cr_assert(addr_parse(text, &a), "%s", text);
    return addr_is_public((struct sockaddr *)&a);
}

Test(addr, special_addresses_are_not_public)
{
    static const char *const special[] = {"0.0.0.0",
                                          "0.1.2.3",
                                          "10.0.0.1",
                                          "10.255.255.255",
                                          "100.64.0.1",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "127.255.255.254",
                                          "169.254.169.254",
                                          "172.16.0.1",
                                          "172.31.255.255",
                                          "192.0.0.1",
                                          "192.0.2.1",
                                          "192.88.99.1",
                                          "192.168.1.1",
                                          "198.18.0.1",
                                          "198.19.255.255",
                                          "198.51.100.7",
                                          "203.0.113.9",
                                          "224.0.0.1",
                                          "239.255.255.255",
                                          "240.0.0.1",
                                          "255.255.255.255",
                                          "::",
                                          "::1",
                                          "::7f00:1",
                                          "::ffff:127.0.0.1",
                                          "::ffff:8.8.8.8",
                                          "64:ff9b::10.0.0.1",
                                          "64:ff9b::127.0.0.1",
                                          "64:ff9b:1::1",
                                          "100::1",
                                          "2001::1",
                                          "2001:db8::1",
                                          "2002:7f00:1::",
                                          "3fff::1",
                                          "fc00::1",
                                          "fd12:3456::1",
                                          "fe80::1",
                                          "fec0::1",
                                          "ff02::1",
                                          "4000::1",
                                          "[::1]"};

    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        cr_expect_not(is_public(special[i]), "%s", special[i]);
}

Test(addr, the_rest_is_public)
{
    static const char *const open[] = {"1.1.1.1",
                                       "8.8.8.8",
                                       "9.255.255.255",
                                       "11.0.0.0",
                                       "100.63.255.255",
                                       "100.128.0.0",
                                       "126.255.255.255",
                                       "128.0.0.1",
                                       "172.15.255.255",
                                       "172.32.0.0",
                                       "192.167.255.255",
                                       "192.169.0.0",
                                       "198.17.255.255",
                                       "198.20.0.0",
                                       "223.255.255.255",
                                       "2606:4700::1111",
                                       "2a00:1450:4001:800::200e",
                                       "2001:4860:4860::8888",
                                       "64:ff9b::8.8.8.8"};

    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        cr_expect(is_public(open[i]), "%s", open[i]);
}

Test(addr, another_family_is_not_public)
{
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    char text[64];

    cr_expect_not(addr_is_public(&unix_socket));
    addr_text(&unix_socket, text, sizeof text);
    cr_expect_str_eq(text, "?");
}

Test(addr, what_is_no_number_is_no_address)
{
    static const char *const names[] = {"",     "localhost", "1.2.3",     "1.2.3.4.5", "[1.2.3.4]",
                                        "[::1", "::1]",      "1.2.3.4/8", "[]"};
    struct sockaddr_storage a;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_not(addr_parse(names[i], &a), "%s", names[i]);
}

static bool has(const char *list, const char *text)
{
    struct addr_list *l = addr_list_parse(NULL, list);
    struct sockaddr_storage a;
    bool found;

    cr_assert_not_null(l, "%s", list);
    cr_assert(addr_parse(text, &a));
    found = addr_list_has(l, (struct sockaddr *)&a);
    talloc_free(l);
    return found;
}

Test(addr, a_list_holds_what_its_networks_hold)
{
    cr_expect(has("10.0.0.0/8", "10.9.8.7"));
    cr_expect_not(has("10.0.0.0/8", "11.0.0.0"));
    cr_expect(has("172.16.0.0/12", "172.31.0.1"));
    cr_expect_not(has("172.16.0.0/12", "172.32.0.1"));
    cr_expect(has("127.0.0.1, ::1", "::1"));
    cr_expect_not(has("127.0.0.1, ::1", "::2"));
    cr_expect(has("fd00::/8 192.168.0.0/16", "fdff::1"));
    cr_expect_not(has("0.0.0.0/0", "::1"), "families do not mix");
    cr_expect(has("0.0.0.0/0", "127.0.0.1"));
    cr_expect(has("all", "127.0.0.1"));
    cr_expect_not(has("none", "127.0.0.1"));
}

Test(addr, what_is_no_list_is_refused)
{
    static const char *const bad[] = {"",
                                      "yes",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10.0.0.0/",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8x",
                                      "localhost",
                                      "10.0.0.0/8, all",
                                      ",",
                                      "1.2.3.4/ 8"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_null(addr_list_parse(NULL, bad[i]), "%s", bad[i]);
}
