# SPDX-License-Identifier: ISC
"""Several channels on one port, told apart by who sends."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import socket
import struct
import threading
import time
from typing import Any, Iterator

import pytest

from daemon import Daemon, channel
from manager import Manager
from net import (Namespace, Sender, free_port, group_v4, grow_receive_buffer,
                 numbered, safe_rate)
from waiting import wait_for

FIRST, SECOND, THIRD, OTHER = (f"127.0.0.{i}" for i in (11, 12, 13, 99))

Conf = dict[str, Any]


class Port:
    """One port, and who sends to it."""

    def __init__(self, daemon: Daemon, address: str = "0.0.0.0",
                 senders: dict[str, Sender] | None = None,
                 number: int = 0) -> None:
        self.daemon = daemon
        self.address = address
        self.number = number or free_port()
        self.senders = senders or {
            source: Sender("127.0.0.1", self.number, local=source)
            for source in (FIRST, SECOND, THIRD, OTHER)}
        self.threads: list[threading.Thread] = []
        self.ended = threading.Event()

    def channel(self, name: str, *sources: str, **more: Any) -> Conf:
        if sources:
            more["listen_sources"] = list(sources)
        return channel(name, self.number, self.address, **more,
                       archive=self.daemon.archive_conf(on_overrun="block"))

    def load(self, *sources: str) -> None:
        """Distinct datagrams from each of the sources, until they are
        asked for."""
        rate = safe_rate(1.0, 1500)
        self.ended.clear()
        self.threads = [threading.Thread(
            target=self.senders[source].send,
            args=(self._numbers(1000000 * i), rate), daemon=True)
            for i, source in enumerate(sources)]
        for thread in self.threads:
            thread.start()

    def _numbers(self, first: int) -> Iterator[bytes]:
        for number in itertools.count(first):
            if self.ended.is_set():
                return
            yield struct.pack(">Q", number) + bytes(92)

    def sent(self, source: str) -> list[bytes]:
        self.ended.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        return self.senders[source].sent

    def reload(self, *channels: Conf) -> None:
        self.daemon.write(*channels)
        self.daemon.ctl("reload")

    def wait_states(self, *names: str) -> None:
        for name in names:
            self.daemon.wait_state(name, "running")

    def close(self) -> None:
        self.ended.set()
        for sender in self.senders.values():
            sender.close()


@pytest.fixture
def port(daemon: Daemon) -> Iterator[Port]:
    made = Port(daemon)
    yield made
    made.close()


def lost(daemon: Daemon, name: str) -> dict[str, int]:
    ledger = daemon.ledger(name)
    return {k: v for k, v in ledger.items() if v != 0 and k in (
        "kernel_dropped", "refused_source", "truncated", "archive_shed")}


def test_kills_and_reloads(daemon: Daemon, port: Port) -> None:
    """Workers are killed, a channel comes, goes, has another source, and all
    change their places in the file: each has its own, once and in order."""
    one = port.channel("one", FIRST)
    two = port.channel("two", SECOND)
    three = port.channel("three", THIRD)
    chance = random.Random(int(os.environ.get("MCRELAY_TEST_SEED", 18)))
    daemon.start(one, two)
    port.load(FIRST, SECOND)
    steps = [
        (one, two, three), (two, three, one),
        (two, one), (port.channel("one", FIRST, OTHER), two, three),
        (one, two), (port.channel("one", "127.0.0.11/32", OTHER), two),
        (one, port.channel("two", "127.0.0.12/31")), (one, two)]
    for step in steps:
        names = [each["name"] for each in step]
        port.reload(*step)
        port.wait_states(*names)
        name = chance.choice(["one", "two"])
        pid = daemon.worker_pid(name)
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker(name, pid)
        daemon.ctl("restart", chance.choice(["one", "two"]))
        port.wait_states(*names)
    for name, source in (("one", FIRST), ("two", SECOND)):
        daemon.wait_received(name, len(port.sent(source)))
        assert lost(daemon, name) == {}
    daemon.stop()
    assert daemon.payloads("one") == port.sent(FIRST)
    assert daemon.payloads("two") == port.sent(SECOND)


def test_kills_by_cable(inside: Daemon, namespace: Namespace) -> None:
    """Instruments at the other end of a cable, with addresses of their own,
    at a port on an address of the host.  One channel has another port, too,
    by which one of them sends as well: each datagram is in its channel once,
    in order, whoever is killed and however the channels change."""
    instruments = {name: f"10.99.0.{i}" for i, name in enumerate(
        ("first", "second", "third"), 11)}
    number, apart = free_port(), free_port()
    with Namespace() as beyond:
        beyond.run("ip", "link", "del", "va")
        namespace.run("ip", "link", "set", "vb", "netns", beyond.name)
        for words in (["link", "set", "vb", "up"],
                      *(["addr", "add", f"{each}/24", "dev", "vb"]
                        for each in instruments.values())):
            beyond.run("ip", *words)

        def sender(to: int, name: str) -> Sender:
            return Sender("10.99.0.1", to, "vb", beyond, instruments[name])

        port = Port(inside, "10.99.0.1", {
            name: sender(number, name) for name in instruments
        } | {"apart": sender(apart, "first")}, number)
        one, two, three = (port.channel(name, source) for name, source in zip(
            ("one", "two", "three"), instruments.values()))
        one["listen"] = [one["listen"], one["listen"] | {"port": apart}]
        inside.start(one, two)
        port.load("first", "second", "apart")
        for step in ((three, two, one), (two, one)):
            names = [each["name"] for each in step]
            port.reload(*step)
            port.wait_states(*names)
            for name in ("one", "two"):
                pid = inside.worker_pid(name)
                os.kill(pid, signal.SIGKILL)
                inside.wait_new_worker(name, pid)
            port.wait_states(*names)
        sent = {name: port.sent(name) for name in ("first", "second", "apart")}
        inside.wait_received("one", len(sent["first"]) + len(sent["apart"]))
        inside.wait_received("two", len(sent["second"]))
        for name in ("one", "two"):
            assert lost(inside, name) == {}
        inside.stop()
        port.close()
    assert inside.payloads("two") == sent["second"]
    found = inside.payloads("one")
    for name in ("first", "apart"):
        known = set(sent[name])
        assert [each for each in found if each in known] == sent[name]
    assert len(found) == len(sent["first"]) + len(sent["apart"])


def test_no_program(inside: Daemon, namespace: Namespace) -> None:
    """The kernel has no memory for the program: the channels say so, and
    that it is right again when it has."""
    limit = namespace.run("sysctl", "-n", "net.core.optmem_max").stdout.strip()

    def set_limit(to: str) -> None:
        namespace.run("sysctl", "-qw", f"net.core.optmem_max={to}")

    number = free_port()
    names = ("one", "two")
    conf = [channel(name, number, "127.0.0.1", listen_sources=[source])
            for name, source in zip(names, (FIRST, SECOND))]
    inside.start(*conf, channel("three", free_port()))
    set_limit("64")
    # Sockets that come or go ask for another program.
    inside.write(conf[0] | {"listen": conf[0]["listen"] | {
        "sources": [FIRST, THIRD]}}, *conf[1:], channel("three", free_port()))
    inside.ctl("reload")
    for name in names:
        inside.wait_state(name, "degraded")
        [reason] = inside.status(name)["reasons"]
        assert reason["what"] == "port_mixed_up"
        assert f"127.0.0.1:{number}" in reason["detail"]
        assert "net.core.optmem_max" in reason["detail"]
    inside.wait_state("three", "running")
    said = "the kernel does not take the program that shares out"
    assert inside.log().count(said) == 1
    set_limit(limit)
    for name in names:
        inside.wait_state(name, "running")
    for name, source in zip(names, (FIRST, SECOND)):
        with Sender("127.0.0.1", number, "lo", namespace, source) as sender:
            sender.send(numbered(50))
        inside.wait_received(name, 50)
        assert lost(inside, name) == {}
    inside.stop()


def test_sources_move(daemon: Daemon, port: Port) -> None:
    """One channel gives a source to another, which is named otherwise later:
    each datagram is in one of them."""
    daemon.start(port.channel("one", FIRST, THIRD),
                 port.channel("two", SECOND))
    port.load(FIRST, SECOND, THIRD)
    for names, sources in (
            (("one", "two"), ([FIRST], [SECOND, THIRD])),
            (("one", "new"), ([FIRST], [SECOND, THIRD])),
            (("one", "new"), ([SECOND], [FIRST, THIRD]))):
        time.sleep(0.3)
        port.reload(*(port.channel(name, *each)
                      for name, each in zip(names, sources)))
        port.wait_states(*names)
    sent = [port.sent(each) for each in (FIRST, SECOND, THIRD)]
    wait_for(lambda: sum(daemon.ledger(name)["received"]
                         for name in ("one", "new")) > len(sent[0]), "it all")
    daemon.stop()
    found = {name: daemon.payloads(name) for name in ("one", "two", "new")}
    assert sorted(sum(found.values(), [])) == sorted(sum(sent, []))
    # In order, from the one channel and then the other.
    def of(name: str, source: list[bytes]) -> list[bytes]:
        known = set(source)
        return [each for each in found[name] if each in known]
    assert of("one", sent[0]) + of("new", sent[0]) == sent[0]
    assert of("two", sent[1]) + of("new", sent[1]) + of("one", sent[1]) \
        == sent[1]
    assert of("one", sent[2]) + of("two", sent[2]) + of("new", sent[2]) \
        == sent[2]


def test_from_one_to_two(daemon: Daemon, port: Port) -> None:
    """A port that was one channel's alone, from whomever, is shared out from
    one datagram to the next, and back."""
    daemon.start(port.channel("one"))
    port.load(FIRST, SECOND)
    time.sleep(0.5)
    port.reload(port.channel("one", FIRST), port.channel("two", SECOND))
    port.wait_states("one", "two")
    time.sleep(0.5)
    port.reload(port.channel("one"))
    wait_for(lambda: re.search(r"channel two: process \d+ exited",
                               daemon.log()), "its end")
    first, second = port.sent(FIRST), port.sent(SECOND)
    taken = len(daemon.payloads("two"))
    assert taken > 0
    daemon.wait_received("one", len(first) + len(second) - taken)
    daemon.stop()
    one, two = daemon.payloads("one"), daemon.payloads("two")
    assert [each for each in one if each in set(first)] == first
    rest = [each for each in one if each in set(second)]
    assert sorted(rest + two) == sorted(second)
    assert two == second[second.index(two[0]):][:len(two)]


@pytest.mark.linux("a socket's drops are not known")
def test_isolation(daemon: Daemon, port: Port) -> None:
    """What one cannot take, as it hangs or is stopped, costs the other
    nothing; what nobody names is refused by the first, and counted."""
    small = port.channel("two", SECOND, listen_receive_buffer="64KiB")
    daemon.start(port.channel("one", FIRST), small)
    pid = daemon.worker_pid("two")
    os.kill(pid, signal.SIGSTOP)
    port.load(FIRST, SECOND)
    time.sleep(1)
    sent, others = port.sent(FIRST), port.sent(SECOND)
    daemon.wait_received("one", len(sent))
    assert lost(daemon, "one") == {}
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: daemon.ledger("two")["received"] +
             daemon.ledger("two")["kernel_dropped"] == len(others),
             "what it had to drop")
    daemon.ctl("stop", "two")
    daemon.wait_state("two", "stopped")
    before = len(port.senders[SECOND].sent)
    port.load(FIRST, SECOND)
    time.sleep(0.3)
    daemon.wait_received("one", len(port.sent(FIRST)))
    assert lost(daemon, "one") == {}
    daemon.ctl("start", "two")
    daemon.wait_state("two", "running")
    missed = len(port.sent(SECOND)) - before
    port.senders[OTHER].send(numbered(7))
    wait_for(lambda: lost(daemon, "one") == {"refused_source": 7},
             "strangers")
    port.senders[SECOND].send(numbered(100))
    wait_for(lambda: daemon.ledger("two")["received"] +
             daemon.ledger("two")["kernel_dropped"] ==
             len(port.sent(SECOND)) - missed, "the last hundred")
    assert "refused_source" not in lost(daemon, "two")
    daemon.stop()


@pytest.mark.parametrize("how", ["upgrade", "supervisor killed"])
def test_handed_over(daemon: Daemon, port: Port, how: str) -> None:
    """The next supervisor knows which socket is where, also when one is left
    of a channel that has gone."""
    one, two, three = (port.channel(name, source) for name, source in (
        ("one", FIRST), ("two", SECOND), ("three", THIRD)))
    with Manager(daemon.directory) as manager:
        daemon.write(one, two, three)
        manager.launch(daemon)
        port.load(SECOND, THIRD)
        time.sleep(0.3)
        # Its place stays: the last one must not take it.
        port.reload(two, three)
        wait_for(lambda: any(name.startswith("place.")
                             for name in manager.names()), "what is kept")
        for conf in ((two, three), (two, three, one), (three, two)):
            port.reload(*conf)
            port.wait_states(*(each["name"] for each in conf))
            if how == "upgrade":
                daemon.ctl("upgrade")
            else:
                manager.kill(daemon, False)
                manager.launch(daemon)
            port.wait_states(*(each["name"] for each in conf))
        for name, source in (("two", SECOND), ("three", THIRD)):
            daemon.wait_received(name, len(port.sent(source)))
            assert lost(daemon, name) == {}
        daemon.stop()
    assert daemon.payloads("two") == port.sent(SECOND)
    assert daemon.payloads("three") == port.sent(THIRD)


def test_address_is_free_again(daemon: Daemon, port: Port) -> None:
    """When all who shared a port are stopped it is anybody's; and it is
    nobody's but theirs before."""
    daemon.start(port.channel("one", FIRST), port.channel("two", SECOND))

    def taken() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            try:
                other.bind(("0.0.0.0", port.number))
            except OSError:
                return True
        return False

    assert taken()
    daemon.ctl("stop", "one")
    daemon.wait_state("one", "stopped")
    assert taken()
    daemon.ctl("stop", "two")
    wait_for(lambda: not taken(), "the port")
    daemon.ctl("start", "one")
    daemon.ctl("start", "two")
    port.wait_states("one", "two")
    for name, source in (("one", FIRST), ("two", SECOND)):
        port.senders[source].send(numbered(100))
        daemon.wait_received(name, 100)
        assert lost(daemon, name) == {}
    daemon.stop()


def test_v6(inside: Daemon, namespace: Namespace) -> None:
    """By networks, on an address of the host."""
    for each in ("fd00:1::1/128", "fd00:2::1/128", "fd00:3::1/128"):
        namespace.run("ip", "addr", "add", each, "dev", "lo", "nodad")
    number = free_port()
    inside.start(*(channel(name, number, "fd00:1::1",
                           listen_sources=[network]) for name, network in (
        ("one", "fd00:1::/33"), ("two", "fd00:2::/32"),
        ("three", "fd00:3::1"))))
    for name, local in (("one", "fd00:1::1"), ("two", "fd00:2::1"),
                        ("three", "fd00:3::1")):
        with Sender("fd00:1::1", number, "lo", namespace, local) as sender:
            sender.send(numbered(50))
        inside.wait_received(name, 50)
    for name in ("one", "two", "three"):
        assert lost(inside, name) == {}
    inside.stop()


def test_group(daemon: Daemon) -> None:
    """A group that two senders use: joined for each source apart, so that a
    channel has no copy of what is not for it."""
    group, number = group_v4(), free_port()
    daemon.start(*(channel(
        name, number, group, listen_sources=[source], listen_interface="lo")
        for name, source in (("one", FIRST), ("two", SECOND))))
    for name, source, count in (("one", FIRST, 100), ("two", SECOND, 150)):
        with Sender(group, number, "lo", local=source) as sender:
            sender.send(numbered(count))
        daemon.wait_received(name, count)
    for name in ("one", "two"):
        assert lost(daemon, name) == {}
    daemon.stop()


def test_broadcast_and_a_viewer(inside: Daemon, namespace: Namespace) -> None:
    """Two lidars that broadcast, and a vendor's viewer: with `share' the
    viewer opens the port, and all have all; without it may not."""
    for each in ("10.77.0.1/24", "10.77.0.2/24"):
        namespace.run("ip", "addr", "add", each, "broadcast", "+",
                      "dev", "vb")
    number = free_port()

    def opened() -> socket.socket:
        viewer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        grow_receive_buffer(viewer)
        try:
            viewer.bind(("0.0.0.0", number))
        except OSError:
            viewer.close()
            raise
        return viewer

    def sending(source: str) -> socket.socket:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind((source, 0))
        s.connect(("10.77.0.255", number))
        return s

    def lidars(**more: Any) -> list[Conf]:
        return [channel(name, number, "0.0.0.0", listen_sources=[source],
                        **more) for name, source in (
            ("one", "10.77.0.1"), ("two", "10.77.0.2"))]

    inside.start(*lidars())
    with pytest.raises(OSError):
        namespace.enter(opened)
    inside.write(*lidars(listen_share=True))
    inside.ctl("reload")
    with namespace.enter(opened) as viewer:
        for source in ("10.77.0.1", "10.77.0.2"):
            with namespace.enter(lambda: sending(source)) as s:
                for each in numbered(100):
                    s.send(each)
        # All comes twice, by vb itself and by va; each channel has a copy of
        # the other's.
        for name in ("one", "two"):
            wait_for(lambda: inside.ledger(name)["received"] == 200 and
                     lost(inside, name) == {"refused_source": 200}, "all of it")
        viewer.settimeout(5)
        assert len([viewer.recv(2000) for _ in range(400)]) == 400
    inside.stop(checks=False)
