"""test_pace.py - what an embeddings service allows is used, shared between nodes, and begun anew one by one after a pause

A few seconds of what `scripts/bench providers` measures over minutes, so the limits are wider.
"""

import time

import pytest

from harness import pace
from harness.account import wait_for

KEY = "sk-test-0123456789abcdef"
POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
         {"name": "w", "role": "worker", "min": 2, "max": 2}]
PER_MINUTE = 600
MEASURE_S = 5
PAUSE_S = 1


@pytest.fixture(name="pair")
def pair_fixture(daemon, mock):
    """Two nodes of one database, and the service that tells them what it allows."""
    service = mock("openai", "--key", KEY, "--model", "m:64")
    service.faults(requests_per_minute=PER_MINUTE)
    made = []
    for i in range(2):
        keys = {"embedder.name": "openai", "embedder.dimension": 64, "openai.base_url": service.url + "/v1",
                "openai.api_key": KEY, "openai.model": "m", "http.allow_private": "127.0.0.1", "search.index": "none",
                **pace.keys_of(i)}
        if made:
            keys["blob.fs.root"] = made[0].blobs
        made.append(daemon(keys=keys, pools=POOLS))
    pace.wait_met(made)
    return made, service


def test_two_nodes_use_what_a_service_tells_them_half_each_and_come_back_in_order_from_a_pause(pair):
    (first, _), service = pair
    pace.load(first, 3 * PER_MINUTE)
    wait_for(lambda: len({pace.node_of(e) for e in service.journal(pace.PATH)}) == 2, 20, "both to be at work",
             dump=first.log)
    begin = time.time() + 0.5
    time.sleep(0.5 + MEASURE_S)
    entries = [e for e in service.journal(pace.PATH) if begin <= pace.at(e) < begin + MEASURE_S]
    assert 0.85 <= pace.used(entries, begin, begin + MEASURE_S, PER_MINUTE) <= 1.05
    assert [e for e in entries if e["status"] != 200] == []
    assert pace.smaller_share(entries, 2) >= 0.4

    told = pace.refuse_all(service, 2, PAUSE_S, requests_per_minute=PER_MINUTE)
    time.sleep(PAUSE_S + 2)
    entries = service.journal(pace.PATH)
    # without the pause there were ten; on a busy machine each node's other worker may be late with what it had begun
    assert pace.sent_in_pause(entries, told, PAUSE_S) <= 2
    after = [pace.at(e) for e in entries if pace.at(e) >= min(told.values()) + PAUSE_S]
    assert after and pace.most_in(after, 0.5) <= 2.5 * PER_MINUTE / 60 * 0.5
