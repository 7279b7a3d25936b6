# SPDX-License-Identifier: ISC
"""Inputs by AF_XDP and VLANs: what has another tag is another one's."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import ExitStack
from typing import Any, Callable

import pytest

from daemon import Daemon
from net import Receiver, Sender, free_port, numbered
from test_kernel_relay import add_vlan, numbers, with_tag
from test_world import GROUP_IN, World, world  # noqa: F401
from test_xdp import (by_sockets, leave_tags, listens, pytestmark,  # noqa: F401
                      reason_of, sender, wait_way, wired)
from waiting import wait_for

VLANS = (7, 8)
TAKES_OFF = ("interface in0 takes off the tags of VLANs: ethtool -K in0 "
             "rx-vlan-hw-parse off rx-vlan-stag-hw-parse off")


@pytest.fixture
def vlans(wired: World) -> World:  # noqa: F811
    for number in VLANS:
        add_vlan(wired, "in", number)
        for where, host, link in ((wired.home, 1, "in0"),
                                  (wired.lan, 2, "in")):
            wired.ip(where, f"addr add fd82:{number}::{host}/64 "
                     f"dev {link}.{number} nodad")
    return wired


def of_vlan(daemon: Daemon, v: int, port: int, number: int = 7,
            **listen: Any) -> dict[str, Any]:
    return listens(daemon, v, port, interface=f"in0.{number}", **listen)


def in_vlan(world: World, v: int, port: int, number: int = 7  # noqa: F811
            ) -> Sender:
    local = f"fd82:{number}::2" if v == 6 else f"10.82.{number}.2"
    return Sender(GROUP_IN[v], port, f"in.{number}", world.lan, local)


def programs_at(world: World, link: str) -> Any:  # noqa: F811
    (said,) = json.loads(world.home.run(
        "ip", "-j", "link", "show", link).stdout)
    return said.get("xdp", {}).get("prog", {}).get("id")


@pytest.mark.parametrize("v, attached", [
    (4, "native"), (6, "native"), (4, "generic")])
def test_receives(make_daemon: Callable[..., Daemon], vlans: World, v: int,
                  attached: str) -> None:
    """What is of its VLAN comes, by AF_XDP; the same of another one and of
    none goes to whoever has that."""
    if attached == "generic":
        # The VLANs keep theirs.
        for namespace, link in ((vlans.home, "in0"), (vlans.lan, "inp")):
            vlans.ip(namespace, f"link set {link} mtu 9000")
    daemon = make_daemon(namespace=vlans.home)
    port = free_port()
    daemon.start(of_vlan(daemon, v, port))
    said = wait_way(daemon, "xdp")["xdp"]
    assert (said["attached"], said["vlan"]) == (attached, 7)
    assert programs_at(vlans, "in0") == said["program"]
    assert programs_at(vlans, "in0.7") is None
    with ExitStack() as stack:
        source = stack.enter_context(in_vlan(vlans, v, port))
        others = [stack.enter_context(in_vlan(vlans, v, port, 8)),
                  stack.enter_context(sender(vlans, GROUP_IN[v], port))]
        theirs = [stack.enter_context(Receiver(
            GROUP_IN[v], port, link, vlans.home))
            for link in ("in0.8", "in0")]
        for receiver, link in zip(theirs, ("in0.8", "in0")):
            receiver.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        before = by_sockets(vlans, v)
        source.send(numbered(200), 10000)
        daemon.wait_received("x", 200)
        assert by_sockets(vlans, v) == before
        for first in range(0, 100, 10):
            for other in others:
                other.send(numbered(10, first=1000 + first), 10000)
            source.send(numbered(10, first=200 + first), 10000)
        daemon.wait_received("x", 300)
        for receiver in theirs:
            assert numbers(receiver.wait(100)) == [*range(1000, 1100)]
        assert by_sockets(vlans, v) == before + 200
        source.send(numbered(10, 4000, 300), 10000)     # in fragments
        ledger = daemon.wait_received("x", 310)
        assert by_sockets(vlans, v) == before + 210
        assert ledger["kernel_dropped"] == 0
    daemon.stop()
    assert sorted(daemon.payloads("x")) == sorted(source.sent)
    assert programs_at(vlans, "in0") is None


def test_tags_beside_frames(make_daemon: Callable[..., Daemon], vlans: World
                            ) -> None:
    """A veth whose other end leaves it to this one to put tags into frames
    shows none to the program: all comes by the ordinary socket."""
    vlans.lan.run("ethtool", "-K", "inp", "tx-vlan-hw-insert", "on")
    daemon = make_daemon(namespace=vlans.home)
    port = free_port()
    daemon.start(of_vlan(daemon, 4, port))
    wait_way(daemon, "xdp")
    before = by_sockets(vlans, 4)
    with in_vlan(vlans, 4, port) as source:
        source.send(numbered(100), 10000)
        daemon.wait_received("x", 100)
    assert by_sockets(vlans, 4) == before + 100
    daemon.stop()
    assert daemon.payloads("x") == source.sent


def test_made_again(make_daemon: Callable[..., Daemon], vlans: World) -> None:
    """Down and up, and as another VLAN by the same name: it receives what is of
    that, and nothing of the one before."""
    daemon = make_daemon(namespace=vlans.home)
    port = free_port()
    daemon.start(of_vlan(daemon, 4, port))
    wait_way(daemon, "xdp")
    vlans.ip(vlans.home, "link set in0.7 down")
    wait_way(daemon, "socket")
    assert reason_of(daemon)[1] == "interface in0.7 is not up"
    vlans.ip(vlans.home, "link set in0.7 up")
    wait_way(daemon, "xdp")
    with in_vlan(vlans, 4, port) as source, \
            in_vlan(vlans, 4, port, 8) as other:
        source.send(numbered(100), 10000)
        daemon.wait_received("x", 100)
        vlans.ip(vlans.home, "link del in0.7")
        wait_way(daemon, "socket")
        vlans.ip(vlans.home, "link del in0.8",
                 "link add link in0 name in0.7 type vlan id 8",
                 "link set in0.7 up", "addr add 10.82.8.1/24 dev in0.7")
        assert wait_way(daemon, "xdp")["xdp"]["vlan"] == 8
        before = by_sockets(vlans, 4)
        source.send(numbered(100, first=1000), 10000)
        other.send(numbered(100, first=100), 10000)
        daemon.wait_received("x", 200)
        assert by_sockets(vlans, 4) == before
    daemon.stop()
    assert sorted(daemon.payloads("x")) == sorted(
        source.sent[:100] + other.sent)


def test_handed_over(make_daemon: Callable[..., Daemon], vlans: World) -> None:
    """Another VLAN at a reload, and an upgrade: by AF_XDP, nothing lost, and
    nothing that is another one's."""
    daemon = make_daemon(namespace=vlans.home)
    port = free_port()
    daemon.start(of_vlan(daemon, 4, port))
    wait_way(daemon, "xdp")
    with in_vlan(vlans, 4, port) as seven, in_vlan(vlans, 4, port, 8) as eight:
        def both(source: Sender, count: int) -> None:
            for each in (seven, eight):
                each.send(numbered(100, first=len(each.sent) +
                                   1000 * (each is eight)), 10000)
            daemon.wait_received("x", count)
            sent.extend(source.sent[-100:])
        sent: list[bytes] = []
        both(seven, 100)
        pid = daemon.worker_pid("x")
        daemon.ctl("upgrade")
        daemon.wait_new_worker("x", pid)
        assert wait_way(daemon, "xdp")["xdp"]["vlan"] == 7
        both(seven, 200)
        daemon.write(of_vlan(daemon, 4, port, 8))
        daemon.ctl("reload")
        wait_for(lambda: daemon.status("x")["io"].get("xdp", {}).get(
            "vlan") == 8, "the other VLAN", 20, daemon.log)
        wait_way(daemon, "xdp")
        both(eight, 300)
    daemon.stop()
    assert sorted(daemon.payloads("x")) == sorted(sent)


def test_not_of_802_1q(make_daemon: Callable[..., Daemon], vlans: World
                       ) -> None:
    """What has two tags is left to the kernel."""
    vlans.ip(vlans.home,
             "link add link in0 name in0.s type vlan proto 802.1ad id 7",
             "link add link in0.7 name in0.7.9 type vlan id 9",
             "link set in0.s up", "link set in0.7.9 up")
    daemon = make_daemon(namespace=vlans.home)
    port = free_port()
    for link, why in (
            ("in0.s", "interface in0.s is of no VLAN of 802.1Q"),
            ("in0.7.9", "interface in0.7 (vlan) gets frames without the tags "
             "of their VLANs")):
        conf = listens(daemon, 4, port, interface=link)
        if daemon.process is None:
            daemon.start(conf)
        else:
            daemon.write(conf)
            daemon.ctl("reload")
        wait_for(lambda: daemon.status("x")["io"]["xdp"].get("not") == why,
                 why, 20, lambda: daemon.status("x"))
        assert daemon.status("x")["io"]["receive"] == "socket"
    daemon.stop()


def test_tags_taken_off(make_daemon: Callable[..., Daemon],
                        world: World) -> None:  # noqa: F811
    """It receives by sockets as long as the interface's driver says that it
    does so, as veth devices do at first."""
    daemon = make_daemon(namespace=world.home)
    port = free_port()
    conf = listens(daemon, 4, port, checksum="trust")
    daemon.write(conf)
    done = daemon.check()
    assert f"received by ordinary sockets: {TAKES_OFF}\n" in done.stdout
    daemon.start(conf)
    with sender(world, GROUP_IN[4], port) as source:
        def goes_on(way: str) -> None:
            wait_way(daemon, way)
            source.send(numbered(100, first=len(source.sent)), 10000)
            daemon.wait_received("x", len(source.sent))
        goes_on("socket")
        assert reason_of(daemon) == ("kernel_fallback", TAKES_OFF)
        leave_tags(world.home, "in0")
        goes_on("xdp")
        for feature in ("rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"):
            world.home.run("ethtool", "-K", "in0", feature, "on")
            goes_on("socket")
            assert reason_of(daemon) == ("kernel_fallback", TAKES_OFF)
            leave_tags(world.home, "in0")
            goes_on("xdp")
    daemon.stop()
    assert sorted(daemon.payloads("x")) == sorted(source.sent)


def test_above_another(make_daemon: Callable[..., Daemon], wired: World  # noqa
                       ) -> None:
    """What is above other interfaces sees no tags."""
    wired.ip(wired.home, "link add br0 type bridge", "link set br0 up",
             "link set in0 master br0")
    daemon = make_daemon(namespace=wired.home)
    daemon.start(listens(daemon, 4, free_port(), interface="br0"))
    wait_way(daemon, "socket")
    assert reason_of(daemon) == (
        "kernel_fallback", "interface br0 (bridge) gets frames without the "
        "tags of their VLANs")
    daemon.stop()


def test_tagged(make_daemon: Callable[..., Daemon], wired: World  # noqa: F811
                ) -> None:
    """Who has no VLAN gets nothing of any; a tag that is a priority alone is
    none to the kernel."""
    port = free_port()
    daemon = make_daemon(namespace=wired.home)
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    with sender(wired, GROUP_IN[4], port) as source, \
            wired.lan.enter(lambda: socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))) as raw:
        raw.bind(("in", 3))
        raw.settimeout(5)
        source.send(numbered(1), 10000)
        # Others speak as well.
        frame = raw.recv(2048)
        while frame[12:14] != bytes((8, 0)) or \
                frame[36:38] != struct.pack(">H", port):
            frame = raw.recv(2048)
        frame = frame[:40] + bytes(2) + frame[42:]      # no checksum
        before = by_sockets(wired, 4)
        for number in (*VLANS, 4094, 0xe007):
            raw.send(with_tag(frame, number))
            raw.send(with_tag(with_tag(frame, number), number))
        raw.send(frame[:12] + bytes.fromhex("88a80007") + frame[12:])
        raw.send(frame[:12] + bytes.fromhex("88a8000781000007") + frame[12:])
        raw.send(with_tag(frame, 0))
        raw.send(with_tag(frame, 0xe000))
        daemon.wait_received("x", 3)
        assert by_sockets(wired, 4) == before + 2
        raw.send(frame)
        daemon.wait_received("x", 4)
        assert by_sockets(wired, 4) == before + 2
    daemon.stop()
    assert numbers(daemon.payloads("x")) == [0] * 4
