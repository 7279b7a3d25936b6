# SPDX-License-Identifier: ISC
"""What mcrelay-forwarder tells beside archives: catalogues and ledgers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import nats
from daemon import Daemon
from forwarding import archived, forward, forwarder_pid, wait_forwarded
from nats import Client, Cluster, Server
from net import Sender, free_port, numbered
from waiting import wait_for

pytestmark = pytest.mark.usefixtures("have_forwarder")


def told(client: Client, what: str, channel: str) -> list[Any]:
    return [json.loads(m.data) for m in client.messages(f"mcrelay_{what}")
            if m.subject == f"mcrelay.{what}.rig.{channel}"]


def catalog(daemon: Daemon, channel: str) -> list[Any]:
    file = daemon.archive / channel / "catalog.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def wait_catalog(daemon: Daemon, client: Client, channel: str, least: int
                 ) -> None:
    """All of it, in order, and nothing else."""
    def there() -> bool:
        lines = catalog(daemon, channel)
        return len(lines) >= least and told(client, "catalog", channel) == \
            lines
    wait_for(there, f"the catalogue of {channel}", 60,
             lambda: (told(client, "catalog", channel), daemon.log()[-2000:]))


def test_told(daemon: Daemon, server: Server) -> None:
    """Of two channels, each line once while everything is killed; the ledger
    as it is in the end."""
    ports = free_port(), free_port()
    with Sender("127.0.0.1", ports[0]) as one, \
            Sender("127.0.0.1", ports[1]) as two, \
            Client(server.port) as client:
        daemon.start(*(archived(daemon, name, port, block_size="8KiB",
                                rotate={"size": "64KiB"},
                                flush_interval="10ms")
                       for name, port in zip(("one", "two"), ports)),
                     **forward(server.url))
        for turn in range(4):
            one.send(numbered(1000, 200, 1000 * turn), 5000)
            two.send(numbered(500, 200, 500 * turn), 5000)
            daemon.wait_received("one", 1000 * (turn + 1))
            wait_forwarded(daemon, client, "one", 1000 * (turn + 1))
            if turn == 1:
                for pid, command in daemon.processes().items():
                    if command == "mcrelay-forwarder"[:15]:
                        os.kill(pid, signal.SIGKILL)
            elif turn == 2:
                wait_catalog(daemon, client, "one", 6)
                client.close()
                server.end()
                server.start()
                client = Client(server.port)
        wait_catalog(daemon, client, "one", 10)
        wait_catalog(daemon, client, "two", 5)
        daemon.wait_received("two", 2000)

        def last() -> bool:
            ledgers = told(client, "ledger", "one")
            return bool(ledgers) and ledgers[-1]["ledger"][
                "received"] == 4000
        wait_for(last, "the ledger", 60,
                 lambda: told(client, "ledger", "one"))
        ledgers = told(client, "ledger", "one")
        assert all(x["host"] == "rig" and x["channel"] == "one"
                   for x in ledgers)
        counts = [x["ledger"]["received"] for x in ledgers]
        times = [x["time_ms"] for x in ledgers]
        assert counts == sorted(counts) and times == sorted(times)
        assert set(ledgers[-1]["ledger"]) == set(
            daemon.status("one")["ledger"])
        daemon.stop()
        client.close()


def test_refused(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """Where nobody takes it, archives are forwarded all the same."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        # The subjects are another stream's.
        assert "error" not in client.api(
            "STREAM.CREATE.mine", name="mine",
            subjects=["mcrelay.catalog.>", "mcrelay.ledger.>"])
        daemon.start(archived(daemon, "one", port), **forward(server.url))
        wait_for(lambda: "stream mcrelay_catalog" in daemon.log(),
                 "a log line", 30, daemon.log)
        sender.send(numbered(1000))
        daemon.wait_received("one", 1000)
        wait_forwarded(daemon, client, "one", 1000)
        assert client.last("mine") == 0
        daemon.stop()


def test_emptied(daemon: Daemon, server: Server) -> None:
    """A ledger that does not change is told again where it has gone."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(archived(daemon, "one", port), **forward(server.url))
        sender.send(numbered(1000))
        daemon.wait_received("one", 1000)

        def last() -> int:
            ledgers = told(client, "ledger", "one")
            return int(ledgers[-1]["ledger"]["received"]) if ledgers else 0
        wait_for(lambda: last() == 1000, "the ledger", 30, last)
        # The next one says how high it has been since.
        wait_for(lambda: told(client, "ledger", "one")[-1]["ledger"] ==
                 daemon.ledger("one"), "what has not changed since", 30)
        done = client.api("STREAM.PURGE.mcrelay_ledger")
        assert done["purged"] > 0
        assert last() == 0
        wait_for(lambda: last() == 1000, "the same again", 40, daemon.log)
        daemon.stop()


def test_line_deleted(daemon: Daemon, server: Server) -> None:
    """Its last line is sent anew, though the server remembers that it had it
    for a while."""
    version = subprocess.run([str(nats.PROGRAM), "-v"], text=True,
                             capture_output=True, check=True).stdout
    if ": v2.9." in version:
        pytest.skip("nats-server 2.9 forgets where a subject ends when its "
                    "last message is deleted")
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        assert "error" not in client.api(
            "STREAM.CREATE.mcrelay_catalog", name="mcrelay_catalog",
            subjects=["mcrelay.catalog.*.*"], duplicate_window=5_000_000_000)
        daemon.start(archived(daemon, "one", port), **forward(server.url))
        for count in 1, 2:
            sender.send(numbered(100))
            daemon.wait_received("one", 100 * count)
            daemon.ctl("rotate", "one")
            wait_catalog(daemon, client, "one", count)
        assert client.api("STREAM.MSG.DELETE.mcrelay_catalog", seq=2)[
            "success"]
        old = forwarder_pid(daemon)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: client.last("mcrelay_catalog") > 2, "another", 30,
                 daemon.log)
        wait_for(lambda: [told["name"] for told in (json.loads(
            client.message("mcrelay_catalog", n).data) for n in (1, 3))] ==
            [line["name"] for line in catalog(daemon, "one")], "the line", 10,
                 lambda: (client.stream("mcrelay_catalog"),
                          catalog(daemon, "one")))
        daemon.stop()


def test_no_majority(daemon: Daemon, tmp_path: Path) -> None:
    """Two of three servers stand still when a line is sent, and when it is sent
    again, by another process: it is there once."""
    cluster = Cluster(tmp_path)
    port = free_port()
    stopped: list[int] = []
    try:
        cluster.start()
        with Sender("127.0.0.1", port) as sender:
            conf = archived(daemon, "one", port)
            daemon.start(conf, **forward(*cluster.urls, replicas=3))
            sender.send(numbered(100))
            daemon.wait_received("one", 100)
            daemon.ctl("rotate", "one")
            cluster.wait_current("mcrelay_catalog")
            leader = cluster.leader("mcrelay_catalog")
            assert leader is not None
            with leader.client() as client:
                wait_catalog(daemon, client, "one", 1)
                # Which leads the other stream, too: else that is waited for.
                wait_for(lambda: cluster.leader("mcrelay-one") is leader or
                         client.api("STREAM.LEADER.STEPDOWN.mcrelay-one")
                         is None, "one leader", 60)
                # To the leader alone.
                before = forwarder_pid(daemon)
                daemon.write(conf, **forward(leader.url, replicas=3))
                daemon.ctl("reload")
                forwarder_pid(daemon, before)
                daemon.wait_log(f"connected to {leader.url}")
                sender.send(numbered(100))
                daemon.wait_received("one", 200)
                for server in cluster.servers:
                    if server is not leader and server.process is not None:
                        os.kill(server.process.pid, signal.SIGSTOP)
                        stopped.append(server.process.pid)
                daemon.ctl("rotate", "one")
                wait_for(lambda: len(catalog(daemon, "one")) == 2, "a line")
                # One that is alone for longer takes nothing.
                time.sleep(1.5)
                before = forwarder_pid(daemon)
                os.kill(before, signal.SIGKILL)
                forwarder_pid(daemon, before)
                time.sleep(2.5)
                while stopped:
                    os.kill(stopped.pop(), signal.SIGCONT)
                cluster.wait_current("mcrelay_catalog")
                wait_catalog(daemon, client, "one", 2)
            daemon.stop()
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        cluster.end()
