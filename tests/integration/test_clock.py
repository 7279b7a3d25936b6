# SPDX-License-Identifier: ISC
"""Archives from a time when the clock was years ahead, or had not been set
yet: what goes is what was finished first, whatever the files are called."""

from __future__ import annotations

import pytest

import avro_files
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port, group_v4, numbered
from test_faults import Faults, faults, library     # noqa: F401
from waiting import wait_for

YEAR = 365 * 86400
BATCH = 20


def number_of(payload: bytes) -> int:
    return int.from_bytes(payload[:8], "big")


def batches(daemon: Daemon, name: str) -> list[int]:
    """Which are in the finished files, one in each, in any order."""
    found = []
    for path in avro_files.files(daemon.archive, name):
        try:
            numbers = [number_of(d.payload)
                       for d in avro_files.read_datagrams(path)]
        except FileNotFoundError:   # it was just removed
            continue
        assert numbers and len({n // BATCH for n in numbers}) == 1
        found.append(numbers[0] // BATCH)
    return sorted(found)


@pytest.mark.parametrize("step_s", [10 * YEAR, -50 * YEAR])
def test_retention(daemon: Daemon, faults: Faults,      # noqa: F811
                   step_s: int) -> None:
    """Also of an archived stream.  (Age goes by times that the kernel gives
    files, which are not changed here.)"""
    kept, clock = 3, [0, step_s, step_s, 0, 0, 0]
    with Receiver(group_v4()) as view:
        port = free_port()
        daemon.start(channel(
            "one", port, archive=daemon.archive_conf(
                retain={"files": kept}),
            decimate=[{"name": "s", "method": "pick", "every": 2,
                       "archive": True} | output(view.address, view.port)]))
        with Sender("127.0.0.1", port) as sender:
            for number, offset in enumerate(clock):
                faults.set("clock", offset)
                sender.send(numbered(BATCH, first=number * BATCH))
                total = (number + 1) * BATCH
                for name, count in (("one", total), ("one.s", total // 2)):
                    wait_for(lambda: daemon.ledger(name)["archived"] == count,
                             f"all of {name} archived", 10.0,
                             lambda: daemon.ctl("status", "-j").stdout)
                    daemon.ctl("rotate", name)
                    expected = list(range(max(0, number + 1 - kept),
                                          number + 1))
                    wait_for(lambda: batches(daemon, name) == expected,
                             f"{expected} in {name}", 10.0,
                             lambda: (batches(daemon, name), daemon.log()))
        daemon.stop(checks=False)
    for name in ("one", "one.s"):
        assert batches(daemon, name) == [3, 4, 5]
