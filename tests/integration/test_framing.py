# SPDX-License-Identifier: ISC
"""Headers before datums (payload.framing): checked, stripped from the
archive, kept by the relay, put before decimated datums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import accel
import avro_files
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port

# Of etc/example/accel.avsc, written down by hand.
CANONICAL = (
    '{"name":"example.Acceleration","type":"record","fields":['
    '{"name":"time","type":"long"},{"name":"counter","type":"long"},'
    '{"name":"x","type":"double"},{"name":"y","type":"double"},'
    '{"name":"z","type":"double"},{"name":"temperature","type":"float"},'
    '{"name":"status","type":{"name":"example.Status","type":"enum",'
    '"symbols":["OK","CLIPPED","FAULT"]}}]}')


def fingerprint(text: str) -> bytes:
    """CRC-64-AVRO with a table, as the specification writes it."""
    empty = 0xc15d213aa4d7a795
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ (empty if i & 1 else 0)
        table.append(i)
    crc = empty
    for byte in text.encode():
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xff]
    return crc.to_bytes(8, "little")


SINGLE = b"\xc3\x01" + fingerprint(CANONICAL)
CONFLUENT = b"\x00" + (100_000).to_bytes(4, "big")

FRAMINGS: dict[str, tuple[dict[str, Any], bytes]] = {
    "single-object": ({"framing": "single-object"}, SINGLE),
    "confluent": ({"framing": "confluent", "schema_id": 100_000}, CONFLUENT),
}


def payload(source: Path, name: str) -> dict[str, Any]:
    return {"format": "avro",
            "schema": str(source / "etc/example/accel.avsc")} | \
        FRAMINGS[name][0]


def framed(header: bytes, samples: list[accel.Sample]) -> bytes:
    return b"".join(header + s.encode() for s in samples)


@pytest.mark.parametrize("name", FRAMINGS)
def test_framing(daemon: Daemon, source: Path, name: str) -> None:
    """Datagrams of one and of several framed datums, bad ones between."""
    port = free_port()
    header = FRAMINGS[name][1]
    samples = accel.samples(400)
    good = [framed(header, samples[n:n + 1 + n % 3])
            for n in range(400)]
    one = samples[0].encode()
    other = header[:-1] + bytes([header[-1] ^ 1])
    bad = [one, header, header[:1], other + one, header + one + one,
           header + one[:-1], header + one + other + one, b""]
    sent = good[:200] + bad + good[200:]
    with Receiver() as receiver, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=payload(source, name),
            relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf(),
            decimate=[{"name": "s", "method": "pick", "every": 1}
                      | output("127.0.0.1", view.port)]))
        sender.send(sent)
        ledger = daemon.wait_received("one", len(sent))
        assert ledger["rejected"] == len(bad)
        assert receiver.wait(len(sent)) == sent
        datums = [s for n in range(400) for s in samples[n:n + 1 + n % 3]]
        assert view.wait(len(datums)) == [header + s.encode()
                                          for s in datums]
        daemon.stop()
    stored = avro_files.archived_datums(daemon.archive, "one")
    assert stored == b"".join(s.encode() for s in datums)
    for path in avro_files.files(daemon.archive, "one"):
        assert len(avro_files.by_python(path)) == len(datums)
    rejected = [d.payload
                for path in avro_files.files(daemon.archive, "one", True)
                for d in avro_files.read_datagrams(path)]
    assert rejected == bad


def test_many_in_a_datagram(daemon: Daemon) -> None:
    """Large and small datums by turns, as many as fit: the block's pieces
    suffice."""
    port = free_port()
    (daemon.directory / "bytes.avsc").write_text('"bytes"')
    header = CONFLUENT
    sizes = [512, 3] * 123
    datums = [avro_files.long(n) + bytes([n & 0x7f]) * n for n in sizes]
    tiny = [avro_files.long(0)] * 10_000
    sent = [b"".join(header + d for d in datums)] * 8 + \
        [b"".join(header + d for d in tiny)] * 8
    assert max(map(len, sent)) <= 65507
    daemon.start(channel(
        "one", port, archive=daemon.archive_conf(block_size="64KiB"),
        payload={"format": "avro", "schema": "bytes.avsc",
                 "framing": "confluent", "schema_id": 100_000}))
    with Sender("127.0.0.1", port) as sender:
        sender.send(sent, 200)
        ledger = daemon.wait_received("one", len(sent))
    assert ledger["archived"] == len(sent)
    daemon.stop()
    assert avro_files.archived_datums(daemon.archive, "one") == \
        b"".join(datums) * 8 + b"".join(tiny) * 8


def test_envelope_keeps_headers(daemon: Daemon, source: Path) -> None:
    port = free_port()
    sent = [framed(SINGLE, accel.samples(2, n)) for n in range(50)]
    daemon.start(channel("one", port, payload=payload(
        source, "single-object"),
        archive=daemon.archive_conf(envelope=True)))
    with Sender("127.0.0.1", port) as sender:
        sender.send([*sent, accel.sample(0).encode()])
        assert daemon.wait_received("one", 51)["rejected"] == 1
    daemon.stop()
    assert daemon.payloads("one") == sent
