# SPDX-License-Identifier: ISC
"""One configuration for many hosts: who has which channel."""

from __future__ import annotations

import json
import signal
from typing import Callable

from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port, numbered
from waiting import wait_for


def names(daemon: Daemon) -> list[str]:
    status = daemon.try_status()
    return [] if status is None else [c["name"] for c in status["channels"]]


def test_hosts(make_daemon: Callable[..., Daemon]) -> None:
    """The same text, but for the name of the host; one channel moves, with
    its port, when both are told so."""
    a, b = make_daemon("a"), make_daemon("b")
    port, other = free_port(), free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        def write(hosts: list[str]) -> None:
            for each in (a, b):
                each.write(
                    channel("moves", port, hosts=hosts, relay=[
                        output("127.0.0.1", receiver.port)]),
                    channel("stays", other, hosts=["b"]),
                    host=each.directory.name)
        write(["a"])
        a.start()
        b.start()
        assert names(a) == ["moves"] and names(b) == ["stays"]
        sender.send(numbered(100))
        assert receiver.wait(100) == sender.sent
        write(["b"])
        # With nothing left to do, it stays for the next reload.
        assert "nothing to do" in a.check().stderr
        a.signal(signal.SIGHUP)
        wait_for(lambda: a.try_status() is not None and names(a) == [],
                 "a without channels", 10, a.log)
        b.signal(signal.SIGHUP)
        wait_for(lambda: names(b) == ["moves", "stays"], "b with both", 10,
                 b.log)
        b.wait_running()
        sender.send(numbered(100, first=100))
        assert receiver.wait(200) == sender.sent
        assert b.ledger("moves")["received"] == 100
        assert json.loads(a.ctl("status", "-j").stdout)["channels"] == []
        write(["a", "b"])
        a.signal(signal.SIGHUP)
        # Both name it: the port is taken, which waits.
        a.wait_state("moves", "waiting")
        b.stop()
        a.wait_state("moves", "running")
        a.stop()
