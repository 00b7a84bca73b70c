/* redact.c - see redact.h */
#include "provider/redact.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define SHORTEST_SECRET 6 /* shorter ones would blank out ordinary words, and are no secrets */

static const char *const key_starts[] = {"sk-", "llx-", "whsec_", "pplx-", "hf_"};
static const char mark[] = "[key]";

/* What a key is made of, and the marks that services mask it with. */
static bool is_key_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '*' || c == '.' || c == '+' || c == '/' ||
           c == '=';
}

static size_t word_length(const char *p, size_t n)
{
    size_t len = 0;

    while (len < n && is_key_char(p[len]))
        len++;
    return len;
}

static bool looks_like_key(const char *word, size_t n)
{
    for (size_t i = 0; i < sizeof key_starts / sizeof *key_starts; i++) {
        size_t k = strlen(key_starts[i]);
        if (n > k && memcmp(word, key_starts[i], k) == 0)
            return true;
    }
    return memmem(word, n, "***", 3) != NULL;
}

/* Bytes at p that must not be shown; 0: none. at_word: no key character stands before p. */
static size_t secret_length(const char *secret, const char *p, size_t n, bool at_word)
{
    size_t k = secret == NULL ? 0 : strlen(secret), word;

    if (k >= SHORTEST_SECRET && n >= k && memcmp(p, secret, k) == 0)
        return k;
    if (!at_word)
        return 0;
    word = word_length(p, n);
    return word > 0 && looks_like_key(p, word) ? word : 0;
}

void redact(const char *secret, const char *text, size_t n, char *out, size_t room)
{
    size_t at = 0, len = 0;
    bool at_word = true;

    while (at < n) {
        const char *from = text + at;
        size_t hide = secret_length(secret, from, n - at, at_word);
        size_t take = hide > 0 ? hide : utf8_sequence(from, n - at), put = take;
        if (hide > 0) {
            from = mark;
            put = sizeof mark - 1;
        } else if (take == 0 || (take == 1 && (unsigned char)*from < 0x20) || *from == 0x7f) {
            from = "?";
            take = put = 1;
        }
        if (len + put + 1 > room)
            break;
        memcpy(out + len, from, put);
        len += put;
        at_word = hide == 0 && !is_key_char(text[at]);
        at += take;
    }
    if (room > 0)
        out[len] = '\0';
}
