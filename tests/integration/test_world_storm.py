# SPDX-License-Identifier: ISC
"""Ten thousand changes of the network that are none of ours, and some that
are: no channel is disturbed, the supervisor does not work without end, and in
the end it knows the truth; also when the kernel had to leave out events."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import processor_s
from net import Namespace
from test_world import (GROUP_IN, Run, World, destination, start,   # noqa: F401
                        world)
from waiting import wait_for

EVENTS = 10000
# Of one core, while it lasts; a tenth is what it allows itself to look.
SHARE = 0.5
GROUPS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400   # links, addresses, routes


class Listener:
    """Counts what the kernel tells everybody who listens."""

    def __init__(self, namespace: Namespace) -> None:
        self.events = 0
        self.socket = namespace.enter(self._open)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._count, daemon=True)
        self.thread.start()

    @staticmethod
    def _open() -> socket.socket:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        # SO_RCVBUFFORCE: this one is to hear them all.
        made.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
        made.bind((0, GROUPS))
        return made

    def _count(self) -> None:
        while not self.done.is_set():
            if select.select([self.socket], [], [], 0.1)[0]:
                self.socket.recv(65536)
                self.events += 1

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        self.socket.close()


def lost_events(namespace: Namespace, pid: int) -> int:
    """How often the kernel had no room in this process' netlink sockets."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(fd)
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    rows = [line.split() for line in namespace.run(
        "cat", "/proc/net/netlink").stdout.splitlines()[1:]]
    drops = [int(row[8]) for row in rows if row[9] in inodes]
    assert drops, "the supervisor has no netlink socket"
    return sum(drops)


def storm(world: World, listener: Listener, events: int) -> None:  # noqa: F811
    """Interfaces made and deleted, addresses with their routes."""
    end, number = listener.events + events, 0
    while listener.events < end:
        number += 1
        links = [f"s{i}" for i in range(20)]
        world.ip(world.home,
                 *(f"link add {link} type veth peer name p{link}"
                   for link in links),
                 *(f"link set {link} group 77 up" for link in links),
                 *(f"addr add 10.{i}.{number % 250}.1/24 dev s0"
                   for i in range(90, 130)),
                 *(f"addr add fd90:{i}::{number}/64 dev s0 nodad"
                   for i in range(40)),
                 "link del group 77")


@pytest.mark.parametrize("v", [4, 6])
@pytest.mark.parametrize("how", ["heard", "lost"])
def test_event_storm(start: Callable[..., Run], world: World,       # noqa: F811
                     how: str, v: int) -> None:
    run = start(destination("group", v), address=GROUP_IN[v], interface="in0")
    pid, listener = run.daemon.find_background(), Listener(world.home)
    try:
        before: Any = processor_s(pid), time.monotonic(), listener.events
        if how == "lost":
            os.kill(pid, signal.SIGSTOP)
        storm(world, listener, EVENTS)
        # Of these it may have heard nothing.
        world.unplug("out")
        world.plug("out")
        storm(world, listener, 200)
        cpu = processor_s(pid) - before[0]
        took = time.monotonic() - before[1]
        lost = lost_events(world.home, pid)
    finally:
        os.kill(pid, signal.SIGCONT)
        since = time.monotonic()
        listener.close()
    run.heals(f"output after a storm, {how}, v{v}", run.output, since)
    run.heals(f"stream after a storm, {how}, v{v}", run.stream, since)
    print(f"storm, {how}, v{v}: {listener.events - before[2]} events in "
          f"{took:.1f} s, {lost} times no room; the supervisor worked "
          f"{cpu:.2f} s")
    assert listener.events - before[2] >= EVENTS
    assert cpu < SHARE * took
    if how == "lost":
        assert lost > 0, "nothing was lost: this was no test of it"
    world.unplug("out")
    run.reasons({"output_lost", "stream_lost"})
    since = time.monotonic()
    world.plug("out")
    run.heals("output in calm weather", run.output, since)
    wait_for(lambda: run.daemon.status("one")["state"] == "running",
             "all in order", 20.0, run.daemon.log)
    assert run.daemon.status("one")["restarts"] == 0
    assert run.daemon.ledger("one")["kernel_dropped"] == 0
    # Who leaves a group and joins it again loses what comes in between.
    assert run.daemon.log().count("joined on") == 0
    run.end(True)
