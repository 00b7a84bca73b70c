/* names.c - see names.h */
#include "names.h"

#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>

typedef int lookup(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out);

int names_slow_ms = 3000;
const char *names_moving[4];
int names_lookups;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    static lookup *real;
    struct addrinfo *second = NULL, **tail;
    const char *numeric = "127.0.0.1";
    int rc;

    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&real, &found, sizeof real);
    }
    if (host == NULL || strlen(host) < 5 || strcmp(host + strlen(host) - 5, ".test") != 0)
        return real(host, service, hints, out);
    if (hints != NULL && hints->ai_family == AF_INET6)
        return EAI_NONAME;
    if (strcmp(host, "slow.test") == 0) {
        poll(NULL, 0, names_slow_ms);
    } else if (strcmp(host, "mixed.test") == 0) {
        numeric = "10.255.255.1";
        if ((rc = real("127.0.0.1", service, hints, &second)) != 0)
            return rc;
    } else if (strcmp(host, "moving.test") == 0) {
        int i = names_lookups < 3 ? names_lookups : 3;
        while (names_moving[i] == NULL)
            i--;
        numeric = names_moving[i];
        names_lookups++;
    } else if (strcmp(host, "private.test") != 0 && strcmp(host, "named.test") != 0) {
        return EAI_NONAME;
    }
    rc = real(numeric, service, hints, out);
    if (rc != 0)
        return rc;
    for (tail = out; *tail != NULL; tail = &(*tail)->ai_next)
        ;
    *tail = second;
    return 0;
}
