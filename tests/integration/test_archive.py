# SPDX-License-Identifier: ISC
"""The archive: read by others, rotated, with bad datagrams kept aside."""

from __future__ import annotations

import datetime
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

import accel
import avro_files
from daemon import Daemon, channel, output
from mounts import Mounts
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 numbered, safe_rate)
from no_uring import TO_WRITE, why_not
from waiting import wait_for

# MCRELAY_TEST_LONG=1: each pair of ways to write, for two minutes.
LONG = "MCRELAY_TEST_LONG" in os.environ


def accel_conf(source: Path) -> dict[str, str]:
    return {"format": "avro",
            "schema": str(source / "etc/example/accel.avsc")}


def record_avro(daemon: Daemon, source: Path, count: int = 300
                ) -> tuple[Path, list[accel.Sample]]:
    """An archive file of that many samples."""
    port = free_port()
    daemon.start(channel("one", port, payload=accel_conf(source),
                         archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as sender:
        sender.send(accel.datagrams(count // 3, 3))
        daemon.wait_received("one", count // 3)
    daemon.stop()
    (path,) = avro_files.files(daemon.archive, "one")
    return path, accel.samples(count)


def record_raw(daemon: Daemon) -> tuple[Path, list[bytes], str]:
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as sender:
        sender.send(b"text %d \xe9\n" % n for n in range(300))
        daemon.wait_received("one", 300)
        origin = sender.source
    daemon.stop()
    (path,) = avro_files.files(daemon.archive, "one")
    return path, sender.sent, origin


def micros(value: Any) -> int:
    """python3-avro makes a datetime of a timestamp."""
    if isinstance(value, datetime.datetime):
        delta = value - datetime.datetime.fromtimestamp(
            0, datetime.timezone.utc)
        return delta // datetime.timedelta(microseconds=1)
    return int(value)


def assert_samples(records: list[Any], expected: list[accel.Sample]) -> None:
    got = [accel.Sample(micros(r["time"]), r["counter"], r["x"], r["y"],
                        r["z"], r["temperature"], r["status"])
           for r in records]
    assert got == expected


def in_use(daemon: Daemon, write: str, place: Path | None = None) -> str:
    """How files are written there, when that is asked for."""
    kind = subprocess.run(["stat", "-f", "-c", "%T",
                           str(place or daemon.archive)],
                          check=True, capture_output=True, text=True).stdout
    return write if not write.startswith("direct") or \
        kind.startswith(("ext", "xfs")) else "buffered"


def test_avro_by_python(daemon: Daemon, source: Path) -> None:
    path, expected = record_avro(daemon, source)
    assert_samples(avro_files.by_python(path), expected)


def test_raw_by_python(daemon: Daemon) -> None:
    path, expected, origin = record_raw(daemon)
    records = avro_files.by_python(path)
    assert [r["payload"] for r in records] == expected
    assert {r["source"] for r in records} == {origin}
    assert [micros(r["received"]) * 1000 + r["received_ns"]
            for r in records] == \
        [d.received_ns for d in avro_files.read_datagrams(path)]


CODECS = ["deflate", "snappy", "zstandard"]


def codec_conf(daemon: Daemon, codec: str, **more: Any) -> dict[str, Any]:
    """Skips when the build has no such codec."""
    conf = daemon.archive_conf(codec=codec, **more)
    daemon.write(channel("one", free_port(), archive=conf))
    done = daemon.check()
    if "is missing in this build" in done.stderr:
        pytest.skip(f"built without {codec}")
    return conf


@pytest.mark.parametrize("codec", CODECS)
def test_codec_raw(daemon: Daemon, codec: str) -> None:
    """Blocks of a few kilobytes, files of 64 KiB, read by three readers."""
    port = free_port()
    conf = codec_conf(daemon, codec, block_size="4KiB",
                      rotate={"size": "64KiB"})
    daemon.start(channel("one", port, archive=conf))
    with Sender("127.0.0.1", port) as sender:
        sender.send(b"text %07d " % n * (1 + n % 60) for n in range(4000))
        daemon.wait_received("one", 4000)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent
        paths = avro_files.files(daemon.archive, "one")
        assert len(paths) > 1
        payloads = []
        for path in paths:
            assert avro_files.read_container(path).codec == codec
            payloads += [r["payload"] for r in avro_files.by_python(path)]
        assert payloads == sender.sent


@pytest.mark.parametrize("codec", CODECS)
def test_codec_avro(daemon: Daemon, source: Path, codec: str) -> None:
    """With every other datagram rejected: two compressed files."""
    port = free_port()
    conf = codec_conf(daemon, codec)
    daemon.start(channel("one", port, payload=accel_conf(source),
                         archive=conf))
    good = accel.datagrams(200, 3)
    with Sender("127.0.0.1", port) as sender:
        sender.send(d for g in good for d in (g, b"\xff" * 9))
        assert daemon.wait_received("one", 400)["rejected"] == 200
        daemon.stop()
    (path,) = avro_files.files(daemon.archive, "one")
    assert_samples(avro_files.by_python(path), accel.samples(600))
    (path,) = avro_files.files(daemon.archive, "one", rejected=True)
    assert [d.payload for d in avro_files.read_datagrams(path)] == \
        [b"\xff" * 9] * 200


def test_file_header(daemon: Daemon, source: Path) -> None:
    """The file carries the channel's schema, whole; codec null."""
    path, _ = record_avro(daemon, source)
    container = avro_files.read_container(path)
    with (source / "etc/example/accel.avsc").open() as f:
        assert container.schema == json.load(f)
    assert container.codec == "null"
    assert container.records == 300
    meta = {key: value.decode() for key, value in container.meta.items()
            if key.startswith("mcrelay.")}
    assert meta.pop("mcrelay.version")
    assert meta.pop("mcrelay.listen").startswith("127.0.0.1:")
    assert meta == {
        "mcrelay.channel": "one", "mcrelay.host": socket.gethostname(),
        "mcrelay.first_sequence": "0",
        "mcrelay.started": path.name.split("_")[1],
        "mcrelay.clock": "CLOCK_REALTIME, kernel software"}


def test_name_of_first(daemon: Daemon) -> None:
    """A file's name tells when its first datagram was received, however long
    that has waited to be written."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        flush_interval="1s")))
    with Sender("127.0.0.1", port) as sender:
        for number in range(2):
            sender.send(numbered(5))
            daemon.wait_received("one", 5 * (number + 1))
            daemon.ctl("rotate", "one")
            # What comes before that is done may be in the same file.
            wait_for(lambda: len(avro_files.files(daemon.archive, "one")) ==
                     number + 1, "a file to be finished")
    daemon.stop()
    paths = avro_files.files(daemon.archive, "one")
    assert len(paths) == 2
    for path in paths:
        first = avro_files.read_datagrams(path)[0].received_ns
        whole, micros = divmod(first // 1000, 10**6)
        text = time.strftime("%Y%m%dT%H%M%S", time.gmtime(whole))
        assert path.name.split("_")[1] == f"{text}.{micros:06}Z"


def test_envelope(daemon: Daemon, source: Path) -> None:
    """An avro channel stored as Datagram records; bad ones still apart."""
    port = free_port()
    sent = accel.datagrams(100, 2)
    daemon.start(channel("one", port, payload=accel_conf(source),
                         archive=daemon.archive_conf(envelope=True)))
    with Sender("127.0.0.1", port) as sender:
        sender.send(sent[:50] + [b"bad"] + sent[50:])
        assert daemon.wait_received("one", 101)["rejected"] == 1
    daemon.stop()
    assert daemon.payloads("one") == sent


@pytest.mark.parametrize("envelope", [False, True])
def test_several_inputs(daemon: Daemon, source: Path, envelope: bool) -> None:
    """Records in envelopes, and those of rejected datagrams, say by which
    input each came; the datums of an avro channel are as they are."""
    ports = [free_port(), free_port()]
    sent = accel.datagrams(100, 2)
    daemon.start(channel("one", 1, payload=accel_conf(source),
                         archive=daemon.archive_conf(envelope=envelope))
                 | {"listen": [{"address": "127.0.0.1", "port": port}
                               for port in ports]})
    with Sender("127.0.0.1", ports[0]) as first, \
            Sender("127.0.0.1", ports[1]) as second:
        first.send(sent[:50] + [b"bad"])
        daemon.wait_received("one", 51)
        second.send([b"worse"] + sent[50:])
        assert daemon.wait_received("one", 102)["rejected"] == 2
    daemon.stop()
    ends = [f"127.0.0.1:{port}" for port in ports]
    rejected = [d for path in avro_files.files(daemon.archive, "one", True)
                for d in avro_files.read_datagrams(path)]
    assert [(d.payload, d.destination) for d in rejected] == \
        [(b"bad", ends[0]), (b"worse", ends[1])]
    if not envelope:
        assert avro_files.archived_datums(daemon.archive, "one") == \
            b"".join(sent)
        return
    stored = [d for path in avro_files.files(daemon.archive, "one")
              for d in avro_files.read_datagrams(path)]
    assert [(d.payload, d.destination) for d in stored] == [
        (payload, ends[i >= 50]) for i, payload in enumerate(sent)]


def test_rejected_kept_aside(daemon: Daemon, source: Path) -> None:
    """Half of the traffic is bad: relayed, counted, kept, not mixed in."""
    port = free_port()
    good = accel.datagrams(300, 2)
    one = accel.sample(0).encode()
    shapes = [b"", one[:-1], one + b"\0", b"\xff" * 40, one + one[:5],
              one[:-1] + b"\x06",                   # no such status
              b"\xff" * 10 + b"\x01" + one[9:]]     # a varint of 11 bytes
    bad = [shapes[n % len(shapes)] for n in range(300)]
    mixed = [d for pair in zip(good, bad) for d in pair]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=accel_conf(source),
            relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf()))
        sender.send(mixed)
        ledger = daemon.wait_received("one", 600)
        assert (ledger["archived"], ledger["rejected"]) == (300, 300)
        assert receiver.wait(600) == mixed
        daemon.stop()
        origin = sender.source
    assert avro_files.archived_datums(daemon.archive, "one") == \
        b"".join(good)
    records = [d for path in avro_files.files(daemon.archive, "one", True)
               for d in avro_files.read_datagrams(path)]
    assert [r.payload for r in records] == bad
    assert {r.source for r in records} == {origin}
    # In the channel's own numbering: every second datagram.
    assert [r.sequence - records[0].sequence for r in records] == \
        list(range(0, 600, 2))


@pytest.mark.parametrize("how", [
    "worker HUP", "supervisor USR1", "mcrelayctl rotate CHANNEL",
    "mcrelayctl rotate"])
def test_rotation_on_demand(daemon: Daemon, how: str) -> None:
    """Under load; nothing lost, nothing doubled, all files whole."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    pid = daemon.worker_pid("one")
    with Sender("127.0.0.1", port) as sender:
        # More than what is rotated, so that each file has something.
        thread = SenderThread(sender, numbered(12000, 200), 4000)
        for n in range(1, 6):
            wait_for(lambda: daemon.ledger("one")["archived"] > n * 900,
                     "some archived")
            before = len(avro_files.files(daemon.archive, "one"))
            if how == "worker HUP":
                os.kill(pid, signal.SIGHUP)
            elif how == "supervisor USR1":
                daemon.signal(signal.SIGUSR1)
            else:
                daemon.ctl("rotate", *(["one"] if "CH" in how else []))
            wait_for(lambda: len(avro_files.files(
                daemon.archive, "one")) > before, "one more file")
        thread.join()
        daemon.wait_received("one", 12000)
    assert daemon.worker_pid("one") == pid
    daemon.stop()
    assert len(avro_files.files(daemon.archive, "one")) >= 5
    assert daemon.payloads("one") == sender.sent


def test_rotation_by_size(daemon: Daemon) -> None:
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        block_size="8KiB", rotate={"size": "64KiB", "interval": "1h"})))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(1000, 1000), 8000)
        daemon.wait_received("one", 1000)
    daemon.stop()
    paths = avro_files.files(daemon.archive, "one")
    assert len(paths) >= 10
    assert all(p.stat().st_size <= 2 * 65536 for p in paths)
    assert daemon.payloads("one") == sender.sent


def test_rotation_by_time(daemon: Daemon) -> None:
    """A new file each second; no file without records is left."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        rotate={"interval": "1s"})))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(700, 50), 200)
        daemon.wait_received("one", 700)
    daemon.stop()
    assert len(avro_files.files(daemon.archive, "one")) >= 3
    assert daemon.payloads("one") == sender.sent


def test_blocks_are_bounded(daemon: Daemon) -> None:
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        block_size="16KiB", flush_interval="1h")))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(500, 1000))
        # The last block is not full and an hour is long: it must pend.
        wait_for(lambda: daemon.ledger("one")["archived"] > 450, "blocks")
        wait_for(lambda: daemon.broken_identities("one") == ["pending"],
                 "identities")
    daemon.stop(checks=False)
    blocks = [b for path in avro_files.files(daemon.archive, "one")
              for b in avro_files.read_container(path).blocks]
    assert len(blocks) >= 30
    assert all(len(data) <= 2 * 16384 for _, data in blocks)
    assert daemon.payloads("one") == sender.sent


def cached(path: Path) -> int:
    """Bytes of the file that the page cache has."""
    return int(subprocess.run(["fincore", "-nb", "-o", "RES", str(path)],
                              check=True, capture_output=True).stdout)


@pytest.mark.parametrize("write", ["buffered", "direct", "mmap"])
def test_write(daemon: Daemon, write: str) -> None:
    """Large and small blocks, to the last byte; past the page cache or not."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        write=write, rotate={"size": "3MiB"})))
    with Sender("127.0.0.1", port) as sender:
        for count, size in ((2000, 1400), (7, 20), (1500, 3000), (1, 0)):
            sender.send(numbered(count, size) if size else [b""])
            daemon.wait_received("one", len(sender.sent))
            wait_for(lambda: daemon.ledger("one")["archived"] ==
                     len(sender.sent), "what was sent in the archive")
    daemon.stop()
    files = avro_files.files(daemon.archive, "one")
    share = sum(map(cached, files)) / sum(f.stat().st_size for f in files)
    assert daemon.payloads("one") == sender.sent
    for path in files:
        avro_files.by_python(path)
    if write != "direct":
        assert share > 0.9
    elif in_use(daemon, write) != "direct":
        pytest.skip("no direct I/O there")
    else:
        assert share < 0.6


# Each of them on and off again.
SWITCHES: list[dict[str, Any]] = [
    {"write": "mmap"}, {"write": "direct"}, {"write": "buffered"},
    {"write": "mmap", "recycle": True}, {"recycle": True},
    {"write": "direct", "recycle": True}, {"write": "mmap"}, {},
    {"ring": True, "write": "direct"}, {"ring": True}, {"ring": True,
     "write": "direct", "recycle": True}]


def each_pair(n: int) -> Iterator[int]:
    """From each of them to each other."""
    for one in range(n):
        yield one
        for other in range(one + 1, n):
            yield from (other, one)


if LONG:
    ALL: list[dict[str, Any]] = [
        {"write": write, "recycle": recycle} | ring
        for recycle in (False, True)
        for ring, ways in (({}, ("buffered", "direct", "mmap")),
                           ({"ring": True}, ("buffered", "direct")))
        for write in ways]
    # The first is what it begins with.
    SWITCHES = [ALL[i] for i in each_pair(len(ALL))][1:]


def test_switching(daemon: Daemon, tmp_path: Path) -> None:
    """Reloads under load that choose another way to write, and back: nothing
    is lost, every file is whole, whichever way it was written."""
    port = free_port()
    uring = why_not(daemon.programs, TO_WRITE) == ""
    copies = tmp_path / "copies" / "one"
    copies.mkdir(parents=True)

    def conf(more: dict[str, Any]) -> dict[str, Any]:
        more = dict(more)
        return channel("one", port, listen_receive_buffer="64MiB",
                       io_uring={"enabled": more.pop("ring", False)},
                       archive=daemon.archive_conf(
                           block_size="16KiB", rotate={"size": "256KiB"},
                           retain={"files": 24}) | more)
    daemon.start(conf({}))
    with avro_files.Collector(daemon.archive / "one", copies) as collector:
        with Sender("127.0.0.1", port) as sender:
            load = SenderThread(sender, endless(500), 4000)
            for more in SWITCHES if LONG else SWITCHES * 2:
                old = daemon.worker_pid("one")
                daemon.write(conf(more))
                daemon.ctl("reload")
                daemon.wait_new_worker("one", old)
                check_switched(daemon, collector, more, uring)
            load.end()
            daemon.wait_received("one", len(sender.sent))
            daemon.stop()
    assert avro_files.archived_payloads(copies.parent, "one") == sender.sent
    for path in sorted(copies.iterdir())[::4]:
        avro_files.by_python(path)
    assert not list((daemon.archive / "one").glob("*.part"))


def check_switched(daemon: Daemon, collector: avro_files.Collector,
                   more: dict[str, Any], uring: bool) -> None:
    """What is being written, is as it was asked for; with `recycle' to files
    that were there before."""
    before = daemon.ledger("one")["archived"]
    wait_for(lambda: daemon.ledger("one")["archived"] > before,
             "something archived", 10.0, daemon.log)
    way = more.get("write", "buffered")
    if "ring" in more and uring:
        way += "_io_uring"
    assert daemon.status("one")["io"]["write"] == in_use(daemon, way)
    if more.get("recycle"):
        # The first may have been begun before.
        recycled = collector.recycled
        wait_for(lambda: collector.recycled >= recycled + 2,
                 "files written again", 20.0, daemon.log)
    else:
        wait_for(lambda: not list(collector.directory.glob("one.spare-*")),
                 "no spare", 10.0, daemon.log)
        collector.inodes.clear()


def test_flush_interval(daemon: Daemon) -> None:
    """A single datagram reaches the file without others behind it."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as sender:
        sender.send([b"alone"])
        daemon.wait_received("one", 1)
        (part,) = (daemon.archive / "one").glob("*.avro.part")
        (record,) = avro_files.read_datagrams(part)
        assert record.payload == b"alone"


def test_directory_removed(daemon: Daemon) -> None:
    """The relay goes on; the ledger and the log say what is lost."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf(block_size="4KiB", rotate={
                "size": "64KiB"}), ring_size="256KiB"))
        sender.send(numbered(100, 1000))
        daemon.wait_received("one", 100)
        # It gets its name while we look, and the catalogue its line.
        daemon.wait_log("finished one_")
        for path in (daemon.archive / "one").iterdir():
            path.unlink()
        (daemon.archive / "one").rmdir()
        sender.send(numbered(1000, 1000, 100))
        assert receiver.wait(1100) == sender.sent
        wait_for(lambda: daemon.ledger("one")["archive_shed"] > 0, "shed")
        assert daemon.ledger("one")["archive_errors"] > 0
        assert daemon.broken_identities("one") in ([], ["pending"])
        daemon.wait_log(str(daemon.archive / "one"))
        wait_for(lambda: daemon.ledger("one")["pending"] == 0,
                 "recording in a new one", 10.0, daemon.log)
        daemon.stop(checks=False)


def test_full_disk(daemon: Daemon, mounts: Mounts) -> None:
    """Shed is counted, the relay unharmed; recording resumes."""
    mounts.add(daemon.archive, "size=512k")
    port = free_port()
    rate = safe_rate(0.5, 4000)
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf(block_size="16KiB"),
            ring_size="256KiB"))
        sender.send(numbered(2000, 1000), rate)
        assert receiver.wait(2000) == sender.sent
        shed = wait_for(lambda: daemon.ledger("one")["archive_shed"],
                        "something shed", 20.0, daemon.log)
        assert shed < 2000
        make_room(daemon)
        before = daemon.ledger("one")["archived"]

        def resumed() -> bool:
            sender.send(numbered(1, 100, len(sender.sent)))
            return daemon.ledger("one")["archived"] > before
        wait_for(resumed, "recording resumed", 15.0, daemon.log)
        ledger = daemon.wait_received("one", len(sender.sent))
        assert ledger["archive_errors"] > 0
        assert receiver.wait(len(sender.sent)) == sender.sent
        daemon.stop()


def make_room(daemon: Daemon) -> None:
    """As an operator would: finished files away, a file begun anew."""
    daemon.ctl("rotate", "one")

    def done() -> bool:
        for path in avro_files.files(daemon.archive, "one"):
            avro_files.read_datagrams(path)
            path.unlink()
            return True
        return False
    wait_for(done, "a finished file to remove", 10.0, daemon.log)


@pytest.mark.linux("a socket's drops are not known")
def test_full_disk_block(daemon: Daemon, mounts: Mounts) -> None:
    """on_overrun: block: nothing that was received is shed."""
    mounts.add(daemon.archive, "size=512k")
    port = free_port()
    daemon.start(channel(
        "one", port, listen_receive_buffer="256KiB", archive=daemon
        .archive_conf(block_size="16KiB", on_overrun="block"),
        ring_size="256KiB"))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(2000, 1000), 4000)
        wait_for(lambda: daemon.ledger("one")["archive_errors"],
                 "the disk full", 20.0, daemon.log)
        ledger = daemon.ledger("one")
        assert ledger["received"] < 2000 and ledger["pending"] > 0
        make_room(daemon)
        stored = ledger["archived"]
        ledger = daemon.wait_received("one", 2000)
        assert ledger["archive_shed"] == 0
        assert ledger["kernel_dropped"] > 0
        assert ledger["archived"] == ledger["received"] > stored
    daemon.stop()


def test_left_over(daemon: Daemon) -> None:
    """What a power failure left is finished beside the channel's work."""
    path, expected, _ = record_raw(daemon)
    whole = path.read_bytes()
    path.unlink()
    left = path.with_name("one_20200101T000000.000000Z_0.avro")
    Path(f"{left}.part").write_bytes(whole + whole[:100])
    junk = path.with_name("one_20200101T000001.000000Z_7.avro")
    Path(f"{junk}.part").write_bytes(b"junk")
    daemon.start()
    wait_for(left.exists, "the file to be finished", 10.0, daemon.log)
    wait_for(Path(f"{junk}.bad").exists, "junk set aside", 10.0, daemon.log)
    assert left.read_bytes() == whole
    assert Path(f"{left}.torn").read_bytes() == whole[:100]
    daemon.stop()
    assert [r["payload"] for r in avro_files.by_python(left)] == expected
