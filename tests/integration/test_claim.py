# SPDX-License-Identifier: ISC
"""Two daemons that are told of one archive directory: it is one's."""

from __future__ import annotations

import os
import signal
from typing import Any, Callable

import pytest

from daemon import Daemon, channel, debug, let_go
from net import Sender, free_port, numbered
from waiting import wait_for


class Pair:
    """The first has the directory of the channel `one', the second wants
    it."""

    def __init__(self, make: Callable[..., Daemon]) -> None:
        self.first, self.second = make("first"), make("second")
        self.second.archive = self.first.archive
        self.ports = [free_port(), free_port()]
        self.other = channel("two", free_port(),
                             archive=self.second.archive_conf())
        self.first.start(self.conf(0))
        # The log goes to a file of each one's own.
        self.second.write(self.conf(1), self.other)
        self.second.launch()
        wait_for(self.second.try_status, "an answer")
        self.second.wait_state("two", "running")

    def conf(self, which: int, **more: Any) -> dict[str, Any]:
        return channel("one", self.ports[which],
                       archive=self.first.archive_conf()) | more

    def reason(self) -> str:
        """Why the second's channel waits."""
        status = self.second.wait_state("one", "waiting")
        assert [r["what"] for r in status["reasons"]] == ["archive_in_use"]
        return status["reasons"][0]["detail"]

    def check_waits(self) -> None:
        """It has looked again, and still does."""
        # A reload tries all that wait before it answers.
        self.second.ctl("reload")
        assert self.first.process is not None
        assert self.reason() == \
            f"the archive directory is in use by process " \
            f"{self.first.process.pid}: {self.first.archive}/one"
        assert "channel one: process" not in self.second.log()

    def send(self, which: int, first: int) -> list[bytes]:
        daemon = (self.first, self.second)[which]
        before = daemon.ledger("one")["received"]
        with Sender("127.0.0.1", self.ports[which]) as sender:
            sender.send(numbered(100, first=first))
            daemon.wait_received("one", before + 100)
            return sender.sent


@pytest.fixture
def pair(make_daemon: Callable[..., Daemon]) -> Pair:
    return Pair(make_daemon)


def test_second_waits(pair: Pair) -> None:
    """Until the first has ended; the other channel runs."""
    pair.check_waits()
    said = f"channel one waits: {pair.reason()}"
    assert pair.second.log().count(said) == 1
    sent = pair.send(0, 0)
    pair.first.stop()
    pair.second.wait_state("one", "running")
    sent += pair.send(1, 100)
    pair.second.stop()
    assert sorted(pair.second.payloads("one")) == sorted(sent)


def test_lock_is_kept(pair: Pair) -> None:
    """Over a worker's death, reloads and an upgrade."""
    first = pair.first
    old = first.worker_pid("one")
    os.kill(old, signal.SIGKILL)
    first.wait_new_worker("one", old)
    pair.check_waits()
    first.write(pair.conf(0, ring_size="16MiB"))
    first.ctl("reload")
    first.wait_running()
    pair.check_waits()
    first.ctl("upgrade")
    first.wait_log("all processes are of version")
    pair.check_waits()
    first.write(pair.conf(0, ring_size="4MiB"))
    first.ctl("reload")
    first.wait_running()
    pair.check_waits()
    sent = pair.send(0, 0)
    first.stop()
    pair.second.wait_state("one", "running")
    pair.second.stop()
    assert pair.second.payloads("one") == sent


def test_worker_keeps_it(pair: Pair) -> None:
    """One whose supervisor was killed may have to finish its files."""
    first = pair.first
    assert first.process is not None
    worker = first.worker_pid("one")
    debug(worker)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(10)
    first.process = None
    # Looked at again since: who took the lock has ended.
    wait_for(lambda: "by another process" in pair.reason(), "the news")
    let_go(worker)
    pair.second.wait_state("one", "running")
    for path in first.run_dir.iterdir():
        path.unlink()


def test_stopped_channel_lets_go(pair: Pair) -> None:
    pair.first.ctl("stop", "one")
    pair.second.wait_state("one", "running")
    pair.first.ctl("start", "one", check=False)
    status = pair.first.wait_state("one", "waiting")
    assert status["reasons"][0]["what"] == "archive_in_use"
    # Nor does it take it while it stays stopped.
    pair.second.ctl("stop", "one")
    pair.first.wait_state("one", "running")
    pair.first.ctl("stop", "one")
    pair.first.write(pair.conf(0, ring_size="16MiB"))
    pair.first.ctl("reload")
    pair.first.ctl("upgrade")
    pair.second.ctl("start", "one")
    pair.second.wait_state("one", "running")
    assert pair.first.status("one")["state"] == "stopped"


def test_another_directory(pair: Pair) -> None:
    """Both go on when one is given another."""
    place = pair.first.directory / "elsewhere"
    pair.second.write(pair.conf(1) | {"archive": {
        "directory": str(place), "flush_interval": "100ms"}}, pair.other)
    pair.second.ctl("reload")
    pair.second.wait_state("one", "running")
    assert (place / "one").is_dir()
    # The first moves there when it is free again, and leaves its own.
    pair.first.write(pair.conf(0) | {"archive": {
        "directory": str(place), "flush_interval": "100ms"}})
    pair.first.ctl("reload", check=False)
    pair.second.ctl("stop", "one")
    pair.first.wait_state("one", "running")
    pair.second.write(pair.conf(1), pair.other)
    pair.second.ctl("reload")
    pair.second.ctl("start", "one")
    pair.second.wait_state("one", "running")


def test_one_directory_by_two_names(daemon: Daemon) -> None:
    """Within one daemon, too."""
    (daemon.archive / "one").mkdir(parents=True)
    (daemon.archive / "two").symlink_to("one")
    daemon.write(*(channel(name, free_port(), archive=daemon.archive_conf())
                   for name in ("one", "two")))
    daemon.launch()
    wait_for(daemon.try_status, "an answer")
    daemon.wait_state("one", "running")
    status = daemon.wait_state("two", "waiting")
    assert status["reasons"][0]["what"] == "archive_in_use"
