# SPDX-License-Identifier: ISC
"""Waiting for a condition, with a deadline.  No test sleeps blindly."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


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
