# SPDX-License-Identifier: ISC
"""mcrelay-verify and mcrelay-replay on what mcrelayd has recorded."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import accel
import avro_files
from daemon import Daemon, channel
from net import (IP_RECVTTL, Receiver, Sender, free_port, group_v4,
                 receiving_socket, varied)


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
        words = [str(daemon.programs.replay), *map(str, paths),
                 f"127.0.0.1:{receiver.port}"]
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
                  [daemon.programs.replay, "-q", "-x", "0", *paths,
                   "127.0.0.1:9"]):
        text = on_terminal(*words)
        assert "[####" in text and "%" in text
        assert text.endswith("\r\x1b[K")
        done = subprocess.run([str(w) for w in words], timeout=60,
                              capture_output=True)
        assert done.stderr == b""
