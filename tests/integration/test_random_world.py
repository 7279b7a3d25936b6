# SPDX-License-Identifier: ISC
"""Whatever happens to the network, in whatever order: a model says what each
channel must say of itself two seconds later, and what must flow then.

MCRELAY_TEST_ROUNDS  how many events, 40 by default
MCRELAY_TEST_SEED    which
"""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Callable

import gen
from daemon import SERVING, Daemon, channel, output
from net import Receiver, free_port
from test_world import (BRIDGE, GROUP_IN, GROUP_OUT, GROUP_STREAM, LINK_LOCAL,
                        OTHERS, RELAY, World, bare, descriptors, world)      # noqa: F401
from waiting import wait_for

ROUNDS = int(os.environ.get("MCRELAY_TEST_ROUNDS", "40"))
RATE = 200
# What every channel must say of itself by then.
TOLD_S = 2.0
# A host behind the other end, and the way to it.
FAR, ROUTE = "10.85.0.9", "10.85.0.0/24"

LOST = {"input_lost", "output_lost", "stream_lost"}
# History, some time after the last loss.
HISTORY = {"output_failing", "stream_failing", "memory_unlocked"}


@dataclass
class Link:
    """The relay's interface in a network, as the events have left it."""

    net: str
    exists: bool = True
    moved: bool = False     # to another namespace
    up: bool = True
    carrier: bool = True
    address: int = 1        # its last number; 0: none

    @property
    def works(self) -> bool:
        return self.exists and self.up and self.carrier


@dataclass
class Model:
    """The world and what is known of it.  Each event changes both."""

    world: World
    links: dict[str, Link] = field(default_factory=lambda: {
        net: Link(net) for net in ("in", "out")})
    route: bool = False

    def home(self, *lines: str) -> None:
        self.world.ip(self.world.home, *lines)

    def lan(self, *lines: str) -> None:
        self.world.ip(self.world.lan, *lines)

    def _gone(self, link: Link) -> None:
        """The kernel takes routes with the interface, or with its last
        address."""
        if link.net == "out":
            self.route = False

    def _neighbours(self, net: str) -> None:
        others = [bare(OTHERS[net][4]), bare(OTHERS[net][6]),
                  LINK_LOCAL["out"]]
        self.home(*(f"neigh replace {other} lladdr {BRIDGE[net]} "
                    f"dev {net}0" for other in others))

    # Events: what must hold for one to happen, and what it does.

    def link_down(self, link: Link) -> bool:
        if not link.works:
            return False
        self.home(f"link set {link.net}0 down")
        link.up = False
        self._gone(link)
        return True

    def link_up(self, link: Link) -> bool:
        if not link.exists or link.up:
            return False
        self.home(f"link set {link.net}0 up")
        if link.address:
            # Those of IPv6 went when it went down.
            mine = RELAY[link.net][6].replace("1/", f"{link.address}/")
            self.home(f"addr replace {mine} dev {link.net}0 nodad")
        self._neighbours(link.net)
        link.up = True
        return True

    def carrier_off(self, link: Link) -> bool:
        if not link.works:
            return False
        self.lan(f"link set {link.net}p down")
        link.carrier = False
        return True

    def carrier_on(self, link: Link) -> bool:
        if not link.exists or link.carrier:
            return False
        self.lan(f"link set {link.net}p up")
        link.carrier = True
        return True

    def delete(self, link: Link) -> bool:
        if not link.exists:
            return False
        self.world.unplug(link.net)
        link.exists = False
        self._gone(link)
        return True

    def make(self, link: Link) -> bool:
        if link.exists or link.moved:
            return False
        self.world.plug(link.net)
        self.links[link.net] = Link(link.net)
        return True

    def make_again(self, link: Link) -> bool:
        """At once."""
        return self.delete(link) and self.make(link)

    def move_away(self, link: Link) -> bool:
        if not link.works:
            return False
        self.home(f"link set {link.net}0 netns {self.world.lan.name}")
        link.exists, link.moved = False, True
        self._gone(link)
        return True

    def move_back(self, link: Link) -> bool:
        if not link.moved:
            return False
        self.lan(f"link set {link.net}0 netns {self.world.home.name}")
        self.home(f"link set {link.net}0 up")
        self._neighbours(link.net)
        self.links[link.net] = Link(link.net)
        self.world.address(link.net)
        return True

    def address_del(self, link: Link) -> bool:
        if not link.works or not link.address:
            return False
        self.world.address(link.net, link.address, "del")
        link.address = 0
        self._gone(link)
        return True

    def address_add(self, link: Link, number: int = 1) -> bool:
        if not link.works or link.address:
            return False
        self.world.address(link.net, number)
        # With the last address the kernel has forgotten all of IPv4, also what
        # was permanent.
        self._neighbours(link.net)
        link.address = number
        return True

    def address_change(self, link: Link) -> bool:
        """As DHCP does it, when it gets another lease."""
        other = 5 if link.address == 1 else 1
        return self.address_del(link) and self.address_add(link, other)

    def route_add(self, link: Link) -> bool:
        if link.net != "out" or not link.works or not link.address or \
                self.route:
            return False
        self.home(f"route add {ROUTE} via {bare(OTHERS['out'][4])} dev out0")
        self.route = True
        return True

    def route_del(self, link: Link) -> bool:
        if link.net != "out" or not self.route:
            return False
        self.home(f"route del {ROUTE}")
        self.route = False
        return True

    def route_change(self, link: Link) -> bool:
        """Away and back, in one breath."""
        return self.route_del(link) and self.route_add(link)

    EVENTS = (link_down, link_up, carrier_off, carrier_on, delete, make,
              make_again, move_away, move_back, address_del, address_add,
              address_change, route_add, route_del, route_change)
    MENDING = (link_up, carrier_on, make, move_back, address_add, route_add)

    def happen(self, chance: random.Random) -> str:
        """Any of the events that are possible now.  Every other one mends
        something, as long as something is broken."""
        first = self.MENDING if chance.random() < 0.5 else ()
        for event in (*chance.sample(first, len(first)),
                      *chance.sample(self.EVENTS, len(self.EVENTS))):
            for net in chance.sample(("in", "out"), 2):
                if event(self, self.links[net]):
                    return f"{event.__name__} {net}0"
        raise AssertionError("nothing can happen")

    def restore(self) -> None:
        for net in ("in", "out"):
            self.move_back(self.links[net])
            self.make(self.links[net])
            self.carrier_on(self.links[net])
            self.link_up(self.links[net])
            if self.links[net].address == 5:
                self.address_change(self.links[net])
            self.address_add(self.links[net])
        self.route_add(self.links["out"])


class Case:
    """A channel with its source, and who listens to what it sends."""

    def __init__(self, stack: ExitStack, daemon: Daemon, world: World,  # noqa: F811,E501
                 name: str, listen: str, to: str, v: int) -> None:
        self.name, self.v = name, v
        self.daemon, self.world, self.stack = daemon, world, stack
        self.group = listen in GROUP_IN.values()
        self.listen, self.port = listen, free_port()
        # First and last number of each time in which the output works.
        self.windows: list[tuple[int, int]] = []
        self.output = stack.enter_context(
            Receiver(to, 0, "out", world.lan))
        self.stream = stack.enter_context(
            Receiver(GROUP_STREAM[v], 0, "out", world.lan)) \
            if self.group else None
        relay = output(to, self.output.port)
        if self.group:
            relay["interface"] = "out0"
        self.conf = channel(
            name, self.port, listen, relay=[relay], listen_interface="in0",
            stale_after="0", archive=daemon.archive_conf())
        if self.stream:
            self.conf["decimate"] = [
                {"name": "s", "method": "pick", "every": 10}
                | output(self.stream.address, self.stream.port,
                         interface="out0")]

    def send(self) -> None:
        target = self.listen if self.group else bare(RELAY["in"][self.v])
        self.source = self.stack.enter_context(gen.source(
            self.daemon.programs, target, self.port, "-r", str(RATE), "-t",
            "3600", "-b", "100", "-i", "in", namespace=self.world.lan))

    # The model of a channel.

    def input_flows(self, model: Model) -> bool:
        link = model.links["in"]
        return link.works and (self.group or link.address == 1)

    def output_lost(self, model: Model) -> bool:
        link = model.links["out"]
        if not self.group:
            return not model.route
        return not (link.exists and link.up and
                    (link.address != 0 or self.v == 6))

    def lost(self, model: Model) -> set[str]:
        lost = set()
        if not model.links["in"].exists:
            lost.add("input_lost")
        if self.output_lost(model):
            lost |= {"output_lost"} | ({"stream_lost"} if self.stream
                                       else set())
        return lost

    def wrong(self, model: Model, status: dict[str, Any]) -> str:
        """What in its state is not as the model has it."""
        reasons = {r["what"] for r in status["reasons"]}
        lost = self.lost(model)
        if status["state"] not in SERVING:
            return f"{self.name} is {status['state']}"
        if reasons & LOST != lost or reasons - LOST - HISTORY:
            return f"{self.name}: {sorted(reasons)}, not {sorted(lost)}"
        bad = bool(reasons - {"memory_unlocked"})
        if status["state"] != ("degraded" if bad else "running"):
            return f"{self.name}: {status['state']} with {sorted(reasons)}"
        if status["restarts"] != 0:
            return f"{self.name}: another worker"
        return ""

    def flows(self, model: Model, where: Callable[[], object]) -> None:
        """What comes in is counted; what can go out does.  In between there
        may be gaps: for up to a second after the last change of a carrier
        the kernel may still act on one before."""
        if not self.input_flows(model):
            return
        before = self.daemon.ledger(self.name)["received"]
        wait_for(lambda: self.daemon.ledger(self.name)["received"] > before,
                 f"{self.name} receives", TOLD_S, where)
        if self.output_lost(model) or not model.links["out"].works:
            return
        had = len(self.output.datagrams)
        streamed = len(self.stream.datagrams) if self.stream else 0
        wait_for(lambda: len(self.output.datagrams) >= had + 10,
                 f"{self.name} relays", TOLD_S, where)
        numbers = [gen.sequence(d) for d in self.output.datagrams[had:]]
        self.windows.append((numbers[0], numbers[-1]))
        if self.stream:
            wait_for(lambda: len(self.stream.datagrams) > streamed,
                     f"{self.name}/s sends", TOLD_S, where)

    def end(self) -> None:
        """What the archive has is what came in; no one has it twice."""
        self.source.interrupt()
        self.source.result()
        ledger = self.daemon.wait_settled(self.name)
        self.relayed = [gen.sequence(d) for d in self.output.datagrams]
        assert self.relayed == sorted(set(self.relayed)), \
            "twice, or out of order"
        self.received = ledger["received"]
        print(f"{self.name}: {self.received} received and archived, "
              f"{len(self.relayed)} came out of the relay")

    def check_archive(self) -> None:
        archived = [gen.sequence(d) for d in self.daemon.payloads(self.name)]
        assert archived == sorted(set(archived)), "twice, or out of order"
        assert len(archived) == self.received
        relayed = set(self.relayed)
        assert relayed <= set(archived)
        # All that came in while the output worked.
        for first, last in self.windows:
            missing = [n for n in archived
                       if first <= n <= last and n not in relayed]
            assert missing == [], (self.name, first, last)


def test_random_world(make_daemon: Callable[..., Daemon],
                      world: World) -> None:        # noqa: F811
    seed = int(os.environ.get("MCRELAY_TEST_SEED", time.time_ns()))
    print(f"MCRELAY_TEST_SEED={seed} MCRELAY_TEST_ROUNDS={ROUNDS}")
    chance, model, history = random.Random(seed), Model(world), []
    daemon = make_daemon(namespace=world.home)
    world.ip(world.lan, f"addr add {FAR}/32 dev out")
    model.restore()

    def wrong(cases: list[Case]) -> list[str]:
        status = daemon.whole_status()
        of = {each["name"]: each for each in status["channels"]}
        return [text for case in cases
                if (text := case.wrong(model, of[case.name]))]

    def where() -> object:
        return history, model.links, wrong(cases)
    with ExitStack() as stack:
        cases = [Case(stack, daemon, world, "four", GROUP_IN[4],
                      GROUP_OUT[4], 4),
                 Case(stack, daemon, world, "six", GROUP_IN[6],
                      GROUP_OUT[6], 6),
                 Case(stack, daemon, world, "far", "0.0.0.0", FAR, 4)]
        daemon.start(*(case.conf for case in cases))
        for case in cases:
            case.send()
        for case in cases:
            case.flows(model, where)
        pid, slowest = daemon.find_background(), 0.0
        before = descriptors(pid)
        for _ in range(ROUNDS):
            history.append(model.happen(chance))
            since = time.monotonic()
            wait_for(lambda: not wrong(cases), "the states of the model",
                     TOLD_S, where)
            slowest = max(slowest, time.monotonic() - since)
            for case in cases:
                case.flows(model, where)
        counts = {event.__name__: sum(h.startswith(event.__name__ + " ")
                                      for h in history)
                  for event in model.EVENTS}
        print(f"{len(history)} events: {counts}; the states were right "
              f"after {slowest * 1000:.0f} ms at most")
        assert descriptors(pid) == before
        model.restore()
        wait_for(lambda: all(daemon.status(case.name)["state"] == "running"
                             for case in cases), "all run again", 20, where)
        for case in cases:
            case.flows(model, where)
        for case in cases:
            case.end()
        daemon.stop()
        for case in cases:
            case.check_archive()
