# SPDX-License-Identifier: ISC
"""mcrelayctl events: what happens is told, in order, to whoever follows; who
does not read is told how much it missed, and costs nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import Daemon, answers_s, channel
from manager import Manager
from net import Namespace, Sender, free_port, numbered
from waiting import wait_for

# supervisor/control_follow.c
FOLLOWERS = 16
# supervisor/follow.c
LOOKED_AT = 256
# tools/ctl/events.c
VAIN = 5
# common/finished.h
LINES, LINE_SIZE, HEAD_SIZE = 16, 2048, 24

Event = dict[str, Any]


class Follower:
    """mcrelayctl events -j, and what it has printed so far."""

    def __init__(self, daemon: Daemon, *words: str) -> None:
        self.process = subprocess.Popen(
            [str(daemon.programs.mcrelayctl), "-s",
             str(daemon.run_dir / "mcrelayd.sock"), "events", "-j", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.events: list[Event] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            assert line.isascii() and line.rstrip("\n").isprintable()
            self.events.append(json.loads(line))

    def of(self, kind: str, **members: Any) -> list[Event]:
        return [e for e in list(self.events) if e["kind"] == kind and
                all(e.get(k) == v for k, v in members.items())]

    def wait(self, kind: str, count: int = 1, deadline_s: float = 10.0,
             **members: Any) -> Event:
        """The last of so many."""
        wait_for(lambda: len(self.of(kind, **members)) >= count,
                 f"{count} events {kind} {members}", deadline_s,
                 lambda: self.events[-20:])
        return self.of(kind, **members)[-1]

    def result(self) -> tuple[int, str]:
        """Its status and standard error, once it has ended."""
        code = self.process.wait(20)
        self._reader.join(10)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


Follow = Callable[..., Follower]


@pytest.fixture
def follow(daemon: Daemon) -> Iterator[Follow]:
    started: list[Follower] = []

    def begin(*words: str) -> Follower:
        started.append(Follower(daemon, *words))
        return started[-1]

    yield begin
    for follower in started:
        follower.end()


def check_numbers(events: list[Event]) -> None:
    """One more each, of one instance."""
    numbers = [e["number"] for e in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    instances = {e["id"].partition(":")[0] for e in events}
    assert len(instances) == 1
    assert all(int(e["id"].partition(":")[2]) == e["number"]
               for e in events)


def catalogue(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    path = daemon.archive / name / "catalog.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def rotate(daemon: Daemon, sender: Sender, name: str, files: int) -> None:
    """So many files more, of ten datagrams each."""
    for _ in range(files):
        before = len(catalogue(daemon, name))
        received = daemon.ledger(name)["received"]
        sender.send(numbered(10))
        daemon.wait_received(name, received + 10)
        daemon.ctl("rotate", name)
        wait_for(lambda: len(catalogue(daemon, name)) > before,
                 "a line in the catalogue", 10.0, daemon.log)


def test_kinds(daemon: Daemon, follow: Follow) -> None:
    """Each kind of event that can be made here, in its order."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()),
                 channel("two", free_port(), stale_after="1s"))
    follower = follow("--since", "0")
    start = follower.wait("start")
    assert start["number"] == 1 and start["pid"] == daemon.process.pid
    for name in ("one", "two"):
        running = follower.wait("state", channel=name, state="running")
        assert running["before"] == "starting"
        assert running["pid"] == daemon.worker_pid(name)
    reason = follower.wait("reason", channel="two", reason="no_datagrams")
    assert reason["holds"] is True
    stale = follower.wait("state", channel="two", state="stale")
    assert stale["reasons"] == ["no_datagrams"]

    with Sender("127.0.0.1", port) as sender:
        rotate(daemon, sender, "one", 2)
    follower.wait("file", count=2, channel="one")
    assert [e["file"] for e in follower.of("file")] == \
        catalogue(daemon, "one")

    pid = daemon.worker_pid("one")
    os.kill(pid, signal.SIGKILL)
    death = follower.wait("death", channel="one")
    assert death["pid"] == pid and death["asked"] is False
    assert "signal 9" in death["how"]
    assert follower.wait("state", channel="one", state="running",
                         restarts=1)["pid"] != pid

    daemon.ctl("stop", "two")
    assert follower.wait("death", channel="two")["asked"] is True
    follower.wait("state", channel="two", state="stopped")

    daemon.write(channel("one", port, archive=daemon.archive_conf()))
    daemon.ctl("reload")
    assert follower.wait("reload")["removed"] == 1
    follower.wait("state", channel="two", state="removed")
    good = daemon.config_file.read_text()
    daemon.write_text("nonsense: [\n")
    daemon.ctl("reload", check=False)
    bad = follower.wait("reload", ok=False)
    assert bad["messages"] and "nonsense" not in bad
    daemon.write_text(good)

    daemon.stop()
    assert follower.result()[0] == 1
    assert follower.of("stop")
    assert follower.of("state", channel="one", state="stopped")
    check_numbers(follower.events)


def test_file_at_the_end(daemon: Daemon, follow: Follow) -> None:
    """What the end of mcrelayd finishes is told as well."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    follower = follow("one")
    with Sender("127.0.0.1", port) as sender:
        # It follows when it has told of something.
        rotate(daemon, sender, "one", 1)
        follower_ready(daemon, follower, sender)
        sender.send(numbered(5))
        daemon.wait_received("one", 25)
    daemon.stop()
    status, said = follower.result()
    last = follower.events[-1]
    assert status == 1 and "mcrelayd has ended" in said
    assert last["id"].partition(":")[0] in said
    lines = catalogue(daemon, "one")
    assert follower.of("file")[-1]["file"] == lines[-1]
    assert lines[-1]["datagrams"] == 5


def follower_ready(daemon: Daemon, follower: Follower,
                   sender: Sender) -> None:
    """Until it has told of a file."""
    rotate(daemon, sender, "one", 1)
    follower.wait("file")


def test_channels_and_text(daemon: Daemon, follow: Follow) -> None:
    daemon.start(channel("one", free_port()), channel("two", free_port()),
                 channel("three", free_port()))
    for name in ("one", "two", "three"):
        daemon.ctl("restart", name)
    follower = follow("--since", "0", "one", "three")
    for name in ("one", "three"):
        follower.wait("state", channel=name, state="running", restarts=1)
    assert {e["channel"] for e in follower.events} == {"one", "three"}
    text = daemon.ctl("events", "--since", "0", "-n", "3").stdout
    assert len(text.splitlines()) == 3
    assert " - start mcrelayd " in text.splitlines()[0]
    refused = daemon.ctl("events", "none", check=False)
    assert refused.returncode == 1
    assert "there is no channel none" in refused.stderr
    daemon.stop()


def test_since(daemon: Daemon, follow: Follow) -> None:
    """Who comes back goes on where it was."""
    daemon.start(channel("one", free_port()))
    first = [json.loads(line) for line in daemon.ctl(
        "events", "-j", "--since", "0", "-n", "2").stdout.splitlines()]
    daemon.ctl("restart", "one")
    second = follow("--since", first[-1]["id"])
    second.wait("state", channel="one", state="running", restarts=1)
    check_numbers(first + second.events)

    instance, _, number = first[-1]["id"].partition(":")
    for wrong in ("x", "1", f"{instance}:", f"{instance}:-1", ""):
        done = daemon.ctl("events", "--since", wrong, check=False)
        assert done.returncode == 1 and "since has to be" in done.stderr
    done = daemon.ctl("events", "--since", f"{instance}:{10**18}",
                      check=False)
    assert "has yet to come" in done.stderr
    # Of a mcrelayd before.
    stranger = follow("--since", f"{instance[::-1]}0:{number}")
    assert stranger.wait("missed")["missed"] is None
    stranger.wait("start")
    assert [e.get("number") for e in stranger.events[:3]] == [None, 1, 2]
    daemon.stop()


def test_upgrade(daemon: Daemon, follow: Follow) -> None:
    """It is followed across an upgrade, and numbers go on."""
    daemon.start(channel("one", free_port()), channel("two", free_port()))
    follower = follow("--since", "0")
    follower.wait("state", channel="one", state="running")
    stopped = follow("--since", "0")
    stopped.wait("state", channel="two", state="running")
    stopped.process.send_signal(signal.SIGSTOP)
    for turn in range(1, 3):
        daemon.ctl("upgrade")
        follower.wait("upgrade", count=turn, step="taken_over")
        follower.wait("upgrade", count=turn, step="done")
    for name in ("one", "two"):
        follower.wait("state", channel=name, state="running", restarts=2)
    # Nobody is told again what has not changed.
    assert len(follower.of("start")) == 1
    states = [e["state"] for e in follower.of("state", channel="one")]
    assert states == ["starting", "running"] * 3
    check_numbers(follower.events)
    late = follow("--since", "0")
    stopped.process.send_signal(signal.SIGCONT)
    for each in (late, stopped):
        each.wait("upgrade", count=2, step="done")
        assert each.events == follower.events[:len(each.events)]
    daemon.stop()


def test_killed_while_finishing(daemon: Daemon, follow: Follow) -> None:
    """Each line of the catalogue is told once, wherever its worker dies."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    follower = follow("--since", "0")
    chance = random.Random(4)
    sent = 0
    with Sender("127.0.0.1", port) as sender:
        for _ in range(25):
            sender.send(numbered(3))
            sent += 3
            pid = daemon.worker_pid("one")
            os.kill(pid, signal.SIGHUP)
            time.sleep(chance.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            # No waiting for the back-off.
            wait_for(lambda: not Path(f"/proc/{pid}").exists(), "its end")
            daemon.ctl("start", "one")
            daemon.wait_new_worker("one", pid)
        daemon.wait_received("one", sent)
    daemon.stop()
    follower.result()
    told = [e["file"]["name"] for e in follower.of("file")]
    assert sorted(told) == sorted(line["name"]
                                  for line in catalogue(daemon, "one"))
    assert len(told) == len(set(told)) > 5
    assert [e["file"] for e in follower.of("file")] == \
        catalogue(daemon, "one")
    assert not follower.of("suppressed", of="file")
    check_numbers(follower.events)


def test_killed_supervisor(daemon: Daemon, follow: Follow) -> None:
    """Another instance takes over; files are told again rather than never."""
    port = free_port()
    daemon.write(channel("one", port, archive=daemon.archive_conf()))
    with Manager(daemon.directory) as manager, \
            Sender("127.0.0.1", port) as sender:
        manager.launch(daemon)
        manager.wait_names("in.one", "seg.one")
        before = follow("--since", "0")
        rotate(daemon, sender, "one", 3)
        before.wait("file", count=3)
        manager.kill(daemon, False)
        status, said = before.result()
        assert status == 1 and before.events[-1]["id"] in said
        manager.launch(daemon)
        after = follow("--since", before.events[-1]["id"])
        assert after.wait("missed")["missed"] is None
        assert after.wait("take_over", channel="one")["memory"] is True
        after.wait("file", count=3)
        daemon.stop()
        after.result()
        lines = catalogue(daemon, "one")
        assert [e["file"] for e in after.of("file")] == lines
        check_numbers(after.events[1:])
        manager.wait_names()


# A worker that was taken over, and a flood.

class Liar:
    """Writes to a worker's segment what it is to tell of finished files."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can open another process's descriptors")
        self.file = Path(f"/proc/{daemon.worker_pid(name)}/fd/4").open(
            "r+b", buffering=0)
        start = f'{{"name":"{name}_'.encode()

        def find() -> int:
            self.file.seek(0)
            return self.file.read(1 << 22).find(start)
        # It is in the catalogue just before it is told.
        self.at = wait_for(lambda: max(find(), 0),
                           "a line of the catalogue in the segment") \
            - HEAD_SIZE
        self.told = 1
        wait_for(lambda: self.word(0) == 1, "that it is told")

    def word(self, index: int) -> int:
        return int(struct.unpack("=Q", os.pread(
            self.file.fileno(), 8, self.at + 8 * index))[0])

    def set_word(self, index: int, value: int) -> None:
        os.pwrite(self.file.fileno(), struct.pack("=Q", value),
                  self.at + 8 * index)

    def tell(self, *lines: bytes) -> None:
        for line in lines:
            slot = self.told % LINES
            os.pwrite(self.file.fileno(), line[:LINE_SIZE - 1] + b"\0",
                      self.at + HEAD_SIZE + slot * LINE_SIZE)
            self.told += 1
        self.set_word(0, self.told)

    def wait_read(self) -> None:
        wait_for(lambda: self.word(2) >= self.told, "that it is read")


@contextlib.contextmanager
def liars(daemon: Daemon, *names: str) -> Iterator[list[Liar]]:
    """Each has told the truth once."""
    ports = {c["name"]: c["listen"]["port"] for c in
             json.loads(daemon.config_file.read_text())["channels"]}
    for name in names:
        with Sender("127.0.0.1", ports[name]) as sender:
            sender.send(numbered(1))
    for name in names:
        daemon.wait_received(name, 1)
    daemon.ctl("rotate")
    for name in names:
        wait_for(lambda: catalogue(daemon, name), "a line")
    made = [Liar(daemon, name) for name in names]
    try:
        for each in made:
            each.wait_read()
        yield made
    finally:
        for each in made:
            each.file.close()


def line_of(name: str, number: int, **more: Any) -> bytes:
    return json.dumps({"name": f"{name}_20260102T030405.000000Z_{number}"
                       ".avro", "records": 1, "bytes": 1} | more).encode()


def test_hostile_worker(daemon: Daemon, follow: Follow) -> None:
    """Lies about its own files are all that it can make of it."""
    daemon.start(
        channel("one", free_port(), archive=daemon.archive_conf()),
        channel("two", free_port(), archive=daemon.archive_conf()))
    follower = follow()
    with liars(daemon, "one", "two") as (one, _):
        follower.wait("file", count=2)
        good = line_of("one", 7)
        bad = [b"", b"\xff\xfe", b"{}", b"[]", b"7", b"[" * 2000,
               b'{"a":' * 400, good[:-1], good + good, b"x" * 2047,
               line_of("two", 1), line_of("../one", 1),
               line_of("one", 1).replace(b".avro", b".avro.part"),
               line_of("one", 1).replace(b"one_", b"one_\\u001b[2J_"),
               line_of("one", 1, losses={"a": {"b": 1}}),
               line_of("one", 1, codec="\x1b]0;x\x07\u202e\u009b"),
               line_of("one", 1, codec="\u00e9").decode(
                   "unicode-escape").encode(),
               line_of("one", 1, more=[1]), line_of("one", 1, more=True),
               good.replace(b'"records": 1', b'"records": 1e999'),
               good.replace(b'"records"', b'"name": "one", "x"'),
               json.dumps({"name": good[10:40].decode()} |
                          {str(i): i for i in range(100)}).encode()]
        for i in range(0, len(bad), LINES - 1):
            one.tell(*bad[i:i + LINES - 1])
            one.wait_read()
        assert len(follower.of("file")) == 2
        one.tell(line_of("one", 8, codec="x"),
                 line_of("one", 9, losses={"a": 1, "b": None}),
                 line_of("one", 10, id="none:0", kind="x", channel="two"))
        follower.wait("file", count=5)
        assert all(e["channel"] == "one" for e in follower.of("file")[2:])
        assert follower.events[-1]["id"] != "none:0"
        # No file, but what was lost.
        one.tell(line_of("one", 11, records=0, bytes=0, first_sequence=3,
                         last_sequence=5))
        follower.wait("file", count=6)
        assert ["lost" in e for e in follower.of("file")] == \
            [False] * 5 + [True]
        assert follower.of("file")[-1]["lost"] is True
        assert "3 to 5 could not be stored" in follower.events[-1]["text"]
        # More than there is room for, and numbers out of their minds.
        for count in (one.told + 1000, 2**63, 2**64 - 1, 0):
            one.set_word(0, count)
            one.set_word(2, one.told)
            wait_for(lambda: one.word(2) != one.told or count == 0,
                     "that it is looked at")
        text = daemon.ctl("events", "--since", "0", "-n", "5").stdout
        assert text.replace("\n", "").isprintable()
        assert follower.wait("suppressed", channel="one", of="file")
        # The other channel tells what it has to.
        os.kill(daemon.worker_pid("two"), signal.SIGKILL)
        follower.wait("death", channel="two")
        follower.wait("state", channel="two", before="starting", restarts=1)
        check_numbers(follower.events)
    daemon.stop()


def rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def flood(made: list[Liar], names: list[str], rounds: int) -> int:
    """How many bytes that were at least."""
    codec = "c" * 1800
    for turn in range(rounds):
        for liar, name in zip(made, names):
            liar.tell(*[line_of(name, turn * 100 + i, codec=codec)
                        for i in range(LINES - 1)])
        for liar in made:
            liar.wait_read()
    return rounds * len(names) * (LINES - 1) * len(codec)


def last_id(daemon: Daemon) -> int:
    """The number of the newest event."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(daemon.run_dir / "mcrelayd.sock"))
        s.sendall(b'{"command":"events"}\n')
        return int(json.loads(s.makefile().readline())["next"]) - 1


def test_stopped_readers(daemon: Daemon, follow: Follow) -> None:
    """They cost no memory and no time, and are told what they missed."""
    names = [f"c{i:02}" for i in range(30)]
    daemon.start(*[channel(name, free_port(), ring_size="1MiB",
                           listen_receive_buffer="256KiB",
                           archive=daemon.archive_conf()) for name in names])
    assert daemon.process is not None
    pid = daemon.process.pid
    calm = statistics.median(answers_s(daemon, 20))
    with liars(daemon, *names) as made:
        reader = follow("--since", "0")
        stopped = [follow("--since", "0") for _ in range(6)]
        for each in stopped:
            each.wait("start")
        wait_for(lambda: all(s.events and s.events[-1]["number"] ==
                             last_id(daemon) for s in stopped), "all read")
        for each in stopped:
            each.process.send_signal(signal.SIGSTOP)
        # More than the buffer holds, and their sockets: that is the most
        # that there can be.
        flood(made, names, 3)
        full = rss_kib(pid)
        # Whoever reads has missed nothing.
        wait_for(lambda: reader.events[-1].get("number") == last_id(daemon),
                 "the reader has all")
        assert not reader.of("missed")
        check_numbers(reader.events)
        came = flood(made, names, 3)
        slow = statistics.median(answers_s(daemon, 20))
        print(f"an answer took {calm * 1e3:.1f} ms, beside stopped readers "
              f"{slow * 1e3:.1f} ms")
        assert slow < 10 * calm + 0.1
        # Not even for one of them what has come since then is kept.
        assert rss_kib(pid) - full < came / 1024 / 2, (full, rss_kib(pid))
        end = last_id(daemon)
        for each in stopped:
            each.process.send_signal(signal.SIGCONT)
            wait_for(lambda: each.events[-1].get("number", 0) >= end,
                     "the rest is read", 10.0, lambda: each.events[-1])
            missed = each.of("missed")
            assert missed and missed[0]["missed"] > 0
            number = each.events[each.events.index(missed[0]) - 1]["number"]
            for event in each.events[each.events.index(missed[0]):]:
                if event["kind"] == "missed":
                    number += event["missed"]
                else:
                    number += 1
                    assert event["number"] == number
    daemon.stop(checks=False)


def test_one_of_many(daemon: Daemon, follow: Follow) -> None:
    """Who follows one channel finds what is of it behind all that is not."""
    names = [f"c{i:02}" for i in range(15)]
    daemon.start(
        *[channel(name, free_port(), ring_size="1MiB",
                  listen_receive_buffer="256KiB",
                  archive=daemon.archive_conf()) for name in names],
        channel("last", free_port()))
    with liars(daemon, *names) as made:
        flood(made, names, 6)
        before = last_id(daemon)
        assert before > 4 * LOOKED_AT
        daemon.ctl("restart", "last")
        follower = follow("--since", "0", "last")
        wait_for(lambda: follower.events and
                 follower.events[-1]["number"] > before, "the restart")
        assert {e["channel"] for e in follower.events} == {"last"}
    daemon.stop(checks=False)


def test_quiet_upgrades(daemon: Daemon, follow: Follow) -> None:
    """Who follows a channel that has nothing to tell has missed nothing, though
    an upgrade keeps only the newest of what others have told; and follows on,
    however many there are."""
    names = [f"c{i:02}" for i in range(15)]
    daemon.start(
        *[channel(name, free_port(), ring_size="1MiB",
                  listen_receive_buffer="256KiB",
                  archive=daemon.archive_conf()) for name in names],
        channel("quiet", free_port()))
    daemon.ctl("stop", "quiet")
    with liars(daemon, *names) as made:
        follower = follow("--since", "0", "quiet")
        follower.wait("state", state="stopped")
        assert flood(made, names, 3) > 1 << 20
        before = list(follower.events)
        daemon.ctl("upgrade")
    first = json.loads(daemon.ctl("events", "-j", "--since", "0", "-n",
                                  "1").stdout)
    assert first["number"] > before[-1]["number"] + 1
    for _ in range(VAIN + 1):
        daemon.ctl("upgrade")
    daemon.ctl("start", "quiet")
    follower.wait("state", state="running", count=2)
    assert {e["kind"] for e in follower.events[len(before):]} == {"state"}
    daemon.stop(checks=False)


def test_places(daemon: Daemon, follow: Follow) -> None:
    """So many may follow; others are told so, and can ask all the same."""
    daemon.start(channel("one", free_port()))
    many = [follow("--since", "0") for _ in range(FOLLOWERS)]
    for each in many:
        each.wait("start")
    late = daemon.ctl("events", check=False)
    assert late.returncode == 1
    assert f"{FOLLOWERS} clients follow the events already" in late.stderr
    daemon.ctl("status")
    # One that goes is noticed, though nothing happens.
    many[0].process.kill()
    wait_for(lambda: daemon.ctl("events", "--since", "0", "-n", "1",
                                check=False).returncode == 0, "a place")
    # So is one whose reader goes, and it ends.
    pipe = many[1].process.stdout
    assert pipe is not None
    with subprocess.Popen(
            [str(daemon.programs.mcrelayctl), "-s",
             str(daemon.run_dir / "mcrelayd.sock"), "events", "--since",
             "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "start" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(10) in (0, -signal.SIGPIPE)
    daemon.stop()


HOOK = Path(__file__).resolve().parents[2] / "etc/example/mcrelay-hook"


def test_example_hook(daemon: Daemon) -> None:
    """It tells of each file once, though it is ended in between."""
    if not shutil.which("jq"):
        pytest.skip("needs jq: install the Debian package jq")
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    place = daemon.directory / "hook"
    place.mkdir()
    environment = dict(
        os.environ, STATE_DIRECTORY=str(place),
        MCRELAY_SOCKET=str(daemon.run_dir / "mcrelayd.sock"),
        PATH=f"{daemon.programs.mcrelayctl.parent}:{os.environ['PATH']}")
    said = place / "said"

    def files() -> list[str]:
        return [line.split()[1] for line in said.read_text().splitlines()
                if line.startswith("copy ")]

    with Sender("127.0.0.1", port) as sender:
        for turn in range(1, 4):
            with said.open("a") as out, subprocess.Popen(
                    [HOOK], env=environment, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=out, start_new_session=True) as hook:
                rotate(daemon, sender, "one", 2)
                wait_for(lambda: len(files()) == 2 * turn, "both files",
                         10.0, said.read_text)
                last = place / "mcrelay-last-event"
                wait_for(lambda: last.read_text().strip().endswith(
                    f":{last_id(daemon)}"), "all is kept")
                if turn < 3:
                    os.killpg(hook.pid, signal.SIGTERM)
                else:
                    # Stopping finishes nothing more; the hook ends as well.
                    daemon.stop()
                    assert hook.wait(20) == 1
        assert files() == [line["name"] for line in catalogue(daemon, "one")]


def test_network(make_daemon: Callable[..., Daemon], namespace: Namespace
                 ) -> None:
    """An interface that goes and comes back, and a group that is silent."""
    def plug() -> None:
        namespace.run("ip", "link", "add", "d0", "type", "veth",
                      "peer", "name", "d1")
        namespace.run("ip", "addr", "add", "10.9.8.1/24", "dev", "d0")
        for link in ("d0", "d1"):
            namespace.run("ip", "link", "set", link, "up")

    plug()
    daemon = make_daemon(namespace=namespace)
    daemon.start(channel(
        "one", 4000, "239.192.9.7", listen_interface="d0", stale_after="1s",
        relay=[{"address": "239.192.9.8", "port": 4001, "interface": "d0"}]))
    follower = Follower(daemon, "--since", "0")
    try:
        rejoin = follower.wait("rejoin", channel="one", deadline_s=20.0)
        assert rejoin["interface"] == "d0" and rejoin["silent_s"] >= 1
        assert rejoin["group"] == "239.192.9.7:4000"
        namespace.run("ip", "link", "del", "d0")
        follower.wait("network", channel="one", ok=False)
        lost = follower.wait("reason", channel="one", reason="input_lost")
        assert lost["holds"] is True
        plug()
        for what in ("joined on d0", "sends from 10.9.8.1:"):
            wait_for(lambda: any(e["what"].startswith(what) for e in
                                 follower.of("network", ok=True)), what,
                     15.0, lambda: follower.of("network"))
        follower.wait("reason", channel="one", reason="input_lost",
                      holds=False, deadline_s=20.0)
        check_numbers(follower.events)
        daemon.stop()
    finally:
        follower.end()


def test_directory(daemon: Daemon, follow: Follow) -> None:
    """The archive goes on elsewhere, and each file is told of."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    follower = follow("--since", "0")
    with Sender("127.0.0.1", port) as sender:
        rotate(daemon, sender, "one", 1)
        (daemon.archive / "one").rename(daemon.archive / "moved")
        assert follower.wait("directory", channel="one")["back"] is False
        follower.wait("state", channel="one", state="running", restarts=1)
        rotate(daemon, sender, "one", 1)
    follower.wait("file", count=2)
    before = (daemon.archive / "moved/catalog.jsonl").read_text()
    assert [e["file"] for e in follower.of("file")] == \
        [json.loads(line) for line in before.splitlines()] + \
        catalogue(daemon, "one")
    daemon.stop()
