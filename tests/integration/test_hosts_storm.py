# SPDX-License-Identifier: ISC
"""Three hosts that take turns at a channel, and three servers, each in a network
of its own, while one host after the other is cut off, stopped, killed or told a
wrong time, and servers are killed: one of them relays, and never two.

MCRELAY_TEST_LONG=1 in the environment: for five minutes
(MCRELAY_TEST_STORM_S: how many seconds).
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest

import nats
from conftest import namespaces_possible
from daemon import Daemon
from nats import Cluster
from net import Namespace
from test_faults import Faults, library     # noqa: F401
from test_forward_storm import Lan
from test_hand_over import Hosts
from test_lease import RATE, SLACK_S, have_forwarder    # noqa: F401
from waiting import Pace, wait_for

pytestmark = pytest.mark.skipif(nats.PROGRAM is None, reason=nats.NO_SERVER)

STORM_S = float(os.environ.get(
    "MCRELAY_TEST_STORM_S", 300 if "MCRELAY_TEST_LONG" in os.environ else 0))
LEASE_S = 2.0
DAY_S = 86400


class Storm(Hosts):
    """Something happens to one host, or to one server, and is over before
    something else does."""

    def __init__(self, make: Callable[..., Daemon], place: Path,
                 library: Path, stack: ExitStack) -> None:  # noqa: F811
        home = Namespace()
        stack.callback(home.close)
        self.lan_of_servers = Lan(stack, home)
        cluster = Cluster(place, places=self.lan_of_servers.places())
        stack.callback(cluster.end)
        cluster.start()
        super().__init__(make, cluster, "xyz")
        self.lease_s = LEASE_S
        self.fault: dict[str, Faults] = {}
        for name, daemon in self.daemon.items():
            self.fault[name] = Faults(library, place / f"faults-{name}")
            daemon.environment |= self.fault[name].environment
        self.happened = Counter[str]()
        self.silence = Counter[str]()

    def connect(self, name: str, home: Namespace) -> None:
        self.lan_of_servers.add(name, home, 10 + self.names.index(name))

    def speaker(self) -> str:
        at = self.listener.last()
        return next(n for n in self.names if self.address(n) == at)

    def wait_spoken(self) -> None:
        """Somebody does, now."""
        heard = len(self.listener.heard)
        wait_for(lambda: len(self.listener.heard) > heard + RATE // 4,
                 "traffic", 60, lambda: "".join(
                     f"--- {n}\n{d.log()[-3000:]}"
                     for n, d in self.daemon.items()))

    # What happens to the host that relays, or to another.

    def cut(self, name: str, seconds: float) -> None:
        self.lan_of_servers.cut(name)
        time.sleep(seconds)
        self.lan_of_servers.mend(name)

    def swallowed(self, name: str, seconds: float) -> None:
        self.lan_of_servers.swallow(name)
        time.sleep(seconds)
        self.lan_of_servers.mend(name)

    def stopped(self, name: str, seconds: float) -> None:
        pids = list(self.daemon[name].processes())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def killed(self, name: str, seconds: float) -> None:
        self.manager[name].kill(self.daemon[name], True)
        time.sleep(seconds)
        self.launch(name)

    def clock_set(self, name: str, seconds: float) -> None:
        """Back and forth, while something else goes wrong."""
        step = self.random.choice((-DAY_S, DAY_S))
        self.fault[name].set("clock", step)
        self.swallowed(name, seconds)
        self.fault[name].set("clock", 0)

    def process_killed(self, name: str, seconds: float) -> None:
        self.kill(name, self.random.choice((
            "mcrelay-forwarder", "mcrelay-worker", "supervisor")))

    def server_killed(self, name: str, seconds: float) -> None:
        stream = "KV_mcrelay-fleet"
        self.cluster.wait_current(stream)
        server = self.cluster.leader(stream)
        if server is not None:
            server.end()
            time.sleep(seconds)
            server.launch()
            self.cluster.wait_current(stream)

    def once(self, what: str, active: bool, seconds: float) -> None:
        name = speaker = self.speaker()
        if not active:
            name = self.random.choice(
                [n for n in self.names if n != speaker])
        heard = len(self.listener.heard)
        getattr(self, what)(name, seconds)
        self.wait_spoken()
        self.happened[what] += 1
        times = [at for at, _, _ in self.listener.heard[heard - 1:]]
        self.silence[what] = max(self.silence[what], max(
            after - before for before, after in zip(times, times[1:])))


# In two leases another takes over; so long a host or a server is away.
SHORT_S, LONG_S = 0.1, 2 * LEASE_S
EVENTS = {"cut": SHORT_S, "swallowed": LONG_S, "stopped": LONG_S,
          "killed": LONG_S, "clock_set": LONG_S, "process_killed": SHORT_S,
          "server_killed": SHORT_S}


@pytest.fixture
def storm(make_daemon: Callable[..., Daemon], tmp_path: Path,
          library: Path) -> Iterator[Storm]:    # noqa: F811
    if reason := namespaces_possible():
        pytest.skip(reason)
    with ExitStack() as stack:
        made = Storm(make_daemon, tmp_path, library, stack)
        try:
            yield made
        finally:
            made.end()


def test_storm(storm: Storm) -> None:
    for name in storm.names:
        storm.start(name)
    wait_for(lambda: storm.lease("x")["role"] == "active", "x to have it", 60)
    storm.thread.start()
    storm.wait_spoken()
    begun = time.monotonic()
    with Pace() as pace:
        for what, seconds in EVENTS.items():
            storm.once(what, True, seconds)
        assert len(storm.listener.turns()) >= 4
        while time.monotonic() < begun + STORM_S:
            storm.once(storm.random.choice(list(EVENTS)),
                       storm.random.random() < 0.7,
                       storm.random.choice((SHORT_S, LONG_S)))
        factor = pace.since(begun)
    storm.stop_sending()
    sent = len(storm.sender.sent)
    wait_for(lambda: storm.listener.heard[-1][2] == sent - 1, "the last", 30)
    numbers = [n for _, _, n in storm.listener.heard]
    print(f"{sent} datagrams, {sent - numbers[0] - len(numbers)} while nobody "
          f"relayed, {len(storm.listener.turns())} turns; longest silences "
          f"in s ({factor:.1f} times as long as on an idle machine):")
    for what, count in storm.happened.items():
        print(f"{what} {count} times: {storm.silence[what]:.2f}")
    storm.check()
    # Servers without a leader are silent until they have chosen one.
    del storm.silence["server_killed"]
    assert max(storm.silence.values()) < (LEASE_S + 1) * factor + SLACK_S
    for daemon in storm.daemon.values():
        daemon.wait_settled("one")
        daemon.stop()
        assert daemon.payloads("one") == storm.sender.sent
