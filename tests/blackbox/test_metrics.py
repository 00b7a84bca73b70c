"""test_metrics.py - /metrics: both formats, who may read it, and counters that survive the deaths of children"""

import os
import re
import shutil
import signal
import subprocess

import pytest
from harness.account import wait_for

POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "max": 1},
         {"name": "w", "role": "worker", "max": 2}]
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"}
SAMPLE = re.compile(r'^([a-z_]+)(\{(?:[a-z]+="[^"\\\n]*"(?:,(?!\}))?)*\})? ([-+0-9.e]+|NaN|\+Inf)$')


def scrape(one, **more):
    answer = one.http("GET", "/metrics", unix=True, **more)
    assert answer.status == 200, answer
    return answer


def samples(one):
    """{'name{labels}': value} of Prometheus' text, each line checked."""
    found, family = {}, None
    for line in scrape(one).body.decode().splitlines():
        if line.startswith("# "):
            family = line.split()[2]
            continue
        match = SAMPLE.match(line)
        assert match and family and match[1].startswith(family), line
        assert line.rsplit(" ", 1)[0] not in found, f"twice: {line}"
        found[line.rsplit(" ", 1)[0]] = float(match[3])
    return found


def total(values, name):
    return sum(v for k, v in values.items() if k.split("{")[0] == name)


def promtool():
    cache = os.environ.get("DOCMILL_CACHE", os.path.expanduser("~/.cache/docmill"))
    for path in (os.environ.get("DOCMILL_PROMTOOL"), shutil.which("promtool"), cache + "/promtool/promtool"):
        if path and os.access(path, os.X_OK):
            return path
    return pytest.skip("promtool is not here: scripts/test fetches it")


def test_promtool_finds_nothing_to_complain_of(daemon):
    tool = promtool()
    one = daemon(pools=POOLS)
    one.put(b"# A document\n\ntext\n", "a.md")
    text = wait_for(lambda: b"docmill_process_pss_bytes{" in scrape(one).body and scrape(one).body, 10, "the numbers")
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, timeout=20)
    assert done.returncode == 0 and not done.stdout and not done.stderr, (done.stdout, done.stderr)


def test_the_numbers_are_there(daemon):
    one = daemon(pools=POOLS)
    for i in range(5):
        assert one.put(f"# {i}\n\ntext\n".encode(), f"{i}.md")["status"] == "complete"
    values = wait_for(lambda: (lambda v: total(v, "docmill_jobs_total") >= 5 and total(v, "docmill_claims_total")
                                  and v["docmill_database_wait_seconds_count"] > 10 and v)(
        samples(one)), 10, "the jobs to be counted", dump=lambda: scrape(one).body.decode())
    assert values['docmill_jobs_total{result="done"}'] == 5
    assert values['docmill_processes{pool="w",state="ready"}'] + values['docmill_processes{pool="w",state="busy"}'] == 2
    for pool in ("master", "c", "a", "w"):
        assert any(k.startswith(f'docmill_process_cpu_seconds_total{{pool="{pool}"') for k in values), pool
        assert any(k.startswith(f'docmill_process_open_fds{{pool="{pool}"') and v > 3 for k, v in values.items()), pool
    assert values['docmill_queue_jobs{status="uploaded"}'] == 0
    assert values['docmill_stage_duration_seconds_count{stage="chunking"}'] == 5
    assert values["docmill_database_wait_seconds_sum"] > 0
    assert values["docmill_database_up"] == values["docmill_storage_up"] == values["docmill_leader"] == 1
    assert values['docmill_service_up{service="embedder"}'] == 1


def test_histograms_add_up(daemon):
    one = daemon(pools=POOLS)
    one.put(b"# A document\n\ntext\n", "a.md")
    values = samples(one)
    series = {}
    for key, value in values.items():
        name, _, labels = key.partition("{")
        if name.endswith("_bucket"):
            rest = re.sub(r',?le="[^"]*"', "", labels)
            series.setdefault((name.removesuffix("_bucket"), rest), []).append(value)
    assert {n for n, _ in series} == {"docmill_stage_duration_seconds", "docmill_database_wait_seconds"}
    for (name, labels), buckets in series.items():
        assert buckets == sorted(buckets), name
        count = values[f"{name}_count" + ("{" + labels if labels not in ("", "}") else "")]
        assert buckets[-1] == count, (name, labels)


def test_openmetrics_is_for_who_asks_for_it(daemon):
    one = daemon(pools=POOLS)
    plain, asked = scrape(one), scrape(one, headers=OPENMETRICS)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert asked.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = asked.body.decode()
    assert text.endswith("# EOF\n") and "# TYPE docmill_claims counter\n" in text and "\ndocmill_claims_total " in text
    assert "# UNIT docmill_uptime_seconds seconds\n" in text
    assert b"# EOF" not in plain.body and b"# TYPE docmill_claims_total counter\n" in plain.body
    parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="python3-prometheus-client is not here")
    assert len(list(parser.text_string_to_metric_families(text))) >= 25


def test_a_queue_that_stands_still_grows_older(daemon):
    one = daemon(pools=POOLS[:2] + [{"name": "w", "role": "worker", "max": 1, "stages": ["embedding_queued"]}])
    one.upload(b"# nobody takes it\n\ntext\n", "a.md")
    age = 'docmill_queue_longest_in_status_seconds{status="uploaded"}'
    first = wait_for(lambda: (lambda v: v['docmill_queue_jobs{status="uploaded"}'] == 1 and v)(samples(one)), 10, "the job")
    assert first['docmill_queue_jobs_by_state{state="queued"}'] == 1
    wait_for(lambda: samples(one)[age] >= first[age] + 1, 10, "it to grow older")
    assert samples(one)["docmill_queue_oldest_seconds"] >= 1


# --- deaths


def test_counters_survive_the_deaths_of_children(daemon):
    one = daemon(pools=POOLS)
    for i in range(5):
        one.put(f"# {i}\n\ntext\n".encode(), f"{i}.md")
    wait_for(lambda: samples(one)['docmill_jobs_total{result="done"}'] == 5, 10, "the jobs to be counted")
    before = samples(one)
    for child in one.children():
        if child["role"] != "api":
            os.kill(child["pid"], signal.SIGKILL)

    def back():
        v = samples(one)
        return (v['docmill_child_deaths_total{pool="w",cause="outsider"}'] == 2
                and v['docmill_child_deaths_total{pool="c",cause="outsider"}'] == 1 and v["docmill_database_up"] == 1 and v)

    after = wait_for(back, 20, "their successors", dump=lambda: scrape(one).body.decode())
    counters = [k for k in before if re.search(r"_(total|count|sum|bucket)(\{|$)", k)]
    assert len(counters) > 50
    assert not {k: (before[k], after[k]) for k in counters if after[k] < before[k]}
    assert after['docmill_child_starts_total{pool="w"}'] == 4
    one.ctl("recycle", "w", as_json=False)
    wait_for(lambda: samples(one)['docmill_child_deaths_total{pool="w",cause="asked"}'] == 2, 20, "both to retire")
    assert samples(one)['docmill_jobs_total{result="done"}'] == 5


def test_no_counter_goes_back_while_children_die(daemon):
    """Each scrape sees every count once, also one that meets a death."""
    one = daemon(pools=POOLS)
    last = {}
    for i in range(30):
        if i % 3 == 0:
            one.upload(f"# {i}\n\ntext\n".encode(), f"{i}.md")
            os.kill(one.children("worker")[0]["pid"], signal.SIGKILL)
        for _ in range(5):
            now = samples(one)
            fell = {k: (v, now.get(k)) for k, v in last.items()
                    if re.search(r"_(total|count|sum|bucket)(\{|$)", k) and now.get(k, 0) < v - 1e-9}
            assert not fell, fell
            last = now


# --- who may


def test_over_tcp_a_token_or_an_address_is_wanted(daemon):
    closed = daemon(pools=POOLS)
    assert closed.http("GET", "/metrics").reason == "unauthenticated", "a user's token says nothing about the node"
    assert closed.http("GET", "/metrics", token=None).reason == "unauthenticated"
    secret = "a-token-for-prometheus"
    token = daemon({"metrics.token": secret, "blob.fs.root": closed.blobs}, pools=POOLS)
    assert token.http("GET", "/metrics", token=secret).status == 200
    assert token.http("GET", "/metrics", token=secret + "x").reason == "unauthenticated"
    assert token.http("GET", "/v1/jobs", token=secret).reason == "unauthenticated", "and it is nobody's"
    here = daemon({"metrics.allow": "10.0.0.0/8, 127.0.0.0/8", "blob.fs.root": closed.blobs}, pools=POOLS)
    assert here.http("GET", "/metrics", token=None).status == 200
    elsewhere = daemon({"metrics.allow": "10.0.0.0/8", "blob.fs.root": closed.blobs}, pools=POOLS)
    assert elsewhere.http("GET", "/metrics", token=None).reason == "unauthenticated"
