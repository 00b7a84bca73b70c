/*
 * redact.h - an outside service's words, made fit for a message of ours
 *
 * Services echo the key that was wrong, whole or masked, and pieces of what was sent. Out go: every occurrence of the
 * secret itself, words that look like a key (sk-, llx-, whsec_, pplx-, hf_), words masked with asterisks; control
 * characters and ill-formed UTF-8 become '?'; the rest is cut to the room there is.
 *
 * Pure; depends on base.
 */
#ifndef PROVIDER_REDACT_H
#define PROVIDER_REDACT_H

#include <stddef.h>

#define REDACT_SHOWN 240 /* bytes of a service's words that a message of ours shows */

/* secret may be NULL. Writes at most room bytes with the NUL; never half a character. */
void redact(const char *secret, const char *text, size_t n, char *out, size_t room);

#endif
