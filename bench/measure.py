# SPDX-License-Identifier: ISC
"""One cell of the table: a contender, a source, a size."""

from __future__ import annotations

import json
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from contenders import (CONTENDERS, GROUP, GROUP_PORT, PORT, Contender,
                        Options)
from machine import (VETH_ADDRESS, VETH_IN, VETH_OUT, Machine, Unsuitable,
                     busy_ns, command, stop)

Start = Callable[..., "subprocess.Popen[str]"]

SOURCES = ("plain", "coalesced", "nic")
SIZES = (64, 200, 1400, 8192)
NIC_SIZE_MAX = 1472         # a packet; larger ones come as fragments
# Per cent of a highest rate, and how long: when few messages come, the worst
# thousandth of them takes its time.
LATENCY_TIMES = {10: 3, 50: 1, 90: 1}

# The rates at which CPU time is measured: all contenders but mcrelay's
# slowest relatives keep up with them.
FIXED_RATE, FIXED_RATE_LARGE, LARGE = 100_000, 25_000, 4096

# The search for the highest rate.
TRIALS_MAX = 14
CHANCES = 3                 # for a rate that fails
OTHERS_MAX = 0.05           # of the relay's cores, without a remark
PRECISION = 1.06            # ends when the bounds are so close
WARM_UP_S = 0.3             # before each trial, at its rate
# Until a contender that keeps files has them: datagrams and seconds.
AGE_RATE, AGE_MAX = 250_000, 30


@dataclass(frozen=True)
class Case:
    source: str
    size: int

    def __str__(self) -> str:
        return f"{self.source}:{self.size}"

    def fixed_rate(self) -> int:
        return FIXED_RATE_LARGE if self.size >= LARGE else FIXED_RATE

    def impossible(self, machine: Machine) -> str:
        if self.source != "nic":
            return ""
        if self.size > NIC_SIZE_MAX:
            return "larger than a packet"
        return machine.nic


@dataclass(frozen=True)
class Trial:
    """What became of some datagrams."""

    offered: int            # datagrams a second, as asked for
    sent: int               # by the source, or on the wire
    finished: int
    cpu_ns: int             # the contender's
    others: float           # the part of its cores that others took
    elapsed_s: float        # of the source

    @property
    def rate(self) -> float:
        return self.sent / self.elapsed_s

    @property
    def lossless(self) -> bool:
        return self.sent > 0 and self.finished == self.sent

    @property
    def source_too_slow(self) -> bool:
        return self.rate < 0.95 * self.offered

    def remark(self) -> str:
        """What casts doubt on a figure taken from it."""
        lost = 1 - self.finished / max(1, self.sent)
        return "; ".join(
            ([f"lost {100 * lost:.1f} % at {self.offered}/s"]
             if lost > 0 else [])
            + ([f"{self.finished - self.sent} from before it came in it"]
               if lost < 0 else [])
            + ([f"others took {100 * self.others:.0f} % of its core"]
               if self.others > OTHERS_MAX else []))

    @property
    def cpu_per_datagram(self) -> float:
        return self.cpu_ns / max(1, self.finished)


class Cell:
    """A running contender and the source for it."""

    def __init__(self, machine: Machine, options: Options, directory: Path,
                 case: Case, name: str) -> None:
        self.machine = machine
        self.options = options
        self.case = case
        self.address = VETH_ADDRESS if case.source == "nic" else "127.0.0.1"
        self.contender: Contender = CONTENDERS[name](
            machine, directory, self.address, case.size, options)

    def __enter__(self) -> Cell:
        try:
            self.contender.start()
            self.grow_old()
        except BaseException:
            self.contender.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.contender.stop()

    def grow_old(self) -> None:
        """Until it has as many files as it keeps, and nothing of that is
        under way."""
        for _ in range(AGE_MAX):
            if self.contender.settled():
                break
            self.send(AGE_RATE, 1.0, Case("coalesced", 1400))
        else:
            if not self.contender.settled():
                raise Unsuitable("does not get through its files")
        self.settle(1 << 62)

    def send(self, rate: int, seconds: float, case: Case | None = None
             ) -> tuple[int, float]:
        """Datagrams sent, and the time it took."""
        case = case or self.case
        words = [str(self.options.build / "bench/source"), case.source,
                 self.address, str(PORT), str(case.size), str(rate),
                 str(int(seconds * 1000))]
        nic = case.source == "nic"
        if nic:
            words += [VETH_OUT, VETH_IN]
        before = arrived() if nic else 0
        source = self.machine.start(words, relay=False,
                                    stdout=subprocess.PIPE)
        try:
            out, _ = source.communicate(timeout=seconds * 2 + 10)
        finally:
            stop(source)
        sent, elapsed_ns = map(int, out.split())
        # What the card's own queue drops is nobody's loss but the source's.
        return (arrived() - before if nic else sent), elapsed_ns / 1e9

    def settle(self, expected: int) -> int:
        """How many are finished, once all are or no more come."""
        last, since = -1, time.monotonic()
        while (now := self.contender.finished()) < expected:
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 0.4:
                break
            time.sleep(0.01)
        return now

    def trial(self, rate: int, seconds: float) -> Trial:
        # What was idle for a second is cold, in a virtual machine for its
        # host as well: begin while the memory is in use.
        self.settle(self.contender.finished() +
                    self.send(rate, WARM_UP_S)[0])
        self.contender.trim()
        self.contender.forget()
        before, cpu = self.contender.finished(), self.contender.cpu_ns()
        cores = self.machine.relay_cores
        busy, begin = busy_ns(cores), time.monotonic_ns()
        sent, elapsed_s = self.send(rate, seconds)
        finished = self.settle(before + sent) - before
        busy, cpu = busy_ns(cores) - busy, self.contender.cpu_ns() - cpu
        time_ns = (time.monotonic_ns() - begin) * len(cores)
        return Trial(rate, sent, finished, cpu, (busy - cpu) / time_ns,
                     elapsed_s)

    def why(self) -> str:
        """Where it has lost datagrams since the last trial's warm-up."""
        return self.contender.why()


def arrived() -> int:
    """Packets that came through the veth pair."""
    (link,) = json.loads(command("ip", "-s", "-j", "link", "show", VETH_IN))
    return link["stats64"]["rx"]["packets"]


def highest_rate(cell: Cell, seconds: float, estimate: float
                 ) -> tuple[float, str]:
    """Datagrams a second without a single loss, and a remark: bisection
    from an estimate, bounded.  A rate is given other chances, for what else
    goes on in the machine."""
    low, high, remark, why = 0.0, float("inf"), "", ""
    rate = estimate
    for _ in range(TRIALS_MAX):
        for _ in range(CHANCES):
            trial = cell.trial(int(rate), seconds)
            if trial.lossless and not trial.source_too_slow:
                break
            why = cell.why() or why
        if trial.lossless:
            low = max(low, trial.rate)
            if trial.source_too_slow:
                remark = "the source's limit"
                break
            rate = low * 1.5
        else:
            high = min(high, rate)
            # Under overload it shows what it can do.
            rate = trial.finished / trial.elapsed_s * 0.98
        if high / max(low, 1) < PRECISION:
            break
        if not low < rate < high:
            rate = (low + high) / 2
    if not remark and why:
        remark = f"gives way with {why}"
    return low, remark or ("" if low else "always loses")


def listen(cell: Cell, rate: int, seconds: float, interface: str = "lo",
           start_source: Start | None = None, start_sink: Start | None = None
           ) -> dict[str, Any]:
    """What a listener of the group says of that, with what was `sent'; by
    mcrelay-gen, which numbers and stamps what it sends."""
    start_source = start_source or cell.machine.start_source
    start_sink = start_sink or cell.machine.start_source
    gen = str(cell.options.build / "mcrelay-gen")
    case = cell.case
    sink = start_sink(
        [gen, "sink", "-j", "-i", interface, f"{GROUP}:{GROUP_PORT}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert sink.stderr is not None
        if not select.select([sink.stderr], [], [], 10)[0] or \
                "listening" not in sink.stderr.readline():
            raise Unsuitable("the sink does not start")
        source = start_source(
            [gen, "source", "-q", "-j", "-r", str(rate), "-t", f"{seconds:g}s",
             "-b", str(case.size),
             *(["-c"] if case.source == "coalesced" else []),
             f"{cell.address}:{PORT}"], stdout=subprocess.PIPE)
        try:
            sent, _ = source.communicate(timeout=seconds + 20)
        finally:
            stop(source)
        # What is still under way arrives within the time this takes.
        cell.settle(1 << 62)
        sink.terminate()
        out, _ = sink.communicate(timeout=20)
    finally:
        stop(sink)
    report: dict[str, Any] = json.loads(out)
    report["sent"] = json.loads(sent)["sent"]
    if report["received"] <= report["corrupt"]:
        raise Unsuitable("latency: nothing whole arrived")
    return report


def latency(cell: Cell, rate: int, seconds: float, interface: str = "lo",
            start_source: Start | None = None, start_sink: Start | None = None
            ) -> dict[str, float]:
    """From sending to arrival at a listener of the group, microseconds."""
    report = listen(cell, rate, seconds, interface, start_source, start_sink)
    return {key: report["latency_us"][key]
            for key in ("p50", "p99", "p99_9", "max")}


def profile(cell: Cell, rate: int, seconds: float, path: Path) -> None:
    """Where the contender's time goes while it works, by perf."""
    if not shutil.which("perf"):
        raise Unsuitable("profile: needs perf: install the Debian package "
                         "linux-perf")
    data = path.with_suffix(".data")
    perf = cell.machine.start(
        ["perf", "record", "-q", "-o", str(data), "-p",
         ",".join(map(str, cell.contender.pids()))], relay=False,
        stderr=subprocess.DEVNULL)
    try:
        # It says nothing when it is ready; what it misses is the start.
        trial = cell.trial(rate, seconds)
    finally:
        stop(perf, signal.SIGINT)
    report = command("perf", "report", "-i", str(data), "--stdio", "-q",
                     "--no-children", "-s", "comm,dso,symbol",
                     "--percent-limit", "0.5")
    data.unlink()
    path.write_text(f"{trial.rate:.0f} datagrams/s, "
                    f"{trial.cpu_per_datagram:.0f} ns each\n\n{report}")
