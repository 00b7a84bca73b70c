/*
 * conf_manual.c - the commented example and the manual page, made from the table
 *
 * etc/docmill.conf is this example; a test compares the two and loads it. In the example a key with its default is
 * commented out, and only what has no default but is needed is set.
 *
 * Depends on base/roff.
 */
#include "core/conf_internal.h"

#include "base/roff.h"

#include <string.h>

#define WIDTH 100

/* text as comment lines of at most WIDTH columns, broken at spaces. */
static void print_comment(FILE *out, int indent, const char *text)
{
    size_t room = (size_t)(WIDTH - indent - 2);

    while (*text != '\0') {
        size_t n = strlen(text);
        if (n > room)
            for (n = room; n > 0 && text[n] != ' '; n--)
                ;
        if (n == 0)
            n = strcspn(text, " ");
        fprintf(out, "%*s# %.*s\n", indent, "", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
}

static const char *leaf(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL ? dot + 1 : name;
}

static bool is_quoted(int key)
{
    return conf_keys[key].type != CONF_INT && conf_keys[key].type != CONF_BOOL;
}

/* What is allowed, and how the key differs from the others. */
static void describe_key(int key, char *out, size_t size)
{
    char allowed[160];
    unsigned flags = conf_keys[key].flags;

    conf_allowed(key, allowed, sizeof allowed);
    snprintf(out, size, "%c%s.%s%s%s", allowed[0] >= 'a' && allowed[0] <= 'z' ? allowed[0] - 'a' + 'A' : allowed[0],
             allowed + 1, (flags & CF_REQUIRED) != 0 ? " Required." : "",
             (flags & CF_SECRET) != 0 ? " Secret: may stand in a file of its own." : "",
             (flags & CF_RELOAD) != 0 ? " A reload suffices." : "");
}

static void print_assignment(FILE *out, int indent, int key)
{
    const char *name = leaf(conf_keys[key].name);
    const char *quote = is_quoted(key) ? "\"" : "";

    if (conf_examples[key] != NULL)
        fprintf(out, "%*s%s = %s;\n", indent, "", name, conf_examples[key]);
    else if (conf_keys[key].def != NULL)
        fprintf(out, "%*s# %s = %s%s%s;\n", indent, "", name, quote, conf_keys[key].def, quote);
    else if ((conf_keys[key].flags & CF_SECRET) != 0)
        fprintf(out, "%*s# %s_file = \"/etc/docmill/%s\";\n", indent, "", name, name);
    else
        fprintf(out, "%*s# %s = \"%s...\";\n", indent, "", name, conf_keys[key].type == CONF_PATH ? "/" : "");
}

static void print_key(FILE *out, int indent, int key)
{
    char text[320];

    describe_key(key, text, sizeof text);
    print_comment(out, indent, conf_keys[key].help);
    print_comment(out, indent, text);
    print_assignment(out, indent, key);
}

/* The name of the subgroup of `prefix` that key is in: its length, 0 if it is in none. */
static size_t subgroup(const char *prefix, int key)
{
    size_t n = strlen(prefix);
    const char *rest = conf_keys[key].name + n;
    const char *dot = strncmp(conf_keys[key].name, prefix, n) == 0 ? strchr(rest, '.') : NULL;

    return dot != NULL ? (size_t)(dot - rest) : 0;
}

static bool is_first_of_subgroup(const char *prefix, int key)
{
    size_t whole = strlen(prefix) + subgroup(prefix, key) + 1;

    for (int i = 0; i < key; i++)
        if (strncmp(conf_keys[i].name, conf_keys[key].name, whole) == 0)
            return false;
    return true;
}

/* The keys right in the group, then the groups in it. prefix ends with a dot or is empty. */
static void print_group(FILE *out, const char *prefix, int indent)
{
    char inner[80];
    bool first = true;

    for (int i = 0; i < CONF_N_KEYS; i++) {
        if (strncmp(conf_keys[i].name, prefix, strlen(prefix)) != 0 || subgroup(prefix, i) != 0)
            continue;
        fputs(first ? "" : "\n", out);
        print_key(out, indent, i);
        first = false;
    }
    for (int i = 0; i < CONF_N_KEYS; i++) {
        int n = (int)subgroup(prefix, i);
        if (n == 0 || !is_first_of_subgroup(prefix, i))
            continue;
        snprintf(inner, sizeof inner, "%s%.*s.", prefix, n, conf_keys[i].name + strlen(prefix));
        fprintf(out, "\n%*s%.*s = {\n", indent, "", n, conf_keys[i].name + strlen(prefix));
        print_group(out, inner, indent + 4);
        fprintf(out, "%*s};\n", indent, "");
    }
}

static const char *const intro[] = {
    "Configuration of docmilld. Made by `docmilld --example`; docmill.conf(5) says the same at length.",
    "",
    "A line that begins with # and a key shows the key's default. `docmilld -t` checks this file,",
    "`docmilld -T` shows what is in effect. Text, sizes (\"64MB\") and durations (\"30s\") stand in quotes.",
    "@include \"file\" at the start of a line reads another file here.",
    "",
    "Every key may be given in the environment instead: DOCMILL_API_LISTEN for api.listen. A secret may be",
    "kept in a file of its own: url_file = \"/path\" instead of url, or DOCMILL_DATABASE_URL_FILE.",
};

static const char *const pools_intro[] = {
    "",
    "The children that the master keeps. Without `pools`: one coordinator, one api, and as many workers as",
    "there are processors. Keys of a pool:",
};

static const char *const pools_example[] = {
    "# pools = (",
    "#     { name = \"coordinator\"; role = \"coordinator\"; },",
    "#     { name = \"api\"; role = \"api\"; max = 1; },",
    "#     { name = \"workers\"; role = \"worker\"; max = 4; }",
    "# );",
};

static const char *const collections_intro[] = {
    "",
    "Collections beside `default`, each with an embedder of its own. Documents are uploaded to one and searched in",
    "one. Keys of a collection:",
};

static const char *const collections_example[] = {
    "# collections = (",
    "#     { name = \"words\"; embedder = \"builtin\"; dimension = 256; }",
    "# );",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void conf_print_example(FILE *out)
{
    for (size_t i = 0; i < COUNT(intro); i++)
        fprintf(out, "#%s%s\n", *intro[i] != '\0' ? " " : "", intro[i]);
    fputc('\n', out);
    print_group(out, "", 0);
    for (size_t i = 0; i < COUNT(pools_intro); i++)
        fprintf(out, "%s%s\n", *pools_intro[i] != '\0' ? "# " : "", pools_intro[i]);
#define X_LINE(name, type, help) fprintf(out, "#   %-11s %s\n", #name, help);
    CONF_POOL_KEYS(X_LINE)
#undef X_LINE
    for (size_t i = 0; i < COUNT(pools_example); i++)
        fprintf(out, "%s\n", pools_example[i]);
    for (size_t i = 0; i < COUNT(collections_intro); i++)
        fprintf(out, "%s%s\n", *collections_intro[i] != '\0' ? "# " : "", collections_intro[i]);
#define X_LINE(name, type, help) fprintf(out, "#   %-11s %s\n", #name, help);
    CONF_COLLECTION_KEYS(X_LINE)
#undef X_LINE
    for (size_t i = 0; i < COUNT(collections_example); i++)
        fprintf(out, "%s\n", collections_example[i]);
}

static void print_man_key(FILE *out, int key)
{
    char text[320];

    fputs(".TP\n.B ", out);
    roff_line(out, conf_keys[key].name);
    roff_line(out, conf_keys[key].help);
    describe_key(key, text, sizeof text);
    roff_line(out, text);
    if (conf_keys[key].def != NULL) {
        fputs("Default: ", out);
        roff_line(out, *conf_keys[key].def != '\0' ? conf_keys[key].def : "empty");
    }
}

static const char *const man_head[] = {
    ".SH NAME",
    "docmill.conf \\- configuration of docmilld",
    ".SH DESCRIPTION",
    "The file holds settings",
    ".I name = value;",
    "and groups",
    ".IR \"name = { ... };\" ,",
    "so that",
    ".B database.url",
    "is written",
    ".IR \"database = { url = \\(dq...\\(dq; };\" .",
    "Text, sizes (\\(dq64MB\\(dq: B, KB, MB, GB, TB by 1024) and durations (\\(dq30s\\(dq: ms, s, m, h, d) stand in",
    "quotes, integers do not. Comments begin with # or // or stand between /* and */.",
    ".PP",
    "A line",
    ".I @include \\(dqfile\\(dq",
    "reads another file at that place; a relative path starts at the directory of the including file. All other paths",
    "are absolute.",
    ".PP",
    "An unknown key, a value of the wrong type or out of bounds, and a missing required key are errors; docmilld then",
    "does not start, and a reload keeps the old configuration.",
    ".PP",
    "Keys of which it says that a reload suffices take effect by",
    ".I docmillctl reload",
    "or HUP: the processes that see them are replaced without a gap, a first one on trial. The others keep their value",
    "until docmilld is restarted; the reload names them. Pools may be added, removed and changed.",
    ".PP",
    ".I docmilld \\-t",
    "names every error;",
    ".I docmilld \\-T",
    "shows what is in effect and from where, with secrets masked.",
    ".SH ENVIRONMENT",
    "Every key may be given in the environment, in capitals with DOCMILL_ before it and _ for each dot:",
    ".B DOCMILL_DATABASE_URL",
    "for database.url. The environment wins over the file, the file over the default.",
    ".SH SECRETS",
    "No secret has a default. A secret may be kept in a file of its own, whose first line is the value:",
    ".I url_file = \\(dq/path\\(dq",
    "in the place of url, or",
    ".B DOCMILL_DATABASE_URL_FILE",
    "in the environment. Both ways at the same place are an error. A child process gets only the secrets of its role.",
    ".SH KEYS",
};

static const char *const man_pools[] = {
    ".SH POOLS",
    ".B pools",
    "is a list of groups, one a pool of children that the master keeps:",
    ".PP",
    ".nf",
    "pools = (",
    "    { name = \"coordinator\"; role = \"coordinator\"; },",
    "    { name = \"api\"; role = \"api\"; max = 1; },",
    "    { name = \"workers\"; role = \"worker\"; max = 4; }",
    ");",
    ".fi",
    ".PP",
    "Without it there are one coordinator, one api, and as many workers as there are processors.",
};

static const char *const man_collections[] = {
    ".SH COLLECTIONS",
    ".B collections",
    "is a list of groups, one a collection of documents beside",
    ".BR default ,",
    "which has embedder.name, embedder.dimension and openai.model:",
    ".PP",
    ".nf",
    "collections = (",
    "    { name = \"words\"; embedder = \"builtin\"; dimension = 256; },",
    "    { name = \"large\"; embedder = \"openai\"; model = \"text-embedding-3-large\"; dimension = 1024; }",
    ");",
    ".fi",
    ".PP",
    "A document belongs to one collection, and a search looks into one. All collections that are embedded by openai",
    "share the service of openai.*: its key, limits, circuit breaker and budget. When the embedder, model or dimension",
    "of a collection changes, its documents are embedded anew in the background, from the texts in the database, while",
    "searches go on with the old vectors;",
    ".B docmillctl spaces",
    "shows how far it is. A collection that is taken out of the list stays as it is.",
};

void conf_print_man(FILE *out)
{
    fprintf(out, ".TH DOCMILL.CONF 5 \"\" \"docmill %s\" \"docmill\"\n", DOCMILL_VERSION);
    for (size_t i = 0; i < COUNT(man_head); i++)
        fprintf(out, "%s\n", man_head[i]);
    for (int i = 0; i < CONF_N_KEYS; i++)
        print_man_key(out, i);
    for (size_t i = 0; i < COUNT(man_pools); i++)
        fprintf(out, "%s\n", man_pools[i]);
#define X_LINE(name, type, help)                                                                                       \
    fprintf(out, ".TP\n.B %s\n%c", #name, '(');                                                                        \
    roff_text(out, type ") " help);                                                                                    \
    fputc('\n', out);
    CONF_POOL_KEYS(X_LINE)
#undef X_LINE
    for (size_t i = 0; i < COUNT(man_collections); i++)
        fprintf(out, "%s\n", man_collections[i]);
#define X_LINE(name, type, help)                                                                                       \
    fprintf(out, ".TP\n.B %s\n%c", #name, '(');                                                                        \
    roff_text(out, type ") " help);                                                                                    \
    fputc('\n', out);
    CONF_COLLECTION_KEYS(X_LINE)
#undef X_LINE
    fputs(".SH SEE ALSO\n.BR docmilld (8),\n.BR docmillctl (1)\n", out);
}
