# SPDX-License-Identifier: ISC
"""A control group of our own: bounds of memory and processor for all that is
started in it, by either version of the kernel's interface."""

from __future__ import annotations

import os
import time
from pathlib import Path

PERIOD_US = 100_000


class CannotLimit(Exception):
    """There is none to be had here."""


def hierarchies() -> dict[str, Path]:
    """Where groups with these controllers can be made."""
    found = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            control = Path(place, "cgroup.subtree_control")
            if {"memory", "cpu"} <= set(control.read_text().split()):
                return {"": Path(place)}
        elif kind == "cgroup":
            for name in {"memory", "cpu"} & set(options.split(",")):
                found[name] = Path(place)
    if set(found) != {"memory", "cpu"}:
        raise CannotLimit("no control groups with memory and cpu")
    return found


class Cgroup:
    """Removed at the end, when nobody may be in it any more."""

    def __init__(self, memory_bytes: int, processors: float) -> None:
        name = f"mcrelay-test-{os.getpid()}-{time.monotonic_ns()}"
        self.version = 2
        self.processors = processors
        self.places: list[Path] = []
        quota = int(processors * PERIOD_US)
        try:
            for controller, place in hierarchies().items():
                self.places.append(place / name)
                self.places[-1].mkdir()
                self._limit(controller, self.places[-1], memory_bytes, quota)
        except OSError as error:
            self.close()
            raise CannotLimit(str(error)) from error

    def _limit(self, controller: str, place: Path, memory: int, quota: int
               ) -> None:
        if controller == "":
            (place / "memory.max").write_text(str(memory))
            (place / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            return
        self.version = 1
        if controller == "memory":
            (place / "memory.limit_in_bytes").write_text(str(memory))
        else:
            (place / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (place / "cpu.cfs_quota_us").write_text(str(quota))

    def prefix(self) -> list[str]:
        """Of a command that is to run in it."""
        enter = "".join(f"echo $$ >'{place}/cgroup.procs' && "
                        for place in self.places)
        return ["sh", "-c", enter + 'exec "$@"', "sh"]

    def _numbers(self, name: str) -> dict[str, int]:
        for place in self.places:
            if (place / name).exists():
                return {line.split()[0]: int(line.split()[1]) for line
                        in (place / name).read_text().splitlines()}
        raise AssertionError(f"no {name}")

    def killed(self) -> int:
        """Processes, because there was no more memory."""
        events = self._numbers("memory.events" if self.version == 2
                               else "memory.oom_control")
        return events["oom_kill"]

    def unreclaimable(self) -> int:
        """Bytes that it has now and that nobody can take: not the pages of
        files that were written."""
        stat = self._numbers("memory.stat")
        if self.version == 2:
            return stat["anon"] + stat["shmem"]
        return stat["rss"] + stat["shmem"]

    def throttled(self) -> int:
        """How often it would have run and had used up its share."""
        return self._numbers("cpu.stat")["nr_throttled"]

    def close(self) -> None:
        for place in self.places:
            if place.exists():
                place.rmdir()
        self.places.clear()
