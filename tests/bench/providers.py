"""providers.py - what an outside service costs a document beside its own time, and how much of its allowance is used

Measured with real daemons against the stand-ins over HTTP (bench.py, `providers`). Each check has a limit:

decode     An answer of 256 x 1,536 in base64 to rows in the database: scanning, decoding and checking it (bench_embeddings)
           as a part of the worker's time. That is, in a window of a real worker that has nothing to do but embed, its
           processor time or the time that the database takes for its statements, whichever is more: it takes answers in
           while it waits for the database. Its waits for the service do not count. The part of its processor time alone is
           told as a figure.
overhead   A document's time from its upload to `complete`, one at a time, over 2 s for the parsing service, which calls
           back, and 200 ms for the embedding one. The same with polling is a figure: the interval says what it costs.
allowance  Requests or tokens a minute that a stand-in allows, told in headers or not, to one node with four workers and
           to two nodes: how much of them is used, how many requests are refused, and each node's share. A silent service
           is first met with a quick start, which is left out of the use and not of the refused ones.
pause      Both nodes are refused with Retry-After: none goes before the time is over, and then all one after the other.
"""

import concurrent.futures
import os
import statistics
import subprocess
import time
from collections import Counter, namedtuple

import psycopg
from harness import documents, pace, programs as programs_module
from harness.account import wait_for
from harness.daemon import Daemon
from harness.mock import Mock

PARSER_KEY, EMBEDDER_KEY = "llx-bench-0123456789", "sk-bench-0123456789abcdef"
MODEL = "text-embedding-3-small"

DECODE_LIMIT = 0.05
BATCH = 256
BATCHES = 40

OVERHEAD_LIMIT = 1.05
PARSE_MS, EMBED_MS = 2000, 200
DOCUMENTS = 15

USED_LIMIT, REFUSED_LIMIT, SHARE_LIMIT = 0.95, 0.01, 0.45
PER_MINUTE = 600
TOKENS = 40  # about what a request takes
DELAY = {"kind": "uniform", "min_ms": 20, "max_ms": 120}
SETTLE_S = 75  # of a service that says nothing: the quick start, its end, and the minute that it is over in
MEASURE_S = 120

PAUSE_S, AFTER_S = 3, 10
BURST_MS, BURST_TIMES = 500, 2.5  # so many times the even pace in so short a time is a stampede
AFTER_LIMIT = 0.8  # the pace begins anew with each pause

Check = namedtuple("Check", "what figure limit verdict")
Scenario = namedtuple("Scenario", "by told nodes")
SCENARIOS = [Scenario(by, told, nodes) for nodes in (1, 2) for by in ("requests", "tokens") for told in (True, False)]


def pools(workers):
    return [{"name": "coordinator", "role": "coordinator", "max": 1}, {"name": "api", "role": "api", "max": 1},
            {"name": "workers", "role": "worker", "min": workers, "max": workers}]


class Providers:
    def __init__(self, programs, cluster, say):
        self.programs, self.cluster, self.say = programs, cluster, say
        self.checks = []

    def check(self, what, figure, limit, good):
        self.checks.append(Check(what, figure, limit, "PASS" if good else "FAIL"))

    def figure(self, what, figure):
        self.checks.append(Check(what, figure, "", ""))

    def keys(self, embedder, **more):
        return {"log.level": "warn", "search.index": "none", "embedder.name": "openai", "embedder.dimension": 64,
                "openai.base_url": embedder.url + "/v1", "openai.api_key": EMBEDDER_KEY, "openai.model": MODEL,
                "http.allow_private": "127.0.0.1", **{k.replace("__", "."): v for k, v in more.items()}}

    def daemon(self, database, keys, workers):
        one = Daemon(self.programs, database, keys, pools(workers))
        one.migrate()
        return one

    # --- decode

    @staticmethod
    def decode_ms():
        """Of one answer, as the program measures it that is held against jansson."""
        program = os.path.join(programs_module.build_dir(), "tests", "bench", "bench_embeddings")
        for line in subprocess.run([program, "50"], check=True, capture_output=True, text=True).stdout.splitlines():
            if line.startswith("base64"):
                return float(line.split("median")[1].split()[0])
        raise AssertionError("bench_embeddings says nothing of base64")

    @staticmethod
    def processor_ms(pid):
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e6

    def database_ms(self, database):
        return self.cluster.sql("SELECT active_time + idle_in_transaction_time FROM pg_stat_database WHERE datname = %s",
                                (database.name,))[0][0]

    def decode(self):
        embedder, database = Mock("openai", "--key", EMBEDDER_KEY), self.cluster.create_database()
        d = self.daemon(database, self.keys(embedder, embedder__dimension=1536, embedder__batch_items=BATCH,
                                            openai__requests_per_minute=60000, chunk__max_tokens=pace.CHUNK_TOKENS,
                                            chunk__overlap_tokens=0), 1)
        d.start()
        d.ctl("breakers", "open", "embedder")  # everything before the embedding is done first
        for i in range(BATCHES // 4):
            d.upload(pace.text_of(4 * BATCH, i), f"{i}.md", unix=True)
        waiting = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 3 AND run_at = 'infinity'"
        wait_for(lambda: d.sql(waiting)[0][0] == BATCHES // 4, 60, "documents to wait for the service", dump=d.log)
        (pid,) = [c["pid"] for c in d.children("worker")]
        time.sleep(1.5)  # statistics are written down once a second
        before = self.processor_ms(pid), self.database_ms(database)
        began = time.monotonic()
        d.ctl("breakers", "close", "embedder")
        left = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state < 6"
        wait_for(lambda: d.sql(left)[0][0] == 0, 120, "the documents", every=0.2, dump=d.log)
        took = time.monotonic() - began
        time.sleep(1.5)
        processor, base = self.processor_ms(pid) - before[0], self.database_ms(database) - before[1]
        asked = [e for e in embedder.journal(pace.PATH) if e["status"] == 200]
        answers = sum(e["summary"]["inputs"] for e in asked) / BATCH
        one = self.decode_ms()
        d.close()
        database.drop()
        embedder.stop()
        share = one * answers / max(processor, base)
        self.say(f"decode: {len(asked)} answers, {answers * BATCH:.0f} vectors in {took:.1f} s; for 256: {one:.2f} ms to"
                 f" read them, {processor / answers:.1f} ms of the worker's processor time, {base / answers:.1f} ms of the"
                 " database")
        self.check("answer of 256 x 1,536 to rows: parse and decode", f"{100 * share:.1f} % of the worker's time",
                   f"under {100 * DECODE_LIMIT:.0f} %", share < DECODE_LIMIT)
        self.figure("the same, of the worker's processor time alone", f"{100 * one * answers / processor:.1f} %")

    # --- overhead

    @staticmethod
    def timed(d, connection, number):
        """Looked for so seldom, and over one connection, that looking takes nothing from the daemon."""
        began = time.monotonic()
        answer = d.upload(documents.pdf(3, f"measured {number}"), f"{number}.pdf", unix=True)
        assert answer.status == 202, answer
        time.sleep((PARSE_MS + EMBED_MS) / 1000 - (time.monotonic() - began))
        job = "SELECT state FROM upload_pipeline.upload_jobs WHERE document_id = %s AND state >= 6"
        (state,) = wait_for(lambda: connection.execute(job, (answer.json["document_id"],)).fetchone(), 60, "a document",
                            every=0.002, dump=d.log)
        took = time.monotonic() - began
        assert state == 6, d.document(answer.json["document_id"])
        return took

    def overhead_of(self, calls_back, number):
        parser = Mock("llamaparse", "--key", PARSER_KEY, "--job-ms", str(PARSE_MS), "--upload-limit", "0")
        embedder = Mock("openai", "--key", EMBEDDER_KEY, "--delay", f"fixed:{EMBED_MS}")
        database = self.cluster.create_database()
        d = self.daemon(database, self.keys(embedder, parser__order="llamaparse", llamaparse__base_url=parser.url,
                                            llamaparse__api_key=PARSER_KEY), 2)
        if calls_back:
            d.keys["llamaparse.webhook_url"] = f"http://127.0.0.1:{d.port}"
        d.start()
        with psycopg.connect(database.migrate_url, autocommit=True) as connection:
            self.timed(d, connection, "first")
            times = [self.timed(d, connection, i) for i in range(number)]
        asked = len(embedder.journal(pace.PATH))
        assert asked == number + 1, f"{asked} requests for {number + 1} documents"
        d.close()
        database.drop()
        parser.stop()
        embedder.stop()
        return times

    def overhead(self):
        outside = (PARSE_MS + EMBED_MS) / 1000
        for calls_back, number in ((True, DOCUMENTS), (False, DOCUMENTS // 3)):
            times = self.overhead_of(calls_back, number)
            ratio = statistics.median(times) / outside
            self.say(f"overhead, {'called back' if calls_back else 'polled'}: {number} documents one by one: median"
                     f" {statistics.median(times):.3f} s, {min(times):.3f} to {max(times):.3f}; outside {outside:.1f} s")
            if calls_back:
                self.check("a document's time to its outside waits, called back", f"{ratio:.3f}",
                           f"at most {OVERHEAD_LIMIT}", ratio <= OVERHEAD_LIMIT)
            else:
                self.figure("the same, polled (llamaparse.poll_first 2 s)", f"{ratio:.3f}")

    # --- allowance

    def nodes(self, embedder, number, workers, **keys):
        """So many masters on one database, who know each other."""
        database, made = self.cluster.create_database(), []
        for i in range(number):
            d = self.daemon(database, {**self.keys(embedder, **keys), **pace.keys_of(i)}, workers)
            if made:
                d.keys["blob.fs.root"] = made[0].blobs
            made.append(d)
            d.start()
        pace.wait_met(made)
        return database, made

    @staticmethod
    def give_back(database, made, embedder):
        for d in made:
            d.close()
        database.drop()
        embedder.stop()

    def allowance_of(self, scenario):
        by, told, number = scenario
        embedder = Mock("openai", "--style", "openai" if told else "openrouter", "--key", EMBEDDER_KEY, "--model",
                        f"{MODEL}:64")
        database, made = self.nodes(embedder, number, 4 // number)
        allowed = PER_MINUTE if by == "requests" else PER_MINUTE * TOKENS
        embedder.faults(**{f"{by}_per_minute": allowed, "delay": DELAY})
        skip = 0 if told else SETTLE_S
        pace.load(made[0], int(PER_MINUTE * (3 + (skip + MEASURE_S) / 60)))
        wait_for(lambda: embedder.journal(pace.PATH), 20, "a request", dump=made[0].log)
        begin = pace.at(embedder.journal(pace.PATH)[0])
        time.sleep(max(0, begin + skip + MEASURE_S - time.time() + 1))
        entries = [e for e in embedder.journal(pace.PATH) if pace.at(e) < begin + skip + MEASURE_S]
        self.give_back(database, made, embedder)
        return self.judge_allowance(scenario, entries, begin + skip, allowed)

    @staticmethod
    def judge_allowance(scenario, entries, begin, allowed):
        """The parts used and refused, and the smaller node's share."""
        statuses = Counter(e["status"] for e in entries)
        assert not set(statuses) - {200, 429}, statuses
        units = (lambda e: 1) if scenario.by == "requests" else (lambda e: e["summary"]["tokens"])
        return pace.used(entries, begin, begin + MEASURE_S, allowed, units), statuses[429] / len(entries), \
            pace.smaller_share([e for e in entries if pace.at(e) >= begin], scenario.nodes), len(entries)

    def allowance(self):
        for number in (1, 2):  # each at the same time as others of its kind: they have little to do
            some = [s for s in SCENARIOS if s.nodes == number]
            with concurrent.futures.ThreadPoolExecutor(len(some)) as pool:
                for scenario, result in zip(some, pool.map(self.allowance_of, some)):
                    self.tell_allowance(scenario, *result)

    def tell_allowance(self, scenario, used, refused, share, asked):
        name = f"{scenario.by}, {'told' if scenario.told else 'silent'}, {scenario.nodes} node{'s'[:scenario.nodes - 1]}"
        self.say(f"allowance, {name}: {100 * used:.1f} % used, {100 * refused:.2f} % of {asked} refused"
                 + (f", the smaller share {100 * share:.1f} %" if scenario.nodes > 1 else ""))
        self.check(f"used: {name}", f"{100 * used:.1f} %", f"at least {100 * USED_LIMIT:.0f} %", used >= USED_LIMIT)
        self.check(f"refused: {name}", f"{100 * refused:.2f} %", f"under {100 * REFUSED_LIMIT:.0f} %",
                   refused < REFUSED_LIMIT)
        if scenario.nodes > 1:
            self.check(f"smaller share: {name}", f"{100 * share:.1f} %", f"at least {100 * SHARE_LIMIT:.0f} %",
                       share >= SHARE_LIMIT)

    # --- pause

    def pause(self):
        """Both nodes are at work when the service refuses everything and says for how long to wait."""
        embedder = Mock("openai", "--key", EMBEDDER_KEY)
        database, made = self.nodes(embedder, 2, 2, openai__requests_per_minute=PER_MINUTE)
        embedder.faults(delay=DELAY)
        pace.load(made[0], 3 * PER_MINUTE)
        wait_for(lambda: len(embedder.journal(pace.PATH)) > 40, 30, "requests", dump=made[0].log)
        told = pace.refuse_all(embedder, 2, PAUSE_S, delay=DELAY)
        time.sleep(PAUSE_S + AFTER_S + 1)
        entries = embedder.journal(pace.PATH)
        self.give_back(database, made, embedder)
        during = pace.sent_in_pause(entries, told, PAUSE_S)
        first, over = min(told.values()) + PAUSE_S, max(told.values()) + PAUSE_S
        burst = pace.most_in([pace.at(e) for e in entries if first <= pace.at(e) < over + AFTER_S], BURST_MS / 1000)
        even = PER_MINUTE / 60 * BURST_MS / 1000
        used = pace.used(entries, over, over + AFTER_S, PER_MINUTE)
        self.say(f"pause: {during} sent while the service asked for {PAUSE_S} s; then at most {burst} in {BURST_MS} ms,"
                 f" {even:.0f} is the even pace; {100 * used:.0f} % of it used in the first {AFTER_S} s")
        self.check("requests while the service asks for a pause", str(during), "0", during == 0)
        self.check(f"most requests in {BURST_MS} ms after a pause", str(burst), f"at most {BURST_TIMES * even:.0f}",
                   burst <= BURST_TIMES * even)
        self.check(f"allowance used in {AFTER_S} s after a pause", f"{100 * used:.0f} %",
                   f"at least {100 * AFTER_LIMIT:.0f} %", used >= AFTER_LIMIT)

    # --- all

    def run(self):
        """All of it, with a table at the end; whether nothing was missed."""
        for part in (self.decode, self.overhead, self.pause, self.allowance):
            try:
                part()
            except AssertionError as fault:
                self.say(f"{part.__name__}: {fault}")
                self.check(part.__name__, "not measured", "", False)
        return all(c.verdict != "FAIL" for c in self.checks)
