# SPDX-License-Identifier: ISC
"""mcrelay-cat -f: each record once, in order, whatever happens to the worker
and its files."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

import accel
import avro_files
from avro_files import long
from cat import write
from daemon import Daemon, Programs, channel
from net import Sender, free_port
from test_cat import SYNC, container
from waiting import wait_for

NAME = "one_20261120T21%02d00.000000Z_%d.avro"


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Follower:
    """A mcrelay-cat that follows, and its lines so far."""

    def __init__(self, programs: Programs, *words: str | Path) -> None:
        self.lines: list[bytes] = []
        self.process = subprocess.Popen(
            [str(programs.cat), *map(str, words)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)

    def values(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]

    def wait(self, count: int, deadline_s: float = 20) -> list[Any]:
        wait_for(lambda: len(self.lines) >= count, f"{count} lines",
                 deadline_s, lambda: len(self.lines))
        return self.values()

    def end(self, status: int = 0) -> str:
        assert self.process.stderr
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        said = self.process.stderr.read().decode()
        assert self.process.wait(20) == status, said
        self.thread.join(20)
        return said

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        self.thread.join(20)


def block(numbers: list[int]) -> bytes:
    data = b"".join(map(long, numbers))
    return long(len(numbers)) + long(len(data)) + data + SYNC


def test_grows_byte_by_byte(programs: Programs, tmp_path: Path) -> None:
    """Header and blocks that come in pieces; nothing is shown of a block
    before it is whole, nothing twice."""
    whole = container("long", []) + block([1, 2, 3]) + block([4]) + \
        block(list(range(5, 300)))
    part = tmp_path / (NAME % (1, 0) + ".part")
    part.write_bytes(b"")
    with Follower(programs, "-f", tmp_path) as follower:
        with part.open("ab", buffering=0) as file:
            for at in range(len(whole)):
                file.write(whole[at:at + 1])
        assert follower.wait(299) == list(range(1, 300))
        # Zeros of direct writes are no damage, and finishing is no event.
        with part.open("ab") as file:
            file.write(bytes(4096))
        os.truncate(part, len(whole))
        part.rename(tmp_path / (NAME % (1, 0)))
        (tmp_path / (NAME % (2, 300))).write_bytes(
            container("long", []) + block([300]))
        assert follower.wait(300) == list(range(1, 301))
        assert follower.end() == ""


def test_blocks_taken_back(programs: Programs, tmp_path: Path) -> None:
    """What a successor does, at its worst: cuts the file to where a block
    was, and writes the same records in blocks of other sizes."""
    r = random.Random(11)
    numbers = iter(range(10**9))
    part = tmp_path / (NAME % (1, 0) + ".part")
    header = container("long", [])
    part.write_bytes(header)
    committed: list[bytes] = []
    pending: list[int] = []

    def cut(numbers: list[int]) -> Iterator[bytes]:
        while numbers:
            some = r.randrange(1, len(numbers) + 1)
            yield block(numbers[:some])
            numbers = numbers[some:]

    with Follower(programs, "-f", part) as follower:
        for turn in range(60):
            pending += [next(numbers) for _ in range(r.randrange(1, 40))]
            size = len(header) + sum(map(len, committed))
            os.truncate(part, size)
            blocks = list(cut(pending))
            with part.open("ab") as file:
                file.write(b"".join(blocks))
            if turn % 2:
                follower.wait(pending[-1] + 1)
            # Of what was written some is there to stay.
            keep = r.randrange(len(blocks) + 1)
            committed += blocks[:keep]
            kept = sum(b[0] // 2 if b[0] < 128 else 0 for b in blocks[:keep])
            if any(b[0] >= 128 for b in blocks[:keep]):
                committed[len(committed) - keep:] = []
                kept = 0
            pending = pending[kept:]
        os.truncate(part, len(header) + sum(map(len, committed)))
        with part.open("ab") as file:
            file.write(block(pending + [next(numbers)]))
        last = next(numbers)
        found = follower.wait(last)
        assert found == list(range(last))
        part.rename(tmp_path / (NAME % (1, 0)))
        (tmp_path / (NAME % (2, 1))).write_bytes(header + block([last]))
        assert follower.wait(last + 1) == list(range(last + 1))
        assert follower.end() == ""


def test_damage_is_told_when_final(programs: Programs, tmp_path: Path
                                   ) -> None:
    part = tmp_path / (NAME % (1, 0) + ".part")
    part.write_bytes(container("long", []) + block([1, 2]) +
                     block([3, 4])[:-4])
    with Follower(programs, "-f", tmp_path) as follower:
        assert follower.wait(2) == [1, 2]
        part.rename(tmp_path / (NAME % (1, 0)))
        (tmp_path / (NAME % (2, 1))).write_bytes(
            container("long", []) + block([5]))
        assert follower.wait(5) == [1, 2, 3, 4, 5]
        assert "damaged at offset" in follower.end(1)


def test_count_ends_it(programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / (NAME % (1, 0))
    path.write_bytes(container("long", []) + block([1, 2]))
    with Follower(programs, "-f", "-n", "3", tmp_path) as follower:
        follower.wait(2)
        (tmp_path / (NAME % (2, 1))).write_bytes(
            container("long", []) + block([3, 4]))
        assert follower.process.wait(20) == 0
        assert follower.wait(3) == [1, 2, 3]


def fill(directory: Path, count: int) -> None:
    """Finished files of three records each, and their catalogue."""
    with (directory / "catalog.jsonl").open("w") as catalog:
        for i in range(count):
            name = f"one_20261120T21{i // 60:02}{i % 60:02}.000000Z_{i}.avro"
            (directory / name).write_bytes(
                container("long", []) + block([3 * i, 3 * i + 1, 3 * i + 2]))
            catalog.write(json.dumps({"name": name, "more": "x" * 200}) + "\n")


@pytest.mark.parametrize("changed_s", [0, 10**9])
def test_quiet_directory(programs: Programs, tmp_path: Path, changed_s: int
                         ) -> None:
    """Nothing has happened to it for long: all is shown that is there."""
    fill(tmp_path, 3)
    os.utime(tmp_path, (changed_s, changed_s))
    with Follower(programs, "-f", tmp_path) as follower:
        assert follower.wait(9) == list(range(9))
        assert follower.end() == ""


def test_file_of_the_same_moment(programs: Programs, tmp_path: Path) -> None:
    """One that comes after the directory was listed, by a clock that has not
    moved since the change before: seen when the one followed is finished,
    however late that is."""
    part = tmp_path / (NAME % (1, 0) + ".part")
    part.write_bytes(container("long", []) + block([1]))
    with Follower(programs, "-f", tmp_path) as follower:
        follower.wait(1)
        changed_ns = tmp_path.stat().st_mtime_ns
        (tmp_path / (NAME % (2, 1))).write_bytes(
            container("long", []) + block([3]))
        wait_for(lambda: time.time_ns() > changed_ns + 21 * 10**8,
                 "the change is old")
        with part.open("ab") as file:
            file.write(block([2]))
        follower.wait(2)
        # Not seen by this descriptor before the time is that of before.
        with frozen(follower.process.pid):
            part.rename(tmp_path / (NAME % (1, 0)))
            os.utime(tmp_path, ns=(changed_ns, changed_ns))
        assert follower.wait(3) == [1, 2, 3]
        assert follower.end() == ""


def test_catches_up_in_one_go(programs: Programs, tmp_path: Path) -> None:
    """Many files: their catalogue is not read anew for each."""
    fill(tmp_path, 300)
    os.utime(tmp_path, (10**9, 10**9))
    with Follower(programs, "-f", tmp_path) as follower:
        assert follower.wait(900) == list(range(900))
        counts = Path(f"/proc/{follower.process.pid}/io").read_text()
        assert follower.end() == ""
    read = int(re.findall(r"rchar: (\d+)", counts)[0])
    assert read < 10 * sum(p.stat().st_size for p in tmp_path.iterdir())


def test_reader_goes(programs: Programs, tmp_path: Path) -> None:
    """Nobody reads, and nothing comes: it ends all the same."""
    path = tmp_path / (NAME % (1, 0))
    path.write_bytes(container("long", []) + block([1, 2]))
    with subprocess.Popen([programs.cat, "-f", tmp_path],
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


def test_not_followed(programs: Programs, tmp_path: Path) -> None:
    path = write(tmp_path / "a.avro", "long", [1])
    for words, what in (((path,), "archive"), ((path, path), "one file")):
        done = subprocess.run([programs.cat, "-f", *words], timeout=20,
                              capture_output=True)
        assert done.returncode == 2 and what in done.stderr.decode()


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_kills(daemon: Daemon, codec: str) -> None:
    """A worker that is killed again and again, with files of a few blocks:
    what is followed is what is in the archive at the end, record by record.
    """
    port = free_port()
    r = random.Random(13)
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        codec=codec, rotate={"size": "128KiB"}, block_size="16KiB",
        flush_interval="20ms")))
    with Follower(daemon.programs, "-f", "-F", "sequence,payload",
                  daemon.archive / "one") as follower:
        with Sender("127.0.0.1", port) as sender:
            for turn in range(6):
                worker = daemon.worker_pid("one")
                sender.send((r.randbytes(n % 90 * 7) for n in range(1000)),
                            8000)
                os.kill(worker, signal.SIGKILL)
                daemon.wait_new_worker("one", worker)
            daemon.wait_received("one", 6000)
            wait_for(lambda: daemon.ledger("one")["archived"] == 6000,
                     "all in the archive")
            followed = follower.wait(6000)
        daemon.stop()
        paths = avro_files.files(daemon.archive, "one")
        assert len(paths) > 5
        assert [v["sequence"] for v in followed] == list(range(6000))
        assert follower.end() == ""


def test_kills_of_datums(daemon: Daemon, source: Path) -> None:
    """Datums have no number to tell them by."""
    port = free_port()
    daemon.start(channel("one", port, payload={
        "format": "avro", "schema": str(source / "etc/example/accel.avsc")},
        archive=daemon.archive_conf(
            rotate={"size": "64KiB"}, block_size="8KiB",
            flush_interval="20ms")))
    datagrams = accel.datagrams(1200, 4)
    with Follower(daemon.programs, "-f", "-F", "counter",
                  daemon.archive / "one") as follower:
        with Sender("127.0.0.1", port) as sender:
            for turn in range(6):
                worker = daemon.worker_pid("one")
                sender.send(datagrams[200 * turn:200 * turn + 200], 4000)
                os.kill(worker, signal.SIGKILL)
                daemon.wait_new_worker("one", worker)
            daemon.wait_received("one", 1200)
            followed = follower.wait(4800)
        daemon.stop()
        assert [v["counter"] for v in followed] == list(range(4800))
        assert follower.end() == ""
