# SPDX-License-Identifier: ISC
"""While nothing comes no process of the daemon uses a processor, whatever way
its channels go."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator

import pytest

import accel
import nats
from daemon import Daemon, channel, output, processor_s
from net import Receiver, Sender, free_port, numbered
from test_forward_live import conf as conf_live
from waiting import wait_for

SECONDS, SHARE = 2.0, 0.1
URING = {"io_uring": {"enabled": True}}

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "own": ({}, {}),
    "uring": (URING, {}),
    "shared": ({"worker": "w"}, {"threads": "shared"}),
    "shared-uring": ({"worker": "w"} | URING, {"threads": "shared"}),
    "channel": ({"worker": "w"}, {"threads": "channel"}),
}


def pids(node: Any, name: str = "mcrelayd") -> Iterator[tuple[int, str]]:
    """All that are in a status, and what they are there."""
    if isinstance(node, dict):
        if node.get("pid"):
            yield node["pid"], name
        for key, value in node.items():
            yield from pids(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from pids(value, name)


def check_idle(daemon: Daemon) -> int:
    """How many processes there are."""
    found = dict(pids(daemon.whole_status()))
    before = {pid: processor_s(pid) for pid in found}
    time.sleep(SECONDS)
    used = {f"{name} {pid}": processor_s(pid) - before[pid]
            for pid, name in found.items()}
    assert max(used.values()) <= SECONDS * SHARE, used
    return len(found)


@pytest.mark.parametrize("write", ["buffered", "direct", "mmap"])
@pytest.mark.parametrize("way", WAYS)
def test_idle(daemon: Daemon, way: str, write: str) -> None:
    keys, worker = WAYS[way]
    ports = {name: free_port() for name in ("one", "two")}
    more = {"workers": [{"name": "w"} | worker]} if worker else {}
    with Receiver() as receiver:
        daemon.start(*(channel(
            name, port, relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf(write=write), **keys)
            for name, port in ports.items()), **more)
        for name, port in ports.items():
            with Sender("127.0.0.1", port) as sender:
                sender.send(numbered(100))
            daemon.wait_received(name, 100)
        assert check_idle(daemon) == (2 if worker else 3)


def test_idle_others(daemon: Daemon, source: Path, tmp_path: Path) -> None:
    """Decimators, and what this build has of a web server, forwarders and who
    asks for leases."""
    libexec = daemon.programs.libexec
    port, expected = free_port(), {"mcrelayd", "channels", "decimators"}
    keys: dict[str, Any] = {}
    top: dict[str, Any] = {}
    with ExitStack() as stack:
        if (libexec / "mcrelay-web").exists():
            expected |= {"web"}
            top |= {"web": {"address": "127.0.0.1", "port": free_port()}}
        if nats.PROGRAM is not None and (
                libexec / "mcrelay-forwarder").exists():
            expected |= {"forwarders", "fleet"}
            server = nats.Server(tmp_path)
            stack.callback(server.end)
            server.start()
            keys |= {"forward": True, "hosts": ["rig", "other"]}
            top |= {"host": "rig", "forward": {
                "servers": [server.url], "live": True}, "fleet": {}}
        receivers = [stack.enter_context(Receiver()) for _ in range(2)]
        daemon.start(conf_live(source, port, *receivers,
                               archive=daemon.archive_conf(), **keys), **top)
        with Sender("127.0.0.1", port) as sender:
            sender.send(accel.datagrams(100), 1000)
        daemon.wait_received("accel", 100)
        wait_for(lambda: {name for _, name in pids(
            daemon.whole_status())} == expected, f"{expected}", 30, daemon.log)
        if "forwarders" in expected:
            wait_for(lambda: daemon.status("accel")["forward"].get(
                "behind_bytes") == 0, "all to be forwarded", 30, daemon.log)
        check_idle(daemon)
