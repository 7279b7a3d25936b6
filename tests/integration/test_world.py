# SPDX-License-Identifier: ISC
"""A changing world: interfaces that go and come back, addresses and routes
that change, under traffic.  mcrelayd lives in one namespace, who sends and who
listens in another, with a bridge for each of two networks between them."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import gen
from daemon import Daemon, channel, output
from net import (Namespace, Receiver, free_port, is_group, is_link_local,
                 is_v6)
from test_stream_archive import wait_archived
from test_events import last_id
from waiting import Pace, wait_for

RATE = 5000
# By hand: MCRELAY_TEST_LONG=1 MCRELAY_TEST_HEALS=1000.
HEALS = int(os.environ.get("MCRELAY_TEST_HEALS", "10"))
HEAL_S = 1.0

GROUP_IN = {4: "239.192.7.1", 6: "ff15::7:1"}
GROUP_OUT = {4: "239.192.7.2", 6: "ff15::7:2"}
GROUP_STREAM = {4: "239.192.7.3", 6: "ff15::7:3"}
# Of the relay and of the others, in the networks `in' and `out'.
RELAY = {"in": {4: "10.81.1.1/24", 6: "fd81:1::1/64"},
         "out": {4: "10.81.2.1/24", 6: "fd81:2::1/64"}}
OTHERS = {"in": {4: "10.81.1.2/24", 6: "fd81:1::2/64"},
          "out": {4: "10.81.2.2/24", 6: "fd81:2::2/64"}}

# What the kernel makes of the hardware addresses below.
LINK_LOCAL = {"in": "fe80::ff:fe00:8101", "out": "fe80::ff:fe00:8202"}
BRIDGE = {"in": "02:00:00:00:82:01", "out": "02:00:00:00:82:02"}
HARDWARE = {"in": "02:00:00:00:81:01", "out": "02:00:00:00:81:02"}


def bare(address: str) -> str:
    return address.split("/")[0]


class World:
    """`home' is the relay's namespace, with the interfaces in0 and out0; the
    other ends are ports of the bridges `in' and `out' in `lan'."""

    mode = "copy"       # in which AF_XDP is bound to it
    in_order = True

    def __init__(self, home: Namespace, lan: Namespace) -> None:
        self.home = home
        self.lan = lan
        for namespace in (home, lan):
            namespace.run("sysctl", "-qw",
                          "net.ipv6.conf.default.accept_dad=0",
                          "net.ipv6.conf.all.accept_dad=0")
        for net in ("in", "out"):
            self.ip(lan,
                    # With an address of its own, else it takes a port's.
                    f"link add {net} address {BRIDGE[net]} type bridge "
                    "mcast_snooping 0",
                    # A bridge is up while one of its ports is.
                    f"link add {net}k type veth peer name {net}l",
                    f"link set {net}k master {net}",
                    *(f"link set {link} up"
                      for link in (net, f"{net}k", f"{net}l")),
                    *(f"addr add {OTHERS[net][v]} dev {net} "
                      + ("nodad" if v == 6 else "") for v in (4, 6)),
                    *(f"neigh replace {bare(RELAY[net][v])} "
                      f"lladdr {HARDWARE[net]} dev {net}" for v in (4, 6)))

    @staticmethod
    def ip(namespace: Namespace, *lines: str) -> None:
        subprocess.run(["ip", "-n", namespace.name, "-batch", "-"],
                       input="\n".join(lines) + "\n", text=True, check=True,
                       timeout=20)

    def plug(self, net: str, addresses: bool = True, index: int = 0) -> None:
        """Make the relay's interface there, with the hardware address that
        it had, which others remember."""
        self.ip(self.home, f"link add {net}0 address {HARDWARE[net]} "
                + (f"index {index} " if index else "")
                + f"type veth peer name {net}p netns {self.lan.name}")
        self.ip(self.lan,
                f"link set {net}p master {net}", f"link set {net}p up")
        # A question for a neighbour may be lost in a port that is not up
        # yet: how long a kernel waits then is not what is measured.
        self.ip(self.home, f"link set {net}0 up", *self.neighbours(net))
        if addresses:
            self.address(net)

    @staticmethod
    def neighbours(net: str) -> list[str]:
        return [f"neigh replace {other} lladdr {BRIDGE[net]} dev {net}0"
                for other in (bare(OTHERS[net][4]), bare(OTHERS[net][6]),
                              LINK_LOCAL["out"])]

    def address(self, net: str, number: int = 1, verb: str = "add") -> None:
        self.ip(self.home, *(
            f"addr {verb} {RELAY[net][v].replace('1/', f'{number}/')} "
            f"dev {net}0" + (" nodad" if v == 6 and verb == "add" else "")
            for v in (4, 6)))

    def unplug(self, net: str) -> None:
        self.ip(self.home, f"link del {net}0")


@pytest.fixture
def world(namespace: Namespace) -> Iterator[World]:
    lan = Namespace()
    try:
        made = World(namespace, lan)
        made.plug("in")
        made.plug("out")
        yield made
    finally:
        lan.close()


class Run:
    """A channel with traffic: who listens has what was relayed."""

    def __init__(self, stack: ExitStack, daemon: Daemon, world: World,
                 to: str, quiet: bool = False, **listen: Any) -> None:
        self.daemon, self.pace = daemon, stack.enter_context(Pace())
        address = listen.pop("address")
        self.v = 6 if is_v6(to) else 4
        self.port = free_port()
        self.output = stack.enter_context(
            Receiver(to, 0, "out", world.lan))
        self.stream = stack.enter_context(
            Receiver(GROUP_STREAM[self.v], 0, "out", world.lan))
        self.conf = channel(
            "one", self.port, address,
            relay=[output(to, self.output.port) | self._interface(to)],
            archive=daemon.archive_conf(),
            decimate=[{"name": "s", "method": "pick", "every": 10,
                       "archive": True}
                      | output(self.stream.address, self.stream.port,
                               interface="out0")],
            **{f"listen_{k}": v for k, v in listen.items()})
        daemon.start(self.conf)
        target = bare(RELAY["in"][self.v])
        if is_group(address) or is_link_local(address):
            target = address
        self.source = stack.enter_context(gen.source(
            daemon.programs, target, self.port, "-r", str(RATE), "-t",
            str(60 + HEALS),
            "-b", "100",
            *(("-i", "in") if is_group(address) or is_link_local(address)
              else ()),
            namespace=world.lan))
        if not quiet:
            self.flows()

    def reasons(self, lost: set[str]) -> None:
        """Until the state tells the truth: these among its reasons."""
        def told() -> bool:
            status = self.daemon.status("one")
            return status["state"] == "degraded" and \
                lost <= {r["what"] for r in status["reasons"]}
        wait_for(told, f"degraded by {lost}", 2.0, self.daemon.log)

    @staticmethod
    def _interface(to: str) -> dict[str, str]:
        return {"interface": "out0"} \
            if is_group(to) or is_link_local(to) else {}

    def received(self) -> int:
        return self.daemon.ledger("one")["received"]

    def flows(self) -> None:
        """Output and stream both get what is sent now."""
        one, two = len(self.output.datagrams), len(self.stream.datagrams)
        self.output.wait(one + 200)
        self.stream.wait(two + 20)

    def steady(self) -> None:
        """Nothing is missing from now on."""
        self.flows()
        first = len(self.output.datagrams)
        self.flows()
        assert gaps([gen.sequence(d)
                     for d in self.output.datagrams[first:]]) == []

    def heals(self, what: str, receiver: Receiver, since: float) -> None:
        """Something has come that had not before: in time."""
        had = len(receiver.datagrams)
        wait_for(lambda: len(receiver.datagrams) > had, what, 5,
                 self.daemon.log)
        self.in_time(what, since)

    def in_time(self, what: str, since: float) -> None:
        took, pace = time.monotonic() - since, self.pace.since(since)
        print(f"healed: {what}: {took * 1000:.0f} ms, on a machine that "
              f"takes {pace:.1f} times as long as an idle one")
        assert took < HEAL_S * pace, f"{what}: {took:.2f} s, {pace:.1f}"

    def end(self, complete_input: bool, complete_output: bool = False
            ) -> list[int]:
        """What the archive has is what came in, and what was relayed is of
        that, each once; returns the numbers that were relayed."""
        self.steady()
        self.source.interrupt()
        sent = self.source.result()["sent"]
        wait_for(lambda: gen.sequence(self.output.datagrams[-1]) == sent - 1,
                 "the last one that was sent", 10, self.daemon.log)
        relayed = [gen.sequence(d) for d in self.output.datagrams]
        ledger = self.daemon.wait_settled("one")
        picked = wait_archived(self.daemon, to="s")["received"]
        self.daemon.stop()
        archived = [gen.sequence(d) for d in self.daemon.payloads("one")]
        assert len(archived) == ledger["received"]
        assert archived == sorted(set(archived)), "twice, or out of order"
        assert relayed == sorted(set(relayed)), "twice, or out of order"
        assert set(relayed) <= set(archived)
        self._check_stream(archived, picked)
        if complete_input:
            assert archived == list(range(sent))
        if complete_output:
            assert relayed == archived
        return relayed


    def _check_stream(self, archived: list[int], picked: int) -> None:
        """The stream's archive has each datagram that was picked once,
        whatever has become of the stream's output meanwhile."""
        stored = [gen.sequence(d) for d in self.daemon.payloads("one.s")]
        heard = {gen.sequence(d) for d in self.stream.datagrams}
        assert stored == sorted(set(stored)), "twice, or out of order"
        assert heard <= set(stored) <= set(archived)
        # What is left at the end is sent by then.
        assert 0 <= len(stored) - picked <= 1
        # A window that is open ends with its decimator.
        ends = len(re.findall(r"decimator: process \d+ exited",
                              self.daemon.log())) - 1
        assert len(archived) // 10 - ends <= picked <= len(archived) // 10


def gaps(numbers: list[int]) -> list[int]:
    """The lengths of what is missing in between."""
    return [b - a - 1 for a, b in zip(numbers, numbers[1:]) if b != a + 1]


def destination(kind: str, v: int) -> str:
    return GROUP_OUT[v] if kind == "group" else bare(OTHERS["out"][v])


@pytest.fixture
def start(make_daemon: Callable[..., Daemon], world: World
          ) -> Iterator[Callable[..., Run]]:
    with ExitStack() as stack:
        def make(to: str, **listen: Any) -> Run:
            daemon = make_daemon(namespace=world.home)
            return Run(stack, daemon, world, to, **listen)
        yield make


@pytest.mark.parametrize("v", [4, 6])
@pytest.mark.parametrize("kind", ["group", "unicast"])
def test_output_made_again(start: Callable[..., Run], world: World,
                           kind: str, v: int) -> None:
    run = start(destination(kind, v), address=GROUP_IN[v], interface="in0")
    for _ in range(2):
        world.unplug("out")
        errors = run.daemon.ledger("one")["relay_errors"]
        wait_for(lambda: run.daemon.ledger("one")["relay_errors"] > errors,
                 "datagrams that cannot be sent")
        run.reasons({"output_lost", "stream_lost"})
        since = time.monotonic()
        world.plug("out")
        run.heals(f"output made again, {kind}, v{v}", run.output, since)
        run.heals(f"stream made again, {kind}, v{v}", run.stream, since)
        run.steady()
    if kind == "group":
        assert run.daemon.log().count(": sends from ") >= 4
    run.end(True)


@pytest.mark.parametrize("v", [4, 6])
@pytest.mark.parametrize("kind", ["group", "unicast"])
def test_output_other_address(start: Callable[..., Run], world: World,
                              kind: str, v: int) -> None:
    """As DHCP does it, when it gets another lease."""
    run = start(destination(kind, v), address=GROUP_IN[v], interface="in0")
    world.address("out", verb="del")
    since = time.monotonic()
    world.address("out", 5)
    run.heals(f"other address, {kind}, v{v}", run.output, since)
    run.heals(f"other address, stream, v{v}", run.stream, since)
    new = bare(RELAY["out"][v]).removesuffix("1") + "5"
    wait_for(lambda: run.daemon.log().count(f"sends from [{new}]:" if v == 6
                                            else f"sends from {new}:") == 2,
             "both send from the other address", 2, run.daemon.log)
    run.end(True)


@pytest.mark.parametrize("v", [4, 6])
@pytest.mark.parametrize("kind", ["group", "source", "any"])
def test_input_made_again(start: Callable[..., Run], world: World,
                          kind: str, v: int) -> None:
    address = GROUP_IN[v] if kind == "group" else \
        {"source": {4: "232.192.7.1", 6: "ff35::7:1"},
         "any": {4: "0.0.0.0", 6: "::"}}[kind][v]
    more = {"sources": [bare(OTHERS["in"][v])]} if kind == "source" else {}
    run = start(destination("group", v), address=address, interface="in0",
                **more)
    for _ in range(2):
        world.unplug("in")
        run.reasons({"input_lost"})
        since = time.monotonic()
        world.plug("in")
        run.heals(f"input made again, {kind}, v{v}", run.output, since)
        wait_for(lambda: run.daemon.status("one")["state"] == "running",
                 "all in order", 20.0, run.daemon.log)
    assert run.daemon.status("one")["restarts"] == 0
    assert len(gaps(run.end(False, True))) == 2


@pytest.mark.parametrize("to", ["fe80::ff:fe00:8202", "ff02::7:2"])
def test_output_link_local(start: Callable[..., Run], world: World, to: str
                           ) -> None:
    """Addresses that mean something only with the interface's number, which
    is another one each time."""
    run = start(to, address=GROUP_IN[6], interface="in0")
    for _ in range(2):
        world.unplug("out")
        run.reasons({"output_lost", "stream_lost"})
        since = time.monotonic()
        world.plug("out")
        run.heals(f"output made again, {to}", run.output, since)
        run.steady()
    run.end(True)


@pytest.mark.parametrize("address", ["fe80::ff:fe00:8101", "ff02::7:1"])
def test_input_link_local(start: Callable[..., Run], world: World,
                          address: str) -> None:
    world.ip(world.lan, f"neigh replace {LINK_LOCAL['in']} "
             f"lladdr {HARDWARE['in']} dev in")
    run = start(destination("group", 6), address=address, interface="in0")
    for _ in range(2):
        world.unplug("in")
        run.reasons({"input_lost"})
        since = time.monotonic()
        world.plug("in")
        run.heals(f"input made again, {address}", run.output, since)
        wait_for(lambda: run.daemon.status("one")["state"] == "running",
                 "all in order", 20.0, run.daemon.log)
    assert len(gaps(run.end(False, True))) == 2


@pytest.mark.parametrize("v", [4, 6])
def test_input_of_same_index(start: Callable[..., Run], world: World, v: int
                             ) -> None:
    """An interface that was lent to a container may come back with the index
    that it had, but without its groups."""
    run = start(destination("group", v), address=GROUP_IN[v], interface="in0")
    index = int(world.home.run("cat", "/sys/class/net/in0/ifindex").stdout)
    world.unplug("in")
    since = time.monotonic()
    world.plug("in", index=index)
    assert index == int(
        world.home.run("cat", "/sys/class/net/in0/ifindex").stdout)
    run.heals(f"input of the same index, v{v}", run.output, since)
    assert len(gaps(run.end(False, True))) == 1


@pytest.mark.parametrize("v", [4, 6])
def test_group_of_two(start: Callable[..., Run], world: World, v: int
                      ) -> None:
    """Two channels hear one group by an interface that comes back with the
    index that it had; one that leaves does not take it from the other."""
    run = start(destination("group", v), address=GROUP_IN[v], interface="in0")
    daemon = run.daemon
    daemon.write(run.conf, channel("two", free_port(), GROUP_IN[v],
                                   listen_interface="in0"))
    daemon.ctl("reload")
    daemon.wait_state("two", "running")
    index = int(world.home.run(
        "cat", "/sys/class/net/in0/ifindex").stdout)
    world.unplug("in")
    world.plug("in", index=index)
    run.heals(f"input of two, v{v}", run.output, time.monotonic())
    run.flows()
    daemon.ctl("stop", "two")
    daemon.wait_state("two", "stopped")
    run.end(False)


@pytest.mark.parametrize("address", ["0.0.0.0", "ff15::7:1"])
def test_input_without_privileges(
        make_daemon: Callable[..., Daemon], world: World, address: str
        ) -> None:
    """Who may not bind a socket to another interface mends it all the
    same."""
    daemon = make_daemon(namespace=world.home)
    command = daemon.command
    setattr(daemon, "command", lambda *options: [
        "setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw",
        *command(*options)])
    with ExitStack() as stack:
        v = 6 if is_v6(address) else 4
        run = Run(stack, daemon, world, destination("group", v),
                  address=address, interface="in0")
        world.unplug("in")
        since = time.monotonic()
        world.plug("in")
        run.heals(f"without privileges, {address}", run.output, since)
        assert run.daemon.status("one")["restarts"] == 0
        assert len(gaps(run.end(False, True))) == 1


@pytest.mark.parametrize("v", [4, 6])
def test_started_before_address(start: Callable[..., Run], world: World,
                                v: int) -> None:
    """It sends from another interface's address until there is the right
    one."""
    world.unplug("out")
    world.plug("out", addresses=False)
    run = start(destination("group", v), address=GROUP_IN[v],
                interface="in0", quiet=True)
    wait_for(lambda: run.received() > 200, "datagrams that are sent")
    if v == 4:      # IPv6 has a link-local one
        run.reasons({"output_lost", "stream_lost"})
    since = time.monotonic()
    world.address("out")
    own = bare(RELAY["out"][v])
    line = f"sends from [{own}]:" if v == 6 else f"sends from {own}:"
    wait_for(lambda: run.daemon.log().count(line) == 2,
             "both send from the interface's own address", 5,
             run.daemon.log)
    run.in_time(f"address comes, v{v}", since)
    run.end(True)


@pytest.mark.parametrize("v", [4, 6])
def test_input_follows_route(start: Callable[..., Run], world: World,
                             v: int) -> None:
    """A group without an interface: the log names the one that routing has
    chosen; another route, another interface."""
    group = GROUP_IN[v]
    route = "239.192.0.0/16" if v == 4 else "ff15::/16 table local"
    family = f"-{v}"
    world.home.run("ip", family, "route", "add", *route.split(), "dev", "va")
    run = start(destination("group", v), address=group, quiet=True)
    run.daemon.wait_log(f"{group}]:{run.port}: joined on va" if v == 6 else
                        f"{group}:{run.port}: joined on va")
    assert run.daemon.status("one")["listen"]["joined"] == "va"
    assert run.received() == 0
    since = time.monotonic()
    world.home.run("ip", family, "route", "add", *route.split(), "dev", "in0",
                   "metric", "1")
    world.home.run("ip", family, "route", "del", *route.split(), "dev", "va")
    run.heals(f"input follows the route, v{v}", run.output, since)
    run.daemon.wait_log("joined on in0")
    assert run.daemon.status("one")["listen"]["joined"] == "in0"
    assert gaps(run.end(False, True)) == []


@pytest.mark.parametrize("v", [4, 6])
def test_output_follows_route(start: Callable[..., Run], world: World,
                              v: int) -> None:
    """To a host that had been behind another interface: from the address of
    the one that it is behind now."""
    to = bare(OTHERS["out"][v])
    length = 32 if v == 4 else 128
    world.home.run("ip", f"-{v}", "route", "add", f"{to}/{length}", "dev",
                   "in0")
    run = start(to, address=GROUP_IN[v], interface="in0", quiet=True)
    wait_for(lambda: run.received() > 200, "datagrams that go astray")
    since = time.monotonic()
    world.home.run("ip", f"-{v}", "route", "del", f"{to}/{length}", "dev",
                   "in0")
    run.heals(f"output follows the route, v{v}", run.output, since)
    own = bare(RELAY["out"][v])
    run.daemon.wait_log(f"sends from [{own}]:" if v == 6 else
                        f"sends from {own}:", 2)
    run.end(True)


def kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def descriptors(pid: int) -> int:
    """That it keeps: each question to the kernel takes one for a moment."""
    def now() -> int:
        time.sleep(0.01)
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return min(now() for _ in range(30))


def storm(world: World, rounds: int) -> None:
    for number in range(rounds):
        world.ip(world.home,
                 f"addr add 10.83.0.{number + 1}/24 dev va",
                 f"addr add fd83::{number + 1}/64 dev va nodad",
                 "link set vb down", "link set vb up",
                 f"addr del 10.83.0.{number + 1}/24 dev va",
                 f"addr del fd83::{number + 1}/64 dev va",
                 f"link add storm{number} type veth peer name mrots{number}",
                 f"link del storm{number}")


def test_storm(start: Callable[..., Run], world: World) -> None:
    """Hundreds of changes that are none of ours: nothing is lost, nothing
    grows."""
    run = start(destination("group", 4), address=GROUP_IN[4],
                interface="in0")
    assert run.daemon.process is not None
    pid = run.daemon.find_background()
    storm(world, 5)
    before = kib(pid), descriptors(pid)
    storm(world, 25)
    run.flows()
    assert descriptors(pid) == before[1]
    assert kib(pid) <= before[0] + 256, (kib(pid), before)
    assert "joined on" not in run.daemon.log()
    assert gaps(run.end(True)) == []


def test_heals_leave_nothing(start: Callable[..., Run], world: World) -> None:
    """One interface after the other is made again, and what that takes is
    given back."""
    run = start(destination("group", 4), address=GROUP_IN[4],
                interface="in0")
    pid = run.daemon.find_background()

    def heal(net: str) -> None:
        world.unplug(net)
        run.reasons({"input_lost" if net == "in" else "output_lost"})
        since = time.monotonic()
        world.plug(net)
        run.heals(f"{net} made again", run.output, since)

    def events_kib() -> int:
        """What the daemon keeps of its events, 2 MiB at most."""
        return len(run.daemon.ctl("events", "-j", "--since", "0", "-n",
                                  str(last_id(run.daemon))).stdout) // 1024
    for net in ("in", "out", "in", "out"):
        heal(net)
    before, remembered = (kib(pid), descriptors(pid)), events_kib()
    for number in range(HEALS):
        heal(("in", "out")[number % 2])
    print(f"{HEALS} heals: {kib(pid)} KiB after {before[0]}, "
          f"{descriptors(pid)} descriptors after {before[1]}")
    assert descriptors(pid) == before[1]
    # Each event is a piece of memory of its own.
    remembered = 2 * (events_kib() - remembered)
    print(f"of which {remembered} KiB may be for events")
    assert kib(pid) <= before[0] + 256 + remembered, (kib(pid), before)
    assert run.daemon.status("one")["restarts"] == 0
    run.end(False)
