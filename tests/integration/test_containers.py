# SPDX-License-Identifier: ISC
"""As in a container: mcrelayd is its first process, its root can only be read,
it is nobody's with no capabilities, and no service manager keeps anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

import gen
from daemon import Daemon, Programs, channel, output
from net import free_port
from waiting import wait_for

NOBODY = 65534
RATE = 5000

# What can be written to is the volume, which has archive and run_dir.
SCRIPT = """
set -eu
volume=$1
shift
ip link set lo up
mount --bind "$volume" "$volume"
mount -o remount,bind,ro /
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \\
    --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@"
"""


class Contained(Daemon):
    """Its process is unshare, with which all of it ends."""

    def command(self, *options: str) -> list[str]:
        return ["unshare", "--mount", "--propagation", "private", "--pid",
                "--mount-proc", "--net", "--fork", "--kill-child", "sh", "-c",
                SCRIPT, "sh", str(self.directory), *super().command(*options)]

    def write_for_nobody(self, *channels: dict) -> None:
        self.write(*channels)
        text = json.loads(self.config_file.read_text())
        del text["user"]
        self.write_text(json.dumps(text))

    def first(self) -> int:
        """Who is 1 in there."""
        pid = self.process.pid if self.process else 0
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def children(self) -> list[int]:
        pid = self.first()
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]

    def worker(self) -> int:
        """As this test knows it; 0 while there is none."""
        return next((pid for pid in self.children()
                     if self.processes().get(pid) == "mcrelay-worker"), 0)

    def signal(self, number: int) -> None:
        os.kill(self.first(), number)

    @property
    def prefix(self) -> list[str]:
        """Of what runs in its network."""
        return ["nsenter", "-t", str(self.first()), "-n"]

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker exec' does it."""
        return subprocess.run(
            ["nsenter", "-t", str(self.first()), "-m", "-p", "-n", *command],
            text=True, capture_output=True, timeout=30,
            stdin=subprocess.DEVNULL)


@pytest.fixture
def contained(programs: Programs) -> Iterator[Contained]:
    if os.geteuid() != 0:
        pytest.skip("needs root to make namespaces")
    for name in "unshare", "nsenter", "setpriv":
        if not shutil.which(name):
            pytest.skip(f"needs {name}: install the Debian package "
                        "util-linux")
    with tempfile.TemporaryDirectory(prefix="mcrelay-contained-") as place:
        os.chown(place, NOBODY, NOBODY)
        os.chmod(place, 0o755)
        daemon = Contained(programs, Path(place))
        yield daemon
        daemon.kill()


def test_first_process(contained: Contained, programs: Programs) -> None:
    port, sink_port = free_port(), free_port()
    contained.write_for_nobody(channel(
        "one", port, relay=[output("127.0.0.1", sink_port)],
        archive=contained.archive_conf()))
    contained.start()
    assert contained.inside("touch", "/mcrelay-test").stderr.endswith(
        "Read-only file system\n")
    status = json.loads(contained.ctl("status", "-j").stdout)
    assert status["pid"] == 1
    assert Path(f"/proc/{contained.worker()}").stat().st_uid == NOBODY
    with gen.sink(programs, "127.0.0.1", "-I", "5s", port=sink_port,
                  namespace=contained) as sink, \
            gen.source(programs, "127.0.0.1", port, "-r", str(RATE), "-n",
                       str(2 * RATE), namespace=contained) as source:
        for count in 1, 2:
            before = contained.ledger("one")["received"]
            os.kill(wait_for(contained.worker, "a worker"), signal.SIGKILL)
            wait_for(lambda: contained.ledger("one")["received"] >
                     before + RATE // 2, "datagrams after the kill", 10,
                     contained.log)
            assert contained.status("one")["restarts"] == count
        sent = source.result()["sent"]
        contained.wait_received("one", sent)
        seen = sink.result()
    assert contained.ledger("one")["received"] == sent
    assert (seen["received"], seen["lost"], seen["doubled"]) == (sent, 0, 0)
    # As Containerfile asks for its health.
    well = contained.inside(
        str(programs.mcrelayctl), "-s", f"{contained.run_dir}/mcrelayd.sock",
        "check")
    assert well.returncode == 0, well.stdout
    # Whoever loses his parent is its child, and nobody else waits for him.
    contained.inside("sh", "-c", "exec setsid sh -c 'exit 3' &")
    wait_for(lambda: len(contained.children()) == 1, "no child but the worker",
             10, contained.children)
    first = contained.first()
    contained.signal(signal.SIGTERM)
    contained.wait_exit()
    assert not Path(f"/proc/{first}").exists()
    assert numbers(contained) == list(range(sent))


def numbers(daemon: Daemon) -> list[int]:
    return [gen.sequence(datagram) for datagram in daemon.payloads("one")]


def test_killed(contained: Contained, programs: Programs) -> None:
    """All of it dies at once, and what it left is there when it starts again
    by the same numbers: no more is missing than had not been stored."""
    port = free_port()
    contained.write_for_nobody(channel(
        "one", port, archive=contained.archive_conf()))
    contained.start()
    with gen.source(programs, "127.0.0.1", port, "-r", str(RATE), "-n",
                    str(20 * RATE), namespace=contained) as source:
        wait_for(lambda: contained.ledger("one")["archived"] > RATE,
                 "datagrams in the archive", 10, contained.log)
        archived = contained.ledger("one")["archived"]
        contained.signal(signal.SIGKILL)
        contained.process.wait(10)
        source.kill()
    wait_for(lambda: not contained.processes(), "no process left", 10,
             contained.processes)
    assert (contained.run_dir / "one.pid").exists()
    contained.process = None
    contained.start()
    contained.signal(signal.SIGTERM)
    contained.wait_exit()
    stored = numbers(contained)
    assert len(stored) >= archived
    assert stored == list(range(len(stored)))
