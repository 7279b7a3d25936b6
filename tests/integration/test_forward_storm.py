# SPDX-License-Identifier: ISC
"""Forwarding while everything is killed and cut: host and three servers in a
namespace each, at one bridge; streams, relays and archives read whole.

MCRELAY_TEST_LONG=1 in the environment: 20 000 datagrams a second over four
channels for five minutes (MCRELAY_TEST_STORM_S: how many seconds).  The reports
are printed with pytest's -s, and kept in the junit file.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import avro_files
import gen
import nats
from daemon import Daemon, output
from forwarding import archived, forward
from lanes import numbers_in
from manager import Manager
from nats import Cluster
from net import Namespace, free_port, group_v4
from test_load import needs_buffer
from waiting import wait_for

LONG = "MCRELAY_TEST_LONG" in os.environ
STORM_S = float(os.environ.get("MCRELAY_TEST_STORM_S", 300 if LONG else 20))
RATE = 5000 if LONG else 1000           # of a channel
LIVE = RATE // 2                        # where they catch up
SIZES = {"one": 64, "two": 100, "three": 200, "four": 300}
AWAY = 120.0 if LONG else 16.0    # seconds, of the whole cluster
NETWORK = "10.82.0."
# Dead, or cut off; the longest makes a connection be given up.
AWAY_S = (0.05, 0.5, 2.0, 9.0) if LONG else (0.05, 0.5, 1.5, 3.0)

Report = Callable[[str, object], None]

pytestmark = [pytest.mark.usefixtures("have_forwarder"), pytest.mark.alone]


class Lan:
    """A bridge, with a port for each."""

    def __init__(self, stack: ExitStack, home: Namespace) -> None:
        self.bridge = self._namespace(stack)
        self.home = home
        self.of = {"home": home} | {
            name: self._namespace(stack) for name in "abc"}
        self.ip(self.bridge, "link add lan type bridge", "link set lan up")
        for number, (name, at) in enumerate(self.of.items(), 1):
            self.add(name, at, number)

    def add(self, name: str, at: Namespace, number: int) -> None:
        self.ip(self.bridge, f"link add p{name} type veth peer name lan0 "
                f"netns {at.name}", f"link set p{name} master lan",
                f"link set p{name} up")
        self.ip(at, f"addr add {NETWORK}{number}/24 dev lan0",
                "link set lan0 up")

    @staticmethod
    def _namespace(stack: ExitStack) -> Namespace:
        made = Namespace()
        stack.callback(made.close)
        return made

    @staticmethod
    def ip(at: Namespace, *lines: str) -> None:
        subprocess.run(["ip", "-n", at.name, "-batch", "-"], check=True,
                       input="\n".join(lines) + "\n", text=True, timeout=20)

    def cut(self, name: str) -> None:
        self.ip(self.bridge, f"link set p{name} down")

    def swallow(self, name: str) -> None:
        """Of which it hears nothing."""
        self.ip(self.bridge, f"link set p{name} nomaster")

    def mend(self, name: str) -> None:
        self.ip(self.bridge, f"link set p{name} master lan up")

    def places(self) -> tuple[tuple[str, Namespace], ...]:
        return tuple((f"{NETWORK}{number}", self.of[name])
                     for number, name in enumerate("abc", 2))


@pytest.fixture
def lan(namespace: Namespace) -> Iterator[Lan]:
    with ExitStack() as stack:
        yield Lan(stack, namespace)


@pytest.fixture
def cluster(tmp_path: Path, lan: Lan) -> Iterator[Cluster]:
    three = Cluster(tmp_path, places=lan.places())
    try:
        yield three.start()
    finally:
        three.end()


class Lane:
    """A channel with its traffic; what became of it."""

    def __init__(self, daemon: Daemon, name: str, home: Namespace) -> None:
        self.daemon, self.name, self.home = daemon, name, home
        self.port, self.group = free_port(), group_v4()

    def conf(self, stack: ExitStack, **more: Any) -> dict[str, Any]:
        self.sink = stack.enter_context(self.listen())
        return archived(
            self.daemon, self.name, self.port, rotate={"size": "8MiB"}
        ) | {"relay": [output(self.group, self.sink.port)], "listen": {
            "address": "127.0.0.1", "port": self.port,
            "receive_buffer": "128MiB"}} | more

    def listen(self, port: int = 0, *options: str) -> gen.Gen:
        return gen.sink(self.daemon.programs, self.group, "-i", "lo",
                        *options, port=port, namespace=self.home)

    def load(self, stack: ExitStack, rate: int = RATE) -> None:
        self.source = stack.enter_context(gen.source(
            self.daemon.programs, "127.0.0.1", self.port, "-r", str(rate),
            "-b", str(SIZES[self.name]), namespace=self.home))

    def end(self) -> None:
        self.source.interrupt()
        report = self.source.result()
        self.sent, self.id = report["sent"], bytes.fromhex(report["stream"])
        self.ledger = self.daemon.wait_received(self.name, self.sent, 60)
        self.sink.interrupt()
        self.seen = self.sink.result(good=False)

    def check(self) -> None:
        """As without a forwarder: all came, was relayed and is archived."""
        lost = {key: value for key, value in self.ledger.items() if value
                and key in ("kernel_dropped", "truncated", "relay_errors",
                            "rejected", "archive_shed", "relay_overrun")}
        assert not lost, (self.name, lost)
        assert self.ledger["received"] == self.ledger["relayed"] == \
            self.ledger["archived"] == self.sent
        assert self.seen["received"] + self.seen["kernel_dropped"] == \
            self.sent, self.seen
        assert self.seen["doubled"] == self.seen["reordered"] == 0
        paths = sorted(avro_files.files(self.daemon.archive, self.name),
                       key=avro_files.first_sequence)
        assert [number for path in paths for number in numbers_in(
            avro_files.read_container(path), self.id)] == \
            list(range(self.sent))

    def streamed(self, cluster: Cluster) -> list[int]:
        """The numbers of all that is in its stream."""
        file, found = self.daemon.directory / "message", []
        with cluster.client() as client:
            for message in client.messages(f"mcrelay-{self.name}"):
                file.write_bytes(message.data)
                numbers = numbers_in(avro_files.read_container(file),
                                     self.id)
                assert len(numbers) == int(
                    message.headers["Mcrelay-Records"])
                found += numbers
        return found

    def stored(self, cluster: Cluster) -> int:
        """Records up to the stream's end, as that says; 0: nobody says."""
        try:
            with cluster.client() as client:
                last = client.api(f"STREAM.MSG.GET.mcrelay-{self.name}",
                                  last_by_subj=f"mcrelay.rig.{self.name}")
                if "message" not in last:
                    return 0
                headers = client.message(f"mcrelay-{self.name}",
                                         last["message"]["seq"]).headers
        except OSError:
            return 0
        return int(headers["Mcrelay-Last-Sequence"]) + 1


EVENTS = (
    "leader killed", "leader killed", "server killed", "leader cut",
    "server cut", "host cut", "forwarder killed", "forwarder killed",
    "worker killed", "supervisor killed", "all of the host killed")


class Storm:
    """Kills and cuts at random; of the servers one is away at a time, and the
    next one when all have everything; or all at one moment, where that has
    lost no streams (before 2.10.23 it has)."""

    def __init__(self, daemon: Daemon, manager: Manager, lan: Lan,
                 cluster: Cluster, names: list[str]) -> None:
        self.daemon, self.manager = daemon, manager
        self.lan, self.cluster, self.names = lan, cluster, names
        self.random = random.Random(29)
        self.kills = Counter[str]()
        self.later: list[tuple[float, str, Callable[[], None]]] = []
        self.away: set[str] = set()
        version = cluster.servers[0].version()
        self.events = EVENTS + ("all servers killed",) * (
            tuple(map(int, version.split("."))) >= (2, 10, 23))

    def back(self, what: str, again: Callable[[], Any]) -> None:
        """Some time later."""
        self.away.add(what)

        def do() -> None:
            again()
            self.away.remove(what)
        heapq.heappush(self.later, (
            time.monotonic() + self.random.choice(AWAY_S), what, do))

    def servers_whole(self) -> bool:
        return not self.away & {*"abc"} and all(
            self.cluster.is_current(f"mcrelay-{name}")
            for name in self.names)

    def kill_children(self, command: str, most: int) -> None:
        pids = [pid for pid, name in self.daemon.processes().items()
                if name == command[:15]]
        for pid in self.random.sample(pids, min(most, len(pids))):
            os.kill(pid, signal.SIGKILL)

    def server(self, what: str) -> str:
        """Of which something is to happen to a server; "": to none now."""
        if not self.servers_whole():
            return ""
        if "all" in what:
            for server in self.cluster.servers:
                server.end()
                self.back(server.name, server.launch)
            return what
        victim = self.random.choice(self.cluster.servers)
        if "leader" in what:
            leader = self.cluster.leader(
                f"mcrelay-{self.random.choice(self.names)}")
            if leader is None:
                return ""
            victim = leader
        if "cut" in what:
            self.lan.cut(victim.name)
            self.back(victim.name, lambda: self.lan.mend(victim.name))
        else:
            victim.end()
            self.back(victim.name, victim.launch)
        return what

    def once(self) -> None:
        what = self.random.choice(self.events)
        if what == "forwarder killed":
            self.kill_children("mcrelay-forwarder", 2)
        elif what == "worker killed":
            self.kill_children("mcrelay-worker", 1)
        elif what in ("supervisor killed", "all of the host killed"):
            self.manager.kill(self.daemon, what.startswith("all"))
            self.manager.launch(self.daemon)
        elif what == "host cut":
            if "home" in self.away:
                return
            self.lan.cut("home")
            self.back("home", lambda: self.lan.mend("home"))
        else:
            what = self.server(what)
        if what:
            self.kills[what] += 1

    def blow(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.once()
            until = time.monotonic() + self.random.uniform(0.05, 1.0)
            while (now := time.monotonic()) < until:
                while self.later and self.later[0][0] <= now:
                    heapq.heappop(self.later)[2]()
                time.sleep(min(0.02, until - now))
        while self.later:
            heapq.heappop(self.later)[2]()


def test_storm(daemon: Daemon, lan: Lan, cluster: Cluster,
               record_property: Report) -> None:
    needs_buffer()
    daemon.namespace = lan.home
    lanes = [Lane(daemon, name, lan.home) for name in SIZES]
    with ExitStack() as stack:
        manager = stack.enter_context(Manager(daemon.directory))
        daemon.write(*(lane.conf(stack) for lane in lanes),
                     **forward(*cluster.urls, replicas=3), forwarders=2)
        manager.launch(daemon)
        storm = Storm(daemon, manager, lan, cluster, list(SIZES))
        for lane in lanes:
            cluster.wait_current(f"mcrelay-{lane.name}")
        for lane in lanes:
            lane.load(stack)
        storm.blow(STORM_S)
        for lane in lanes:
            lane.end()
        ended = time.monotonic()
        for lane in lanes:
            wait_for(lambda: lane.stored(cluster) == lane.sent,
                     f"all of {lane.name} in its stream", 120, lambda: (
                         lane.stored(cluster), lane.sent, daemon.log()[-3000:]))
        caught = time.monotonic() - ended
        resyncs = {lane.name: daemon.status(lane.name)["forward"]["resyncs"]
                   for lane in lanes}
        daemon.stop()
    report: dict[str, Any] = {
        "nats-server": cluster.servers[0].version(),
        "kills": dict(sorted(storm.kills.items())), "seconds": STORM_S,
        "behind at the end s": round(caught, 1), "resyncs": resyncs}
    for lane in lanes:
        found = lane.streamed(cluster)
        report[lane.name] = {
            "sent": lane.sent, "in the stream": len(found),
            "messages": cluster.info(f"mcrelay-{lane.name}")["state"][
                "messages"],
            "lost": lane.sent - len(set(found)),
            "doubled": len(found) - len(set(found)),
            "out of order": sum(a >= b for a, b in zip(found, found[1:]))}
    record_property("report", json.dumps(report))
    print(json.dumps(report, indent=2))
    for lane in lanes:
        lane.check()
        assert not any(report[lane.name][key] for key in (
            "lost", "doubled", "out of order")), report


class Phase:
    """What the relay's listeners see for a while."""

    def __init__(self, stack: ExitStack, lanes: list[Lane]) -> None:
        self.sinks = [stack.enter_context(lane.listen(lane.sink.port))
                      for lane in lanes]

    def end(self) -> dict[str, float]:
        for sink in self.sinks:
            sink.interrupt()
        seen = [sink.result(good=False) for sink in self.sinks]
        total = {key: sum(s[key] for s in seen) for key in (
            "received", "lost", "doubled", "reordered", "kernel_dropped")}
        return total | {f"{key} us, the worst": max(
            s["latency_us"][key] for s in seen) for key in ("p50", "p99")}


def test_caught_up(daemon: Daemon, lan: Lan, cluster: Cluster,
                   record_property: Report) -> None:
    """After the whole cluster was away: three times as fast as it comes, and
    the relay is as it was without.  The servers, which are on this machine,
    leave the processor to it."""
    needs_buffer()
    daemon.namespace = lan.home
    lanes = [Lane(daemon, name, lan.home) for name in SIZES]
    top = forward(*cluster.urls, replicas=3) | {"forwarders": 2}
    phases: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        conf = [lane.conf(stack) for lane in lanes]
        daemon.start(*(c | {"forward": False} for c in conf), **top)
        for lane in lanes:
            lane.load(stack, LIVE)
        for what, seconds in (("not forwarded", AWAY / 4), ("away", AWAY)):
            if what == "away":
                for server in cluster.servers:
                    server.end()
                daemon.write(*conf, **top)
                daemon.ctl("reload")
            phase = Phase(stack, lanes)
            time.sleep(seconds)
            phases[what] = phase.end()
        waits = sum(daemon.ledger(lane.name)["archived"] for lane in lanes)
        for server in cluster.servers:
            server.launch()
            assert server.process is not None
            os.setpriority(os.PRIO_PROCESS, server.process.pid, 10)
        # Until there is a leader, nothing can be sent.
        wait_for(lambda: all(lane.stored(cluster) for lane in lanes),
                 "a beginning", 60)
        phase = Phase(stack, lanes)
        wait_for(lambda: all(daemon.status(lane.name)["forward"].get(
            "behind_bytes", 1 << 20) < 1 << 20 for lane in lanes),
            "nothing behind", 60 + AWAY, daemon.log)
        took = time.time() - min(nats.moment(cluster.info(
            f"mcrelay-{lane.name}")["state"]["first_ts"]) for lane in lanes)
        rate = sum(lane.stored(cluster) for lane in lanes) / took
        phases["caught up"] = phase.end()
        for lane in lanes:
            lane.end()
            wait_for(lambda: lane.stored(cluster) == lane.sent, "all", 60)
        daemon.stop()
    report = {"waited": waits, "caught up in s": round(took, 1),
              "records/s": round(rate), "live": LIVE * len(lanes),
              "phases": phases}
    record_property("report", json.dumps(report))
    print(json.dumps(report, indent=2))
    assert rate >= 3 * LIVE * len(lanes), report
    for lane in lanes:
        lane.check()
        assert lane.streamed(cluster) == list(range(lane.sent)), lane.name
    for seen in phases.values():
        assert seen["lost"] == seen["kernel_dropped"], report
        assert seen["doubled"] == seen["reordered"] == 0, report
