# SPDX-License-Identifier: ISC
"""The example of a fleet, as its script starts and stops it."""

from __future__ import annotations

import os
import shutil
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

import nats
from daemon import Programs
from net import Sender, numbered
from waiting import wait_for


def free_ports(kind: socket.SocketKind, count: int) -> int:
    """The first of so many that nobody has."""
    def there() -> int:
        first = nats.free_tcp_port()
        try:
            for port in range(first, first + count):
                with socket.socket(socket.AF_INET, kind) as one:
                    one.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return 0
        return first
    return wait_for(there, "ports")


def ours(place: Path) -> list[str]:
    """Processes that it has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{place}/" in command:
            found.append(command)
    return found


@pytest.mark.usefixtures("have_forwarder")
def test_fleet(programs: Programs, source: Path, tmp_path: Path) -> None:
    place = tmp_path / "fleet"
    port = free_ports(socket.SOCK_STREAM, 6)
    udp = free_ports(socket.SOCK_DGRAM, 4)
    environment = os.environ | {
        "FLEET_PORT": str(port), "FLEET_UDP": str(udp),
        "MCRELAY_BUILDDIR": str(programs.mcrelayd.parent)}

    def fleet(word: str, status: int = 0) -> str:
        done = subprocess.run(
            [source / "etc/example/fleet/fleet", word, place], text=True,
            capture_output=True, timeout=100, env=environment,
            stdin=subprocess.DEVNULL)
        assert done.returncode == status, done
        return done.stdout + done.stderr
    assert "no directory" in fleet("stop", 1)
    try:
        assert "It runs." in fleet("start")
        assert "is not empty" in fleet("start", 1)
        assert fleet("status").count(" runs, process") == 5
        datagrams = numbered(2000)
        with Sender("127.0.0.1", udp) as sender:
            sender.send(datagrams[:1000], 5000)
            os.kill(int((place / "node2.pid").read_text()), signal.SIGKILL)
            sender.send(datagrams[1000:], 5000)

        def has(rig: int, what: list[bytes]) -> bool:
            # What a server says that has just lost its leader is no answer.
            done = subprocess.run(
                [programs.cat, "-o", "raw",
                 f"nats://127.0.0.1:{port}/mcrelay-rig{rig}-accel"],
                capture_output=True, timeout=60)
            return done.returncode == 0 and done.stdout == b"".join(what)
        wait_for(lambda: has(1, datagrams), "all of it", 60,
                 lambda: fleet("status"))
        wait_for(lambda: has(2, []), "nothing of the other", 60,
                 lambda: fleet("status"))
        assert "node2 does not run" in fleet("status")
        # With the others they take turns.
        if os.environ.get("MCRELAY_TEST_LONG"):
            assert re.search(
                r"^rig([12]) relays, and rig(?!\1)[12] stands by\nof 5000 "
                r"datagrams, 1000 a second, 0 were not relayed, and 0 twice$",
                fleet("handover"), re.M)
        told = re.search(r"1000 a second, (\d+) were not relayed, and 0 "
                         r"twice\n", fleet("takeover"))
        assert told is not None and 1000 < int(told[1]) < 5000
        assert re.search("^imu: rig[12] relays it$", fleet("status"), re.M)
    finally:
        fleet("stop")
    assert ours(place) == []
    assert "rig1 does not run" in fleet("status")


def test_text(source: Path) -> None:
    """It is a script that every shell runs, as README says."""
    script = source / "etc/example/fleet/fleet"
    if shutil.which("shellcheck") is not None:
        subprocess.run(["shellcheck", script], check=True)
    assert "etc/example/fleet/fleet start" in (
        source / "README.md").read_text()
