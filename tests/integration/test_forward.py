# SPDX-License-Identifier: ISC
"""mcrelay-forwarder: archives in NATS JetStream, each record once."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest

import avro_files
import nats
from daemon import Daemon, channel
from nats import Client, Cluster, Message, Server
from net import Sender, SenderThread, free_port, numbered
from waiting import wait_for

LONG_COUNT = 240000 if "MCRELAY_TEST_LONG" in os.environ else 30000

pytestmark = pytest.mark.skipif(nats.PROGRAM is None, reason=nats.NO_SERVER)


@pytest.fixture(autouse=True)
def have_forwarder(programs: Any) -> None:
    if not (programs.libexec / "mcrelay-forwarder").exists():
        pytest.skip("built without libnats")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path)
    one.start()
    yield one
    one.end()


def forward(*servers: str, **more: Any) -> dict[str, Any]:
    return {"host": "rig", "forward": {"servers": list(servers)} | more}


def archived(daemon: Daemon, name: str, port: int, **more: Any
             ) -> dict[str, Any]:
    return channel(name, port, forward=True,
                   archive=daemon.archive_conf(**more))


def state(daemon: Daemon, name: str) -> dict[str, Any]:
    return dict(daemon.status(name)["forward"])


def wait_forwarded(daemon: Daemon, name: str, deadline_s: float = 30.0
                   ) -> dict[str, Any]:
    """All that is archived."""
    def there() -> dict[str, Any] | None:
        status = daemon.status(name)
        now = status["forward"]
        return now if now["state"] == "forwarding" and \
            now.get("behind_bytes") == 0 and \
            status["ledger"]["pending"] == 0 else None
    return wait_for(there, f"{name} to be forwarded", deadline_s,
                    lambda: (daemon.status(name), daemon.log()[-3000:]))


def forwarder_pid(daemon: Daemon, old: int = 0) -> int:
    def there() -> int:
        one = json.loads(daemon.ctl("status", "-j").stdout)["forwarders"][0]
        return one["pid"] if one["state"] == "running" and \
            one["pid"] != old else 0
    return wait_for(there, "a forwarder", 60, daemon.log)


def records(directory: Path, messages: list[Message]) -> list[bytes]:
    """The payloads in all messages, each of which is a container file."""
    found = []
    file = directory / "message.avro"
    for message in messages:
        file.write_bytes(message.data)
        payloads = [d.payload for d in avro_files.read_datagrams(file)]
        headers = message.headers
        assert len(payloads) == int(headers["Mcrelay-Records"])
        sequences = [d.sequence for d in avro_files.read_datagrams(file)]
        assert sequences[0] == int(headers["Mcrelay-First-Sequence"])
        assert sequences[-1] == int(headers["Mcrelay-Last-Sequence"])
        found += payloads
    return found


def check(daemon: Daemon, client: Client, name: str, sent: list[bytes],
          tmp_path: Path) -> list[Message]:
    """All that was sent is in the stream once, in order, and nothing else."""
    messages = client.messages(f"mcrelay-{name}")
    got = records(tmp_path, messages)
    numbers = [struct.unpack(">Q", p[:8])[0] for p in got]
    wanted = [struct.unpack(">Q", p[:8])[0] for p in sent]
    lost = len(set(wanted) - set(numbers))
    doubled = len(numbers) - len(set(numbers))
    assert (lost, doubled) == (0, 0), f"{lost} lost, {doubled} doubled"
    assert got == sent, "out of order"
    return messages


def test_forwards(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(archived(daemon, "one", port), **forward(server.url))
        sender.send(numbered(2000))
        daemon.wait_received("one", 2000)
        now = wait_forwarded(daemon, "one")
        messages = check(daemon, client, "one", sender.sent, tmp_path)
        assert now["records"] == 2000
        assert now["messages"] == now["sequence"] == len(messages)
        assert now["refused"] == now["resyncs"] == 0
        assert now["behind_ms"] == 0
        first = messages[0]
        assert first.subject == "mcrelay.rig.one"
        assert first.headers["Mcrelay-Channel"] == "one"
        assert first.headers["Mcrelay-Host"] == "rig"
        assert len(first.headers["Mcrelay-Fingerprint"]) == 16
        assert first.headers["Nats-Msg-Id"].startswith("one_")
        info = client.stream("mcrelay-one")["config"]
        assert info["discard"] == "new" and info["storage"] == "file"
        daemon.stop()
        # What the end has flushed goes with the next start.
        assert daemon.payloads("one") == sender.sent


def kill_forwarder(daemon: Daemon) -> int:
    pids = [pid for pid, command in daemon.processes().items()
            if command == "mcrelay-forwarder"[:15]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


def test_kills(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """Forwarder, worker and server, while files are rotated."""
    port, rng = free_port(), random.Random(19)
    datagrams = numbered(30000, 200)
    kills = Counter[str]()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port, block_size="16KiB",
                              rotate={"size": "512KiB"},
                              flush_interval="20ms"),
                     **forward(server.url))
        forwarder_pid(daemon)
        thread = SenderThread(sender, datagrams, 2000)
        while thread.busy():
            what = rng.choice(["forwarder", "forwarder", "worker", "server"])
            time.sleep(rng.uniform(0.05, 0.5))
            kills[what] += 1
            if what == "forwarder":
                kill_forwarder(daemon)
            elif what == "worker":
                os.kill(daemon.worker_pid("one"), signal.SIGKILL)
                daemon.wait_running()
            else:
                server.end()
                server.start()
        thread.join()
        daemon.wait_received("one", len(datagrams))
        now = wait_forwarded(daemon, "one", 60)
        print(dict(kills), now)
        with Client(server.port) as client:
            check(daemon, client, "one", datagrams, tmp_path)
        daemon.stop()


def test_late(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """What a forwarder had sent before it was killed arrives when the next one
    has asked, or never: a server that is stopped has it in its buffers."""
    port, rng = free_port(), random.Random(7)
    datagrams = numbered(20000, 400)
    with Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port, block_size="8KiB",
                              flush_interval="10ms"),
                     **forward(server.url))
        forwarder_pid(daemon)
        thread = SenderThread(sender, datagrams, 2000)
        assert server.process is not None
        while thread.busy():
            time.sleep(rng.uniform(0.05, 0.3))
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.01, 0.3))
            kill_forwarder(daemon)
            time.sleep(rng.uniform(0.01, 0.3))
            server.process.send_signal(signal.SIGCONT)
        thread.join()
        daemon.wait_received("one", len(datagrams))
        wait_forwarded(daemon, "one", 60)
        with Client(server.port) as client:
            check(daemon, client, "one", datagrams, tmp_path)
        daemon.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    three = Cluster(tmp_path)
    three.start()
    yield three
    three.end()


def test_cluster(daemon: Daemon, cluster: Cluster, tmp_path: Path) -> None:
    """The stream's leader, other servers and forwarders are killed; between
    two kills of servers all replicas are there."""
    ports, rng = [free_port(), free_port()], random.Random(3)
    names = ["one", "two"]
    datagrams = numbered(LONG_COUNT, 300)
    kills = Counter[str]()
    with Sender("127.0.0.1", ports[0]) as one, \
            Sender("127.0.0.1", ports[1]) as two:
        daemon.start(*(archived(daemon, name, port, block_size="32KiB",
                                rotate={"size": "2MiB"},
                                flush_interval="50ms")
                       for name, port in zip(names, ports)),
                     **forward(*cluster.urls, replicas=3))
        forwarder_pid(daemon)
        threads = [SenderThread(s, datagrams, 1000) for s in (one, two)]
        cluster.wait_current("mcrelay-one")
        while any(t.busy() for t in threads):
            what = rng.choice(["leader", "leader", "any", "forwarder"])
            kills[what] += 1
            if what == "forwarder":
                kill_forwarder(daemon)
                time.sleep(rng.uniform(0.05, 0.5))
                continue
            server = cluster.leader("mcrelay-one") if what == "leader" \
                else rng.choice(cluster.servers)
            if server is None:
                continue
            server.end()
            time.sleep(rng.uniform(0.05, 1.0))
            server.start()
            for name in names:
                cluster.wait_current(f"mcrelay-{name}")
        for thread in threads:
            thread.join()
        for name in names:
            daemon.wait_received(name, len(datagrams))
            print(name, dict(kills), wait_forwarded(daemon, name, 60))
        with cluster.client() as client:
            for name in names:
                check(daemon, client, name, datagrams, tmp_path)
        daemon.stop()
