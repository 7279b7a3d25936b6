# SPDX-License-Identifier: ISC
"""mcrelay-cat -o pcapng and -o avro: archives for Wireshark, and parts of
archives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import avro_files
from avro_files import long, string
from cat import cat, lines
from daemon import Daemon, Programs, channel
from net import Sender, free_port, varied
from test_cat import DATAGRAM, container

FIELDS = ["frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
          "udp.srcport", "udp.dstport", "ip.checksum.status",
          "udp.checksum.status", "udp.payload"]
GOOD = "1"


def tshark(path: Path, *more: str) -> list[list[str]]:
    """What Wireshark makes of it, checksums and all."""
    if not shutil.which("tshark"):
        pytest.skip("needs tshark: install the Debian package tshark")
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", "-E",
         "separator=|", "-o", "ip.check_checksum:TRUE", "-o",
         "udp.check_checksum:TRUE",
         *[w for f in FIELDS for w in ("-e", f)], *more],
        timeout=120, text=True, capture_output=True,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


def datagram(time_ns: int, number: int, source: str, payload: bytes
             ) -> bytes:
    return (long(time_ns // 1000) + long(time_ns % 1000) + long(number)
            + string(source) + long(len(payload)) + payload)


def archive(path: Path, datagrams: list[bytes], **meta: str) -> Path:
    path.write_bytes(container(
        DATAGRAM, [(len(datagrams), b"".join(datagrams))], **meta))
    return path


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_recorded(daemon: Daemon, tmp_path: Path, address: str) -> None:
    """Payloads of every size as they were, times to the nanosecond, both
    addresses and ports, checksums that are right."""
    port = free_port()
    sent = varied(300)
    daemon.start(channel("one", port, address,
                         archive=daemon.archive_conf()))
    with Sender(address, port) as sender:
        sender.send(sent, 3000)
        daemon.wait_received("one", 300)
    daemon.stop()
    path, = avro_files.files(daemon.archive, "one")
    v6 = ":" in address
    assert avro_files.read_container(path).meta["mcrelay.listen"].decode() \
        == (f"[{address}]:{port}" if v6 else f"{address}:{port}")
    made = tmp_path / "a.pcapng"
    made.write_bytes(cat(daemon.programs, "-o", "pcapng", path))
    packets = tshark(made)
    recorded = avro_files.read_datagrams(path)
    assert len(packets) == len(recorded) == 300
    for packet, record in zip(packets, recorded):
        time, *ends, source_port, to_port, ip_sum, udp_sum, payload = packet
        assert time == "%d.%09d" % divmod(record.received_ns, 10**9)
        assert ends[2 * v6:2 * v6 + 2] == [address, address]
        assert source_port == record.source.rpartition(":")[2]
        assert to_port == str(port)
        assert ip_sum == ("" if v6 else GOOD) and udp_sum == GOOD
        assert bytes.fromhex(payload) == record.payload


def test_hard_ones(programs: Programs, tmp_path: Path) -> None:
    """The largest and the empty datagram, v4 in v6, interfaces, sums that
    are zero, a time before 1970."""
    made = tmp_path / "a.pcapng"
    # A payload whose checksum is 0, which would mean none, is sent as ffff.
    words = 0x0a00 + 1 + 0xef01 + 0x0203 + 17 + 2 * 10 + 1000 + 5
    zero = (0xffff - (words % 0xffff)).to_bytes(2, "big")
    datagrams = [datagram(i, i, "10.0.0.1:1000", p)
                 for i, p in enumerate([b"", b"x" * 65507, zero])]
    path = archive(tmp_path / "a.avro", datagrams,
                   mcrelay_listen="239.1.2.3:5")
    made.write_bytes(cat(programs, "-o", "pcapng", path))
    packets = tshark(made)
    assert len(packets) == len(datagrams)
    assert [p[9] for p in packets] == \
        ["", (b"x" * 65507).hex(), zero.hex()]
    assert made.read_bytes().count(b"\xff\xff" + zero) == 1
    assert {tuple(p[7:9]) for p in packets} == {(GOOD, GOOD)}
    assert {p[2] for p in packets} == {"239.1.2.3"}
    path = archive(tmp_path / "b.avro", [
        datagram(10**18, 0, "[::ffff:10.0.0.9]:7", b"a"),
        datagram(10**18, 1, "[fe80::2%eth9]:8", b"b"),
        datagram(10**18, 2, "nonsense", b"c")],
        mcrelay_listen="[ff02::1%eth1]:5")
    made.write_bytes(cat(programs, "-o", "pcapng", path))
    assert [p[1:7] for p in tshark(made)] == [
        ["10.0.0.9", "0.0.0.0", "", "", "7", "5"],
        ["", "", "fe80::2", "ff02::1", "8", "5"],
        ["", "", "::", "ff02::1", "0", "5"]]
    path = archive(tmp_path / "c.avro", [
        datagram(1, 0, "10.0.0.9:7", b"y" * 65508),
        datagram(-5, 1, "10.0.0.9:7", b"b"),
        datagram(7, 2, "10.0.0.9:7", b"c")], mcrelay_listen="10.0.0.1:5")
    errors: list[str] = []
    made.write_bytes(cat(programs, "-o", "pcapng", path, status=1,
                         errors=errors))
    assert len(errors) == 2 and "datagram 0" in errors[0]
    assert [p[9] for p in tshark(made)] == [b"c".hex()]


def test_destination_unknown(programs: Programs, tmp_path: Path) -> None:
    """An older file: that nobody knows is said, here and in the capture."""
    path = archive(tmp_path / "a.avro", [
        datagram(10**18, 0, "10.0.0.9:7", b"a"),
        datagram(10**18, 1, "[2001:db8::1]:7", b"b")])
    errors: list[str] = []
    made = tmp_path / "a.pcapng"
    made.write_bytes(cat(programs, "-o", "pcapng", path, errors=errors))
    assert "destination of the packets is not known" in errors[0]
    assert b"destination is not known" in made.read_bytes()
    assert [p[1:7] for p in tshark(made)] == [
        ["10.0.0.9", "0.0.0.0", "", "", "7", "0"],
        ["", "", "2001:db8::1", "::", "7", "0"]]
    # Two files, one of which knows: each packet is right, in its section.
    known = archive(tmp_path / "b.avro", [
        datagram(10**18, 0, "10.0.0.9:7", b"c")],
        mcrelay_listen="10.0.0.1:5")
    made.write_bytes(cat(programs, "-o", "pcapng", path, known, errors=[]))
    assert [p[2] for p in tshark(made)] == ["0.0.0.0", "", "10.0.0.1"]


def test_only_datagrams(programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "a.avro"
    path.write_bytes(container("long", [(1, long(1))]))
    errors: list[str] = []
    cat(programs, "-o", "pcapng", path, status=2, errors=errors)
    assert "datagrams" in errors[0]


def test_part_of_an_archive(programs: Programs, tmp_path: Path) -> None:
    """-o avro: the records of a time, in a file that is one like the others
    to mcrelay-verify and to Python."""
    datagrams = [datagram(n * 10**9, n, "10.0.0.1:9", b"%d" % n * 100)
                 for n in range(20000)]
    path = archive(tmp_path / "a.avro", datagrams,
                   mcrelay_listen="[::1]:9")
    made = tmp_path / "b.avro"
    made.write_bytes(cat(programs, "-o", "avro", "-s", "1970-01-01T00:01",
                         "-n", "15000", path))
    assert lines(programs, made) == lines(programs, path)[60:15060]
    assert [d.sequence for d in avro_files.read_datagrams(made)] == \
        list(range(60, 15060))
    subprocess.run([programs.verify, made], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    assert avro_files.read_container(made).meta["mcrelay.listen"] == \
        b"[::1]:9"
    assert len(avro_files.by_python(made)) == 15000
    elsewhere = archive(tmp_path / "c.avro", datagrams[:1],
                        mcrelay_listen="[::1]:8")
    errors: list[str] = []
    cat(programs, "-o", "avro", path, elsewhere, status=2, errors=errors)
    assert "elsewhere" in errors[0]
    path.write_bytes(container("long", [(3, long(1) + long(2) + long(-3))]))
    made.write_bytes(cat(programs, "-o", "avro", path, path))
    assert lines(programs, made) == [1, 2, -3] * 2
