"""parsing.py - the steps that ask LlamaParse: a page by each of its interfaces, and what it refuses"""

import json
import time
import uuid

from ask import NoAnswer, ask, form
from samples import new_word, pdf

POLL_FIRST_S, POLL_CAP_S = 0.5, 5
PENDING = ("PENDING", "RUNNING")
DEAREST = "agentic_plus"
NO_SUCH_TIER = "docmill-no-such-tier"


def call(live, method, path, body=None, headers=None, key=None):
    return ask(method, live.options.llama_url + path, body,
               {"Accept": "application/json", **(headers or {}), "Authorization": f"Bearer {key or live.options.llama_key}"})


def upload(live, path, fields, data, most):
    live.spend.reserve(most)
    answer = call(live, "POST", path, *form(fields, "docmill-live.pdf", data, "application/pdf"))
    if answer.is_refusal:
        live.spend.settle(most, most * 0)
    return answer


def wait_for_end(live, path, compare_pending):
    """The last answer about a job, which names its status as anything but pending."""
    end, wait = time.monotonic() + live.options.wait, POLL_FIRST_S
    while True:
        answer = call(live, "GET", path)
        status = status_of(answer)
        if status not in PENDING:
            return answer, status
        compare_pending(answer)
        if time.monotonic() > end:
            raise NoAnswer(f"the job was still {status} after {live.options.wait} s")
        time.sleep(wait)
        wait = min(wait * 1.5, POLL_CAP_S)


def status_of(answer):
    body = answer.json
    if isinstance(body, dict) and isinstance(body.get("job"), dict):
        body = body["job"]
    return body.get("status") if isinstance(body, dict) else None


def id_of(answer):
    body = answer.json
    if answer.status != 200 or not isinstance(body, dict) or not isinstance(body.get("id"), str):
        raise NoAnswer(f"status {answer.status}, and no job")
    return body["id"]


def settle(live, most, metadata):
    """By the pages that were counted; the service's own count of credits is late."""
    if not isinstance(metadata, dict):
        return
    pages = metadata.get("job_pages")
    if metadata.get("job_is_cache_hit") is True:
        live.differ("a file that is new was answered from the service's memory")
    if isinstance(pages, int):
        live.spend.settle(most, live.options.page_price * pages)
        if pages != 1:
            live.differ(f"counts {pages} pages of a document of one")


def most_of_page(options):
    return options.page_price


def tier_fields(options, tier=None):
    return [("tier", tier or options.tier), ("version", "latest")]


def run_v1(live):
    word, most = new_word(), most_of_page(live.options)
    answer = upload(live, "/api/v1/parsing/upload", tier_fields(live.options), pdf(word), most)
    live.compare("llamaparse/v1_upload", answer, 200)
    job = "/api/v1/parsing/job/" + id_of(answer)
    answer, status = wait_for_end(live, job, lambda a: live.compare("llamaparse/v1_job_pending", a, 200))
    live.compare("llamaparse/v1_job_success", answer, 200)
    if status != "SUCCESS":
        raise NoAnswer(f"the job ended as {status}")
    markdown = call(live, "GET", job + "/result/markdown")
    live.compare("llamaparse/v1_result_markdown", markdown, 200)
    if word.encode() not in markdown.body:
        live.differ("the markdown lacks a word of the page")
    answer = call(live, "GET", job + "/result/json")
    live.compare("llamaparse/v1_result_json", answer, 200)
    settle(live, most, answer.json.get("job_metadata") if isinstance(answer.json, dict) else None)


def run_v2(live):
    word, most = new_word(), most_of_page(live.options)
    configuration = json.dumps(dict(tier_fields(live.options)))
    answer = upload(live, "/api/v2/parse/upload", [("configuration", configuration)], pdf(word), most)
    live.compare("llamaparse/v2_upload", answer, 200)
    job = "/api/v2/parse/" + id_of(answer)
    answer, status = wait_for_end(live, job, lambda a: live.compare("llamaparse/v2_running", a, 200))
    if status != "COMPLETED":
        raise NoAnswer(f"the job ended as {status}")
    answer = call(live, "GET", job + "?expand=markdown&expand=job_metadata&expand=usage")
    live.compare("llamaparse/v2_completed", answer, 200)
    if word.encode() not in answer.body:
        live.differ("the markdown lacks a word of the page")
    settle(live, most, answer.json.get("job_metadata") if isinstance(answer.json, dict) else None)


def most_of_refusals(options):
    return options.page_prices[DEAREST]


def run_refusals(live):
    answer = call(live, "GET", f"/api/v1/parsing/job/{uuid.uuid4()}")
    live.compare("llamaparse/v1_not_found", answer, 404)
    answer = call(live, "GET", f"/api/v1/parsing/job/{uuid.uuid4()}", key="wrong-0123456789abcdef")
    if answer.status != 401:
        live.differ(f"a wrong key: status {answer.status} instead of 401")
    answer = upload(live, "/api/v1/parsing/upload", tier_fields(live.options, NO_SUCH_TIER), pdf(new_word()),
                    most_of_refusals(live.options))
    live.compare("llamaparse/v1_invalid", answer, 422)


def run_encrypted(live):
    answer = upload(live, "/api/v1/parsing/upload", tier_fields(live.options), pdf(new_word(), encrypted=True),
                    most_of_page(live.options))
    live.compare("llamaparse/v1_upload", answer, 200)
    job = "/api/v1/parsing/job/" + id_of(answer)
    answer, _ = wait_for_end(live, job, lambda a: live.compare("llamaparse/v1_job_pending", a, 200))
    live.compare("llamaparse/v1_job_error", answer, 200)
    live.compare_words("llamaparse/v1_job_error", answer, [("status",), ("error_code",)])
