# SPDX-License-Identifier: ISC
"""What the supervisor may after its start, as the kernel tells it, and that it
can go on with that."""

from __future__ import annotations

import os
import resource
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from daemon import Daemon, channel
from net import Sender, free_port, group_v4, numbered

NUMBERS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5,
           "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8,
           "CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12,
           "CAP_NET_RAW": 13, "CAP_IPC_LOCK": 14}
ALWAYS = {"CAP_SETPCAP"}
USERS = {"CAP_SETGID", "CAP_SETUID", "CAP_KILL"}
SMALL = {"listen_receive_buffer": "16KiB"}


@pytest.fixture(autouse=True)
def root_and_room(daemon: Daemon) -> None:
    """The programs and directories are to be reached by other users."""
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities to give up")
    for path in (daemon.directory, *daemon.directory.parents):
        if path.stat().st_uid == 0 and path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o055)


def sets(pid: int | str) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key[3:]: int(value, 16) for key, _, value in
            (line.partition(":") for line in lines) if key.startswith("Cap")}


def expect(daemon: Daemon, names: set[str]) -> None:
    """Those, of what there is here at all."""
    assert daemon.process is not None
    # Where root may not raise the limit.
    if resource.prlimit(daemon.process.pid, resource.RLIMIT_MEMLOCK)[0] != \
            resource.RLIM_INFINITY:
        names = names | {"CAP_IPC_LOCK"}
    bounds = sets("self")["Bnd"]
    bits = sum(1 << NUMBERS[name] for name in names) & bounds
    assert sets(daemon.process.pid) == {
        "Inh": 0, "Prm": bits, "Eff": bits, "Bnd": bits, "Amb": 0}
    status = daemon.whole_status()
    assert set(status["capabilities"]) == {
        name for name in names if bounds >> NUMBERS[name] & 1}
    for each in status["channels"] + status["decimators"]:
        if each["pid"]:
            assert set(sets(each["pid"]).values()) == {0}


def low_port() -> int:
    for port in range(1023, 512, -1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            try:
                tried.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    pytest.skip("there is no port below 1024 to be had")


def archived(daemon: Daemon, name: str, port: int, **more: Any
             ) -> dict[str, Any]:
    return channel(name, port, archive=daemon.archive_conf(),
                   **SMALL, **more)


def has_loopback_group() -> dict[str, Any]:
    return {"address": group_v4(), "listen_interface": "lo"}


CASES: list[tuple[str, Any, set[str]]] = [
    ("nothing", "root", ALWAYS),
    ("users", {"base": 64000}, ALWAYS | USERS | {"CAP_CHOWN"}),
    ("all", "nobody", set(NUMBERS) - {"CAP_IPC_LOCK"}),
]


@pytest.mark.parametrize("case, user, names", CASES)
def test_kept(daemon: Daemon, case: str, user: Any, names: set[str]) -> None:
    """And with it go: a successor, a reload with another channel and its
    directory, an upgrade, a rotation, an orderly end."""
    port = free_port()
    conf = [channel("one", port, **SMALL)]
    if case != "nothing":
        conf.append(archived(daemon, "two", free_port()))
    if case == "all":
        conf += [channel("low", low_port()),
                 channel("group", free_port(), **has_loopback_group())]
    daemon.start(*conf, user=user)
    expect(daemon, names)
    conf.append(archived(daemon, "more", free_port())
                if case != "nothing" else
                channel("more", free_port(), **SMALL))
    daemon.write(*conf, user=user)
    daemon.ctl("reload")
    daemon.wait_running()
    expect(daemon, names)
    pid = daemon.worker_pid("one")
    os.kill(pid, signal.SIGKILL)
    daemon.wait_new_worker("one", pid)
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    expect(daemon, names)
    pid = daemon.worker_pid("more")
    daemon.ctl("restart", "more")
    daemon.wait_new_worker("more", pid)
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
    daemon.ctl("rotate")
    daemon.stop()


def refused(daemon: Daemon, word: str, name: str) -> None:
    done = daemon.ctl(word, check=False)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert name in told and "restart it" in told, told


def test_given_up(daemon: Daemon) -> None:
    """A configuration that needs it is refused, by a reload and an upgrade,
    and nothing else changes."""
    port = low_port()
    if not sets("self")["Bnd"] >> NUMBERS["CAP_NET_BIND_SERVICE"] & 1:
        pytest.skip("there is no CAP_NET_BIND_SERVICE here")
    one = channel("one", free_port(), **SMALL)
    daemon.start(one)
    pid = daemon.worker_pid("one")
    daemon.write(one, channel("low", port, **SMALL))
    for word in ("reload", "upgrade"):
        refused(daemon, word, "CAP_NET_BIND_SERVICE")
    daemon.write(one)
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    daemon.write(one, channel("low", port, **SMALL))
    refused(daemon, "reload", "CAP_NET_BIND_SERVICE")
    expect(daemon, ALWAYS)
    assert pid != daemon.worker_pid("one")
    daemon.write(one)
    daemon.stop()
    daemon.start(one, channel("low", port, **SMALL))
    expect(daemon, ALWAYS | {"CAP_NET_BIND_SERVICE"})
    daemon.stop()


def test_missed(daemon: Daemon) -> None:
    """What can be done without is, with a warning."""
    one = channel("one", free_port(), **SMALL)
    daemon.start(one)
    daemon.write(one, channel("two", free_port(), **has_loopback_group()))
    daemon.ctl("reload")
    daemon.wait_running()
    assert "could use CAP_NET_RAW" in daemon.log()
    expect(daemon, ALWAYS)
    daemon.stop()


def test_files_of_others(daemon: Daemon) -> None:
    """Who reads another user's configuration has to be able to again."""
    daemon.write(channel("one", free_port(), **SMALL))
    daemon.config_file.chmod(0o600)
    os.chown(daemon.config_file, 65533, 65533)
    daemon.start()
    expect(daemon, ALWAYS | {"CAP_DAC_OVERRIDE"})
    daemon.ctl("reload")
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    daemon.stop()
