"""bench.py - what docmill costs, measured beside a limit in the same run

    bench.py [--runs N] [--quick] [ingest] [hnsw] [chunking] [kill] [memory] [stages] [providers] [supervisor]

ingest    already-parsed text to complete (documents, chunks, vectors, events), against a binary COPY of the same rows
          into the same tables of a fresh database; fsync and synchronous_commit on; no vector index
hnsw      the same with an HNSW index, as a figure
chunking  chunk_text over the corpus's texts, or over made ones, in MB/s of processor time
kill      kill -9 of a worker to its jobs claimed again
memory    a worker's private memory at rest; its peak over a 10 MB text
stages    the corpus ingested: time a stage, time and success a size class and a type; DOCMILL_CORPUS names the corpus
providers what outside services cost beside their own time, and how much of their allowance is used: providers.py
supervisor  what the master costs, and how soon it puts another worker in a dead one's place: supervisor.py
Programs are those of DOCMILL_BUILD (default build/release). Exit status 1: a limit was missed.
Every figure is a median over --runs; pairs are run in turns, and their ratio is what counts on a noisy machine.
"""

import argparse
import glob
import io
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "blackbox"))

import psycopg  # noqa: E402
from harness import account, programs as programs_module  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from providers import Providers  # noqa: E402
from supervisor import Supervisor  # noqa: E402

DOCUMENTS = 1500
COPIED = [
    ("documents", None),
    ("upload_jobs", None),
    ("upload_job_details", None),
    ("document_contents", None),
    ("document_chunks", "user_id, document_id, chunk_id, byte_start, byte_end, generation, ord, overlap, tokens, page,"
                        " sha256, heading_path, text"),
    ("vectors_1", None),
    ("events", None),
]
WORKERS_ONLY = [{"name": "coordinator", "role": "coordinator", "max": 1}, {"name": "api", "role": "api", "max": 1},
                {"name": "workers", "role": "worker", "max": 2}]
NO_WORKERS = WORKERS_ONLY[:2]
CHUNKING_MB_S = 50
KILLS = 20
SIZES = [("under 100 KB", 100_000), ("100 KB to 1 MB", 1_000_000), ("1 to 10 MB", 10_000_000), ("larger", None)]


def words(rng, n):
    syllables = "ka lo mi ne ru ta vo sel dor pan fir gul hex jor mat".split()
    return " ".join("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(n))


def normal_markdown(seed, sections=6):
    """Markdown that is already in docmill's normal form: parsing leaves it as it is."""
    rng = random.Random(seed)
    parts = [f"# Document {seed}\n"]
    for s in range(sections):
        parts.append(f"\n## {words(rng, 3)}\n")
        for _ in range(3):
            parts.append("\n" + words(rng, 60) + "\n")
    return "".join(parts).encode()


def corpus_files(*folders):
    """The corpus's files below these folders (all without any), smallest path first; empty without a corpus."""
    root = os.environ.get("DOCMILL_CORPUS", "")
    if not os.path.isdir(root):
        return []
    paths = [p for folder in folders or ("*",) for p in glob.glob(f"{root}/{folder}/*")]
    return sorted(p for p in paths if os.path.isfile(p))


def size_class(size):
    return next(name for name, limit in SIZES if limit is None or size < limit)


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(p / 100 * len(ordered)))]


def spread(values):
    """p50, p95 and sum, as cells of a table."""
    return [f"{percentile(values, 50):.1f}", f"{percentile(values, 95):.1f}", f"{sum(values):.0f}"]


def say(text):
    print(text, flush=True)


def table(rows):
    widths = [max(len(str(r[i])) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        say("  " + "  ".join(str(c).ljust(w) for c, w in zip(r, widths)))


class Bench:
    def __init__(self, programs, runs, quick=False):
        self.runs, self.quick = runs, quick
        self.cluster = Cluster.create()
        self.cluster.sql("ALTER SYSTEM SET max_wal_size = '4GB'")
        self.cluster.sql("ALTER SYSTEM SET fsync = on")  # the cluster of the tests does without
        self.cluster.sql("SELECT pg_reload_conf()")
        self.programs = programs

    def close(self):
        self.cluster.remove()

    def daemon(self, database, pools, **keys):
        one = Daemon(self.programs, database, {"log.level": "warn", **keys}, pools)
        one.migrate()
        return one

    # --- ingest

    def load(self, d, n):
        import concurrent.futures
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for a in pool.map(lambda i: d.upload(normal_markdown(i), f"d{i}.md", unix=True), range(n)):
                assert a.status == 202, a

    def ingest_once(self, index):
        db = self.cluster.create_database()
        d = self.daemon(db, NO_WORKERS, **{"search.index": index})
        d.start(ready=False)
        account.wait_for(lambda: os.path.exists(d.run_dir + "/api.sock"), 20, "api.sock")
        account.wait_for(lambda: db.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'vectors_1'")[0][0] == 1, 20,
                         "the embedding space")
        self.load(d, DOCUMENTS)
        d.stop()
        d.pools = WORKERS_ONLY
        db.sql("CHECKPOINT")
        began = time.monotonic()
        d.start(ready=False)
        done = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 6"
        account.wait_for(lambda: db.sql(done)[0][0] == DOCUMENTS, 300, "all documents complete", )
        took = time.monotonic() - began
        d.stop()
        return db, d, took

    def copy_once(self, source):
        target = self.cluster.create_database()
        d = self.daemon(target, NO_WORKERS)
        target.sql("SELECT upload_pipeline.ensure_collection('default', 'builtin', 1, 512, 'cosine', 'none')")
        target.sql("SELECT upload_pipeline.ensure_event_partitions(2)")
        data, rows = [], 0
        with psycopg.connect(source.migrate_url) as c:
            for name, columns in COPIED:
                buffer = io.BytesIO()
                what = f"(SELECT {columns or '*'} FROM upload_pipeline.{name})"
                with c.cursor().copy(f"COPY {what} TO STDOUT (FORMAT binary)") as copy:
                    for block in copy:
                        buffer.write(block)
                data.append((name, columns, buffer.getvalue()))
                rows += c.execute(f"SELECT count(*) FROM upload_pipeline.{name}").fetchone()[0]
        target.sql("CHECKPOINT")
        began = time.monotonic()
        with psycopg.connect(target.migrate_url) as c:
            for name, columns, block in data:
                with c.cursor().copy(f"COPY upload_pipeline.{name} {'(' + columns + ')' if columns else ''}"
                                     " FROM STDIN (FORMAT binary)") as copy:
                    copy.write(block)
                c.commit()
        took = time.monotonic() - began
        d.close()
        target.drop()
        return took, rows

    def ingest(self, index="none"):
        ours, limit = [], []
        for _ in range(self.runs):
            db, d, took = self.ingest_once(index)
            ours.append(took)
            if index == "none":
                copied, rows = self.copy_once(db)
                limit.append(copied)
            chunks = db.sql("SELECT count(*) FROM upload_pipeline.document_chunks")[0][0]
            d.close()
            db.drop()
        m = statistics.median(ours)
        say(f"ingest, index {index}: {DOCUMENTS} documents, {chunks} chunks: {m:.2f} s,"
            f" {DOCUMENTS / m:.0f} documents/s, {chunks / m:.0f} chunks/s")
        if limit:
            ratio = statistics.median(a / b for a, b in zip(ours, limit))
            say(f"  binary COPY of the same {rows} rows: {statistics.median(limit):.2f} s; ratio {ratio:.2f} (limit 3)")
            return ratio <= 3
        return True

    def hnsw(self):
        return self.ingest("hnsw")

    # --- chunking

    def chunking(self):
        program = os.path.join(programs_module.build_dir(), "tests", "bench", "bench_text")
        files = corpus_files("text", "markdown")
        done = subprocess.run([program, *files], check=True, capture_output=True, text=True).stdout
        megabytes, seconds, normalise = 0.0, 0.0, 0.0
        for line in done.splitlines():
            found = re.search(r"([0-9.]+) MB  normalise +([0-9]+) MB/s  chunk +([0-9]+) MB/s", line)
            size, n, c = (max(float(x), 1e-3) for x in found.groups())
            if not files:
                say("  " + line)
            megabytes, seconds, normalise = megabytes + size, seconds + size / c, normalise + size / n
        what = f"{len(files)} texts of the corpus" if files else "made texts, most of them ill-natured"
        say(f"chunking, {what}, {megabytes:.1f} MB: {megabytes / seconds:.0f} MB/s a core (limit {CHUNKING_MB_S});"
            f" normalising {megabytes / normalise:.0f} MB/s")
        return megabytes / seconds >= CHUNKING_MB_S

    # --- kill

    def kill(self):
        db = self.cluster.create_database()
        d = self.daemon(db, WORKERS_ONLY)
        d.start()
        big = [b"\n\n".join(normal_markdown(1000 * k + i, 40) for i in range(40)) for k in range(6)]
        times = []
        seed = 0
        while len(times) < max(KILLS, self.runs):
            if db.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state < 6")[0][0] < 3:
                seed += 1
                for i, b in enumerate(big):
                    d.upload(b + f"\nround {seed}\n".encode(), f"big{seed}-{i}.md", unix=True)
            child = [c for c in d.status()["children"] if c["pool"] == "workers" and c["in_hand"]]
            if not child:
                continue
            with psycopg.connect(db.migrate_url, autocommit=True) as c:
                owned = c.execute("SELECT id, lease, attempt FROM upload_pipeline.upload_jobs WHERE state = 2"
                                  " AND owner_child = %s",
                                  (child[0]["serial"],)).fetchall()
                if not owned or any(attempt > 1 for _, _, attempt in owned):
                    continue  # a job killed a second time waits before its third attempt, on purpose
                owned = [(job, lease) for job, lease, _ in owned]
                os.kill(child[0]["pid"], signal.SIGKILL)
                began = time.monotonic()
                while True:
                    left = 0
                    for job, lease in owned:
                        row = c.execute("SELECT lease, state FROM upload_pipeline.upload_jobs WHERE id = %s",
                                        (job,)).fetchone()
                        left += not (row[0] >= lease + 2 or row[1] >= 6)
                    if not left:
                        break
                    if time.monotonic() - began > 20:
                        raise AssertionError("a dead worker's jobs were not claimed again")
                times.append((time.monotonic() - began) * 1000)
        d.close()
        db.drop()
        say(f"kill -9 of a worker to its jobs claimed again: median {statistics.median(times):.1f} ms,"
            f" max {max(times):.1f} ms over {len(times)} (limit: median 100)")
        return statistics.median(times) < 100

    # --- memory

    @staticmethod
    def private_kb(pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))

    def memory(self):
        db = self.cluster.create_database()
        d = self.daemon(db, [*NO_WORKERS, {"name": "workers", "role": "worker", "max": 1}])
        d.start()
        pid = [c["pid"] for c in d.status()["children"] if c["pool"] == "workers"][0]
        rest = self.private_kb(pid)
        text = b"\n\n".join(normal_markdown(i, 200) for i in range(50))
        text = (text * (10 * 1024 * 1024 // len(text) + 1))[:10 * 1024 * 1024]
        d.upload(text, "ten-megabytes.md", unix=True)
        peak = 0
        account.wait_for(lambda: db.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state < 6")[0][0] == 0, 300,
                         "the 10 MB text")
        with open(f"/proc/{pid}/status") as f:
            peak = [int(line.split()[1]) for line in f if line.startswith("VmHWM")][0]
        state = db.sql("SELECT state FROM upload_pipeline.upload_jobs")[0][0]
        after = self.private_kb(pid)
        d.close()
        db.drop()
        say(f"worker's private memory at rest {rest / 1024:.1f} MB (limit 8); 10 MB of text: peak resident"
            f" {peak / 1024:.0f} MB (limit 100), private afterwards {after / 1024:.1f} MB")
        return rest < 8 * 1024 and peak < 100 * 1024 and state == 6

    # --- stages

    def upload_corpus(self, d, files):
        """Uploads all; {document id: (type folder, bytes)}."""
        put = {}
        for path in files:
            with open(path, "rb") as f:
                content = f.read()
            answer = d.upload(content, os.path.basename(path), unix=True, timeout=120)
            if answer.status not in (200, 202):
                raise AssertionError(f"{path} was refused: {answer}")
            put[answer.json["document_id"]] = (os.path.basename(os.path.dirname(path)), len(content))
        return put

    def stages(self):
        files = corpus_files()
        if not files:
            say("stages: DOCMILL_CORPUS names no corpus (scripts/corpus makes it)")
            return False
        db = self.cluster.create_database()
        d = self.daemon(db, WORKERS_ONLY)
        d.start()
        began = time.monotonic()
        put = self.upload_corpus(d, files)
        account.wait_for(lambda: db.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state < 6")[0][0] == 0,
                         900, "the corpus")
        took = time.monotonic() - began
        jobs = db.sql("SELECT document_id::text, state FROM upload_pipeline.upload_jobs")
        hops = db.sql("""SELECT e.document_id::text, s.name, (h->>1)::int
                         FROM upload_pipeline.events e, jsonb_array_elements(e.hops) h, upload_pipeline.job_statuses s
                         WHERE s.status = (h->>0)::int""")
        chunks = db.one("SELECT count(*) FROM upload_pipeline.document_chunks")
        d.close()
        db.drop()
        megabytes = sum(size for _, size in put.values()) / 1e6
        say(f"stages: {len(files)} files, {megabytes:.0f} MB, {chunks} chunks, 2 workers: {took:.1f} s")
        self.tell_stages(hops)
        worked = {}
        for document, _, ms in hops:
            worked[document] = worked.get(document, 0) + ms
        good = {document for document, state in jobs if state == 6}
        self.tell_groups("size", put, worked, good, lambda p: size_class(p[1]), [name for name, _ in SIZES])
        self.tell_groups("type", put, worked, good, lambda p: p[0], sorted({t for t, _ in put.values()}))
        return len(good) == len(jobs)

    @staticmethod
    def tell_stages(hops):
        rows = [("stage, ms of work", "documents", "p50", "p95", "sum")]
        for name in dict.fromkeys(name for _, name, _ in hops):
            times = [ms for _, stage, ms in hops if stage == name]
            rows.append((name, len(times), *spread(times)))
        table(rows)

    @staticmethod
    def tell_groups(what, put, worked, good, group_of, names):
        rows = [(what + ", ms of work", "complete", "p50", "p95", "sum")]
        for name in names:
            inside = [document for document in put if group_of(put[document]) == name]
            if inside:
                done = sum(document in good for document in inside)
                rows.append((name, f"{done} of {len(inside)}", *spread([worked.get(i, 0) for i in inside])))
        table(rows)

    # --- providers

    def providers(self):
        p = Providers(self.programs, self.cluster, say)
        good = p.run()
        table([("providers", "figure", "limit", ""), *p.checks])
        return good


    # --- supervisor

    def supervisor(self):
        s = Supervisor(self.programs, self.cluster, say, self.quick)
        good = s.run()
        table([("supervisor", "figure", "limit", ""), *s.checks])
        return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--quick", action="store_true", help="supervisor: fewer deaths, shorter rests")
    p.add_argument("what", nargs="*", default=[])
    o = p.parse_args()
    account.become_subreaper()
    programs, copied = programs_module.place()
    b = Bench(programs, o.runs, o.quick)
    good = True
    try:
        for name in o.what or ["ingest", "hnsw", "chunking", "kill", "memory", "stages", "providers",
                               "supervisor"]:
            good = getattr(b, name)() and good
    finally:
        b.close()
        if copied:
            account.remove_tree(programs)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
