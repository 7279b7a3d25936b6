# SPDX-License-Identifier: ISC
"""Waiting for a condition, with a deadline.  No test sleeps blindly."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Callable, TypeVar

T = TypeVar("T")

NAP_S = 0.01


def wait_for(condition: Callable[[], T], what: str,
             deadline_s: float = 10.0, detail: Callable[[], object] | None
             = None) -> T:
    """Return the first true value of condition(), or fail."""
    end = time.monotonic() + deadline_s
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            more = f": {detail()}" if detail else ""
            raise AssertionError(
                f"{what}: not within {deadline_s:g} s{more}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Pace:
    """How much longer than on an idle machine things take on this one: by
    naps, which take longer when others have the processors."""

    def __init__(self) -> None:
        self.naps: list[tuple[float, float]] = []       # when they began, took
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pace:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.ended.set()
        self.thread.join()

    def _run(self) -> None:
        while not self.ended.is_set():
            begun = time.monotonic()
            time.sleep(NAP_S)
            self.naps.append((begun, time.monotonic() - begun))

    def since(self, begun: float) -> float:
        """The factor; at least 1."""
        took = [t for at, t in self.naps if at + t > begun]
        return max(1.0, sum(took) / (NAP_S * len(took))) if took else 1.0
