# SPDX-License-Identifier: ISC
"""mcrelay-cat and mcrelay-replay, of what mcrelay-forwarder has sent."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import avro_files
import nats
from cat import cat, lines
from daemon import Daemon, Programs
from forwarding import archived, forward, wait_forwarded
from nats import Client, Cluster, Server
from net import Receiver, Sender, free_port, numbered
from waiting import wait_for

pytestmark = pytest.mark.usefixtures("have_forwarder")


def record(daemon: Daemon, client: Client, datagrams: list[bytes],
           more: dict[str, Any], *servers: str, **archive: Any) -> Path:
    """These in an archive, and in a stream; returns the archive."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port, **archive) | more,
                     **forward(*servers))
        sender.send(datagrams, 20000)
        daemon.wait_received("one", len(datagrams))
        wait_forwarded(daemon, client, "one", len(datagrams))
        daemon.stop()
    return daemon.archive / "one"


def neutral(container: bytes) -> bytes:
    """A container file with another marker."""
    return container.replace(container[-16:], bytes(16))


CASES = {
    "raw": ({}, {}, ""),
    "files": ({}, {"rotate": {"size": "128KiB"}, "block_size": "16KiB"}, ""),
    "codec": ({}, {"codec": "deflate", "block_size": "64KiB"}, ""),
    "split": ({}, {"codec": "deflate", "block_size": "64KiB"},
              "max_payload: 8192"),
    "datums": ({"format": "avro"}, {"rotate": {"size": "64KiB"},
                                    "block_size": "4KiB"}, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_made_anew(daemon: Daemon, programs: Programs, tmp_path: Path,
                   case: str) -> None:
    """Of the stream and of the files comes one archive, to the byte."""
    payload, archive, more = CASES[case]
    datagrams = numbered(6000, 150)
    if payload:
        (tmp_path / "n.avsc").write_text(json.dumps({
            "type": "record", "name": "N", "fields": [
                {"name": "n", "type": "long"},
                {"name": "text", "type": "bytes"}]}))
        payload = {"payload": payload | {"schema": str(tmp_path / "n.avsc")}}
        datagrams = [avro_files.long(n) + avro_files.long(60) + bytes(60)
                     for n in range(20000)]
    server = Server(tmp_path, more=more)
    server.start()
    try:
        with Client(server.port) as client:
            directory = record(daemon, client, datagrams, payload, server.url,
                               **archive)
        address = f"{server.url}/mcrelay-one"
        again = cat(programs, "-o", "avro", address)
        original = cat(programs, "-o", "avro", directory)
        assert neutral(again) == neutral(original)
        assert cat(programs, "-o", "raw", address) == b"".join(datagrams)
        assert cat(programs, address) == cat(programs, directory)
        made = tmp_path / "made.avro"
        made.write_bytes(again)
        subprocess.run([programs.verify, made], check=True, timeout=60)
        # By the channel's name; and the consumers are gone, or will be.
        assert cat(programs, "-n", "7", f"{server.url}/one") == \
            cat(programs, "-n", "7", directory)
    finally:
        server.end()


def test_spans(daemon: Daemon, programs: Programs, server: Server) -> None:
    """The same as of the files, and from the middle of a stream on."""
    with Client(server.port) as client:
        directory = record(daemon, client, numbered(8000), {}, server.url,
                           block_size="4KiB", flush_interval="20ms")
        assert client.last("mcrelay-one") > 50
    address = f"{server.url}/mcrelay-one"
    all_of_them = lines(programs, "-t", directory)
    first, middle, later, last = (all_of_them[i] for i in (0, 4000, 6000, -1))
    moments = [record["received"] for record in (first, middle, later, last)]
    spans = [["-s", m] for m in moments] + [["-e", m] for m in moments[1:]]
    spans += [["-s", moments[1], "-e", moments[2]],
              ["-s", "2100-01-01"], ["-e", "1971-01-01"],
              ["-s", f"seq:{middle['sequence']}"],
              ["-e", f"seq:{middle['sequence']}"],
              ["-s", moments[1], "-s", f"seq:{later['sequence'] - 5}",
               "-e", f"seq:{later['sequence']}"]]
    for span in spans:
        got = cat(programs, *span, address)
        assert got == cat(programs, *span, directory), span
    assert len(lines(programs, *spans[-1], address)) == 5
    assert [r["sequence"] for r in lines(programs, *spans[-3], address)] == \
        list(range(middle["sequence"], last["sequence"] + 1))


def test_replay(daemon: Daemon, programs: Programs, server: Server) -> None:
    datagrams = numbered(3000, 300)
    with Client(server.port) as client:
        record(daemon, client, datagrams, {}, server.url,
               block_size="8KiB")
    with Receiver() as receiver:
        def run(*words: str) -> dict[str, Any]:
            done = subprocess.run(
                [programs.replay, "-j", *words,
                 f"{server.url}/mcrelay-one", f"127.0.0.1:{receiver.port}"],
                check=True, timeout=60, capture_output=True)
            return dict(json.loads(done.stdout))
        assert run("-x", "0")["sent"] == len(datagrams)
        assert receiver.wait(len(datagrams)) == datagrams
        first = lines(programs, "-n", "1", f"{server.url}/one")[0]["sequence"]
        assert run("-s", f"seq:{first + 100}", "-e",
                   f"seq:{first + 150}")["sent"] == 50


def test_follow(daemon: Daemon, programs: Programs, server: Server) -> None:
    """What comes while it is read, also by another file of another schema."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender, Client(server.port) as client:
        daemon.start(archived(daemon, "one", port, flush_interval="20ms"),
                     **forward(server.url))
        sender.send(numbered(10))
        daemon.wait_received("one", 10)
        wait_forwarded(daemon, client, "one", 10)
        with subprocess.Popen(
                [programs.cat, "-f", "-n", "30", "-o", "raw",
                 f"{server.url}/mcrelay-one"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                got = process.stdout.read(10 * 100)
                assert got == b"".join(sender.sent)
                sender.send(numbered(10, first=10))
                got += process.stdout.read(10 * 100)
                daemon.ctl("rotate")
                sender.send(numbered(10, first=20))
                got += process.stdout.read()
                assert got == b"".join(sender.sent)
                assert process.wait(30) == 0
            finally:
                process.kill()
        daemon.stop()


def fails(programs: Programs, address: str, *wanted: str,
          **environment: str) -> None:
    """Both programs say it in one line, soon, and fail."""
    for words in ([programs.cat, address],
                  [programs.replay, "-q", address, "127.0.0.1:9"]):
        done = subprocess.run(
            [str(w) for w in words], timeout=15, capture_output=True,
            text=True, env=os.environ | environment)
        assert done.returncode == 2, done
        said = done.stderr.splitlines()
        assert len(said) == 1 and not done.stdout, done
        assert any(w in said[0] for w in wanted), said
        assert "secret" not in said[0], said


def test_not_there(programs: Programs, server: Server, tmp_path: Path
                   ) -> None:
    fails(programs, f"{server.url}/none", "no stream none, and no mcrelay-")
    for bad in ("nats://", "nats://127.0.0.1", f"{server.url}/",
                f"{server.url}/a.b", "nats:///"):
        fails(programs, bad, "nats://SERVER/STREAM", "nvalid")
    fails(programs, f"nats://u:secret@127.0.0.1:{nats.free_tcp_port()}/one",
          "one: No server available")
    plain = Server(tmp_path, "plain", jetstream=False)
    plain.launch()
    try:
        wait_for(plain.listens, "a server", 30, plain.log)
        fails(programs, f"{plain.url}/one", "has no JetStream")
    finally:
        plain.end()


def test_silent(programs: Programs) -> None:
    """One that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        fails(programs, f"nats://127.0.0.1:{port}/one", "Timeout", "No server")


def test_foreign(programs: Programs, server: Server) -> None:
    with Client(server.port) as client:
        client.api("STREAM.CREATE.other", name="other", subjects=["other"])
        assert b"seq" in client.request("other", b"Obj no")
        assert b"seq" in client.request("other", b"")
    said: list[str] = []
    assert cat(programs, f"{server.url}/other", status=1, errors=said) == b""
    assert len(said) == 2 and all("/other: message" in s for s in said), said
    with Client(server.port) as client:
        client.api("STREAM.CREATE.empty", name="empty", subjects=["empty"])
    assert cat(programs, f"{server.url}/empty") == b""
    assert cat(programs, "-o", "avro", f"{server.url}/empty") == b""


def test_identity(daemon: Daemon, programs: Programs, tmp_path: Path) -> None:
    """A name, and TLS by a certificate that nobody else knows."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key),
         "-out", str(cert), "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True)
    server = Server(tmp_path, more=(
        'authorization { user: rig, password: "secret" }\n'
        f'tls {{ cert_file: "{cert}", key_file: "{key}" }}'))
    server.launch()
    try:
        wait_for(server.listens, "a server", 30, server.log)
        tls = f"tls://127.0.0.1:{server.port}/one"
        known = {"NATS_CA": str(cert)}
        fails(programs, f"{server.url}/one", "SSL", "TLS", "ecure")
        fails(programs, tls, "SSL")
        fails(programs, tls, "uthorization", **known)
        fails(programs, tls, "uthorization", NATS_USER="rig",
              NATS_PASSWORD="x", **known)
        fails(programs, tls, "no stream one", NATS_USER="rig",
              NATS_PASSWORD="secret", **known)
        fails(programs, f"tls://rig:secret@127.0.0.1:{server.port}/one",
              "no stream one", **known)
        fails(programs, tls, "NATS_CREDS", NATS_CREDS=str(tmp_path / "none"))
        fails(programs, tls, "NATS_CA", NATS_CA=str(tmp_path / "none"))
    finally:
        server.end()


def in_the_middle(programs: Programs, address: str) -> subprocess.Popen[bytes]:
    """mcrelay-cat that waits for us to read on."""
    process = subprocess.Popen([programs.cat, "-o", "raw", address],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    select.select([process.stdout], [], [], 30)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_dies(daemon: Daemon, programs: Programs, server: Server,
              number: int) -> None:
    """What has come is shown, and that it was not all."""
    datagrams = numbered(20000, 2000)
    with Client(server.port) as client:
        record(daemon, client, datagrams, {}, server.url,
               block_size="128KiB")
    process = in_the_middle(programs, f"{server.url}/mcrelay-one")
    try:
        assert server.process is not None
        server.process.send_signal(number)
        output, said = process.communicate(timeout=40)
        assert process.returncode == 2
        assert b"no server answers" in said or b"nothing more" in said, said
        assert len(said.splitlines()) == 1
        assert 0 < len(output) < len(datagrams) * 2000
        assert b"".join(datagrams).startswith(output)
    finally:
        process.kill()
        if number == signal.SIGSTOP:
            server.process.send_signal(signal.SIGCONT)


def test_one_of_three_dies(daemon: Daemon, programs: Programs, tmp_path: Path
                           ) -> None:
    """Another one goes on."""
    three = Cluster(tmp_path)
    three.start()
    process = None
    datagrams = numbered(20000, 2000)
    try:
        with three.client() as client:
            client.api("STREAM.CREATE.mcrelay-one", name="mcrelay-one",
                       subjects=["mcrelay.rig.one"], num_replicas=3)
            record(daemon, client, datagrams, {}, *three.urls,
                   block_size="128KiB")
        three.wait_current("mcrelay-one")
        process = in_the_middle(
            programs, f"{three.servers[0].url}/mcrelay-one")
        three.servers[0].end()
        output, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")
        assert output == b"".join(datagrams)
    finally:
        if process is not None:
            process.kill()
        three.end()
