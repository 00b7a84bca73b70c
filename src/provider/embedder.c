/*
 * embedder.c - which model each collection is to have, the embedder inside docmill, and the check that every vector must
 * pass
 *
 * Diagnostics: embed_bad_vector for an empty text or a vector that is no unit vector.
 *
 * Depends on base, core.
 */
#include "provider/embedder.h"
#include "base/money.h"
#include "core/reason.h"
#include "provider/builtin.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define UNIT_TOLERANCE 1e-3

#define OUTSIDE_VERSION 1

bool embedder_is_builtin(const char *model)
{
    return strcmp(model, "builtin") == 0;
}

int embedder_version(const char *model)
{
    return embedder_is_builtin(model) ? BUILTIN_VERSION : OUTSIDE_VERSION;
}

static bool wants_builtin(const struct conf *c, int collection)
{
    return collection <= 0 ? embedder_is_builtin(c->embedder_name) : !c->collections[collection - 1].outside;
}

struct embedder_identity embedder_identity(const struct conf *c, int collection)
{
    const struct collection_conf *one = collection > 0 ? &c->collections[collection - 1] : NULL;
    bool builtin = wants_builtin(c, collection);
    const char *model = one != NULL && one->model[0] != '\0' ? one->model : c->openai_model;

    return (struct embedder_identity){.model = builtin ? "builtin" : model,
                                      .version = builtin ? BUILTIN_VERSION : OUTSIDE_VERSION,
                                      .dimension = one != NULL && one->dimension > 0 ? one->dimension
                                                                                     : (int)c->embedder_dimension,
                                      .metric = "cosine"};
}

const char *embedder_collection(const struct conf *c, int collection)
{
    return collection <= 0 ? "default" : c->collections[collection - 1].name;
}

bool embedder_outside(const struct conf *c)
{
    bool any = c->openai_base_url != NULL;

    for (int i = 0; i <= c->n_collections; i++)
        any = any || !wants_builtin(c, i);
    return any;
}

int embedder_price(const struct conf *c, const char *model, int64_t *picodollars, struct error *e)
{
    const char *price = c->openai_price_per_million_tokens;

    for (int i = 1; i <= c->n_collections; i++) {
        const struct collection_conf *one = &c->collections[i - 1];
        if (one->outside && one->price[0] != '\0' && strcmp(embedder_identity(c, i).model, model) == 0)
            price = one->price;
    }
    *picodollars = 0;
    if (price != NULL && money_parse_per_million(price, picodollars) != 0)
        return reason_error(e, REASON_bad_config, EINVAL, "the price of a million tokens is no amount");
    return 0;
}

int embed_check(const float *v, int dimension, struct error *e)
{
    double squares = 0;

    for (int i = 0; i < dimension; i++) {
        if (!isfinite(v[i]))
            return reason_error(e, REASON_embed_bad_vector, EBADMSG, "component %d of the vector is not a number", i);
        squares += (double)v[i] * (double)v[i];
    }
    if (squares == 0)
        return reason_error(e, REASON_embed_bad_vector, EBADMSG, "the vector is zero");
    if (fabs(sqrt(squares) - 1) > UNIT_TOLERANCE)
        return reason_error(e, REASON_embed_bad_vector, EBADMSG, "the vector has length %.4f, not 1", sqrt(squares));
    return 0;
}

int embed_batch(const struct embed_input *in, int n, int dimension, float *out, struct error *e)
{
    for (int i = 0; i < n; i++) {
        float *v = out + (size_t)i * (size_t)dimension;
        if (in[i].len == 0)
            return reason_error(e, REASON_embed_bad_vector, EINVAL, "text %d of the batch is empty", i);
        if (builtin_embed(in[i].text, in[i].len, dimension, v) < 0)
            return reason_error(e, REASON_internal, ENOMEM, "out of memory");
        int rc = embed_check(v, dimension, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}
