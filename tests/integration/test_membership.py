# SPDX-License-Identifier: ISC
"""A group that falls silent is left and joined again: what is seen of that at
the other end of the wire, and what it does to a switch that had forgotten."""

from __future__ import annotations

import re
import socket
import struct
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from daemon import Daemon, channel
from net import (Namespace, Sender, SenderThread, free_port,
                 is_v6, numbered)
from test_faults import Faults, library     # noqa: F401
from waiting import wait_for

ETH_P_ALL = 3
IGMP, HOP_BY_HOP, ICMPV6 = 2, 0, 58
MLD2_REPORT = 143

GROUP = {4: "239.192.9.1", 6: "ff15::9:1"}
SOURCE_GROUP = {4: "232.192.9.1", 6: "ff35::9:1"}
# Record types of IGMPv3 and MLDv2.
IS_EX, TO_EX, ALLOW = 2, 4, 5


def igmp_reports(packet: bytes) -> Iterator[tuple[str, str, str]]:
    """(version, what, group) of an IPv4 packet."""
    head = (packet[0] & 15) * 4
    body = packet[head:]
    kind = body[0]
    if kind in (0x16, 0x17):
        yield "IGMPv2", {0x16: "report", 0x17: "leave"}[kind], \
            socket.inet_ntoa(body[4:8])
    elif kind == 0x22:
        count, at = struct.unpack(">H", body[6:8])[0], 8
        for _ in range(count):
            record, aux, sources = struct.unpack(">BBH", body[at:at + 4])
            yield "IGMPv3", str(record), socket.inet_ntoa(
                body[at + 4:at + 8])
            at += 8 + 4 * sources + 4 * aux


def mld_reports(packet: bytes) -> Iterator[tuple[str, str, str]]:
    """The same of an IPv6 packet whose hop-by-hop header is the first."""
    body = packet[40 + (packet[41] + 1) * 8:]
    if packet[40] != ICMPV6 or body[0] != MLD2_REPORT:
        return
    count, at = struct.unpack(">H", body[6:8])[0], 8
    for _ in range(count):
        record, aux, sources = struct.unpack(">BBH", body[at:at + 4])
        yield "MLDv2", str(record), socket.inet_ntop(
            socket.AF_INET6, body[at + 4:at + 20])
        at += 20 + 16 * sources + 4 * aux


class Wire:
    """The reports that arrive at an interface."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        def make() -> socket.socket:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                              socket.htons(ETH_P_ALL))
            s.bind((interface, ETH_P_ALL))
            return s
        self.socket = namespace.enter(make)
        self.socket.setblocking(False)
        self.seen: list[tuple[float, tuple[str, str, str]]] = []

    def reports(self, group: str) -> list[tuple[str, str]]:
        return [what[:2] for _, what in self.times(group)]

    def times(self, group: str
              ) -> list[tuple[float, tuple[str, str, str]]]:
        while True:
            try:
                packet, address = self.socket.recvfrom(65536)
            except BlockingIOError:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            reports: Iterator[tuple[str, str, str]] = iter(())
            if packet[0] >> 4 == 4 and packet[9] == IGMP:
                reports = igmp_reports(packet)
            elif packet[0] >> 4 == 6 and packet[6] == HOP_BY_HOP:
                reports = mld_reports(packet)
            self.seen += [(time.monotonic(), each) for each in reports]
        return [each for each in self.seen if each[1][2] == group]

    def forget(self, group: str) -> None:
        self.times(group)
        self.seen.clear()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()


def rejoined(daemon: Daemon, name: str = "one") -> list[str]:
    return re.findall(rf"channel {name}: .*left and joined again.*",
                      daemon.log())


CASES = {
    "igmpv3": (GROUP[4], {}, [("IGMPv3", str(TO_EX))]),
    "igmpv3-source": (SOURCE_GROUP[4], {"sources": ["10.99.1.1"]},
                      [("IGMPv3", str(ALLOW))]),
    "igmpv2": (GROUP[4], {}, [("IGMPv2", "leave"), ("IGMPv2", "report")]),
    "mldv2": (GROUP[6], {}, [("MLDv2", str(TO_EX))]),
    "mldv2-source": (SOURCE_GROUP[6], {"sources": ["fd99::1"]},
                     [("MLDv2", str(ALLOW))]),
}


@pytest.mark.parametrize("case", CASES)
def test_reports(make_daemon: Callable[..., Daemon], namespace: Namespace,
                 case: str) -> None:
    """Silent for stale_after, then at doubling distance; each time the wire
    has a report."""
    group, more, expected = CASES[case]
    if case == "igmpv2":
        namespace.run("sysctl", "-qw",
                      "net.ipv4.conf.va.force_igmp_version=2")
    port = free_port()
    daemon = make_daemon(namespace=namespace)
    with Wire(namespace, "vb") as wire:
        daemon.start(channel("one", port, group, listen_interface="va",
                             stale_after="1s",
                             **{f"listen_{k}": v for k, v in more.items()}))
        wait_for(lambda: wire.reports(group), "the first report")
        daemon.wait_state("one", "running")
        # A join is told twice.
        wait_for(lambda: rejoined(daemon), "joined again", 5, daemon.log)
        wire.forget(group)
        wait_for(lambda: len(rejoined(daemon)) == 2, "once more", 5,
                 daemon.log)
        wait_for(lambda: set(expected) <= set(wire.reports(group)),
                 f"{expected} on the wire", 2,
                 lambda: wire.reports(group))
        assert set(wire.reports(group)) == set(expected)
        assert "next in 2 s" in rejoined(daemon)[-1]
        with Sender(group, port, "vb", namespace,
                    more.get("sources", [""])[0]
                    if not is_v6(group) else "") as sender:
            if case != "mldv2-source":
                sender.send(numbered(10))
                daemon.wait_received("one", 10)
                daemon.wait_state("one", "running")
                daemon.wait_log("datagrams come in again after")
                seconds = float(re.findall(r"come in again after ([0-9.]+) s",
                                           daemon.log())[-1])
                assert 2 < seconds < 20
        daemon.stop()


def test_not_for_addresses(make_daemon: Callable[..., Daemon],
                           namespace: Namespace) -> None:
    """What is no group is not joined, and a group on an interface that is
    down is not until it is up: then at once."""
    group = GROUP[4]
    daemon = make_daemon(namespace=namespace)
    daemon.start(channel("one", free_port(), "10.99.0.1", stale_after="1s"),
                 channel("two", free_port(), group, listen_interface="va",
                         stale_after="1s"))
    daemon.wait_state("one", "stale")
    wait_for(lambda: len(rejoined(daemon, "two")) == 2, "joined again", 10,
             daemon.log)
    namespace.run("ip", "link", "set", "vb", "down")
    count = len(rejoined(daemon, "two"))
    # More than the time after which it would be due.
    before = time.monotonic()
    wait_for(lambda: time.monotonic() > before + 5, "some seconds", 6)
    assert len(rejoined(daemon, "two")) == count
    namespace.run("ip", "link", "set", "vb", "up")
    wait_for(lambda: len(rejoined(daemon, "two")) > count,
             "at once when it is up", 2, daemon.log)
    assert rejoined(daemon, "one") == []
    daemon.stop()


def test_two_channels_of_one_group(make_daemon: Callable[..., Daemon],
                                   namespace: Namespace) -> None:
    """The interface is a member while one of them is: both leave before
    either joins, else there is no report."""
    group = GROUP[4]
    daemon = make_daemon(namespace=namespace)
    with Wire(namespace, "vb") as wire:
        daemon.start(*(channel(name, free_port(), group,
                               listen_interface="va", stale_after="1s")
                       for name in ("one", "two")))
        wait_for(lambda: len(rejoined(daemon)) == 1, "joined again", 5,
                 daemon.log)
        wire.forget(group)
        wait_for(lambda: len(rejoined(daemon)) == 2, "once more", 5,
                 daemon.log)
        wait_for(lambda: ("IGMPv3", str(TO_EX)) in wire.reports(group),
                 "a report", 2, lambda: wire.reports(group))
        daemon.stop()


class Switch:
    """A bridge that snoops, and forgets a group two seconds after it heard of
    it last, since its own questions are far between."""

    def __init__(self, home: Namespace, lan: Namespace) -> None:
        lan.run("ip", "link", "add", "sw", "type", "bridge",
                "mcast_snooping", "1", "mcast_igmp_version", "3",
                "mcast_mld_version", "2", "mcast_query_interval", "60000",
                "mcast_startup_query_count", "1",
                "mcast_startup_query_interval", "60000",
                "mcast_membership_interval", "200",
                "mcast_query_response_interval", "50")
        for number, namespace in enumerate((home, lan)):
            lan.run("ip", "link", "add", f"p{number}", "type", "veth", "peer",
                    "name", f"n{number}", "netns", namespace.name)
            lan.run("ip", "link", "set", f"p{number}", "master", "sw")
            lan.run("ip", "link", "set", f"p{number}", "up")
            lan.run("bridge", "link", "set", "dev", f"p{number}",
                    "mcast_flood", "off")
            namespace.run("sysctl", "-qw",
                          f"net.ipv6.conf.n{number}.accept_dad=0")
            namespace.run("ip", "addr", "add", f"10.84.0.{number + 1}/24",
                          "dev", f"n{number}")
            namespace.run("ip", "link", "set", f"n{number}", "up")
        lan.run("sysctl", "-qw", "net.ipv6.conf.sw.accept_dad=0")
        lan.run("ip", "link", "set", "sw", "up")
        wait_for(lambda: "fe80" in lan.run(
            "ip", "addr", "show", "dev", "sw", "-tentative").stdout,
            "an address to ask from")
        # It snoops when the time for answers to its first question is over.
        lan.run("ip", "link", "set", "sw", "type", "bridge",
                "mcast_querier", "1")
        self.lan = lan

    def knows(self, group: str) -> bool:
        return group in self.lan.run("bridge", "mdb", "show", "dev",
                                     "sw").stdout


@pytest.mark.parametrize("v", [4, 6])
def test_switch_that_forgot(make_daemon: Callable[..., Daemon],
                            namespace: Namespace, v: int) -> None:
    group, port = GROUP[v], free_port()
    daemon = make_daemon(namespace=namespace)
    lan = Namespace()
    try:
        switch = Switch(namespace, lan)
        with Sender(group, port, "n1", lan) as sender:
            daemon.start(channel("one", port, group, listen_interface="n0",
                                 stale_after="2s"))
            wait_for(lambda: switch.knows(group), "the switch knows", 10)
            sending = SenderThread(sender, numbered(3600), 400)
            wait_for(lambda: daemon.ledger("one")["received"] > 100,
                     "datagrams", 10, daemon.log)
            wait_for(lambda: rejoined(daemon), "silent, and joined again",
                     10, daemon.log)
            before = daemon.ledger("one")["received"]
            wait_for(lambda: daemon.ledger("one")["received"] >
                     before + 100, "the switch sends again", 2, daemon.log)
            sending.join()
        daemon.stop()
    finally:
        lan.close()

def send_query(namespace: Namespace, v: int) -> None:
    """As a querier at the other end of the wire does."""
    def make() -> socket.socket:
        index = struct.pack("@I", socket.if_nametoindex("vb"))
        if v == 4:
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                              socket.IPPROTO_IGMP)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                         bytes(8) + index)
            # A general query of version 2, and the sum of that.
            s.sendto(bytes.fromhex("1164ee9b00000000"), ("224.0.0.1", 0))
        else:
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                              socket.IPPROTO_ICMPV6)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF,
                         index)
            # The kernel adds the sum.
            s.sendto(bytes([130]) + bytes(23), ("ff02::1", 0))
        return s
    namespace.enter(make).close()


@pytest.mark.parametrize("v", [4, 6])
def test_querier_is_missing(make_daemon: Callable[..., Daemon],
                            library: Path,      # noqa: F811
                            tmp_path: Path,
                            namespace: Namespace, v: int) -> None:
    """Said once for each interface; the channel runs.  Its end is said,
    too."""
    faults = Faults(library, tmp_path / "faults")
    daemon = make_daemon(namespace=namespace)
    daemon.environment |= faults.environment
    daemon.start(*(channel(name, free_port(),
                           {4: "239.192.9.1", 6: "ff15::9:1"}[v],
                           listen_interface="va", stale_after="0")
                   for name in ("one", "two")),
                 channel("three", free_port(), stale_after="0"))
    name = {4: "IGMP", 6: "MLD"}[v]
    source = {4: "10.99.1.1", 6: "[fe80:"}[v]
    said = f"{name} queries come in on va from {source}"

    def reasons(name: str) -> set[str]:
        status = daemon.status(name)
        assert status["state"] == "running", daemon.log()
        return {r["what"] for r in status["reasons"]} - {"memory_unlocked"}

    def heard() -> bool:
        send_query(namespace, v)
        return said in daemon.log()
    wait_for(heard, "a query that is heard", 5, daemon.log)
    assert reasons("one") == reasons("two") == set()
    faults.set("monotonic", 300)
    wait_for(lambda: reasons("one") == reasons("two") == {"no_querier"},
             "the reason", 5, daemon.log)
    assert reasons("three") == set()
    assert daemon.log().count(f"no {name} query came in on va for 260 s") == 1
    assert daemon.ctl("check").stdout.startswith("MCRELAY OK")
    assert "no_querier" in daemon.ctl("status").stdout
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    wait_for(lambda: reasons("one") == reasons("two") == {"no_querier"},
             "the reason, still", 2, daemon.log)
    assert daemon.log().count(f"no {name} query came in on va for 260 s") == 1
    send_query(namespace, v)
    wait_for(lambda: reasons("one") == reasons("two") == set(),
             "that it is over", 5, daemon.log)
    assert daemon.log().count(said) == 2
    daemon.stop()
