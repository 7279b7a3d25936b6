# SPDX-License-Identifier: ISC
"""The senders' own numbering (payload.sequence), through the daemon."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

import accel
from daemon import Daemon, channel
from net import Sender, SenderThread, free_port
from waiting import wait_for


def disturbed(count: int, seed: int) -> tuple[list[int], dict[str, int]]:
    """0, 1, 2... with some left out, some twice, some late; and what there
    is to count in that."""
    rng = random.Random(seed)
    numbers = []
    for n in range(count):
        kind = rng.randrange(20) if 0 < n < count - 1 else 9
        if kind == 0:
            continue
        numbers.append(n)
        if kind == 1:
            numbers.append(n - rng.randrange(2))
        elif kind == 2 and len(numbers) > 5:
            numbers.insert(len(numbers) - 4, numbers.pop())
    seen: set[int] = set()
    counts = {"sequence_gaps": 0, "sequence_repeats": 0,
              "sequence_reordered": 0}
    for n in numbers:
        if n in seen:
            counts["sequence_repeats"] += 1
        elif seen and n < max(seen):
            counts["sequence_reordered"] += 1
        seen.add(n)
    counts["sequence_gaps"] = max(seen) + 1 - len(seen)
    return numbers, counts


def counted(ledger: dict[str, int]) -> dict[str, int]:
    return {k: v for k, v in ledger.items() if k.startswith("sequence_")}


def raw(number: int) -> bytes:
    return b"head" + (0xffffff00 + number & 0xffffffff).to_bytes(4, "big") \
        + b"tail"


@pytest.mark.parametrize("archive", [True, False])
def test_killed_workers(daemon: Daemon, archive: bool) -> None:
    """Exact over many SIGKILLs, with an archive and without; the numbers
    wrap on the way."""
    port = free_port()
    numbers, counts = disturbed(8000, 1)
    more = {"archive": daemon.archive_conf()} if archive else {}
    daemon.start(channel(
        "one", port, payload={"sequence": {"offset": 4, "type": "u32be"}},
        **more))
    with Sender("127.0.0.1", port) as sender:
        # After each death the next start takes twice as long.
        chunk = len(numbers) // 4 + 1
        for n in range(0, len(numbers), chunk):
            pid = daemon.worker_pid("one")
            thread = SenderThread(sender, list(map(
                raw, numbers[n:n + chunk])), 20_000)
            wait_for(lambda: daemon.ledger("one")["received"] > n + 500,
                     "some received")
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("one", pid)
            thread.join()
        ledger = daemon.wait_received("one", len(numbers))
    assert ledger["kernel_dropped"] == 0
    assert counted(ledger) == counts
    assert counts["sequence_gaps"] > 100
    daemon.stop()


def test_field_of_two_sources(daemon: Daemon, source: Path) -> None:
    """Datums of an avro channel, several in a datagram; each source has its
    own numbers; what is rejected has none."""
    port = free_port()
    numbers, counts = disturbed(900, 2)
    datums = [accel.sample(n).encode() for n in numbers]
    sent = [b"".join(datums[n:n + 3]) for n in range(0, len(datums), 3)]
    daemon.start(channel(
        "one", port, archive=daemon.archive_conf(),
        payload={"format": "avro", "sequence": {"field": "counter"},
                 "schema": str(source / "etc/example/accel.avsc")}))
    broken = accel.sample(5_000_000).encode() + b"x"
    with Sender("127.0.0.1", port) as one, Sender("127.0.0.1", port) as two:
        for datagram in sent:
            one.send([datagram, broken])
            two.send([datagram])
        ledger = daemon.wait_received("one", 3 * len(sent))
    assert ledger["rejected"] == len(sent)
    assert counted(ledger) == {k: 2 * v for k, v in counts.items()}
    daemon.stop()


def test_reload(daemon: Daemon) -> None:
    """A change of something else goes on with the count: what is missing
    across the change is missing, what is not is not."""
    port = free_port()
    conf = channel("one", port, archive=daemon.archive_conf(),
                   payload={"sequence": {"offset": 4, "type": "u32be"}})
    daemon.start(conf)
    with Sender("127.0.0.1", port) as sender:
        sender.send(map(raw, range(100)))
        daemon.wait_received("one", 100)
        pid = daemon.worker_pid("one")
        daemon.write(conf | {"ring_size": "4MiB"})
        daemon.ctl("reload")
        wait_for(lambda: daemon.status("one")["pid"] not in (0, pid),
                 "a new worker")
        daemon.wait_running()
        sender.send(map(raw, range(103, 200)))
        ledger = daemon.wait_received("one", 197)
    assert counted(ledger) == {"sequence_gaps": 3, "sequence_repeats": 0,
                               "sequence_reordered": 0}
    daemon.stop()
