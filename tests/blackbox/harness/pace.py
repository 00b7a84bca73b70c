"""pace.py - how the nodes of one database share what an embeddings service allows, read from the stand-in's journal

Each node tells its name to the service as its organization; each chunk is a request.
"""

import datetime
import random
import time

from .account import wait_for

PATH = "/v1/embeddings"
CHUNK_TOKENS = 64


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def at(entry):
    return seconds_of(entry["time"])


def node_of(entry):
    return entry["headers"]["openai-organization"]


def words(rng, n):
    syllables = "ka lo mi ne ru ta vo sel dor pan fir gul hex jor mat".split()
    return " ".join("".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(n))


def text_of(chunks, seed):
    """Markdown of so many sections, each a chunk of CHUNK_TOKENS at most."""
    rng = random.Random(seed)
    return "\n".join(f"# {words(rng, 2)}\n\n{words(rng, rng.randint(8, 16))}\n" for _ in range(chunks)).encode()


def keys_of(number):
    """Of the node with this number. It takes one document at a time, so that the other is never without."""
    return {"openai.organization": f"node-{number}", "embedder.batch_items": 1, "chunk.max_tokens": CHUNK_TOKENS,
            "chunk.overlap_tokens": 0, "queue.claim_batch": 1, "node.heartbeat": "1s", "supervise.drain_timeout": "2s"}


def load(one, requests):
    """Documents of 100 chunks. More than a node holds at once, so that others find some too."""
    for i in range(requests // 100 + 1):
        answer = one.upload(text_of(100, i), f"{i}.md", unix=True)
        assert answer.status == 202, answer


def wait_met(nodes):
    """Until all are counted by all; who joined others holds still for a heartbeat."""
    for one in nodes:
        wait_for(lambda one=one: one.ctl("breakers")["nodes"] == len(nodes), 20, "the nodes to see each other",
                 dump=one.log)
    for one in nodes:
        wait_for(lambda one=one: all(s["pause_ms"] == 0 for s in one.ctl("breakers")["services"]), 20,
                 "the pause of who joins", dump=one.log)


def used(entries, begin, end, allowed_per_minute, units=lambda entry: 1):
    """The part of the allowance that was used in this time."""
    return sum(units(e) for e in entries if e["status"] == 200 and begin <= at(e) < end) / \
        (allowed_per_minute * (end - begin) / 60)


def smaller_share(entries, nodes):
    counts = {}
    for e in entries:
        if e["status"] == 200:
            counts[node_of(e)] = counts.get(node_of(e), 0) + 1
    return min(counts.values()) / sum(counts.values()) if len(counts) == nodes else 0.0


def most_in(times, seconds):
    """How many of these there were at most within so short a time."""
    return max((sum(t <= u < t + seconds for u in times) for t in times), default=0)


def refuse_all(mock, nodes, retry_after_s, **knobs):
    """Refuses everything until each of so many nodes was told to wait; {node: when it was told last}."""
    mock.faults(status={"status_codes": {"429": 1}, "retry_after": retry_after_s, "probability": 1}, **knobs)
    wait_for(lambda: len(_told(mock)) == nodes, 15, "the nodes to be refused", every=0.02)
    mock.faults(**knobs)
    time.sleep(0.2)  # answers that were on their way
    return _told(mock)


def _told(mock):
    return {node_of(e): seconds_of(e["ended"]) for e in mock.journal(PATH) if e["status"] == 429 and "ended" in e}


def sent_in_pause(entries, told, retry_after_s):
    """Requests of a node in its own pause; a tenth of a second is for those that were on their way."""
    return sum(told[node_of(e)] + 0.1 < at(e) < told[node_of(e)] + retry_after_s for e in entries)
