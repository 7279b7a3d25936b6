# SPDX-License-Identifier: ISC
"""How outputs send: from which address and port, with which mark, to whom."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

import native
from daemon import Daemon, channel, output
from net import (Namespace, Receiver, Sender, free_port, numbered,
                 receiving_socket)
from test_world import OTHERS, RELAY, World, bare, world    # noqa: F401
from waiting import wait_for

IP_RECVTOS = 13
UDP_SEGMENT, UDP_GRO = 103, 104
EF = 46
COUNT = 20


class Heard:
    """A socket that sees what datagrams look like."""

    def __init__(self, stack: ExitStack, address: str, interface: str = "lo",
                 namespace: Namespace | None = None) -> None:
        self.address = address
        self.socket = stack.enter_context(
            receiving_socket(address, 0, interface, namespace))
        self.socket.settimeout(10)
        if self.socket.family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IPV6,
                                   socket.IPV6_RECVTCLASS, 1)
        self.port: int = self.socket.getsockname()[1]

    def one(self) -> tuple[bytes, tuple[str, int], int]:
        """What it is, its source, its code point."""
        data, control, _, source = self.socket.recvmsg(2048, 64)
        mark = int.from_bytes(control[0][2], "little") if control else 0
        return data, source[:2], mark >> 2


@pytest.mark.parametrize("to", ["127.0.0.1", "::1", "239.192.6.1"])
def test_marks(daemon: Daemon, to: str) -> None:
    """All of it is of relay and stream alike, and survives a reload that
    leaves it, an upgrade, and one that changes it."""
    own = "::1" if ":" in to else "127.0.0.1"
    interface = {} if own == to else {"interface": "lo"}
    with ExitStack() as stack:
        relay, view = Heard(stack, to), Heard(stack, to)
        port, source = free_port(), free_port()

        def conf(dscp: Any) -> dict[str, Any]:
            more = {"source_port": source, "source_address": own,
                    "dscp": dscp} | interface
            return channel("one", port, relay=[
                output(to, relay.port) | more], decimate=[
                {"name": "s", "method": "pick", "every": 1}
                | output(to, view.port) | more])
        daemon.start(conf("ef"))
        sender = stack.enter_context(Sender("127.0.0.1", port))

        def check(dscp: int) -> None:
            sender.send(numbered(1, first=len(sender.sent)))
            for heard in (relay, view):
                assert heard.one() == (sender.sent[-1], (own, source), dscp)
        check(EF)
        daemon.ctl("upgrade")
        check(EF)
        daemon.write(conf(10))
        daemon.ctl("reload")
        daemon.wait_running()
        check(10)
        daemon.stop()


def test_no_route(make_daemon: Callable[..., Daemon],
                  world: World) -> None:     # noqa: F811
    """Where the routing table has nothing to say, a check does, by the key
    that helps; an interface's other name is a name of it."""
    world.home.run("ip", "link", "property", "add", "dev", "out0",
                   "altname", "other-name")
    daemon = make_daemon(namespace=world.home)
    daemon.write(channel("one", free_port(), relay=[
        {"address": "198.51.100.7", "port": 9},
        {"address": "239.1.2.3", "port": 9},
        {"address": "239.1.2.4", "port": 9,
         "interface": "other-name"},
        {"address": "127.0.0.1", "port": 9}]))
    said = daemon.check().stderr
    assert re.findall(r"no route to (\S+) at present: add a route, or "
                      "`interface'", said) == \
        ["198.51.100.7:9", "239.1.2.3:9"], said
    assert "there is no interface" not in said


@pytest.mark.parametrize("spoilt", [False, True])
def test_spoilt_runs(daemon: Daemon, tmp_path: Path, spoilt: bool) -> None:
    """Where a run of three does not arrive as three, nothing is sent in runs,
    after a reload, too; elsewhere it is."""
    if spoilt:
        daemon.environment |= {
            "LD_PRELOAD": str(native.preload("host.c", tmp_path)),
            "MCRELAY_TEST_GSO": "merged"}
    port = free_port()
    with socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as sink, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sink.bind(("127.0.0.1", 0))
        sink.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        sink.settimeout(10)
        sender.connect(("127.0.0.1", port))
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 100)
        conf = channel("one", port, relay=[
            output("127.0.0.1", sink.getsockname()[1])])
        daemon.start(conf)
        for _ in range(2):
            sender.send(bytes(300))
            sizes = []
            while sum(sizes) < 300:
                sizes.append(len(sink.recv(65536)))
            assert sizes == ([100] * 3 if spoilt else [300])
            daemon.write(conf | {"stale_after": "20s"})
            daemon.ctl("reload")
        daemon.stop()
    assert ("arrives as something else: all is sent and received one by one"
            in daemon.log()) == spoilt


def test_source_that_comes_later(make_daemon: Callable[..., Daemon],
                                 world: World) -> None:     # noqa: F811
    """It is said what is missing, and mended by itself; so when it goes."""
    to = bare(OTHERS["out"][4])
    late = bare(RELAY["out"][4]).rsplit(".", 1)[0] + ".77"
    with ExitStack() as stack:
        heard = Heard(stack, to, "out", world.lan)
        daemon = make_daemon(namespace=world.home)
        port = free_port()
        conf = channel("one", port, relay=[
            output(to, heard.port) | {"source_address": late}])
        daemon.write(conf)
        assert "no interface has this source address at present" in \
            daemon.check().stderr
        daemon.launch()
        daemon.wait_log("runs with 1 channel")
        sender = stack.enter_context(Sender("127.0.0.1", port,
                                            namespace=world.home))

        def lost() -> bool:
            status = daemon.status("one")
            return "output_lost" in [r["what"] for r in status["reasons"]] \
                or status["state"] == "waiting"

        def flows() -> None:
            wait_for(lambda: not lost(), "the output", 5.0, daemon.log)
            sender.send(numbered(1, first=len(sender.sent)))
            data, source, _ = heard.one()
            assert (data, source[0]) == (sender.sent[-1], late)
        for _ in range(2):
            wait_for(lost, "the reason", 5.0, daemon.log)
            world.address("out", 77)
            flows()
            world.address("out", 77, "del")
        daemon.stop()


def test_broadcast(make_daemon: Callable[..., Daemon],
                   world: World) -> None:                   # noqa: F811
    """To a network's broadcast address, and to everybody's, when it is
    asked for."""
    network = bare(RELAY["out"][4]).rsplit(".", 1)[0] + ".255"
    with ExitStack() as stack:
        heard = [stack.enter_context(Receiver("0.0.0.0", 0, "out", world.lan))
                 for _ in range(2)]
        for receiver in heard:
            # Not what comes by the bridge's other ports.
            receiver.socket.setsockopt(socket.SOL_SOCKET,
                                       socket.SO_BINDTODEVICE, b"out")
        daemon = make_daemon(namespace=world.home)
        port = free_port()

        def conf(**more: Any) -> dict[str, Any]:
            return channel("one", port, relay=[
                output(network, heard[0].port) | more,
                output("255.255.255.255", heard[1].port)
                | {"interface": "out0", "broadcast": True}])
        daemon.write(conf())
        refused = daemon.check()
        assert refused.returncode == 1
        assert f"{network}:{heard[0].port} is the broadcast address of " \
            "out0, and needs `broadcast: true'" in refused.stderr
        daemon.start(conf(broadcast=True))
        sender = stack.enter_context(Sender("127.0.0.1", port,
                                            namespace=world.home))
        sender.send(numbered(COUNT))
        for receiver in heard:
            assert receiver.wait(COUNT) == sender.sent
        daemon.stop()


def test_shared_port(daemon: Daemon) -> None:
    """Another program that shares it has the port open as well; without
    `share' the channel waits for it."""
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as viewer:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        viewer.bind(("0.0.0.0", port))
        daemon.write(channel("one", port, "0.0.0.0"))
        daemon.launch()
        daemon.wait_log("runs with 1 channel")
        wait_for(lambda: daemon.status("one")["state"] == "waiting",
                 "waiting", 5.0, daemon.log)
        daemon.write(channel("one", port, "0.0.0.0", listen_share=True))
        daemon.ctl("reload")
        daemon.wait_running()
        daemon.stop()


def test_without_runs(daemon: Daemon) -> None:
    """What is sent as a run arrives as single datagrams, all of them."""
    with Receiver() as receiver:
        port = free_port()
        daemon.start(channel(
            "one", port, listen_segmentation="off",
            relay=[output("127.0.0.1", receiver.port)
                   | {"segmentation": "off"}],
            archive=daemon.archive_conf()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", port))
            sender.setsockopt(socket.IPPROTO_UDP, 103, 100)
            sent = [bytes([i]) * 100 for i in range(30)]
            sender.send(b"".join(sent))
        assert receiver.wait(30) == sent
        daemon.wait_settled("one")
        daemon.stop()
        assert daemon.payloads("one") == sent
