"""control.py - the control socket, spoken by hand

A second reading of the protocol that src/proc/control.h describes (4 bytes of length, then msgpack), so that the
daemon's own client is not the only witness; and quick enough to look at the scoreboard hundreds of times a second.
"""

import socket
import struct

VERSION = 1


class Refused(AssertionError):
    pass


def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        assert 0 <= value < 128
        return bytes([value])
    if isinstance(value, str):
        raw = value.encode()
        assert len(raw) < 32
        return bytes([0xA0 | len(raw)]) + raw
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(pack(v) for v in value)
    assert isinstance(value, dict)
    return bytes([0x80 | len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())


class _Reader:
    SCALARS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h",
               0xD2: ">i", 0xD3: ">q"}

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, n):
        piece = self.raw[self.at:self.at + n]
        assert len(piece) == n, "frame too short"
        self.at += n
        return piece

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, n):
        return self.take(n).decode(errors="replace")  # what a child wrote there is shown as it is

    def array(self, n):
        return [self.value() for _ in range(n)]

    def map(self, n):
        return {self.value(): self.value() for _ in range(n)}

    def value(self):
        tag = self.number(">B")
        if tag < 0x80:
            return tag
        if tag >= 0xE0:
            return tag - 256
        if tag < 0x90:
            return self.map(tag & 15)
        if tag < 0xA0:
            return self.array(tag & 15)
        if tag < 0xC0:
            return self.text(tag & 31)
        if tag in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[tag]
        if tag in self.SCALARS:
            return self.number(self.SCALARS[tag])
        if tag in (0xD9, 0xDA, 0xDB):
            return self.text(self.number({0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}[tag]))
        if tag in (0xDC, 0xDD):
            return self.array(self.number({0xDC: ">H", 0xDD: ">I"}[tag]))
        if tag in (0xDE, 0xDF):
            return self.map(self.number({0xDE: ">H", 0xDF: ">I"}[tag]))
        raise AssertionError(f"unknown msgpack tag {tag:#x}")


def unpack(raw):
    """The one value that raw holds; a left-over byte is a fault."""
    reader = _Reader(raw)
    value = reader.value()
    assert reader.at == len(raw), "left-over bytes"
    return value


def read(connection, n):
    raw = b""
    while len(raw) < n:
        piece = connection.recv(n - len(raw))
        if not piece:
            raise ConnectionError("the daemon hung up")
        raw += piece
    return raw


class Control:
    """A connection; requests may follow each other on it."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.id = 0

    def call(self, verb, **args):
        self.id = self.id % 100 + 1
        frame = pack([VERSION, self.id, verb, args])
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)
        version, number, ok, body = unpack(read(self.socket, struct.unpack(">I", read(self.socket, 4))[0]))
        assert (version, number) == (VERSION, self.id)
        if not ok:
            raise Refused(f"{body['reason']}: {body['message']}")
        return body

    def close(self):
        self.socket.close()


def call(path, verb, **args):
    connection = Control(path)
    try:
        return connection.call(verb, **args)
    finally:
        connection.close()
