"""test_plans.py - what the database does for each statement when very many jobs are there (the long version: a million)

The plans are those of the daemon's own statements, as auto_explain writes them into the server's log while the daemon
works on a database with so many jobs: no sequential scan of a table that grows, and no sort, in claim, progress,
list and search - but for the search's own ranking, which is over at most a few dozen candidates, or over the exact
scan that search.exact_limit bounds.
"""

import json
import re
import uuid

import pytest

from harness.account import wait_for

JOBS, MANY_JOBS = 300_000, 1_000_000
USERS = 1000
GROWING = {"upload_jobs", "upload_job_details", "documents", "document_chunks", "document_contents", "vectors_1", "events"}

# The rows are loaded without their indexes, which are made anew as the migration defines them.
FILL = """
SET session_replication_role = replica;
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
CREATE TEMP TABLE made AS SELECT indexdef, indexname FROM pg_indexes
  WHERE schemaname = 'upload_pipeline' AND tablename = 'upload_jobs' AND indexname <> 'upload_jobs_pkey';
DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT * FROM made LOOP EXECUTE 'DROP INDEX upload_pipeline.' || r.indexname; END LOOP;
END $$;
ALTER TABLE upload_pipeline.upload_jobs DROP CONSTRAINT upload_jobs_pkey;
INSERT INTO upload_pipeline.upload_jobs (id, document_id, user_id, fair_key, lane, status, state, chunker, space,
                                         created_at, run_at)
  SELECT gen_random_uuid(), gen_random_uuid(), md5('user' || i % {users})::uuid, i, 1 + i % 2,
         CASE WHEN i % 10 = 0 THEN 1 ELSE 10 END, CASE WHEN i % 10 = 0 THEN 4 ELSE 6 END,
         1, 1, now() - i * interval '1 ms', now() FROM generate_series(1, {jobs}) i;
INSERT INTO upload_pipeline.documents (user_id, document_id, job_id, bytes, sha256, filename, content_type,
                                       live_generation, chunks)
  SELECT user_id, document_id, id, 100, sha256('x'), 'f' || fair_key, 'text/plain', 1, 1
  FROM upload_pipeline.upload_jobs WHERE fair_key % 5 = 1;
INSERT INTO upload_pipeline.upload_job_details (job_id, user_id, correlation)
  SELECT id, user_id, id FROM upload_pipeline.upload_jobs WHERE fair_key % 5 = 1;
DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT * FROM made LOOP EXECUTE r.indexdef; END LOOP;
END $$;
ALTER TABLE upload_pipeline.upload_jobs ADD PRIMARY KEY (id);
"""


def plans_of(log):
    """(statement, plan) of every statement that auto_explain wrote. A message is one entry of several lines."""
    found = []
    for entry in re.split(r"\n(?=\d{4}-\d\d-\d\d )", log):
        at = entry.find("plan:\n")
        if at < 0:
            continue
        try:
            plan = json.loads(entry[at + 6:])
        except json.JSONDecodeError:
            continue
        found.append((plan["Query Text"], plan["Plan"]))
    return found


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def matching(plans, mark):
    return [(text, plan) for text, plan in plans if mark in text]


def assert_no_growing_scan(plans, what):
    assert plans, f"no plan of {what} was seen"
    for text, plan in plans:
        for node in nodes(plan):
            scanned = node["Node Type"] == "Seq Scan" and node.get("Relation Name") in GROWING
            assert not scanned, f"{what} scans {node['Relation Name']}:\n{text}\n{json.dumps(plan, indent=1)[:4000]}"


def assert_no_sort(plans, what):
    for text, plan in plans:
        sorts = [n for n in nodes(plan) if "Sort" in n["Node Type"]]
        assert not sorts, f"{what} sorts:\n{text}\n{json.dumps(plan, indent=1)[:4000]}"


@pytest.mark.parametrize("jobs", [JOBS, pytest.param(MANY_JOBS, marks=pytest.mark.long)])
def test_no_statement_scans_or_sorts_however_many_jobs_there_are(daemon, cluster, jobs):
    d = daemon(start=False, pools=[{"name": "coordinator", "role": "coordinator", "max": 1},
                                   {"name": "api", "role": "api", "max": 1},
                                   {"name": "workers", "role": "worker", "max": 1}])
    d.sql(FILL.format(jobs=jobs, users=USERS))
    d.sql("VACUUM ANALYZE upload_pipeline.upload_jobs")
    d.sql("ANALYZE upload_pipeline.documents, upload_pipeline.upload_job_details")
    name = d.database.name
    for setting in ("session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0",
                    "auto_explain.log_format = 'json'", "auto_explain.log_nested_statements = on"):
        d.sql(f"ALTER DATABASE {name} SET {setting}")
    with open(cluster.directory + "/postgres.log", "rb") as f:
        f.seek(0, 2)
        mark = f.tell()
    d.start()
    ids = []
    for i in range(3):
        answer = d.upload(f"# Plans {i}\n\nThe walrus sat beside the quarry {uuid.uuid4()}.\n".encode(), f"plan{i}.md")
        ids.append(answer.json["document_id"])
    for one in ids:
        wait_for(lambda: d.document(one)["status"] == "complete", 60, "a document among so many to complete")
    assert d.http("GET", "/v1/documents?limit=20").json
    assert d.http("GET", "/v1/jobs?limit=20").status == 200
    assert d.http("GET", "/v1/search?q=walrus+quarry").json["results"]
    d.stop()
    d.keys["embedder.dimension"] = 64  # the leader walks over all documents, a few at a time
    d.start()
    walked = "SELECT walk_user FROM upload_pipeline.collections WHERE next_space IS NOT NULL"
    wait_for(lambda: (d.sql(walked) or [[uuid.UUID(int=0)]])[0][0].int > 0, 60, "the walk to begin")
    fills = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE purpose = 2"
    wait_for(lambda: d.sql(fills)[0][0] > 500, 60, "fill jobs")
    d.stop()
    with open(cluster.directory + "/postgres.log", "rb") as f:
        f.seek(mark)
        log = f.read().decode(errors="replace")
    ours = plans_of("\n".join(["", log]))
    claim = matching(ours, "SKIP LOCKED LIMIT") + matching(ours, "FOR NO KEY UPDATE SKIP LOCKED")
    assert_no_growing_scan(claim, "claim")
    assert_no_sort([c for c in claim if "lane_clock" in c[0]], "claim")
    progress = matching(ours, "INSERT INTO events") + matching(ours, "AS t(id, lease, status), LATERAL")
    assert_no_growing_scan(progress, "progress")
    assert_no_sort([p for p in progress if "from_status, to_status, to_state, hops" in p[0] or "LATERAL" in p[0]], "progress")
    lists = matching(ours, "ORDER BY d.created_at DESC") + matching(ours, "ORDER BY j.created_at DESC")
    assert_no_growing_scan(lists, "list")
    assert_no_sort(lists, "list")
    assert_no_growing_scan(matching(ours, "nearest AS MATERIALIZED"), "search")
    assert_no_growing_scan(matching(ours, "submit_document"), "upload")
    walk = matching(ours, "c.walk_user")
    assert_no_growing_scan(walk, "walk")
    assert_no_sort(walk, "walk")
    leader = matching(ours, "f.purpose = 2") + matching(ours, "u.purpose = 2") + matching(ours, "j.space <> c.live_space")
    assert_no_growing_scan(leader, "filling")
    for mark in ("owner_child <> ALL", "n.incarnation = j.owner_node"):  # claims of the dead: every second or two
        late = matching(ours, mark)
        assert_no_growing_scan(late, mark)
        found = {n.get("Index Name") for _, plan in late for n in nodes(plan)}
        assert found & {"upload_jobs_owner", "upload_jobs_deadline"}, "only what is in hand is looked at"
