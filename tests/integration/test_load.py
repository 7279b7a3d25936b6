# SPDX-License-Identifier: ISC
"""Load from mcrelay-gen: nothing lost, nothing doubled, nothing changed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import avro_files
import gen
from daemon import Daemon, Programs, channel, output
from net import free_port, group_v4, receive_budget
from waiting import wait_for

pytestmark = pytest.mark.alone

SMALL_BUFFER = 3000     # datagrams; less is not a machine set up for this


def needs_buffer() -> None:
    if receive_budget() < SMALL_BUFFER:
        pytest.skip("needs root or net.core.rmem_max of 16 MiB "
                    "for a receive buffer that holds a burst")


@pytest.mark.parametrize("how", ["singly", "coalesced"])
def test_sixty_thousand_a_second(daemon: Daemon, programs: Programs,
                                 how: str) -> None:
    needs_buffer()
    port, group = free_port(), group_v4()
    count = 180000
    with gen.sink(programs, group, "-i", "lo", "-n", str(count),
                  "-I", "10s") as sink:
        daemon.start(channel(
            "one", port, relay=[output(group, sink.port)],
            archive=daemon.archive_conf(), ring_size="32MiB"))
        with gen.source(programs, "127.0.0.1", port, "-r", "60000", "-n",
                        str(count), "-b", "200",
                        *(["-c"] if how == "coalesced" else [])) as source:
            sent = source.result()
        assert sent["sent"] == count
        seen = sink.result()
        ledger = daemon.wait_received("one", count)
    assert ledger["received"] == ledger["archived"] == count, ledger
    assert seen["received"] == count
    assert seen["lost"] == seen["doubled"] == seen["reordered"] == 0
    assert seen["corrupt"] == 0
    daemon.stop()
    numbers = [gen.sequence(p) for p in daemon.payloads("one")]
    assert numbers == list(range(count))


def test_datums_of_a_schema(daemon: Daemon, programs: Programs,
                            source: Path) -> None:
    """mcrelay-gen's datums are valid: none is rejected, and a reader that
    others wrote reads them all."""
    port = free_port()
    schema = source / "etc/example/accel.avsc"
    daemon.start(channel("one", port, payload={
        "format": "avro", "schema": str(schema)},
        archive=daemon.archive_conf()))
    with gen.source(programs, "127.0.0.1", port, "-S", str(schema), "-D", "2",
                    "-r", "2000", "-n", "4000") as run:
        assert run.result()["sent"] == 4000
    ledger = daemon.wait_received("one", 4000)
    assert (ledger["received"], ledger["rejected"]) == (4000, 0)
    daemon.stop()
    records = [r for path in avro_files.files(daemon.archive, "one")
               for r in avro_files.by_python(path)]
    assert [r["counter"] for r in records] == list(range(8000))
    assert len({r["x"] for r in records}) > 100


@pytest.mark.linux("a socket's drops are not known")
def test_flood(daemon: Daemon, programs: Programs) -> None:
    """More than the channel can take: every datagram accounted for, and
    the other channel loses nothing."""
    needs_buffer()
    flooded, quiet = free_port(), free_port()
    daemon.start(
        channel("flooded", flooded, listen_receive_buffer="256KiB",
                archive=daemon.archive_conf(), ring_size="1MiB"),
        channel("quiet", quiet, archive=daemon.archive_conf()))
    with gen.source(programs, "127.0.0.1", flooded, "-r", "0", "-t", "2s",
                    "-b", "1000") as flood, \
            gen.source(programs, "127.0.0.1", quiet, "-r", "500", "-t",
                       "2s") as calm:
        sent_flood = flood.result()["sent"]
        sent_calm = calm.result()["sent"]
    assert daemon.wait_received("quiet", sent_calm)["received"] == sent_calm
    ledger = daemon.wait_received("flooded", sent_flood)
    assert ledger["received"] > 0
    daemon.stop()
    numbers = [gen.sequence(p) for p in daemon.payloads("flooded")]
    assert len(numbers) == ledger["archived"]
    assert numbers == sorted(set(numbers))


def test_killed_at_speed(daemon: Daemon, programs: Programs) -> None:
    """SIGKILL at 30 000 datagrams/s, coalesced: the sink, the ledger and
    the archive all say that nothing is missing."""
    needs_buffer()
    port, group = free_port(), group_v4()
    count = 240000
    with gen.sink(programs, group, "-i", "lo", "-n", str(count),
                  "-I", "10s") as sink:
        daemon.start(channel(
            "one", port, relay=[output(group, sink.port)],
            listen_receive_buffer="128MiB",
            archive=daemon.archive_conf(), ring_size="32MiB"))
        with gen.source(programs, "127.0.0.1", port, "-r", "30000", "-n",
                        str(count), "-b", "300", "-c") as source:
            for _ in range(3):
                # One that was up for so long is followed at once.
                wait_for(lambda: daemon.status("one")["uptime_s"] >= 2,
                         "a healthy worker")
                pid = daemon.worker_pid("one")
                os.kill(pid, signal.SIGKILL)
                daemon.wait_new_worker("one", pid)
            assert source.result()["sent"] == count
        seen = sink.result()
        ledger = daemon.wait_received("one", count)
    assert ledger["received"] == ledger["archived"] == count, ledger
    assert seen["lost"] == seen["corrupt"] == 0, seen
    assert seen["doubled"] <= daemon.programs.repeats(3), seen
    daemon.stop()
    numbers = [gen.sequence(p) for p in daemon.payloads("one")]
    assert numbers == list(range(count))
