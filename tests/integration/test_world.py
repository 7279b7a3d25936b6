# SPDX-License-Identifier: ISC
"""A changing world: interfaces that go and come back, addresses and routes
that change, under traffic.  mcrelayd lives in one namespace, who sends and who
listens in another, with a bridge for each of two networks between them."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from typing import Any, Callable, Iterator

import pytest

import gen
from daemon import Daemon, channel, output
from net import Namespace, Receiver, free_port, is_group, is_v6
from waiting import wait_for

RATE = 2000
HEAL_S = 1.0

GROUP_IN = {4: "239.192.7.1", 6: "ff15::7:1"}
GROUP_OUT = {4: "239.192.7.2", 6: "ff15::7:2"}
GROUP_STREAM = {4: "239.192.7.3", 6: "ff15::7:3"}
# Of the relay and of the others, in the networks `in' and `out'.
RELAY = {"in": {4: "10.81.1.1/24", 6: "fd81:1::1/64"},
         "out": {4: "10.81.2.1/24", 6: "fd81:2::1/64"}}
OTHERS = {"in": {4: "10.81.1.2/24", 6: "fd81:1::2/64"},
          "out": {4: "10.81.2.2/24", 6: "fd81:2::2/64"}}

BRIDGE = {"in": "02:00:00:00:82:01", "out": "02:00:00:00:82:02"}
HARDWARE = {"in": "02:00:00:00:81:01", "out": "02:00:00:00:81:02"}


def bare(address: str) -> str:
    return address.split("/")[0]


class World:
    """`home' is the relay's namespace, with the interfaces in0 and out0; the
    other ends are ports of the bridges `in' and `out' in `lan'."""

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

    def plug(self, net: str, addresses: bool = True) -> None:
        """Make the relay's interface there, with the hardware address that
        it had, which others remember."""
        self.ip(self.lan,
                f"link add {net}p type veth peer name {net}0 "
                f"address {HARDWARE[net]} netns {self.home.name}",
                f"link set {net}p master {net}", f"link set {net}p up")
        # A question for a neighbour may be lost in a port that is not up
        # yet: how long a kernel waits then is not what is measured.
        self.ip(self.home, f"link set {net}0 up",
                *(f"neigh replace {bare(OTHERS[net][v])} "
                  f"lladdr {BRIDGE[net]} dev {net}0" for v in (4, 6)))
        if addresses:
            self.address(net)

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
                 to: str, **listen: Any) -> None:
        self.daemon = daemon
        address = listen.pop("address")
        self.v = 6 if is_v6(to) else 4
        self.port = free_port()
        self.output = stack.enter_context(
            Receiver(to, 0, "out", world.lan))
        self.stream = stack.enter_context(
            Receiver(GROUP_STREAM[self.v], 0, "out", world.lan))
        daemon.start(channel(
            "one", self.port, address,
            relay=[output(to, self.output.port) | self._interface(to)],
            archive=daemon.archive_conf(),
            decimate=[{"name": "s", "method": "pick", "every": 10}
                      | output(self.stream.address, self.stream.port,
                               interface="out0")],
            **{f"listen_{k}": v for k, v in listen.items()}))
        target = address if is_group(address) else \
            bare(RELAY["in"][self.v])
        self.source = stack.enter_context(gen.source(
            daemon.programs, target, self.port, "-r", str(RATE), "-t", "60",
            "-b", "100", *(("-i", "in") if is_group(address) else ()),
            namespace=world.lan))
        self.flows()

    @staticmethod
    def _interface(to: str) -> dict[str, str]:
        return {"interface": "out0"} if is_group(to) else {}

    def received(self) -> int:
        return self.daemon.ledger("one")["received"]

    def flows(self) -> None:
        """Output and stream both get what is sent now."""
        one, two = len(self.output.datagrams), len(self.stream.datagrams)
        self.output.wait(one + 200)
        self.stream.wait(two + 20)

    def heals(self, what: str, receiver: Receiver, since: float) -> None:
        """Something has come that had not before: in time."""
        had = len(receiver.datagrams)
        wait_for(lambda: len(receiver.datagrams) > had, what, 5,
                 self.daemon.log)
        took = time.monotonic() - since
        print(f"healed: {what}: {took * 1000:.0f} ms")
        assert took < HEAL_S, f"{what}: {took:.2f} s"

    def end(self, complete_input: bool) -> list[int]:
        """What the archive has is what came in, and what was relayed is of
        that, each once; returns the numbers that were relayed."""
        self.flows()
        self.source.interrupt()
        sent = self.source.result()["sent"]
        settled = wait_for(
            lambda: (lambda a: a if a == self.received() else None)(
                self.received()), "the last one received")
        ledger = self.daemon.wait_settled("one")
        relayed = [gen.sequence(d) for d in
                   self.output.wait(ledger["relayed"])]
        self.daemon.stop()
        archived = [gen.sequence(d) for d in self.daemon.payloads("one")]
        assert len(archived) == settled
        assert archived == sorted(set(archived)), "twice, or out of order"
        assert relayed == sorted(set(relayed)), "twice, or out of order"
        assert set(relayed) <= set(archived)
        assert archived[-1] == relayed[-1] == sent - 1
        if complete_input:
            assert len(archived) == sent
        else:
            assert len(relayed) == len(archived)
        return relayed


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
        since = time.monotonic()
        world.plug("out")
        run.heals(f"output made again, {kind}, v{v}", run.output, since)
        run.heals(f"stream made again, {kind}, v{v}", run.stream, since)
    if kind == "group":
        assert run.daemon.log().count(": sends from ") >= 4
    # Nothing is missing but what there was no way for.
    assert len(gaps(run.end(True))) == 2


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
    assert len(gaps(run.end(True))) <= 1


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
        since = time.monotonic()
        world.plug("in")
        run.heals(f"input made again, {kind}, v{v}", run.output, since)
    assert run.daemon.status("one")["restarts"] == 0
    assert len(gaps(run.end(False))) == 2
