# SPDX-License-Identifier: ISC
"""One port with many senders, shared out over sockets, rings and workers."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from daemon import Daemon, channel
from forwarding import forward
from manager import Manager
from nats import Client, Server
from net import Namespace, Sender, free_port, numbered, safe_rate
from waiting import wait_for

SENDERS = 40
RECORD = struct.Struct(">IQ")


def shard_of(address: str, shards: int) -> int:
    """As mcrelay.yaml(5) says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    value = 0
    for (word,) in struct.iter_unpack(">I", socket.inet_pton(family, address)):
        value = ((value ^ word) * 0x9e3779b1) & 0xffffffff
    return (value >> 16) % shards


class Instruments:
    """Each has an address of its own, and numbers what it sends."""

    def __init__(self, port: int) -> None:
        self.addresses = [f"127.0.1.{i}" for i in range(1, SENDERS + 1)]
        self.senders = [Sender("127.0.0.1", port, local=each)
                        for each in self.addresses]
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None

    def _send(self) -> None:
        rate = safe_rate(1.0, 3000) / SENDERS
        for number in range(1 << 40):
            for i, sender in enumerate(self.senders):
                sender.send([RECORD.pack(i, number) + bytes(100)])
            if self.ended.wait(1 / rate):
                break

    def begin(self) -> None:
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def end(self) -> int:
        self.ended.set()
        if self.thread is not None:
            self.thread.join(60)
            assert not self.thread.is_alive()
        return sum(len(each.sent) for each in self.senders)

    def close(self) -> None:
        self.end()
        for each in self.senders:
            each.close()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def instruments(port: int) -> Iterator[Instruments]:
    made = Instruments(port)
    yield made
    made.close()


def sharded(daemon: Daemon, port: int, shards: int | None, name: str = "rig",
            **more: Any) -> dict[str, Any]:
    if shards is not None:
        more["listen_shards"] = shards
    return channel(name, port, **more,
                   archive=daemon.archive_conf(on_overrun="block"))


def names(shards: int) -> list[str]:
    return [f"rig.{i}" for i in range(shards)]


def whole(daemon: Daemon) -> dict[str, int]:
    """What the shards have together."""
    [found] = json.loads(daemon.ctl("status", "-j", "rig").stdout)["sharded"]
    assert found["name"] == "rig"
    ledger = found["ledger"]
    assert isinstance(ledger, dict)
    return ledger


def by_sender(payloads: list[bytes]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for each in payloads:
        sender, number = RECORD.unpack_from(each)
        found.setdefault(sender, []).append(number)
    return found


def test_kills_and_reloads(daemon: Daemon, port: int,
                           instruments: Instruments) -> None:
    """Workers are killed, and there come to be more shards, fewer, and none:
    each datagram is in one of them, once, and of each sender in order."""
    chance = random.Random(int(os.environ.get("MCRELAY_TEST_SEED", 14)))
    daemon.start(sharded(daemon, port, 4))
    instruments.begin()
    seen = set(names(4))
    for shards in (4, 2, 3, None, 1, 4):
        daemon.write(sharded(daemon, port, shards))
        daemon.ctl("reload")
        now = names(shards) if shards is not None else ["rig"]
        seen.update(now)
        for name in now:
            daemon.wait_state(name, "running")
        name = chance.choice(now)
        pid = daemon.worker_pid(name)
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker(name, pid)
        daemon.ctl("restart", chance.choice(now))
    sent = instruments.end()
    daemon.wait_log("channel rig: shards: 4, and no more 1:")

    def stored() -> int:
        return sum(len(daemon.payloads(name)) for name in seen)

    wait_for(lambda: whole(daemon)["pending"] == 0, "the archives")
    daemon.stop()
    assert stored() == sent
    for name in seen:
        for numbers in by_sender(daemon.payloads(name)).values():
            assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("how", ["upgrade", "supervisor killed"])
def test_same_shard(daemon: Daemon, port: int, instruments: Instruments,
                    how: str) -> None:
    """A sender stays where it is, whoever is started anew."""
    with Manager(daemon.directory) as manager:
        daemon.write(sharded(daemon, port, 3))
        manager.launch(daemon)
        for name in names(3):
            daemon.wait_state(name, "running")
        instruments.begin()
        for _ in range(2):
            pid = daemon.worker_pid("rig.1")
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("rig.1", pid)
            if how == "upgrade":
                daemon.ctl("upgrade")
            else:
                manager.kill(daemon, False)
                manager.launch(daemon)
            for name in names(3):
                daemon.wait_state(name, "running")
        sent = instruments.end()
        wait_for(lambda: whole(daemon)["received"] == sent, "it all")
        daemon.stop()
    for i, name in enumerate(names(3)):
        found = by_sender(daemon.payloads(name))
        assert set(found) == {
            sender for sender, address in enumerate(instruments.addresses)
            if shard_of(address, 3) == i}
        for sender, numbers in found.items():
            assert numbers == list(range(len(
                instruments.senders[sender].sent)))


def test_v6(inside: Daemon, namespace: Namespace, port: int) -> None:
    """Also on the wildcard."""
    addresses = [f"fd00:{i}::{7 * i:x}" for i in range(1, 13)]
    for each in addresses:
        namespace.run("ip", "addr", "add", f"{each}/128", "dev", "lo", "nodad")
    inside.start(sharded(inside, port, 3, address="::"))
    expected = {name: 0 for name in names(3)}
    for each in addresses:
        with Sender(addresses[0], port, "lo", namespace, each) as sender:
            sender.send(numbered(20))
        expected[f"rig.{shard_of(each, 3)}"] += 20
    assert min(expected.values()) > 0
    for name, count in expected.items():
        inside.wait_received(name, count)
    inside.stop()


def test_named_as_one(daemon: Daemon, port: int,
                      instruments: Instruments) -> None:
    """Who names the channel means its shards; one that is stopped costs the
    others nothing, nor do they have what is for it."""
    daemon.start(sharded(daemon, port, 3), channel("other", free_port()))

    def send_all() -> None:
        for i, each in enumerate(instruments.senders):
            each.send([RECORD.pack(i, 0)] * 5)

    def mine(name: str) -> int:
        return 5 * sum(shard_of(each, 3) == int(name[-1])
                       for each in instruments.addresses)

    send_all()
    wait_for(lambda: whole(daemon)["received"] == SENDERS * 5, "it all")
    for name in names(3):
        assert daemon.ledger(name)["received"] == mine(name) > 0
    wait_for(lambda: whole(daemon)["pending"] == 0, "the archives")
    assert whole(daemon)["archived"] == SENDERS * 5
    shown = daemon.ctl("status", "rig").stdout
    assert "3 shards" in shown and "other" not in shown
    assert "rig, 3 shards\n" in daemon.ctl("ledger", "rig").stdout
    *each, together = json.loads(daemon.ctl("ledger", "-j", "rig").stdout)
    assert [one["name"] for one in each] == list(names(3))
    assert together["name"] == "rig" and together["shards"] == 3
    assert together["ledger"] == whole(daemon)
    assert sum(one["ledger"]["received"] for one in each) == \
        together["ledger"]["received"]

    daemon.ctl("stop", "rig.1")
    daemon.wait_state("rig.1", "stopped")
    send_all()
    for name in ("rig.0", "rig.2"):
        daemon.wait_received(name, 2 * mine(name))
    daemon.ctl("start", "rig.1")
    daemon.wait_state("rig.1", "running")
    send_all()
    wait_for(lambda: whole(daemon)["received"] ==
             3 * SENDERS * 5 - mine("rig.1"), "all but what had no worker")

    pids = {name: daemon.worker_pid(name) for name in names(3)}
    daemon.ctl("restart", "rig")
    for name, pid in pids.items():
        assert daemon.worker_pid(name) != pid
    daemon.ctl("stop", "rig")
    for name in names(3):
        assert daemon.status(name)["state"] == "stopped"
    assert daemon.status("other")["state"] == "running"
    daemon.ctl("start", "rig")
    daemon.ctl("pause", "rig", "archive")
    for name in names(3):
        daemon.wait_state(name, "paused")
    daemon.ctl("resume", "rig")
    events = daemon.ctl("events", "-j", "--since", "0", "-n", "3",
                        "rig").stdout
    for line in events.splitlines():
        assert json.loads(line)["channel"] in names(3)
    metrics = daemon.ctl("metrics", "rig").stdout
    assert 'channel="rig.2"' in metrics and '"other"' not in metrics
    refused = daemon.ctl("stop", "rig.3", check=False)
    assert "there is no channel rig.3" in refused.stderr
    daemon.stop()


def test_forwarded(daemon: Daemon, server: Server, port: int,
                   instruments: Instruments) -> None:
    """Each shard to a stream of its own, with its catalogue and ledger; in
    their names there can be no dot."""
    daemon.start(sharded(daemon, port, 2, forward=True),
                 **forward(server.url))
    for i, each in enumerate(instruments.senders):
        each.send([RECORD.pack(i, n) for n in range(5)])
    wait_for(lambda: whole(daemon)["received"] == SENDERS * 5, "it all")
    daemon.ctl("rotate", "rig")
    with Client(server.port) as client:
        for i in range(2):
            subjects = {"mcrelay_catalog": f"mcrelay.catalog.rig.rig~{i}",
                        "mcrelay_ledger": f"mcrelay.ledger.rig.rig~{i}"}
            received = daemon.ledger(f"rig.{i}")["received"]

            def records() -> int:
                return sum(int(m.headers["Mcrelay-Records"])
                           for m in client.messages(f"mcrelay-rig~{i}"))

            wait_for(lambda: records() == received > 0, "the stream", 30,
                     daemon.log)
            assert client.message(f"mcrelay-rig~{i}", 1).headers[
                "Mcrelay-Channel"] == f"rig.{i}"
            for stream, subject in subjects.items():
                wait_for(lambda: any(m.subject == subject
                                     for m in client.messages(stream)),
                         subject, 30, daemon.log)
    daemon.stop()
