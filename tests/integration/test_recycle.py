# SPDX-License-Identifier: ISC
"""Files whose time is over, written again: readers of either never see the
other's data, and kills lose and double nothing."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import avro_files
import pytest
from daemon import Daemon, channel
from net import Sender, SenderThread, free_port, numbered
from no_uring import needs_ring
from test_archive import in_use
from test_cat_follow import Follower
from test_faults import Faults, faults, library     # noqa: F401
from waiting import wait_for

BY_CALLS = ["buffered", "direct", "mmap"]
RING = "_io_uring"
WAYS = [*BY_CALLS, "buffered" + RING, "direct" + RING]
RATE = 4000
SIZE = 700
SPARE = b"mcrelay: no archive, but room for one\n"


def recycled(daemon: Daemon, port: int, write: str = "buffered",
             **more: Any) -> dict[str, Any]:
    """A channel whose files are recycled."""
    if write.endswith(RING):
        needs_ring(daemon)
    return channel("one", port, io_uring={"enabled": write.endswith(RING)},
                   listen_receive_buffer="64MiB",
                   archive=daemon.archive_conf(
                       block_size="4KiB", rotate={"size": "256KiB"},
                       retain={"files": 6}, recycle=True,
                       write=write.removesuffix(RING)) | more)


@pytest.mark.parametrize("write", BY_CALLS)
def test_kills(daemon: Daemon, tmp_path: Path, write: str) -> None:
    """Workers killed while old files are written over; every finished file is
    whole, and together they hold each datagram once."""
    port = free_port()
    copies = tmp_path / "copies" / "one"
    copies.mkdir(parents=True)
    # What waited for a worker goes into many files at once; each is there long
    # enough to be copied.
    daemon.start(recycled(daemon, port, write, retain={"files": 24}))
    with avro_files.Collector(daemon.archive / "one", copies) as collector:
        with Sender("127.0.0.1", port) as sender:
            load = SenderThread(sender, numbered(8 * RATE, SIZE), RATE)
            while load.busy():
                time.sleep(1.1)
                old = daemon.worker_pid("one")
                os.kill(old, signal.SIGKILL)
                daemon.wait_new_worker("one", old)
            load.join()
            daemon.wait_received("one", len(sender.sent))
            daemon.stop()
    assert avro_files.archived_payloads(copies.parent, "one") == sender.sent
    assert collector.recycled > collector.copied / 3, (
        collector.copied, collector.recycled)
    for path in sorted(copies.iterdir())[::10]:
        avro_files.by_python(path)


FAULTS = [("pwritev", errno.ENOSPC), ("pwritev", errno.EIO),
          ("fdatasync", errno.EIO), ("ftruncate", errno.EIO),
          ("renameat2", errno.EIO)]
BY_RING = FAULTS[1:3]       # what a ring does


@pytest.mark.parametrize("call,error,write", [
    (*fault, write) for write in WAYS for fault in
    (FAULTS if write in BY_CALLS else BY_RING)],
    ids=lambda v: errno.errorcode[v] if isinstance(v, int) else v)
def test_faults(daemon: Daemon, faults: Faults,     # noqa: F811
                tmp_path: Path, call: str, error: int, write: str) -> None:
    """A disk that misbehaves while an old file is written over: what the
    ring can hold is not lost, and what is finished is whole."""
    port = free_port()
    copies = tmp_path / "copies" / "one"
    copies.mkdir(parents=True)
    daemon.start(recycled(daemon, port, write, flush_interval="50ms"))
    directory = daemon.archive / "one"
    with avro_files.Collector(directory, copies):
        with Sender("127.0.0.1", port) as sender:
            part = wait_until_recycled(daemon, sender, directory)
            assert daemon.status("one")["io"]["write"] == in_use(
                daemon, write)
            before = list(sender.sent)
            wait_for(lambda: synced_payloads(part, tmp_path)[-1:] ==
                     before[-1:], "all of that synced", 10.0, daemon.log)
            load = SenderThread(sender, numbered(
                3000, SIZE, len(sender.sent)), 1500)
            faults.set(call, error)
            wait_for(lambda: daemon.ledger("one")["archive_errors"] > 0,
                     "an error counted", 10.0, daemon.log)
            faults.set(call, 0)
            load.join()
            daemon.wait_received("one", len(sender.sent))
            wait_for(lambda: daemon.ledger("one")["pending"] == 0,
                     "all in the archive", 10.0, daemon.log)
            # What could not be finished is, some time.
            wait_for(lambda: len(list(directory.glob("one_*.part"))) <= 1,
                     "left-over files finished", 30.0, daemon.log)
            behind = numbered(200, SIZE, len(sender.sent))
            sender.send(behind)
            ledger = daemon.wait_received("one", len(sender.sent))
            daemon.stop()
    stored = avro_files.archived_payloads(copies.parent, "one")
    assert len(stored) == ledger["archived"]
    lost = set(sender.sent) - set(stored)
    assert stored == [sent for sent in sender.sent if sent not in lost]
    # Where a sync fails before the first that is good, it is not known what
    # the disk has of an old file's room; but of what was synced before and of
    # what came when it was over all is there.
    assert len(lost) == ledger["archive_shed"]
    assert not lost & set(before + behind)
    # Then what looks whole is kept aside.
    assert call == "fdatasync" or not lost
    assert call == "fdatasync" or not list(directory.glob("*.bad"))


def test_trusts_again(daemon: Daemon, faults: Faults) -> None:  # noqa: F811
    """After an error new files are written, and old ones again when these have
    been finished."""
    port = free_port()
    daemon.start(recycled(daemon, port, flush_interval="50ms"))
    said = "no file is written again before 2 have been finished"
    with Sender("127.0.0.1", port) as sender:
        part = wait_until_recycled(daemon, sender, daemon.archive / "one")
        faults.set("fdatasync", errno.EIO)
        sender.send(numbered(10, SIZE, len(sender.sent)))
        wait_for(lambda: said in daemon.log(), "a word", 10.0, daemon.log)
        faults.set("fdatasync", 0)
        wait_for(lambda: not part.exists(), "it finished", 10.0, daemon.log)
        wait_until_recycled(daemon, sender, daemon.archive / "one")
        daemon.wait_received("one", len(sender.sent))
    daemon.stop()
    assert daemon.log().count(said) == 1


@pytest.mark.parametrize("write", WAYS)
def test_seen_unfinished(daemon: Daemon, tmp_path: Path, write: str) -> None:
    """Past the page cache the sectors of a block come in any order, and what
    they are written over looks like data: who reads along sees what is on the
    disk, elsewhere all that is whole."""
    port = free_port()
    daemon.start(recycled(daemon, port, write, flush_interval="50ms"))
    with Sender("127.0.0.1", port) as sender:
        part = wait_until_recycled(daemon, sender, daemon.archive / "one")
        for process in daemon.processes():
            os.kill(process, signal.SIGSTOP)
        data = part.read_bytes()
        for process in daemon.processes():
            os.kill(process, signal.SIGCONT)
    daemon.stop()
    place = data.index(b"mcrelay.synced") + len("mcrelay.synced") + 1
    sync = data[data.index(b"avro.codec"):].split(b"\0", 1)[1][:16]
    first = data.index(sync, data.index(sync) + 1) + 16
    copy = tmp_path / part.name
    seen = []
    for size in (0, first, len(data)):
        copy.write_bytes(data[:place] + b"%020d" % size + data[place + 20:])
        done = subprocess.run([daemon.programs.cat, copy],
                              text=True, capture_output=True, check=True)
        seen.append(done.stdout.count("\n"))
    if write.startswith("direct"):
        assert 0 == seen[0] < seen[1] < seen[2]
    else:
        assert 0 < seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("write", WAYS)
def test_all_killed(daemon: Daemon, write: str) -> None:
    """What was in the open file is recovered, though nothing says it is on the
    disk: no power was cut."""
    port = free_port()
    daemon.start(recycled(daemon, port, write, flush_interval="10ms"))
    directory = daemon.archive / "one"
    with Sender("127.0.0.1", port) as sender:
        part = wait_until_recycled(daemon, sender, directory)
        for process in daemon.processes():
            os.kill(process, signal.SIGSTOP)
        archived = [r.payload for r in avro_files.read_datagrams(part, True)]
        daemon.kill()
        (daemon.run_dir / "mcrelayd.pid").unlink(missing_ok=True)
        daemon.launch()
        daemon.wait_running()
        wait_for(lambda: not part.exists(), "the file finished", 10.0,
                 daemon.log)
    found = [r.payload for r in avro_files.read_datagrams(
        part.with_suffix(""))]
    assert archived and found[:len(archived)] == archived
    assert found == sender.sent[sender.sent.index(found[0]):][:len(found)]
    assert not list(directory.glob("*.torn")) + list(directory.glob("*.bad"))
    daemon.stop(checks=False)


def synced_payloads(part: Path, scratch: Path) -> list[bytes]:
    """What a recycled file says that the disk has of it."""
    data = part.read_bytes()
    at = data.index(b"mcrelay.synced") + len("mcrelay.synced") + 1
    (scratch / "synced").write_bytes(data[:int(data[at:at + 20])])
    return [r.payload for r in
            avro_files.read_datagrams(scratch / "synced", True)]


def wait_until_recycled(daemon: Daemon, sender: Sender,
                        directory: Path) -> Path:
    """Sends until the open file has an old one under it, by its number and its
    header, and those before it are finished."""
    with avro_files.Spares(directory) as spares:
        for _ in range(40):
            sender.send(numbered(400, SIZE, len(sender.sent)))
            daemon.wait_received("one", len(sender.sent))
            daemon.wait_settled("one")
            wait_for(lambda: len(list(directory.glob("one_*.part"))) <= 1,
                     "the files before finished", 10.0, daemon.log)
            for part in directory.glob("one_*.part"):
                if part.stat().st_ino in spares.inodes and \
                        b"mcrelay.synced" in part.read_bytes()[:512] and \
                        avro_files.read_datagrams(part, True):
                    return part
    raise AssertionError("no file is written again")


def show(daemon: Daemon, path: Path) -> str:
    done = subprocess.run([daemon.programs.cat, path], text=True,
                          capture_output=True, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("write", WAYS)
def test_readers(daemon: Daemon, tmp_path: Path, write: str) -> None:
    """One that has an old file open reads it to its end as it was; one that
    follows sees each datagram once; none is bothered by what lies behind."""
    port = free_port()
    # What is less than 64 KiB is never written past the page cache.
    daemon.start(recycled(daemon, port, write, block_size="128KiB",
                          rotate={"size": "512KiB"}))
    directory = daemon.archive / "one"
    with Sender("127.0.0.1", port) as sender, \
            Follower(daemon.programs, "-f", "-F", "sequence",
                     directory) as follower:
        sender.send(numbered(800, SIZE))
        daemon.wait_received("one", 800)
        wait_for(lambda: avro_files.files(daemon.archive, "one"),
                 "a finished file")
        first = avro_files.files(daemon.archive, "one")[0]
        whole = first.read_bytes()
        with first.open("rb") as held_open:
            for _ in range(12):
                sender.send(numbered(800, SIZE, len(sender.sent)))
                daemon.wait_received("one", len(sender.sent))
            wait_for(lambda: not first.exists(), "it is gone")
            part = wait_until_recycled(daemon, sender, directory)
            assert daemon.status("one")["io"]["write"] == in_use(
                daemon, write)
            assert held_open.read() == whole
        show(daemon, part)
        # One that is no archive yet: a name, and no header.
        (tmp_path / part.name).write_bytes(
            SPARE.ljust(512, b"\0") + part.read_bytes()[512:])
        assert show(daemon, tmp_path) == ""
        daemon.stop()
        shown = follower.wait(len(sender.sent))
        assert [record["sequence"] for record in shown] == \
            list(range(len(sender.sent)))
        assert follower.end() == ""


def test_off_again(daemon: Daemon) -> None:
    """A reload without `recycle' removes what was kept, and loses nothing."""
    port = free_port()
    conf = recycled(daemon, port)
    daemon.start(conf)
    directory = daemon.archive / "one"
    with Sender("127.0.0.1", port) as sender:
        wait_until_recycled(daemon, sender, directory)
        for _ in range(20):
            if list(directory.glob("one.spare-*")):
                break
            sender.send(numbered(400, SIZE, len(sender.sent)))
            daemon.wait_received("one", len(sender.sent))
        for spare in directory.glob("one.spare-*"):
            assert spare.read_bytes().startswith(SPARE)
        assert list(directory.glob("one.spare-*"))
        conf["archive"]["recycle"] = False
        daemon.write(conf)
        daemon.ctl("reload")
        sender.send(numbered(400, SIZE, len(sender.sent)))
        daemon.wait_received("one", len(sender.sent))
        wait_for(lambda: not list(directory.glob("one.spare-*")),
                 "no spare file")
        daemon.stop()
    stored = daemon.payloads("one")
    assert stored == sender.sent[-len(stored):]
