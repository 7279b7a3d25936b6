# SPDX-License-Identifier: ISC
"""What each has a test of its own for, used together: paths that are merged,
several outputs with ways of their own, pauses, kills, upgrades, restarts."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from typing import Any, Callable

import pytest

from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port, numbered
from test_keep_source import Heard
from test_merge import WINDOW, wait_merged
from test_world import RELAY, World, bare, world    # noqa: F401
from waiting import wait_for

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has CAP_NET_RAW to give away")

BATCH = 40


class Lane:
    """A channel with two paths, an output with an address of its own, and one
    that keeps the senders'; batches, each on both paths."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        ports = [free_port(), free_port()]
        self.plain = stack.enter_context(Receiver())
        self.kept = Heard(stack, "127.0.0.1")
        self.senders = [stack.enter_context(Sender(
            "127.0.0.1", port, local=f"127.0.0.{2 + i}"))
            for i, port in enumerate(ports)]
        self.conf = channel(
            "one", 1, archive=daemon.archive_conf(), relay=[
                output("127.0.0.1", self.plain.port, dscp="af41",
                       source_port=free_port()),
                output("127.0.0.1", self.kept.port, keep_source=True,
                       dscp="ef")]) | {
            "listen": [{"address": "127.0.0.1", "port": port}
                       for port in ports],
            "payload": {"format": "raw",
                        "sequence": {"offset": 0, "type": "u64be"}},
            "merge": "sequence", "merge_window": WINDOW}
        self.sent = 0
        self.relayed: list[bytes] = []
        self.archived: list[bytes] = []
        self.before: list[bytes] = []       # of an earlier daemon's

    def send(self, archived: bool = True, relayed: bool = True) -> None:
        """By turns one path is the first."""
        batch = numbered(BATCH, first=self.sent)
        self.sent += BATCH
        first, second = self.senders
        first.send(batch)
        wait_for(self.there, "the first path's")
        second.send(batch)
        self.senders.reverse()
        self.relayed += batch if relayed else []
        self.archived += batch if archived else []
        self.check()

    def there(self) -> bool:
        ledger = self.daemon.ledger("one")
        return ledger["received"] + ledger["merge_waiting"] == self.sent

    def check(self) -> None:
        ledger = wait_merged(self.daemon, 2 * self.sent)
        assert ledger["received"] == ledger["merged"] == self.sent
        assert ledger["archived"] == len(self.archived)
        assert ledger["archive_paused"] == self.sent - len(self.archived)
        assert ledger["relayed"] == 2 * len(self.relayed)
        assert ledger["relay_paused"] == \
            2 * (self.sent - len(self.relayed))
        assert not self.daemon.broken_identities("one")
        assert self.plain.wait(len(self.relayed)) == self.relayed
        wait_for(lambda: len(self.kept.datagrams) >= len(self.relayed),
                 "what keeps its sender")
        assert [data for data, _ in self.kept.datagrams] == self.relayed
        assert {source for _, source in self.kept.datagrams} <= \
            {sender.source for sender in self.senders}
        assert {mark >> 2 for mark, _ in self.kept.marks} <= {46}

    def kill(self) -> None:
        pid = self.daemon.worker_pid("one")
        os.kill(pid, signal.SIGKILL)
        self.daemon.wait_new_worker("one", pid)

    def restart(self) -> None:
        """Counters and numbers begin anew, what is paused does not."""
        self.daemon.stop()
        assert self.daemon.payloads("one") == self.archived
        self.daemon.start(self.conf)
        self.before = self.archived
        self.sent, self.relayed, self.archived = 0, [], []
        self.plain.datagrams.clear()
        self.kept.datagrams.clear()


def test_paths_paused(daemon: Daemon) -> None:
    with ExitStack() as stack:
        lane = Lane(daemon, stack)
        daemon.start(lane.conf)
        lane.send()
        daemon.ctl("pause", "-p", "one", "relay")
        lane.send(relayed=False)
        lane.kill()
        lane.send(relayed=False)
        daemon.ctl("pause", "one", "archive")
        pid = daemon.worker_pid("one")
        daemon.ctl("upgrade")
        daemon.wait_new_worker("one", pid)
        lane.send(False, False)
        daemon.ctl("resume", "one", "archive")
        lane.send(relayed=False)
        lane.restart()
        lane.send(relayed=False)
        pid = daemon.worker_pid("one")
        daemon.ctl("upgrade")
        daemon.wait_new_worker("one", pid)
        lane.send(relayed=False)
        daemon.ctl("resume", "one")
        lane.send()
        lane.kill()
        lane.send()
        daemon.stop()
        assert daemon.payloads("one") == lane.before + lane.archived
        assert len({source for _, source in lane.kept.datagrams}) == 2


def test_broadcast_marked(make_daemon: Callable[..., Daemon],
                          world: World) -> None:        # noqa: F811
    """To a network's broadcast address with a mark, from a port, and with the
    sender's own address."""
    network = bare(RELAY["out"][4]).rsplit(".", 1)[0] + ".255"
    lan = world.lan
    lan.run("sysctl", "-qw", "net.ipv4.conf.out.accept_local=1",
            "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.out.rp_filter=0")
    with ExitStack() as stack:
        plain = Heard(stack, "0.0.0.0", lan, "out")
        kept = Heard(stack, "0.0.0.0", lan, "out")
        for heard in plain, kept:
            heard.socket.setsockopt(socket.SOL_SOCKET,
                                    socket.SO_BINDTODEVICE, b"out")
        daemon = make_daemon(namespace=world.home)
        port, own = free_port(), free_port()
        address = bare(RELAY["in"][4])

        def conf(**more: Any) -> dict[str, Any]:
            return channel("one", port, address, relay=[
                output(network, plain.port, source_port=own, dscp="cs5")
                | more,
                output(network, kept.port, keep_source=True, dscp=10)
                | more])
        daemon.write(conf())
        assert "needs `broadcast: true'" in daemon.check().stderr
        daemon.start(conf(broadcast=True))
        sender = stack.enter_context(Sender(address, port, "in", lan))
        sender.send(numbered(BATCH))
        kept.wait([sender])
        ledger = daemon.wait_received("one", BATCH)
        assert ledger["relayed"] == 2 * BATCH
        from_ = f"{bare(RELAY['out'][4])}:{own}"
        assert plain.datagrams == [(each, from_) for each in sender.sent]
        assert {mark >> 2 for mark, _ in plain.marks} == {40}
        assert {mark >> 2 for mark, _ in kept.marks} == {10}
        daemon.stop()
