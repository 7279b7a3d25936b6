# SPDX-License-Identifier: ISC
"""Inputs by AF_XDP at a card, which does without copies if its driver can: what
is tried with a veth (test_xdp.py), and what a card does otherwise.

MCRELAY_TEST_CARDS="virtio0 virtio1" in the environment: two that are wired to
each other and that nobody uses (qa/kernels.sh).  They are put into
namespaces, and the first is taken out and put in again.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import test_xdp
from daemon import Daemon
from net import Namespace, Receiver, Sender, free_port, numbered
from test_world import GROUP_IN, HARDWARE, OTHERS, RELAY, World, bare
from test_xdp import (listens, pytestmark as of_xdp, sender,  # noqa: F401
                      test_all_killed, test_another_program, test_idle,
                      test_interface_goes, test_killed, test_receives,
                      test_times, wire)
from waiting import wait_for

# virtio_net says that it can do without copies: not in 6.12, but in 7.2.
LINUX = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
CARDS = os.environ.get("MCRELAY_TEST_CARDS", "").split()
pytestmark = [*of_xdp, pytest.mark.skipif(
    len(CARDS) != 2, reason="needs two cards (MCRELAY_TEST_CARDS)")]


def machine(*command: str) -> str:
    """In the network namespace of the machine, where cards come up."""
    return subprocess.run(["nsenter", "-t", "1", "-n", *command], check=True,
                          text=True, timeout=20, capture_output=True,
                          stdin=subprocess.DEVNULL).stdout


def interface_of(card: str) -> str:
    """Its name, there; "": it is elsewhere."""
    for link in json.loads(machine("ip", "-j", "-d", "link", "show")):
        if link.get("parentdev") == card:
            return str(link["ifname"])
    return ""


class Cards(World):
    """The network `in' is by cards."""

    mode = "zero-copy" if LINUX > (6, 12) else "copy"
    # Of what waits in the emulator one may be overtaken by what comes.
    in_order = False

    def __init__(self, home: Namespace, lan: Namespace) -> None:
        super().__init__(home, lan)
        self.take(CARDS[1], lan, "inp")
        self.ip(lan, "link set inp master in", "link set inp up")
        self.plugged = True

    @staticmethod
    def driver(verb: str) -> None:
        Path("/sys/bus/virtio/drivers/virtio_net", verb).write_text(CARDS[0])

    def take(self, card: str, namespace: Namespace, name: str,
             index: int = 0) -> None:
        # One whose namespace has just ended comes back by and by.
        wait_for(lambda: interface_of(card) != "", f"{card} to be free", 20)
        machine("ip", "link", "set", interface_of(card), "down", "name", name)
        machine("ip", "link", "set", name, "netns", namespace.name,
                *(("index", str(index)) if index else ()))

    def plug(self, net: str, addresses: bool = True, index: int = 0) -> None:
        if net != "in":
            super().plug(net, addresses, index)
            return
        if not self.plugged:
            self.driver("bind")
        self.plugged = True
        self.take(CARDS[0], self.home, "in0", index)
        self.ip(self.home, f"link set in0 address {HARDWARE[net]} up",
                *self.neighbours(net))
        if addresses:
            self.address(net)

    def unplug(self, net: str) -> None:
        assert net == "in"
        self.driver("unbind")
        self.plugged = False

    def close(self) -> None:
        if not self.plugged:
            self.driver("bind")
        else:
            # It would keep what a test has left; a link ends by itself.
            self.home.run("sh", "-c", "ip link set in0 xdp off || :")


@pytest.fixture
def world(namespace: Namespace) -> Iterator[Cards]:
    lan = Namespace()
    try:
        made = Cards(namespace, lan)
        made.plug("in")
        made.plug("out")
        try:
            yield made
        finally:
            made.close()
    finally:
        lan.close()


def wait_passes(world: Cards) -> None:
    """Its queues begin anew when a program comes or a socket is bound, and what
    comes meanwhile is lost."""
    home, lan = bare(RELAY["in"][4]), bare(OTHERS["in"][4])
    with Receiver(home, 0, "in0", world.home) as receiver, \
            Sender(home, receiver.port, "in", world.lan, lan) as source:
        def came() -> bool:
            source.send([b"is it there?"])
            return bool(receiver.datagrams)
        wait_for(came, "the card", 20)


@pytest.fixture
def wired(world: Cards, monkeypatch: pytest.MonkeyPatch) -> Cards:
    wire(world)
    ready = test_xdp.wait_way

    def wait_way(daemon: Daemon, way: str, name: str = "x") -> dict[str, Any]:
        io = ready(daemon, way, name)
        if world.plugged:
            wait_passes(world)
        return io
    monkeypatch.setattr(test_xdp, "wait_way", wait_way)
    return world


def quiet(daemon: Daemon) -> int:
    """How many were received, once no more come."""
    before = -1
    while before != (count := daemon.ledger("x")["received"]):
        before = count
        time.sleep(1)
    return count


def test_overflows_at_card(make_daemon: Callable[..., Daemon], wired: World
                           ) -> None:
    """What finds no memory is dropped by the card, which counts that or not;
    all that was there when the worker was killed is received."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port, receive_buffer="1MiB"))
    assert test_xdp.wait_way(daemon, "xdp")["xdp"]["frames"] == 1024
    pid = daemon.worker_pid("x")
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(100))
        daemon.wait_received("x", 100)
        os.kill(pid, signal.SIGSTOP)
        source.send(numbered(30000, first=100))
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("x", pid)
        count = quiet(daemon)
        assert count >= 1124
        reasons = [reason["what"] for reason in
                   daemon.channel("x")["reasons"]]
        assert ("card_starved" in reasons) == (wired.mode != "copy")
        source.send(numbered(100, first=30100), 10000)
        daemon.wait_received("x", count + 100)
        ledger = daemon.wait_settled("x")
    daemon.stop()
    came = daemon.payloads("x")
    print(json.dumps({"received": len(came), "kernel_dropped":
                      ledger["kernel_dropped"], "sent": 30200}))
    assert wired.mode == "copy" or "channel x: in0 has found no memory for " \
        "what came next" in daemon.log()
    assert came[:1124] == numbered(1124)
    assert len(set(came)) == len(came) == ledger["received"]
    assert len(came) + ledger["kernel_dropped"] <= 30200
