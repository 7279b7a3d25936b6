# SPDX-License-Identifier: ISC
"""Avro, as far as the tests need it, independent of mcrelay: an encoder, a
strict container reader, and the same file through readers of others."""

from __future__ import annotations

import json
import os
import re
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import avro.datafile
import avro.io
import pytest

DATAGRAM_SCHEMA = {
    "type": "record", "name": "Datagram", "namespace": "mcrelay", "fields": [
        {"name": "received",
         "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "received_ns", "type": "int"},
        {"name": "sequence", "type": "long"},
        {"name": "source", "type": "string"},
        {"name": "payload", "type": "bytes"}]}


def long(value: int) -> bytes:
    """An int or a long: zigzag, then a varint."""
    n = (value << 1) ^ (value >> 63)
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def float32(value: float) -> bytes:
    return struct.pack("<f", value)


def string(value: str) -> bytes:
    data = value.encode()
    return long(len(data)) + data

DESTINATION_SCHEMA = DATAGRAM_SCHEMA | {"fields": DATAGRAM_SCHEMA["fields"] + [
    {"name": "destination", "type": "string"}]}



class Cursor:
    """Decodes from a byte string; runs off its end with an error."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, size: int) -> bytes:
        assert 0 <= size <= len(self.data) - self.at, "cut short"
        self.at += size
        return self.data[self.at - size:self.at]

    def long(self) -> int:
        data, at = self.data, self.at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7f) << shift
            if byte < 0x80:
                break
            shift += 7
            assert shift < 70, "varint too long"
        self.at = at
        return (n >> 1) ^ -(n & 1)

    def bytes(self) -> bytes:
        return self.take(self.long())

    def double(self) -> float:
        return struct.unpack("<d", self.take(8))[0]

    def float32(self) -> float:
        return struct.unpack("<f", self.take(4))[0]

    def end(self) -> bool:
        return self.at == len(self.data)


@dataclass
class Container:
    schema: Any
    codec: str
    blocks: list[tuple[int, bytes]]     # records, data
    sync: bytes
    meta: dict[str, bytes]

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.blocks)

    @property
    def records(self) -> int:
        return sum(count for count, _ in self.blocks)


def unpack(codec: str, data: bytes) -> bytes:
    """A block's data; the modules of some codecs are optional."""
    if codec == "null":
        return data
    if codec == "deflate":
        return zlib.decompress(data, -15)
    if codec == "snappy":
        snappy = pytest.importorskip("snappy")
        plain = snappy.decompress(data[:-4])
        assert struct.unpack(">I", data[-4:])[0] == zlib.crc32(plain)
        return plain
    assert codec == "zstandard", f"unknown codec {codec}"
    zstandard = pytest.importorskip("zstandard")
    return zstandard.ZstdDecompressor().decompress(data)


def read_container(path: Path, part: bool = False) -> Container:
    """The whole file, or an assertion that says what is wrong with it; of one
    that is being written, up to its last block."""
    c = Cursor(path.read_bytes())
    assert c.take(4) == b"Obj\x01", f"{path}: magic"
    meta: dict[str, bytes] = {}
    while (count := c.long()) != 0:
        if count < 0:
            count = -count
            c.long()
        for _ in range(count):
            key = c.bytes().decode()
            meta[key] = c.bytes()
    sync = c.take(16)
    codec = meta.get("avro.codec", b"null").decode()
    blocks = []
    while not c.end():
        try:
            count = c.long()
            assert count > 0, f"{path}: a block with {count} records"
            data = c.bytes()
            assert c.take(16) == sync, f"{path}: sync marker"
        except AssertionError:
            if part:
                break
            raise
        blocks.append((count, unpack(codec, data)))
    return Container(json.loads(meta["avro.schema"]),
                     codec, blocks, sync, meta)


@dataclass
class Datagram:
    received_ns: int            # since 1970
    sequence: int
    source: str
    payload: bytes
    destination: str | None = None      # of a channel with several inputs


def read_datagrams(path: Path, part: bool = False) -> list[Datagram]:
    """A raw channel's file (or a file of rejected datagrams)."""
    container = read_container(path, part)
    several = container.schema == DESTINATION_SCHEMA
    assert several or container.schema == DATAGRAM_SCHEMA, f"{path}: schema"
    c = Cursor(container.data)
    result = []
    while not c.end():
        micros, rest = c.long(), c.long()
        assert 0 <= rest < 1000, f"{path}: received_ns"
        result.append(Datagram(micros * 1000 + rest, c.long(),
                               c.bytes().decode(), c.bytes(),
                               c.bytes().decode() if several else None))
    assert len(result) == container.records, f"{path}: record count"
    return result


NAME = re.compile(r"(?P<stem>.+)_(?P<start>\d{8}T\d{6}\.\d{6}Z)"
                  r"_(?P<first>\d+)\.avro")


def files(archive: Path, channel: str, rejected: bool = False) -> list[Path]:
    """A channel's finished files in order, their names checked."""
    stem = channel + (".rejected" if rejected else "")
    found = []
    for path in (archive / channel).glob("*.avro"):
        match = NAME.fullmatch(path.name)
        assert match, f"{path.name}: not a name of a finished file"
        assert match["stem"] in (channel, channel + ".rejected"), path.name
        if match["stem"] == stem:
            found.append((match["start"], int(match["first"]), path))
    found.sort()
    return [path for _, _, path in found]


def first_sequence(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    assert match, path.name
    return int(match["first"])


def archived_payloads(archive: Path, channel: str) -> list[bytes]:
    """A raw channel's payloads, all files in a row, sequence checked: it
    rises, and begins anew only with a run of the daemon."""
    result = []
    last = -1
    for path in files(archive, channel):
        datagrams = read_datagrams(path)
        assert datagrams, f"{path}: no records"
        assert first_sequence(path) == datagrams[0].sequence, path.name
        if datagrams[0].sequence == 0:
            last = -1
        for d in datagrams:
            assert d.sequence > last, \
                f"{path}: sequence {d.sequence} after {last}"
            last = d.sequence
            result.append(d.payload)
    return result


def archived_datums(archive: Path, channel: str) -> bytes:
    """An avro channel's datums, all files in a row."""
    return b"".join(read_container(path).data
                    for path in files(archive, channel))


S = TypeVar("S", bound="Spares")


class Spares:
    """The numbers that files have which have been spares (`recycle').  That a
    number comes again alone says nothing: file systems use them again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inodes: set[int] = set()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def look(self) -> None:
        self.inodes.update(entry.inode() for entry
                           in os.scandir(self.directory)
                           if ".spare-" in entry.name)

    def run(self) -> None:
        while not self.ended.wait(0.01):
            self.look()

    def __enter__(self: S) -> S:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.thread.join()
        self.look()


class Collector(Spares):
    """Copies each finished file as soon as it is there."""

    def __init__(self, directory: Path, to: Path) -> None:
        super().__init__(directory)
        self.to = to
        self.copied, self.recycled = 0, 0

    def look(self) -> None:
        super().look()
        for path in sorted(self.directory.glob("one_*.avro")):
            self.copy(path)

    def copy(self, path: Path) -> None:
        if (self.to / path.name).exists():
            return
        try:
            with path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                data = file.read()
        except FileNotFoundError:
            return
        (self.to / path.name).write_bytes(data)
        self.copied += 1
        self.recycled += inode in self.inodes


# A reader that others wrote; more of them are in readers.py.

def by_python(path: Path) -> list[Any]:
    with avro.datafile.DataFileReader(
            path.open("rb"), avro.io.DatumReader()) as reader:
        return list(reader)
