# SPDX-License-Identifier: ISC
"""Whatever happens to disks, directories and the clock, in whatever order: a
model says what a channel must say of its archive two seconds later; at the end
each datagram is in one file, or counted as shed.

MCRELAY_TEST_ROUNDS  how many events, 25 by default
MCRELAY_TEST_SEED    which
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Iterator

import pytest

import avro_files
import gen
from daemon import Daemon, channel, output
from mounts import Mounts
from net import Receiver, free_port
from test_faults import Faults, faults, library     # noqa: F401
from waiting import wait_for

ROUNDS = int(os.environ.get("MCRELAY_TEST_ROUNDS", "25"))
RATE = 1000
TOLD_S = 2.0
DAY = 86400
# What follows from a loss for some time, and what is so in any case.
HISTORY = {"archive_failing", "archive_shedding", "memory_unlocked"}


class Disk:
    """What the path of the archive leads to, and what it has led to.  Each
    event says whether it was possible."""

    def __init__(self, base: Path, mounts: Mounts,
                 faults: Faults) -> None:                       # noqa: F811
        self.base = base            # a mount point, at times
        self.mounts = mounts
        self.place = base / "a/one"
        self.in_the_way = False
        self.roots: list[int] = []      # of all file systems, seen or not
        self.moved = 0
        self.faults = faults
        self.clock = 0

    @property
    def mounted(self) -> int:
        """File systems, one over the other."""
        return len(self.mounts.paths)

    @property
    def usable(self) -> bool:
        return self.mounted > 0 and not self.in_the_way

    def mount(self) -> bool:
        """Also over another one."""
        if self.mounted == 2:
            return False
        self.mounts.add(self.base)
        self.roots.append(os.open(self.base, os.O_DIRECTORY))
        self.in_the_way = False
        return True

    def unmount(self) -> bool:
        if self.mounted == 0:
            return False
        self.mounts.remove(self.base)
        # What was below is as it was left.
        self.in_the_way = self.place.is_file()
        return True

    def swap(self) -> bool:
        return self.unmount() and self.mount()

    def move(self) -> bool:
        if not self.usable or not self.place.is_dir():
            return False
        self._move(self.place)
        return True

    def move_above(self) -> bool:
        if not self.usable or not self.place.is_dir():
            return False
        self._move(self.place.parent)
        return True

    def _move(self, directory: Path) -> None:
        self.moved += 1
        directory.rename(self.base / f"moved{self.moved}")

    def put_in_the_way(self) -> bool:
        if not self.move():
            return False
        try:
            self.place.touch(exist_ok=False)
        except FileExistsError:
            return True     # the daemon was faster
        self.in_the_way = True
        return True

    def clear_the_way(self) -> bool:
        if not self.in_the_way:
            return False
        self.place.unlink()
        self.in_the_way = False
        return True

    def set_clock(self, days: int) -> bool:
        self.clock += days * DAY
        self.faults.set("clock", self.clock)
        return True

    def clock_back(self) -> bool:
        return self.clock > -30 * DAY and self.set_clock(-7)

    def clock_ahead(self) -> bool:
        return self.clock < 30 * DAY and self.set_clock(7)

    EVENTS = (mount, unmount, swap, move, move_above, put_in_the_way,
              clear_the_way, clock_back, clock_ahead)
    MENDING = (mount, clear_the_way)

    def happen(self, chance: random.Random) -> str:
        first = self.MENDING if not self.usable and chance.random() < 0.5 \
            else ()
        for event in (*chance.sample(first, len(first)),
                      *chance.sample(self.EVENTS, len(self.EVENTS))):
            if event(self):
                return event.__name__
        raise AssertionError("nothing can happen")

    def restore(self) -> None:
        if self.mounted == 0:
            self.mount()
        self.clear_the_way()

    def end(self) -> None:
        for fd in self.roots:
            os.close(fd)
        self.mounts.end()
        # Nothing has gone to the file system below.
        assert not list(self.base.iterdir())


@pytest.fixture
def disk(daemon: Daemon, mounts: Mounts,
         faults: Faults) -> Iterator[Disk]:                     # noqa: F811
    disk = Disk(daemon.archive, mounts, faults)
    disk.mount()
    yield disk
    daemon.kill()
    disk.end()


def stored(disk: Disk) -> list[int]:
    """The numbers of all that is in files, wherever they are."""
    numbers = []
    for fd in disk.roots:
        root = Path(f"/proc/self/fd/{fd}")
        assert not list(root.rglob("*.part")), list(root.rglob("*"))
        for path in root.rglob("one_*.avro"):
            numbers += [gen.sequence(d.payload)
                        for d in avro_files.read_datagrams(path)]
    return numbers


def test_random_disk(daemon: Daemon, disk: Disk) -> None:
    seed = int(os.environ.get("MCRELAY_TEST_SEED", time.time_ns()))
    print(f"MCRELAY_TEST_SEED={seed} MCRELAY_TEST_ROUNDS={ROUNDS}")
    chance, history, slowest = random.Random(seed), [], 0.0
    port = free_port()

    def wrong() -> str:
        status = daemon.status("one")
        reasons = {r["what"] for r in status["reasons"]}
        expected = set() if disk.usable else {"archive_away"}
        if reasons - HISTORY != expected:
            return f"{sorted(reasons)} instead of {sorted(expected)}"
        bad = reasons - {"memory_unlocked"}
        if status["state"] != ("degraded" if bad else "running"):
            return f"{status['state']} with {sorted(reasons)}"
        return ""

    def where() -> object:
        return history, vars(disk), wrong()

    def flows() -> None:
        """All comes in, and is stored where that is possible."""
        before = daemon.ledger("one")
        wait_for(lambda: daemon.ledger("one")["received"]
                 > before["received"] + 50, "datagrams", TOLD_S, where)
        if disk.usable:
            wait_for(lambda: daemon.ledger("one")["archived"]
                     > before["archived"], "records", TOLD_S, where)

    with Receiver() as receiver:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", receiver.port)],
            ring_size="256KiB", archive=daemon.archive_conf(
                directory=str(disk.base / "a"), flush_interval="20ms",
                require_mount=str(disk.base))))
        with gen.source(daemon.programs, "127.0.0.1", port, "-r", str(RATE),
                        "-t", "3600") as source:
            flows()
            pid = daemon.find_background()
            before = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            for _ in range(ROUNDS):
                history.append(disk.happen(chance))
                since = time.monotonic()
                wait_for(lambda: not wrong(), "the state of the model",
                         TOLD_S, where)
                slowest = max(slowest, time.monotonic() - since)
                flows()
            disk.restore()
            wait_for(lambda: not wrong(), "an archive", TOLD_S, where)
            flows()
            assert len(list(Path(f"/proc/{pid}/fd").iterdir())) == before
            source.interrupt()
            sent = source.result()["sent"]
        ledger = daemon.wait_settled("one")
        assert receiver.wait(sent) is not None
        daemon.stop()
    numbers = stored(disk)
    print(f"{len(history)} events: {dict(Counter(history))}; the state was "
          f"right after {slowest * 1000:.0f} ms at most; {sent} sent, "
          f"{ledger['archived']} archived, {ledger['archive_shed']} shed")
    assert ledger["received"] == sent
    assert len(numbers) == len(set(numbers)), "stored twice"
    assert len(numbers) == ledger["archived"]
    assert ledger["archived"] + ledger["archive_shed"] == sent
