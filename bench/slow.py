#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The relay while the disk is slow: `bench/slow.py BUILDDIR [ROUNDS [SECONDS
[WAY ...]]]', as root.

An ext4 on a disk that takes 28 MiB a second, one thing after the other (a loop
device in a FUSE file system that waits), and of which the kernel keeps no more
than 64 MiB to be written: so who writes through the page cache is soon held
up as long as the disk takes.  Datagrams of 1400 bytes come at half of that
rate and at twice, for ten seconds; each way after the other in turn, and beside
it mcrelay with its archive in memory.  Latency is from sending to arrival at a
listener of the group; what did not get there is lost, or waits in the receive
buffer.  Medians of the rounds.  Takes libfuse3-dev, losetup and mkfs.ext4.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from contenders import Options
from machine import Machine, Unsuitable, command, note, stop, wait_for
from measure import Case, Cell, listen

SERVER = Path(__file__).parent.parent / "tests/integration/passthrough.c"
SIZE, SECONDS, DISK_MIB, DIRTY_MIB = 1400, 10.0, 28, 64
RATES = {"half": DISK_MIB * 1048576 // SIZE // 2,
         "twice": DISK_MIB * 1048576 // SIZE * 2}
WAYS = ("classic", "floor", "mcrelay", "mcrelay+uring", "mcrelay+direct",
        "mcrelay+direct+uring", "mcrelay+mmap")
IN_MEMORY = "mcrelay, in memory"


def call(*words: str) -> None:
    subprocess.run(words, check=False)


def make_disk(stack: ExitStack, machine: Machine, directory: Path) -> Path:
    """Where it is mounted."""
    at, below, slow = (directory / name for name in ("disk", "below", "slow"))
    for path in (at, below, slow):
        path.mkdir()
    with (below / "image").open("wb") as image:
        image.truncate(4 << 30)
    server = directory / "passthrough"
    command("cc", "-O1", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-o",
            str(server), str(SERVER), *command(
                "pkg-config", "--cflags", "--libs", "fuse3").split())
    # It answers one after the other.
    process = machine.start(
        [str(server), str(below), "-f", "-s", str(slow)], relay=False,
        env=os.environ | {"PASSTHROUGH_MIB_MS": str(1000 / DISK_MIB)})
    stack.callback(stop, process)
    wait_for(lambda: (slow / "image").exists(), "the slow file system")
    stack.callback(call, "umount", str(slow))
    command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0",
            str(below / "image"))
    device = command("losetup", "-f", "--show", str(slow / "image")).strip()
    stack.callback(call, "losetup", "-d", device)
    number = os.stat(device).st_rdev
    bdi = Path(f"/sys/class/bdi/{os.major(number)}:{os.minor(number)}")
    (bdi / "strict_limit").write_text("1")
    (bdi / "max_bytes").write_text(str(DIRTY_MIB << 20))
    command("mount", "-t", "ext4", device, str(at))
    stack.callback(call, "umount", str(at))
    return at


def measure(machine: Machine, options: Options, directory: Path, name: str,
            rate: int, seconds: float) -> tuple[float, float, float, float, str]:
    """p50, p99, p99.9, max in microseconds, and what was lost of the relay and,
    for those that say so, elsewhere."""
    place = directory / "here"
    place.mkdir()
    with Cell(machine, options, place, Case("coalesced", SIZE), name) as cell:
        cell.contender.forget()
        report = listen(cell, rate, seconds)
        why = cell.why()
    found: dict[str, Any] = report["latency_us"]
    missing = report["sent"] - report["received"]
    place.rmdir()
    return (found["p50"], found["p99"], found["p99_9"], found["max"],
            (f"{missing} not there" if missing > 0 else "")
            + (f" ({why})" if why else ""))


def main() -> None:
    if len(sys.argv) < 2 or os.geteuid() != 0:
        sys.exit(__doc__)
    options = Options(Path(sys.argv[1]).resolve(), [], False)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else SECONDS
    found: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    lost: dict[tuple[str, str], list[str]] = defaultdict(list)
    with ExitStack() as stack:
        machine = Machine("", "")
        where = Path(stack.enter_context(tempfile.TemporaryDirectory(
            prefix="mcrelay-slow-", dir="/dev/shm")))
        disk = make_disk(stack, machine, where)
        for line in machine.describe():
            note(line)
        for _ in range(rounds):
            for share, rate in RATES.items():
                for name in (IN_MEMORY, *(sys.argv[4:] or WAYS)):
                    try:
                        *times, why = measure(
                            machine, options,
                            where if name == IN_MEMORY else disk,
                            name.partition(",")[0], rate, seconds)
                    except Unsuitable as e:
                        note(f"{name}: {e}")
                        continue
                    found[share, name].append(tuple(times))
                    lost[share, name].append(why)
                    note(f"{share} {name}: {times} {why}")
                    command("sync", "-f", str(disk))
    print("| rate | way | p50 | p99 | p99.9 | max, us | lost |")
    for (share, name), each in found.items():
        median = [statistics.median(values) for values in zip(*each)]
        print(f"| {share} | {name} | "
              + " | ".join(f"{value:.0f}" for value in median)
              + f" | {'; '.join(filter(None, lost[share, name]))} |")


if __name__ == "__main__":
    main()
