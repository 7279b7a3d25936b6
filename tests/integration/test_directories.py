# SPDX-License-Identifier: ISC
"""The archive's directory is moved, covered, unmounted, or not there yet: the
archive is where the configured path leads, or says that it is nowhere; each
datagram is stored once, or counted."""

from __future__ import annotations

import os
import re
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import avro_files
from daemon import Daemon, channel, output
from mounts import Mounts
from net import Receiver, Sender, SenderThread, free_port, numbered
from test_stream_archive import stream, wait_archived
from waiting import wait_for

RATE = 5000
COUNT = 20000


class Flow:
    """Numbered datagrams through a channel while its directory changes; every
    second one in a stream that has an archive beside it, if asked for."""

    def __init__(self, daemon: Daemon, ring_size: str = "16MiB",
                 view: bool = False, count: int = COUNT, **archive: Any) -> None:
        self.daemon = daemon
        self.receiver = Receiver()
        self.view = Receiver()
        self.viewed: list[bytes] = []
        self.view_ledger: dict[str, int] = {}
        self.seen: set[tuple[int, int]] = set()
        port = free_port()
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", self.receiver.port)],
            ring_size=ring_size,
            decimate=[stream("view", self.view, method="pick", every=2)]
            if view else [],
            archive=daemon.archive_conf(**({"flush_interval": "20ms"}
                                           | archive))))
        self.has_view = view
        self.sender = Sender("127.0.0.1", port)
        self.sent = numbered(count)
        self.thread = SenderThread(self.sender, self.sent, RATE)
        self.stored: list[bytes] = []

    def wait_files(self, directory: Path, name: str = "one") -> float:
        """Until something is written there; seconds."""
        start = time.monotonic()
        wait_for(lambda: list(directory.glob(f"{name}_*")), f"files in "
                 f"{directory}", 10.0, self.daemon.log)
        return time.monotonic() - start

    def reasons(self) -> list[str]:
        return [r["what"] for r in self.daemon.status("one")["reasons"]]

    def collect(self, directory: Path) -> None:
        """What was stored there."""
        assert not list(directory.glob("*.part"))
        for path in sorted(directory.glob("one_*.avro")):
            avro_files.by_python(path)
            self.stored += [d.payload for d in
                            avro_files.read_datagrams(path)]
        if self.has_view:
            self._collect_view(directory.parent / "one.view")

    def _collect_view(self, directory: Path) -> None:
        assert not list(directory.glob("*.part"))
        for path in sorted(directory.glob("one.view_*.avro")):
            status = path.stat()
            if (status.st_dev, status.st_ino) not in self.seen:
                self.viewed += [d.payload for d in
                                avro_files.read_datagrams(path)]
                self.seen.add((status.st_dev, status.st_ino))

    def finish(self) -> dict[str, int]:
        self.thread.join()
        self.sender.socket.close()
        ledger = self.daemon.wait_received("one", len(self.sent))
        assert self.receiver.wait(len(self.sent)) == self.sent
        self.receiver.__exit__(None, None, None)
        if self.has_view:
            self.view.wait(len(self.sent) // 2)
            wait_archived(self.daemon)
            self.view_ledger = self.daemon.ledger("one.view")
        self.view.__exit__(None, None, None)
        self.daemon.stop()
        return ledger


def all_once(flow: Flow, ledger: dict[str, int]) -> None:
    assert ledger["archive_shed"] == 0
    assert ledger["archived"] == ledger["received"] == COUNT
    assert flow.stored == flow.sent
    if flow.has_view:
        assert len(flow.viewed) == COUNT // 2
        assert flow.viewed == flow.view.datagrams


@pytest.mark.parametrize("what", ["channel", "base", "above"])
def test_moved(daemon: Daemon, what: str) -> None:
    """Nothing is lost, nothing goes to where nobody looks."""
    flow = Flow(daemon, view=True, directory=str(daemon.archive / "a/b"))
    place = daemon.archive / "a/b/one"
    flow.wait_files(place)
    moved = {"channel": place, "base": place.parent,
             "above": place.parent.parent}[what]
    aside = daemon.archive / "moved"
    moved.rename(aside)
    seconds = flow.wait_files(place)
    print(f"{what} directory moved: files in the new one after "
          f"{seconds:.3f} s")
    before = [p.name for p in sorted(aside.rglob("one_*.avro"))]
    ledger = flow.finish()
    old = aside / place.relative_to(moved)
    assert [p.name for p in sorted(old.glob("one_*.avro"))] == before
    flow.collect(old)
    flow.collect(place)
    all_once(flow, ledger)
    assert "was removed, moved or covered: goes on in" in daemon.log()


def test_replaced_by_link(daemon: Daemon, tmp_path: Path) -> None:
    """A link that only root can have made: the archive is where it leads."""
    flow = Flow(daemon, view=True)
    place = daemon.archive / "one"
    flow.wait_files(place)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place.rename(daemon.archive / "moved")
    place.symlink_to(elsewhere)
    flow.wait_files(elsewhere)
    ledger = flow.finish()
    flow.collect(daemon.archive / "moved")
    flow.collect(elsewhere)
    all_once(flow, ledger)


@pytest.mark.parametrize("how", ["covered", "swapped"])
def test_other_disk(daemon: Daemon, mounts: Mounts, how: str) -> None:
    """Another file system is mounted there, over the first or instead."""
    first = mounts.add(daemon.archive)
    flow = Flow(daemon, view=True)
    flow.wait_files(first / "one")
    old = os.open(first, os.O_RDONLY)
    if how == "swapped":
        mounts.remove(first)
    mounts.add(daemon.archive)
    seconds = flow.wait_files(daemon.archive / "one")
    print(f"disk {how}: files on the new one after {seconds:.3f} s")
    ledger = flow.finish()
    new = os.open(daemon.archive, os.O_RDONLY)
    mounts.remove(daemon.archive)
    flow.collect(Path(f"/proc/self/fd/{old}/one"))
    # Between the two there was the directory below them.
    if how == "swapped" and (daemon.archive / "one").exists():
        flow.collect(daemon.archive / "one")
    flow.collect(Path(f"/proc/self/fd/{new}/one"))
    os.close(old)
    os.close(new)
    all_once(flow, ledger)


def test_mount_is_waited_for(daemon: Daemon, mounts: Mounts) -> None:
    """The relay runs meanwhile; not a byte goes to the file system below, and
    the archive is taken up by itself, again and again."""
    daemon.archive.mkdir()
    count = 2 * COUNT
    # The stream must have all of it: room for a decimator that is late.
    flow = Flow(daemon, ring_size="1MiB", view=True, count=count,
                require_mount=str(daemon.archive))
    for name in ("one", "one.view"):
        # Its decimator may begin later.
        wait_for(lambda: daemon.status(name)["reasons"][0]["what"] ==
                 "archive_away", "the reason", detail=daemon.log)
        assert daemon.status(name)["state"] == "degraded"
        wait_for(lambda: daemon.ledger(name)["archive_shed"] > 0, "shedding",
                 10.0, daemon.log)
    assert not list(daemon.archive.iterdir())
    mounts.add(daemon.archive)
    seconds = flow.wait_files(daemon.archive / "one")
    print(f"mounted: files after {seconds:.3f} s")
    wait_for(lambda: "archive_away" not in flow.reasons(), "no complaint")
    flow.wait_files(daemon.archive / "one.view", "one.view")
    old = os.open(daemon.archive, os.O_RDONLY)
    mounts.remove(daemon.archive)
    wait_for(lambda: "archive_away" in flow.reasons(), "the disk missed", 10.0,
             daemon.log)
    assert not list(daemon.archive.iterdir())
    mounts.add(daemon.archive)
    flow.wait_files(daemon.archive / "one")
    ledger = flow.finish()
    view = flow.view_ledger
    flow.collect(Path(f"/proc/self/fd/{old}/one"))
    os.close(old)
    flow.collect(daemon.archive / "one")
    assert len(flow.viewed) == view["archived"] > 0
    assert view["archived"] + view["archive_shed"] == count // 2
    assert sorted(set(flow.viewed)) == sorted(flow.viewed)
    assert set(flow.viewed) <= set(flow.view.datagrams)
    assert len(flow.stored) == ledger["archived"] > 0
    assert ledger["archived"] + ledger["archive_shed"] == count
    assert sorted(set(flow.stored)) == sorted(flow.stored)
    assert set(flow.stored) <= set(flow.sent)
    mounts.remove(daemon.archive)
    assert not list(daemon.archive.iterdir())
    for name in ("one", "one.view"):
        said = f"channel {name}: {daemon.archive} is not mounted: until"
        assert daemon.log().count(f"{said} it is") == 1
        assert daemon.log().count(f"{said} that") == 1
        assert daemon.log().count(f"channel {name}: its archive directory is "
                                  "there again") == 2


def test_in_the_way(daemon: Daemon) -> None:
    """A file where the directory should be: shed, said; then it is over."""
    flow = Flow(daemon, ring_size="256KiB")
    place = daemon.archive / "one"
    flow.wait_files(place)
    place.rename(daemon.archive / "moved")
    place.write_text("in the way")
    wait_for(lambda: "archive_away" in flow.reasons(), "the reason", 10.0,
             daemon.log)
    reason = daemon.status("one")["reasons"][0]
    assert reason["what"] == "archive_away"
    assert "Not a directory" in reason["detail"]
    wait_for(lambda: daemon.ledger("one")["archive_shed"] > 0, "shedding",
             10.0, daemon.log)
    place.unlink()
    flow.wait_files(place)
    ledger = flow.finish()
    flow.collect(daemon.archive / "moved")
    flow.collect(place)
    assert len(flow.stored) == ledger["archived"]
    assert ledger["archived"] + ledger["archive_shed"] == COUNT


def test_stopped_without_disk(daemon: Daemon) -> None:
    daemon.archive.mkdir()
    flow = Flow(daemon, view=True, require_mount=str(daemon.archive))
    flow.thread.join()
    flow.sender.socket.close()
    for name, count in (("one", COUNT), ("one.view", COUNT // 2)):
        wait_for(lambda: daemon.ledger(name)["received"] == count, "all")
    pending = {n: daemon.ledger(n)["pending"] for n in ("one", "one.view")}
    assert pending["one"] == COUNT
    daemon.stop(checks=False, status=1)
    for name in ("one", "one.view"):
        said = re.search(rf"\[{name}\]: the archive could not store (\d+) "
                         "datagrams before its end", daemon.log())
        # Of the stream, whose ring is small, more may have been given up.
        assert said and 0 < int(said[1]) <= pending[name]
        assert name != "one" or int(said[1]) == COUNT
    assert not list(daemon.archive.iterdir())


def test_path_of_mount(daemon: Daemon) -> None:
    daemon.write(channel("one", free_port(), archive=daemon.archive_conf(
        require_mount="/elsewhere")))
    done = daemon.check()
    assert done.returncode == 1
    assert "`require_mount: /elsewhere' is not `directory', nor above it" \
        in done.stderr


def test_room_despite_one(daemon: Daemon, mounts: Mounts) -> None:
    """A channel that has the oldest files and removes none does not keep the
    others from making room."""
    mounts.add(daemon.archive)
    ports = [free_port(), free_port()]
    daemon.start(*(channel(name, port, archive=daemon.archive_conf(
        flush_interval="20ms", min_free="40MiB", rotate={"size": "1MiB"}))
        for name, port in (("fast", ports[0]), ("stuck", ports[1]))))
    with Sender("127.0.0.1", ports[0]) as fast, \
            Sender("127.0.0.1", ports[1]) as stuck:
        for files in (1, 2, 3):
            stuck.send(numbered(3, 100, len(stuck.sent)))
            wait_for(lambda: daemon.ledger("stuck")["archived"]
                     == len(stuck.sent), "records")
            daemon.ctl("rotate", "stuck")
            wait_for(lambda: len(avro_files.files(daemon.archive, "stuck"))
                     == files, "a file")
        pid = daemon.worker_pid("stuck")
        os.kill(pid, signal.SIGSTOP)
        try:
            fast.send(numbered(80000, 1000), 8000)
            ledger = daemon.wait_received("fast", 80000)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert ledger["archive_shed"] == 0
    assert "removed fast_" in daemon.log()
    daemon.stop()


def test_room_for_all(daemon: Daemon, mounts: Mounts) -> None:
    """Two channels on one disk with little room: the one that fills it does
    not cost the other what is younger than what it keeps itself."""
    mounts.add(daemon.archive)
    ports = [free_port(), free_port()]
    daemon.start(*(channel(name, port, archive=daemon.archive_conf(
        flush_interval="20ms", min_free="40MiB", rotate={"size": size}))
        for name, port, size in (("fast", ports[0], "1MiB"),
                                 ("slow", ports[1], "64KiB"))))
    ended: dict[str, float] = {}

    def look() -> dict[str, float]:
        found = {}
        for path in daemon.archive.glob("*/*.avro"):
            try:
                found[path.name] = path.stat().st_mtime
            except FileNotFoundError:
                pass
        ended.update(found)
        return found

    with Sender("127.0.0.1", ports[0]) as fast, \
            Sender("127.0.0.1", ports[1]) as slow:
        thread = SenderThread(fast, numbered(60000, 1000), 10000)
        while thread.busy():
            slow.send(numbered(3, 100, len(slow.sent)))
            time.sleep(0.2)
            daemon.ctl("rotate", "slow")
            look()
        thread.join()
        daemon.wait_received("fast", 60000)

    def room() -> bool:
        st = os.statvfs(daemon.archive)
        return st.f_bavail * st.f_frsize >= 40 << 20
    wait_for(room, "as much free as is asked for", 15.0, daemon.log)
    left = look()
    fast_left = [t for n, t in left.items() if n.startswith("fast")]
    slow_lost = [t for n, t in ended.items()
                 if n.startswith("slow") and n not in left]
    slow_left = [n for n in left if n.startswith("slow")]
    print(f"of {len(ended)} files {len(left)} are left, {len(slow_left)} of "
          f"slow, which lost {len(slow_lost)}")
    assert len(ended) - len(left) > 10
    assert len(slow_left) > 3
    assert slow_lost and max(slow_lost) <= min(fast_left)
    assert daemon.ledger("fast")["archive_shed"] == 0
    daemon.stop()


def test_no_descriptors(daemon: Daemon) -> None:
    """A supervisor that can open nothing, not even to look where the archive
    is, leaves everybody alone who works."""
    flow = Flow(daemon)
    flow.wait_files(daemon.archive / "one")
    worker = daemon.worker_pid("one")
    supervisor = daemon.find_background()
    limits = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    # What is open stays open; the flow takes seconds.
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, limits[1]))
    flow.thread.join()
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
    assert daemon.worker_pid("one") == worker
    assert daemon.status("one")["restarts"] == 0
    ledger = flow.finish()
    flow.collect(daemon.archive / "one")
    all_once(flow, ledger)
