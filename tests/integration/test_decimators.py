# SPDX-License-Identifier: ISC
"""Several decimators: who has which channel, and what moves when."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from contextlib import ExitStack
from typing import Any, Iterator

import pytest

from daemon import Daemon, channel, output
from net import Receiver, Sender, SenderThread, endless, free_port, numbered
from waiting import wait_for

pytestmark = pytest.mark.alone

CHANNELS = 9


class Nine:
    """Nine channels with a stream each that leaves nothing out."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self.names = [f"ch{i}" for i in range(CHANNELS)]
        ports = [free_port() for _ in self.names]
        self.views = [stack.enter_context(Receiver()) for _ in self.names]
        self.senders = [stack.enter_context(Sender("127.0.0.1", p))
                        for p in ports]
        self.channels = [
            channel(name, port, decimate=[
                {"name": "s", "method": "pick", "every": 1} |
                output(view.address, view.port)])
            for name, port, view in zip(self.names, ports, self.views)]

    def start(self, decimators: int) -> None:
        self.daemon.start(*self.channels, decimators=decimators)
        self.wait_running()

    def reload(self, decimators: int) -> list[set[str]]:
        self.daemon.write(*self.channels, decimators=decimators)
        self.daemon.ctl("reload")
        return self.wait_running()

    def send(self, count: int) -> None:
        for sender in self.senders:
            sender.send(numbered(count, 100, first=len(sender.sent)))

    def wait_whole(self) -> None:
        """Each display shows everything once, and the counters say so."""
        for name, view, sender in zip(self.names, self.views, self.senders):
            count = len(sender.sent)
            self.daemon.wait_received(name, count)
            assert view.wait(count) == sender.sent, name
            wait_for(lambda: self.counts(name) == (count, count, 0),
                     f"{name}: {count} in and out", 10.0,
                     lambda: self.counts(name))

    def counts(self, name: str) -> tuple[int, int, int]:
        counts = self.daemon.status(name)["decimate"]["s"]
        return counts["in"], counts["out"], counts["missed"]

    def decimators(self) -> list[dict[str, Any]]:
        status = self.daemon.whole_status()
        return list(status["decimators"])

    def spread(self) -> list[set[str]]:
        return [set(d["channels"]) for d in self.decimators()]

    def pids(self) -> list[int]:
        return [d["pid"] for d in self.decimators()]

    def wait_running(self) -> list[set[str]]:
        """Until each one with channels runs, and there is no other."""
        def there() -> bool:
            # One that has been told to end is stopped, but still there.
            return all(d["state"] == ("running" if d["channels"] else
                                      "stopped") and
                       bool(d["pid"]) == bool(d["channels"])
                       for d in self.decimators())
        wait_for(there, "decimators running", 15.0, self.daemon.log)
        return self.spread()


@pytest.fixture
def nine(daemon: Daemon) -> Iterator[Nine]:
    with ExitStack() as stack:
        yield Nine(daemon, stack)


def test_one_killed(nine: Nine) -> None:
    """Its channels go on with its successor; the others miss nothing, and
    their processes are the same."""
    nine.start(3)
    spread = nine.spread()
    assert [len(s) for s in spread] == [3, 3, 3]
    assert set.union(*spread) == set(nine.names)
    nine.send(200)
    nine.wait_whole()
    before = nine.pids()
    os.kill(before[1], signal.SIGSTOP)
    nine.send(200)
    for name, view, sender in zip(nine.names, nine.views, nine.senders):
        if name not in spread[1]:
            assert view.wait(400) == sender.sent
    os.kill(before[1], signal.SIGKILL)
    wait_for(lambda: nine.pids()[1] not in (0, before[1]), "a successor",
             15.0, nine.daemon.log)
    assert nine.wait_running() == spread
    nine.wait_whole()
    after = nine.pids()
    assert (after[0], after[2]) == (before[0], before[2])


def test_reload(nine: Nine) -> None:
    """Nothing is lost or sent twice when channels move, and only those move
    that have to."""
    nine.start(3)
    before, pids = nine.spread(), nine.pids()
    nine.send(100)
    assert nine.reload(1) == [set(nine.names)]
    nine.send(100)
    nine.wait_whole()
    assert nine.pids() == pids[:1]
    spread = nine.reload(2)
    assert sorted(len(s) for s in spread) == [4, 5]
    nine.send(100)
    nine.wait_whole()
    assert nine.pids()[0] == pids[0]
    # With as many as there are, nothing moves, whatever else changes.
    nine.channels[0]["stale_after"] = "1h"
    assert nine.reload(2) == spread
    assert nine.reload(0) == []
    nine.send(100)
    assert [len(s) for s in nine.reload(3)] == [len(s) for s in before]
    nine.wait_whole()


def test_unequal_rates(nine: Nine) -> None:
    """One channel has nearly all the traffic.  Whoever comes later goes to
    another process, and one that is new gets this channel for itself; after
    an upgrade what it had received before counts for nothing."""
    late = nine.channels[5:]
    del nine.channels[5:]
    daemon = nine.daemon
    nine.start(2)
    # Nothing was known of them.
    assert nine.spread() == [{"ch0", "ch2", "ch4"}, {"ch1", "ch3"}]
    fast = SenderThread(nine.senders[0], endless(1000), 1500)
    # Measured each second, as the spread's rates are.
    wait_for(lambda: daemon.status("ch0")["peak_rate"] > 0, "a rate")
    nine.channels += late[:2]
    assert nine.reload(2) == [{"ch0", "ch2", "ch4"},
                              {"ch1", "ch3", "ch5", "ch6"}]
    spread = [{"ch2", "ch4"}, {"ch1", "ch3", "ch5", "ch6"}, {"ch0"}]
    assert nine.reload(3) == spread
    fast.end()
    daemon.ctl("upgrade")
    daemon.wait_log("upgrade: all processes are of version", 30.0)
    assert nine.wait_running() == spread
    slow = SenderThread(nine.senders[1], endless(), 300)
    wait_for(lambda: daemon.status("ch1")["peak_rate"] > 0, "a rate")
    nine.channels += late[2:]
    assert nine.reload(3) == [{"ch2", "ch4", "ch8"}, spread[1],
                              {"ch0", "ch7"}]
    slow.end()
    nine.send(100)
    nine.wait_whole()


def test_moved_while_busy(nine: Nine) -> None:
    """A decimator that does not answer keeps its channels: nobody else sends
    for them until it has let go."""
    nine.start(1)
    nine.send(50)
    nine.wait_whole()
    (old,) = nine.pids()
    os.kill(old, signal.SIGSTOP)
    nine.daemon.write(*nine.channels, decimators=3)
    nine.daemon.ctl("reload")
    nine.send(50)
    wait_for(lambda: [len(s) for s in nine.spread()] == [3, 3, 3], "spread")
    for name in nine.names:
        wait_for(lambda: nine.daemon.ledger(name)["received"] == 100,
                 f"{name} received")
    nine.wait_running()
    assert all(len(v.datagrams) == 50 for v in nine.views)
    os.kill(old, signal.SIGCONT)
    nine.wait_whole()
    assert nine.pids()[0] == old


def test_upgrade(nine: Nine) -> None:
    """Each is replaced, after the other, and keeps its channels."""
    daemon = nine.daemon
    place = daemon.directory / "sbin" / "mcrelayd"
    place.parent.mkdir()
    shutil.copy(daemon.programs.mcrelayd, place)
    daemon.programs = dataclasses.replace(daemon.programs, mcrelayd=place)
    nine.start(2)
    spread, before = nine.spread(), nine.pids()
    assert sorted(len(s) for s in spread) == [4, 5]
    nine.send(100)
    daemon.ctl("upgrade")
    nine.send(100)
    daemon.wait_log("upgrade: all processes are of version", 30.0)
    assert nine.wait_running() == spread
    assert not set(nine.pids()) & set(before)
    nine.send(100)
    nine.wait_whole()
    # Those that came with the upgrade are moved like others.
    assert nine.reload(1) == [set(nine.names)]
    nine.send(100)
    nine.wait_whole()
