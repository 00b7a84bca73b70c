/*
 * addr.c - see addr.h
 *
 * One table of networks that are not public; an IPv4 address is looked up as it is, an IPv6 address must lie in
 * 2000::/3 and in none of the exceptions.
 *
 * Depends on talloc.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_NETWORKS 64

struct network {
    int family;
    unsigned bits;
    uint8_t bytes[16];
};

struct addr_list {
    bool all;
    int n;
    struct network networks[MAX_NETWORKS];
};

#define V4(a, b, c, bits)                                                                                              \
    {                                                                                                                  \
        AF_INET, bits,                                                                                                 \
        {                                                                                                              \
            a, b, c                                                                                                    \
        }                                                                                                              \
    }

static const struct network not_public[] = {
    V4(0, 0, 0, 8),                           /* this network; 0.0.0.0 connects to the machine itself */
    V4(10, 0, 0, 8),                          /* private */
    V4(100, 64, 0, 10),                       /* shared by carriers */
    V4(127, 0, 0, 8),                         /* loopback */
    V4(169, 254, 0, 16),                      /* link-local; the clouds' metadata services */
    V4(172, 16, 0, 12),                       /* private */
    V4(192, 0, 0, 24),                        /* protocol assignments */
    V4(192, 0, 2, 24),                        /* documentation */
    V4(192, 88, 99, 24),                      /* 6to4 relays */
    V4(192, 168, 0, 16),                      /* private */
    V4(198, 18, 0, 15),                       /* benchmarks */
    V4(198, 51, 100, 24),                     /* documentation */
    V4(203, 0, 113, 24),                      /* documentation */
    V4(224, 0, 0, 4),                         /* multicast */
    V4(240, 0, 0, 4),                         /* reserved, broadcast */
    {AF_INET6, 23, {0x20, 0x01}},             /* protocol assignments, Teredo among them */
    {AF_INET6, 32, {0x20, 0x01, 0x0d, 0xb8}}, /* documentation */
    {AF_INET6, 16, {0x20, 0x02}},             /* 6to4: any IPv4 address inside */
    {AF_INET6, 20, {0x3f, 0xff}},             /* documentation */
};

static const struct network global_unicast = {AF_INET6, 3, {0x20}};
static const struct network nat64 = {AF_INET6, 96, {0, 0x64, 0xff, 0x9b}};

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

/* The address's bytes; NULL for another family. */
static const uint8_t *bytes_of(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr;
    if (sa->sa_family == AF_INET6)
        return (const uint8_t *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
    return NULL;
}

static bool in_network(const struct network *n, int family, const uint8_t *bytes)
{
    return n->family == family && same_bits(n->bytes, bytes, n->bits);
}

static bool public_bytes(int family, const uint8_t *bytes)
{
    if (family == AF_INET6 && in_network(&nat64, family, bytes))
        return public_bytes(AF_INET, bytes + 12);
    if (family == AF_INET6 && !in_network(&global_unicast, family, bytes))
        return false;
    for (size_t i = 0; i < sizeof not_public / sizeof not_public[0]; i++)
        if (in_network(&not_public[i], family, bytes))
            return false;
    return true;
}

bool addr_is_public(const struct sockaddr *sa)
{
    const uint8_t *bytes = bytes_of(sa);

    return bytes != NULL && public_bytes(sa->sa_family, bytes);
}

bool addr_parse(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    size_t n = strlen(text);
    char bare[64];

    memset(out, 0, sizeof *out);
    if (n >= 2 && n < sizeof bare && text[0] == '[' && text[n - 1] == ']') {
        memcpy(bare, text + 1, n - 2);
        bare[n - 2] = '\0';
        text = strchr(bare, ':') != NULL ? bare : "";
    }
    v4->sin_family = AF_INET;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        return true;
    v6->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

void addr_text(const struct sockaddr *sa, char *out, size_t size)
{
    const uint8_t *bytes = bytes_of(sa);

    if (bytes == NULL || inet_ntop(sa->sa_family, bytes, out, (socklen_t)size) == NULL)
        snprintf(out, size, "?");
}

static bool parse_network(char *text, struct network *n)
{
    struct sockaddr_storage address;
    char *slash = strchr(text, '/'), *end;
    unsigned long bits;

    if (slash != NULL)
        *slash = '\0';
    if (!addr_parse(text, &address))
        return false;
    n->family = address.ss_family;
    n->bits = n->family == AF_INET ? 32 : 128;
    memset(n->bytes, 0, sizeof n->bytes);
    memcpy(n->bytes, bytes_of((struct sockaddr *)&address), n->bits / 8);
    if (slash == NULL)
        return true;
    bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > n->bits)
        return false;
    n->bits = (unsigned)bits;
    return true;
}

struct addr_list *addr_list_parse(const void *talloc_parent, const char *text)
{
    struct addr_list *l = talloc_zero(talloc_parent, struct addr_list);
    char *copy = talloc_strdup(l, text), *at = NULL, *word;

    if (l == NULL || copy == NULL)
        goto fail;
    if (strcmp(text, "all") == 0) {
        l->all = true;
        return l;
    }
    if (strcmp(text, "none") == 0)
        return l;
    for (word = strtok_r(copy, ", ", &at); word != NULL; word = strtok_r(NULL, ", ", &at))
        if (l->n == MAX_NETWORKS || !parse_network(word, &l->networks[l->n++]))
            goto fail;
    if (l->n > 0)
        return l;
fail:
    talloc_free(l);
    return NULL;
}

bool addr_list_has(const struct addr_list *l, const struct sockaddr *sa)
{
    const uint8_t *bytes = bytes_of(sa);

    if (l->all)
        return true;
    for (int i = 0; bytes != NULL && i < l->n; i++)
        if (in_network(&l->networks[i], sa->sa_family, bytes))
            return true;
    return false;
}

bool addr_list_all(const struct addr_list *l)
{
    return l->all;
}
