# SPDX-License-Identifier: ISC
"""While nothing comes no process of the daemon uses a processor, whatever way
its channels go."""

from __future__ import annotations

import time
from typing import Any

import pytest

from daemon import Daemon, channel, output, processor_s
from net import Receiver, Sender, free_port, numbered

SECONDS, SHARE = 2.0, 0.1
URING = {"io_uring": {"enabled": True}}

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "own": ({}, {}),
    "uring": (URING, {}),
    "shared": ({"worker": "w"}, {"threads": "shared"}),
    "shared-uring": ({"worker": "w"} | URING, {"threads": "shared"}),
    "channel": ({"worker": "w"}, {"threads": "channel"}),
}


def pids(daemon: Daemon) -> dict[int, str]:
    assert daemon.process is not None
    status = daemon.whole_status()
    return {daemon.process.pid: "mcrelayd"} | {
        one["pid"]: one["name"] for one in status["channels"]}


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
        before = {pid: processor_s(pid) for pid in pids(daemon)}
        time.sleep(SECONDS)
        used = {name: processor_s(pid) - before[pid]
                for pid, name in pids(daemon).items()}
        assert max(used.values()) <= SECONDS * SHARE, used
