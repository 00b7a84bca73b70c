"""documents.py - makes the documents that the tests feed: good ones, and bad ones of every kind"""

import io
import os
import subprocess
import tempfile
import zipfile

LOREM = ("the quick brown fox jumps over the lazy dog while seven grey herons watch the slow river turn past the mill "
         "and every stone in the water keeps its own small silence").split()


def prose(words, seed=0):
    """Deterministic prose of so many words, wrapped."""
    picked = [LOREM[(i * 7 + seed * 13 + i // 11) % len(LOREM)] for i in range(words)]
    lines = [" ".join(picked[i:i + 14]) for i in range(0, len(picked), 14)]
    return ".\n".join(lines) + ".\n"


def markdown(title, sections=3, words=120, seed=0):
    parts = [f"# {title}\n"]
    for i in range(sections):
        parts.append(f"## Section {i + 1} of {title}\n\n{prose(words, seed + i)}")
    return "\n".join(parts).encode()


def pdf(pages, text="page"):
    """A small, valid PDF; each page says `text` and its number, or nothing if text is None."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>",
               f"<< /Type /Pages /Count {pages} /Kids [" + " ".join(f"{4 + 2 * i} 0 R" for i in range(pages)) + "] >>",
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for i in range(pages):
        said = "" if text is None else f"({text} {i + 1} of this document) Tj"
        stream = f"BT /F1 12 Tf 72 720 Td {said} ET"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R "
                       "/Resources << /Font << /F1 3 0 R >> >> >>")
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for place in places:
        out += f"{place:010d} 00000 n \n".encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def qpdf(arguments, content=None):
    """What qpdf makes of content."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.pdf"), os.path.join(folder, "out.pdf")
        if content is not None:
            with open(source, "wb") as f:
                f.write(content)
        argv = ["qpdf"] + (["--empty"] if content is None else [source]) + arguments + [target]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)
        with open(target, "rb") as f:
            return f.read()


def encrypted_pdf():
    return qpdf(["--encrypt", "secret", "owner", "256", "--"], pdf(2))


def pdf_without_pages():
    return qpdf(["--"])


DOCX_TYPES = ('<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
              '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
              '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
              'wordprocessingml.document.main+xml"/></Types>')
DOCX_RELATIONS = ('<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
                  'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
                  'relationships/officeDocument" Target="word/document.xml"/></Relationships>')
DOCX_HEAD = ('<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
             "<w:body>")
DOCX_TAIL = "</w:body></w:document>"


def docx(paragraphs):
    """paragraphs: an iterable of texts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", DOCX_TYPES)
        archive.writestr("_rels/.rels", DOCX_RELATIONS)
        with archive.open("word/document.xml", "w") as part:
            part.write(DOCX_HEAD.encode())
            for text in paragraphs:
                part.write(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>".encode())
            part.write(DOCX_TAIL.encode())
    return out.getvalue()


def zip_bomb_docx(unpacked_bytes):
    line = "a" * 100_000
    return docx(line for _ in range(unpacked_bytes // len(line)))


def deep_html(levels):
    return b"<html><body>" + b"<div>" * levels + b"bottom" + b"</div>" * levels + b"</body></html>"
