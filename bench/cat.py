#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What mcrelay-cat costs: `bench/cat.py BUILDDIR [MEGABYTES]'.

Makes an archive of raw datagrams of 1400 bytes (random, and texts without a
NUL, which is all that avrocat shows whole) and one of doubles, and turns each
into JSON and CSV, beside avrocat and Python's avro where they are there.  What
counts is processor time, the least of several runs in turn, with the output in
/dev/null: so that other work on the machine changes little.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 5
SYNC = bytes(range(16))
DATAGRAM = json.dumps({
    "type": "record", "name": "Datagram", "namespace": "mcrelay", "fields": [
        {"name": "received", "type": {"type": "long",
                                      "logicalType": "timestamp-micros"}},
        {"name": "received_ns", "type": "int"},
        {"name": "sequence", "type": "long"},
        {"name": "source", "type": "string"},
        {"name": "payload", "type": "bytes"}]})
DOUBLES = json.dumps({"type": "record", "name": "Sample", "fields": [
    {"name": f"c{n}", "type": "double"} for n in range(16)]})


def long(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(data: bytes) -> bytes:
    return long(len(data)) + data


def write(path: Path, schema: str, records: list[bytes], size: int) -> int:
    """Blocks of some 256 KiB, again and again until there is so much;
    returns how many records."""
    each = max(1, (256 << 10) // len(records[0]))
    blocks = []
    for at in range(0, len(records), each):
        some = records[at:at + each]
        data = b"".join(some)
        blocks.append((len(some), long(len(some)) + text(data) + SYNC))
    count = 0
    with path.open("wb") as file:
        file.write(b"Obj\x01" + long(2) + text(b"avro.schema")
                   + text(schema.encode()) + text(b"avro.codec")
                   + text(b"null") + b"\0" + SYNC)
        while file.tell() < size:
            for records_in, block in blocks:
                file.write(block)
                count += records_in
    return count


def datagrams(r: random.Random, printable: bool) -> list[bytes]:
    return [long(1_795_000_000_000_000 + n * 100) + long(n % 1000) + long(n)
            + text(b"10.0.0.1:26000")
            + text(bytes(r.choices(range(97, 123), k=1400)) if printable
                   else r.randbytes(1400)) for n in range(2000)]


def doubles(r: random.Random, digits: int | None) -> list[bytes]:
    """All 53 bits, or what an instrument has that knows so many digits."""
    def value() -> float:
        made = r.uniform(-10, 10)
        return made if digits is None else round(made, digits)
    return [struct.pack("<16d", *(value() for _ in range(16)))
            for _ in range(20000)]


def once(command: list[str]) -> float:
    """Processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime
            - before.ru_utime - before.ru_stime)


def compare(what: str, path: Path, count: int,
            contenders: dict[str, list[str]]) -> None:
    """All in turn, so that what changes on the machine changes for all."""
    size = path.stat().st_size
    least = dict.fromkeys(contenders, float("inf"))
    for _ in range(RUNS):
        for name, command in contenders.items():
            least[name] = min(least[name], once([*command, str(path)]))
    ours = next(iter(least.values()))
    for name, seconds in least.items():
        ratio = f", {seconds / ours:.1f} times as long" \
            if seconds != ours else ""
        print(f"{what:24} {name:16} {count / seconds:12,.0f} records/s "
              f"{size / seconds / 1e6:8.1f} MB/s of input{ratio}",
              flush=True)


def main() -> None:
    build = Path(sys.argv[1])
    size = int(sys.argv[2] if len(sys.argv) > 2 else "64") << 20
    cat = str(build / "mcrelay-cat")
    avrocat = shutil.which("avrocat")
    r = random.Random(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.avro"
        for what, printable in (("raw, random bytes", False),
                                ("raw, text", True)):
            count = write(path, DATAGRAM, datagrams(r, printable), size)
            compare(f"{what}: JSON", path, count, {
                "mcrelay-cat": [cat],
                **({"avrocat": [avrocat]} if avrocat else {})})
        compare("raw, text: bytes", path, count,
                {"mcrelay-cat": [cat, "-o", "raw"]})
        for digits in (None, 3):
            count = write(path, DOUBLES, doubles(r, digits), size)
            named = "doubles" if digits is None else f"doubles, {digits} digits"
            compare(f"{named}: CSV", path, count,
                    {"mcrelay-cat": [cat, "-o", "csv"]})
            compare(f"{named}: JSON", path, count, {
                "mcrelay-cat": [cat],
                **({"avrocat": [avrocat]} if avrocat else {})})


main()
