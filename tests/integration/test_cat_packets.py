# SPDX-License-Identifier: ISC
"""mcrelay-cat -o pcapng and -o avro: archives for Wireshark, and parts of
archives."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import avro_files
from avro_files import long, string
from cat import cat, lines
from daemon import Daemon, Programs, channel
from net import Receiver, Sender, free_port, varied
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


def captures_read(programs: Programs) -> None:
    """Only if it was built so."""
    config = programs.cat.parent / "config.status"
    if config.exists() and "HAVE_PCAP" not in config.read_text():
        pytest.skip("needs libpcap: install the Debian package libpcap-dev")


@pytest.mark.parametrize("listen", ["239.1.2.3:5", "[::1]:5"])
def test_there_and_back(programs: Programs, tmp_path: Path, listen: str
                        ) -> None:
    """An archive, its capture, and the archive that is made of that."""
    captures_read(programs)
    source = "[2001:db8::1]:9" if "[" in listen else "10.0.0.1:9"
    path = archive(tmp_path / "a.avro", [
        datagram(10**18 + 7 * n, n, source, b"%d" % n * (n % 100))
        for n in range(500)], mcrelay_listen=listen)
    capture = tmp_path / "a.pcapng"
    capture.write_bytes(cat(programs, "-o", "pcapng", path))
    assert lines(programs, capture) == lines(programs, path)
    made = tmp_path / "b.avro"
    made.write_bytes(cat(programs, "-o", "avro", capture))
    assert lines(programs, made) == lines(programs, path)
    assert avro_files.read_container(made).meta["mcrelay.listen"].decode() \
        == listen
    capture.write_bytes(capture.read_bytes()[:-10])
    assert lines(programs, capture, status=1, errors=[]) == \
        lines(programs, path)[:-1]


def pcap(path: Path, link: int, frames: list[bytes]) -> Path:
    """Microseconds, big-endian: what others write."""
    path.write_bytes(struct.pack(">IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535,
                                 link) + b"".join(
        struct.pack(">IIII", 1000 + n, 999999, len(f), len(f)) + f
        for n, f in enumerate(frames)))
    return path


def packet(payload: bytes, fragment: int = 0, protocol: int = 17,
           to: int = 5) -> bytes:
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1,
                       fragment, 9, protocol, 0, bytes([10, 0, 0, 1]),
                       bytes([10, 0, 0, 2])) + struct.pack(
        ">HHHH", 7, to, 8 + len(payload), 0) + payload


def test_frames_of_others(programs: Programs, tmp_path: Path) -> None:
    captures_read(programs)
    ethernet = bytes(12)
    frames = [
        ethernet + b"\x08\0" + packet(b"one") + bytes(15),     # padded
        ethernet + b"\x81\0\0\x05\x08\0" + packet(b"two"),
        ethernet + b"\x08\x06" + bytes(28),                    # ARP
        ethernet + b"\x08\0" + packet(b"tcp", protocol=6),
        ethernet + b"\x08\0" + packet(b""),
    ]
    path = pcap(tmp_path / "a.pcap", 1, frames)
    found = lines(programs, path)
    assert [v["payload"] for v in found] == ["b25l", "dHdv", ""]
    assert [v["received"] for v in found] == [
        1000999999, 1001999999, 1004999999]
    assert {v["source"] for v in found} == {"10.0.0.1:7"}
    assert [v["sequence"] for v in found] == [0, 1, 2]
    # Linux "any" and raw IP.
    pcap(path, 113, [bytes(14) + b"\x08\0" + packet(b"one")])
    assert lines(programs, path)[0]["payload"] == "b25l"
    pcap(path, 101, [packet(b"one"), packet(b"two", to=6)])
    assert len(lines(programs, path)) == 2
    made = tmp_path / "a.avro"
    made.write_bytes(cat(programs, "-o", "avro", path))
    assert "mcrelay.listen" not in avro_files.read_container(made).meta
    # What is not whole is said.
    errors: list[str] = []
    pcap(path, 101, [packet(b"one", 0x2000), packet(b"two")[:-1],
                     packet(b"three"), b"\x60" + bytes(50), b"", b"\x45"])
    assert len(lines(programs, path, status=1, errors=errors)) == 1
    assert "1 fragments" in errors[0] and "1 datagrams" in errors[1]
    pcap(path, 105, [b"radio"])
    cat(programs, path, status=2, errors=[])


def test_damaged_captures(programs: Programs, tmp_path: Path) -> None:
    """Whatever is in it: an end, and no more records than it had."""
    captures_read(programs)
    r = random.Random(17)
    whole = pcap(tmp_path / "a.pcap", 1, [
        bytes(12) + b"\x08\0" + packet(r.randbytes(n)) for n in range(40)
    ]).read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(r.randrange(1, 9)):
            data[r.randrange(24, len(data))] = r.randrange(256)
        path = tmp_path / "b.pcap"
        path.write_bytes(data[:r.randrange(24, len(data))])
        done = subprocess.run([programs.cat, path], timeout=30,
                              capture_output=True)
        assert done.returncode in (0, 1)
        assert done.stdout.count(b"\n") <= 40


def test_several_inputs(daemon: Daemon, tmp_path: Path) -> None:
    """Each packet goes to the input that its datagram came by; what else
    there is reads such records, too."""
    ports = [free_port(), free_port()]
    daemon.start(channel("one", 1, archive=daemon.archive_conf())
                 | {"listen": [
                     {"address": "127.0.0.1", "port": ports[0]},
                     {"address": "::1", "port": ports[1],
                      "interface": "lo"}]})
    ends = [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}%lo"]
    sent = varied(100, 9000)
    with Sender("127.0.0.1", ports[0]) as v4, Sender("::1", ports[1]) as v6:
        for i, payload in enumerate(sent):
            (v4, v6)[i % 3 == 0].send([payload])
            daemon.wait_received("one", i + 1)
    daemon.stop()
    path, = avro_files.files(daemon.archive, "one")
    assert "mcrelay.listen" not in avro_files.read_container(path).meta
    recorded = avro_files.read_datagrams(path)
    assert [r.payload for r in recorded] == sent
    assert [r.destination for r in recorded] == [
        ends[i % 3 == 0] for i in range(100)]
    assert [r["destination"] for r in avro_files.by_python(path)] == [
        r.destination for r in recorded]
    assert [r["destination"] for r in lines(daemon.programs, path)] == [
        r.destination for r in recorded]
    head = cat(daemon.programs, "-o", "hex", path).decode().splitlines()[0]
    assert f'"{ends[1]}"' in head
    part = tmp_path / "part.avro"
    part.write_bytes(cat(daemon.programs, "-o", "avro", "-n", "10", path))
    assert [r.destination for r in avro_files.read_datagrams(part)] == [
        r.destination for r in recorded[:10]]
    done = subprocess.run([str(daemon.programs.verify), str(path)],
                          timeout=60, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    with Receiver() as sink:
        subprocess.run([str(daemon.programs.replay), "-q", "-r", "1000",
                        str(path), f"127.0.0.1:{sink.port}"], timeout=60,
                       check=True, stdin=subprocess.DEVNULL)
        assert sink.wait(100) == sent
    made = tmp_path / "a.pcapng"
    made.write_bytes(cat(daemon.programs, "-o", "pcapng", path))
    for packet, record in zip(tshark(made), recorded, strict=True):
        assert record.destination is not None
        v6_packet = record.destination == ends[1]
        assert packet[1 + 2 * v6_packet:3 + 2 * v6_packet] == \
            ["::1" if v6_packet else "127.0.0.1"] * 2
        assert packet[6] == str(ports[v6_packet])
        assert packet[8] == GOOD
        assert bytes.fromhex(packet[9]) == record.payload
