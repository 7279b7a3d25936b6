# SPDX-License-Identifier: ISC
"""Hostile datums through the whole daemon: each is refused for its cause,
relayed as it is, kept aside; what is good stays whole, for two readers."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import avro_files
import readers
from avro_files import long, string
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port

SCHEMA = {
    "type": "record", "name": "Everything", "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "text", "type": "string"},
        {"name": "data", "type": "bytes"},
        {"name": "colour", "type": {
            "type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "numbers", "type": {"type": "array", "items": "long"}},
        {"name": "points", "type": {"type": "array", "items": "double"}},
        {"name": "nothings", "type": {"type": "array", "items": "null"}},
        {"name": "named", "type": {"type": "map", "values": "long"}},
        {"name": "tree", "type": {
            "type": "record", "name": "Tree", "fields": [
                {"name": "kids",
                 "type": {"type": "array", "items": "Tree"}}]}}]}

GOOD = {
    "flag": b"\x01", "small": long(-5), "large": long(1 << 62),
    "text": string("Grüße"), "data": long(2) + b"\xff\x00",
    "colour": long(1), "maybe": long(1) + string("x"),
    # A block with its size, then one without.
    "numbers": long(-2) + long(2) + long(3) + long(4) + long(1) + long(9)
    + long(0),
    "points": long(1) + bytes(8) + long(0),
    "nothings": long(3) + long(0), "named": long(1) + string("k") + long(2)
    + long(0), "tree": long(1) + long(0) + long(0)}

LEAST, MOST = -(1 << 63), (1 << 63) - 1
HUGE = 1 << 62
OVERLONG = b"\xff" * 10 + b"\x01"

# What a field is replaced with, and what comes of it.
BAD: list[tuple[str, bytes, str]] = [
    ("flag", b"\x02", "boolean_range"),
    ("flag", b"\xff", "boolean_range"),
    ("small", long(1 << 31), "int_range"),
    ("small", long(-(1 << 31) - 1), "int_range"),
    ("small", OVERLONG, "int_range"),
    ("large", OVERLONG, "long_range"),
    ("large", b"\xff" * 9 + b"\x02", "long_range"),
    ("text", long(-1), "length"),
    ("text", long(LEAST), "length"),
    ("text", long(HUGE), "short"),
    ("text", long(MOST), "short"),
    ("text", OVERLONG, "long_range"),
    ("text", long(1) + b"\xff", "utf8"),
    ("text", long(2) + b"\xc0\x80", "utf8"),
    ("text", long(3) + b"\xed\xa0\x80", "utf8"),
    ("text", long(4) + b"\xf4\x90\x80\x80", "utf8"),
    ("data", long(-1), "length"),
    ("data", long(HUGE), "short"),
    ("colour", long(2), "enum_range"),
    ("colour", long(-1), "enum_range"),
    ("colour", long(HUGE), "int_range"),
    ("maybe", long(2), "union_range"),
    ("maybe", long(-1), "union_range"),
    ("numbers", long(HUGE), "short"),
    ("numbers", long(LEAST) + long(1), "short"),
    ("numbers", long(-1) + long(HUGE), "short"),
    ("numbers", long(-1) + long(-1), "block_size"),
    ("numbers", long(-1) + long(2) + long(3) + long(0), "block_size"),
    ("numbers", OVERLONG, "long_range"),
    ("points", long(HUGE), "short"),
    ("points", long(1 << 61) + bytes(8), "short"),
    ("points", long(-1) + long(7) + bytes(8) + long(0), "block_size"),
    ("nothings", long(1 << 60), "items"),
    ("nothings", long(LEAST) + long(0), "items"),
    ("nothings", (long(60_000) * 2) + long(0), "items"),
    ("named", long(HUGE), "short"),
    ("named", long(1) + long(-1), "length"),
    ("named", long(1) + string("k")[:-1] + b"\xff" + long(2) + long(0),
     "utf8"),
    ("tree", long(1) * 65 + long(0) * 66, "depth"),
    ("tree", long(1) * 5000, "depth"),
]


def datum(**fields: bytes) -> bytes:
    return b"".join((GOOD | fields).values())


def hostile() -> list[tuple[bytes, str]]:
    good = datum()
    cases = [(datum(**{name: data}), cause) for name, data, cause in BAD]
    cases += [(good[:n], "short") for n in range(1, len(good))]
    cases += [(b"", "empty"), (good + b"\0", "short"),
              (good + good[:-1], "short"), (good + b"\x07", "boolean_range"),
              (b"\xff" * 60_000, "boolean_range")]
    return cases


def start(daemon: Daemon, port: int, relay: Receiver, view: Receiver,
          **more: Any) -> None:
    (daemon.directory / "s.avsc").write_text(json.dumps(SCHEMA))
    daemon.start(channel(
        "one", port, payload={"format": "avro", "schema": "s.avsc"},
        relay=[output("127.0.0.1", relay.port)],
        archive=daemon.archive_conf(**more),
        decimate=[{"name": "s", "method": "pick", "every": 1}
                  | output("127.0.0.1", view.port)]))


def assert_readable(daemon: Daemon, good: list[bytes]) -> None:
    """Ours, and two of others."""
    assert avro_files.archived_datums(daemon.archive, "one") == \
        b"".join(good)
    files = avro_files.files(daemon.archive, "one")
    assert sum(len(avro_files.by_python(f)) for f in files) == len(good)
    assert sum(len(readers.by_avrocat(f)) for f in files) == len(good)


def rejected(daemon: Daemon) -> list[bytes]:
    return [d.payload
            for path in avro_files.files(daemon.archive, "one", True)
            for d in avro_files.read_datagrams(path)]


def test_each(daemon: Daemon) -> None:
    port = free_port()
    cases = hostile()
    good = [datum(small=long(n)) for n in range(len(cases))]
    sent = [d for n, (bad, _) in enumerate(cases) for d in (good[n], bad)]
    with Receiver() as relay, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        start(daemon, port, relay, view)
        sender.send(sent)
        ledger = daemon.wait_received("one", len(sent))
        assert ledger["rejected"] == len(cases)
        assert daemon.status("one")["rejected_by"] == \
            Counter(cause for _, cause in cases)
        shown = daemon.ctl("ledger", "one").stdout
        assert "an enum symbol that does not exist" in shown
        assert relay.wait(len(sent)) == sent
        assert view.wait(len(good)) == good
        pid = daemon.worker_pid("one")
        daemon.stop()
    assert f"process {pid} is ready" in daemon.log()
    assert daemon.log().count("is ready") == 2, "worker and decimator"
    assert_readable(daemon, good)
    assert rejected(daemon) == [bad for bad, _ in cases]


def test_garbage(daemon: Daemon) -> None:
    """Bytes at random, and good datums with some of them changed: most are
    refused, and those that are not are datums for others as well."""
    port = free_port()
    rng = random.Random(4)
    sent = [rng.randbytes(rng.randrange(400)) for _ in range(1000)]
    for _ in range(3000):
        data = bytearray(datum())
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        sent.append(bytes(data))
    with Receiver() as relay, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        start(daemon, port, relay, view, block_size="8KiB")
        sender.send(sent)
        ledger = daemon.wait_received("one", len(sent))
        by = daemon.status("one")["rejected_by"]
        assert sum(by.values()) == ledger["rejected"]
        assert ledger["rejected"] > 1500
        assert relay.wait(len(sent)) == sent
        daemon.stop()
    bad = rejected(daemon)
    assert len(bad) == ledger["rejected"]
    left = Counter(sent) - Counter(bad)
    assert_readable(daemon, [d for d in sent if left[d] > 0])
