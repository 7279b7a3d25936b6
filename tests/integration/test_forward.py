# SPDX-License-Identifier: ISC
"""mcrelay-forwarder: archives in NATS JetStream, each record once."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest

import avro_files
import nats
from daemon import Daemon, output
from forwarding import (archived, forward, forwarder_pid, state,
                        wait_forwarded)
from fuse import Fuse, build
from nats import Client, Cluster, Message, Proxy, Server
from net import Receiver, Sender, SenderThread, free_port, numbered
from waiting import wait_for

LONG_COUNT = 240000 if "MCRELAY_TEST_LONG" in os.environ else 30000

pytestmark = pytest.mark.usefixtures("have_forwarder")


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
        now = wait_forwarded(daemon, client, "one", 2000)
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
        # Each by itself, however libnats was given them.
        assert set(first.headers) == {
            "Mcrelay-Channel", "Mcrelay-Host", "Mcrelay-File",
            "Mcrelay-First-Record", "Mcrelay-Records",
            "Mcrelay-First-Sequence", "Mcrelay-Last-Sequence",
            "Mcrelay-Fingerprint", "Nats-Expected-Stream",
            "Nats-Expected-Last-Sequence", "Nats-Msg-Id"}
        # What was on its way then, if anything, is named, too.
        assert all(set(m.headers) - set(first.headers) <=
                   {"Nats-Expected-Last-Msg-Id"} for m in messages)
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
                # It has a pid file as long as it runs.
                daemon.wait_running()
                os.kill(daemon.worker_pid("one"), signal.SIGKILL)
                daemon.wait_running()
            else:
                server.end()
                server.start()
        thread.join()
        daemon.wait_received("one", len(datagrams))
        with Client(server.port) as client:
            print(dict(kills), wait_forwarded(daemon, client, "one",
                                              len(datagrams)))
            check(daemon, client, "one", datagrams, tmp_path)
        daemon.stop()


def test_late(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """What a forwarder had sent before it was killed arrives when the next one
    has long gone on, with the server's memory of identities gone."""
    port, proxy = free_port(), Proxy(server.port)
    late = 0
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        made = client.api(
            "STREAM.CREATE.mcrelay-one", name="mcrelay-one",
            subjects=["mcrelay.rig.one"], duplicate_window=100_000_000)
        assert "error" not in made, made
        daemon.start(archived(daemon, "one", port, block_size="8KiB",
                              flush_interval="10ms"),
                     **forward(proxy.url))
        # Who has forwarded has no question of its start on its way.
        sender.send(numbered(500, 400))
        daemon.wait_received("one", 500)
        for turn in range(1, 5):
            old = forwarder_pid(daemon)
            wait_forwarded(daemon, client, "one", 500 * turn)
            proxy.hold()
            before = client.last("mcrelay-one")
            sender.send(numbered(500, 400, 500 * turn))
            daemon.wait_received("one", 500 * (turn + 1))
            wait_for(lambda: proxy.holds() > 500 * 400,
                     "all of it on its way", 10, proxy.holds)
            assert client.last("mcrelay-one") == before
            kill_forwarder(daemon)
            forwarder_pid(daemon, old)
            wait_forwarded(daemon, client, "one", 500 * (turn + 1))
            after = client.last("mcrelay-one")
            assert after > before
            late += after - before
            proxy.release()
            wait_for(lambda: proxy.arrived >= turn, "what was held", 20)
        sender.send(numbered(500, 400, 2500))
        daemon.wait_received("one", 3000)
        wait_forwarded(daemon, client, "one", 3000)
        check(daemon, client, "one", sender.sent, tmp_path)
        assert late > 4
        daemon.stop()
    proxy.end()


def merge_blocks(file: Path, kept: int) -> None:
    """Behind the first `kept' records, one block instead of each two."""
    container = avro_files.read_container(file, part=True)
    data = file.read_bytes()
    head = data[:data.index(container.sync) + 16]
    blocks, merged, count = container.blocks, [], 0
    while count < kept:
        merged.append(blocks.pop(0))
        count += merged[-1][0]
    assert count == kept
    for i in range(0, len(blocks), 2):
        counts, parts = zip(*blocks[i:i + 2])
        merged.append((sum(counts), b"".join(parts)))
    file.write_bytes(head + b"".join(
        avro_files.long(count) + avro_files.long(len(part)) + part +
        container.sync for count, part in merged))


def test_late_in_other_pieces(daemon: Daemon, server: Server, tmp_path: Path
                              ) -> None:
    """The same when its successor finds the same records in other blocks, as
    after a worker's death before it had noted one."""
    port, proxy = free_port(), Proxy(server.port)
    conf = archived(daemon, "one", port, block_size="8KiB",
                    flush_interval="10ms")
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(conf, **forward(proxy.url))
        sender.send(numbered(500, 400))
        daemon.wait_received("one", 500)
        wait_forwarded(daemon, client, "one", 500)
        proxy.hold()
        before = client.last("mcrelay-one")
        sender.send(numbered(500, 400, 500))
        daemon.wait_received("one", 1000)
        wait_for(lambda: proxy.holds() > 500 * 400, "all of it on its way",
                 10, proxy.holds)
        assert client.last("mcrelay-one") == before
        daemon.kill()
        (part,) = daemon.archive.glob("*/*.part")
        merge_blocks(part, 500)
        daemon.start(conf, **forward(proxy.url))
        wait_forwarded(daemon, client, "one", 1000)
        assert client.last("mcrelay-one") > before + 8
        proxy.release()
        wait_for(lambda: proxy.arrived >= 1, "what was held", 20)
        sender.send(numbered(500, 400, 1000))
        wait_forwarded(daemon, client, "one", 1500)
        check(daemon, client, "one", sender.sent, tmp_path)
        daemon.stop()
    proxy.end()


def wait_state(daemon: Daemon, name: str, wanted: str) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        now = state(daemon, name)
        return now if now["state"] == wanted else None
    return wait_for(there, f"{name} {wanted}", 30,
                    lambda: (state(daemon, name), daemon.log()[-3000:]))


def reasons(daemon: Daemon, name: str) -> set[str]:
    return {r["what"] for r in daemon.status(name)["reasons"]}


def test_away(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """Relay and archive do not notice it; all is sent later."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        server.end()
        daemon.start(archived(daemon, "one", port, block_size="16KiB",
                              rotate={"size": "256KiB"}) | {
                         "relay": [output("127.0.0.1", receiver.port)]},
                     **forward(server.url))
        sender.send(numbered(8000, 200))
        daemon.wait_received("one", 8000)
        assert receiver.wait(8000) == sender.sent
        assert wait_state(daemon, "one", "connecting")["messages"] == 0
        wait_for(lambda: state(daemon, "one")["behind_bytes"] > 1600000,
                 "bytes behind", 10, lambda: state(daemon, "one"))
        assert state(daemon, "one")["behind_ms"] > 0
        server.start()
        with Client(server.port) as client:
            wait_forwarded(daemon, client, "one", 8000)
            messages = check(daemon, client, "one", sender.sent, tmp_path)
        assert len({m.headers["Mcrelay-File"] for m in messages}) > 4
        daemon.stop()


def test_full(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """No message is dropped for another, and nothing is left out when there is
    room again."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(archived(daemon, "one", port, block_size="16KiB"),
                     **forward(server.url, limits={"messages": 20}))
        sender.send(numbered(4000, 200))
        daemon.wait_received("one", 4000)
        assert wait_state(daemon, "one", "refused")["refused"] > 0
        wait_for(lambda: "forward_refused" in reasons(daemon, "one"),
                 "the reason", 10, lambda: daemon.status("one"))
        info = client.stream("mcrelay-one")
        assert info["state"]["messages"] == 20
        assert info["state"]["first_seq"] == 1
        changed = client.api("STREAM.UPDATE.mcrelay-one",
                             **info["config"] | {"max_msgs": -1})
        assert "error" not in changed, changed
        wait_forwarded(daemon, client, "one", 4000)
        check(daemon, client, "one", sender.sent, tmp_path)
        wait_for(lambda: "forward_refused" not in reasons(daemon, "one"),
                 "no reason", 10)
        daemon.stop()


ACCOUNT = """
accounts { A { jetstream { max_file: 1M, max_streams: 9 }
               users: [{ user: a, password: a }] } }
no_auth_user: a
"""


def test_account_full(daemon: Daemon, tmp_path: Path) -> None:
    """A limit that is not the stream's, but of all streams together, is said
    to be one."""
    port, server = free_port(), Server(tmp_path, more=ACCOUNT)
    server.start()
    try:
        with Sender("127.0.0.1", port) as sender, \
                Client(server.port) as client:
            made = client.api("STREAM.CREATE.other", name="other",
                              subjects=["other"])
            assert "error" not in made, made
            client.send(b"PUB other 990000\r\n" + bytes(990000) + b"\r\n")
            wait_for(lambda: client.last("other") == 1, "another's", 10)
            daemon.start(archived(daemon, "one", port, block_size="256KiB"),
                         **forward(server.url))
            sender.send(numbered(150, 1200))
            daemon.wait_received("one", 150)
            assert wait_state(daemon, "one", "refused")["refused"] > 0
            assert "resource limits exceeded" in daemon.log()
            daemon.stop()
    finally:
        server.end()


def test_account_filled(daemon: Daemon, tmp_path: Path) -> None:
    """What is smaller than a message that is refused, and was on its way behind
    it, is not stored in its place; all goes on when there is room again."""
    port, server = free_port(), Server(tmp_path, more=ACCOUNT)
    try:
        server.start()
        with server.client() as client:
            made = client.api("STREAM.CREATE.other", name="other",
                              subjects=["other"])
            assert "error" not in made, made
            client.send(b"PUB other 800000\r\n" + bytes(800000) + b"\r\n")
            wait_for(lambda: client.last("other") == 1, "another's", 10)
        server.end(signal.SIGTERM)
        with Sender("127.0.0.1", port) as sender:
            daemon.start(archived(daemon, "one", port, block_size="16KiB"),
                         **forward(server.url))
            for turn in range(12):
                first = 41 * turn
                sender.send(numbered(1, 40000, first))
                sender.send(numbered(40, 400, first + 1))
                daemon.wait_received("one", first + 41)
            server.start()
            with Client(server.port) as client:
                wait_state(daemon, "one", "refused")
                client.api("STREAM.PURGE.other")
                wait_forwarded(daemon, client, "one", len(sender.sent))
                check(daemon, client, "one", sender.sent, tmp_path)
            daemon.stop()
    finally:
        server.end()


def test_foreign(daemon: Daemon, server: Server) -> None:
    """A stream that others write to is left alone."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        made = client.api("STREAM.CREATE.mcrelay-one", name="mcrelay-one",
                          subjects=["mcrelay.*.one"])
        assert "error" not in made, made
        daemon.start(archived(daemon, "one", port), **forward(server.url))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        wait_state(daemon, "one", "foreign")
        daemon.wait_log("is not for the subject mcrelay.rig.one alone")
        assert client.last("mcrelay-one") == 0
        daemon.stop()


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_split(daemon: Daemon, tmp_path: Path, codec: str) -> None:
    """Blocks larger than a message are several."""
    port, server = free_port(), Server(tmp_path, more="max_payload: 16384")
    try:
        server.start()
        with Sender("127.0.0.1", port) as sender, \
                Client(server.port) as client:
            daemon.start(archived(daemon, "one", port, codec=codec),
                         **forward(server.url))
            sender.send([d[:8] + os.urandom(792)
                         for d in numbered(2000, 8)])
            daemon.wait_received("one", 2000)
            wait_forwarded(daemon, client, "one", 2000)
            messages = check(daemon, client, "one", sender.sent, tmp_path)
            assert len(messages) > 100
            assert all(len(m.data) < 16384 for m in messages)
            daemon.stop()
    finally:
        server.end()


def test_oversized(daemon: Daemon, tmp_path: Path) -> None:
    """Not skipped: what follows would be in the stream before it."""
    port, server = free_port(), Server(tmp_path, more="max_payload: 8192")
    try:
        server.start()
        with Sender("127.0.0.1", port) as sender, \
                Client(server.port) as client:
            daemon.start(archived(daemon, "one", port),
                         **forward(server.url))
            sender.send(numbered(100) + numbered(1, 20000, 100) +
                        numbered(100, 100, 101))
            daemon.wait_received("one", 201)
            wait_state(daemon, "one", "oversized")
            wait_for(lambda: "forward_refused" in reasons(daemon, "one"),
                     "the reason", 10)
            got = records(tmp_path, client.messages("mcrelay-one"))
            assert got == sender.sent[:100]
            daemon.stop()
    finally:
        server.end()


def test_datums(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """A stream of datums is one of datums."""
    port = free_port()
    (tmp_path / "n.avsc").write_text(json.dumps({
        "type": "record", "name": "N",
        "fields": [{"name": "n", "type": "long"}]}))
    datums = [avro_files.long(n) for n in range(5000)]
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(archived(daemon, "one", port) | {
            "payload": {"format": "avro", "schema": str(tmp_path / "n.avsc")}
        }, **forward(server.url))
        sender.send(datums)
        daemon.wait_received("one", len(datums))
        wait_forwarded(daemon, client, "one", len(datums))
        got = b""
        for message in client.messages("mcrelay-one"):
            assert "Mcrelay-First-Sequence" not in message.headers
            file = tmp_path / "message.avro"
            file.write_bytes(message.data)
            got += avro_files.read_container(file).data
        assert got == b"".join(datums)
        daemon.stop()


def test_changes(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """Reloads, an upgrade, and the whole daemon anew, under traffic."""
    ports = [free_port(), free_port()]
    datagrams = numbered(12000, 200)
    conf = [archived(daemon, name, port, block_size="16KiB",
                     flush_interval="20ms")
            for name, port in zip(("one", "two"), ports)]
    with Sender("127.0.0.1", ports[0]) as sender, \
            Client(server.port) as client:
        daemon.start(conf[0], conf[1] | {"forward": False},
                     **forward(server.url))
        first = forwarder_pid(daemon)
        thread = SenderThread(sender, datagrams, 2000)
        daemon.write(*conf, **forward(server.url))
        daemon.ctl("reload")
        second = forwarder_pid(daemon, first)
        wait_for(lambda: state(daemon, "two")["state"] == "forwarding",
                 "the other channel", 10)
        daemon.ctl("upgrade")
        third = forwarder_pid(daemon, second)
        assert third not in (first, second)
        thread.join()
        daemon.wait_received("one", len(datagrams))
        daemon.stop()
        daemon.start(*conf, **forward(server.url))
        sender.send(numbered(1000, 200, len(datagrams)))
        daemon.wait_received("one", 1000)
        wait_forwarded(daemon, client, "one", len(datagrams) + 1000)
        check(daemon, client, "one", sender.sent, tmp_path)
        daemon.stop()


def test_unprivileged(daemon: Daemon, server: Server, tmp_path: Path
                      ) -> None:
    """As another user, to a server by its name."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    port = free_port()
    daemon.directory.chmod(0o755)
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(archived(daemon, "one", port), **forward(
            f"nats://localhost:{server.port}"), user="nobody")
        one = daemon.whole_status()["forwarders"][0]
        assert one["user"] != 0
        sender.send(numbered(1000))
        daemon.wait_received("one", 1000)
        wait_forwarded(daemon, client, "one", 1000)
        check(daemon, client, "one", sender.sent, tmp_path)
        daemon.stop()


def test_unreadable(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """An archive that is closed to the forwarder keeps no other from being
    forwarded, and is looked at again."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    ports = free_port(), free_port()
    daemon.directory.chmod(0o755)
    shut = daemon.archive / "shut"
    shut.mkdir(parents=True, mode=0o700)
    top = forward(server.url) | {"user": {"base": 64000}}
    with Sender("127.0.0.1", ports[0]) as one, \
            Sender("127.0.0.1", ports[1]) as other, \
            Client(server.port) as client:
        daemon.start(archived(daemon, "open", ports[0]),
                     archived(daemon, "shut", ports[1]), **top)
        for sender in (one, other):
            sender.send(numbered(1000))
        wait_state(daemon, "shut", "unreadable")
        wait_forwarded(daemon, client, "open", 1000)
        assert "forward_refused" in reasons(daemon, "shut")
        assert reasons(daemon, "open") == set()
        shut.chmod(0o755)
        wait_forwarded(daemon, client, "shut", 1000)
        assert reasons(daemon, "shut") == set()
        check(daemon, client, "open", one.sent, tmp_path)
        check(daemon, client, "shut", other.sent, tmp_path)
        daemon.stop()


def test_hangs(daemon: Daemon, server: Server, tmp_path: Path,
               tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file system that does not answer holds up its own channel only, also
    of a forwarder that begins meanwhile."""
    served = Fuse(build(tmp_path_factory.mktemp("fuse")), tmp_path / "far")
    ports = free_port(), free_port()
    try:
        with Sender("127.0.0.1", ports[0]) as near, \
                Sender("127.0.0.1", ports[1]) as far, \
                Client(server.port) as client:
            daemon.start(
                archived(daemon, "near", ports[0]),
                archived(daemon, "far", ports[1], directory=str(served.at)),
                **forward(server.url))
            for sender in (near, far):
                sender.send(numbered(500))
            wait_forwarded(daemon, client, "near", 500)
            wait_forwarded(daemon, client, "far", 500)
            served.hang()
            old = forwarder_pid(daemon)
            kill_forwarder(daemon)
            forwarder_pid(daemon, old)
            for sender in (near, far):
                sender.send(numbered(500, first=500))
            wait_forwarded(daemon, client, "near", 1000)
            assert daemon.status("near")["state"] == "running"
            served.go_on()
            wait_forwarded(daemon, client, "far", 1000)
            check(daemon, client, "near", near.sent, tmp_path)
            check(daemon, client, "far", far.sent, tmp_path)
            daemon.stop()
    finally:
        daemon.kill()
        served.close()


def test_doctor(daemon: Daemon, server: Server) -> None:
    """What it says of a server, of one that is not there, and of none."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"127.0.0.1:{nats.free_tcp_port()}"
        mute = f"127.0.0.1:{silent.getsockname()[1]}"
        daemon.start(archived(daemon, "one", free_port()), **forward(
            server.url, f"nats://me:secret@{away}", f"nats://{mute}"))
        wait_state(daemon, "one", "forwarding")
        done = daemon.ctl("doctor", "-j", check=False, timeout_s=120)
        found = {f["subject"]: f for f in json.loads(done.stdout)["findings"]
                 if f["check"] == "forward"}
        assert "secret" not in done.stdout
        one = found[server.url.removeprefix("nats://")]
        version = tuple(map(int, server.version().split(".")))
        assert one["result"] == ("ok" if version >= (2, 10, 23) else "warn")
        assert server.version() in one["measured"]
        assert found[away]["result"] == "warn"
        assert found[mute]["measured"] == "is no NATS server"
        assert found["one"]["result"] == "ok"
        daemon.write(archived(daemon, "one", free_port()),
                     **forward(server.url, replicas=3))
        done = daemon.run("--doctor", "-j", timeout_s=120)
        assert "of no cluster" in done.stdout
        daemon.stop()


@pytest.mark.parametrize("more, conf, result, words", [
    ("", {}, "ok", "nats-server"),
    ("max_payload: 65536", {}, "warn", "max_payload of 65536"),
    ("", {"replicas": 3}, "fail", "of no cluster: it makes no 3 replicas"),
    (None, {}, "fail", "without JetStream"),
    ("tls {{ cert_file: {0}/c.pem, key_file: {0}/k.pem }}", {}, "fail",
     "wants TLS: say `tls: {}'")])
def test_doctor_limits(daemon: Daemon, tmp_path: Path, more: str | None,
                       conf: dict[str, Any], result: str, words: str) -> None:
    """What a server cannot do for us, before anything is forwarded to it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
         "-keyout", tmp_path / "k.pem", "-out", tmp_path / "c.pem"],
        check=True, capture_output=True, timeout=30)
    server = Server(tmp_path, more=(more or "").format(tmp_path),
                    jetstream=more is not None)
    try:
        server.launch()
        wait_for(server.listens, "nats-server", 30, server.log)
        daemon.write(archived(daemon, "one", free_port()),
                     **forward(server.url, **conf))
        done = daemon.run("--doctor", "-j", timeout_s=120)
        found = {f["measured"]: f["result"]
                 for f in json.loads(done.stdout)["findings"]
                 if f["check"] == "forward"}
        # Beside it, its version may be one that is warned of.
        rest = {what for what in found if "before 2.10.23" not in what}
        assert all(words in what and found[what] == result
                   for what in rest) and (rest or result == "ok"), found
    finally:
        server.end()


def test_cannot_be_made(daemon: Daemon, server: Server) -> None:
    """What is said is what the server has said."""
    daemon.start(archived(daemon, "one", free_port()),
                 **forward(server.url, replicas=3))
    wait_for(lambda: "stream mcrelay-one: cannot be asked or made: replicas > "
             "1 not supported in non-clustered mode (10074), tried again"
             in daemon.log(), "the reason", 30, daemon.log)


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
        with cluster.client() as client:
            for name in names:
                print(name, dict(kills), wait_forwarded(
                    daemon, client, name, len(datagrams)))
                check(daemon, client, name, datagrams, tmp_path)
        daemon.stop()


def files(daemon: Daemon, name: str = "one") -> list[str]:
    """Finished ones."""
    return sorted(p.name for p in (daemon.archive / name).glob("*.avro"))


def test_kept(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """What is not forwarded is beyond the limits until it is, whoever is
    killed meanwhile; and goes for `min_free' all the same."""
    port = free_port()
    conf = archived(
        daemon, "one", port, rotate={"size": "64KiB"}, block_size="8KiB",
        flush_interval="10ms", retain={"files": 2}, min_free="1MiB",
        keep_unforwarded=True)
    datagrams = numbered(4000, 200)
    with Sender("127.0.0.1", port) as sender:
        daemon.start(conf, **forward(server.url))
        sender.send(datagrams[:1000], 5000)
        daemon.wait_received("one", 1000)
        with Client(server.port) as client:
            wait_forwarded(daemon, client, "one", 1000)
        wait_for(lambda: len(files(daemon)) <= 2, "retention", 30,
                 lambda: files(daemon))
        server.end()
        sender.send(datagrams[1000:3000], 5000)
        daemon.wait_received("one", 3000)
        kill_forwarder(daemon)
        forwarder_pid(daemon)
        os.kill(daemon.worker_pid("one"), signal.SIGKILL)
        daemon.wait_running()
        daemon.ctl("upgrade")
        forwarder_pid(daemon)
        wait_for(lambda: "it is not forwarded yet" in daemon.log(),
                 "the limits to be looked at", 30, daemon.log)
        assert len(files(daemon)) >= 6
        # All of it anew: nobody has said what is forwarded.
        daemon.stop()
        daemon.start(conf, **forward(server.url))
        sender.send(datagrams[3000:], 5000)
        daemon.wait_received("one", 1000)
        many = len(files(daemon))
        assert many >= 8
        server.start()
        with Client(server.port) as client:
            wait_forwarded(daemon, client, "one", len(datagrams))
            check(daemon, client, "one", datagrams, tmp_path)
        wait_for(lambda: len(files(daemon)) <= 2, "retention", 30,
                 lambda: files(daemon))
        # The disk is full, so to say.
        server.end()
        sender.send(numbered(2000, 200, 4000), 5000)
        daemon.wait_received("one", 3000)
        assert len(files(daemon)) > 4
        conf["archive"]["min_free"] = "1024TiB"
        daemon.write(conf, **forward(server.url))
        daemon.ctl("reload")
        wait_for(lambda: len(files(daemon)) <= 1, "room", 30,
                 lambda: files(daemon))
        assert "min_free', though it is not forwarded" in daemon.log()
        daemon.stop()
