# SPDX-License-Identifier: ISC
"""Workers that channels share.

With MCRELAY_TEST_LONG=1 in the environment all of it with a relay thread for
each channel, too, and what takes longer."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gen
import native
from daemon import Daemon, channel, output
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 numbered, safe_rate)
from no_uring import TO_RECEIVE, needs_ring
from waiting import wait_for

NAMES = ["one", "two", "three", "four"]
LONG = "MCRELAY_TEST_LONG" in os.environ
takes_long = pytest.mark.skipif(not LONG, reason="MCRELAY_TEST_LONG")


def alive(pid: int) -> bool:
    """And no zombie: those have no arguments."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def descriptors_and_threads(pid: int) -> tuple[int, int]:
    return (len(list(Path(f"/proc/{pid}/fd").iterdir())),
            len(list(Path(f"/proc/{pid}/task").iterdir())))


class Rig:
    """Channels with numbered datagrams on their way to each."""

    def __init__(self, daemon: Daemon, stack: contextlib.ExitStack,
                 threads: str, names: list[str]) -> None:
        self.daemon = daemon
        self.port = {name: free_port() for name in names}
        self.receiver = {name: stack.enter_context(Receiver(
            repeats=daemon.programs.repeats(8))) for name in names}
        self.sender = {name: stack.enter_context(
            Sender("127.0.0.1", self.port[name])) for name in names}
        # With "io_uring" they share a thread, and receive by that.
        self.uring = threads == "io_uring"
        self.workers = [{"name": "slow", "threads":
                         "shared" if self.uring else threads},
                        {"name": "other"}]
        self.threads: list[SenderThread] = []

    def conf(self, name: str, **more: Any) -> dict[str, Any]:
        return channel(
            name, self.port[name],
            relay=[output("127.0.0.1", self.receiver[name].port)],
            **{"worker": "slow", "ring_size": "1MiB",
               "io_uring": {"enabled": self.uring},
               "archive": self.daemon.archive_conf()} | more)

    def write(self, **changes: dict[str, Any]) -> None:
        self.daemon.write(*(self.conf(name, **changes.get(name, {}))
                            for name in self.port), workers=self.workers)

    def start(self) -> None:
        if self.uring:
            needs_ring(self.daemon, TO_RECEIVE)
        self.write()
        self.daemon.start()
        self.check_way()

    def check_way(self) -> None:
        for name in self.port:
            assert self.daemon.status(name)["io"]["receive"] == (
                "io_uring" if self.uring else "socket")

    def load(self, wanted: int = 1500) -> None:
        rate = safe_rate(2.0, wanted)
        self.threads = [SenderThread(sender, endless(), rate)
                        for sender in self.sender.values()]

    def end_load(self) -> None:
        """All of it has been received."""
        for thread in self.threads:
            thread.end()
        self.threads = []
        for name, sender in self.sender.items():
            ledger = self.daemon.wait_received(name, len(sender.sent), 40)
            assert ledger["kernel_dropped"] == ledger["relay_errors"] == 0

    def pids(self) -> dict[str, int]:
        return {name: self.daemon.worker_pid(name) for name in self.port}

    def check(self) -> None:
        """0 lost, 0 doubled, in each output and each archive."""
        self.end_load()
        for name, sender in self.sender.items():
            assert self.receiver[name].wait(len(sender.sent)) == sender.sent
        self.check_way()
        self.daemon.stop()
        for name, sender in self.sender.items():
            assert self.daemon.payloads(name) == sender.sent


@pytest.fixture(params=["shared", *(pytest.param(way, marks=takes_long)
                                    for way in ("channel", "io_uring"))])
def rig(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        yield Rig(daemon, stack, request.param, NAMES)


def test_killed_and_told_to_end(rig: Rig) -> None:
    """All its channels go on in another process, nothing lost for any; by
    whatever channel's file it is found."""
    rig.start()
    rig.load()
    for number in (signal.SIGKILL, signal.SIGTERM):
        before = rig.pids()
        assert len(set(before.values())) == 1
        os.kill(before[random.choice(NAMES)], number)
        for name in NAMES:
            rig.daemon.wait_new_worker(name, before[name])
        assert len(set(rig.pids().values())) == 1
    rig.check()


def test_one_by_one(rig: Rig) -> None:
    """What is done to one channel does not touch the others' process; but to
    restart it is to replace that."""
    rig.start()
    (pid,) = set(rig.pids().values())
    assert rig.daemon.status("one")["worker"] == "slow"
    rig.load()
    for _ in range(2 if LONG else 1):
        rig.daemon.ctl("rotate", "two")
        rig.write(three={"ring_size": "2MiB"})
        rig.daemon.ctl("reload")
        wait_for(lambda: rig.daemon.status("three")["ring"]["size_bytes"] ==
                 2 << 20, "the change", detail=rig.daemon.log)
        rig.write()
        rig.daemon.ctl("reload")
        wait_for(lambda: rig.daemon.status("three")["ring"]["size_bytes"] ==
                 1 << 20, "the change back", detail=rig.daemon.log)
        assert set(rig.pids().values()) == {pid}
    rig.daemon.ctl("restart", "four")
    for name in NAMES:
        rig.daemon.wait_new_worker(name, pid)
    (pid,) = set(rig.pids().values())
    rig.end_load()
    used = descriptors_and_threads(pid)
    for _ in range(5):
        rig.daemon.ctl("stop", "one")
        rig.daemon.ctl("start", "one")
    wait_for(lambda: descriptors_and_threads(pid) <= used, "nothing more",
             detail=lambda: (used, descriptors_and_threads(pid)))
    assert set(rig.pids().values()) == {pid}
    rig.sender["one"].send([b"after all"])
    rig.check()
    assert len(list((rig.daemon.archive / "two").glob("*.avro"))) > 1


@pytest.mark.parametrize("rig", ["shared", pytest.param(
    "channel", marks=takes_long), "io_uring"], indirect=True)
def test_moved(rig: Rig) -> None:
    """From one worker to another, to a process of its own, and back."""
    rig.start()
    (pid,) = set(rig.pids().values())
    rig.load()
    for where in ({"worker": "other"}, {"worker": "slow"}):
        rig.write(one=where, two=where)
        rig.daemon.ctl("reload")
        wait_for(lambda: all(rig.daemon.status(n).get("worker") ==
                             where["worker"] and
                             rig.daemon.status(n)["state"] == "running"
                             for n in ("one", "two")), "moved",
                 detail=rig.daemon.log)
        pids = rig.pids()
        assert pids["three"] == pids["four"] == pid
        assert pids["one"] == pids["two"]
        assert (pids["one"] == pid) == (where["worker"] == "slow")
    own = rig.conf("one")
    del own["worker"]
    rig.daemon.write(own, *(rig.conf(n) for n in NAMES[1:]),
                     workers=rig.workers)
    rig.daemon.ctl("reload")
    wait_for(lambda: "worker" not in rig.daemon.status("one") and
             rig.daemon.status("one")["state"] == "running", "alone")
    assert rig.pids()["one"] != pid == rig.pids()["two"]
    rig.check()


@takes_long
def test_kill_storm(rig: Rig) -> None:
    """Killed at any moment, also while its channels come."""
    rig.start()
    rig.load(500)
    killed: set[int] = set()
    generator = random.Random(4)
    while len(killed) < 8:
        def victim() -> int:
            with contextlib.suppress(OSError, ValueError):
                pid = rig.daemon.worker_pid(generator.choice(NAMES))
                return pid if pid not in killed else 0
            return 0
        pid = wait_for(victim, "a new worker", detail=rig.daemon.log)
        wait_for(lambda: generator.random() < 0.05, "a moment")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    rig.check()


def test_supervisor_killed(rig: Rig) -> None:
    """Its workers store what they have and end; the next one goes on."""
    rig.start()
    rig.load()
    wait_for(lambda: all(len(sender.sent) > 500 for sender in
                         rig.sender.values()), "some datagrams")
    rig.end_load()
    (pid,) = set(rig.pids().values())
    assert rig.daemon.process is not None
    rig.daemon.process.kill()
    rig.daemon.process.wait()
    rig.daemon.process = None
    rig.daemon.start()
    assert not alive(pid)
    for name, sender in rig.sender.items():
        before = len(sender.sent)
        sender.send(numbered(10, 80))
        rig.daemon.wait_received(name, len(sender.sent) - before)
    rig.daemon.stop()
    for name, sender in rig.sender.items():
        assert rig.daemon.payloads(name) == sender.sent


def test_upgrade(rig: Rig) -> None:
    """Its channels go over, one by one, to a process of the next image."""
    rig.start()
    rig.load()
    (pid,) = set(rig.pids().values())
    rig.daemon.signal(signal.SIGUSR2)
    for name in NAMES:
        rig.daemon.wait_new_worker(name, pid, 20)
    wait_for(lambda: not alive(pid), "its end", detail=rig.daemon.log)
    assert len(set(rig.pids().values())) == 1
    rig.check()


def test_faults(daemon: Daemon, tmp_path: Path) -> None:
    """Who ends it is named to all its channels, and after three times has a
    process of its own, until it is restarted."""
    schema = tmp_path / "text.avsc"
    schema.write_text('"string"')
    daemon.environment["LD_PRELOAD"] = str(
        native.preload("poison.c", tmp_path))
    ports = free_port(), free_port()
    avro = {"format": "avro", "schema": str(schema)}
    daemon.start(
        channel("bad", ports[0], payload=avro, worker="slow",
                archive=daemon.archive_conf()),
        channel("good", ports[1], worker="slow",
                archive=daemon.archive_conf()),
        workers=[{"name": "slow"}])

    def is_quarantined() -> bool:
        reasons = daemon.status("bad")["reasons"]
        return "quarantined" in json.dumps(reasons)

    assert not is_quarantined()
    text = b"POISON".ljust(100)
    with Sender("127.0.0.1", ports[0]) as sender, \
            Sender("127.0.0.1", ports[1]) as fine:
        fine.send([b"fine"])
        for _ in range(2):
            sender.send([bytes([200, 1]) + text])
            wait_for(lambda: daemon.ledger("bad")["rejected"] +
                     daemon.ledger("bad")["archived"] ==
                     len(sender.sent), "stored", 60, detail=daemon.log)
        wait_for(is_quarantined, "quarantined", detail=daemon.log)
        assert "worker" not in daemon.status("bad")
        assert daemon.status("good")["worker"] == "slow"
        daemon.wait_log("good: its last words: SIG")
        daemon.wait_log(", in what it did for channel bad")
        fine.send([b"fine, too"])
        daemon.wait_received("good", 2)
        daemon.wait_received("bad", 2)
        daemon.ctl("restart", "bad")
        wait_for(lambda: daemon.status("bad").get("worker") == "slow",
                 "back", detail=daemon.log)
        assert not is_quarantined()
        daemon.stop()
        assert daemon.payloads("good") == fine.sent


@takes_long
def test_hang(rig: Rig) -> None:
    """It is noticed by a channel that has something to do, and replaced."""
    rig.start()
    (pid,) = set(rig.pids().values())
    os.kill(pid, signal.SIGSTOP)
    rig.load(200)
    for name in NAMES:
        rig.daemon.wait_new_worker(name, pid, 30)
    assert f"process {pid} hangs" in rig.daemon.log()
    rig.check()


def test_flood(rig: Rig) -> None:
    """Of one channel far beyond what the worker can do: it loses, no other
    does."""
    rig.start()
    del rig.sender["one"]
    with gen.source(rig.daemon.programs, "127.0.0.1", rig.port["one"],
                    "-r", "0", "-b", "64", "-t", "2s") as flood:
        rig.load(1000)
        sent = flood.result()["sent"]
    rig.end_load()
    for name, sender in rig.sender.items():
        assert rig.receiver[name].wait(len(sender.sent)) == sender.sent
    rig.daemon.wait_received("one", sent)
    rig.daemon.stop()


def sleeps(pid: int) -> int:
    """How often its threads have waited for something."""
    return sum(int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)",
                              (task / "status").read_text(), re.M)[0])
               for task in Path(f"/proc/{pid}/task").iterdir())


def test_gathers(rig: Rig) -> None:
    """A wait that all channels bear takes what has come for any of them; when
    one of them comes that bears less, or goes, all is there as well."""
    if rig.workers[0]["threads"] == "channel":
        pytest.skip("each gathers for itself")
    rig.start()
    rig.write(**{name: {"listen_coalesce": "10ms"} for name in NAMES})
    rig.daemon.ctl("reload")
    rig.daemon.wait_running()
    (pid,) = set(rig.pids().values())
    before = sleeps(pid)
    rig.load(500)
    wait_for(lambda: all(len(sender.sent) > 1000 for sender in
                         rig.sender.values()), "some datagrams")
    sent = sum(len(sender.sent) for sender in rig.sender.values())
    assert sleeps(pid) - before < sent / 3
    for wait in "0", "5ms":
        rig.write(**{name: {"listen_coalesce": wait if name == "two" else
                            "10ms"} for name in NAMES})
        rig.daemon.ctl("reload")
        rig.daemon.wait_running()
    assert set(rig.pids().values()) == {pid}
    rig.check()


@pytest.mark.parametrize("what, said", [
    ({"worker": "fast"}, "there is no worker `fast' in `workers'"),
    ({"priority": 3}, "`priority' is a process's own"),
    ({"cpu": 0}, "leave `cpu' out, or have `threads: channel'"),
    ({"listen_busy_poll": "10us"}, "leave `busy_poll' out"),
    ({"archive": {"directory": "/tmp", "cpu": 0}},
     "leave `archive: {cpu}' out"),
])
def test_refused(daemon: Daemon, what: dict[str, Any], said: str) -> None:
    daemon.write(channel("one", free_port(), **{"worker": "slow"} | what),
                 workers=[{"name": "slow"}])
    done = daemon.check()
    assert done.returncode != 0
    assert said in done.stderr + done.stdout


def test_uring_refused(daemon: Daemon) -> None:
    daemon.write(channel("one", free_port(), worker="slow",
                         io_uring={"enabled": True}),
                 workers=[{"name": "slow", "threads": "channel"}])
    done = daemon.check()
    assert done.returncode != 0
    assert "leave `io_uring' out, or have `threads: shared'" in \
        done.stderr + done.stdout


def test_users_refused(daemon: Daemon) -> None:
    daemon.write(channel("one", free_port(), worker="slow"),
                 workers=[{"name": "slow"}], user="mcrelay-%c")
    done = daemon.check()
    assert done.returncode != 0
    assert "its channels have one user" in done.stderr + done.stdout
