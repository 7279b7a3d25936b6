# SPDX-License-Identifier: ISC
"""Many channels, and a long time: what a daemon costs that does little."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from contenders import GROUP, Mcrelay, Options, PORT
from machine import (Machine, command_name, note, stop, switches, wait_for)
from measure import Case, Cell

CHANNELS = (1, 2, 10, 100, 1000)
FIRST_PORT = 20000
RING = 256 << 10
IDLE_S = 5.0
TOTAL_RATE = 20_000         # datagrams a second, over all channels
BATCH = 64

PRIVATE = ("Private_Clean", "Private_Dirty")

SOAK_RATE = 20_000
SOAK_SIZE = 1400
SOAK_SAMPLE_S = 60.0


class Many(Mcrelay):
    """A daemon of many small channels."""

    count = 1
    shares = False

    def configuration(self) -> dict[str, Any]:
        whole = super().configuration()
        archive = {"directory": str(self.directory / "archive")}
        channels = []
        for i in range(self.count):
            channel: dict[str, Any] = {
                "name": f"c{i}", "ring_size": "256KiB",
                "listen": {"address": "127.0.0.1", "port": FIRST_PORT + i,
                           "receive_buffer": "256KiB"},
                "payload": {"format": "raw"},
                "relay": [{"address": GROUP, "port": 30000 + i,
                           "interface": "lo"}],
                "archive": archive}
            self.options.apply(channel)
            channels.append(channel)
        # For `worker' of the user's settings.
        workers = [{"name": "shared"},
                   {"name": "threads", "threads": "channel"}]
        self.shares = any("worker" in c for c in channels)
        return whole | {"channels": channels, "workers": workers}

    def finished(self) -> int:
        return sum(min(c["ledger"]["archived"], c["ledger"]["relayed"])
                   for c in self.status()["channels"])

    def idle(self) -> bool:
        """All workers started and none at work any more."""
        return len(self.workers()) == (1 if self.shares else self.count)


@dataclass
class Scale:
    channels: int
    start_s: float              # until all channels run
    pss_kib: float              # of a worker, its share of the shared
    private_kib: float          # of a worker, without the segment
    segment_kib: float
    wakeups_per_s: float        # of a worker, idle
    cpu_ns: float               # a datagram at TOTAL_RATE over all channels
    lost: int


def private_kib(pid: int, kinds: tuple[str, ...] = PRIVATE) -> int:
    """Private memory but for the segment, which is the channel's."""
    total, segment = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first = line.split(None, 1)[0]
        if not first.endswith(":"):
            segment = "/memfd:" in line
        elif first.rstrip(":") in kinds and not segment:
            total += int(line.split()[1])
    return total


def pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def segment_kib(pid: int) -> float:
    """Of one of its channels."""
    for path in Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(path).startswith("/memfd:"):
            return path.stat().st_size / 1024
    return 0


def send_to_all(count: int, rate: int, seconds: float) -> int:
    """To each channel in turn; returns how many in all."""
    payload = bytes(200)
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            if sent > elapsed * rate:
                time.sleep(0.001)
                continue
            for _ in range(BATCH):
                s.sendto(payload, ("127.0.0.1", FIRST_PORT + sent % count))
                sent += 1
    return sent


def settle(many: Many, expected: int) -> int:
    """How many are finished, once all are or no more come in time."""
    deadline = time.monotonic() + 5
    while (now := many.finished()) < expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


def measure(machine: Machine, options: Options, directory: Path, count: int,
            seconds: float) -> Scale:
    many = Many(machine, directory, "127.0.0.1", 200, options)
    many.count = count
    try:
        begin = time.monotonic()
        many.launch()
        wait_for(many.running, f"{count} channels running", 60)
        start_s = time.monotonic() - begin
        wait_for(many.idle, "all workers", 10)
        workers = many.workers()
        time.sleep(1.0)         # let the start end
        woken = sum(map(switches, workers))
        time.sleep(IDLE_S)
        woken = sum(map(switches, workers)) - woken
        pss = sum(map(pss_kib, workers)) / count
        private = sum(map(private_kib, workers)) / count
        segment = segment_kib(workers[0])
        # Twice to each: files are made, and pages touched for the first time.
        first = send_to_all(count, TOTAL_RATE, 2 * count / TOTAL_RATE)
        settle(many, first)
        cpu = many.cpu_ns()
        sent = send_to_all(count, TOTAL_RATE, seconds)
        lost = first + sent - settle(many, first + sent)
        return Scale(count, start_s, pss, private, segment,
                     woken / IDLE_S / count, (many.cpu_ns() - cpu) / sent,
                     lost)
    finally:
        many.stop()


# Soak.

@dataclass
class Sample:
    at_s: float
    archived: int
    private_kib: dict[str, int]     # by program
    descriptors: dict[str, int]     # likewise


def sample(daemon: Mcrelay, start: float) -> Sample:
    private: dict[str, int] = {}
    descriptors: dict[str, int] = {}
    for pid in daemon.pids():
        name = command_name(pid)
        try:
            # Not Clean: pages of a library are private while no other
            # process happens to use it.
            private[name] = private.get(name, 0) + \
                private_kib(pid, ("Private_Dirty",))
            descriptors[name] = descriptors.get(name, 0) + \
                len(os.listdir(f"/proc/{pid}/fd"))
        except FileNotFoundError:
            continue
    return Sample(time.monotonic() - start, daemon.finished(), private,
                  descriptors)


def soak(machine: Machine, options: Options, directory: Path,
         duration_s: float) -> Iterator[Sample]:
    """A sample now and then while datagrams come at a moderate rate."""
    case = Case("plain", SOAK_SIZE)
    with Cell(machine, options, directory, case, "mcrelay+dec") as cell:
        daemon = cell.contender
        assert isinstance(daemon, Mcrelay)
        start = time.monotonic()
        source = machine.start(
            [str(options.build / "bench/source"), "plain", "127.0.0.1",
             str(PORT), str(SOAK_SIZE), str(SOAK_RATE),
             str(int(duration_s * 1000))], relay=False,
            stdout=subprocess.PIPE)
        try:
            pause = min(SOAK_SAMPLE_S, duration_s / 10)
            while source.poll() is None:
                try:
                    source.wait(pause)
                except subprocess.TimeoutExpired:
                    pass
                yield sample(daemon, start)
            assert source.stdout is not None
            sent = int(source.stdout.read().split()[0])
            lost = sent - cell.settle(sent)
            note(f"soak: {sent} sent, {lost} lost {cell.why()}")
        finally:
            stop(source)


# What mcrelayd keeps of events, one for each file that is finished
# (EVENTS_BYTES of supervisor/events.h).
EVENTS_KIB = {"mcrelayd": 2048}


def flat(samples: list[Sample]) -> bool:
    """Nothing grew after the first tenth: a tenth of memory and events, and no
    descriptor but those of a rotation under way."""
    first, last = samples[len(samples) // 10], samples[-1]
    return len(samples) > 1 and \
        set(first.private_kib) == set(last.private_kib) and \
        all(last.private_kib[name] <= kib * 1.1 + 64 + EVENTS_KIB.get(name, 0)
            for name, kib in first.private_kib.items()) and \
        all(last.descriptors[name] <= count + 3
            for name, count in first.descriptors.items())
