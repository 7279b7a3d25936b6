# SPDX-License-Identifier: ISC
"""Channels that receive by io_uring."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon import Daemon, channel, output
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 numbered, safe_rate)
from no_uring import (SQPOLL, TO_RECEIVE, TO_WRITE, WITHOUT_URING,
                      needs_ring)
from test_archive import in_use
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


def polling(pid: int) -> list[set[int]]:
    """Of the kernel's threads that look for what the process submits: the
    CPUs on which each may be."""
    return [os.sched_getaffinity(int(task.name))
            for task in Path(f"/proc/{pid}/task").iterdir()
            if (task / "comm").read_text().startswith("iou-sqp-")]


@pytest.mark.parametrize("write,pinned", [
    ("buffered", False), ("direct", True)])
def test_polled(daemon: Daemon, write: str, pinned: bool) -> None:
    """A thread of the kernel's takes what is to be written: with killed
    workers, and without it and with it again by a reload, nothing is lost or
    doubled."""
    needs_ring(daemon, TO_WRITE | SQPOLL)
    rate = safe_rate(OUTAGE_S, 5000)
    port = free_port()
    cpus = os.sched_getaffinity(0)
    if pinned:
        cpus = {max(cpus)}
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        def polled(polls: bool) -> dict[str, Any]:
            more = {"sq_thread_cpu": max(cpus)} if pinned and polls else {}
            return conf(daemon, port, receiver, True, use_sqpoll=polls,
                        **more) | {"archive": daemon.archive_conf(
                            write=write)}

        def check(polls: bool) -> None:
            before = daemon.ledger("one")["archived"]
            wait_for(lambda: daemon.ledger("one")["archived"] > before,
                     "something archived", 10.0, daemon.log)
            assert daemon.status("one")["io"]["write"] == in_use(
                daemon, write + "_io_uring")
            assert polling(daemon.worker_pid("one")) == [cpus] * polls

        daemon.start(polled(True))
        thread = SenderThread(sender, endless(500), rate)
        check(True)
        for polls in (None, False, True, None):
            pid = daemon.worker_pid("one")
            if polls is None:
                os.kill(pid, signal.SIGKILL)
            else:
                daemon.write(polled(polls))
                daemon.ctl("reload")
            daemon.wait_new_worker("one", pid)
            check(polls is not False)
        thread.end()
        ledger = daemon.wait_received("one", len(sender.sent))
        assert ledger["kernel_dropped"] == ledger["archive_shed"] == 0
        assert receiver.wait(len(sender.sent)) == sender.sent
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def pinned_kib(pid: int) -> int:
    """What the kernel keeps in its place for rings."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmPin:")[1].split()[0])


def test_little_to_lock(daemon: Daemon) -> None:
    """Where buffers that are to be registered are more than may be locked,
    files are written without, by the ring all the same, but where that will
    not do."""
    port = free_port()

    def registered(**more: Any) -> dict[str, Any]:
        return channel("one", port, archive=daemon.archive_conf(), io_uring={
            "enabled": True, "use_registered_buffers": True, **more})

    with Sender("127.0.0.1", port) as sender:
        daemon.start(registered())
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        pid = daemon.worker_pid("one")
        # Others of this user may have them as well.
        if resource.prlimit(pid, resource.RLIMIT_MEMLOCK)[0] == \
                resource.RLIM_INFINITY:
            assert pinned_kib(pid) == 7 << 10
        # Who starts programs is one of them.
        for process in daemon.processes():
            resource.prlimit(process, resource.RLIMIT_MEMLOCK,
                             (1 << 20, 1 << 20))
        daemon.log_file.write_bytes(b"")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("one", pid)
        sender.send(numbered(100, first=100))
        daemon.wait_received("one", 200)
        assert pinned_kib(daemon.worker_pid("one")) == 0
        assert daemon.status("one")["io"]["write"] == "buffered_io_uring"
        said = "registering 7168 KiB with io_uring: more than RLIMIT_MEMLOCK"
        assert daemon.log().count(f"{said}: writes without") == 1
        daemon.write(registered(fallback_on_error=False))
        daemon.ctl("reload")
        daemon.wait_state("one", "failed")
        assert f"its last words: io_uring cannot be used: {said}" in \
            daemon.log()
        daemon.stop(checks=False)
    assert daemon.payloads("one") == sender.sent
