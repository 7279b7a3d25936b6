#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Many channels, and many outputs, side by side with the classic way to do it:
`bench/many.py BUILDDIR [SECONDS [ROUNDS [CASE [WAY ...]]]]'.

100 channels with an output each, and 1 channel with 8 outputs, datagrams of 200
bytes that come one by one, to each channel in turn.  "classic" is one loop with
one recvfrom, one sendto for each output and one write for each datagram
(bench/loop.c); the others are mcrelay's workers: one for each channel and one for
all, both by sockets and by io_uring, and one for all that waits for a millisecond for
more to come.  Says what of a processor a datagram costs at a
rate that all of them manage, and how many a second of a processor's time is
enough for when more come than can be taken: the highest rate of one that nobody
else has.  Each contender after the other in turn; medians of the rounds.
"""

from __future__ import annotations

import mmap
import select
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from contenders import Contender, GROUP, Mcrelay, Options
from machine import Machine, Sweeper, Unsuitable, cpu_ns, note, stop, wait_for
from measure import Case, Cell

FIRST_PORT, FIRST_OUTPUT = 20000, 30000
SIZE = 200
BUFFER = 1 << 20
CASES = {"100 channels": (100, 1), "1 channel, 8 outputs": (1, 8)}
FIXED_RATE = {"100 channels": 20_000, "1 channel, 8 outputs": 5_000}
FLOOD_RATE = 400_000
PATIENCE_S = 2.0


class Loop(Contender):
    channels = outputs = 1

    def start(self) -> None:
        path = self.directory / "counters"
        self.process = self.machine.start(
            [str(self.options.build / "bench/loop"), str(FIRST_PORT),
             str(self.channels), GROUP, str(FIRST_OUTPUT), str(self.outputs),
             str(BUFFER), str(self.directory), str(path)],
            relay=True, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], 10)[0] or \
                self.process.stdout.readline() != "ready\n":
            raise Unsuitable("classic does not start")
        with path.open("rb") as f:
            self.counters = mmap.mmap(f.fileno(), 24, prot=mmap.PROT_READ)

    def finished(self) -> int:
        _, archived, relayed = struct.unpack_from("3Q", self.counters)
        return min(archived, relayed)


class Own(Mcrelay):
    channels = outputs = 1
    coalesce = "auto"
    more: dict[str, Any] = {}

    def configuration(self) -> dict[str, Any]:
        return super().configuration() | {
            "workers": [{"name": "all"}], "channels": [{
                "name": f"c{i}", "ring_size": "1MiB",
                "listen": {"address": "127.0.0.1", "port": FIRST_PORT + i,
                           "receive_buffer": BUFFER,
                           "coalesce": self.coalesce},
                "payload": {"format": "raw"},
                "relay": [{"address": GROUP, "interface": "lo",
                           "port": FIRST_OUTPUT + i * self.outputs + j}
                          for j in range(self.outputs)],
                "archive": {"directory": str(self.directory / "archive"),
                            "rotate": {"size": "16MiB"}}} | self.more
                for i in range(self.channels)]}

    def finished(self) -> int:
        return sum(min(c["ledger"]["archived"],
                       c["ledger"]["relayed"] // self.outputs)
                   for c in self.status()["channels"])

    def cpu_ns(self) -> int:
        """Without the supervisor, which is asked for the counters."""
        return sum(map(cpu_ns, self.workers()))


class Shared(Own):
    more = {"worker": "all"}


class Uring(Own):
    more = {"io_uring": {"enabled": True}}


class SharedUring(Shared):
    more = Shared.more | Uring.more


class Gathering(Shared):
    coalesce = "1ms"


class GatheringUring(SharedUring):
    coalesce = "1ms"


WAYS: dict[str, type[Loop] | type[Own]] = {
    "classic": Loop, "own": Own, "shared": Shared, "own, io_uring": Uring,
    "shared, io_uring": SharedUring, "shared, 1 ms": Gathering,
    "shared, io_uring, 1 ms": GatheringUring}


class Rig(Cell):
    """A contender with its channels, and the source for all of them."""

    def __init__(self, machine: Machine, options: Options, directory: Path,
                 way: str, case: str) -> None:
        self.machine, self.options = machine, options
        self.case = Case("many", SIZE)
        self.address = "127.0.0.1"
        contender = WAYS[way](machine, directory, self.address, SIZE, options)
        contender.channels, contender.outputs = CASES[case]
        self.ports = contender.channels
        self.contender = contender

    def send(self, rate: int, seconds: float) -> tuple[int, float]:
        source = self.machine.start(
            [str(self.options.build / "bench/source"), "many", self.address,
             str(FIRST_PORT), str(SIZE), str(rate), str(int(seconds * 1000)),
             str(self.ports)], relay=False, stdout=subprocess.PIPE)
        try:
            out, _ = source.communicate(timeout=seconds * 2 + 10)
        finally:
            stop(source)
        sent, elapsed_ns = map(int, out.split())
        return sent, elapsed_ns / 1e9


    def settle(self, expected: int) -> int:
        """As Cell's, where others have the processors for longer."""
        last, since = -1, time.monotonic()
        while (now := self.contender.finished()) < expected:
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE_S:
                break
            time.sleep(0.1)
        return now


def measure(machine: Machine, options: Options, directory: Path, way: str,
            case: str, seconds: float) -> tuple[float, float, int]:
    """Datagrams that a second of a processor is enough for in a flood,
    nanoseconds for each at the fixed rate, and what that has lost."""
    with Rig(machine, options, directory, way, case) as rig:
        contender = rig.contender
        if isinstance(contender, Own):
            wait_for(lambda: len(contender.workers()) == (
                1 if isinstance(contender, Shared) else rig.ports),
                "all workers")
        trial = rig.trial(FIXED_RATE[case], 2 * seconds)
        flood = rig.trial(FLOOD_RATE, seconds)
        rate = flood.finished / max(1, flood.cpu_ns) * 1e9
        note(f"{case}: {way}: {trial.cpu_per_datagram:.0f} ns a datagram "
             f"({trial.remark()}); in a flood {rate:.0f} a second of a "
             f"processor ({flood.remark()})")
        return rate, trial.cpu_per_datagram, trial.sent - trial.finished


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    options = Options(Path(sys.argv[1]).resolve(), [], False)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    cases = [case for case in CASES if len(sys.argv) < 5 or
             sys.argv[4] in case]
    ways = sys.argv[5:] or list(WAYS)
    machine = Machine("", "")
    sweeper = Sweeper("", False, True)
    found: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    for line in machine.describe():
        note(line)
    try:
        for _ in range(rounds):
            for case in cases:
                for way in ways:
                    found.setdefault((case, way), []).append(measure(
                        machine, options, sweeper.path, way, case, seconds))
    finally:
        sweeper.close()
    note("| | | a second of CPU, in a flood | CPU ns a datagram | lost at "
         f"{'/'.join(str(FIXED_RATE[case]) for case in cases)} a second |\n"
         "|---|---|---|---|---|")
    for (case, way), results in found.items():
        rate, cpu = (statistics.median(each[i] for each in results)
                     for i in (0, 1))
        note(f"| {case} | {way} | {rate:.0f} | {cpu:.0f} | "
             f"{sum(each[2] for each in results)} |")


if __name__ == "__main__":
    main()
