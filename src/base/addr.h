/*
 * addr.h - which network addresses are public, and lists of networks that may be reached all the same
 *
 * Public is what the registries of special-purpose addresses leave for the open Internet. Everything else is not:
 * loopback, private, shared (CGNAT), link-local, multicast, documentation, benchmarks, reserved, unspecified; in IPv6
 * also mapped, compatible, unique local, Teredo and 6to4. NAT64 (64:ff9b::/96) counts as the IPv4 address inside it.
 *
 * Depends on talloc.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

bool addr_is_public(const struct sockaddr *sa); /* false for every family but IPv4 and IPv6 */
/* A numeric IPv4 or IPv6 address, the latter also in brackets. False if it is none. */
bool addr_parse(const char *text, struct sockaddr_storage *out);
/* "10.0.0.7", "fd00::1"; "?" for another family. */
void addr_text(const struct sockaddr *sa, char *out, size_t size);

/* "none", "all", or networks separated by commas and spaces: "10.0.0.0/8, fd00::/8, 127.0.0.1". NULL if it is none of
 * these or memory ran out. */
struct addr_list;
struct addr_list *addr_list_parse(const void *talloc_parent, const char *text);
bool addr_list_has(const struct addr_list *l, const struct sockaddr *sa);
bool addr_list_all(const struct addr_list *l);

#endif
