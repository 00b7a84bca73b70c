"""test_mock_llamaparse.py - the parsing mock answers, bills, limits and calls back as LlamaParse does"""

import hashlib
import hmac
import json
import shutil
import uuid
from decimal import Decimal

import pytest

from harness.receiver import Receiver

KEY = {"Authorization": "Bearer llx-test-0123456789"}
UPLOAD = "/api/v1/parsing/upload"
TEXT = b"# Title\n\nFirst paragraph of words.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
PAGES = b"one\fzwei\ftrois\f"
TIER = {"tier": "cost_effective", "version": "latest"}


@pytest.fixture(name="llama")
def llama_fixture(mock):
    return mock("llamaparse", "--job-ms", "0")


@pytest.fixture
def hook():
    receiver = Receiver()
    yield receiver
    receiver.close()


def multipart(fields, file=None):
    boundary = "----docmill" + uuid.uuid4().hex
    out = b""
    for name, value in fields:
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    if file:
        name, data, kind = file
        out += (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                f"Content-Type: {kind}\r\n\r\n").encode() + data + b"\r\n"
    return out + f"--{boundary}--\r\n".encode(), {**KEY, "Content-Type": f"multipart/form-data; boundary={boundary}"}


def upload(mock, data=TEXT, name="a.md", headers=None, path=UPLOAD, **fields):
    pairs = [(k, v) for k, vs in fields.items() for v in (vs if isinstance(vs, list) else [vs])]
    body, head = multipart(pairs, (name, data, "text/plain") if data is not None else None)
    answer = mock.request("POST", path, body, {**head, **(headers or {})})
    return answer.status, json.loads(answer.body)


def submit(mock, *args, **more):
    status, body = upload(mock, *args, **more)
    assert status == 200, body
    return body["id"]


def get(mock, path):
    return mock.json("GET", path, None, KEY)


def status_of(mock, job):
    return get(mock, f"/api/v1/parsing/job/{job}")[1]["status"]


def result(mock, job, kind="json"):
    status, body = get(mock, f"/api/v1/parsing/job/{job}/result/{kind}")
    assert status == 200, body
    return body


# ---- jobs and results


def test_upload_status_result(llama):
    status, body = upload(llama, **TIER)
    assert status == 200 and set(body) == {"id", "status", "error_code", "error_message"}
    assert get(llama, f"/api/v1/parsing/job/{body['id']}") == (200, {"id": body["id"], "status": "SUCCESS"})
    markdown = result(llama, body["id"], "markdown")
    assert markdown["markdown"] == TEXT.decode()
    assert set(markdown["job_metadata"]) == {"credits_used", "job_credits_usage", "job_pages",
                                             "job_auto_mode_triggered_pages", "job_is_cache_hit"}
    assert result(llama, body["id"], "text")["text"] == TEXT.decode()
    (page,) = result(llama, body["id"])["pages"]
    assert {"page", "text", "md", "images", "items", "status", "width", "height"} <= set(page) and page["page"] == 1
    assert [i["type"] for i in page["items"]] == ["heading", "text", "table"] and "bBox" in page["items"][0]
    raw = llama.request("GET", f"/api/v1/parsing/job/{body['id']}/result/raw/markdown", None, KEY)
    assert raw.body == TEXT and raw.headers["content-type"].startswith("text/plain")


def test_a_job_takes_its_time(mock):
    llama = mock("llamaparse", "--job-ms", "60000", "--page-ms", "1000")
    job = submit(llama, PAGES)
    assert status_of(llama, job) == "PENDING"
    assert get(llama, f"/api/v1/parsing/job/{job}/result/text")[0] == 404
    llama.advance(62)
    assert status_of(llama, job) == "PENDING"
    llama.advance(1.5)
    assert status_of(llama, job) == "SUCCESS"


def test_pages_targets_and_separators(llama):
    job = submit(llama, PAGES, page_separator="\n=={pageNumber}==\n", page_prefix="<", page_suffix=">")
    assert result(llama, job, "text")["text"] == "<one>\n==2==\n<zwei>\n==3==\n<trois>"
    pages = lambda **p: [x["text"] for x in result(llama, submit(llama, PAGES, **p))["pages"]]
    assert pages(target_pages="0,2") == ["one", "trois"]
    assert pages(target_pages="1-2", max_pages="1") == ["zwei"]


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext is not installed")
def test_the_text_of_a_real_pdf(llama):
    stream = b"BT /F1 24 Tf 72 700 Td (Riverside harvest) Tj ET"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
               b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
               b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    pdf, offsets = b"%PDF-1.4\n", []
    for i, o in enumerate(objects):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (i + 1, o)
    table = b"".join(b"%010d 00000 n \n" % o for o in offsets)
    pdf += b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (table, len(pdf))
    assert "Riverside harvest" in result(llama, submit(llama, pdf, "a.pdf"), "text")["text"]


def test_html_loses_its_tags(llama):
    job = submit(llama, b"<html><body><p>Plain <b>words</b></p></body></html>", "a.html")
    assert result(llama, job, "text")["text"].strip() == "Plain words"


def test_text_made_up_is_the_same_for_the_same_file(mock):
    flags = ("--job-ms", "0", "--generate", "--pages", "4", "--language", "ru", "--tables")
    first, second = (mock("llamaparse", *flags) for _ in range(2))
    one = result(first, submit(first, b"abc"))["pages"]
    assert len(one) == 4 and "| --- |" in one[0]["md"] and "год" in str(one)
    assert one == result(second, submit(second, b"abc"))["pages"]
    assert one != result(first, submit(first, b"abd"))["pages"]


@pytest.mark.parametrize("data,name,code", [
    (b"\x00\x01\x02", "a.bin", "UNSUPPORTED_FILE_TYPE"), (b" \n ", "a.txt", "NO_DATA_FOUND_IN_FILE"),
    (b"%PDF-1.4 /Encrypt", "a.pdf", "PDF_IS_PROTECTED"), (b"%PDF-1.4 rubbish", "a.pdf", "ERROR_DURING_PROCESSING")])
def test_files_that_cannot_be_parsed(llama, data, name, code):
    status, body = get(llama, f"/api/v1/parsing/job/{submit(llama, data, name)}")
    if code == "ERROR_DURING_PROCESSING" and not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not installed")
    assert status == 200 and body["status"] == "ERROR" and body["error_code"] == code and body["error_message"]


def test_a_version_that_is_none(llama):
    job = submit(llama, tier="fast", version="newest")
    assert get(llama, f"/api/v1/parsing/job/{job}")[1]["error_code"] == "INVALID_TIER_VERSION_COMBINATION"


def test_a_job_that_takes_too_long_expires(mock):
    llama = mock("llamaparse", "--job-ms", "600000")
    job = submit(llama, job_timeout_in_seconds="120")
    llama.advance(121)
    assert get(llama, f"/api/v1/parsing/job/{job}")[1]["error_code"] == "EXPIRED"


def test_the_same_file_again_is_a_cache_hit(llama):
    hit = lambda **p: result(llama, submit(llama, **p))["job_metadata"]["job_is_cache_hit"]
    assert [hit(**TIER), hit(**TIER), hit(tier="fast", version="latest"), hit(**TIER, do_not_cache="true")] == [
        False, True, False, False]
    llama.advance(48 * 3600 + 1)
    assert hit(**TIER) is False


# ---- refusals


@pytest.mark.parametrize("status,fields", [
    (400, {"tier": "fast"}), (400, {**TIER, "parse_mode": "parse_page_with_llm"}), (422, {"tier": "slow", "version": "latest"}),
    (422, {"parse_mode": "x"}), (422, {"max_pages": "-1"}), (422, {"target_pages": "1-"}), (422, {"do_not_cache": "maybe"}),
    (422, {"job_timeout_in_seconds": "119"}), (422, {"priority": "now"}), (422, {"webhook_configurations": "{"}),
    (400, {"webhook_url": "ftp://x.test/"}), (422, {"webhook_url": "https://x.test/" + "a" * 200}),
    (200, {"an_unknown_one": "1"}), (200, {"language": ["en", "de"]})])
def test_parameters_are_checked(llama, status, fields):
    got, body = upload(llama, **fields)
    assert got == status, body
    if status == 422:
        assert set(body["detail"][0]) >= {"type", "loc", "msg"}
    if status == 400:
        assert isinstance(body["detail"], str)


def test_nothing_to_parse(llama):
    assert upload(llama, None, **TIER)[0] == 400
    assert upload(llama, b"", **TIER)[0] == 400
    assert llama.request("POST", UPLOAD, b"{}", KEY).status == 400
    assert submit(llama, None, input_url="https://example.org/a.pdf")


def test_a_name_that_is_not_utf8(llama):
    body, head = multipart([], ("NAME.md", TEXT, "text/plain"))
    answer = llama.request("POST", UPLOAD, body.replace(b"NAME", b"\xff\xfe"), head)
    assert answer.status == 200 and llama.journal(UPLOAD)[0]["summary"]["file"] == "??.md"


def test_unknown_jobs_and_paths(llama):
    assert get(llama, f"/api/v1/parsing/job/{uuid.uuid4()}") == (404, {"detail": "Job not found"})
    assert get(llama, "/api/v1/nothing")[0] == 404


def test_keys_and_regions(mock):
    eu, only = mock("llamaparse", "--region", "eu"), mock("llamaparse", "--key", "llx-one")
    assert upload(eu)[0] == 401 and upload(eu, headers={"Authorization": "Bearer llx-eu-abc"})[0] == 200
    assert upload(only)[0] == 401 and upload(only, headers={"Authorization": "Bearer llx-one"})[0] == 200
    assert only.request("GET", "/api/v2/parse").status == 401


def test_fifty_uploads_in_ten_seconds(llama):
    got = [upload(llama)[0] for _ in range(51)]
    assert got == [200] * 50 + [429]
    body, head = multipart([], ("a.md", TEXT, "text/plain"))
    refused = llama.request("POST", UPLOAD, body, head)
    assert refused.status == 429 and not [h for h in refused.headers if "retry" in h or "ratelimit" in h]
    llama.advance(10)
    assert upload(llama)[0] == 200


def test_time_and_limit_are_changed_while_it_runs(llama):
    llama.control("PUT", "/__jobs", {"job_ms": 60000, "upload_limit": 2})
    assert [upload(llama)[0] for _ in range(3)] == [200, 200, 429]
    llama.control("PUT", "/__jobs", {"upload_limit": 0})
    jobs = [submit(llama, b"%d" % i) for i in range(60)]
    assert status_of(llama, jobs[-1]) == "PENDING"


def test_the_free_plan(mock):
    llama = mock("llamaparse", "--free-plan", "--job-ms", "10000")
    jobs = [submit(llama, b"file %d" % i) for i in range(20)]
    assert upload(llama)[0] == 429
    llama.advance(10.5)
    assert [status_of(llama, j) for j in jobs].count("SUCCESS") == 5
    llama.advance(50)
    assert upload(llama)[0] == 200


def test_an_account_without_credits(mock):
    llama = mock("llamaparse", "--job-ms", "0", "--credits", "9")
    submit(llama, PAGES, **TIER)
    assert upload(llama, **TIER) == (402, {"detail": "You've exceeded the maximum number of credits for your plan."})


def test_pages_credits_and_cost(llama):
    submit(llama, PAGES, **TIER)
    submit(llama, PAGES, tier="agentic_plus", version="latest")
    submit(llama, PAGES, **TIER)  # from the cache
    usage = llama.usage()
    assert (usage["jobs"], usage["pages"], usage["cached_pages"], usage["credits"]) == (3, 6, 3, 144.0)
    assert Decimal(usage["cost_usd"]) == Decimal("0.00125") * 144
    assert result(llama, submit(llama, **TIER))["job_metadata"]["credits_used"] == 0


# ---- jobs that end otherwise


@pytest.mark.parametrize("fault,params,status,code", [
    ("job_error", {"code": "SOME_CODE"}, "ERROR", "SOME_CODE"), ("job_cancelled", {}, "CANCELLED", None),
    ("unknown_status", {"status": "ON_HOLD"}, "ON_HOLD", None), ("job_stuck", {}, "PENDING", None)])
def test_faults_of_a_job(llama, fault, params, status, code):
    llama.faults(**{fault: {"count": 1, **params}})
    body = get(llama, f"/api/v1/parsing/job/{submit(llama)}")[1]
    assert body["status"] == status and body.get("error_code") == code
    assert status_of(llama, submit(llama, b"another")) == "SUCCESS"


def test_a_job_that_only_partly_succeeds(llama):
    llama.faults(job_partial={"pages": 2})
    job = submit(llama, PAGES, **TIER)
    assert status_of(llama, job) == "PARTIAL_SUCCESS"
    pages = result(llama, job)["pages"]
    assert [p["status"] for p in pages] == ["OK", "ERROR", "ERROR"] and pages[1]["error"] and pages[0]["text"] == "one"
    assert get(llama, f"/api/v1/parsing/job/{job}")[1]["error_message"] == "2 of 3 pages failed"
    assert llama.usage()["pages"] == 3 and llama.usage()["failed_pages"] == 2


def test_lost_jobs_and_missing_results(llama):
    llama.faults(job_lost={"count": 1}, result_missing={"count": 1}, empty_result={"count": 1, "after": 1})
    lost, job, empty = submit(llama, b"a"), submit(llama, b"b"), submit(llama, b"c")
    assert get(llama, f"/api/v1/parsing/job/{lost}")[0] == 404
    path = f"/api/v1/parsing/job/{job}/result/text"
    assert [get(llama, path)[0] for _ in range(2)] == [404, 200]
    assert (result(llama, job, "text")["text"], result(llama, empty, "text")["text"]) == ("", "c")


def test_a_submission_whose_answer_is_lost_is_a_job(llama):
    llama.faults(drop_after={"count": 1, "path": UPLOAD})
    with pytest.raises(Exception):
        upload(llama)
    assert len(llama.control("GET", "/__jobs")["jobs"]) == 1
    assert [e["summary"]["file"] for e in llama.journal(UPLOAD)] == ["a.md"]


# ---- v2 and files


def test_v2_upload_and_expand(llama):
    configuration = {**TIER, "page_ranges": {"target_pages": "1-2"}}
    status, job = upload(llama, PAGES, path="/api/v2/parse/upload", configuration=json.dumps(configuration))
    assert status == 200 and {"id", "project_id", "status"} <= set(job)
    bare = get(llama, f"/api/v2/parse/{job['id']}")[1]
    assert set(bare) == {"job"} and bare["job"]["status"] == "COMPLETED"
    full = get(llama, f"/api/v2/parse/{job['id']}?expand=markdown&expand=text,items&expand=text_full,usage")[1]
    assert [p["text"] for p in full["text"]["pages"]] == ["one", "zwei"]
    assert full["markdown"]["pages"][1] == {"page_number": 2, "markdown": "zwei", "success": True}
    assert full["items"]["pages"][0]["items"][0]["type"] == "text" and full["text_full"] == "one\n\n---\n\nzwei"
    assert full["job"]["usage"]["credits"] == 6.0


def test_v2_statuses(mock):
    llama = mock("llamaparse", "--job-ms", "10000")
    job = upload(llama, path="/api/v2/parse/upload", configuration=json.dumps(TIER))[1]["id"]
    now = lambda: get(llama, f"/api/v2/parse/{job}")[1]["job"]["status"]
    seen = [now()]
    llama.advance(3)
    seen.append(now())
    assert llama.json("POST", f"/api/v2/parse/{job}/cancel", None, KEY)[0] == 200
    assert seen + [now()] == ["PENDING", "RUNNING", "CANCELLED"]
    llama.faults(job_error={"code": "PDF_IS_PROTECTED"})
    job = upload(llama, b"x", path="/api/v2/parse/upload", configuration=json.dumps(TIER))[1]["id"]
    llama.advance(11)
    assert now() == "FAILED" and "PDF_IS_PROTECTED" in get(llama, f"/api/v2/parse/{job}")[1]["job"]["error_message"]


def test_v2_wants_tier_and_version(llama):
    assert llama.json("POST", "/api/v2/parse", {"tier": "fast", "source_url": "https://x.test/a"}, KEY)[0] == 400
    assert llama.json("POST", "/api/v2/parse", {**TIER, "file_id": "nothing"}, KEY)[0] == 404


def test_files(llama):
    body, head = multipart([("purpose", "parse")], ("b.md", TEXT, "text/markdown"))
    status, file = llama.json("POST", "/api/v1/beta/files", body, head)
    assert status == 200 and file["name"] == "b.md" and file["purpose"] == "parse"
    job = llama.json("POST", "/api/v2/parse", {**TIER, "file_id": file["id"]}, KEY)[1]["id"]
    assert get(llama, f"/api/v2/parse/{job}?expand=markdown_full")[1]["markdown_full"] == TEXT.decode()
    assert [f["id"] for f in get(llama, "/api/v1/beta/files")[1]["items"]] == [file["id"]]
    assert llama.request("DELETE", f"/api/v1/beta/files/{file['id']}", None, KEY).status == 204
    assert get(llama, f"/api/v1/beta/files/{file['id']}")[0] == 404


# ---- webhooks


def configured(hook, **more):
    c = {"webhook_url": hook.url, "webhook_events": ["parse.success", "parse.error", "parse.partial_success"],
         "webhook_headers": {"X-Token": "abc"}, "webhook_output_format": "json", "webhook_signing_secret": "shh"}
    return {"webhook_configurations": json.dumps([{**c, **more}, {"webhook_url": "http://127.0.0.1:1/second"}])}


def signed_right(received, secret=b"shh"):
    return received.headers.get("lc-signature") == "sha256=" + hmac.new(secret, received.body, hashlib.sha256).hexdigest()


def test_an_event_is_thin_signed_and_said_by_headers(llama, hook):
    job = submit(llama, **configured(hook))
    (got,) = hook.wait(1)
    event = json.loads(got.body)
    assert set(event) == {"event_id", "event_type", "timestamp", "data"}
    assert event["event_type"] == "parse.success" and event["data"] == {"id": job, "job_id": job}
    assert got.headers["user-agent"] == "llamaindex-webhook-service/1.0" and got.headers["x-token"] == "abc"
    assert got.headers["x-webhook-event-id"] == event["event_id"]
    assert got.headers["x-webhook-event-type"] == "parse.success" and signed_right(got)


def test_the_default_format_is_a_string_in_json(llama, hook):
    submit(llama, **configured(hook, webhook_output_format=None, webhook_signing_secret=None))
    (got,) = hook.wait(1)
    assert json.loads(json.loads(got.body))["event_type"] == "parse.success" and "lc-signature" not in got.headers


def test_webhook_url_gets_the_result(llama, hook):
    submit(llama, PAGES, webhook_url=hook.url)
    body = json.loads(hook.wait(1)[0].body)
    assert set(body) == {"txt", "md", "json", "images"} and body["json"][1]["text"] == "zwei"


def test_all_events_without_a_choice(llama, hook):
    submit(llama, **configured(hook, webhook_events=None))
    assert sorted(json.loads(r.body)["event_type"] for r in hook.wait(3)) == ["parse.pending", "parse.running",
                                                                             "parse.success"]


def test_a_delivery_is_tried_three_times(llama, hook):
    hook.statuses = [500, 302, 404, 200]
    submit(llama, **configured(hook))
    hook.wait(1)
    llama.wait_for(lambda: llama.control("GET", "/__webhooks")["waiting"])
    llama.advance(1)
    hook.wait(2)
    llama.wait_for(lambda: llama.control("GET", "/__webhooks")["waiting"])
    llama.advance(2)
    hook.wait(3)
    shown = llama.wait_for(lambda: [s for s in [llama.control("GET", "/__webhooks")] if len(s["sent"]) == 3])[0]
    assert [s["status"] for s in shown["sent"]] == [500, 302, 404] and not shown["waiting"]
    assert len({json.loads(r.body)["event_id"] for r in hook.received}) == 1


def test_early_means_before_the_answer(mock, hook):
    llama = mock("llamaparse", "--job-ms", "60000")
    llama.faults(webhook_early=True, delay_more={"ms": 300})
    job = submit(llama, **configured(hook))
    assert len(hook.received) == 1 and status_of(llama, job) == "SUCCESS"


def test_a_cancelled_job_tells_nobody(mock, hook):
    llama = mock("llamaparse", "--job-ms", "60000")
    job = submit(llama, **configured(hook))
    assert llama.control("GET", "/__webhooks")["waiting"]
    assert llama.json("POST", f"/api/v2/parse/{job}/cancel", None, KEY)[1]["status"] == "CANCELLED"
    assert not llama.control("GET", "/__webhooks")["waiting"] and status_of(llama, job) == "CANCELLED"
    assert llama.json("POST", f"/api/v2/parse/{job}/cancel", None, KEY)[0] == 409


def test_lost_late_and_doubled(llama, hook):
    llama.faults(webhook_lost={"count": 1}, webhook_late={"count": 1, "ms": 60000},
                 webhook_doubled={"count": 1, "after": 1})
    submit(llama, b"lost", **configured(hook))
    submit(llama, b"late", **configured(hook))
    submit(llama, b"doubled", **configured(hook))
    twice = hook.wait(2)
    assert len({json.loads(r.body)["event_id"] for r in twice}) == 1
    assert len(llama.control("GET", "/__webhooks")["waiting"]) == 1
    llama.advance(60)
    hook.wait(3)


def test_badly_signed_unsigned_and_malformed(llama, hook):
    llama.faults(webhook_badly_signed={"match": "one"}, webhook_unsigned={"match": "two"},
                 webhook_malformed={"match": "three"})
    for i, word in enumerate((b"one", b"two", b"three")):
        submit(llama, word, **configured(hook))
        hook.wait(i + 1)
    bad, none, broken = hook.received
    assert not signed_right(bad) and bad.headers["lc-signature"] and "lc-signature" not in none.headers
    with pytest.raises(ValueError):
        json.loads(broken.body)
    assert signed_right(broken)


def test_out_of_order_unknown_status_and_unknown_job(llama, hook):
    llama.faults(webhook_out_of_order={"match": "one"}, webhook_unknown_status={"match": "two"},
                 webhook_unknown_job={"match": "three"})
    kinds = lambda: [json.loads(r.body)["event_type"] for r in hook.received]
    submit(llama, b"one", **configured(hook))
    hook.wait(3)
    assert kinds() == ["parse.success", "parse.running", "parse.pending"]
    submit(llama, b"two", **configured(hook))
    hook.wait(4)
    assert kinds()[3] == "parse.archived"
    job = submit(llama, b"three", **configured(hook))
    assert json.loads(hook.wait(5)[4].body)["data"]["job_id"] != job


def test_strict_webhooks(mock):
    llama = mock("llamaparse", "--strict-webhooks")
    assert upload(llama, webhook_url="http://x.test/")[0] == upload(llama, webhook_url="https://10.0.0.1/")[0] == 400
    assert upload(llama, webhook_url="https://x.test/")[0] == 200


# ---- state


def test_jobs_files_and_events_over_a_restart(mock, hook, tmp_path):
    llama = mock("llamaparse", "--job-ms", "60000", state=str(tmp_path / "state.json"))
    job = submit(llama, **TIER, **configured(hook))
    llama.restart()
    assert status_of(llama, job) == "PENDING"
    llama.advance(60)
    assert status_of(llama, job) == "SUCCESS" and result(llama, job, "text")["text"] == TEXT.decode()
    hook.wait(1)
    llama.restart()
    assert llama.usage()["pages"] == 1
    assert submit(llama, b"another") != job
