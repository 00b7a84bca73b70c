/*
 * webhook.c - the proofs; see webhook.h
 *
 * The comparison in constant time is OpenSSL's. Every candidate is compared, whatever an earlier one gave.
 *
 * Depends on base, core.
 */
#include "provider/webhook.h"
#include "base/base64.h"
#include "base/hmac.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define MAC           SHA256_BYTES
#define LONGEST_KEY   256
#define MAX_SECRETS   16
#define MAX_SIGNATURE 4096

static int refuse(struct error *e, const char *why)
{
    return reason_error(e, REASON_bad_signature, EACCES, "%s %s.", reason_sentence(REASON_bad_signature), why);
}

/* Bytes of the secret's key, or 0: it is none. */
static size_t standard_key(const char *secret, uint8_t key[LONGEST_KEY])
{
    const char *text = strncmp(secret, "whsec_", 6) == 0 ? secret + 6 : secret;
    ssize_t n = base64_decode(text, strlen(text), key, LONGEST_KEY);

    return n > 0 ? (size_t)n : 0;
}

/* Whether a "v1,<base64>" of the list is this MAC; looks at all of them. */
static bool list_has(const char *list, const uint8_t mac[MAC])
{
    uint8_t given[MAC];
    int found = 0;

    while (*list != '\0') {
        size_t n = strcspn(list, " ");
        if (n > 3 && memcmp(list, "v1,", 3) == 0 && base64_decode(list + 3, n - 3, given, sizeof given) == MAC)
            found |= CRYPTO_memcmp(given, mac, MAC) == 0;
        list += n + (list[n] == ' ');
    }
    return found != 0;
}

static const char *either(ratehead_get *header, const void *arg, const char *standard, const char *svix)
{
    const char *v = header(arg, standard);

    return v != NULL ? v : header(arg, svix);
}

/* The id and the time are parts of what is signed, divided by dots: neither may hold one. */
static int check_time(const char *id, const char *timestamp, int64_t now, int64_t tolerance_s, struct error *e)
{
    int64_t t = 0;

    if (id[0] == '\0' || strlen(id) >= WEBHOOK_EVENT_ID || strchr(id, '.') != NULL || timestamp[0] == '\0' ||
        strlen(timestamp) > 15 || timestamp[strspn(timestamp, "0123456789")] != '\0')
        return refuse(e, "webhook-id or webhook-timestamp is malformed");
    t = strtoll(timestamp, NULL, 10);
    if (t < now - tolerance_s || t > now + tolerance_s)
        return reason_error(e, REASON_stale_signature, EACCES, "%s It is off by %" PRId64 " s.",
                            reason_sentence(REASON_stale_signature), t - now);
    return 0;
}

int webhook_verify_standard(const char *const *secrets, ratehead_get *header, const void *arg, const char *body,
                            size_t len, int64_t now, int64_t tolerance_s, char *id_out, struct error *e)
{
    const char *id = either(header, arg, "webhook-id", "svix-id");
    const char *timestamp = either(header, arg, "webhook-timestamp", "svix-timestamp");
    const char *list = either(header, arg, "webhook-signature", "svix-signature");
    uint8_t key[LONGEST_KEY], mac[MAC];
    bool fits = false, any = false;

    if (id == NULL || timestamp == NULL || list == NULL || strlen(list) > MAX_SIGNATURE)
        return refuse(e, "webhook-id, webhook-timestamp and webhook-signature are needed");
    if (check_time(id, timestamp, now, tolerance_s, e) < 0)
        return -EACCES;
    for (int i = 0; i < MAX_SECRETS && secrets[i] != NULL; i++) {
        const struct hmac_piece pieces[] = {
            {id, strlen(id)}, {".", 1}, {timestamp, strlen(timestamp)}, {".", 1}, {body, len}};
        size_t n = standard_key(secrets[i], key);
        if (n == 0)
            continue;
        any = true;
        if (!hmac_sha256(key, n, pieces, 5, mac))
            return reason_error(e, REASON_internal, EIO, "HMAC failed");
        fits = list_has(list, mac) || fits;
    }
    OPENSSL_cleanse(key, sizeof key);
    if (!any)
        return reason_error(e, REASON_bad_config, EINVAL, "no webhook secret is whsec_ and base64");
    if (!fits)
        return refuse(e, "No signature fits");
    if (id_out != NULL)
        memcpy(id_out, id, strlen(id) + 1);
    return 0;
}

int webhook_verify_lc(const char *const *secrets, ratehead_get *header, const void *arg, const char *body, size_t len,
                      struct error *e)
{
    const char *given = header(arg, "lc-signature");
    const struct hmac_piece whole = {body, len};
    uint8_t want[MAC], mac[MAC];
    bool fits = false;

    if (given == NULL)
        return refuse(e, "LC-Signature is absent");
    if (strncmp(given, "sha256=", 7) != 0 || strlen(given + 7) != SHA256_HEX_LEN ||
        hex_decode(given + 7, SHA256_HEX_LEN, want) < 0)
        return refuse(e, "LC-Signature is malformed");
    for (int i = 0; i < MAX_SECRETS && secrets[i] != NULL; i++) {
        if (!hmac_sha256(secrets[i], strlen(secrets[i]), &whole, 1, mac))
            return reason_error(e, REASON_internal, EIO, "HMAC failed");
        fits = (CRYPTO_memcmp(mac, want, MAC) == 0 && secrets[i][0] != '\0') || fits;
    }
    return fits ? 0 : refuse(e, "No signature fits");
}

bool webhook_token_fits(const char *token, size_t len, const uint8_t sha256[32])
{
    uint8_t hash[SHA256_BYTES];

    sha256_of(token, len, hash);
    return len > 0 && CRYPTO_memcmp(hash, sha256, SHA256_BYTES) == 0;
}
