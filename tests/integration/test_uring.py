# SPDX-License-Identifier: ISC
"""Channels that receive by io_uring."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

from daemon import Daemon, channel, output
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 numbered, safe_rate)
from no_uring import TO_RECEIVE, WITHOUT_URING, needs_ring
from waiting import wait_for

OUTAGE_S = 0.5


def without_uring(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    command = daemon.command
    monkeypatch.setattr(daemon, "command", lambda *options: [
        sys.executable, "-c", WITHOUT_URING, *command(*options)])


@pytest.fixture(autouse=True)
def kernel(daemon: Daemon) -> None:
    needs_ring(daemon, TO_RECEIVE)


def conf(daemon: Daemon, port: int, receiver: Receiver, enabled: bool,
         **more: Any) -> dict[str, Any]:
    return channel("one", port, relay=[output("127.0.0.1", receiver.port)],
                   archive=daemon.archive_conf(),
                   io_uring={"enabled": enabled, **more})


def received_by(daemon: Daemon) -> str:
    return daemon.status("one")["io"]["receive"]


def test_killed_under_load(daemon: Daemon) -> None:
    rate = safe_rate(OUTAGE_S, 10000)
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(conf(daemon, port, receiver, True))
        assert received_by(daemon) == "io_uring"
        thread = SenderThread(sender, endless(120), rate)
        pid = daemon.worker_pid("one")
        for _ in range(2):
            wait_for(lambda: daemon.status("one")["uptime_s"] >= 1,
                     "a worker that is up")
            os.kill(pid, signal.SIGKILL)
            pid = daemon.wait_new_worker("one", pid)
        thread.end()
        count = len(sender.sent)
        ledger = daemon.wait_received("one", count)
        assert ledger["kernel_dropped"] == 0
        assert receiver.wait(count) == sender.sent
        assert received_by(daemon) == "io_uring"
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_changed_under_load(daemon: Daemon) -> None:
    """From sockets to io_uring and back by reloads: nothing is lost."""
    rate = safe_rate(OUTAGE_S, 10000)
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(conf(daemon, port, receiver, False))
        thread = SenderThread(sender, endless(120), rate)
        for enabled, way in ((True, "io_uring"), (False, "socket"),
                             (True, "io_uring")):
            daemon.write(conf(daemon, port, receiver, enabled))
            daemon.ctl("reload")
            wait_for(lambda way=way: daemon.status("one")["state"] ==
                     "running" and received_by(daemon) == way,
                     f"receiving by {way}")
        thread.end()
        count = len(sender.sent)
        ledger = daemon.wait_received("one", count)
        assert ledger["kernel_dropped"] == 0
        assert receiver.wait(count) == sender.sent
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


# A worker of its own, and one that channels share.
each_worker = pytest.mark.parametrize("more", [{}, {"worker": "slow"}],
                                      ids=["own", "shared"])
WORKERS = [{"name": "slow"}]


@each_worker
def test_falls_back(daemon: Daemon, monkeypatch: pytest.MonkeyPatch,
                    more: dict[str, Any]) -> None:
    """Said once, not by each worker; and -n says it, too."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        without_uring(daemon, monkeypatch)
        daemon.write(conf(daemon, port, receiver, True) | more,
                     workers=WORKERS)
        assert "channel one receives by sockets: io_uring cannot be used " \
            "(io_uring_setup: not allowed" in daemon.check().stdout
        daemon.start()
        for _ in range(2):
            sender.send(numbered(100, first=len(sender.sent)))
            daemon.wait_received("one", len(sender.sent))
            io = daemon.status("one")["io"]
            assert (io["receive"], io["write"], io["write_fallback"]) == (
                "socket", "buffered", True)
            assert daemon.log().count("io_uring cannot be used") == 1
            pid = daemon.worker_pid("one")
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("one", pid)
        assert receiver.wait(200) == sender.sent
        assert daemon.log().count("io_uring cannot be used") == 1
        daemon.stop()


@each_worker
def test_refuses_to_fall_back(daemon: Daemon, monkeypatch: pytest.MonkeyPatch,
                              more: dict[str, Any]) -> None:
    """And takes no other channel with it."""
    port = free_port()
    with Receiver() as receiver:
        without_uring(daemon, monkeypatch)
        daemon.write(conf(daemon, port, receiver, True,
                          fallback_on_error=False) | more,
                     channel("two", free_port(), **more), workers=WORKERS)
        daemon.launch()
        wait_for(daemon.try_status, "a daemon that answers")
        daemon.wait_state("one", "failed")
        daemon.wait_state("two", "running")
        assert "io_uring cannot be used: io_uring_setup: not allowed" in \
            daemon.log()
        daemon.stop(checks=False)
