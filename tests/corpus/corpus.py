#!/usr/bin/python3
"""corpus.py - makes the corpus of real documents that manifest.tsv describes

    corpus.py packages                    the packages that the manifest names, as name<TAB>version
    corpus.py make UNPACKED DESTINATION   makes every file of the manifest from the unpacked packages
    corpus.py check DESTINATION           compares the files with the manifest, and with what a corpus must have
    corpus.py choose UNPACKED DESTINATION makes manifest.tsv anew from recipe.tsv (for maintainers)

Nobody here wrote the documents: they are Debian's documentation packages, copied, unpacked, joined chapter by chapter,
or converted with pandoc. They are made on the machine that uses them and not kept in the source tree.

A converted file is the same bit for bit wherever the same pandoc makes it: the archives inside DOCX, ODT and EPUB are
written again with fixed dates. When the archive has a newer version of a package, its files differ from the manifest;
that is told as a warning, and what counts then is check: the kinds, sizes and numbers that a corpus must have.
"""

import concurrent.futures
import csv
import glob
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
MANIFEST = os.path.join(HERE, "manifest.tsv")
RECIPE = os.path.join(HERE, "recipe.tsv")
COLUMNS = ["path", "type", "bytes", "sha256", "how", "package", "version", "source", "source_sha256"]
EPOCH = "1700000000"

PDF, HTML, MARKDOWN, TEXT = "application/pdf", "text/html", "text/markdown", "text/plain"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT, EPUB = "application/vnd.oasis.opendocument.text", "application/epub+zip"

# What a corpus must have: (what, at least, how to count it)
MINIMUMS = [
    ("files", 200, lambda f: True),
    ("PDF", 20, lambda f: f.type == PDF),
    ("HTML", 10, lambda f: f.type == HTML),
    ("Markdown", 10, lambda f: f.type == MARKDOWN),
    ("plain text", 10, lambda f: f.type == TEXT),
    ("DOCX or ODT", 10, lambda f: f.type in (DOCX, ODT)),
    ("EPUB", 10, lambda f: f.type == EPUB),
    ("under 100 KB", 50, lambda f: f.bytes < 100_000),
    ("of 100 KB to 1 MB", 50, lambda f: 100_000 <= f.bytes < 1_000_000),
    ("of 1 to 10 MB", 10, lambda f: 1_000_000 <= f.bytes <= 10_000_000),
]
LONG_PDF_PAGES = 200
MAX_TOTAL_BYTES = 80_000_000


class Made:
    """A file of the corpus as it is on disk."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), "rb") as f:
            content = f.read()
        self.bytes = len(content)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.type = sniff(content, path)


def sniff(content, path):
    """The type by the bytes; the name only tells Markdown from plain text."""
    if content.startswith(b"%PDF-"):
        return PDF
    if content.startswith(b"PK\3\4"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if "word/document.xml" in names:
                return DOCX
            if "mimetype" in names:
                return archive.read("mimetype").decode("ascii").strip()
        return "application/zip"
    if b"\0" in content:
        return "application/octet-stream"
    if re.match(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype html|html)", content[:4096], re.I | re.S):
        return HTML
    return MARKDOWN if path.endswith(".md") else TEXT


def sources_of(row, unpacked):
    """The original files, in the order of their names, each of them once."""
    paths = sorted(glob.glob(os.path.join(unpacked, row["package"], row["source"])))
    return [p for p in paths if os.path.isfile(p)]


def hash_of(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            digest.update(f.read())
    return digest.hexdigest()


def join_html(paths):
    """One document of many chapters: the bodies one after the other."""
    parts = [b"<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>"]
    bodies, title = [], None
    for path in paths:
        with open(path, "rb") as f:
            text = f.read().decode("utf-8", errors="replace")
        if title is None:
            found = re.search(r"<title[^>]*>(.*?)</title>", text, re.I | re.S)
            title = found.group(1).strip() if found else "Manual"
        found = re.search(r"<body[^>]*>(.*)</body>", text, re.I | re.S)
        bodies.append((found.group(1) if found else text).encode("utf-8"))
    parts += [title.encode("utf-8"), b"</title></head><body>\n", b"\n".join(bodies), b"\n</body></html>\n"]
    return b"".join(parts)


def join_text(paths):
    parts = []
    for path in paths:
        with open(path, "rb") as f:
            parts.append(f.read())
    return b"\n\n".join(parts)


def pandoc(paths, to, destination):
    """pandoc from HTML; the pictures beside the chapters are found by their relative names."""
    form = {"md": "gfm", "docx": "docx", "odt": "odt", "epub": "epub3"}[to]
    argv = ["pandoc", "--quiet", "--sandbox", "-f", "html", "-t", form, "-s", "-o", destination]
    if to == "epub":
        name = os.path.basename(destination)
        argv = [a for a in argv if a != "--sandbox"]
        argv += ["--metadata", "identifier=docmill-corpus-" + name, "--metadata", "title=" + name[:-5]]
    if to in ("docx", "odt"):
        argv = [a for a in argv if a != "--sandbox"]
    subprocess.run(argv + [os.path.basename(p) for p in paths], cwd=os.path.dirname(paths[0]), check=True,
                   env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"}, timeout=300)
    if to != "md":
        rewrite_archive(destination)


def rewrite_archive(path):
    """The same entries in the same order, with one fixed date."""
    with zipfile.ZipFile(path) as old:
        entries = [(i.filename, old.read(i)) for i in old.infolist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in entries:
            if name in ("meta.xml", "docProps/core.xml") or name.endswith(".opf"):
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z?", b"2023-11-14T22:13:20Z", content)
            info = zipfile.ZipInfo(name, (2023, 11, 14, 22, 13, 20))
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            new.writestr(info, content)


def make_one(row, unpacked, root):
    """Makes one file. The answer is None, or a sentence on why it could not be made."""
    paths = sources_of(row, unpacked)
    if not paths:
        return f"{row['path']}: {row['package']} has no {row['source']}"
    destination = os.path.join(root, row["path"])
    os.makedirs(os.path.dirname(destination), exist_ok=True)
    how = row["how"]
    if how.startswith("pandoc-"):
        pandoc(paths, how[len("pandoc-"):], destination)
        return None
    if how == "copy":
        content = join_text(paths[:1])
    elif how == "gunzip":
        content = gzip.decompress(join_text(paths[:1]))
    elif how == "join-html":
        content = join_html(paths)
    elif how == "join-text":
        content = join_text(paths)
    else:
        raise SystemExit(f"manifest: unknown way {how}")
    with open(destination, "wb") as f:
        f.write(content)
    return None


def read_manifest():
    with open(MANIFEST, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, delimiter="\t"))


def make(rows, unpacked, root):
    """Makes all rows; the sentences of those that could not be made."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [m for m in pool.map(lambda row: make_one(row, unpacked, root), rows) if m]


def pages_of(path):
    told = subprocess.run(["pdfinfo", path], capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"^Pages:\s+(\d+)", told, re.M)
    return int(found.group(1)) if found else 0


def check(root):
    """Prints what differs from the manifest and what is short; the number of shortages."""
    rows = read_manifest()
    present = [row for row in rows if os.path.exists(os.path.join(root, row["path"]))]
    files = [Made(root, row["path"]) for row in present]
    other = [f.path for row, f in zip(present, files) if f.sha256 != row["sha256"]]
    mistyped = [f"{f.path} is {f.type}" for row, f in zip(present, files) if f.type != row["type"]]
    if len(present) < len(rows):
        print(f"warning: {len(rows) - len(present)} of {len(rows)} files could not be made")
    if other:
        print(f"warning: {len(other)} files differ from the manifest (other package versions?): "
              + ", ".join(other[:3]) + (" ..." if len(other) > 3 else ""))
    short = [f"type of {m}" for m in mistyped]
    for what, least, counts in MINIMUMS:
        number = sum(1 for f in files if counts(f))
        if number < least:
            short.append(f"{number} {what}, at least {least} wanted")
    longest = max((pages_of(os.path.join(root, f.path)) for f in files if f.type == PDF), default=0)
    if longest <= LONG_PDF_PAGES:
        short.append(f"the longest PDF has {longest} pages, more than {LONG_PDF_PAGES} wanted")
    total = sum(f.bytes for f in files)
    if total > MAX_TOTAL_BYTES:
        short.append(f"{total} bytes in all, at most {MAX_TOTAL_BYTES} wanted")
    for line in short:
        print("short: " + line)
    print(f"{len(files)} files, {total / 1e6:.1f} MB, longest PDF {longest} pages")
    return len(short)


def choose(unpacked, root):
    """recipe.tsv -> manifest.tsv. A line with {name} in its path means each match; {n} keeps only so many of them."""
    rows, seen = [], set()
    with open(RECIPE, newline="", encoding="utf-8") as f:
        recipe = [r for r in csv.DictReader(f, delimiter="\t") if not r["path"].startswith("#")]
    for line in recipe:
        matches = sources_of(line, unpacked)
        low, high = (int(x) for x in line["sizes"].split("-"))
        if "{name}" not in line["path"]:
            rows.append(line)
            continue
        kept = 0
        fitting = [m for m in matches if low <= os.path.getsize(m) <= high and hash_of([m]) not in seen]
        every = max(1, len(fitting) // int(line["most"]))
        for match in fitting[::every]:
            if kept == int(line["most"]):
                break
            seen.add(hash_of([match]))
            name = re.sub(r"(\.rst)?(\.txt|\.html|\.pdf)?(\.gz)?$", "", os.path.basename(match)).lower()
            rows.append(dict(line, path=line["path"].format(name=re.sub(r"[^a-z0-9._-]", "-", name)),
                             source=os.path.relpath(match, os.path.join(unpacked, line["package"]))))
            kept += 1
    paths = [row["path"] for row in rows]
    faults = [f"two files are called {p}" for p in sorted(set(paths)) if paths.count(p) > 1]
    faults = faults or make(rows, unpacked, root)
    if faults:
        raise SystemExit("\n".join(faults))
    versions = dict(line.split("\t") for line in open(os.path.join(unpacked, "versions"), encoding="utf-8")
                    .read().splitlines())
    with open(MANIFEST, "w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, COLUMNS, delimiter="\t", lineterminator="\n", extrasaction="ignore")
        out.writeheader()
        for row in sorted(rows, key=lambda r: r["path"]):
            made = Made(root, row["path"])
            out.writerow(dict(row, type=made.type, bytes=made.bytes, sha256=made.sha256,
                              version=versions[row["package"]], source_sha256=hash_of(sources_of(row, unpacked))))


def main(argv):
    if argv == ["packages"]:
        pairs = {(row["package"], row["version"]) for row in read_manifest()}
        print("\n".join(f"{name}\t{version}" for name, version in sorted(pairs)))
    elif len(argv) == 3 and argv[0] == "make":
        for fault in make(read_manifest(), argv[1], argv[2]):
            print("warning: " + fault)
    elif len(argv) == 2 and argv[0] == "check":
        return 1 if check(argv[1]) else 0
    elif len(argv) == 3 and argv[0] == "choose":
        choose(argv[1], argv[2])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
