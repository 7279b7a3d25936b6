#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A relay in the kernel beside the worker's: `bench/kernel.py BUILDDIR [ROUNDS]',
as root.

The relay is a host between two others, each behind a veth pair: datagrams come by
the one and go to a group by the other.  Latency is from sending to arrival at the
listener behind, at 10, 50 and 90 % of the highest rate of `classic' here (one
recvfrom, one sendto, one write through stdio for each datagram).  What the program
in the kernel costs is what the kernel itself counts of it (bpf_stats_enabled), the
copy and its sending among it; it costs whoever delivers the datagram.  CPU time of
mcrelay's processes is beside it, with no output at all, one by the worker, one by
the program.  Each way after the other in turn; medians of the rounds.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from contenders import (GROUP, GROUP_PORT, PORT, RECEIVE_BUFFER, Classic,
                        Contender, Mcrelay, Options)
from machine import (VETH_ADDRESS, VETH_IN, Machine, Sweeper, Unsuitable,
                     command, note, stop, wait_for)
from measure import Case, Cell, highest_rate, latency

IN, OUT, FAR_IN, FAR_OUT = "mk-in", "mk-out", "mk-source", "mk-sink"
ADDRESS, OUT_ADDRESS = "10.99.8.1", "10.99.9.1"
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
# How many there are, and to how many of them something is sent.
CHANNELS = ((1, 1), (100, 1), (100, 100))
CPU_RATE, MANY_RATE = 100_000, 20_000
SECONDS, SHARES, LATENCY_S = 2.0, (10, 50, 90), {10: 4.0, 50: 2.0, 90: 2.0}


class Host:
    """Another one, at the far end of a veth pair."""

    def __init__(self, machine: Machine, here: str, there: str,
                 address: str) -> None:
        self.machine = machine
        self.process = machine.start(["unshare", "-n", "sleep", "infinity"],
                                     relay=False)
        wait_for(lambda: Path(f"/proc/{self.process.pid}/comm").read_text()
                 == "sleep\n", "a namespace")
        command("ip", "link", "add", here, "type", "veth", "peer", "name",
                there, "netns", str(self.process.pid))
        far = address.rpartition(".")[0] + ".2/24"
        for words, at in ((("ip",), here),
                          ((*self.enter(), "ip"), there)):
            command(*words, "addr", "add", address + "/24"
                    if at == here else far, "dev", at)
            command(*words, "link", "set", at, "up")
            command(*words, "route", "add", "224.0.0.0/4", "dev", at,
                    "metric", "1" if at == OUT else "2")

    def enter(self) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.process.pid), "-n")

    def start(self, words: list[str], **more: Any) -> subprocess.Popen[str]:
        return self.machine.start([*self.enter(), *words], relay=False,
                                  **more)


class Between(Classic):
    """Classic, and what its output is."""

    interface = OUT


class Worker(Mcrelay):
    path = "worker"
    channels = 1
    interface = IN

    def outputs(self, number: int) -> list[dict[str, Any]]:
        return [{"address": GROUP, "port": GROUP_PORT + number,
                 "interface": OUT, "path": self.path, "loop": False}]

    def configuration(self) -> dict[str, Any]:
        channel = self.channel() | ({"ring_size": "1MiB"}
                                    if self.channels > 1 else {})
        return super().configuration() | {"channels": [
            channel | {"name": f"c{i}", "relay": self.outputs(i),
                       "listen": {"address": self.address, "port": PORT + i,
                                  "interface": self.interface,
                                  "receive_buffer": RECEIVE_BUFFER
                                  // self.channels}}
            for i in range(self.channels)]}

    def running(self) -> bool:
        return super().running() and all(
            output["path"] == self.path
            for channel in self.status()["channels"]
            for output in channel["outputs"])

    def finished(self) -> int:
        return sum(min(c["ledger"]["archived"], c["ledger"]["relayed"]
                       + c["ledger"]["kernel_relayed"]
                       if c["outputs"] else c["ledger"]["archived"])
                   for c in self.status()["channels"])

    def program(self) -> tuple[int, int]:
        """How often the program ran, and nanoseconds in it."""
        assert self.process is not None
        for path in Path(f"/proc/{self.process.pid}/fdinfo").iterdir():
            facts = dict(line.split(":\t", 1) for line in
                         path.read_text().splitlines() if ":\t" in line)
            if "run_time_ns" in facts:
                return int(facts["run_cnt"]), int(facts["run_time_ns"])
        return 0, 0


class Kernel(Worker):
    path = "kernel"


class NoOutput(Worker):
    def outputs(self, number: int) -> list[dict[str, Any]]:
        return []


class Rig(Cell):
    """A contender between the hosts."""

    def __init__(self, machine: Machine, options: Options, directory: Path,
                 case: Case, hosts: dict[str, Host],
                 kind: type[Contender], channels: int = 1,
                 used: int = 1) -> None:
        self.machine, self.options, self.case = machine, options, case
        self.hosts = hosts
        nic = case.source == "nic"
        self.address = VETH_ADDRESS if nic else ADDRESS
        self.used = used
        self.contender = kind(machine, directory, self.address, case.size,
                              options)
        if isinstance(self.contender, Worker):
            self.contender.channels = channels
            self.contender.interface = VETH_IN if nic else IN

    def send(self, rate: int, seconds: float) -> tuple[int, float]:
        if self.case.source == "nic":
            return super().send(rate, seconds)
        source = self.hosts["source"].start(
            [str(self.options.build / "bench/source"), "many", self.address,
             str(PORT), str(self.case.size), str(rate),
             str(int(seconds * 1000)), str(self.used)],
            stdout=subprocess.PIPE)
        try:
            out, _ = source.communicate(timeout=seconds * 2 + 10)
        finally:
            stop(source)
        sent, elapsed_ns = map(int, out.split())
        return sent, elapsed_ns / 1e9


class Bench:
    def __init__(self, build: Path) -> None:
        self.options = Options(build, [], False)
        self.machine = Machine("", "")
        self.sweeper = Sweeper("", False, True)
        self.hosts = {"source": Host(self.machine, IN, FAR_IN, ADDRESS),
                      "sink": Host(self.machine, OUT, FAR_OUT, OUT_ADDRESS)}

    def rig(self, kind: type[Contender], case: Case, channels: int = 1,
            used: int = 1) -> Rig:
        return Rig(self.machine, self.options, self.sweeper.path, case,
                   self.hosts, kind, channels, used)

    def close(self) -> None:
        for host in self.hosts.values():
            stop(host.process)
        self.sweeper.close()

    def latency(self, kind: type[Contender], rate: int, seconds: float
                ) -> dict[str, float]:
        with self.rig(kind, Case("many", 64)) as rig:
            return latency(rig, rate, seconds, FAR_OUT,
                           self.hosts["source"].start,
                           self.hosts["sink"].start)

    def cost(self, kind: type[Worker], case: Case, rate: int,
             channels: int, used: int) -> tuple[float, float, float]:
        """Nanoseconds of the processes and of the program for a datagram,
        and how many came in one run of it."""
        with self.rig(kind, case, channels, used) as rig:
            contender = rig.contender
            assert isinstance(contender, Worker)
            before = contender.program()
            trial = rig.trial(rate, SECONDS)
            runs, ns = (after - first for after, first in
                        zip(contender.program(), before))
            # The trial warms up at the same rate.
            all_sent = contender.finished()
            if not trial.lossless:
                note(f"{kind.__name__} {case}: {trial.remark()} "
                     f"{contender.why()}")
            return (trial.cpu_per_datagram, ns / max(1, all_sent),
                    all_sent / max(1, runs))


def table_latency(bench: Bench, rounds: int) -> None:
    with bench.rig(Between, Case("many", 64)) as rig:
        classic, remark = highest_rate(rig, 1.0, 200_000)
    if not classic:
        raise Unsuitable(f"classic: {remark}")
    note(f"\nclassic's highest rate, 64 bytes: {classic:.0f} a second "
         f"{remark}\n\n| rate | way | p50 us | p99 | p99.9 | max |\n"
         "|---|---|---|---|---|---|")
    for share in SHARES:
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for kind in (Worker, Kernel):
                found.setdefault(kind.path, []).append(bench.latency(
                    kind, int(classic * share / 100), LATENCY_S[share]))
        for way, results in found.items():
            note(f"| {share} % | {way} | " + " | ".join(
                f"{statistics.median(r[key] for r in results):.0f}"
                for key in ("p50", "p99", "p99_9", "max")) + " |")


def table_cost(bench: Bench, rounds: int) -> None:
    note("\n| source, bytes, channels sent to | way | processes, ns a datagram | "
         "program, ns a datagram | datagrams a run |\n|---|---|---|---|---|")
    cases = [(Case(source, size), CPU_RATE, 1, 1)
             for source in ("many", "nic") for size in (64, 1400)
             if source != "nic" or not bench.machine.nic]
    cases += [(Case("many", 64), MANY_RATE, *each) for each in CHANNELS]
    for case, rate, channels, used in cases:
        found: dict[str, list[tuple[float, float, float]]] = {}
        for _ in range(rounds):
            for kind in (NoOutput, Worker, Kernel):
                found.setdefault(kind.__name__, []).append(
                    bench.cost(kind, case, rate, channels, used))
        for way, results in found.items():
            note(f"| {case.source}, {case.size}, {used} of {channels} | {way} | "
                 + " | ".join(
                     f"{statistics.median(r[i] for r in results):.{digits}f}"
                     for i, digits in enumerate((0, 0, 1))) + " |")


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    before = STATS.read_text()
    # What is set for the whole machine is set back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(Path(sys.argv[1]).resolve())
    for line in bench.machine.describe():
        note(line)
    try:
        STATS.write_text("1\n")
        table_cost(bench, rounds)
        table_latency(bench, rounds)
    finally:
        STATS.write_text(before)
        bench.close()


if __name__ == "__main__":
    main()
