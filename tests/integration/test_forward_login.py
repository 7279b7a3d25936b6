# SPDX-License-Identifier: ISC
"""A forwarder whom servers know by `credentials', in operator mode."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator

import pytest

from daemon import Daemon
from forwarding import archived, forward, state, wait_forwarded
from nats import Server
from net import Sender, free_port, numbered
from nkeys import Operator
from waiting import wait_for

pytestmark = pytest.mark.usefixtures("have_forwarder")


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def server(tmp_path: Path, operator: Operator) -> Iterator[Server]:
    one = Server(tmp_path, more=operator.conf,
                 login=operator.user("test").login)
    one.start()
    yield one
    one.end()


def test_logs_in(daemon: Daemon, server: Server, operator: Operator,
                 tmp_path: Path) -> None:
    """By a file that is replaced while it runs: another user is taken when
    the connection is made anew."""
    port, file = free_port(), tmp_path / "rig.creds"
    operator.user("one").write(file)
    with Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port),
                     **forward(server.url, credentials=str(file)))
        sender.send(numbered(500))
        with server.client() as client:
            wait_forwarded(daemon, client, "one", 500)
        operator.user("two").write(file)
        server.end()
        server.start()
        sender.send(numbered(500, first=500))
        with server.client() as client:
            wait_forwarded(daemon, client, "one", 1000)
        assert "is another file" in daemon.log()
        daemon.stop()


def test_refused(daemon: Daemon, server: Server, operator: Operator,
                 tmp_path: Path) -> None:
    """One whom nobody knows, or whose time has passed, is told so, and the
    next file is tried; no channel waits for it."""
    port, file = free_port(), tmp_path / "rig.creds"
    Operator().user("stranger").write(file)
    with Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port),
                     **forward(server.url, credentials=str(file)))
        daemon.wait_log("the servers refuse us", 30)
        sender.send(numbered(500))
        daemon.wait_received("one", 500)
        assert daemon.status("one")["state"] == "running"
        operator.user("late", exp=int(time.time()) - 10).write(file)
        lines = daemon.log().count("the servers refuse us")
        wait_for(lambda: daemon.log().count("the servers refuse us") > lines,
                 "another refusal", 60, daemon.log)
        operator.user("one").write(file)
        with server.client() as client:
            wait_forwarded(daemon, client, "one", 500, 120)
        daemon.stop()


def test_unreadable(daemon: Daemon, server: Server, operator: Operator
                    ) -> None:
    """The forwarder reads the file as its own user: who keeps it for root
    learns why nothing is forwarded."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    port = free_port()
    with Sender("127.0.0.1", port) as sender, \
            tempfile.TemporaryDirectory() as place:
        # Which everybody reaches.
        Path(place).chmod(0o755)
        file = Path(place) / "rig.creds"
        operator.user("one").write(file, 0o600)
        daemon.start(archived(daemon, "one", port), user="nobody",
                     **forward(server.url, credentials=str(file)))
        daemon.wait_log(str(file), 30)
        sender.send(numbered(500))
        file.chmod(0o644)
        with server.client() as client:
            wait_forwarded(daemon, client, "one", 500, 120)
        daemon.stop()


def make_certificate(place: Path) -> None:
    """Written to where it lies: the files stay the same."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", place / "k.pem", "-out", place / "new.pem"],
        check=True, capture_output=True, timeout=30)
    (place / "c.pem").write_bytes((place / "new.pem").read_bytes())


def test_written_to(daemon: Daemon, tmp_path: Path) -> None:
    """Who renews a certificate need not put another file in the place of the
    old one: libnats, which has read that at the start, would never connect
    again."""
    make_certificate(tmp_path)
    port, server = free_port(), Server(tmp_path, more=(
        f"tls {{ cert_file: {tmp_path}/c.pem, key_file: {tmp_path}/k.pem }}"))

    def wait_stored(count: int) -> None:
        def all_is_there() -> bool:
            now = state(daemon, "one")
            return now["state"] == "forwarding" and \
                now["behind_bytes"] == 0 and now["records"] == count
        wait_for(all_is_there, f"{count} to be forwarded", 60,
                 lambda: (daemon.status("one"), daemon.log()[-3000:]))

    with Sender("127.0.0.1", port) as sender:
        server.launch()
        try:
            daemon.start(archived(daemon, "one", port), **forward(
                server.url, tls={"ca": str(tmp_path / "c.pem")}))
            sender.send(numbered(500))
            daemon.wait_received("one", 500)
            wait_stored(500)
            server.end()
            inode = (tmp_path / "c.pem").stat().st_ino
            make_certificate(tmp_path)
            assert (tmp_path / "c.pem").stat().st_ino == inode
            server.launch()
            sender.send(numbered(500, first=500))
            daemon.wait_received("one", 1000)
            wait_stored(1000)
            daemon.stop()
        finally:
            server.end()
