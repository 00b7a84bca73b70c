"""samples.py - the documents that are sent: small PDFs that nobody has sent before

A service answers a file that it has seen from its memory; a word that is new in each makes it work.
"""

import hashlib
import secrets

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def new_word():
    return "mill" + secrets.token_hex(6)


def pdf(word, encrypted=False):
    """One page: a heading and a sentence with the word. Encrypted: it opens only with a password that nobody knows."""
    text = (b"BT /F1 24 Tf 72 700 Td (A test of docmill) Tj ET\n"
            b"BT /F1 12 Tf 72 660 Td (The word of this page is " + word.encode() + b".) Tj ET")
    name = hashlib.md5(word.encode()).digest()
    trailer = b""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>", None,
               b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    if encrypted:
        key, owner = _keys(name)
        text = _rc4(hashlib.md5(key + b"\x04\0\0\0\0").digest()[:10], text)
        objects.append(b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (owner.hex().encode(),
                                                                           _rc4(key, _PADDING).hex().encode()))
        trailer = b"/Encrypt 6 0 R/ID[<%s><%s>]" % ((name.hex().encode(),) * 2)
    objects[3] = b"<</Length %d>>stream\n%s\nendstream" % (len(text), text)
    return _file(objects, trailer)


def _keys(name):
    """PDF's oldest encryption, 40 bits: the key of the file, and its entry for the owner."""
    password = (secrets.token_hex(8).encode() + _PADDING)[:32]
    owner = _rc4(hashlib.md5(password).digest()[:5], password)
    return hashlib.md5(password + owner + (-4).to_bytes(4, "little", signed=True) + name).digest()[:5], owner


def _rc4(key, data):
    s, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + s[i] + key[i % len(key)]) & 255
        s[i], s[j] = s[j], s[i]
    i = j = 0
    for byte in data:
        i = (i + 1) & 255
        j = (j + s[i]) & 255
        s[i], s[j] = s[j], s[i]
        out.append(byte ^ s[(s[i] + s[j]) & 255])
    return bytes(out)


def _file(objects, trailer):
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))
