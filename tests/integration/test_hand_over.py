# SPDX-License-Identifier: ISC
"""A channel is handed over from host to host while their processes are killed:
nothing is missing between what the two relay, and nothing is there twice.

They are killed at each stage of it, at which others of them are stopped; with
MCRELAY_TEST_LONG each of them is, and then at random, while each host is handed
it a hundred times (MCRELAY_TEST_ROUNDS: how often in all; MCRELAY_TEST_SEED).

Only a lease that runs out loses something of the relay, and nothing of an
archive: with MCRELAY_TEST_LONG whoever hands over is away for longer than that,
too.
"""

from __future__ import annotations

import base64
import contextlib
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
from test_lease import (    # noqa: F401
    LEASE_S, RATE, SLACK_S, World, cluster, have_forwarder)
from waiting import wait_for

pytestmark = pytest.mark.skipif(nats.PROGRAM is None, reason=nats.NO_SERVER)

# One of them, of the host that gives or of the one that takes.
VICTIMS = [(of, what) for what in (
    "supervisor", "mcrelay-forwarder", "everything", "mcrelay-worker")
    for of in ("giver", "taker")]
# Where a hand-over is then: the key says so and the other does not keep what
# comes; he does, and the one that relays has not heard of it; this one may
# have, and its worker has not stopped; nobody has it.
STAGES = ("announced", "ready", "stopping", "handed")
LONG = "MCRELAY_TEST_LONG" in os.environ
KILLS = list(itertools.product(STAGES, VICTIMS)) if LONG else [
    ("announced", ("giver", "supervisor")),
    ("ready", ("taker", "mcrelay-forwarder")),
    ("stopping", ("giver", "mcrelay-forwarder")),
    ("handed", ("taker", "supervisor"))]
ROUNDS = int(os.environ.get("MCRELAY_TEST_ROUNDS", 200 if LONG else 0))
SEED = int(os.environ.get("MCRELAY_TEST_SEED", 31))


class Hosts(World):
    """Each with a service manager, which starts what was killed."""

    def __init__(self, make: Callable[..., Daemon],
                 cluster: Cluster,      # noqa: F811
                 names: str = "ab") -> None:
        super().__init__(make, cluster, names)
        self.lease_s = 4.0
        # Hand-overs in which it has run out, and what was missing of each.
        self.run_out: list[int] = []
        self.whole_to = 0
        self.manager = {name: Manager(daemon.directory)
                        for name, daemon in self.daemon.items()}
        self.random = random.Random(SEED)
        self.kills = Counter[tuple[str, str]]()

    def launch(self, name: str) -> None:
        self.manager[name].launch(self.daemon[name])

    def end(self) -> None:
        super().end()
        for manager in self.manager.values():
            manager.close()

    def pids(self, name: str, what: str) -> list[int]:
        return [pid for pid, command in self.daemon[name].processes().items()
                if command == what[:15]]

    def kill(self, name: str, what: str,
             before_launch: Callable[[], None] = lambda: None) -> None:
        if what in ("supervisor", "everything"):
            self.manager[name].kill(self.daemon[name], what == "everything")
            before_launch()
            self.launch(name)
            return
        for pid in self.pids(name, what):
            os.kill(pid, signal.SIGKILL)
        before_launch()

    def value(self, key: str) -> list[str]:
        """What servers know by that key."""
        with self.cluster.servers[0].client() as client:
            got = client.api("STREAM.MSG.GET.KV_mcrelay-fleet",
                             last_by_subj=f"$KV.mcrelay-fleet.{key}")
        return base64.b64decode(got["message"]["data"]).decode().split()

    def wait_announced(self, taker: str) -> None:
        wait_for(lambda: self.value("one")[3] == taker, "an announcement", 30)

    def wait_ready(self, taker: str) -> None:
        rank = self.names.index(taker)
        wait_for(lambda: self.value(f"one.{rank}")[1:] ==
                 self.value("one")[4:5], f"{taker} to be ready", 30)

    def stop(self, name: str, what: str) -> list[int]:
        pids = self.pids(name, what)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    @staticmethod
    def go_on(pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def reach(self, stage: str, giver: str, taker: str) -> list[int]:
        """Has a hand-over come so far, and no farther as long as these are
        stopped."""
        late = stage in ("stopping", "handed")
        worker = self.stop(giver if late else taker, "mcrelay-worker")
        self.begin(giver, taker)
        self.wait_announced(taker)
        if stage == "announced":
            return worker
        if stage == "ready":
            asker = self.stop(giver, "mcrelay-forwarder")
            self.go_on(worker)
            self.wait_ready(taker)
            return asker
        self.wait_ready(taker)
        if stage == "stopping":
            return worker
        asker = self.stop(taker, "mcrelay-forwarder")
        self.go_on(worker)
        wait_for(lambda: self.value("one")[0] != "held", "it to be free", 30)
        return asker

    def begin(self, giver: str, taker: str) -> None:
        def ask(name: str, word: str) -> None:
            while self.daemon[name].ctl(word, check=False,
                                        timeout_s=60).returncode != 0:
                time.sleep(0.05)

        def both() -> None:
            ask(taker, "undrain")
            ask(giver, "drain")
        self.asking = threading.Thread(target=both, daemon=True)
        self.asking.start()

    def hand_over(self, stage: str | None, of: str, what: str,
                  away_s: float = 0) -> None:
        """Stage None: at some moment."""
        giver = "a" if self.listener.last() == self.address("a") else "b"
        taker = "b" if giver == "a" else "a"
        stopped: list[int] = []
        over = self.over()

        def come_back() -> None:
            time.sleep(away_s)
            self.go_on(stopped)
        if stage is None:
            self.begin(giver, taker)
            # It takes some tenths of a second.
            time.sleep(self.random.uniform(0, 0.6))
        else:
            stopped = self.reach(stage, giver, taker)
        killed = time.monotonic()
        self.kill(giver if of == "giver" else taker, what, come_back)
        # A renewal is sent every sixth of a lease, and an asker needs some
        # time to be there.  On a busy machine who was killed may be away for
        # long.
        late = time.monotonic() - killed > self.lease_s / 2
        self.kills[of, what] += 1
        self.wait_speaks(taker, 60)
        self.asking.join(60)
        assert not self.asking.is_alive()
        missing = self.missing()
        when = f"{what} of the {of} was killed, {stage}"
        # Whose lease was over, they say themselves.
        if self.over() == over:
            assert missing == [], when
            return
        assert late, f"{when}: its lease ran out"
        self.run_out.append(len(missing))

    def over(self) -> int:
        return sum(d.log().count(words) for d in self.daemon.values()
                   for words in ("lease was over", "not renewed in time"))

    def missing(self) -> list[int]:
        """What nobody has relayed, since this was asked last."""
        heard = {n for _, _, n in self.listener.heard}
        begin = self.whole_to or min(heard)
        self.whole_to = max(heard)
        return sorted(set(range(begin, self.whole_to)) - heard)


@pytest.fixture
def hosts(make_daemon: Callable[..., Daemon],
          cluster: Cluster) -> Iterator[Hosts]:     # noqa: F811
    if reason := namespaces_possible():
        pytest.skip(reason)
    made = Hosts(make_daemon, cluster)
    yield made
    made.end()


def begin(hosts: Hosts) -> None:
    hosts.start("a")
    wait_for(lambda: hosts.lease("a")["role"] == "active", "a to have it", 60)
    hosts.start("b")
    wait_for(lambda: hosts.lease("b").get("holder") == "a", "b to know")
    hosts.thread.start()
    hosts.wait_speaks("a")


def end(hosts: Hosts) -> None:
    """What was relayed is there once and in order, and each has all of it in
    its archive."""
    hosts.stop_sending()
    sent = len(hosts.sender.sent)
    wait_for(lambda: hosts.listener.heard[-1][2] == sent - 1, "the last", 30)
    print(f"{sum(hosts.kills.values())} kills, {sent} datagrams, "
          f"{len(hosts.listener.turns())} turns; not relayed of those in "
          f"which a lease ran out: {hosts.run_out}")
    assert hosts.missing() == []
    hosts.check()
    for daemon in hosts.daemon.values():
        daemon.wait_settled("one")
        daemon.stop()
        assert daemon.payloads("one") == hosts.sender.sent


def test_killed(hosts: Hosts) -> None:
    begin(hosts)
    for stage, (of, what) in KILLS:
        hosts.hand_over(stage, of, what)
    for of, what in itertools.islice(itertools.cycle(VICTIMS), ROUNDS):
        hosts.hand_over(None, of, what)
    end(hosts)
    # Each was one hand-over.
    assert hosts.run_out or \
        len(hosts.listener.turns()) == len(KILLS) + ROUNDS + 1


@pytest.mark.skipif(not LONG, reason="MCRELAY_TEST_LONG is not set")
@pytest.mark.parametrize("stage", [None, "ready", "handed"])
def test_away(hosts: Hosts, stage: str | None) -> None:
    """Whoever hands over does not come back before its lease is over: what
    comes between that and the take-over is relayed by nobody."""
    hosts.lease_s = LEASE_S
    begin(hosts)
    for leases in 1.5, 3.0:
        hosts.hand_over(stage, "giver", "everything", leases * LEASE_S)
    end(hosts)
    if stage == "handed":
        assert hosts.run_out == []
        return
    assert len(hosts.run_out) == 2
    # From a kill up to a sixth of a lease after the last renewal on, and as
    # long as the other's asker was stopped, until it has not changed for 9/8,
    # which is looked for every twelfth.
    for missing in hosts.run_out:
        assert 0.5 * LEASE_S < missing / RATE < 1.3 * LEASE_S + SLACK_S
