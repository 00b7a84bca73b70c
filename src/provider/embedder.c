/*
 * embedder.c - the embedder by the configuration's name, and the check that every vector must pass
 *
 * Diagnostics: embed_bad_vector for an empty text or a vector that is no unit vector; internal for a name that the
 * configuration should not have let through.
 *
 * Depends on base, core.
 */
#include "provider/embedder.h"
#include "core/reason.h"
#include "provider/builtin.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define UNIT_TOLERANCE 1e-3

struct embedder_identity embedder_identity(const struct conf *c)
{
    bool builtin = strcmp(c->embedder_name, "builtin") == 0;

    return (struct embedder_identity){.model = builtin ? "builtin" : c->openai_model,
                                      .version = builtin ? BUILTIN_VERSION : 1,
                                      .dimension = (int)c->embedder_dimension,
                                      .metric = "cosine"};
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

int embed_batch(const struct conf *c, const struct embed_input *in, int n, float *out, struct error *e)
{
    int dimension = (int)c->embedder_dimension;

    if (c->embedder_name == NULL || strcmp(c->embedder_name, "builtin") != 0)
        return reason_error(e, REASON_internal, EINVAL, "embedder.name \"%s\" is not known",
                            c->embedder_name == NULL ? "" : c->embedder_name);
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
