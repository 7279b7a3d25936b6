# SPDX-License-Identifier: ISC
"""Decimated streams, their values checked against our own calculation."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import probe
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port, group_v4, numbered
from waiting import wait_for

METHODS = ["pick", "mean", "minmax", "rms"]


def stream(name: str, method: str, every: int, receiver: Receiver
           ) -> dict[str, Any]:
    return {"name": name, "method": method, "every": every} | \
        output(receiver.address, receiver.port)


def probe_conf(directory: Path) -> dict[str, str]:
    (directory / "probe.avsc").write_text(probe.SCHEMA)
    return {"format": "avro", "schema": "probe.avsc"}


@pytest.mark.parametrize("every", [1, 7, 10])
def test_values(daemon: Daemon, every: int) -> None:
    """All four methods, several streams of one channel; datagrams of one
    and of several datums, so that windows end inside a datagram."""
    port = free_port()
    datums = probe.datums(400)
    datagrams = []
    at = 0
    while at < len(datums):
        size = 1 + at % 3
        datagrams.append(b"".join(map(probe.encode, datums[at:at + size])))
        at += size
    with ExitStack() as stack:
        to = {m: stack.enter_context(Receiver(group_v4())) for m in METHODS}
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            archive=daemon.archive_conf(),
            decimate=[stream(m, m, every, to[m]) for m in METHODS]))
        sender = stack.enter_context(Sender("127.0.0.1", port))
        sender.send(datagrams, 2000)
        daemon.wait_received("one", len(datagrams))
        for method in METHODS:
            expected = probe.decimated(datums, method, every)
            got = [probe.decode(d) for d in to[method].wait(len(expected))]
            assert len(got) == len(expected), method
            for ours, theirs in zip(expected, got):
                assert probe.same(ours, theirs), \
                    f"{method}: expected {ours}, got {theirs}"
        counts = daemon.status("one")["decimate"]
        for method in METHODS:
            assert counts[method] == counts[method] | {
                "in": len(datagrams), "missed": 0,
                "out": len(probe.decimated(datums, method, every))}


def test_pick_is_verbatim(daemon: Daemon) -> None:
    port = free_port()
    datums = [probe.encode(d) for d in probe.datums(100)]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            decimate=[stream("s", "pick", 4, receiver)]))
        sender.send(datums)
        assert receiver.wait(25) == datums[3::4]


def test_raw_pick(daemon: Daemon) -> None:
    """A raw channel's windows are of datagrams."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, decimate=[stream("s", "pick", 10, receiver)]))
        sender.send(numbered(1005, 300))
        daemon.wait_received("one", 1005)
        assert receiver.wait(100) == sender.sent[9:1000:10]


def test_bad_datums_are_skipped(daemon: Daemon) -> None:
    """They are relayed and kept aside, but no display sees them."""
    port = free_port()
    datums = [probe.encode(d) for d in probe.datums(40)]
    bad = [datums[0][:-1], datums[0] + b"\0", b"", b"\xff" * 30]
    mixed = []
    for n, datum in enumerate(datums):
        mixed += [datum, bad[n % len(bad)]]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            archive=daemon.archive_conf(),
            decimate=[stream("s", "pick", 1, receiver)]))
        sender.send(mixed, 2000)
        assert daemon.wait_received("one", 80)["rejected"] == 40
        assert receiver.wait(40) == datums


def test_decimator_killed_and_stopped(daemon: Daemon) -> None:
    """Relay and archive do not notice; it comes back and goes on."""
    port = free_port()
    with Receiver() as view, Receiver() as relay, \
            Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", relay.port)],
            archive={**daemon.archive_conf(), "on_overrun": "block"},
            ring_size="256KiB",
            decimate=[stream("s", "pick", 1, view)]))
        (pid,) = daemon.wait_processes("mcrelay-decimator", 1)
        sender.send(numbered(100))
        view.wait(100)
        os.kill(pid, signal.SIGSTOP)
        # Far more than the ring holds: it must be lapped.
        sender.send(numbered(1000, 1000, 100), 4000)
        daemon_counts(daemon, relay, sender)
        os.kill(pid, signal.SIGCONT)
        counts = wait_for(lambda: caught_up(daemon, 1100), "caught up")
        assert 0 < counts["missed"] < 1000
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: daemon.wait_processes(
            "mcrelay-decimator", 1) != [pid], "a new decimator")
        sender.send(numbered(100, first=1100))
        daemon_counts(daemon, relay, sender)
        wait_for(lambda: caught_up(daemon, 1200), "caught up again")
        wait_for(lambda: sender.sent[-1] in view.datagrams[-1:],
                 "the last datagram in the display")
        assert len(set(view.datagrams)) == len(view.datagrams)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def daemon_counts(daemon: Daemon, relay: Receiver, sender: Sender) -> None:
    assert relay.wait(len(sender.sent)) == sender.sent
    wait_for(lambda: daemon.ledger("one")["archived"] == len(sender.sent),
             "all archived")


def caught_up(daemon: Daemon, received: int) -> dict[str, int] | None:
    counts = daemon.status("one")["decimate"]["s"]
    return counts if counts["in"] + counts["missed"] == received else None
