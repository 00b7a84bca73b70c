/*
 * s3_list.c - ListObjectsV2: prefix, delimiter, pages of max-keys
 *
 * The continuation token is the last key or common prefix of the page before; `start-after` is the same by hand.
 *
 * Depends on common.
 */
#include "supabase/supabase.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_KEYS_A_PAGE 1000

struct page {
    char *out;
    const char *prefix, *delimiter, *after;
    char *last; /* key or common prefix that came last */
    int n, max;
    bool more;
};

static const char *arg_or(const struct mock_request *q, const char *name, const char *otherwise)
{
    const char *v = mock_arg(q, name);

    return v != NULL ? v : otherwise;
}

/* The key up to the delimiter behind the prefix; NULL: it is shown by itself. */
static char *common_prefix(struct mock_request *q, const struct page *p, const char *key)
{
    const char *rest = key + strlen(p->prefix), *cut = *p->delimiter != '\0' ? strstr(rest, p->delimiter) : NULL;

    return cut != NULL ? talloc_strndup(q, key, (size_t)(cut - key) + strlen(p->delimiter)) : NULL;
}

static void put(struct mock_request *q, struct page *p, const struct object *o)
{
    char *common = common_prefix(q, p, o->key);
    const char *name = common != NULL ? common : o->key;
    json_t *date = mock_time_text(o->updated_ms);

    if (strcmp(name, p->after) > 0 && (p->last == NULL || strcmp(name, p->last) != 0)) {
        p->more = p->n == p->max;
        if (!p->more && common != NULL)
            p->out = talloc_asprintf_append_buffer(p->out, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>",
                                                   xml_text(q, common));
        else if (!p->more)
            p->out = talloc_asprintf_append_buffer(
                p->out,
                "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag><Size>%zu</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>",
                xml_text(q, o->key), json_string_value(date), o->etag, o->len);
        if (!p->more) {
            p->last = talloc_strdup(q, name);
            p->n++;
        }
    }
    json_decref(date);
}

void s3_list(const struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket)
{
    int max = atoi(arg_or(q, "max-keys", "1000"));
    struct page p = {.out = talloc_strdup(q, ""),
                     .prefix = arg_or(q, "prefix", ""),
                     .delimiter = arg_or(q, "delimiter", ""),
                     .after = arg_or(q, "continuation-token", arg_or(q, "start-after", "")),
                     .max = max > 0 && max < MAX_KEYS_A_PAGE ? max : MAX_KEYS_A_PAGE};
    char *next;

    for (size_t i = object_from(s, bucket, p.prefix); i < s->n_objects && !p.more; i++) {
        const struct object *o = s->objects[i];

        if (strcmp(o->bucket, bucket) != 0 || strncmp(o->key, p.prefix, strlen(p.prefix)) != 0)
            break;
        put(q, &p, o);
    }
    next = p.more ? talloc_asprintf(q, "<NextContinuationToken>%s</NextContinuationToken>", xml_text(q, p.last))
                  : talloc_strdup(q, "");
    answer_xml(q, a, 200,
               talloc_asprintf(q,
                               "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name>"
                               "<Prefix>%s</Prefix><KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><IsTruncated>%s"
                               "</IsTruncated>%s%s</ListBucketResult>",
                               bucket, xml_text(q, p.prefix), p.n, p.max, p.more ? "true" : "false", next, p.out));
}
