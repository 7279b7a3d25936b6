# SPDX-License-Identifier: ISC
"""mcrelay-verify and mcrelay-replay on what mcrelayd has recorded."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import accel
import avro_files
from daemon import Daemon, channel
from net import (IP_RECVTTL, Receiver, Sender, free_port, group_v4,
                 receiving_socket, varied)
from no_uring import TO_WRITE, WITHOUT_URING, skip_without, why_not


def run(*words: str | Path, status: int = 0) -> str:
    done = subprocess.run([str(w) for w in words], text=True, timeout=60,
                          capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == status, \
        f"{words}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def record(daemon: Daemon, sent: list[bytes], rate: float = 2000,
           payload: dict[str, str] | None = None, **archive: Any
           ) -> list[Path]:
    port = free_port()
    daemon.start(channel("one", port, payload=payload or {"format": "raw"},
                         archive=daemon.archive_conf(**archive)))
    with Sender("127.0.0.1", port) as sender:
        sender.send(sent, rate)
        daemon.wait_received("one", len(sent))
    daemon.stop()
    return avro_files.files(daemon.archive, "one")


def test_replay_raw(daemon: Daemon) -> None:
    """All sizes, several files, at their own pace: byte for byte."""
    sent = varied(600)
    paths = record(daemon, sent, rotate={"size": "64KiB"})
    assert len(paths) > 1
    first = avro_files.read_datagrams(paths[0])[0].received_ns
    last = avro_files.read_datagrams(paths[-1])[-1].received_ns
    with Receiver() as receiver:
        report = json.loads(run(daemon.programs.replay, "-j", *paths,
                                f"127.0.0.1:{receiver.port}"))
        assert receiver.wait(600) == sent
    assert report["sent"] == 600
    assert report["damaged"] == report["too_large"] == 0
    # However loaded the machine is, it is never early.
    assert report["elapsed_s"] >= (last - first) / 1e9
    assert report["lateness_us"]["max"] >= report["lateness_us"]["p50"]


def test_replay_fast(daemon: Daemon) -> None:
    """Coalesced where sizes allow; what arrives is the same."""
    sent = [b"%04d" % n * (250 if n % 10 else 30) for n in range(2000)]
    paths = record(daemon, sent, 8000)
    with Receiver() as receiver:
        run(daemon.programs.replay, "-q", "-x", "0", *paths,
            f"127.0.0.1:{receiver.port}")
        assert receiver.wait(2000) == sent


def test_replay_datums(daemon: Daemon, source: Path) -> None:
    """Of an avro channel each datum by itself, by its time field (a
    millisecond apart, whenever they were sent)."""
    paths = record(daemon, accel.datagrams(50, 4), payload={
        "format": "avro", "schema": str(source / "etc/example/accel.avsc")})
    with Receiver() as receiver:
        report = json.loads(run(daemon.programs.replay, "-j", *paths,
                                f"127.0.0.1:{receiver.port}"))
        assert receiver.wait(200) == \
            [s.encode() for s in accel.samples(200)]
    assert report["elapsed_s"] >= 0.199


def test_replay_pause(daemon: Daemon, source: Path) -> None:
    """From 1970 to today: it says what it waits for, or does not wait."""
    datums = [replace(accel.sample(n), time=time_us).encode()
              for n, time_us in enumerate((0, 1000, accel.START_US))]
    paths = record(daemon, datums, payload={
        "format": "avro", "schema": str(source / "etc/example/accel.avsc")})
    with Receiver() as receiver:
        words = [str(daemon.programs.replay), "--io", "pread",
                 *map(str, paths), f"127.0.0.1:{receiver.port}"]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL) as process:
            assert process.stderr is not None
            try:
                said = process.stderr.readline()
            finally:
                process.terminate()
        assert "the next record (20261118T" in said, said
        assert re.search(r"due in 179\d{7} s; -m bounds pauses", said), said
        assert receiver.wait(2) == datums[:2]
        run(daemon.programs.replay, "-m", "200ms", *paths, words[-1])
        assert receiver.wait(5)[2:] == datums


def test_replay_session(daemon: Daemon) -> None:
    """Three channels on one clock: what comes is in the order in which it was
    received, whatever the codecs, at the pace it had."""
    ports = [free_port() for _ in range(3)]
    codecs = ["null", "deflate", "zstandard"]
    daemon.start(*(
        channel(name, port, archive=daemon.archive_conf(
            codec=codec, rotate={"size": "256KiB"}))
        for name, port, codec in zip("abc", ports, codecs)))
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
               for _ in ports]
    chance = random.Random(1)
    for number in range(1500):
        lane = chance.randrange(3)
        sockets[lane].sendto(b"%06d" % number + bytes(
            chance.randbytes(chance.randrange(1400))),
            ("127.0.0.1", ports[lane]))
        if number % 20 == 0:
            time.sleep(0.001)
    for each in sockets:
        each.close()
    while sum(daemon.ledger(name)["received"] for name in "abc") < 1500:
        time.sleep(0.01)
    daemon.stop()
    stored = sorted(
        (datagram.received_ns, datagram.payload) for name in "abc"
        for path in avro_files.files(daemon.archive, name)
        for datagram in avro_files.read_datagrams(path))
    with Receiver() as receiver:
        report = json.loads(run(
            daemon.programs.replay, "-j",
            *(f"{daemon.archive / name}=127.0.0.1:{receiver.port}"
              for name in "abc")))
        assert receiver.wait(1500) == [payload for _, payload in stored]
        assert report["sent"] == 1500 and report["damaged"] == 0
        assert report["elapsed_s"] >= (stored[-1][0] - stored[0][0]) / 1e9
        # A part of it, faster, in other sockets; one of them sees nothing.
        with Receiver() as other:
            middle = stored[700][0]
            run(daemon.programs.replay, "-q", "-x", "5", "-s",
                iso(middle), f"{daemon.archive / 'b'}="
                f"127.0.0.1:{receiver.port}",
                f"{daemon.archive / 'c'}=127.0.0.1:{other.port}")
            for sink, name, before in ((receiver, "b", 1500),
                                       (other, "c", 0)):
                expected = [
                    datagram.payload
                    for path in avro_files.files(daemon.archive, name)
                    for datagram in avro_files.read_datagrams(path)
                    if datagram.received_ns >= middle]
                assert 0 < len(expected) < 700
                assert sink.wait(before + len(expected))[before:] == expected


def iso(time_ns: int) -> str:
    whole = datetime.fromtimestamp(time_ns // 10**9, timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09}Z"


def test_replay_session_unreachable(daemon: Daemon) -> None:
    """A channel that goes nowhere, or is not there, leaves the others be."""
    sent = varied(200)
    record(daemon, sent)
    path = daemon.archive / "one"
    with Receiver() as receiver:
        here = f"{path}=127.0.0.1:{receiver.port}"
        report = json.loads(run(daemon.programs.replay, "-j", "-x", "0",
                                f"{path}=255.255.255.255:9", here))
        assert receiver.wait(200) == sent
        assert report["sent"] == report["errors"]["unreachable"] == 200
        done = subprocess.run(
            [str(daemon.programs.replay), "-q", f"{path}x=127.0.0.1:9", here],
            capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 2 and f"{path}x: No such file" in done.stderr
        assert len(receiver.wait(200)) == 200


def test_seek(daemon: Daemon) -> None:
    """What ends before the start is not read: it could be damaged.  Without a
    catalogue, or with a clock that was set, it is, and the same is shown."""
    sent = varied(600)
    paths = record(daemon, sent, rotate={"size": "64KiB"})
    assert len(paths) > 3
    path = daemon.archive / "one"
    cat = daemon.programs.replay.with_name("mcrelay-cat")
    first = avro_files.read_datagrams(paths[-1])[0]
    # An hour before, by the catalogue.
    catalogue = path / "catalog.jsonl"
    lines = [json.loads(line) for line in
             catalogue.read_text().splitlines()]
    for line in lines[:-1]:
        line["last_received"] = "20010101T000000.000000Z"
    paths[0].write_bytes(paths[0].read_bytes()[:-100])

    def write(**more: Any) -> None:
        catalogue.write_text("".join(json.dumps(line | more) + "\n"
                                     for line in lines))

    for start in (iso(first.received_ns), f"seq:{first.sequence}"):
        for more, damaged in (({}, 0), ({"clock_step": 2.5,
                                         "last_sequence": None}, 1)):
            write(**more)
            with Receiver() as receiver:
                run(daemon.programs.replay, "-q", "-s", start, path,
                    f"127.0.0.1:{receiver.port}", status=damaged)
                expected = sent[first.sequence:]
                assert receiver.wait(len(expected)) == expected
            shown = run(cat, "-s", start, "-F", "sequence", path,
                        status=damaged)
            assert [json.loads(line)["sequence"]
                    for line in shown.splitlines()] == \
                list(range(first.sequence, 600))


def test_replay_capture(daemon: Daemon, tmp_path: Path) -> None:
    """A capture is an archive as well, alone and beside one."""
    config = daemon.programs.replay.parent / "config.status"
    if config.exists() and "HAVE_PCAP" not in config.read_text():
        pytest.skip("needs libpcap: install the Debian package libpcap-dev")
    sent = varied(100)
    paths = record(daemon, sent)
    capture = tmp_path / "one.pcapng"
    with capture.open("wb") as out:
        subprocess.run([str(daemon.programs.replay.with_name("mcrelay-cat")),
                        "-o", "pcapng", *map(str, paths)], stdout=out,
                       check=True, timeout=20)
    with Receiver() as receiver:
        run(daemon.programs.replay, "-q", capture,
            f"127.0.0.1:{receiver.port}")
        assert receiver.wait(100) == sent
        run(daemon.programs.replay, "-q",
            f"{capture}=127.0.0.1:{receiver.port}",
            f"{paths[0]}=127.0.0.1:{receiver.port}")
        assert receiver.wait(300)[100:] == \
            [payload for payload in sent for _ in range(2)]


WAYS = "pread", "io_uring", "mmap"


@pytest.mark.parametrize("way,codec,count,each_kib,all_kib", [
    ("pread", "deflate", 200, 64 + 3 + 40, 2048),
    ("pread", "null", 60, 64 + 3, 2048), ("io_uring", "null", 60, 63, 4096),
    ("mmap", "null", 60, 4, 2048)])
def test_replay_thousand(daemon: Daemon, tmp_path: Path, way: str, codec: str,
                         count: int, each_kib: int, all_kib: int) -> None:
    """A thousand channels at once, in memory that is bounded: beside what
    all have together at most 64 KiB of buffer each, what a schema takes, and
    40 KiB of a decompressor in the middle of a block; a map takes none."""
    if way == "io_uring":
        skip_without(why_not(daemon.programs, TO_WRITE))
    payloads = [b"%03d" % n * 450 for n in range(count)]
    (path,) = record(daemon, payloads, 5000, codec=codec, block_size="1MiB")
    words = []
    with Receiver() as receiver:
        for number in range(1000):
            (tmp_path / f"{number}.avro").hardlink_to(path)
            port = receiver.port if number in (0, 500, 999) else 9
            words.append(f"{tmp_path}/{number}.avro=127.0.0.1:{port}")
        with subprocess.Popen(
                [str(daemon.programs.replay), "-j", "--io", way, *words],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            peak = 0
            while process.poll() is None:
                text = Path(f"/proc/{process.pid}/status").read_text()
                found = re.search(r"RssAnon:\s+(\d+) kB", text)
                peak = max(peak, int(found[1]) if found else 0)
                time.sleep(0.05)
            report = json.loads(process.stdout.read())
            assert "read by pread" not in process.stderr.read()
        assert process.returncode == 0
        assert report["sent"] == 1000 * count
        assert receiver.wait(3 * count) == \
            [payload for payload in payloads for _ in range(3)]
    print(way, codec, peak, "KiB")
    makefile = daemon.programs.mcrelayd.with_name("Makefile")
    if "-DINSTRUMENTED" in makefile.read_text():
        each_kib, all_kib = each_kib + 32, all_kib + 14 * 1024
    assert peak < 1000 * each_kib + all_kib


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_ways_to_read(daemon: Daemon, tmp_path: Path, codec: str) -> None:
    """Whole, damaged, cut off, and as one that is being written: each way says
    and sends the same, and one that cannot be had does so with a line."""
    (path,) = record(daemon, varied(300), codec=codec, block_size="64KiB")
    data = bytearray(path.read_bytes())
    part = tmp_path / "cut.avro.part"
    part.write_bytes(data[:-1000])
    del data[len(data) // 2:len(data) // 2 + 40]
    broken = tmp_path / "broken.avro"
    broken.write_bytes(data)
    programs = daemon.programs
    verify = programs.replay.with_name("mcrelay-verify")
    cat = programs.replay.with_name("mcrelay-cat")
    seen = set()
    for way in *WAYS, "forbidden":
        before: list[str] = []
        if way == "forbidden":
            before, way = [sys.executable, "-c", WITHOUT_URING], "io_uring"
        refused = bool(before) or (way == "io_uring" and
                                   why_not(programs, TO_WRITE) != "")
        found = []
        with Receiver() as receiver:
            to = f"127.0.0.1:{receiver.port}"
            for program, *words in (
                    [verify, "-j", "3"], [cat, "-x"],
                    [programs.replay, "-q", "-r", "2000"]):
                done = subprocess.run(
                    [*before, program, *words, "--io", way, path, broken,
                     part, *([to] if program == programs.replay else [])],
                    capture_output=True, text=True, timeout=60)
                lines = done.stderr.splitlines()
                said = [line for line in lines if "read by pread" in line]
                assert len(said) == refused, lines
                found.append((done.returncode, done.stdout,
                              *(set(lines) - set(said))))
            # As many as were shown.
            sent = receiver.wait(found[1][1].count("\n"))
            seen.add((tuple(found), tuple(sent)))
    assert len(seen) == 1
    assert [status for status, *_ in found] == [1, 1, 1]


def test_replay_few_descriptors(daemon: Daemon, tmp_path: Path) -> None:
    """Before anything is sent, and with what to do about it."""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 100; exec "$0" "$@"', daemon.programs.replay,
         *[f"{tmp_path}/{n}=127.0.0.1:9" for n in range(200)]],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "200 channels need 232 open files, and the limit is 100" in \
        done.stderr


def test_replay_group(daemon: Daemon) -> None:
    """To a group, by an interface, with a TTL."""
    sent = varied(50)
    paths = record(daemon, sent)
    group = group_v4()
    with receiving_socket(group, 0, "lo") as receiver:
        receiver.setsockopt(0, IP_RECVTTL, 1)
        receiver.settimeout(10)
        port = receiver.getsockname()[1]
        run(daemon.programs.replay, "-q", "-i", "lo", "-T", "7", *paths,
            f"{group}:{port}")
        for expected in sent:
            data, control, _, _ = receiver.recvmsg(65536, 64)
            assert data == expected
            assert [int.from_bytes(value, "little")
                    for _, _, value in control] == [7]


def test_replay_loop_until_told(daemon: Daemon) -> None:
    """TERM ends it cleanly, with the report."""
    paths = record(daemon, [b"again"] * 10)
    with Receiver() as receiver:
        process = subprocess.Popen(
            [str(daemon.programs.replay), "-j", "-l", "-r", "1000",
             *map(str, paths), f"127.0.0.1:{receiver.port}"],
            stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        try:
            receiver.wait(35)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        assert process.returncode == 0
        assert receiver.wait(json.loads(out)["sent"])[0] == b"again"


def test_verify_archive(daemon: Daemon) -> None:
    """Good files are whole, and what is said of them is true."""
    sent = varied(600)
    paths = record(daemon, sent, rotate={"size": "64KiB"})
    lines = run(daemon.programs.verify, *paths).splitlines()
    assert len(lines) == len(paths)
    for path, line in zip(paths, lines):
        datagrams = avro_files.read_datagrams(path)
        assert line.startswith(f"{path}: whole: {len(datagrams)} records")
        assert f"sequence {datagrams[0].sequence} to " \
            f"{datagrams[-1].sequence}," in line
    # Without one of them, the next says what is missing.
    out = run(daemon.programs.verify, paths[0], *paths[2:])
    gap = avro_files.first_sequence(paths[1])
    end = avro_files.first_sequence(paths[2]) - 1
    assert f"{paths[2]}: sequence {gap} to {end} is neither" in out


def test_verify_is_linear(daemon: Daemon, tmp_path: Path) -> None:
    """What looks like a block again and again costs what is read of it: no
    more than a few times the file."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    [path] = record(daemon, varied(10))
    content = path.read_bytes()
    marker = content[-16:]
    size = 2 << 20
    hostile = tmp_path / "markers.avro"
    hostile.write_bytes(content + size // 16 * marker)
    trace = tmp_path / "strace"
    run("strace", "-qq", "-e", "trace=read,pread64", "-o", trace,
        daemon.programs.verify, hostile, status=1)
    taken = sum(int(n) for n in re.findall(r" = (\d+)$", trace.read_text(),
                                           re.MULTILINE))
    assert size <= taken < 8 * size


def test_verify_and_repair(daemon: Daemon, tmp_path: Path) -> None:
    """Status 1, then a repaired file that is whole."""
    (path,) = record(daemon, varied(300), block_size="8KiB")
    data = bytearray(path.read_bytes())
    damaged = tmp_path / "damaged.avro"
    repaired = tmp_path / "repaired.avro"
    damaged.write_bytes(data[:len(data) - 40])
    out = run(daemon.programs.verify, damaged, status=1)
    assert "damaged in 1 place:" in out
    run(daemon.programs.verify, "-r", repaired, damaged, status=1)
    run(daemon.programs.verify, repaired)
    whole = avro_files.read_datagrams(path)
    kept = avro_files.read_datagrams(repaired)
    assert kept == whole[:len(kept)]
    assert len(whole) - len(kept) <= 2
    # It is there now: never overwritten.
    run(daemon.programs.verify, "-r", repaired, damaged, status=2)
    run(daemon.programs.verify, "/dev/null", status=2)


def on_terminal(*words: str | Path) -> str:
    """What the program writes to a terminal as its standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(w) for w in words], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=theirs,
        env=os.environ | {"TERM": "vt100"})
    os.close(theirs)
    text = b""
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                text += os.read(ours, 65536)
            except OSError:     # it has ended
                break
        assert process.wait(10) == 0
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait(10)
    return text.decode()


def test_progress(daemon: Daemon) -> None:
    """A bar on a terminal, taken away at the end; elsewhere nothing."""
    paths = record(daemon, varied(300), rotate={"size": "64KiB"})
    for words in ([daemon.programs.verify, *paths],
                  [daemon.programs.replay, "--io", "pread", "-q", "-x", "0",
                   *paths, "127.0.0.1:9"]):
        text = on_terminal(*words)
        assert "[####" in text and "%" in text
        assert text.endswith("\r\x1b[K")
        done = subprocess.run([str(w) for w in words], timeout=60,
                              capture_output=True)
        assert done.stderr == b""
