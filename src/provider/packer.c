/*
 * packer.c - see packer.h
 *
 * Owns three places where an item can be: the queue of new ones, batches that wait to be sent again, batches under way.
 * Batches are made with what they will hold before anything is taken from its old place, so that running out of memory
 * loses nothing.
 *
 * Impossible: an item in two places, a batch without items.
 */
#include "provider/packer.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

/* A limit that a service taught us is doubled after so many full batches went well; ever more of them, up to the last. */
#define FIRST_GROWTH 8
#define LAST_GROWTH  1024

struct batch {
    struct pack_batch shown; /* first: what the caller holds */
    struct batch *next;
    bool named; /* the service's word for the bad item was tried once */
    struct pack_item items[];
};

struct learnt {
    int64_t configured, now; /* 0: no limit */
    int good, grow_after;
};

struct packer {
    struct learnt items, tokens;
    int64_t max_bytes, max_input;
    pack_ended *ended;
    void *arg;
    struct pack_item *queue; /* new items: [head, tail) */
    size_t head, tail;
    struct batch *waiting, *flying;
    uint64_t next_id;
};

struct packer *packer_new(const void *parent, const struct pack_limits *l, pack_ended *ended, void *arg)
{
    struct packer *p = talloc_zero(parent, struct packer);

    if (p == NULL)
        return NULL;
    p->items = (struct learnt){l->items, l->items, 0, FIRST_GROWTH};
    p->tokens = (struct learnt){l->tokens, l->tokens, 0, FIRST_GROWTH};
    p->max_bytes = l->bytes;
    p->max_input = l->input_tokens;
    p->ended = ended;
    p->arg = arg;
    p->next_id = 1;
    return p;
}

void packer_free(struct packer **p)
{
    talloc_free(*p);
    *p = NULL;
}

int packer_add(struct packer *p, const struct pack_item *item)
{
    size_t room = talloc_array_length(p->queue);

    if (p->tail == room && p->head > 0 && p->head >= room / 2) {
        memmove(p->queue, p->queue + p->head, (p->tail - p->head) * sizeof *p->queue);
        p->tail -= p->head;
        p->head = 0;
    } else if (p->tail == room) {
        struct pack_item *more = talloc_realloc(p, p->queue, struct pack_item, (unsigned)(room * 2 + 64));
        if (more == NULL)
            return -ENOMEM;
        p->queue = more;
    }
    p->queue[p->tail] = *item;
    p->queue[p->tail].strikes = 0;
    p->queue[p->tail++].dropped = false;
    return 0;
}

static bool within(int64_t v, int64_t limit)
{
    return limit <= 0 || v <= limit;
}

/* How many of n items from `from` fit into one batch, at least one. */
static int fitting(const struct packer *p, const struct pack_item *from, size_t n)
{
    int64_t tokens = 0, bytes = 0;
    int count = 0;

    for (; (size_t)count < n; count++) {
        const struct pack_item *it = &from[count];
        bool alone = !within(it->tokens, p->max_input);
        tokens += it->tokens;
        bytes += (int64_t)it->bytes;
        if (count > 0 && (alone || !within(count + 1, p->items.now) || !within(tokens, p->tokens.now) ||
                          !within(bytes, p->max_bytes)))
            break;
        if (alone)
            return 1;
    }
    return count;
}

static bool is_full(const struct packer *p, int count)
{
    return (size_t)count < p->tail - p->head || (p->items.now > 0 && count == p->items.now) ||
           !within(p->queue[p->head].tokens, p->max_input);
}

/* Of the items that were not dropped; *out is NULL if that is none. */
static int make_batch(struct packer *p, const struct pack_item *from, int n, const struct batch *like,
                      struct batch **out)
{
    struct batch *b = talloc_zero_size(p, sizeof *b + (size_t)n * sizeof *from);

    *out = NULL;
    if (b == NULL)
        return -ENOMEM;
    for (int i = 0; i < n; i++)
        if (!from[i].dropped)
            b->items[b->shown.n++] = from[i];
    b->shown.items = b->items;
    b->shown.id = p->next_id++;
    b->named = like != NULL && like->named;
    if (b->shown.n == 0)
        talloc_free(b);
    else
        *out = b;
    return 0;
}

static void append(struct batch **list, struct batch *b)
{
    if (b == NULL)
        return;
    while (*list != NULL)
        list = &(*list)->next;
    b->next = NULL;
    *list = b;
}

/* The first waiting batch; what no longer fits, since the limits fell, is cut off and waits on. */
static struct batch *take_waiting(struct packer *p)
{
    struct batch *b = p->waiting, *rest, *part;
    int n = fitting(p, b->items, (size_t)b->shown.n);

    if (n < b->shown.n) {
        if (make_batch(p, b->items, n, b, &part) < 0 || make_batch(p, b->items + n, b->shown.n - n, b, &rest) < 0)
            return NULL;
        rest->next = b->next;
        part->next = rest;
        p->waiting = part;
        talloc_free(b);
        b = part;
    }
    p->waiting = b->next;
    return b;
}

static struct batch *take_new(struct packer *p, bool flush)
{
    int n = p->head == p->tail ? 0 : fitting(p, p->queue + p->head, p->tail - p->head);
    struct batch *b;

    if (n == 0 || !(flush || is_full(p, n)) || make_batch(p, p->queue + p->head, n, NULL, &b) < 0)
        return NULL;
    p->head += (size_t)n;
    return b;
}

const struct pack_batch *packer_next(struct packer *p, bool flush)
{
    struct batch *b = p->waiting != NULL ? take_waiting(p) : take_new(p, flush);

    if (b == NULL)
        return NULL;
    b->next = p->flying;
    p->flying = b;
    return &b->shown;
}

static void learn(struct learnt *l, int64_t worked_not, int64_t next)
{
    if (worked_not <= 1 || (l->now > 0 && l->now <= next))
        return;
    l->now = next < 1 ? 1 : next;
    l->good = 0;
    l->grow_after = l->grow_after * 2 > LAST_GROWTH ? LAST_GROWTH : l->grow_after * 2;
}

/* A batch that used most of what is allowed went well. */
static void unlearn(struct learnt *l, int64_t used)
{
    if (l->now == l->configured || used < l->now - l->now / 4 || ++l->good < l->grow_after)
        return;
    l->good = 0;
    l->now = l->configured > 0 && l->now > l->configured / 2 ? l->configured : l->now * 2;
}

static int64_t tokens_of(const struct batch *b)
{
    int64_t sum = 0;

    for (int i = 0; i < b->shown.n; i++)
        sum += b->items[i].tokens;
    return sum;
}

/* Where to cut in two: by tokens when there are too many of them, else by number. */
static int middle(const struct batch *b, bool by_tokens)
{
    int64_t half = tokens_of(b) / 2, sum = 0;
    int i = 0;

    if (!by_tokens || half <= 0)
        return b->shown.n / 2;
    while (i < b->shown.n - 1 && sum + b->items[i].tokens <= half)
        sum += b->items[i++].tokens;
    return i < 1 ? 1 : i;
}

static void end_item(struct packer *p, const struct pack_item *it, enum reason bad)
{
    if (!it->dropped)
        p->ended(p->arg, it, bad);
}

static void end_all(struct packer *p, struct batch *b, enum reason bad)
{
    for (int i = 0; i < b->shown.n; i++)
        end_item(p, &b->items[i], bad);
    talloc_free(b);
}

static int halve(struct packer *p, struct batch *b, bool by_tokens)
{
    int cut = middle(b, by_tokens);
    struct batch *left, *right;

    if (make_batch(p, b->items, cut, b, &left) < 0)
        return -ENOMEM;
    if (make_batch(p, b->items + cut, b->shown.n - cut, b, &right) < 0) {
        talloc_free(left);
        return -ENOMEM;
    }
    append(&p->waiting, left);
    append(&p->waiting, right);
    talloc_free(b);
    return 0;
}

/* The item that the service named, and the others without it. The word is taken once: if the others are refused too, it
 * may have been wrong, and halving is certain. */
static int set_apart(struct packer *p, struct batch *b, int item)
{
    struct pack_item named = b->items[item];
    struct batch *one, *others;
    bool was = b->items[item].dropped;

    b->named = true;
    if (make_batch(p, &named, 1, b, &one) < 0)
        return -ENOMEM;
    b->items[item].dropped = true; /* so that the others are made without it */
    if (make_batch(p, b->items, b->shown.n, b, &others) < 0) {
        b->items[item].dropped = was;
        talloc_free(one);
        return -ENOMEM;
    }
    append(&p->waiting, one);
    append(&p->waiting, others);
    talloc_free(b);
    return 0;
}

/* Unusable vectors: those items once more, together; the others are done. */
static int end_good(struct packer *p, struct batch *b, const uint8_t *item_bad, enum reason reason)
{
    struct batch *again = NULL;
    int n = 0;

    if (make_batch(p, b->items, b->shown.n, NULL, &again) < 0)
        return -ENOMEM;
    if (again != NULL) {
        again->shown.n = 0;
        for (int i = 0; i < b->shown.n; i++)
            if (item_bad[i] != 0 && !b->items[i].dropped && b->items[i].strikes + 1 < PACK_STRIKES) {
                again->items[n] = b->items[i];
                again->items[n++].strikes++;
            }
        again->shown.n = n;
        if (n > 0)
            append(&p->waiting, again);
        else
            talloc_free(again);
    }
    for (int i = 0; i < b->shown.n; i++) {
        if (item_bad[i] == 0)
            end_item(p, &b->items[i], REASON_NONE);
        else if (b->items[i].strikes + 1 >= PACK_STRIKES)
            end_item(p, &b->items[i], reason);
    }
    talloc_free(b);
    return 0;
}

/* The same items again, before new ones. */
static int send_again(struct packer *p, struct batch *b)
{
    struct batch *again;

    if (make_batch(p, b->items, b->shown.n, b, &again) < 0)
        return -ENOMEM;
    if (again != NULL)
        again->shown.tries = b->shown.tries + 1;
    append(&p->waiting, again);
    talloc_free(b);
    return 0;
}

static int process_result(struct packer *p, struct batch *b, const struct pack_result *r)
{
    switch (r->act) {
    case PROVIDER_OK:
        unlearn(&p->items, b->shown.n);
        unlearn(&p->tokens, tokens_of(b));
        end_all(p, b, REASON_NONE);
        return 0;
    case PROVIDER_ITEM:
        if (r->item_bad != NULL)
            return end_good(p, b, r->item_bad, r->reason);
        if (b->shown.n == 1)
            break;
        if (r->item >= 0 && r->item < b->shown.n && !b->named)
            return set_apart(p, b, r->item);
        return halve(p, b, false);
    case PROVIDER_SPLIT_TOKENS:
        learn(&p->tokens, b->shown.n > 1 ? tokens_of(b) : 0, tokens_of(b) * 3 / 4);
        if (b->shown.n == 1)
            break;
        return halve(p, b, true);
    case PROVIDER_SPLIT_ITEMS:
        learn(&p->items, b->shown.n, b->shown.n / 2);
        if (b->shown.n == 1)
            break;
        return halve(p, b, false);
    default:
        return send_again(p, b);
    }
    end_all(p, b, r->reason);
    return 0;
}

int packer_done(struct packer *p, uint64_t id, const struct pack_result *r)
{
    struct batch **at = &p->flying, *b;
    int rc;

    while (*at != NULL && (*at)->shown.id != id)
        at = &(*at)->next;
    b = *at;
    if (b == NULL)
        return -ENOENT;
    *at = b->next;
    rc = process_result(p, b, r);
    if (rc < 0) {
        b->next = p->flying;
        p->flying = b;
    }
    return rc;
}

/* Takes an owner's items out of an array; how many stay. */
static int sift(struct pack_item *items, int n, uint32_t owner)
{
    int kept = 0;

    for (int i = 0; i < n; i++)
        if (items[i].owner != owner)
            items[kept++] = items[i];
    return kept;
}

int packer_drop(struct packer *p, uint32_t owner)
{
    int before = (int)(p->tail - p->head), kept = sift(p->queue + p->head, before, owner), taken = before - kept;

    p->tail = p->head + (size_t)kept;
    for (struct batch **at = &p->waiting, *b; (b = *at) != NULL;) {
        kept = sift(b->items, b->shown.n, owner);
        taken += b->shown.n - kept;
        b->shown.n = kept;
        if (kept == 0) {
            *at = b->next;
            talloc_free(b);
        } else {
            at = &b->next;
        }
    }
    for (struct batch *b = p->flying; b != NULL; b = b->next)
        for (int i = 0; i < b->shown.n; i++)
            if (b->items[i].owner == owner && !b->items[i].dropped) {
                b->items[i].dropped = true;
                taken++;
            }
    return taken;
}

static int64_t count_items(const struct batch *b)
{
    int64_t n = 0;

    for (; b != NULL; b = b->next)
        for (int i = 0; i < b->shown.n; i++)
            n += !b->items[i].dropped;
    return n;
}

int64_t packer_items(const struct packer *p)
{
    return (int64_t)(p->tail - p->head) + count_items(p->waiting) + count_items(p->flying);
}
