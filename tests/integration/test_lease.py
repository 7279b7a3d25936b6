# SPDX-License-Identifier: ISC
"""Hosts that take turns: one of them relays, the others stand by."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import nats
from conftest import namespaces_possible
from daemon import Daemon, channel, output
from nats import Cluster
from net import (Namespace, Sender, free_port, group_v4, numbered,
                 receiving_socket)
from waiting import wait_for

pytestmark = pytest.mark.skipif(nats.PROGRAM is None, reason=nats.NO_SERVER)

LEASE_S = 2.0
# On a machine that others use as well.
SLACK_S = 3.0
RATE = 400
PORT, RELAY_PORT = 26000, 26001


@pytest.fixture(autouse=True)
def have_forwarder(programs: Any) -> None:
    if not (programs.libexec / "mcrelay-forwarder").exists():
        pytest.skip("built without libnats")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    try:
        yield made.start()
    finally:
        made.end()


class Way:
    """From a host's network to the servers, at the same ports; may be cut, as
    by a network that swallows all."""

    def __init__(self, namespace: Namespace, ports: list[int]) -> None:
        self.cut = False
        self.over = False
        self.said = bytearray()         # to the servers
        self.sockets: list[socket.socket] = []
        for port in ports:
            listening = namespace.enter(
                lambda: socket.create_server(("127.0.0.1", port)))
            self.sockets.append(listening)
            self.thread(self.accept, listening, port)

    @staticmethod
    def thread(target: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=target, args=args, daemon=True).start()

    def accept(self, listening: socket.socket, port: int) -> None:
        while not self.over:
            try:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", port))
            except OSError:
                if self.over:
                    return
                near.close()
                continue
            self.sockets += [near, far]
            self.thread(self.carry, near, far, self.said)
            self.thread(self.carry, far, near, bytearray())

    def carry(self, one: socket.socket, other: socket.socket,
              carried: bytearray) -> None:
        try:
            while data := one.recv(65536):
                carried += data
                while self.cut:
                    time.sleep(0.01)
                other.sendall(data)
        except OSError:
            pass
        for each in (one, other):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def end(self) -> None:
        self.over, self.cut = True, False
        for each in self.sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


class Listener:
    """One who hears what is relayed: when, by whom, which."""

    def __init__(self, namespace: Namespace, group: str,
                 port: int = RELAY_PORT) -> None:
        self.socket = receiving_socket(group, port, "br0", namespace)
        self.socket.settimeout(0.1)
        self.heard: list[tuple[float, str, int]] = []
        self.over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.over:
            try:
                data, source = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            self.heard.append((time.monotonic(), source[0],
                               struct.unpack(">Q", data[:8])[0]))

    def end(self) -> None:
        self.over = True
        self.thread.join()
        self.socket.close()

    def last(self) -> str:
        return self.heard[-1][1] if self.heard else ""

    def turns(self) -> list[str]:
        """Who spoke, one after the other."""
        found: list[str] = []
        for _, source, _ in self.heard:
            if not found or found[-1] != source:
                found.append(source)
        return found

    def gap(self, source: str) -> float:
        """The silence before that one began, the last time."""
        for before, after in zip(reversed(self.heard[:-1]),
                                 reversed(self.heard)):
            if after[1] == source != before[1]:
                return after[0] - before[0]
        raise AssertionError(f"{source} has never begun")


class World:
    """Hosts at one switch, where a sender sends and a listener listens."""

    def __init__(self, make: Callable[..., Daemon], cluster: Cluster,
                 names: str) -> None:
        self.lease_s = LEASE_S
        self.standby = "hot"
        self.names, self.group, self.out = names, group_v4(), group_v4()
        self.cluster = cluster
        self.made: list[Any] = []
        self.lan = self.namespace()
        self.ip(self.lan, "link add name br0 type bridge mcast_snooping 0")
        self.ip(self.lan, "addr add 10.77.0.1/24 dev br0")
        self.ip(self.lan, "link set br0 up")
        self.daemon: dict[str, Daemon] = {}
        self.way: dict[str, Way] = {}
        for number, name in enumerate(names):
            home = self.namespace()
            self.ip(home, f"link add e0 type veth peer name h{number} "
                    f"netns {self.lan.name}")
            self.ip(self.lan, f"link set h{number} master br0 up")
            self.ip(home, f"addr add {self.address(name)}/24 dev e0")
            self.ip(home, "link set e0 up")
            self.connect(name, home)
            self.daemon[name] = make(name, namespace=home)
        self.listener = Listener(self.lan, self.out)
        self.sender = Sender(self.group, PORT, "br0", self.lan)
        self.sending, self.begun = True, False
        self.thread = threading.Thread(target=self.send, daemon=True)

    def connect(self, name: str, home: Namespace) -> None:
        """To the servers."""
        self.way[name] = Way(home, [s.port for s in self.cluster.servers])
        self.made.append(self.way[name])

    def namespace(self) -> Namespace:
        made = Namespace()
        self.made.append(made)
        return made

    @staticmethod
    def ip(namespace: Namespace, words: str) -> None:
        subprocess.run(["ip", "-n", namespace.name, *words.split()],
                       check=True, timeout=10, stdin=subprocess.DEVNULL)

    def address(self, name: str) -> str:
        return f"10.77.0.{10 + self.names.index(name)}"

    def send(self) -> None:
        number = 0
        while self.sending:
            self.sender.send(numbered(RATE // 10, first=number), RATE)
            number += RATE // 10

    def start(self, name: str, servers: list[str] | None = None, **more: Any
              ) -> None:
        daemon = self.daemon[name]
        daemon.write(channel(
            "one", PORT, address=self.group, hosts=list(self.names),
            standby=self.standby,
            listen_interface="e0", archive=daemon.archive_conf(),
            relay=[output(self.out, RELAY_PORT, interface="e0")]) | more,
            host=name, fleet={"lease": f"{self.lease_s:.0f}s"},
            forward={"servers": servers or self.cluster.urls,
                              "replicas": 3})
        self.launch(name)
        if self.standby == "hot":
            daemon.wait_running()
        wait_for(lambda: daemon.try_status() is not None, "a status", 30,
                 daemon.log)
        # Whichever asks first has the channel, whatever its rank.
        if not self.begun:
            wait_for(lambda: self.lease(name)["role"] == "active",
                     f"{name} to have it", 30, daemon.log)
        self.begun = True

    def launch(self, name: str) -> None:
        self.daemon[name].launch()

    def lease(self, name: str) -> dict[str, Any]:
        return dict(self.daemon[name].status("one")["lease"])

    def wait_state(self, name: str, state: str) -> None:
        wait_for(lambda: self.daemon[name].status("one")["state"] == state,
                 f"{name} to be {state}", 30, self.daemon[name].log)

    def wait_speaks(self, name: str, deadline_s: float = 40) -> None:
        wait_for(lambda: self.listener.last() == self.address(name),
                 f"{name} to relay", deadline_s, lambda: "".join(
                     f"--- {n}\n{d.log()[-3000:]}"
                     for n, d in self.daemon.items()))

    def wait_pair(self) -> None:
        """Until each knows of the other: one that was heard of once may have
        gone, so who drains finds nobody before it was twice."""
        wait_for(lambda: self.lease("b").get("holder") == "a", "b to know")
        wait_for(lambda: self.lease("a")["standbys"] == 1, "a to know", 30,
                 self.daemon["a"].log)

    def take_over_behind(self, pid: int) -> None:
        """By b from a, while that process of b's is stopped."""
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.5)
        self.daemon["a"].kill()
        wait_for(lambda: self.lease("b")["role"] == "active", "b to have it",
                 30)
        os.kill(pid, signal.SIGCONT)
        self.wait_speaks("b")

    def signal(self, name: str, number: int) -> None:
        """To all processes of that host."""
        for pid in self.daemon[name].processes():
            os.kill(pid, number)

    def check(self) -> None:
        """Nobody spoke between another's first and last, and nothing was
        relayed twice."""
        numbers = [n for _, _, n in self.listener.heard]
        twice = {n for n, count in Counter(numbers).items() if count > 1}
        assert not twice, "relayed twice: " + str(
            [each for each in self.listener.heard if each[2] in twice])
        assert numbers == sorted(numbers), "two have spoken in turn"

    def stop_sending(self) -> None:
        self.sending = False
        self.thread.join()

    def end(self) -> None:
        self.sending = False
        if self.thread.is_alive():
            self.thread.join()
        self.sender.close()
        self.listener.end()
        for daemon in self.daemon.values():
            daemon.kill()
        for each in reversed(self.made):
            each.close() if isinstance(each, Namespace) else each.end()


@pytest.fixture
def make_world(make_daemon: Callable[..., Daemon], cluster: Cluster
               ) -> Iterator[Callable[[str], World]]:
    if reason := namespaces_possible():
        pytest.skip(reason)
    made: list[World] = []

    def make(names: str) -> World:
        made.append(World(make_daemon, cluster, names))
        return made[0]

    yield make
    for world in made:
        world.end()


def test_taken_by_two(make_world: Callable[[str], World]) -> None:
    """Two try to take it while the servers store nothing, and are answered one
    after the other.  2.9 tells both that it is theirs."""
    world = make_world("abc")
    world.start("a")
    world.thread.start()
    world.wait_speaks("a")
    stream = "KV_mcrelay-fleet"
    world.cluster.wait_current(stream)
    leader = world.cluster.leader(stream)
    assert leader is not None
    for name in "bc":
        world.start(name, [leader.url])
    wait_for(lambda: {world.lease(n).get("holder") for n in "bc"} == {"a"},
             "both to know")
    others = [s.process.pid for s in world.cluster.servers
              if s is not leader and s.process is not None]
    world.daemon["a"].kill()
    time.sleep(LEASE_S * 0.9)
    for name in "bc":
        world.way[name].said.clear()
    missed = ""
    try:
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: all(b" $KV.mcrelay-fleet.one " in world.way[n].said
                             for n in "bc"), "both to try", 10)
    except AssertionError as error:
        # Only who asks the leader in time is told that it is his.
        missed = str(error)
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    heard = len(world.listener.heard)
    wait_for(lambda: len(world.listener.heard) > heard + 3 * RATE,
             "one of them to relay", 40)
    world.stop_sending()
    world.check()
    if missed:
        pytest.skip(missed)


def test_behind(make_world: Callable[[str], World]) -> None:
    """One that takes over and is behind has in its socket what the other has
    relayed: nothing of that is relayed again, and what comes then is."""
    world = make_world("ab")
    for name in "ab":
        world.start(name)
    world.thread.start()
    world.wait_speaks("a")
    world.wait_pair()
    pid = world.daemon["b"].worker_pid("one")
    world.take_over_behind(pid)
    heard = len(world.listener.heard)
    wait_for(lambda: len(world.listener.heard) > heard + RATE, "traffic")
    world.stop_sending()
    world.check()
    # From its first on nothing is missing.
    numbers = [n for _, _, n in world.listener.heard[-RATE:]]
    assert numbers == list(range(numbers[0], numbers[0] + RATE))


def test_decimator_behind(make_world: Callable[[str], World]) -> None:
    """The same of what a decimator makes of what it is behind with."""
    world = make_world("ab")
    group, port = group_v4(), free_port()
    slow = Listener(world.lan, group, port)
    for name in "ab":
        world.start(name, decimate=[
            {"name": "s", "method": "pick", "every": 10} |
            output(group, port, interface="e0")])
    world.thread.start()
    world.wait_speaks("a")
    world.wait_pair()
    b = world.daemon["b"]
    pid = next(pid for pid, name in b.processes().items()
               if name == "mcrelay-decimator"[:15])
    world.take_over_behind(pid)
    wait_for(lambda: slow.last() == world.address("b"), "b's decimator")
    slow.end()
    first = [next(n for _, source, n in listener.heard
                  if source == world.address("b"))
             for listener in (world.listener, slow)]
    assert first[0] <= first[1] < first[0] + RATE
    # What it was behind with, and all before.
    assert b.status("one")["decimate"]["s"]["standby"] > RATE * 0.5 / 10


def test_follower_hangs(make_world: Callable[[str], World]) -> None:
    """Who has it is asked of who leads: another server that hangs is missed by
    nobody."""
    world = make_world("ab")
    world.start("a")
    stream = "KV_mcrelay-fleet"
    world.cluster.wait_current(stream)
    leader = world.cluster.leader(stream)
    assert leader is not None
    for name in "ab":
        world.daemon[name].kill()
        world.start(name, [leader.url])
    world.thread.start()
    world.wait_speaks("a")
    world.wait_pair()
    hangs = next(s.process for s in world.cluster.servers if s is not leader)
    assert hangs is not None
    os.kill(hangs.pid, signal.SIGSTOP)
    try:
        time.sleep(4 * LEASE_S)
    finally:
        os.kill(hangs.pid, signal.SIGCONT)
    for name in "ab":
        assert "cannot be found out" not in world.daemon[name].log()
    world.stop_sending()
    world.check()
    assert world.listener.turns() == [world.address("a")]


def test_kill(make_world: Callable[[str], World]) -> None:
    """All of the active host is killed, and comes back; its archive and that
    of the other say what they had."""
    world = make_world("ab")
    a, b = world.daemon["a"], world.daemon["b"]
    world.start("a")
    world.start("b")
    world.thread.start()
    world.wait_speaks("a")
    assert world.lease("a")["role"] == "active"
    wait_for(lambda: world.lease("b").get("holder") == "a", "b to know")
    status = b.status("one")
    assert status["lease"]["role"] == "standby"
    assert status["state"] == "running"
    assert "standby" in [r["what"] for r in status["reasons"]]
    a.kill()
    world.wait_speaks("b")
    gap = world.listener.gap(world.address("b"))
    print(f"hot: taken over after {gap:.2f} s, {gap / LEASE_S:.2f} leases")
    assert LEASE_S / 2 < gap < LEASE_S + 1 + SLACK_S
    assert world.lease("b")["taken"] == 1
    world.start("a")
    world.wait_speaks("a")
    # Handed over, it takes no lease.
    assert world.listener.gap(world.address("a")) < LEASE_S / 2 + SLACK_S
    world.stop_sending()
    world.check()
    assert world.listener.turns() == [world.address(n) for n in "aba"]
    sent = world.sender.sent
    ledger = b.wait_received("one", len(sent))
    assert 0 < ledger["relay_standby"] < ledger["received"]
    a.wait_settled("one")
    b.stop()
    a.stop()
    assert b.payloads("one") == sent


def test_stop_and_cut(make_world: Callable[[str], World]) -> None:
    """One that wakes up after its time is silent before anybody could tell
    it; and so is one that hears no server."""
    world = make_world("ab")
    world.start("a")
    world.start("b")
    world.thread.start()
    world.wait_speaks("a")
    world.signal("a", signal.SIGSTOP)
    world.wait_speaks("b")
    world.signal("a", signal.SIGCONT)
    world.wait_speaks("a")
    world.check()
    world.way["a"].cut = True
    world.wait_speaks("b")
    assert world.lease("a")["role"] == "standby"
    world.way["a"].cut = False
    world.wait_speaks("a")
    # Its worker alone, which cannot be replaced at once: nobody tells it.
    worker = world.daemon["a"].worker_pid("one")
    os.kill(worker, signal.SIGSTOP)
    world.way["a"].cut = True
    world.wait_speaks("b")
    os.kill(worker, signal.SIGCONT)
    world.way["a"].cut = False
    world.wait_speaks("a")
    world.stop_sending()
    world.check()
    assert world.listener.turns() == [world.address(n) for n in "abababa"]


def test_servers(make_world: Callable[[str], World], cluster: Cluster
                 ) -> None:
    """One of three servers, the leader, changes nothing for long; without
    any nobody relays, and then one does again."""
    world = make_world("abc")
    for name in "abc":
        world.start(name)
    world.thread.start()
    world.wait_speaks("a")
    cluster.wait_current("KV_mcrelay-fleet")
    leader = cluster.leader("KV_mcrelay-fleet")
    assert leader is not None
    leader.end()
    before = len(world.listener.heard)
    wait_for(lambda: len(world.listener.heard) > before + RATE, "traffic", 60)
    for server in cluster.servers:
        server.end()
    wait_for(lambda: time.monotonic() - world.listener.heard[-1][0] > 1,
             "silence", 30)
    assert all(world.lease(n)["role"] == "standby" for n in "abc")
    silent = len(world.listener.heard)
    cluster.start()
    wait_for(lambda: len(world.listener.heard) > silent + RATE, "traffic", 90)
    world.stop_sending()
    world.check()


def test_child(make_world: Callable[[str], World]) -> None:
    """The process that asks is killed, and the worker: a host that goes on in
    time keeps the channel.  One whose channel is stopped gives it away."""
    world = make_world("ab")
    world.lease_s = 10.0
    a = world.daemon["a"]
    world.start("a")
    world.start("b")
    world.thread.start()
    world.wait_speaks("a")
    for _ in range(2):
        pid = next(pid for pid, command in a.processes().items()
                   if command == "mcrelay-forwarder"[:15])
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        # A renewal by another process, sent after that.
        wait_for(lambda: world.lease("a")["left_ms"] > 1000 * (
            world.lease_s - time.monotonic() + killed) + 500, "a renewal",
            30, a.log)
    old = a.worker_pid("one")
    os.kill(old, signal.SIGKILL)
    a.wait_new_worker("one", old)
    heard = len(world.listener.heard)
    wait_for(lambda: len(world.listener.heard) > heard + RATE, "traffic")
    assert world.listener.turns() == [world.address("a")]
    assert a.ctl("stop", "one").returncode == 0
    world.wait_speaks("b")
    assert a.ctl("start", "one").returncode == 0
    world.wait_speaks("a")
    world.stop_sending()
    world.check()


def test_drain(make_world: Callable[[str], World]) -> None:
    """Hands all over and takes nothing until it is told so: between what the
    two relay nothing is missing, and nothing is there twice."""
    world = make_world("ab")
    a, b = world.daemon["a"], world.daemon["b"]
    world.start("a")
    done = a.ctl("drain", check=False)
    assert done.returncode == 1 and "no other host can have one" in done.stderr
    assert a.ctl("undrain").returncode == 0
    world.start("b")
    world.thread.start()
    world.wait_speaks("a")
    world.wait_pair()
    assert a.ctl("drain").returncode == 0
    world.wait_speaks("b")
    lease = world.lease("a")
    assert lease["role"] == "standby" and lease["handed"] == 1
    assert a.status("one")["state"] == "running"
    # It is the first of the list, and there, and is given nothing.
    heard = len(world.listener.heard)
    wait_for(lambda: len(world.listener.heard) > heard + 4 * LEASE_S * RATE,
             "traffic", 60)
    assert world.listener.last() == world.address("b")
    assert a.ctl("undrain").returncode == 0
    world.wait_speaks("a")
    world.stop_sending()
    world.check()
    assert world.listener.turns() == [world.address(n) for n in "aba"]
    sent = len(world.sender.sent)
    wait_for(lambda: world.listener.heard[-1][2] == sent - 1, "the last")
    numbers = [n for _, _, n in world.listener.heard]
    assert numbers == list(range(numbers[0], sent))
    for daemon in (a, b):
        daemon.wait_settled("one")
        assert daemon.ledger("one")["relay_errors"] == 0


class Paths:
    """The same stream by two paths, of which each host has each datagram first
    by one or the other, and an output besides that keeps the senders."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept_group = group_v4()
        # The sink has the senders' address itself.
        world.lan.run("sysctl", "-qw", "net.ipv4.conf.br0.accept_local=1",
                      "net.ipv4.conf.all.rp_filter=0",
                      "net.ipv4.conf.br0.rp_filter=0")
        self.kept = Listener(world.lan, self.kept_group, RELAY_PORT + 1)
        self.second = Sender(world.group, PORT + 1, "br0", world.lan)

    def conf(self, ports: list[int]) -> dict[str, Any]:
        world = self.world
        return {"listen": [{"address": world.group, "port": port,
                            "interface": "e0"} for port in ports],
                "payload": {"format": "raw", "sequence": {
                    "offset": 0, "type": "u64be"}},
                "merge": "sequence", "merge_window": "400ms",
                "relay": [
                    output(world.out, RELAY_PORT, interface="e0"),
                    output(self.kept_group, RELAY_PORT + 1, interface="e0",
                           keep_source=True)]}

    def send(self, count: int) -> None:
        first = len(self.world.sender.sent)
        for each in numbered(count, first=first):
            both = [self.world.sender, self.second]
            for sender in both if each[7] % 3 else both[::-1]:
                sender.send([each])
            time.sleep(1 / RATE)

    def end(self) -> None:
        self.kept.end()
        self.second.close()


def test_drain_of_paths(make_world: Callable[[str], World]) -> None:
    """Merged inputs, two outputs of which one keeps the senders, and a pause:
    handed over and back, all of it is sent once and in order by each."""
    world = make_world("ab")
    paths = Paths(world)
    a, b = world.daemon["a"], world.daemon["b"]
    try:
        world.start("a", **paths.conf([PORT, PORT + 1]))
        world.start("b", **paths.conf([PORT + 1, PORT]))
        wait_for(lambda: world.lease("a")["role"] == "active", "a", 30)
        world.wait_pair()
        turns = threading.Thread(target=lambda: [
            d.ctl(word, timeout_s=60) for d, word in
            ((a, "drain"), (a, "undrain"))], daemon=True)
        paths.send(RATE // 2)
        turns.start()
        while turns.is_alive() or world.lease("a")["role"] != "active":
            paths.send(20)
        sent = len(world.sender.sent)
        for listener in world.listener, paths.kept:
            wait_for(lambda: len(listener.heard) >= sent, f"{sent} datagrams",
                     10, lambda: sorted(set(range(sent)) - {
                         n for _, _, n in listener.heard}))
            assert [n for _, _, n in listener.heard] == list(range(sent))
        assert {who for _, who, _ in paths.kept.heard} == {"10.77.0.1"}
        # Whose relay is paused hands on nothing of what came meanwhile.
        a.ctl("pause", "-p", "one", "relay")
        paths.send(50)
        a.ctl("drain", timeout_s=60)
        wait_for(lambda: world.lease("b")["role"] == "active", "b", 60)
        paths.send(50)
        for listener in world.listener, paths.kept:
            wait_for(lambda: listener.heard[-1][2] == sent + 99, "the last")
        assert [n for _, _, n in paths.kept.heard[sent:]] == \
            list(range(sent + 50, sent + 100))
        for daemon in (a, b):
            ledger = daemon.wait_received("one", 2 * (sent + 100))
            assert ledger["merged"] == sent + 100
            assert ledger["relay_errors"] == 0
            daemon.wait_settled("one")
        # Of two outputs, standing by or not.
        assert a.ledger("one")["relay_paused"] == 2 * 100
        b.stop()
        a.stop()
        assert a.payloads("one") == b.payloads("one") == world.sender.sent
    finally:
        paths.end()


def test_cold(make_world: Callable[[str], World]) -> None:
    """One that stands by cold has no worker; it has one before it is handed
    the channel, and after another host has died."""
    world = make_world("ab")
    world.standby = "cold"
    a, b = world.daemon["a"], world.daemon["b"]
    world.start("a")
    world.wait_state("a", "running")
    world.start("b")
    world.wait_pair()
    world.thread.start()
    world.wait_speaks("a")
    status = b.status("one")
    assert status["state"] == "stopped" and status["pid"] == 0
    assert [r["what"] for r in status["reasons"]] == ["standby"]
    assert "mcrelay-worker"[:15] not in b.processes().values()
    assert b.ctl("check").returncode == 0
    assert a.ctl("drain").returncode == 0
    world.wait_speaks("b")
    world.wait_state("a", "stopped")
    assert a.ctl("undrain").returncode == 0
    world.wait_speaks("a")
    world.check()
    numbers = [n for _, _, n in world.listener.heard]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    world.wait_state("b", "stopped")
    a.kill()
    world.wait_speaks("b")
    gap = world.listener.gap(world.address("b"))
    print(f"cold: taken over after {gap:.2f} s, {gap / LEASE_S:.2f} leases")
    assert LEASE_S / 2 < gap < LEASE_S + 1 + SLACK_S
    # Stopped by who may, it is not started again.
    assert b.ctl("stop", "one").returncode == 0
    wait_for(lambda: world.lease("b")["role"] == "standby", "b to give it")
    # It is silent, so nobody has to wait for its lease, which that one takes
    # to be a long one.
    world.lease_s = 60.0
    world.start("a")
    world.wait_speaks("a")
    assert b.status("one")["state"] == "stopped"
    world.stop_sending()
    world.check()
