# SPDX-License-Identifier: ISC
"""Upgrades to a version whose segments have another layout, and back.

MCRELAY_OTHER_BUILDDIR has the programs of one, as qa/layout.sh builds them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import tempfile
import threading
from pathlib import Path
from typing import Iterator

import pytest

import avro_files
from daemon import Daemon, channel, output
from manager import Manager
from net import (Receiver, Sender, SenderThread, free_port, group_v4,
                 numbered, safe_rate)
from waiting import wait_for

PROGRAMS = ("mcrelayd", "mcrelay-worker", "mcrelay-decimator")
ALL_DONE = "upgrade: all processes are of version"
ONE_BY_ONE = "by a process for each channel"
# From the end of one worker to the start of the next, or of the daemon's.
OUTAGE_S = 1.0
RESTART_S = 2.0

SEEDS = range(20 if "MCRELAY_TEST_LONG" in os.environ else 3)

pytestmark = pytest.mark.skipif(
    "MCRELAY_OTHER_BUILDDIR" not in os.environ,
    reason="MCRELAY_OTHER_BUILDDIR does not say where a version with another "
    "layout is: qa/layout.sh builds one")


class Versions:
    """A place where one of two versions is installed."""

    def __init__(self, daemon: Daemon, place: Path) -> None:
        assert daemon.programs.libexec is not None
        self.place = place
        self.sources = [daemon.programs.libexec,
                        Path(os.environ["MCRELAY_OTHER_BUILDDIR"])]
        self.daemon = daemon
        self.now = 0
        self.install(0)
        daemon.programs = dataclasses.replace(
            daemon.programs, mcrelayd=self.place / "mcrelayd")
        daemon.environment["MCRELAY_LIBEXECDIR"] = str(self.place)

    def install(self, which: int) -> None:
        """As a package manager does it."""
        self.now = which
        for name in PROGRAMS:
            new = self.place / f"{name}.new"
            shutil.copy(self.sources[which] / name, new)
            new.chmod(0o755)
            new.rename(self.place / name)

    def spoil(self, name: str, text: str) -> None:
        """A program that does something else."""
        new = self.place / f"{name}.new"
        new.write_text(text)
        new.chmod(0o755)
        new.rename(self.place / name)

    def upgrade(self) -> None:
        self.install(1 - self.now)
        self.daemon.ctl("upgrade")


@pytest.fixture
def versions(daemon: Daemon) -> Iterator[Versions]:
    # Where another user can execute them.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Versions(daemon, Path(place))


def wait_done(daemon: Daemon, times: int) -> None:
    wait_for(lambda: daemon.log().count(ALL_DONE) == times, ALL_DONE, 30.0,
             daemon.log)


class Load:
    """A channel `one' that relays, archives and decimates, and its sender."""

    def __init__(self, daemon: Daemon, rate: int) -> None:
        self.daemon = daemon
        self.rate = rate
        self.port = free_port()
        self.done = 0
        self.ends = threading.Event()
        self.relayed = Receiver()
        self.view = Receiver(group_v4())
        self.sender = Sender("127.0.0.1", self.port)

    def channels(self) -> list[dict[str, object]]:
        return [channel(
            "one", self.port,
            relay=[output("127.0.0.1", self.relayed.port)],
            archive=self.daemon.archive_conf(),
            decimate=[{"name": "view", "method": "pick", "every": 10,
                       "archive": True} |
                      output(self.view.address, self.view.port)]),
            channel("two", free_port(),
                    archive=self.daemon.archive_conf())]

    def _send(self) -> None:
        while not self.ends.is_set():
            self.sender.send(numbered(self.rate // 5, 120, first=self.done),
                             self.rate)
            self.done += self.rate // 5

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """As long as the test does something else."""
        self.ends.clear()
        thread = threading.Thread(target=self._send, daemon=True)
        before = self.done
        thread.start()
        wait_for(lambda: self.done > before, "datagrams sent")
        yield
        self.ends.set()
        thread.join(10.0)
        assert not thread.is_alive()

    def check(self) -> None:
        """Nothing lost, nothing doubled."""
        ledger = self.daemon.wait_received("one", self.done)
        assert ledger["received"] == ledger["archived"] == self.done, ledger
        assert ledger["relayed"] == self.done, ledger
        assert ledger["kernel_dropped"] == ledger["archive_shed"] == 0
        assert self.relayed.wait(self.done) == self.sender.sent

        def told() -> bool:
            stream = self.daemon.status("one")["decimate"]["view"]
            return stream["in"] + stream["missed"] == self.done
        wait_for(told, "all in the stream's counters", 10.0,
                 lambda: self.daemon.status("one")["decimate"])

    def stop(self) -> None:
        self.daemon.stop()
        assert self.daemon.payloads("one") == self.sender.sent
        print(f"sent = received = relayed = archived = {self.done}")

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *exc: object) -> None:
        for each in (self.relayed, self.view, self.sender):
            each.close()


def test_there_and_back(daemon: Daemon, versions: Versions) -> None:
    """Under load nothing is lost and nothing doubled, and all counters go
    on."""
    with Load(daemon, safe_rate(OUTAGE_S, 5000)) as load:
        daemon.start(*load.channels())
        highest = 0
        for times in (1, 2):
            with load.on():
                versions.upgrade()
                received = daemon.ledger("one")["received"]
                assert received >= highest
                highest = received
                wait_done(daemon, times)
            load.check()
            stream = daemon.status("one")["decimate"]["view"]
            assert stream["missed"] == 0, stream
        load.stop()
    assert "is lost" not in daemon.log(), daemon.log()
    assert ONE_BY_ONE not in daemon.log()


def test_several_inputs(daemon: Daemon, versions: Versions) -> None:
    """Each input goes on with its socket and its numbers, also where the
    configuration that the other version reads has them in another order, and
    where a worker is killed just before."""
    rate = safe_rate(OUTAGE_S, 1000)
    listen = [{"address": "127.0.0.1", "port": free_port(),
               "receive_buffer": "16MiB"} for _ in range(3)]
    orders = [listen, listen[1:] + listen[:1], listen[::-1]]

    def conf(order: list[dict[str, object]]) -> dict[str, object]:
        return channel("one", 1, archive=daemon.archive_conf(),
                       relay=[output("127.0.0.1", sink.port)]
                       ) | {"listen": order}

    def received() -> dict[int, tuple[int, int]]:
        return {i["port"]: (i["received"], i["kernel_dropped"])
                for i in daemon.status("one")["inputs"]}
    with Receiver() as sink, contextlib.ExitStack() as stack:
        daemon.start(conf(orders[0]))
        senders = [stack.enter_context(Sender("127.0.0.1", each["port"]))
                   for each in listen]
        for times, order in enumerate(orders[1:], 1):
            threads = [SenderThread(sender, numbered(
                rate * 4, 100 + i, len(sender.sent)), rate)
                for i, sender in enumerate(senders)]
            daemon.write(conf(order))
            os.kill(daemon.worker_pid("one"), signal.SIGKILL)
            versions.upgrade()
            wait_done(daemon, times)
            for thread in threads:
                thread.join()
            daemon.wait_received("one", 3 * rate * 4 * times)
            assert received() == {
                each["port"]: (len(sender.sent), 0)
                for each, sender in zip(listen, senders)}
        sink.wait(sum(len(sender.sent) for sender in senders))
        daemon.stop()
        found: dict[str, list[bytes]] = {}
        for path in avro_files.files(daemon.archive, "one"):
            for datagram in avro_files.read_datagrams(path):
                assert datagram.destination is not None
                found.setdefault(datagram.destination, []).append(
                    datagram.payload)
        assert found == {f"127.0.0.1:{each['port']}": sender.sent
                         for each, sender in zip(listen, senders)}
        assert sorted(sink.datagrams) == sorted(
            sum((sender.sent for sender in senders), []))
    assert "is lost" not in daemon.log(), daemon.log()


# More of them, and successors wait longer than the socket's buffer lasts.
KILLS = 8


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another "
                    "user")
def test_as_others(daemon: Daemon, versions: Versions) -> None:
    """Workers, and who says what they have counted, are a user each."""
    with Load(daemon, safe_rate(OUTAGE_S, 2000)) as load:
        daemon.start(*load.channels(), user={"base": 200000})
        assert daemon.status("one")["user"] >= 200000
        for times in (1, 2):
            with load.on():
                versions.upgrade()
                wait_done(daemon, times)
            load.check()
        load.stop()
    assert ONE_BY_ONE not in daemon.log()


class Killer:
    """SIGKILLs processes of the daemon but the supervisor, at any time."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.random = random.Random(seed)
        self.ends = threading.Event()
        self.kills = 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        assert self.daemon.process is not None
        own = self.daemon.process.pid
        while self.kills < KILLS and \
                not self.ends.wait(self.random.uniform(0.0, 0.15)):
            others = sorted(pid for pid, name
                            in self.daemon.processes().items()
                            if pid != own and "mcrelay-" in name)
            if others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.random.choice(others), signal.SIGKILL)
                    self.kills += 1

    def __enter__(self) -> Killer:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ends.set()
        self.thread.join(10.0)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_kills(daemon: Daemon, versions: Versions, seed: int) -> None:
    """Workers and decimators, all the while, there and back."""
    with Load(daemon, safe_rate(2 * OUTAGE_S, 2000)) as load:
        daemon.start(*load.channels())
        kills = 0
        for times in range(1, 5):
            with load.on():
                with Killer(daemon, seed * 10 + times) as killer:
                    versions.upgrade()
                    wait_done(daemon, times)
                kills += killer.kills
            load.check()
        print(f"seed {seed}: {kills} kills in 4 upgrades")
        load.stop()
    assert "archive_shed" not in daemon.log(), daemon.log()


def test_killed_while_it_drains(daemon: Daemon, versions: Versions) -> None:
    """What its ring held is stored by another worker of its version."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port, archive=daemon.archive_conf(
            flush_interval="1h")))
        sender.send(numbered(100))
        wait_for(lambda: daemon.ledger("one")["received"] == 100,
                 "100 received")
        old = daemon.worker_pid("one")
        os.kill(old, signal.SIGSTOP)
        sender.send(numbered(100, first=100))
        versions.upgrade()
        daemon.wait_log("has taken over")
        # By the second answer the first has been in a turn of the loop.
        daemon.status("one")
        daemon.status("one")
        os.kill(old, signal.SIGKILL)
        wait_done(daemon, 1)
        ledger = daemon.ledger("one")
        assert ledger["archived"] >= 100, ledger
        sender.send(numbered(100, first=200))
        wait_for(lambda: daemon.ledger("one")["received"] == 300,
                 "300 received")
        # What pends is to be seen in no ledger that is settled.
        daemon.stop(checks=False)
        assert daemon.payloads("one") == sender.sent
    assert "archive_shed" not in daemon.log()


def test_killed_between(daemon: Daemon, versions: Versions) -> None:
    """After the files have changed and before the upgrade: who follows is of
    the version that the memory is of."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port, archive=daemon.archive_conf()))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        versions.install(1)
        old = daemon.worker_pid("one")
        os.kill(old, signal.SIGKILL)
        daemon.wait_new_worker("one", old)
        sender.send(numbered(100, first=100))
        daemon.wait_received("one", 200)
        daemon.ctl("upgrade")
        wait_done(daemon, 1)
        sender.send(numbered(100, first=200))
        daemon.wait_received("one", 300)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_stopped_channel(daemon: Daemon, versions: Versions) -> None:
    """One that had no process when the version changed; its numbers go on,
    and what is paused stays it."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port, archive=daemon.archive_conf()))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        daemon.ctl("pause", "one")
        daemon.ctl("stop", "one")
        versions.upgrade()
        wait_done(daemon, 1)
        daemon.ctl("start", "one")
        sender.send(numbered(100, first=100))
        ledger = daemon.wait_received("one", 200)
        assert ledger["archive_paused"] == 100, ledger
        daemon.ctl("resume", "one")
        sender.send(numbered(100, first=200))
        ledger = daemon.wait_received("one", 300)
        assert ledger["archived"] == 200, ledger
        daemon.stop()
        assert daemon.payloads("one") == sender.sent[:100] + sender.sent[200:]


@pytest.mark.parametrize("killed", ["supervisor", "everything"])
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_supervisor(daemon: Daemon, versions: Versions, seed: int,
                           killed: str) -> None:
    """While workers are being replaced: the next one goes on with what the
    service manager has of either version."""
    chance = random.Random(seed)
    with Manager(daemon.directory) as manager, \
            Load(daemon, safe_rate(2 * RESTART_S, 2000)) as load:
        daemon.write(*load.channels())
        manager.launch(daemon)
        for _ in range(2):
            with load.on():
                versions.upgrade()
                threading.Event().wait(chance.uniform(0.0, 0.3))
                manager.kill(daemon, killed == "everything")
                manager.launch(daemon)
            load.check()
        load.stop()
        # It may have yet to read what it was told last.
        wait_for(lambda: manager.layouts() == manager.names() == [],
                 "that nothing is kept")
    assert "archive_shed" not in daemon.log(), daemon.log()


def test_restarted(daemon: Daemon, versions: Versions) -> None:
    """Everything is killed, and what starts is of another version, which finds
    the memory of the one before, and its programs."""
    with Manager(daemon.directory) as manager, \
            Load(daemon, safe_rate(2 * RESTART_S, 2000)) as load:
        daemon.write(*load.channels())
        manager.launch(daemon)
        for _ in range(2):
            with load.on():
                manager.kill(daemon, True)
                versions.install(1 - versions.now)
                manager.launch(daemon)
            load.check()
            wait_for(lambda: len(manager.layouts()) == 1,
                     "programs that nobody needs gone", 10.0,
                     manager.layouts)
        load.stop()
    assert "archive_shed" not in daemon.log(), daemon.log()


def test_back_when_it_fails(daemon: Daemon, versions: Versions) -> None:
    """Workers of the new version do not work: one goes back, and channels
    that have been upgraded have lost nothing."""
    with Load(daemon, safe_rate(4 * OUTAGE_S, 1000)) as load:
        daemon.start(*load.channels())
        with load.on():
            versions.install(1)
            versions.spoil("mcrelay-worker", "#!/bin/sh\nexit 78\n")
            daemon.ctl("upgrade")
            daemon.wait_log("its successor does not work")
            versions.install(0)
            daemon.ctl("upgrade")
            wait_done(daemon, 1)
        load.check()
        load.stop()


def test_refused(daemon: Daemon, versions: Versions) -> None:
    """A new version that is not whole: all stays as it was."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port, archive=daemon.archive_conf()))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        pid = daemon.worker_pid("one")
        versions.install(1)
        (versions.place / "mcrelay-worker").unlink()
        done = daemon.ctl("upgrade", check=False)
        assert done.returncode != 0 and "mcrelay-worker" in done.stderr
        versions.install(0)
        assert daemon.worker_pid("one") == pid
        daemon.stop()
        assert daemon.payloads("one") == sender.sent
