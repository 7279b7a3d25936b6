# SPDX-License-Identifier: ISC
"""A rig of many slow instruments in one worker, which is killed at random.

MCRELAY_TEST_LONG=1: 100 channels of 200 datagrams a second, ten minutes
(MCRELAY_TEST_SECONDS=N for fewer).
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest

from daemon import Daemon, Programs, channel, output
from net import free_port, receiving_socket
from test_campaign import ask, archived_numbers
from waiting import wait_for

LONG = "MCRELAY_TEST_LONG" in os.environ
CHANNELS = 100 if LONG else 40
RATE = 20000 if LONG else 4000      # all together
SECONDS = int(os.environ.get("MCRELAY_TEST_SECONDS", "600")) if LONG else 4
SIZE = 200
# As mcrelay-gen's, with the channel where it has nothing.
HEAD = struct.Struct(">4sIQ")
assert HEAD.size == 16

# Sends to each port in turn until it is told to end; says how many to each.
SENDER = f"""
import signal, socket, struct, sys, time
ports = [int(port) for port in sys.argv[1:]]
ends = []
signal.signal(signal.SIGTERM, lambda number, frame: ends.append(number))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
head, filling = struct.Struct("{HEAD.format}"), bytes({SIZE - HEAD.size})
start, number = time.monotonic(), 0
while not ends:
    early = start + number * len(ports) / {RATE} - time.monotonic()
    if early > 0.001:
        time.sleep(early)
    for i, port in enumerate(ports):
        s.sendto(head.pack(b"MCRG", i, number) + filling, ("127.0.0.1", port))
    number += 1
print(number)
"""


class Sink:
    """What the outputs of all channels have sent."""

    def __init__(self, repeats: int) -> None:
        self.socket = receiving_socket("127.0.0.1")
        self.socket.settimeout(0.1)
        self.port: int = self.socket.getsockname()[1]
        self.next = [0] * CHANNELS
        self.repeats = repeats
        self.wrong: list[tuple[int, int, int]] = []
        self.over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over:
            try:
                magic, i, number = HEAD.unpack_from(self.socket.recv(2048))
            except TimeoutError:
                continue
            if number == self.next[i] - 1 and self.repeats > 0:
                self.repeats -= 1       # where the kernel does not tell
                continue
            if number != self.next[i] and len(self.wrong) < 10:
                self.wrong.append((i, self.next[i], number))
            self.next[i] = number + 1


@contextmanager
def load(ports: list[int]) -> Iterator[Callable[[], int]]:
    """Ends it, and says how many each channel was sent."""
    with subprocess.Popen([sys.executable, "-c", SENDER, *map(str, ports)],
                          stdout=subprocess.PIPE, text=True) as sender:
        def end() -> int:
            sender.terminate()
            return int(sender.communicate(timeout=20)[0])
        try:
            yield end
        finally:
            sender.kill()


def kill_at_random(daemon: Daemon, seconds: float, away_ms: list[float]
                   ) -> None:
    """One that is up for a second is followed at once."""
    chance = random.Random(2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1 + chance.random() / 2)
        old = ask(daemon)["c0"]["pid"]
        start = time.monotonic()
        os.kill(old, signal.SIGKILL)

        def there() -> bool:
            now = ask(daemon).values()
            return all(c["pid"] not in (0, old) and c["state"] == "running"
                       for c in now)
        wait_for(there, "all channels in another worker", 30, daemon.log)
        away_ms.append((time.monotonic() - start) * 1000)


@pytest.mark.parametrize("uring", [False, pytest.param(
    True, marks=pytest.mark.linux("no io_uring"))],
    ids=["sockets", "io_uring"])
def test_rig(daemon: Daemon, programs: Programs, uring: bool,
             record_property: Callable[[str, object], None]) -> None:
    """Each datagram once in the relay and once in an archive."""
    ports = [free_port() for _ in range(CHANNELS)]
    names = [f"c{i}" for i in range(CHANNELS)]
    sink = Sink(programs.repeats(10 ** 6))
    more: dict[str, Any] = {"io_uring": {"enabled": uring}}
    daemon.start(*(channel(
        name, port, worker="all", ring_size="1MiB",
        listen_receive_buffer="4MiB",
        relay=[output("127.0.0.1", sink.port)],
        archive=daemon.archive_conf(), **more)
        for name, port in zip(names, ports)), workers=[{"name": "all"}])
    away_ms: list[float] = []
    with load(ports) as end_load:
        kill_at_random(daemon, SECONDS, away_ms)
        each = end_load()
    ledgers = [daemon.wait_received(name, each, 60) for name in names]
    wait_for(lambda: sink.next == [each] * CHANNELS or sink.wrong,
             "all relayed", 20, lambda: f"{sink.next} {sink.wrong}")
    sink.over = True
    sink.thread.join()
    sink.socket.close()
    daemon.stop()
    archives = [archived_numbers(daemon, name) for name in names]
    report = {
        "io_uring": uring, "channels": CHANNELS, "kills": len(away_ms),
        "sent": each * CHANNELS, "load": os.getloadavg()[0],
        "received": sum(ledger["received"] for ledger in ledgers),
        "archived": sum(count for count, _, _ in archives),
        "relay wrong": sink.wrong, "shed": sum(
            ledger["archive_shed"] for ledger in ledgers),
        "archive wrong": sum(wrong for _, _, wrong in archives),
        "away ms": [round(sorted(away_ms)[len(away_ms) // 2]),
                    round(max(away_ms))]}
    record_property("report", json.dumps(report))
    print(json.dumps(report))
    assert not sink.wrong and report["archive wrong"] == 0, report
    assert report["received"] == report["archived"] == report["sent"], report
