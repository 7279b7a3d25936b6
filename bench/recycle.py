#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The ways to write files side by side, and what it saves to write files again:
`bench/recycle.py BUILDDIR [SECONDS [ROUNDS [MIB [WAY ...]]]]'.

A recorder that has found its size: files of 128 MiB (MIB) of which four are kept,
120 000 coalesced datagrams of 1400 bytes a second (less, if that is lost), with
and without `recycle', buffered, direct and mmap (WAY), by turns, three times each
(ROUNDS).
Says what the worker uses of a processor for each datagram, what the whole
machine does less than the source alone, and what was lost.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATE, SIZE, ROUNDS, MIB = 120_000, 1400, 3, 128
WAYS = "buffered", "direct", "mmap"
TICKS = os.sysconf("SC_CLK_TCK")


def configuration(directory: Path, write: str, recycle: bool, mib: int
                  ) -> str:
    archive = {"directory": str(directory / "archive"), "write": write,
               "rotate": {"size": f"{mib}MiB"}, "retain": {"files": 4},
               "recycle": recycle}
    config = {"run_dir": str(directory / "run"),
              "log": {"to": "stderr", "level": "warning"},
              "channels": [{
                  "name": "one", "ring_size": "8MiB",
                  "listen": {"address": "127.0.0.1", "port": 26000,
                             "receive_buffer": "64MiB"},
                  "payload": {"format": "raw"}, "archive": archive}]}
    return json.dumps(config | (
        {"user": "root"} if os.geteuid() == 0 else {}))


def process_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_s() -> float:
    """All but idle and waiting."""
    fields = list(map(int, Path("/proc/stat").read_text().split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / TICKS


class Daemon:
    """With its configuration and `run_dir', run, in the directory."""

    def __init__(self, build: Path, directory: Path, text: str) -> None:
        config = directory / "mcrelay.yaml"
        config.write_text(text)
        self.ctl = [str(build / "mcrelayctl"), "-s",
                    str(directory / "run/mcrelayd.sock"), "status", "-j"]
        self.process = subprocess.Popen(
            [build / "mcrelayd", "-d", "-f", config],
            env=os.environ | {"MCRELAY_LIBEXECDIR": str(build)})
        while self.process.poll() is None:
            if subprocess.run(self.ctl, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("mcrelayd does not start")

    def channel(self) -> dict:
        done = subprocess.run(self.ctl, capture_output=True, check=True)
        return json.loads(done.stdout)["channels"][0]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def send(build: Path, seconds: int) -> float:
    """Processor seconds of the source."""
    before = os.times()
    subprocess.run([build / "mcrelay-gen", "source", "-q", "-c", "-b",
                    str(SIZE), "-r", str(RATE), "-t", f"{seconds}s",
                    "127.0.0.1:26000"], check=True,
                   stdout=subprocess.DEVNULL)
    after = os.times()
    return after[2] + after[3] - before[2] - before[3]


def measure(build: Path, write: str, recycle: bool, seconds: int, mib: int
            ) -> tuple[float, float, int]:
    """Nanoseconds of the worker and of all but the source, for each datagram;
    how many were lost."""
    with tempfile.TemporaryDirectory(prefix="mcrelay-recycle-") as name:
        daemon = Daemon(build, Path(name),
                        configuration(Path(name), write, recycle, mib))
        try:
            # Until old files go.
            send(build, 6 * mib * 1024 * 1024 // (RATE * SIZE) + 1)
            before = daemon.channel()
            pid = before["pid"]
            worker, machine = process_s(pid), machine_s()
            source = send(build, seconds)
            worker, machine = process_s(pid) - worker, machine_s() - machine
            after = daemon.channel()
        finally:
            daemon.end()
    count = after["ledger"]["received"] - before["ledger"]["received"]
    lost = sum(after["ledger"][key] - before["ledger"][key]
               for key in ("kernel_dropped", "archive_shed"))
    return worker / count * 1e9, (machine - source) / count * 1e9, lost


def main() -> None:
    words = sys.argv[1:]
    if not words:
        sys.exit(__doc__)
    build = Path(words[0]).resolve()
    seconds, rounds, mib = map(int, [*words[1:4], *(8, ROUNDS, MIB)[
        len(words[1:4]):]])
    ways = [(write, recycle) for write in words[4:] or WAYS
            for recycle in (False, True)]
    found: dict[tuple[str, bool], list[tuple[float, float, int]]] = {
        way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            found[way].append(measure(build, *way, seconds, mib))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for write, recycle in ways:
        worker, machine, lost = zip(*found[write, recycle])
        print(f"{write:8} {'recycled' if recycle else 'new files':9}: worker "
              f"{statistics.median(worker):.0f} ns, machine without source "
              f"{statistics.median(machine):.0f} ns for each datagram; "
              f"{sum(lost)} lost")


if __name__ == "__main__":
    main()
