/*
 * conf_check.c - what one key alone cannot know
 *
 * Each rule says what was found and what is allowed, at the place of the key that is most likely wrong. Runs only on a
 * configuration whose single keys are all good.
 *
 * Depends on base/addr.h, base/money.h, libc (address parsing), talloc.
 */
#include "base/addr.h"
#include "base/money.h"
#include "core/conf_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <talloc.h>

/* The longest socket name in run_dir must fit where the kernel puts it. */
_Static_assert(sizeof "/control.sock" + 90 <= sizeof((struct sockaddr_un *)0)->sun_path, "run_dir may be too long");

static int parse_port(const char *s, uint16_t *port)
{
    char *end;
    unsigned long n;

    if (*s < '0' || *s > '9')
        return -EINVAL;
    n = strtoul(s, &end, 10);
    if (*end != '\0' || n < 1 || n > 65535)
        return -EINVAL;
    *port = (uint16_t)n;
    return 0;
}

int conf_parse_listen(const char *s, struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    const char *colon = strrchr(s, ':');
    char host[64];
    uint16_t port;
    size_t n;

    if (colon == NULL || parse_port(colon + 1, &port) != 0)
        return -EINVAL;
    n = (size_t)(colon - s);
    if (n == 0 || n >= sizeof host)
        return -EINVAL;
    memcpy(host, s, n);
    host[n] = '\0';
    memset(out, 0, sizeof *out);
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *len = sizeof *v6;
        return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1 ? 0 : -EINVAL;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    *len = sizeof *v4;
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? 0 : -EINVAL;
}

static void fault_at(struct conf_loader *l, int key, const char *text)
{
    const struct conf_origin *o = &l->origins[key];
    char env[128];

    conf_env_name(key, false, env, sizeof env);
    if (o->source == CONF_SRC_ENV)
        conf_fault(l, env, 0, conf_keys[key].name, "%s", text);
    else
        conf_fault(l, o->file != NULL ? o->file : l->path, o->line, conf_keys[key].name, "%s", text);
}

/* a must not exceed b; both durations. The one that somebody set is named as the place. */
static void check_order(struct conf_loader *l, int a, int b)
{
    int64_t av = *conf_field_int(l->conf, a), bv = *conf_field_int(l->conf, b);
    char at[40], bt[40], text[300];

    if (av <= bv)
        return;
    conf_format_duration(av, at, sizeof at);
    conf_format_duration(bv, bt, sizeof bt);
    snprintf(text, sizeof text, "found %s \"%s\" above %s \"%s\"; allowed is at most that", conf_keys[a].name, at,
             conf_keys[b].name, bt);
    fault_at(l, l->origins[a].source == CONF_SRC_DEFAULT ? b : a, text);
}

/* A worker gives its job up at 80 % of the stage's deadline: a parser that may take longer would be stopped as late, which
 * is tried again, and never as too slow, which is the file's own end. */
static void check_parser_timeout(struct conf_loader *l)
{
    const struct conf *c = l->conf;
    char found[40], deadline[40], text[300];

    if (c->parser_timeout < c->queue_stage_deadline / 5 * 4)
        return;
    conf_format_duration(c->parser_timeout, found, sizeof found);
    conf_format_duration(c->queue_stage_deadline, deadline, sizeof deadline);
    snprintf(text, sizeof text,
             "found parser.timeout \"%s\" and queue.stage_deadline \"%s\"; allowed is a timeout below 80 %% of the "
             "deadline",
             found, deadline);
    fault_at(l,
             l->origins[CONF_KEY_parser_timeout].source == CONF_SRC_DEFAULT ? CONF_KEY_queue_stage_deadline
                                                                            : CONF_KEY_parser_timeout,
             text);
}

static void check_node_name(struct conf_loader *l)
{
    const char *name = l->conf->node_name;
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    if (name[good] != '\0')
        fault_at(l, CONF_KEY_node_name, "allowed are letters, digits, dot, _ and -");
}

static void check_chunks(struct conf_loader *l)
{
    struct conf *c = l->conf;
    char text[200];

    if (c->chunk_overlap_tokens <= c->chunk_max_tokens / 2)
        return;
    snprintf(text, sizeof text, "found %" PRId64 ", allowed is at most half of chunk.max_tokens, %" PRId64,
             c->chunk_overlap_tokens, c->chunk_max_tokens / 2);
    fault_at(l,
             l->origins[CONF_KEY_chunk_overlap_tokens].source == CONF_SRC_DEFAULT ? CONF_KEY_chunk_max_tokens
                                                                                  : CONF_KEY_chunk_overlap_tokens,
             text);
}

static void check_listen(struct conf_loader *l)
{
    struct sockaddr_storage address;
    socklen_t len;
    char found[80], text[240];

    if (l->conf->api_listen[0] == '\0' || conf_parse_listen(l->conf->api_listen, &address, &len) == 0)
        return;
    conf_printable(l->conf->api_listen, found, sizeof found);
    snprintf(text, sizeof text,
             "found \"%s\", allowed is a numeric address and a port, \"127.0.0.1:8000\" or \"[::1]:8000\", or \"\"",
             found);
    fault_at(l, CONF_KEY_api_listen, text);
}

/* Names a backend chose but did not get. */
static void check_backends(struct conf_loader *l)
{
    struct conf *c = l->conf;

    if (c->blob_backend != NULL && strcmp(c->blob_backend, "fs") == 0 && c->blob_fs_root == NULL)
        fault_at(l, CONF_KEY_blob_fs_root, "missing; blob.backend = \"fs\" requires it");
    if (strcmp(c->search_index, "hnsw") == 0 && c->embedder_dimension > 2000)
        fault_at(l, CONF_KEY_embedder_dimension,
                 "above 2000, which is the most that search.index = \"hnsw\" can index; allowed is up to 2000, or "
                 "search.index = \"none\"");
}

static void require(struct conf_loader *l, int key, bool there, const char *why)
{
    char text[200];

    if (there)
        return;
    snprintf(text, sizeof text, "missing; %s requires it", why);
    fault_at(l, key, text);
}

/* The next name of a list with commas in word; NULL at its end. */
static const char *next_name(const char *list, char *word, size_t size)
{
    size_t n;

    list += strspn(list, ", ");
    if (*list == '\0')
        return NULL;
    n = strcspn(list, ", ");
    snprintf(word, size, "%.*s", (int)n, list);
    return list + n;
}

/* The service calls https and names only; one that is itself called by http is a stand-in, which calls anything. */
static void check_webhook_url(struct conf_loader *l)
{
    const char *base = l->conf->llamaparse_base_url, *url = l->conf->llamaparse_webhook_url;
    bool plain = base != NULL && strncmp(base, "http://", 7) == 0;
    const char *host;
    size_t n;

    if (url == NULL || (plain && strncmp(url, "http://", 7) == 0))
        return;
    host = strncmp(url, "https://", 8) == 0 ? url + 8 : "";
    n = strcspn(host, ":/");
    if (host[0] == '\0')
        fault_at(l, CONF_KEY_llamaparse_webhook_url, "allowed is an address that begins with https://");
    else if (!plain && (host[0] == '[' || strspn(host, "0123456789.") >= n))
        fault_at(l, CONF_KEY_llamaparse_webhook_url, "allowed is an address with a name: LlamaParse calls no number");
}

static void check_parsers(struct conf_loader *l)
{
    struct conf *c = l->conf;
    bool local = false, remote = false;
    char word[32], found[80], text[240];

    for (const char *p = c->parser_order; (p = next_name(p, word, sizeof word)) != NULL;) {
        bool *seen = strcmp(word, "local") == 0 ? &local : strcmp(word, "llamaparse") == 0 ? &remote : NULL;
        if (seen != NULL && !*seen) {
            *seen = true;
            continue;
        }
        conf_printable(word, found, sizeof found);
        snprintf(text, sizeof text, "found \"%s\"%s, allowed are local and llamaparse, each once, commas between them",
                 found, seen != NULL ? " twice" : "");
        fault_at(l, CONF_KEY_parser_order, text);
        return;
    }
    if (!local && !remote)
        fault_at(l, CONF_KEY_parser_order, "names no parser; allowed are local and llamaparse");
    if (!remote)
        return;
    require(l, CONF_KEY_llamaparse_base_url, c->llamaparse_base_url != NULL, "parser.order");
    require(l, CONF_KEY_llamaparse_api_key, c->llamaparse_api_key != NULL, "parser.order");
    check_webhook_url(l);
}

/* Bytes are durable before the row that names them: in between they must not look like leftovers. */
static void check_leftovers(struct conf_loader *l)
{
    const struct conf *c = l->conf;
    int64_t least = 4 * (c->queue_stage_deadline + c->database_statement_timeout);
    int key = CONF_KEY_retention_blobs;
    char found[40], text[300], allowed[40];

    if (c->retention_blobs >= least)
        return;
    conf_format_duration(c->retention_blobs, found, sizeof found);
    conf_format_duration(least, allowed, sizeof allowed);
    snprintf(text, sizeof text,
             "found retention.blobs \"%s\"; allowed is at least four times queue.stage_deadline and "
             "database.statement_timeout together, \"%s\"",
             found, allowed);
    if (l->origins[key].source == CONF_SRC_DEFAULT)
        key = l->origins[CONF_KEY_queue_stage_deadline].source == CONF_SRC_DEFAULT ? CONF_KEY_database_statement_timeout
                                                                                   : CONF_KEY_queue_stage_deadline;
    fault_at(l, key, text);
}

static bool is_url(const char *s)
{
    return strncmp(s, "https://", 8) == 0 || strncmp(s, "http://", 7) == 0;
}

/* A key of a backend that was chosen, and what it must look like. */
static void require_for_blobs(struct conf_loader *l, int key, bool url)
{
    const char *value = *conf_field_text(l->conf, key);
    char text[160];

    if (value == NULL) {
        snprintf(text, sizeof text, "missing; blob.backend = \"%s\" requires it", l->conf->blob_backend);
        fault_at(l, key, text);
    } else if (url && !is_url(value)) {
        fault_at(l, key, "allowed is an address that begins with https:// (or http://)");
    }
}

static void check_object_store(struct conf_loader *l)
{
    const struct conf *c = l->conf;

    if (c->blob_backend != NULL && strcmp(c->blob_backend, "s3") == 0) {
        require_for_blobs(l, CONF_KEY_blob_s3_bucket, false);
        require_for_blobs(l, CONF_KEY_blob_s3_access_key, false);
        require_for_blobs(l, CONF_KEY_blob_s3_secret_key, false);
        if (c->blob_s3_endpoint != NULL)
            require_for_blobs(l, CONF_KEY_blob_s3_endpoint, true);
    }
    if (c->blob_backend != NULL && strcmp(c->blob_backend, "supabase") == 0) {
        require_for_blobs(l, CONF_KEY_blob_supabase_url, true);
        require_for_blobs(l, CONF_KEY_blob_supabase_bucket, false);
        require_for_blobs(l, CONF_KEY_blob_supabase_key, false);
    }
}

static void check_networks(struct conf_loader *l, int key, const char *value)
{
    struct addr_list *networks = addr_list_parse(l, value);

    if (networks == NULL)
        fault_at(l, key, "allowed is none, all, or networks such as \"10.1.0.0/16, 127.0.0.1\"");
    talloc_free(networks);
}

static void check_http(struct conf_loader *l)
{
    const struct conf *c = l->conf;

    check_networks(l, CONF_KEY_http_allow_private, c->http_allow_private);
    check_networks(l, CONF_KEY_metrics_allow, c->metrics_allow);
    if (c->http_proxy != NULL && !is_url(c->http_proxy))
        fault_at(l, CONF_KEY_http_proxy, "allowed is an address that begins with http:// or https://");
}

/* What the service needs, if any collection is embedded by it. */
static void check_embedder(struct conf_loader *l)
{
    struct conf *c = l->conf;
    bool mine = c->embedder_name != NULL && strcmp(c->embedder_name, "openai") == 0, any = mine;
    const char *why = mine ? "embedder.name = \"openai\"" : "a collection with embedder = \"openai\"";
    bool keyed;

    for (int i = 0; i < c->n_collections; i++)
        any = any || c->collections[i].outside;
    if (!any)
        return;
    keyed = strcmp(c->openai_kind, "openai") == 0 || strcmp(c->openai_kind, "azure") == 0;
    require(l, CONF_KEY_openai_base_url, c->openai_base_url != NULL, why);
    if (mine)
        require(l, CONF_KEY_openai_model, c->openai_model != NULL, why);
    if (keyed)
        require(l, CONF_KEY_openai_api_key, c->openai_api_key != NULL, "openai.kind");
    if (c->openai_model != NULL && strcmp(c->openai_model, "builtin") == 0)
        fault_at(l, CONF_KEY_openai_model, "found \"builtin\", which is the name of the embedder inside docmill");
}

/* Amounts of money: exact decimals, never below nothing. */
static void check_money(struct conf_loader *l)
{
    const struct conf *c = l->conf;
    const struct {
        int key;
        const char *value;
        int decimals;
    } amounts[] = {
        {CONF_KEY_budget_daily, c->budget_daily, MONEY_DECIMALS},
        {CONF_KEY_budget_user_daily, c->budget_user_daily, MONEY_DECIMALS},
        {CONF_KEY_llamaparse_price_per_page, c->llamaparse_price_per_page, MONEY_DECIMALS},
        {CONF_KEY_openai_price_per_million_tokens, c->openai_price_per_million_tokens, MONEY_PER_MILLION_DECIMALS},
    };
    char found[80], text[240];
    int64_t amount;

    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        if (amounts[i].value == NULL ||
            (money_parse(amounts[i].value, amounts[i].decimals, &amount) == 0 && amount >= 0))
            continue;
        conf_printable(amounts[i].value, found, sizeof found);
        snprintf(text, sizeof text,
                 "found \"%s\", allowed is an amount of US dollars with at most %d decimals, such as \"12.50\"", found,
                 amounts[i].decimals);
        fault_at(l, amounts[i].key, text);
    }
}

static void check_log(struct conf_loader *l)
{
    if (l->conf->log_file != NULL && strcmp(l->conf->log_format, "journald") == 0)
        fault_at(l, CONF_KEY_log_file, "log.format = \"journald\" writes to no file: one of the two has to go");
}

void conf_check(struct conf_loader *l)
{
    check_log(l);
    check_money(l);
    check_http(l);
    check_embedder(l);
    conf_collections_check(l);
    check_object_store(l);
    check_parsers(l);
    check_parser_timeout(l);
    check_node_name(l);
    check_chunks(l);
    check_listen(l);
    check_backends(l);
    check_leftovers(l);
    check_order(l, CONF_KEY_supervise_backoff_first, CONF_KEY_supervise_backoff_cap);
    check_order(l, CONF_KEY_queue_retry_first, CONF_KEY_queue_retry_cap);
    check_order(l, CONF_KEY_node_heartbeat, CONF_KEY_node_grace);
}
