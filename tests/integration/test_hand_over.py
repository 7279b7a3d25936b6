# SPDX-License-Identifier: ISC
"""A channel is handed over from host to host while their processes are killed:
nothing is missing between what the two relay, and nothing is there twice.

With MCRELAY_TEST_LONG each host is handed it a hundred times.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Callable, Iterator

import pytest

import nats
from conftest import namespaces_possible
from daemon import Daemon
from manager import Manager
from nats import Cluster
from test_lease import World, cluster, have_forwarder     # noqa: F401
from waiting import wait_for

pytestmark = pytest.mark.skipif(nats.PROGRAM is None, reason=nats.NO_SERVER)

# One of them, of the host that gives or of the one that takes.
VICTIMS = [(of, what) for what in (
    "supervisor", "mcrelay-forwarder", "everything", "mcrelay-worker")
    for of in ("giver", "taker")]
ROUNDS = 200 if os.environ.get("MCRELAY_TEST_LONG") else 4


class Hosts(World):
    """Each with a service manager, which starts what was killed."""

    def __init__(self, make: Callable[..., Daemon],
                 cluster: Cluster,      # noqa: F811
                 names: str = "ab") -> None:
        super().__init__(make, cluster, names)
        # Nothing that is killed is away for that long.
        self.lease_s = 4.0
        self.manager = {name: Manager(daemon.directory)
                        for name, daemon in self.daemon.items()}
        self.random = random.Random(31)
        self.kills = Counter[tuple[str, str]]()

    def launch(self, name: str) -> None:
        self.manager[name].launch(self.daemon[name])

    def end(self) -> None:
        super().end()
        for manager in self.manager.values():
            manager.close()

    def kill(self, name: str, what: str) -> None:
        daemon = self.daemon[name]
        if what in ("supervisor", "everything"):
            self.manager[name].kill(daemon, what == "everything")
            self.launch(name)
            return
        for pid, command in daemon.processes().items():
            if command == what[:15]:
                os.kill(pid, signal.SIGKILL)

    def hand_over(self, word: str, of: str, what: str) -> None:
        """Of the first host: gives what it has (drain), or is given it."""
        giver, taker = ("a", "b") if word == "drain" else ("b", "a")

        def ask() -> None:
            while self.daemon["a"].ctl(word, check=False,
                                       timeout_s=60).returncode != 0:
                time.sleep(0.05)
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        # It takes some tenths of a second.
        time.sleep(self.random.uniform(0, 0.6))
        self.kill(giver if of == "giver" else taker, what)
        self.kills[of, what] += 1
        self.wait_speaks(taker, 60)
        asking.join(60)
        assert not asking.is_alive()
        self.check_whole(f"{word} while {what} of the {of} was killed")

    def check_whole(self, when: str) -> None:
        numbers = [n for _, _, n in self.listener.heard]
        missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
        assert missing == [], when


@pytest.fixture
def hosts(make_daemon: Callable[..., Daemon],
          cluster: Cluster) -> Iterator[Hosts]:     # noqa: F811
    if reason := namespaces_possible():
        pytest.skip(reason)
    made = Hosts(make_daemon, cluster)
    yield made
    made.end()


def test_killed(hosts: Hosts) -> None:
    a, b = hosts.daemon["a"], hosts.daemon["b"]
    hosts.start("a")
    wait_for(lambda: hosts.lease("a")["role"] == "active", "a to have it", 60)
    hosts.start("b")
    wait_for(lambda: hosts.lease("b").get("holder") == "a", "b to know")
    hosts.thread.start()
    hosts.wait_speaks("a")
    words = itertools.cycle(("drain", "undrain"))
    for (of, what), word, _ in zip(itertools.cycle(VICTIMS), words,
                                   range(ROUNDS)):
        hosts.hand_over(word, of, what)
    hosts.stop_sending()
    sent = len(hosts.sender.sent)
    wait_for(lambda: hosts.listener.heard[-1][2] == sent - 1, "the last", 30)
    print(f"{sum(hosts.kills.values())} kills, {sent} datagrams, "
          f"{len(hosts.listener.turns())} turns")
    hosts.check_whole("at the end")
    hosts.check()
    # Each word was one hand-over: none was by a lease that ran out.
    assert len(hosts.listener.turns()) == ROUNDS + 1
    for daemon in a, b:
        daemon.wait_settled("one")
        daemon.stop()
        assert daemon.payloads("one") == hosts.sender.sent
