/*
 * chunker.c - packs blocks into chunks
 *
 * One pass over the blocks of block.c. The chunk being built is text[begin, pos): `begin` to `own` is its overlap,
 * and `scan` holds the exact count of all of it. A block is added whole when it fits; else the chunk is given out and
 * the block begins the next one; a block that does not fit there either is split by chunk_cut.c. Each step ends in
 * one of three moves, add_until(), give_out() and begin_chunk(), and nothing else touches the chunk.
 *
 * Nothing is allocated and no byte is scanned more than a small number of times, whatever the text.
 *
 * Diagnostics
 *   -EINVAL   options or lengths out of bounds
 *   -ENOMEM   counting a word of more than 512 bytes, which needs memory for as long as that takes
 *   panics    (assert) a chunk over budget, an empty chunk: our bug
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "text/chunk_cut.h"
#include "text/chunker.h"
#include "text/heading_path.h"
#include "text/token_scan.h"

struct packer {
    const char *text;
    size_t len;
    const uint32_t *page_starts;
    int n_pages;
    int page; /* of the last chunk begun */
    size_t max_tokens, overlap_tokens;
    bool plain;
    struct token_counter counter;
    chunk_fn fn;
    void *arg;

    size_t begin, own, pos;
    struct token_scan scan;
    bool headings_only;  /* what the chunk has of its own is headings: it may not end here if it can be helped */
    size_t section_body; /* end of the last headings: no overlap reaches over it */
    size_t last_own;     /* where the chunk before this one began its own part */
    int ord;
    struct heading_path path;
};

static bool has_own(const struct packer *p)
{
    return p->pos > p->own;
}

static int page_of(struct packer *p, size_t at)
{
    while (p->page < p->n_pages && p->page_starts[p->page] <= at)
        p->page++;
    return p->page;
}

static int give_out(struct packer *p)
{
    struct chunk c = {
        .ord = p->ord,
        .start = p->own,
        .end = p->pos,
        .overlap = p->own - p->begin,
        .tokens = (int)p->scan.count,
        .page = page_of(p, p->own),
        .heading_path = heading_path_text(&p->path),
    };

    if (p->counter.failed != 0)
        return p->counter.failed;
    assert(has_own(p) && p->scan.count <= p->max_tokens && p->ord < INT_MAX);
    p->ord++;
    p->last_own = p->own;
    return p->fn(p->arg, &c);
}

/* At most half of the last chunk is repeated, and nothing from before the section's text. */
static size_t overlap_floor(const struct packer *p)
{
    size_t half = p->last_own + (p->pos - p->last_own) / 2;

    return half > p->section_body ? half : p->section_body;
}

/* Begins an empty chunk at pos, with an overlap of at most so many tokens. */
static void begin_chunk(struct packer *p, size_t overlap_tokens)
{
    size_t lo = overlap_floor(p);

    p->own = p->begin = p->pos;
    p->headings_only = false;
    if (overlap_tokens > 0 && p->ord > 0 && lo < p->pos)
        p->begin = cut_overlap(&p->counter, p->text, lo, p->pos, overlap_tokens);
    token_scan_begin(&p->scan, &p->counter);
    (void)token_scan_feed(&p->scan, p->text + p->begin, p->pos - p->begin, p->max_tokens);
}

/* Adds the text from pos to `to`, or changes nothing when it does not fit. Answers how far about the budget goes. */
static size_t add_up_to(struct packer *p, size_t to)
{
    struct token_scan scan = p->scan;
    size_t fits = p->pos + token_scan_feed(&scan, p->text + p->pos, to - p->pos, p->max_tokens);

    if (fits < to)
        return fits;
    p->scan = scan;
    p->pos = to;
    return to;
}

static bool add_until(struct packer *p, size_t to)
{
    return add_up_to(p, to) == to;
}

/*
 * Like add_until() to the end of a block whose last visible character begins at `visible`. What does not fit is not
 * added, and *fits is how far the budget goes; what remains of the block behind it has that visible character, so
 * that no chunk is left with white space only.
 */
static bool add_rest(struct packer *p, size_t end, size_t visible, size_t *fits)
{
    size_t begin = p->pos;

    *fits = add_up_to(p, end);
    if (*fits == end)
        return true;
    if (*fits > visible && visible >= begin && (visible > begin || begin > p->begin))
        *fits = visible;
    return false;
}

/* A cut that a chunk without its overlap would not need. */
static bool spoilt_by_overlap(const struct packer *p, const struct cut_walk *before, const struct cut_walk *after,
                              size_t cut)
{
    bool tears_fence = after->block.kind == BLOCK_LIST && before->state.fence_char == 0 && after->state.fence_char != 0;

    return !has_own(p) && p->begin < p->own && (tears_fence || cut_is_blank(p->text, p->pos, cut));
}

/*
 * Adds the text to the best cut up to about `fits`: what ends elsewhere may have more tokens than what would fit, and is
 * then cut earlier. False when the overlap leaves no good cut: the chunk is begun again without it.
 */
static bool add_cut(struct packer *p, struct cut_walk *walk, size_t fits)
{
    const struct cut_walk before = *walk;
    size_t cut;

    for (;;) {
        cut = cut_choose(walk, p->pos, fits);
        if (spoilt_by_overlap(p, &before, walk, cut)) {
            begin_chunk(p, 0);
            *walk = before;
            return false;
        }
        if (cut == p->pos)
            return true;
        fits = add_up_to(p, cut);
        if (fits == cut)
            return true;
        *walk = before;
    }
}

/* Splits what does not fit into this chunk nor into one of its own. The last piece stays in the chunk being built. */
static int split(struct packer *p, const struct block *b)
{
    size_t visible = cut_last_visible(p->text, b->start, b->end), fits;
    struct cut_walk walk;
    int rc = 0;

    cut_walk_begin(&walk, p->text, b);
    while (rc == 0 && !add_rest(p, b->end, visible, &fits)) {
        if (!add_cut(p, &walk, fits))
            continue;
        rc = give_out(p);
        begin_chunk(p, p->overlap_tokens);
    }
    return rc;
}

/* The chunk is out, the block begins the next one, with as much overlap as leaves it whole. True when it is added. */
static bool begin_with(struct packer *p, const struct block *b)
{
    size_t n = b->end - b->start, room;
    struct token_scan alone;

    begin_chunk(p, p->overlap_tokens);
    if (add_until(p, b->end))
        return true;
    token_scan_begin(&alone, &p->counter);
    if (token_scan_feed(&alone, p->text + b->start, n, p->max_tokens) < n)
        return false;
    room = p->max_tokens - alone.count;
    begin_chunk(p, room < p->overlap_tokens ? room : p->overlap_tokens);
    if (add_until(p, b->end))
        return true;
    begin_chunk(p, 0); /* together they have more tokens than each for itself */
    return add_until(p, b->end);
}

static int add_block(struct packer *p, const struct block *b)
{
    int rc;

    if (add_until(p, b->end))
        return 0;
    if (has_own(p) && !p->headings_only) {
        rc = give_out(p);
        if (rc != 0)
            return rc;
        if (begin_with(p, b))
            return 0;
    }
    return split(p, b);
}

/* A heading begins a chunk; headings with nothing between them stay together as far as the budget goes. */
static int add_heading(struct packer *p, const struct block *b)
{
    struct token_scan scan = p->scan;
    size_t n = b->end - b->start;
    int rc = 0;

    if (has_own(p) && (!p->headings_only || token_scan_feed(&scan, p->text + b->start, n, p->max_tokens) < n)) {
        rc = give_out(p);
        begin_chunk(p, 0);
    }
    heading_path_enter(&p->path, b->level, p->text + b->title_start, b->title_end - b->title_start);
    p->section_body = b->end;
    if (rc == 0)
        rc = add_block(p, b);
    p->headings_only = true;
    return rc;
}

static int pack(struct packer *p)
{
    struct block_scan blocks;
    struct block b;
    int rc = 0;

    block_scan_begin(&blocks, p->text, p->len, p->plain);
    while (rc == 0 && block_next(&blocks, &b)) {
        if (b.kind == BLOCK_HEADING) {
            rc = add_heading(p, &b);
        } else {
            rc = add_block(p, &b);
            p->headings_only = false;
        }
    }
    return rc == 0 && has_own(p) ? give_out(p) : rc;
}

int chunk_text(const char *text, size_t len, const uint32_t *page_starts, int n_pages, const struct chunk_options *o,
               chunk_fn fn, void *arg)
{
    struct packer p;
    int rc;

    if (o->max_tokens < CHUNK_MIN_TOKENS || o->max_tokens > CHUNK_MAX_TOKENS || o->overlap_tokens < 0 ||
        o->overlap_tokens > o->max_tokens / 2 || o->tokenizer >= TOKENIZERS_ || n_pages < 0 ||
        (n_pages > 0 && page_starts == NULL))
        return -EINVAL;
    p = (struct packer){
        .text = text,
        .len = len,
        .page_starts = page_starts,
        .n_pages = n_pages,
        .page = n_pages > 0 ? 1 : 0,
        .max_tokens = (size_t)o->max_tokens,
        .overlap_tokens = (size_t)o->overlap_tokens,
        .plain = o->plain,
        .counter = {.tokenizer = o->tokenizer},
        .fn = fn,
        .arg = arg,
    };
    token_scan_begin(&p.scan, &p.counter);
    heading_path_begin(&p.path);
    rc = pack(&p);
    return rc == 0 ? p.counter.failed : rc;
}
