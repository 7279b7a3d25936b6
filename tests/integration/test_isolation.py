# SPDX-License-Identifier: ISC
"""One channel goes bad in every way; the others do not notice."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Iterator

import pytest

import gen
from daemon import Daemon, Programs, channel, output
from mounts import Mounts
from net import Receiver, Sender, free_port, numbered, safe_rate
from test_load import needs_buffer
from test_restart import libexec, script
from waiting import wait_for

RATE = 2000
BAD_S = 4.0     # how long the bad channel is bad


class Good:
    """A channel under load that must stay as it would be alone."""

    def __init__(self, daemon: Daemon, name: str = "good") -> None:
        self.daemon = daemon
        self.name = name
        self.port = free_port()
        self.relay, self.view = Receiver(), Receiver()
        self.sender = Sender("127.0.0.1", self.port)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._load, daemon=True)

    def _load(self) -> None:
        rate = safe_rate(0.2, RATE)
        while not self.over.is_set():
            self.sender.send(
                numbered(100, 200, first=len(self.sender.sent)), rate)

    def conf(self) -> dict[str, Any]:
        return channel(
            self.name, self.port,
            relay=[output("127.0.0.1", self.relay.port)],
            archive=self.daemon.archive_conf(),
            decimate=[{"name": "s", "method": "pick", "every": 10}
                      | output("127.0.0.1", self.view.port)])

    def begin(self) -> None:
        self.pid = self.daemon.worker_pid(self.name)
        self.thread.start()

    def check(self) -> None:
        """The load ends; all of it arrived everywhere, by the worker of
        the beginning."""
        assert self.thread.is_alive()
        self.over.set()
        self.thread.join(60)
        self.count = len(self.sender.sent)
        ledger = self.daemon.wait_received(self.name, self.count)
        assert ledger["received"] == ledger["archived"] == self.count
        for counter in ("kernel_dropped", "archive_shed", "relay_errors"):
            assert ledger[counter] == 0, ledger
        assert self.relay.wait(self.count) == self.sender.sent
        status = self.daemon.status(self.name)
        assert (status["pid"], status["restarts"]) == (self.pid, 0)

    def check_view(self) -> None:
        """The decimator missed nothing, either."""
        counts = self.daemon.status(self.name)["decimate"]["s"]
        assert (counts["in"], counts["missed"]) == (self.count, 0)
        assert self.view.wait(self.count // 10) == self.sender.sent[9::10]

    def check_files(self) -> None:
        assert self.daemon.payloads(self.name) == self.sender.sent

    def close(self) -> None:
        self.over.set()
        if self.thread.is_alive():
            self.thread.join(60)
        for each in (self.relay, self.view, self.sender):
            each.close()


@pytest.fixture
def good(daemon: Daemon) -> Iterator[Good]:
    made = Good(daemon)
    yield made
    made.close()


def bad_channel(daemon: Daemon, port: int, **more: Any) -> dict[str, Any]:
    return channel("bad", port, archive=daemon.archive_conf(), **more)


def test_crash_loop(daemon: Daemon, good: Good) -> None:
    daemon.start(bad_channel(daemon, free_port()), good.conf())
    good.begin()
    end = time.monotonic() + BAD_S
    killed: set[int] = set()
    while time.monotonic() < end:
        for pid, command in daemon.processes().items():
            if command == "mcrelay-worker" and pid != good.pid and \
                    pid not in killed:
                os.kill(pid, signal.SIGSEGV)
                killed.add(pid)
    assert len(killed) > 3
    good.check()
    good.check_view()
    status = daemon.status("bad")
    assert status["deaths"]["signalled"] == len(killed)
    daemon.wait_state("bad", "running", 40)
    daemon.stop()
    good.check_files()


def test_hang_with_full_socket(daemon: Daemon, good: Good) -> None:
    bad = free_port()
    daemon.start(bad_channel(daemon, bad, listen_receive_buffer="256KiB"),
                 good.conf())
    good.begin()
    pid = daemon.worker_pid("bad")
    os.kill(pid, signal.SIGSTOP)
    with Sender("127.0.0.1", bad) as sender:
        sender.send(numbered(6000, 100), 2000)
        good.check()
        good.check_view()
        os.kill(pid, signal.SIGCONT)
        daemon.wait_received("bad", 6000)
    daemon.stop()
    good.check_files()


def test_full_disk(daemon: Daemon, good: Good, mounts: Mounts) -> None:
    """The one with the full disk relays; the other stores as well."""
    small = mounts.add(daemon.directory / "small", "size=512k")
    bad = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", bad) as sender:
        daemon.start(
            channel("bad", bad, relay=[output("127.0.0.1", receiver.port)],
                    archive=daemon.archive_conf(directory=str(small)),
                    ring_size="256KiB"),
            good.conf())
        good.begin()
        sender.send(numbered(4000, 1000), 2000)
        assert receiver.wait(4000) == sender.sent
        wait_for(lambda: daemon.ledger("bad")["archive_shed"], "a full disk")
        good.check()
        good.check_view()
    daemon.stop(checks=False, status=1)
    good.check_files()


def test_flood_beside_two(daemon: Daemon, programs: Programs,
                          good: Good) -> None:
    """As much as one sender can send, into a small buffer."""
    needs_buffer()
    flooded = free_port()
    other = Good(daemon, "other")
    daemon.start(bad_channel(daemon, flooded, ring_size="1MiB",
                             listen_receive_buffer="256KiB"),
                 good.conf(), other.conf())
    for each in (good, other):
        each.begin()
    with gen.source(programs, "127.0.0.1", flooded, "-r", "0", "-t",
                    f"{BAD_S:g}s", "-b", "1000") as source:
        sent = source.result()["sent"]
    for each in (good, other):
        each.check()
    daemon.wait_received("bad", sent)
    daemon.stop()
    for each in (good, other):
        each.check_files()
    other.close()


def hostile(daemon: Daemon, programs: Programs) -> None:
    """From now on channel `bad' gets the vandal for a worker."""
    assert programs.libexec is not None
    vandal = programs.libexec / "tests/integration/vandal"
    if not vandal.exists():
        pytest.skip(f"no {vandal}: `make check' builds it")
    place = libexec(daemon)
    shutil.copy(vandal, place / "vandal")
    script(place / "mcrelay-worker",
           f'[ "$1" != bad ] || exec "{place}/vandal" "$@"\n'
           f'exec "{programs.libexec}/mcrelay-worker" "$@"\n')


def kill_bad(daemon: Daemon) -> None:
    """As soon as there is one, and it has been at work for a while."""
    pid = wait_for(lambda: daemon.status("bad")["pid"], "a process", 40)
    time.sleep(0.2)
    # What it scribbles over may be what it runs on: then it has gone already.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_hostile_neighbour(daemon: Daemon, programs: Programs,
                           good: Good) -> None:
    """Garbage all over its segment, a flood on its control socket: the
    supervisor answers, the decimator serves the other channel.  A reload
    brings the bad channel back, with a segment of its own."""
    with Receiver() as view, Sender("127.0.0.1", bad := free_port()) as s:
        hostile(daemon, programs)
        conf = bad_channel(daemon, bad, relay=[
            output("127.0.0.1", free_port())], decimate=[
                {"name": "s", "method": "pick", "every": 1}
                | output("127.0.0.1", view.port)])
        daemon.start(conf, good.conf())
        (decimator,) = daemon.wait_processes("mcrelay-decimator", 1)
        good.begin()
        for _ in range(4):
            s.send(numbered(10))
            assert daemon.try_status() is not None
            daemon.ctl("ledger")
            # The next one's decimator page has been scribbled on, too.
            kill_bad(daemon)
        good.check()
        good.check_view()
        assert daemon.wait_processes("mcrelay-decimator", 1) == [decimator]
        worker = daemon.directory / "libexec/mcrelay-worker"
        script(worker, f'exec "{programs.libexec}/mcrelay-worker" "$@"\n')

        def failed() -> bool:
            status = daemon.status("bad")
            # One that finds what it cannot use says so, if it is let.
            with suppress(ProcessLookupError):
                if status["pid"] and status["uptime_s"] >= 1:
                    os.kill(status["pid"], signal.SIGKILL)
            return status["state"] == "failed"
        wait_for(failed, "bad failed", 40)
        daemon.ctl("reload")
        daemon.wait_state("bad", "running")
        before = daemon.ledger("bad")["received"]
        s.send(numbered(100))
        # And what its socket had of before.
        wait_for(lambda: daemon.ledger("bad")["received"] >= before + 100,
                 "the bad channel at work", 10,
                 lambda: daemon.ledger("bad"))
    daemon.stop(checks=False)
    good.check_files()


def test_decimator_crash_loop(daemon: Daemon, good: Good) -> None:
    """Relay and archive do not notice; it says so."""
    place = libexec(daemon)
    daemon.start(good.conf())
    (pid,) = daemon.wait_processes("mcrelay-decimator", 1)
    script(place / "mcrelay-decimator", "exit 1\n")
    # Nobody takes what comes from now on, nor counts it.
    daemon.streams.clear()
    good.begin()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: daemon.log().count("decimator: next start in") > 3,
             "a crash loop", 20.0, daemon.log)
    good.check()
    daemon.stop(checks=False)
    good.check_files()
