# SPDX-License-Identifier: ISC
"""Faults of all kinds at random, over ten channels under load: a channel that
a fault cannot affect loses nothing, every loss is in a counter, nothing is
stored twice, and the daemon ends in order and leaves nothing.

MCRELAY_TEST_FAULTS  how many, 15 by default, for each kind of log
MCRELAY_TEST_SEED    which
MCRELAY_TEST_RATE    datagrams a second, all channels together
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Iterator

import pytest

from daemon import Daemon, Programs
from lanes import Lane
from mischief import Log, Mischief
from net import group_v4
from test_faults import Faults, faults, library     # noqa: F401
from test_load import needs_buffer
from waiting import wait_for

EVENTS = int(os.environ.get("MCRELAY_TEST_FAULTS", "15"))
RATE = int(os.environ.get("MCRELAY_TEST_RATE", "2000"))
# Until all channels run and receive, whatever has happened: a worker that had
# not been up for long is waited for.
SETTLED_S = 30.0


class Logged(Daemon):
    """Its standard error is a pipe that `log' reads, or a file on a disk."""

    log_to: Log

    def launch(self) -> None:
        if self.log_to.disk is not None:
            self.log_file = self.log_to.disk / "mcrelayd.log"
            super().launch()
            return
        with self.log_file.open("ab") as file:
            self.log_to.reader = subprocess.Popen(
                ["cat"], stdin=subprocess.PIPE, stdout=file)
        pipe = self.log_to.reader.stdin
        assert pipe is not None
        self.process = subprocess.Popen(
            self.command("-d"), env=self.environment, stderr=pipe,
            stdout=pipe, stdin=subprocess.DEVNULL, start_new_session=True)
        pipe.close()


class Disks:
    """Small file systems below a directory."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.mounted: list[Path] = []

    def mount(self, name: str, size: str) -> Path:
        path = self.base / name
        path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none",
             str(path)], capture_output=True, text=True, timeout=10)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
        self.mounted.append(path)
        return path

    def unmount(self) -> None:
        while self.mounted:
            subprocess.run(["umount", str(self.mounted.pop())], check=True,
                           timeout=10)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount small file systems")
    made = Disks(tmp_path)
    yield made
    for path in made.mounted:
        subprocess.run(["umount", "-l", str(path)], check=True, timeout=10)


def make_lanes(daemon: Daemon, disk: Path) -> dict[str, Lane]:
    host, host6 = "127.0.0.1", "::1"
    lanes = [
        Lane(daemon, "null", host, [group_v4()]),
        Lane(daemon, "deflate", group_v4(), [group_v4()], codec="deflate"),
        Lane(daemon, "snappy", host, [group_v4()], codec="snappy"),
        Lane(daemon, "zstd", host6, [group_v4()], codec="zstandard"),
        Lane(daemon, "direct", host, [host], write="direct",
             block_size="64KiB", sync="block"),
        Lane(daemon, "avro", host, [group_v4(), host], avro=True),
        Lane(daemon, "stream", group_v4(), [group_v4()],
             stream=group_v4()),
        Lane(daemon, "flood", group_v4(), [group_v4()],
             receive_buffer="1MiB"),
        Lane(daemon, "disk", host, [host], directory=disk,
             ring_size="256KiB"),
        Lane(daemon, "prey", host, [host], stream=group_v4())]
    return {lane.name: lane for lane in lanes}


def progress(mischief: Mischief) -> None:
    """All run, and receive."""
    wait_for(lambda: not mischief.unsettled(), "all channels running",
             SETTLED_S, mischief.unsettled)
    before = mischief.statuses()

    def behind() -> list[str]:
        now = mischief.statuses()
        return [name for name in mischief.lanes if name != "prey" and
                now[name]["ledger"]["received"] <=
                before[name]["ledger"]["received"]]
    wait_for(lambda: not behind(), "all channels receiving", SETTLED_S,
             behind)


def campaign(daemon: Daemon, mischief: Mischief, history: list[str]) -> None:
    lanes = mischief.lanes
    with ExitStack() as stack:
        daemon.start(*(lane.open(stack) for lane in lanes.values()))
        for lane in lanes.values():
            lane.load(stack, RATE // len(lanes))
        progress(mischief)
        for _ in range(EVENTS):
            history.append(mischief.happen())
            progress(mischief)
        mischief.end()
        progress(mischief)
        for lane in lanes.values():
            lane.source.interrupt()
        for lane in lanes.values():
            if lane.name != "prey":
                lane.settle()
                lane.check_ledger()
                lane.check_sinks()
        lanes["prey"].id = lanes["prey"].source.result()["stream"]
        daemon.stop()


def ports_in_use() -> set[int]:
    found = set()
    for name in ("udp", "udp6"):
        lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        found |= {int(line.split()[1].split(":")[1], 16) for line in lines}
    return found


@pytest.mark.parametrize("log", ["pipe", "disk"])
def test_random_faults(programs: Programs, disks: Disks,    # noqa: F811
                       library: Path, tmp_path: Path,       # noqa: F811
                       log: str) -> None:
    needs_buffer()
    seed = int(os.environ.get("MCRELAY_TEST_SEED", time.time_ns()))
    print(f"MCRELAY_TEST_SEED={seed} MCRELAY_TEST_FAULTS={EVENTS} "
          f"MCRELAY_TEST_RATE={RATE}")
    daemon = Logged(programs, tmp_path)
    daemon.log_to = Log(disks.mount("log", "256m") if log == "disk"
                        else None)
    disks.mount("run", "256k")
    disk = disks.mount("disk", "2g")
    faults = Faults(library, tmp_path / "faults")       # noqa: F811
    daemon.environment |= faults.environment
    lanes, history = make_lanes(daemon, disk), []
    mischief = Mischief(daemon, lanes, random.Random(seed), faults,
                        daemon.log_to, EVENTS >= 100)
    began = time.monotonic()
    try:
        campaign(daemon, mischief, history)
    except BaseException:
        print(history, mischief.broken, daemon.log()[-20000:], sep="\n")
        raise
    finally:
        daemon.kill()
        mischief.close()
    print(f"{len(history)} events in {time.monotonic() - began:.0f} s: "
          f"{dict(Counter(history))}")
    for lane in lanes.values():
        if lane.name != "prey":
            print(lane.check_files())
    check_prey(lanes["prey"])
    assert not ports_in_use() & {lane.port for lane in lanes.values()}
    disks.unmount()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def check_prey(lane: Lane) -> None:
    """Whoever was hostile had no files: those there are are whole."""
    numbers, _ = lane.numbers(lane.name)
    assert len(numbers) == len(set(numbers)), "the prey's: twice"
