/*
 * conf_keys.h - every configuration key, once
 *
 * X(field, "key", TYPE, default, min, max, flags, roles, help)
 *   TYPE     STR, PATH, INT, BOOL, SIZE (bytes; "64MB"), DURATION (milliseconds; "30s"), ENUM (choices in CONF_ENUMS)
 *   default  text, parsed like a value of the file; NULL: none
 *   min,max  bounds for INT, SIZE (bytes), DURATION (ms); for STR and PATH the length in characters; 0,0: unbounded
 *   flags    CF_REQUIRED (must be set), CF_SECRET (masked; also as KEY_file and from the environment),
 *            CF_RELOAD (takes effect on reload), CF_NODE (may differ between the nodes of one database), CF_VERIFY (a
 *            secret that docmill verifies callers by: the former one stays accepted for reload.secret_grace)
 *   roles    who may see it: CR_MASTER, CR_COORD, CR_API, CR_WORKER, CR_ALL
 * For ENUM the choices stand in CONF_ENUMS, separated by '|'.
 *
 * The parser, `docmilld -t` and `-T`, the example in etc/, and the man page are made from this table. After a change
 * write etc/docmill.conf anew with `docmilld --example`.
 */
#ifndef CORE_CONF_KEYS_H
#define CORE_CONF_KEYS_H

#define KB     1024LL
#define MB     (1024 * KB)
#define GB     (1024 * MB)
#define SEC    1000LL
#define MINUTE (60 * SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* clang-format off */
#define CONF_KEYS(X)                                                                                                         \
    X(node_name, "node.name", STR, NULL, 1, 64, CF_NODE, CR_ALL,                                                             \
      "This node's name, unique among the masters of one database. Default: the host name.")                                \
    X(run_dir, "run_dir", PATH, "/run/docmill", 1, 90, CF_NODE, CR_ALL,                                                      \
      "Directory of control.sock and api.sock. Made with mode 0755 if absent.")                                              \
    X(control_group, "control.group", STR, NULL, 1, 64, CF_NODE, CR_MASTER | CR_API,                                        \
      "Unix group whose members have the right operate: what those with read have, and to change how the daemon works.")     \
    X(control_read_group, "control.read_group", STR, NULL, 1, 64, CF_NODE, CR_MASTER | CR_API,                               \
      "Unix group whose members have the right read: they may ask over control.sock what the daemon does and how it is.")    \
    X(control_admin_group, "control.admin_group", STR, NULL, 1, 64, CF_NODE, CR_MASTER | CR_API,                             \
      "Unix group whose members have the right admin: operate, and ending the daemon. Root and the daemon's own user always have it.") \
    X(user, "user", STR, "docmill", 1, 64, CF_NODE, CR_MASTER,                                                               \
      "User that docmilld becomes, for good, when root starts it by hand. It must be able to read this file at a reload.")    \
    X(log_level, "log.level", ENUM, "info", 0, 0, CF_NODE | CF_RELOAD, CR_ALL,                                               \
      "Least severe level that is written.")                                                                                 \
    X(log_format, "log.format", ENUM, "auto", 0, 0, CF_NODE | CF_RELOAD, CR_ALL,                                             \
      "How lines are written: logfmt, json, or journald (its fields, straight to the journal's socket). auto is journald where standard error is the journal's, as in a systemd unit, else logfmt.") \
    X(log_file, "log.file", PATH, NULL, 1, 1000, CF_NODE, CR_MASTER,                                                         \
      "File that the log is appended to, instead of standard error. USR1 to the master opens it anew, for logrotate.")       \
    X(log_journal, "log.journal", PATH, "/run/systemd/journal/socket", 1, 100, CF_NODE, CR_ALL,                              \
      "Socket of the journal.")                                                                                              \
    X(log_burst, "log.burst", INT, "50", 0, 1000000, CF_NODE | CF_RELOAD, CR_ALL,                                            \
      "Lines of one kind (level, module and message) that a process writes within 10 s; more are counted and told as a number. 0: no limit.") \
                                                                                                                             \
    X(database_url, "database.url", STR, NULL, 1, 2000, CF_REQUIRED | CF_SECRET | CF_NODE, CR_COORD | CR_API | CR_WORKER,    \
      "libpq connection string (URI or key=value) of the daemon's login role. May be a transaction pooler. A reload takes another password; any other change needs a restart.")                 \
    X(database_direct_url, "database.direct_url", STR, NULL, 1, 2000, CF_SECRET | CF_NODE, CR_COORD,                         \
      "Connection string that bypasses any pooler; the coordinator's session locks need it. Default: database.url.")         \
    X(database_migrate_url, "database.migrate_url", STR, NULL, 1, 2000, CF_SECRET | CF_NODE, 0,                              \
      "Connection string of a role that may create roles and tables; only `docmilld migrate` uses it. Default: database.direct_url.") \
    X(database_connect_timeout, "database.connect_timeout", DURATION, "5s", 100, 5 * MINUTE, CF_NODE | CF_RELOAD, CR_COORD | CR_API | CR_WORKER, \
      "Longest wait for a new connection.")                                                                                  \
    X(database_statement_timeout, "database.statement_timeout", DURATION, "30s", 100, HOUR, CF_NODE | CF_RELOAD, CR_COORD | CR_API | CR_WORKER, \
      "Longest wait for one statement; after it the statement is cancelled, then the connection dropped.")                   \
                                                                                                                             \
    X(api_listen, "api.listen", STR, "127.0.0.1:8000", 0, 200, CF_NODE, CR_MASTER | CR_API,                                  \
      "Address and port of the HTTP API; empty: no TCP listener.")                                                           \
    X(api_token, "api.token", STR, NULL, 16, 400, CF_SECRET | CF_RELOAD | CF_VERIFY, CR_API,                                         \
      "Bearer token that the HTTP API accepts over TCP. Without one, TCP answers only /livez and /readyz.")                  \
    X(api_token_user, "api.token_user", STR, "default", 1, 200, CF_RELOAD, CR_API,                                           \
      "User that api.token stands for: a name, or a UUID as it is.")                                                         \
    X(api_socket_user, "api.socket_user", STR, NULL, 1, 200, CF_RELOAD, CR_API,                                              \
      "User that callers of api.sock act as. Default: each uid is a user of its own.")                                       \
    X(api_max_connections, "api.max_connections", INT, "1000", 1, 15000, CF_NODE, CR_API,                                    \
      "Open HTTP connections an api child holds at most on each of its two sockets.")                                                                   \
    X(api_db_connections, "api.db_connections", INT, "4", 1, 64, CF_NODE, CR_API | CR_COORD,                                            \
      "Database connections an api child holds at most.")                                                                    \
    X(api_queue, "api.queue", INT, "1000", 1, 100000, CF_NODE | CF_RELOAD, CR_API,                                           \
      "Requests that may wait for a database connection; more are answered 503 overloaded.")                                 \
    X(api_idle_timeout, "api.idle_timeout", DURATION, "60s", SEC, HOUR, CF_NODE, CR_API,                                     \
      "An HTTP connection that is silent for so long is closed.")                                                            \
                                                                                                                             \
    X(metrics_token, "metrics.token", STR, NULL, 16, 400, CF_SECRET | CF_NODE | CF_RELOAD | CF_VERIFY, CR_API,               \
      "Bearer token by which /metrics may be read over TCP. Over api.sock, root, the daemon's user and the groups of control.* may read it anyway.") \
    X(metrics_allow, "metrics.allow", STR, "none", 1, 2000, CF_NODE | CF_RELOAD, CR_API,                                     \
      "Addresses from which /metrics may be read over TCP without a token: none, all, or networks with commas between them, such as 10.1.0.0/16, 127.0.0.1. Behind a proxy on this machine every caller has the address 127.0.0.1.") \
                                                                                                                             \
    X(limits_max_upload, "limits.max_upload", SIZE, "256MB", 1 * KB, 16 * GB, CF_RELOAD, CR_API | CR_COORD,                             \
      "Largest file that is accepted.")                                                                                      \
    X(limits_max_pages, "limits.max_pages", INT, "5000", 1, 1000000, CF_RELOAD, CR_WORKER | CR_COORD,                                   \
      "Most pages a document may have.")                                                                                     \
    X(limits_max_unpacked, "limits.max_unpacked", SIZE, "512MB", 1 * MB, 64 * GB, CF_RELOAD, CR_WORKER | CR_COORD,                      \
      "Most bytes that the archive inside an office or e-book file may unpack to.")                                          \
    X(limits_max_depth, "limits.max_depth", INT, "512", 16, 100000, CF_RELOAD, CR_WORKER | CR_COORD,                                    \
      "Deepest nesting of HTML elements.")                                                                                   \
    X(limits_max_chunks, "limits.max_chunks", INT, "100000", 1, 10000000, CF_RELOAD, CR_WORKER | CR_COORD,                              \
      "Most chunks a document may have.")                                                                                    \
    X(limits_user_active, "limits.user_active", INT, "100000", 1, 100000000, CF_RELOAD, CR_API | CR_COORD,                              \
      "Most unfinished documents a user may have; more uploads are answered 429.")                                           \
                                                                                                                             \
    X(http_ca_file, "http.ca_file", PATH, NULL, 1, 1000, CF_NODE | CF_RELOAD, CR_API | CR_WORKER,                            \
      "PEM file of the certificates that outside services are verified by. Default: the system's.")                          \
    X(http_proxy, "http.proxy", STR, NULL, 1, 500, CF_SECRET | CF_NODE | CF_RELOAD, CR_API | CR_WORKER,                      \
      "Proxy to all outside services, http://[user:password@]host:port. Default: none, whatever the environment says.")      \
    X(http_allow_private, "http.allow_private", STR, "none", 1, 2000, CF_NODE | CF_RELOAD, CR_API | CR_WORKER,               \
      "Addresses that are not public and may be called all the same: none, all, or networks with commas between them, such as 10.1.0.0/16, 127.0.0.1. Through a proxy, names can be called with all only: it is the proxy then that decides.") \
                                                                                                                             \
    X(blob_backend, "blob.backend", ENUM, NULL, 0, 0, CF_REQUIRED, CR_API | CR_WORKER | CR_COORD,                                       \
      "Where the bytes of documents are kept.")                                                                              \
    X(blob_fs_root, "blob.fs.root", PATH, NULL, 1, 3000, 0, CR_API | CR_WORKER | CR_COORD,                                              \
      "Directory of the fs blob store, shared by all nodes of one database.")                                                \
    X(blob_spool, "blob.spool", PATH, "/var/tmp", 1, 1000, CF_NODE, CR_API | CR_WORKER,                                      \
      "Directory for blobs on their way to and from an object store; it needs room for the largest at once. Files in it have no name.") \
    X(blob_timeout, "blob.timeout", DURATION, "5m", SEC, DAY, CF_RELOAD, CR_API | CR_WORKER,                                 \
      "Longest time for one request to an object store, with all its bytes.")                                                \
    X(blob_prefix, "blob.prefix", STR, "", 0, 200, 0, CR_API | CR_WORKER | CR_COORD,                                                    \
      "What the names of all objects begin with in an object store, such as docmill/.")                                      \
    X(blob_s3_endpoint, "blob.s3.endpoint", STR, NULL, 1, 500, 0, CR_API | CR_WORKER | CR_COORD,                                        \
      "Address of the S3 service, https://host[:port][/path]. Default: Amazon's in blob.s3.region.")                                \
    X(blob_s3_region, "blob.s3.region", STR, "us-east-1", 1, 64, 0, CR_API | CR_WORKER | CR_COORD,                                      \
      "Region that requests are signed for.")                                                                                \
    X(blob_s3_bucket, "blob.s3.bucket", STR, NULL, 3, 63, 0, CR_API | CR_WORKER | CR_COORD,                                             \
      "Bucket of the s3 blob store.")                                                                                        \
    X(blob_s3_style, "blob.s3.style", ENUM, "path", 0, 0, 0, CR_API | CR_WORKER,                                             \
      "Where the bucket stands in an address: path (https://host/bucket/key) or host (https://bucket.host/key).")            \
    X(blob_s3_access_key, "blob.s3.access_key", STR, NULL, 1, 200, CF_RELOAD, CR_API | CR_WORKER,                            \
      "Id of the key that requests are signed with.")                                                                        \
    X(blob_s3_secret_key, "blob.s3.secret_key", STR, NULL, 1, 400, CF_SECRET | CF_RELOAD, CR_API | CR_WORKER,                \
      "The key itself.")                                                                                                     \
    X(blob_s3_session_token, "blob.s3.session_token", STR, NULL, 1, 4000, CF_SECRET | CF_RELOAD, CR_API | CR_WORKER,         \
      "Token of temporary credentials.")                                                                                     \
    X(blob_s3_part_size, "blob.s3.part_size", SIZE, "16MB", 5 * MB, 5 * GB, CF_RELOAD, CR_API | CR_WORKER,                   \
      "Larger blobs are sent in parts of this size.")                                                                        \
    X(blob_supabase_url, "blob.supabase.url", STR, NULL, 1, 500, 0, CR_API | CR_WORKER | CR_COORD,                                      \
      "Address of the Supabase project, https://REF.supabase.co.")                                                           \
    X(blob_supabase_bucket, "blob.supabase.bucket", STR, NULL, 1, 100, 0, CR_API | CR_WORKER | CR_COORD,                                \
      "Bucket of the supabase blob store; it must be private.")                                                              \
    X(blob_supabase_key, "blob.supabase.key", STR, NULL, 1, 4000, CF_SECRET | CF_RELOAD, CR_API | CR_WORKER,                 \
      "The project's service key.")                                                                                          \
                                                                                                                             \
    X(parser_pdftotext, "parser.pdftotext", PATH, "/usr/bin/pdftotext", 1, 1000, CF_NODE | CF_RELOAD, CR_WORKER,             \
      "Program that turns PDF into text (poppler-utils).")                                                                   \
    X(parser_pandoc, "parser.pandoc", PATH, "/usr/bin/pandoc", 1, 1000, CF_NODE | CF_RELOAD, CR_WORKER,                      \
      "Program that turns office and e-book formats into Markdown (pandoc).")                                                \
    X(parser_libexec, "parser.libexec", PATH, NULL, 1, 1000, CF_NODE, CR_WORKER,                                             \
      "Directory of docmill's own helpers docmill-sandbox and docmill-html. Default: beside the executable or as installed.") \
    X(sandbox_processes, "sandbox.processes", BOOL, "true", 0, 0, CF_NODE, CR_ALL,                                           \
      "Whether master and children shut themselves in (landlock, seccomp). Parsers are always in a sandbox.")                \
    X(parser_timeout, "parser.timeout", DURATION, "120s", 100, DAY, CF_RELOAD, CR_WORKER,                                    \
      "Longest time a parser may take for one file; below 80 % of queue.stage_deadline.")                                    \
    X(parser_max_memory, "parser.max_memory", SIZE, "2GB", 64 * MB, 256 * GB, CF_NODE | CF_RELOAD, CR_WORKER,                \
      "Address space a parser may use.")                                                                                     \
    X(parser_max_output, "parser.max_output", SIZE, "256MB", 1 * KB, 16 * GB, CF_RELOAD, CR_WORKER,                          \
      "Most bytes a parser may write.")                                                                                      \
    X(parser_order, "parser.order", STR, "local", 1, 100, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,                          \
      "Parsers in order of preference, with commas between them: local, llamaparse. The first one parses; a later one only after the one before it has been out of service for parser.fallback_after. Markdown and plain text need none.")\
    X(parser_fallback_after, "parser.fallback_after", DURATION, "10m", 0, 7 * DAY, CF_RELOAD, CR_COORD | CR_WORKER,          \
      "How long a parser must be out of service before the next of parser.order takes its place.")                           \
                                                                                                                             \
    X(llamaparse_base_url, "llamaparse.base_url", STR, NULL, 1, 500, CF_RELOAD, CR_WORKER,                                   \
      "Address of the LlamaParse service, such as https://api.cloud.llamaindex.ai (EU: https://api.cloud.eu.llamaindex.ai).")\
    X(llamaparse_api_key, "llamaparse.api_key", STR, NULL, 1, 400, CF_SECRET | CF_RELOAD, CR_WORKER,                         \
      "Key of the LlamaParse service; it belongs to one region.")                                                            \
    X(llamaparse_api, "llamaparse.api", ENUM, "v1", 0, 0, CF_RELOAD, CR_WORKER,                                              \
      "Version of the service's interface.")                                                                                 \
    X(llamaparse_tier, "llamaparse.tier", ENUM, "cost_effective", 0, 0, CF_RELOAD, CR_WORKER,                                \
      "Tier that documents are parsed with; it decides the price of a page.")                                                \
    X(llamaparse_version, "llamaparse.version", STR, "latest", 1, 64, CF_RELOAD, CR_WORKER,                                  \
      "Version of the tier.")                                                                                                \
    X(llamaparse_language, "llamaparse.language", STR, NULL, 1, 200, CF_RELOAD, CR_WORKER,                                   \
      "Languages of scanned text, with commas between them, such as en,de.")                                                 \
    X(llamaparse_webhook_url, "llamaparse.webhook_url", STR, NULL, 1, 120, CF_RELOAD, CR_WORKER,                             \
      "Public https address of this API, where the service calls back. Without one, answers are polled for.")                \
    X(llamaparse_webhook_secret, "llamaparse.webhook_secret", STR, NULL, 16, 400, CF_SECRET | CF_RELOAD | CF_VERIFY, CR_API | CR_WORKER, \
      "Secret that the service signs its calls with. Without one, the token of each job alone identifies them.")             \
    X(llamaparse_requests_per_minute, "llamaparse.requests_per_minute", INT, "0", 0, 1000000, CF_RELOAD, CR_COORD | CR_WORKER,\
      "Requests a minute to the service, of all nodes together; 0: no limit of our own. The free plan allows 20.")           \
    X(llamaparse_max_jobs, "llamaparse.max_jobs", INT, "5", 1, 100000, CF_RELOAD, CR_COORD | CR_WORKER,                      \
      "Documents at the service at once, of all nodes together. The free plan allows 5.")                                    \
    X(llamaparse_price_per_page, "llamaparse.price_per_page", STR, NULL, 1, 24, CF_RELOAD, CR_WORKER,                        \
      "US dollars a page, as a decimal. Default: the public price of the tier.")                                             \
    X(llamaparse_job_timeout, "llamaparse.job_timeout", DURATION, "10m", SEC, DAY, CF_RELOAD, CR_WORKER,                     \
      "Longest wait for a document at the service, to which llamaparse.page_timeout is added for each page.")                \
    X(llamaparse_page_timeout, "llamaparse.page_timeout", DURATION, "10s", 0, HOUR, CF_RELOAD, CR_WORKER,                    \
      "Further wait for each page of the document, as far as its pages are known.")                                          \
    X(llamaparse_poll_first, "llamaparse.poll_first", DURATION, "2s", 100, HOUR, CF_RELOAD, CR_COORD | CR_WORKER,            \
      "First wait before the service is asked how far it is; it doubles, with jitter.")                                      \
    X(llamaparse_poll_cap, "llamaparse.poll_cap", DURATION, "30s", 100, HOUR, CF_RELOAD, CR_COORD | CR_WORKER,               \
      "Longest such wait.")                                                                                                  \
                                                                                                                             \
    X(chunk_max_tokens, "chunk.max_tokens", INT, "400", 16, 8000, 0, CR_WORKER | CR_API | CR_COORD,                                     \
      "Token budget of a chunk; no chunk exceeds it.")                                                                       \
    X(chunk_overlap_tokens, "chunk.overlap_tokens", INT, "40", 0, 4000, 0, CR_WORKER | CR_API | CR_COORD,                               \
      "Tokens repeated at the start of the next chunk when a section is split; at most half of chunk.max_tokens.")           \
    X(chunk_tokenizer, "chunk.tokenizer", ENUM, "cl100k_base", 0, 0, 0, CR_API | CR_COORD,                                              \
      "What counts a chunk's tokens: cl100k_base exactly as OpenAI's models do, or an estimate for other models. Documents keep theirs.") \
                                                                                                                             \
    X(embedder_name, "embedder.name", ENUM, NULL, 0, 0, CF_REQUIRED, CR_COORD | CR_API | CR_WORKER,                          \
      "Embedder of the collection default. builtin needs no service and finds by words, not by meaning. After a change of embedder, dimension or model the documents there are embedded anew in the background; searches change over when all are.") \
    X(embedder_dimension, "embedder.dimension", INT, "512", 8, 4000, 0, CR_COORD | CR_API | CR_WORKER,                       \
      "Dimension of the vectors.")                                                                                           \
    X(embedder_batch_items, "embedder.batch_items", INT, "256", 1, 2048, CF_RELOAD, CR_WORKER,                               \
      "Most chunks in one embedding micro-batch.")                                                                           \
                                                                                                                             \
    X(openai_base_url, "openai.base_url", STR, NULL, 1, 500, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,                       \
      "Address of the embeddings service up to its version, such as https://api.openai.com/v1.")                             \
    X(openai_kind, "openai.kind", ENUM, "openai", 0, 0, CF_RELOAD, CR_API | CR_WORKER,                                       \
      "Which server it is; they differ in limits, errors and what they accept.")                                             \
    X(openai_api_key, "openai.api_key", STR, NULL, 1, 400, CF_SECRET | CF_RELOAD, CR_API | CR_WORKER,                        \
      "Key of the embeddings service.")                                                                                      \
    X(openai_organization, "openai.organization", STR, NULL, 1, 200, CF_RELOAD, CR_API | CR_WORKER,                          \
      "Organization that requests are made for, if the key belongs to several.")                                             \
    X(openai_project, "openai.project", STR, NULL, 1, 200, CF_RELOAD, CR_API | CR_WORKER,                                    \
      "Project that requests are made for.")                                                                                 \
    X(openai_model, "openai.model", STR, NULL, 1, 64, 0, CR_COORD | CR_API | CR_WORKER,                                      \
      "Embedding model of the collection default; with Azure the name of the deployment.")                                   \
    X(openai_requests_per_minute, "openai.requests_per_minute", INT, "0", 0, 10000000, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,\
      "Requests a minute to the service, of all nodes together; 0: what its answers allow.")                                 \
    X(openai_tokens_per_minute, "openai.tokens_per_minute", INT, "0", 0, 10000000000LL, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,\
      "Tokens a minute to the service, of all nodes together; 0: what its answers allow.")                                   \
    X(openai_in_flight, "openai.in_flight", INT, "4", 1, 64, CF_RELOAD, CR_WORKER,                                           \
      "Micro-batches that a worker has under way at once.")                                                                  \
    X(openai_timeout, "openai.timeout", DURATION, "60s", 100, HOUR, CF_RELOAD, CR_API | CR_WORKER,                           \
      "Longest wait for one answer.")                                                                                        \
    X(openai_price_per_million_tokens, "openai.price_per_million_tokens", STR, NULL, 1, 24, CF_RELOAD, CR_API | CR_WORKER,   \
      "US dollars a million tokens, as a decimal. Without it the cost is written down as 0, beside the tokens.")             \
                                                                                                                             \
    X(breaker_failures, "breaker.failures", INT, "5", 1, 10000, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,                    \
      "Fewest failures in breaker.window that open the circuit breaker of a service.")                                       \
    X(breaker_rate, "breaker.rate", INT, "50", 1, 100, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,                             \
      "Percentage of requests in breaker.window that must have failed as well.")                                             \
    X(breaker_window, "breaker.window", DURATION, "30s", SEC, HOUR, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,                \
      "How far back requests count.")                                                                                        \
    X(breaker_open, "breaker.open", DURATION, "500ms", 100, HOUR, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,                  \
      "First wait of an open breaker before a single request tries the service again; it doubles up to breaker.open_cap.")   \
    X(breaker_open_cap, "breaker.open_cap", DURATION, "1500ms", 100, DAY, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,          \
      "Longest such wait: about so long after the service is back work goes on.")                                            \
    X(breaker_account_open, "breaker.account_open", DURATION, "60s", 100, DAY, CF_RELOAD, CR_COORD | CR_API | CR_WORKER,     \
      "Wait before each such try while the quota is used up, the key is refused or a spending limit is reached.")            \
                                                                                                                             \
    X(budget_daily, "budget.daily", STR, NULL, 1, 24, CF_RELOAD, CR_COORD | CR_WORKER,                                       \
      "US dollars that all documents together may cost in a day (UTC), as a decimal. What would exceed it waits for the next day.")\
    X(budget_user_daily, "budget.user_daily", STR, NULL, 1, 24, CF_RELOAD, CR_COORD | CR_WORKER,                             \
      "US dollars that the documents of one user may cost in a day (UTC), as a decimal.")                                    \
                                                                                                                             \
    X(search_exact_limit, "search.exact_limit", INT, "10000", 0, 1000000, CF_RELOAD, CR_API,                                 \
      "Up to so many visible chunks of a user a search scans them all, exactly.")                                            \
    X(search_timeout, "search.timeout", DURATION, "10s", 100, HOUR, CF_RELOAD, CR_API,                                       \
      "Longest wait of a search for its query's vector where the embedder is an outside service.")                           \
    X(search_index, "search.index", ENUM, "none", 0, 0, 0, CR_COORD,                                                         \
      "Vector index built for a new embedding space. hnsw costs 5 to 9 ms for each chunk stored.")                           \
                                                                                                                             \
    X(queue_claim_batch, "queue.claim_batch", INT, "16", 1, 1000, CF_NODE | CF_RELOAD, CR_WORKER,                            \
      "Jobs a worker claims at once.")                                                                                       \
    X(queue_max_attempts, "queue.max_attempts", INT, "5", 1, 100, CF_RELOAD, CR_COORD | CR_WORKER,                           \
      "Attempts for a stage before the job is a dead letter.")                                                               \
    X(queue_crash_budget, "queue.crash_budget", INT, "2", 1, 100, CF_RELOAD, CR_COORD,                                       \
      "Crashes a document may cause before it is quarantined.")                                                              \
    X(queue_retry_first, "queue.retry_first", DURATION, "2s", 10, HOUR, CF_RELOAD, CR_COORD | CR_WORKER,                     \
      "First wait before a failed stage is tried again; it doubles, with jitter.")                                           \
    X(queue_retry_cap, "queue.retry_cap", DURATION, "5m", 10, DAY, CF_RELOAD, CR_COORD | CR_WORKER,                          \
      "Longest wait between attempts.")                                                                                      \
    X(queue_stage_deadline, "queue.stage_deadline", DURATION, "15m", SEC, DAY, CF_RELOAD, CR_COORD | CR_WORKER,              \
      "Hard limit of one stage's work without progress; then the job is taken from its worker.")                             \
    X(queue_poll_interval, "queue.poll_interval", DURATION, "1s", 10, HOUR, CF_NODE | CF_RELOAD, CR_COORD | CR_WORKER,       \
      "How often an idle worker looks for jobs when no wake-up arrives.")                                                    \
                                                                                                                             \
    X(node_heartbeat, "node.heartbeat", DURATION, "5s", 100, 10 * MINUTE, CF_RELOAD, CR_COORD,                               \
      "How often a node writes its heartbeat.")                                                                              \
    X(node_grace, "node.grace", DURATION, "30s", SEC, HOUR, CF_RELOAD, CR_COORD,                                             \
      "A node whose lock is free and whose heartbeat is older than this is dead.")                                           \
    X(retention_generations, "retention.generations", DURATION, "10m", SEC, 365 * DAY, CF_RELOAD, CR_COORD,                  \
      "Age after which chunks and vectors of abandoned and old generations are removed.")                                    \
    X(retention_blobs, "retention.blobs", DURATION, "6h", 2 * SEC, 365 * DAY, CF_RELOAD, CR_API | CR_WORKER | CR_COORD,                \
      "Age after which bytes that no document names are removed from the blob store.")                                       \
    X(retention_audit, "retention.audit", DURATION, "365d", DAY, 36500 * DAY, CF_RELOAD, CR_COORD,                           \
      "Age after which records of operators' verbs are removed.")                                                            \
    X(retention_events, "retention.events", DURATION, "90d", HOUR, 3650 * DAY, CF_RELOAD, CR_COORD,                          \
      "Age after which events are dropped, a partition at a time.")                                                          \
                                                                                                                             \
    X(supervise_ready_timeout, "supervise.ready_timeout", DURATION, "30s", SEC, HOUR, CF_NODE | CF_RELOAD, CR_MASTER,        \
      "A child that is not ready after this is killed.")                                                                     \
    X(supervise_backoff_first, "supervise.backoff_first", DURATION, "2s", 10, HOUR, CF_NODE | CF_RELOAD, CR_MASTER,          \
      "First wait before a child that failed in start-up is started again; it doubles.")                                     \
    X(supervise_backoff_cap, "supervise.backoff_cap", DURATION, "60s", 10, HOUR, CF_NODE | CF_RELOAD, CR_MASTER,             \
      "Longest such wait.")                                                                                                  \
    X(supervise_fail_deaths, "supervise.fail_deaths", INT, "10", 0, 1000, CF_NODE | CF_RELOAD, CR_MASTER,                    \
      "A pool is given up, until docmillctl reset, when its children died of faults so many times for each of them within supervise.fail_window and nothing was finished in between; 0: never.") \
    X(supervise_fail_window, "supervise.fail_window", DURATION, "10m", SEC, DAY, CF_NODE | CF_RELOAD, CR_MASTER,             \
      "How far back such deaths count.")                                                                                     \
    X(supervise_hang_timeout, "supervise.hang_timeout", DURATION, "60s", SEC, HOUR, CF_NODE | CF_RELOAD, CR_MASTER,           \
      "A child whose loop has not moved for this long is ended and replaced.")                                               \
    X(supervise_idle_timeout, "supervise.idle_timeout", DURATION, "30s", 100, DAY, CF_NODE | CF_RELOAD, CR_MASTER,           \
      "A pool with more idle children than its spare for this long retires one of them, and another after each further sixth of it, down to its min.") \
    X(supervise_drain_timeout, "supervise.drain_timeout", DURATION, "30s", 100, DAY, CF_NODE | CF_RELOAD, CR_MASTER,         \
      "After TERM, children that have not finished by then are killed.")                                                     \
                                                                                                                             \
    X(reload_canary_idle, "reload.canary_idle", DURATION, "3s", 0, HOUR, CF_NODE | CF_RELOAD, CR_MASTER,                     \
      "A reload replaces one child of a pool first. The others follow when it has finished a job, or has been ready without one for so long.") \
    X(reload_canary_timeout, "reload.canary_timeout", DURATION, "60s", SEC, DAY, CF_NODE | CF_RELOAD, CR_MASTER,             \
      "A first child that has shown neither by then has the former configuration come back.")                                \
    X(reload_secret_grace, "reload.secret_grace", DURATION, "1h", 0, 30 * DAY, CF_NODE | CF_RELOAD, CR_MASTER,               \
      "How long after a reload that changes them the former api.token and llamaparse.webhook_secret are accepted beside the new ones. 0: not at all.")

#define CONF_ENUMS(X)                                      \
    X(log_level, "debug|info|warn|error")                  \
    X(log_format, "auto|logfmt|json|journald")             \
    X(blob_backend, "fs|s3|supabase")                      \
    X(blob_s3_style, "path|host")                          \
    X(chunk_tokenizer, "cl100k_base|approx")               \
    X(embedder_name, "builtin|openai")                     \
    X(llamaparse_api, "v1|v2")                             \
    X(llamaparse_tier, "fast|cost_effective|agentic|agentic_plus") \
    X(openai_kind, "openai|azure|ollama|llamacpp|tei|vllm|generic") \
    X(search_index, "none|hnsw")

/* What the example file sets; every required key is here. X(field, value as the file spells it) */
#define CONF_EXAMPLES(X)                                                            \
    X(database_url, "\"host=/run/postgresql dbname=docmill user=docmill\"")         \
    X(blob_backend, "\"fs\"")                                                       \
    X(blob_fs_root, "\"/var/lib/docmill/blobs\"")                                   \
    X(embedder_name, "\"builtin\"")

/* Keys of one entry of `collections`. X(name, type, help) */
#define CONF_COLLECTION_KEYS(X)                                                                                      \
    X(name, "string", "Required. Unique; 1 to 31 of a-z, 0-9, _ and -. default is the collection of embedder.*.")      \
    X(embedder, "string", "Required. builtin, or openai: the service of openai.*.")                                  \
    X(model, "string", "Embedding model at the service. Default: openai.model.")                                     \
    X(dimension, "integer", "Dimension of the vectors, 8 to 4000. Default: embedder.dimension.")                     \
    X(price_per_million_tokens, "string", "US dollars a million tokens of the model. Default: openai.price_per_million_tokens.")

/* Keys of one entry of `pools`. X(name, type, help) */
#define CONF_POOL_KEYS(X)                                                                                            \
    X(name, "string", "Required. Unique; 1 to 31 of a-z, 0-9, _ and -.")                                             \
    X(role, "string", "Required. coordinator (exactly one pool, of one child), api or worker.")                      \
    X(max, "integer", "Most children, 1 to 256. Default: 1; for a worker pool the number of processors.")            \
    X(min, "integer", "Fewest children, 0 to max. Default: max.")                                                    \
    X(spare, "integer", "Idle children kept beyond the busy ones, 0 to max. Default: 0.")                            \
    X(stages, "list of strings", "Worker: the statuses it claims, such as (\"uploaded\"). Default: every claimable one.") \
    X(lanes, "list of two integers", "Worker: lowest and highest lane it claims, 0 to 32767 (1 interactive, 2 bulk, 3 filling). Default: (0, 32767).")   \
    X(max_jobs, "integer", "A child is replaced after so many jobs (api: requests), up to a fifth earlier so that not all go at once. Default: 0, no limit.")                          \
    X(max_age, "duration", "A child is replaced at this age, up to a fifth earlier. Default: no limit.")                                    \
    X(max_memory, "size", "A child is replaced when its own share of memory (PSS) exceeds this. Not applied if a fresh child comes within a quarter of it. Default: no limit.")
/* clang-format on */

#endif
