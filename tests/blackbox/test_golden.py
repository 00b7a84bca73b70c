"""test_golden.py - what comes out of fixed documents changes only on purpose

tests/golden/expected.json holds, for the documents in tests/golden/inputs, the hash of the parsed text, every chunk's id
and place, and the answers to some searches. tests/golden/corpus.tsv holds the same, as one hash a file, for the text and
Markdown of the corpus, where that is there (DOCMILL_CORPUS, or build/corpus). `scripts/golden --accept` writes both anew.

The whole corpus is checked here too: whatever was parsed, chunks lose nothing, their offsets are right, the budget is
kept, and the same text gives the same chunks.
"""

import glob
import hashlib
import json
import os
import subprocess

import pytest

from harness.programs import SOURCE, build_dir

GOLDEN = os.path.join(SOURCE, "tests", "golden")
EXPECTED = os.path.join(GOLDEN, "expected.json")
EXPECTED_CORPUS = os.path.join(GOLDEN, "corpus.tsv")
ACCEPT = os.environ.get("DOCMILL_GOLDEN_ACCEPT") == "1"
CHUNK_DUMP = os.path.join(build_dir(), "tests", "tools", "docmill-chunk-dump")
SAMPLE_EVERY = 5  # files of the corpus that the quick suite takes

SEARCHES = [
    "overshot wheel sluice", "damp granary weevils", "ice frost flume", "a schooner at dusk", "oil and wick",
    "tail of ions", "dew on the lens", "period of comet Halley", "what to note of the queen", "swarm in winter",
]
CHUNK_FIELDS = "ord chunk_id byte_start byte_end overlap tokens page heading_path sha256".split()


def inputs():
    return sorted(glob.glob(os.path.join(GOLDEN, "inputs", "*")))


def content_of(path):
    with open(path, "rb") as f:
        return f.read()


def corpus_files(*folders):
    root = os.environ.get("DOCMILL_CORPUS") or os.path.join(SOURCE, "build", "corpus")
    if not os.path.exists(os.path.join(root, ".complete")):
        pytest.skip("there is no corpus (scripts/corpus makes it)")
    return sorted(p for folder in folders for p in glob.glob(f"{root}/{folder}/*"))


def chunk_dump(*arguments):
    done = subprocess.run([CHUNK_DUMP, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def kind_of(path):
    return ["--plain"] if path.endswith(".txt") else []


def as_stored(d, document_id):
    """What the database has of a document: parsed hash and the live generation's chunks."""
    parsed = d.sql("SELECT encode(parsed_sha256, 'hex') FROM upload_pipeline.documents WHERE document_id = %s",
                   (document_id,))[0][0]
    chunks = d.sql("""SELECT c.ord, c.chunk_id::text, c.byte_start, c.byte_end, c.overlap, c.tokens, c.page,
                             c.heading_path, encode(c.sha256, 'hex')
                      FROM upload_pipeline.document_chunks c JOIN upload_pipeline.documents t USING (user_id, document_id)
                      WHERE c.document_id = %s AND c.generation = t.live_generation ORDER BY c.ord""", (document_id,))
    return parsed, [dict(zip(CHUNK_FIELDS, row)) for row in chunks]


def answers(d, names):
    found = {}
    for text in SEARCHES:
        found[text] = [[names[a["document_id"]], a["ord"], f"{a['score']:.4f}"]
                       for a in d.search(text, limit=5)]
    return found


def test_fixed_documents_give_the_golden_chunks_and_answers(daemon):
    d = daemon()
    got, names = {"documents": {}}, {}
    for path in inputs():
        document = d.put(content_of(path), os.path.basename(path))
        assert document["status"] == "complete", document
        names[document["document_id"]] = os.path.basename(path)
        parsed, chunks = as_stored(d, document["document_id"])
        got["documents"][os.path.basename(path)] = {
            "sha256": hashlib.sha256(content_of(path)).hexdigest(), "parsed_sha256": parsed, "chunks": chunks}
    got["answers"] = answers(d, names)
    if ACCEPT:
        with open(EXPECTED, "w", encoding="utf-8") as f:
            json.dump(got, f, indent=1, ensure_ascii=False)
            f.write("\n")
        return
    with open(EXPECTED, encoding="utf-8") as f:
        expected = json.load(f)
    for name, document in expected["documents"].items():
        assert got["documents"].get(name) == document, name
    assert got["documents"].keys() == expected["documents"].keys()
    for text in SEARCHES:
        assert got["answers"][text] == expected["answers"][text], text


def test_a_dump_cuts_what_the_service_stored(daemon):
    """docmill-chunk-dump, by which the corpus is checked, must cut as the worker does."""
    d = daemon()
    for path in [p for p in inputs() if not p.endswith(".html")]:
        document = d.put(content_of(path), os.path.basename(path))
        parsed, chunks = as_stored(d, document["document_id"])
        lines = [line.split("\t") for line in chunk_dump(*kind_of(path), path).splitlines()[1:]]
        assert {line[0] for line in lines} == {parsed}
        assert [[int(n) for n in line[2:8]] for line in lines] == \
            [[c["ord"], c["byte_start"], c["byte_end"], c["overlap"], c["tokens"], c["page"] or 0] for c in chunks]


def golden_line(path):
    """name, SHA-256 of the file, of its normalised text, number of chunks, SHA-256 over all that is said of them."""
    lines = [line.split("\t") for line in chunk_dump(*kind_of(path), path).splitlines()[1:]]
    said = "\n".join("\t".join(line[:-1]) for line in lines).encode()
    return [os.path.basename(path), hashlib.sha256(content_of(path)).hexdigest(), lines[0][0], str(len(lines)),
            hashlib.sha256(said).hexdigest()]


def test_the_corpus_gives_the_golden_chunks():
    files = corpus_files("text", "markdown")
    if ACCEPT:
        with open(EXPECTED_CORPUS, "w", encoding="utf-8") as f:
            f.write("name\tsha256\tparsed_sha256\tchunks\tchunks_sha256\n")
            f.writelines("\t".join(golden_line(path)) + "\n" for path in files)
        return
    with open(EXPECTED_CORPUS, encoding="utf-8") as f:
        expected = {fields[0]: fields for fields in (line.rstrip("\n").split("\t") for line in f)}
    compared = 0
    for path in files:
        fields = expected.get(os.path.basename(path))
        # another version of a documentation package is another text
        if fields is None or fields[1] != hashlib.sha256(content_of(path)).hexdigest():
            continue
        assert golden_line(path) == fields
        compared += 1
    if compared == 0:
        pytest.skip("every file of this corpus is of another version than the golden one")


def test_chunks_of_a_sample_of_the_corpus_hold_what_they_must():
    for path in corpus_files("text", "markdown")[::SAMPLE_EVERY]:
        chunk_dump("--check", *kind_of(path), path)


@pytest.mark.long
def test_chunks_of_the_whole_corpus_hold_what_they_must(daemon):
    """Of every parsed text, whatever its file's type: the parsed blobs of an ingest of the whole corpus."""
    files = corpus_files("*")
    d = daemon()
    for path in files:
        answer = d.upload(content_of(path), os.path.basename(path), timeout=120)
        assert answer.status in (200, 202), (path, answer)
    d.wait_all(1200)
    texts = d.sql("""SELECT filename, encode(parsed_sha256, 'hex'), coalesce(parsed_plain, false)
                     FROM upload_pipeline.documents WHERE parsed_sha256 IS NOT NULL""")
    assert len(texts) == len(files)
    for name, sha256, plain in texts:
        blobs = glob.glob(f"{d.blobs}/**/{sha256}", recursive=True)
        assert blobs, name
        chunk_dump("--check", *(["--plain"] if plain else []), blobs[0])
