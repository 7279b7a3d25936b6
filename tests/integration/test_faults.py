# SPDX-License-Identifier: ISC
"""The disk misbehaves: the relay loses nothing, the ledger counts what the
archive sheds, recording comes back by itself, every file is whole."""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import accel
import avro_files
import native
from daemon import Daemon, channel, output
from mounts import Mounts
from net import Receiver, Sender, SenderThread, free_port, numbered
from no_uring import needs_ring
from test_archive import in_use
from waiting import wait_for

CALLS = ["pwritev", "openat", "fdatasync", "ftruncate", "close", "renameat2",
         "lose", "fsync", "clock", "linkat", "monotonic",
         "fallocate", "direct", "slow", "submit"]
WORKERS = [{"name": "slow"}]
RATE = 2000
RING = "_io_uring"
RING_FAILS = "io_uring does not write any more (Cannot allocate memory): " \
    "goes on with system calls"
# Asked for is a second.  Beyond that the machine may be busy.
BACK_S = 1.0


class Faults:
    """Makes calls of the daemon and its children fail (faults.c)."""

    def __init__(self, library: Path, table: Path, linux: bool = True
                 ) -> None:
        self.linux = linux
        table.write_bytes(bytes(4 * len(CALLS)))
        with table.open("r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.environment = {"LD_PRELOAD": str(library),
                            "MCRELAY_TEST_FAULTS": str(table)}

    def set(self, call: str, error: int) -> None:
        if call == "renameat2" and not self.linux:
            call = "linkat"     # by which a file gets its name there
        at = 4 * CALLS.index(call)
        self.map[at:at + 4] = struct.pack("=i", error)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native.preload("faults.c", tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faults(daemon: Daemon, library: Path, tmp_path: Path) -> Faults:
    result = Faults(library, tmp_path / "faults", daemon.programs.linux)
    daemon.environment |= result.environment
    return result


@pytest.fixture
def ext4(daemon: Daemon, mounts: Mounts, tmp_path: Path) -> Path:
    """A small file system with a disk under it at the archive's place."""
    if not (shutil.which("mkfs.ext4") and shutil.which("chattr")):
        pytest.skip("no mkfs.ext4 or chattr (package e2fsprogs)")
    image = tmp_path / "ext4"
    with image.open("wb") as f:
        f.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    return mounts.add(daemon.archive, "loop", image)


def remount(path: Path, how: str) -> bool:
    """False while somebody has a file open for writing."""
    return subprocess.run(["mount", "-o", f"remount,{how}", str(path)],
                          capture_output=True).returncode == 0


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(bytes(65536))


class Traffic:
    """A channel under load, before, during and after a fault."""

    def __init__(self, daemon: Daemon, count: int, size: int = 100,
                 ring_size: str = "8MiB", more: dict[str, Any] = {},
                 beside: list[dict[str, Any]] = [], **archive: Any) -> None:
        if archive.get("write", "").endswith(RING):
            needs_ring(daemon)
        self.daemon = daemon
        self.port = free_port()
        self.receiver = Receiver()
        self.channels = [channel(
            "one", self.port, ring_size=ring_size,
            relay=[output("127.0.0.1", self.receiver.port)],
            io_uring={"enabled": "write" in archive and
                      archive["write"].endswith(RING)},
            archive=daemon.archive_conf(**(
                {"flush_interval": "50ms"} | archive | {"write": archive.get(
                    "write", "buffered").removesuffix(RING)})), **more),
            *beside]
        daemon.start(*self.channels, workers=WORKERS)
        self.sender = Sender("127.0.0.1", self.port)
        self.sent = numbered(count, size)
        self.thread = SenderThread(self.sender, self.sent, RATE)
        wait_for(lambda: self.archived() > 0, "the archive at work")

    def archived(self) -> int:
        return self.daemon.ledger("one")["archived"]

    def wait_failing(self) -> None:
        wait_for(lambda: self.daemon.ledger("one")["archive_errors"] > 0,
                 "an error counted", 10.0, self.daemon.log)

    def wait_back(self) -> float:
        """Until there are new records; seconds."""
        start, before = time.monotonic(), self.archived()
        wait_for(lambda: self.archived() > before, "recording again", 20,
                 self.daemon.log)
        return time.monotonic() - start

    def finish(self) -> dict[str, int]:
        """Everything that holds after every fault; returns the ledger."""
        self.thread.join()
        self.sender.socket.close()
        ledger = self.daemon.wait_received("one", len(self.sent))
        assert self.receiver.wait(len(self.sent)) == self.sent
        self.receiver.__exit__(None, None, None)
        self.daemon.stop()
        assert ledger["received"] == len(self.sent)
        stored = self.daemon.payloads("one")
        assert len(stored) == ledger["archived"]
        for path in avro_files.files(self.daemon.archive, "one"):
            avro_files.by_python(path)
        if ledger["archive_shed"] == 0:
            assert stored == self.sent
        return ledger


def episodes(daemon: Daemon) -> tuple[int, int]:
    """How often the log says that it begins, and that it ends."""
    log = daemon.log()
    return (log.count("the relay goes on, the archive tries"),
            log.count("the archive works again") +
            log.count("a successor goes on there"))


WAYS = ["buffered", "direct", "mmap"]
# For faults that are the file system's own.
ALL_WAYS = [*WAYS, "buffered" + RING, "direct" + RING]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("call,error", [
    ("pwritev", errno.ENOSPC), ("pwritev", errno.EDQUOT),
    ("pwritev", errno.EIO), ("pwritev", errno.EROFS),
    ("pwritev", errno.EFBIG), ("openat", errno.ENOSPC),
    ("openat", errno.EACCES), ("openat", errno.EROFS),
    ("openat", errno.ENOENT), ("fdatasync", errno.EIO),
    ("fdatasync", errno.ENOSPC)],
    ids=lambda v: errno.errorcode[v] if isinstance(v, int) else v)
def test_writing(daemon: Daemon, faults: Faults, call: str, error: int,
                 write: str, more: dict[str, Any] = {}) -> None:
    """What the ring can hold meanwhile is not lost."""
    traffic = Traffic(daemon, 4000, more=more, write=write,
                      rotate={"size": "64KiB"})
    assert daemon.status("one")["io"]["write"] == in_use(daemon, write)
    faults.set(call, error)
    if call == "openat":
        daemon.ctl("rotate", "one")
    traffic.wait_failing()
    faults.set(call, 0)
    back_s = traffic.wait_back()
    print(f"{call} {errno.errorcode[error]}: back after {back_s:.3f} s")
    ledger = traffic.finish()
    assert ledger["archive_errors"] > 0
    assert ledger["archived"] + ledger["archive_shed"] == 4000
    # Of a file that was mapped nobody knows what of its last pages is there,
    # when the sync at its end fails.
    assert ledger["archive_shed"] == 0 or (call, write) == ("fdatasync",
                                                            "mmap")
    begins, ends = episodes(daemon)
    # It may be the end of a file that fails, and no other sync.
    assert begins == ends
    assert begins >= 1 or "cannot finish" in daemon.log()
    if call != "fdatasync":
        assert begins == 1


# A worker of its own, and one that channels share.
each_worker = pytest.mark.parametrize("more", [{}, {"worker": "slow"}],
                                      ids=["own", "shared"])


@each_worker
@pytest.mark.parametrize("write", ["buffered" + RING, "direct" + RING])
@pytest.mark.parametrize("call,error", [
    ("pwritev", errno.ENOSPC), ("pwritev", errno.EIO),
    ("fdatasync", errno.EIO)],
    ids=lambda v: errno.errorcode[v] if isinstance(v, int) else v)
def test_writing_by_ring(daemon: Daemon, faults: Faults, call: str,
                         error: int, write: str, more: dict[str, Any]
                         ) -> None:
    """The same of what is in flight."""
    needs_ring(daemon)
    test_writing(daemon, faults, call, error, write, more)


@each_worker
@pytest.mark.parametrize("write", ["buffered", "direct"])
def test_ring_ends(daemon: Daemon, faults: Faults, write: str,
                   more: dict[str, Any]) -> None:
    """What was in flight is written by system calls, as is what follows; a
    channel that must not do without fails, takes no other with it, and says
    what goes with its ring when it may."""
    needs_ring(daemon)
    port = free_port()
    must = channel("must", port, archive=daemon.archive_conf(write=write),
                   io_uring={"enabled": True, "fallback_on_error": False},
                   **more)
    with Sender("127.0.0.1", port) as sender:
        traffic = Traffic(daemon, 4000, more=more, write=write + RING,
                          beside=[must])
        assert daemon.status("one")["io"]["write"] == in_use(
            daemon, write + RING)
        faults.set("submit", errno.ENOMEM)
        sender.send(numbered(10))
        daemon.wait_state("must", "failed")
        wait_for(lambda: daemon.status("one")["io"]["write"] == in_use(
            daemon, write), "system calls", 10, daemon.log)
        assert daemon.log().count(RING_FAILS) == 1
        faults.set("submit", 0)
        must["io_uring"]["fallback_on_error"] = True
        daemon.write(*traffic.channels, workers=WORKERS)
        daemon.ctl("reload")
        ledger = daemon.wait_received("must", 10)
        daemon.wait_state("must", "running")
        # What a worker says comes by and by.
        if more:
            wait_for(lambda: "that of the worker has failed: restart it" in
                     daemon.log(), "the log", 10, daemon.log)
        # The first had a worker that got to store it.
        assert ledger["archived"] + ledger["archive_shed"] == 10
        assert (ledger["archive_shed"] > 0) == (
            "must: goes on without" in daemon.log())
        assert bool(more) or "that of the worker has failed" not in \
            daemon.log()
        # It says so without a file, too.
        daemon.wait_received("one", 4000)
        daemon.ctl("rotate", "one")
        wait_for(lambda: not daemon.status("one")["files"], "no file", 10)
        io = daemon.status("one")["io"]
        assert io["write"] == in_use(daemon, write) and io["write_fallback"]
        ledger = traffic.finish()
    assert daemon.log().count(RING_FAILS) == 1
    assert ledger["archive_errors"] == ledger["archive_shed"] == 0
    assert ledger["archived"] == 4000


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO,
                                   errno.EROFS, errno.EFBIG],
                         ids=lambda v: errno.errorcode[v])
def test_allocating(daemon: Daemon, faults: Faults, error: int) -> None:
    """A map of a file gets its room before it is written to."""
    traffic = Traffic(daemon, 4000, write="mmap", rotate={"size": "64KiB"})
    assert daemon.status("one")["io"]["write"] == "mmap"
    faults.set("fallocate", error)
    traffic.wait_failing()
    faults.set("fallocate", 0)
    traffic.wait_back()
    ledger = traffic.finish()
    assert ledger["archive_errors"] > 0
    assert ledger["archive_shed"] == 0
    assert episodes(daemon) == (1, 1)


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("call", ["close", "renameat2", "ftruncate"])
def test_finishing(daemon: Daemon, faults: Faults, call: str, write: str
                   ) -> None:
    """A file that cannot be finished is, later; others go on."""
    traffic = Traffic(daemon, 4000, write=write)
    faults.set(call, errno.EIO)
    daemon.ctl("rotate", "one")
    wait_for(lambda: "cannot finish" in daemon.log(), "a file that cannot be",
             10.0, daemon.log)
    faults.set(call, 0)
    traffic.wait_back()
    wait_for(lambda: "which was left over" in daemon.log(),
             "the file finished", 15.0, daemon.log)
    assert traffic.finish()["archive_shed"] == 0
    lines = (daemon.archive / "one/catalog.jsonl").read_text().splitlines()
    assert len(lines) == len(avro_files.files(daemon.archive, "one"))


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("sync", ["block", "interval"])
def test_never_synced(daemon: Daemon, faults: Faults, sync: str, write: str
                      ) -> None:
    """A disk that takes everything and keeps nothing: few tries, few files,
    nothing lost when it is over."""
    traffic = Traffic(daemon, 8000, sync=sync, block_size="4KiB", write=write)
    faults.set("fdatasync", errno.EIO)
    traffic.wait_failing()
    before = daemon.ledger("one")["archive_errors"]
    start = time.monotonic()
    seen: set[str] = set()
    most = 0
    while time.monotonic() < start + 3:
        parts = {p.name for p in daemon.archive.glob("one/*.part")}
        seen |= parts
        most = max(most, len(parts))
    errors = daemon.ledger("one")["archive_errors"] - before
    seconds = time.monotonic() - start
    print(f"{errors} errors, {len(seen)} files in {seconds:.1f} s, "
          f"{most} at once")
    assert 0 < errors <= 10 * seconds
    assert len(seen) <= 5 * seconds + 4
    assert most <= 6
    faults.set("fdatasync", 0)
    traffic.wait_back()
    assert traffic.finish()["archive_shed"] == 0


# What file systems lack: NFS, FUSE, FAT, tmpfs of old...
LACKING = {"rename": {"renameat2": errno.EINVAL},
           "fallocate": {"fallocate": errno.EOPNOTSUPP},
           "direct": {"direct": errno.EINVAL},
           "links": {"renameat2": errno.EINVAL, "linkat": errno.EPERM}}
LACKING["all"] = {call: error for lack in LACKING.values()
                  for call, error in lack.items()}


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("lack", LACKING)
def test_poor_file_system(daemon: Daemon, faults: Faults, lack: str,
                          write: str) -> None:
    """Files are finished, a killed worker is followed, what is left over is
    taken up, whatever the file system cannot do."""
    for call, error in LACKING[lack].items():
        faults.set(call, error)
    traffic = Traffic(daemon, 6000, rotate={"size": "64KiB"}, write=write)
    traffic.receiver.repeats = daemon.programs.repeats(3)
    for _ in range(3):
        pid = daemon.worker_pid("one")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("one", pid)
        traffic.wait_back()
    ledger = traffic.finish()
    assert ledger["archive_errors"] == ledger["archive_shed"] == 0
    assert len(avro_files.files(daemon.archive, "one")) > 3


def test_finishing_nameless(daemon: Daemon, faults: Faults) -> None:
    """A file has its name, but not for certain: nothing is lost."""
    traffic = Traffic(daemon, 2000, sync="none")
    faults.set("fsync", errno.EIO)
    daemon.ctl("rotate", "one")
    traffic.wait_failing()
    faults.set("fsync", 0)
    assert traffic.finish()["archive_shed"] == 0
    assert "datagrams that were archived" not in daemon.log()
    assert not list(daemon.archive.glob("one/*.part"))


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("sync,lose", [("none", 1), ("interval", 1),
                                       ("interval", 2)])
def test_finishing_loses(daemon: Daemon, faults: Faults, sync: str, lose: int,
                         write: str) -> None:
    """The last sync of a file fails, or one before it (2), and half of the
    file is not on the disk: the rest is whole, what is missing is counted, as
    far as it could not be written again."""
    if sync == "none" and write == "mmap":
        pytest.skip("a map wants syncs")
    traffic = Traffic(daemon, 6000, size=500, sync=sync, write=write)
    wait_for(lambda: traffic.archived() > 1000, "some to lose")
    faults.set("lose", lose)
    faults.set("fdatasync", errno.EIO)
    if lose == 1:
        daemon.ctl("rotate", "one")
    traffic.wait_failing()
    faults.set("fdatasync", 0)
    faults.set("lose", 0)
    # What no sync had covered is written again, and may have been all of it.
    spared = lose == 2

    def is_settled() -> bool:
        log = daemon.log()
        return "datagrams that were archived" in log or spared and \
            "cannot finish" not in log and "the archive works again" in log
    wait_for(is_settled, "a loss counted", 15.0, daemon.log)
    ledger = traffic.finish()
    assert spared or ledger["archive_shed"] > 0
    assert ledger["archive_shed"] < 6000
    assert ledger["archived"] + ledger["archive_shed"] == 6000
    # Behind the last block of a file that was mapped is nothing of anybody's; and
    # what was lost may all be behind what a sync had covered.
    assert write == "mmap" or (spared and ledger["archive_shed"] == 0) or \
        list(daemon.archive.glob("one/*.torn"))


def test_causes_again(daemon: Daemon, faults: Faults, source: Path
                      ) -> None:
    """Rejected datagrams that are written again after a failed sync count
    once, also by their cause."""
    port = free_port()
    good = accel.datagrams(300)
    bad = [d[:-1] for d in good]
    schema = str(source / "etc/example/accel.avsc")
    with Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload={"format": "avro", "schema": schema},
            archive=daemon.archive_conf(flush_interval="50ms",
                                        sync="interval")))
        sender.send([d for pair in zip(good[:100], bad[:100]) for d in pair])
        wait_for(lambda: daemon.ledger("one")["rejected"] == 100, "a sync")
        faults.set("fdatasync", errno.EIO)
        sender.send([d for pair in zip(good[100:], bad[100:]) for d in pair])
        wait_for(lambda: daemon.ledger("one")["archive_errors"] > 0,
                 "a sync that fails", 10.0, daemon.log)
        faults.set("fdatasync", 0)
        wait_for(lambda: daemon.ledger("one")["rejected"] == 300,
                 "all rejected", 10.0, daemon.log)
        assert daemon.status("one")["rejected_by"] == {"short": 300}
        ledger = daemon.ledger("one")
        assert ledger["archived"] == 300 and ledger["archive_shed"] == 0
        daemon.stop()


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("step_s", [-86400, 86400])
def test_clock_is_set(daemon: Daemon, faults: Faults, step_s: int,
                      between: bool) -> None:
    """Rotation by time goes on by the clock as it is now; the catalogue says
    what it was set by, also when there is no file just then."""
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port, archive=daemon.archive_conf(
            rotate={"interval": "1s"})))
        sender.send(numbered(10))
        wait_for(lambda: daemon.ledger("one")["archived"] == 10, "a file")
        if between:
            wait_for(lambda: not list(daemon.archive.glob("one/*.part")),
                     "the end of the file")
        faults.set("clock", step_s)
        before = len(avro_files.files(daemon.archive, "one"))
        thread = SenderThread(sender, numbered(2000), 300)
        wait_for(lambda: len(avro_files.files(daemon.archive, "one"))
                 >= before + 3, "files by the new clock", 12.0, daemon.log)
        thread.join()
        daemon.wait_received("one", 2010)
        daemon.stop()
    way = "back" if step_s < 0 else "ahead"
    assert daemon.log().count(f"the clock was set {way} by 86400.0 s") == 1
    lines = [json.loads(line) for line in
             (daemon.archive / "one/catalog.jsonl").read_text().splitlines()]
    steps = [line["clock_step"] for line in lines if "clock_step" in line]
    assert len(steps) == 1 and abs(steps[0] - step_s) < 1
    assert not list(daemon.archive.glob("one/*.part"))


def test_shed(daemon: Daemon, faults: Faults) -> None:
    """Longer than the ring can hold: the count is exact, one line when it
    begins and one when it ends."""
    traffic = Traffic(daemon, 8000, size=1000, ring_size="256KiB")
    faults.set("pwritev", errno.ENOSPC)
    wait_for(lambda: daemon.ledger("one")["archive_shed"] > 1000, "shedding",
             20.0, daemon.log)
    faults.set("pwritev", 0)
    traffic.wait_back()
    ledger = traffic.finish()
    assert ledger["archive_shed"] + ledger["archived"] == 8000
    assert episodes(daemon) == (1, 1)
    told = re.search(r"works again; (\d+) datagrams were shed", daemon.log())
    assert told and 1000 < int(told[1]) <= ledger["archive_shed"]


def test_block(daemon: Daemon, faults: Faults) -> None:
    """The same with on_overrun: block: the socket's buffer holds it."""
    traffic = Traffic(daemon, 4000, size=1000, ring_size="256KiB",
                      on_overrun="block")
    faults.set("pwritev", errno.ENOSPC)
    traffic.wait_failing()
    wait_for(lambda: daemon.ledger("one")["pending"] > 100, "a full ring",
             10.0, daemon.log)
    faults.set("pwritev", 0)
    traffic.wait_back()
    ledger = traffic.finish()
    assert ledger["archive_shed"] == 0 and ledger["archived"] == 4000


@pytest.mark.parametrize("write", WAYS)
def test_full(daemon: Daemon, mounts: Mounts, write: str) -> None:
    """A file system that is full, and then is not.  It is one that knows no
    direct I/O, as is said once."""
    ballast = mounts.add(daemon.archive, "size=4m") / "ballast"
    traffic = Traffic(daemon, 6000, size=500, write=write)
    used = in_use(daemon, write)
    io = daemon.status("one")["io"]
    assert (io["write"], io["write_fallback"]) == (used, used != write)
    assert daemon.log().count("cannot be written by `write: direct' here") \
        == (write == "direct")
    fill(ballast)
    traffic.wait_failing()
    ballast.unlink()
    traffic.wait_back()
    assert traffic.finish()["archive_shed"] == 0
    assert episodes(daemon) == (1, 1)


def last_words(daemon: Daemon) -> tuple[int, dict[str, Any]]:
    """What the log says of the end, and the last line of the catalogue."""
    said = re.findall(r"could not store (\d+) datagrams before its end",
                      daemon.log())
    lines = (daemon.archive / "one/catalog.jsonl").read_text().splitlines()
    return sum(map(int, said)), json.loads(lines[-1])


def left_over(daemon: Daemon) -> int:
    """What was in the socket when it was closed."""
    return sum(map(int, re.findall(r"is closed with (\d+) datagrams in it: "
                                   "counted as kernel_dropped",
                                   daemon.log())))


def test_slow_at_the_end(daemon: Daemon, faults: Faults) -> None:
    """A disk that is slow, but gets on, is waited for at a stop, so that what
    waits in the socket is stored."""
    port, payloads = free_port(), numbered(3000, 1000)
    daemon.start(channel("one", port, ring_size="256KiB", relay=[],
                         archive=daemon.archive_conf(on_overrun="block")))
    faults.set("slow", 80)
    with Sender("127.0.0.1", port) as sender:
        sender.send(payloads)
    assert daemon.ledger("one")["received"] < 1000
    daemon.stop(checks=False)
    assert daemon.payloads("one") == payloads
    assert left_over(daemon) == 0


@pytest.mark.alone
@pytest.mark.parametrize("on_overrun", ["shed", "block"])
@pytest.mark.parametrize("disk", ["tmpfs", "ext4"])
def test_full_at_the_end(daemon: Daemon, request: pytest.FixtureRequest,
                         mounts: Mounts, disk: str, on_overrun: str) -> None:
    """What cannot be stored any more is shed: said, counted, and in the
    catalogue; the exit status tells."""
    root = mounts.add(daemon.archive, "size=4m") if disk == "tmpfs" \
        else request.getfixturevalue(disk)
    traffic = Traffic(daemon, 3000, size=1000, ring_size="256KiB",
                      rotate={"size": "1MiB"}, on_overrun=on_overrun)
    before = traffic.archived()
    fill(root / "ballast")
    traffic.wait_failing()
    traffic.thread.join()
    traffic.sender.socket.close()
    wait_for(lambda: on_overrun == "block" or
             daemon.ledger("one")["received"] == 3000, "all received")
    ledger = daemon.ledger("one")
    assert ledger["pending"] > 0
    daemon.stop(checks=False, status=1)
    said, line = last_words(daemon)
    # With block, what waited in the socket has been received after all.
    assert 0 < said <= 3000 - before
    assert "is in the archives" in daemon.log()
    stored = daemon.payloads("one")
    assert stored == traffic.sent[:len(stored)]
    assert line["datagrams"] == line["records"] == 0
    assert line["last_sequence"] - line["first_sequence"] + 1 == said
    if on_overrun == "shed":
        assert line["losses"]["archive_shed"] == 3000 - len(stored)
    else:
        left = left_over(daemon)
        assert len(stored) + said + left == 3000
        assert traffic.receiver.wait(3000 - left) == \
            traffic.sent[:3000 - left]
    assert not (daemon.archive / "one" / line["name"]).exists()
    (root / "ballast").unlink()
    files = len(avro_files.files(daemon.archive, "one"))
    daemon.start()
    listed = daemon.ctl("files", "one").stdout.splitlines()
    assert len(listed) == 1 + files + 1
    assert "(never written)" in listed[-1] and "archive_shed=" in listed[-1]
    held = daemon.ctl("hold", "one", "20000101T000000", "21000101T000000",
                      "all").stdout
    assert held.startswith(f"held {files} files")
    daemon.stop()


@pytest.mark.parametrize("write,size", [
    ("buffered", 500), ("direct", 1400), ("mmap", 1000),
    ("buffered" + RING, 500), ("direct" + RING, 1400)])
def test_full_disk(daemon: Daemon, ext4: Path, write: str, size: int) -> None:
    """The same with blocks that are promised, and a file each MiB."""
    traffic = Traffic(daemon, 10000, size=size, rotate={"size": "1MiB"},
                      write=write)
    assert daemon.status("one")["io"]["write"] == write
    fill(ext4 / "ballast")
    traffic.wait_failing()
    (ext4 / "ballast").unlink()
    back_s = traffic.wait_back()
    print(f"ext4 full, {write}: back after {back_s:.3f} s")
    assert traffic.finish()["archive_shed"] == 0
    assert episodes(daemon) == (1, 1)


@pytest.mark.parametrize("write", ALL_WAYS)
@pytest.mark.parametrize("keeps", [0, 100000])
def test_cut(daemon: Daemon, write: str, keeps: int) -> None:
    """Somebody else makes the open file shorter: no worker ends, what is gone
    is counted, what is left is kept."""
    traffic = Traffic(daemon, 6000, size=500, block_size="4KiB",
                      write=write)
    wait_for(lambda: traffic.archived() > 1000, "some to lose")
    assert daemon.status("one")["io"]["write"] == in_use(daemon, write)
    pid = daemon.worker_pid("one")
    (part,) = daemon.archive.glob("one/*.part")
    os.truncate(part, keeps)
    wait_for(lambda: "datagrams that were archived" in daemon.log(),
             "a loss counted", 15.0, daemon.log)
    assert "somebody else has changed it" in daemon.log()
    assert daemon.worker_pid("one") == pid
    ledger = traffic.finish()
    assert 0 < ledger["archive_shed"] < 6000
    assert ledger["archived"] + ledger["archive_shed"] == 6000
    assert len(list(daemon.archive.glob("one/*.bad"))) == (keeps == 0)


def test_read_only(daemon: Daemon, ext4: Path) -> None:
    """A directory that not even root may write to, so that no file is open;
    then a disk that is read-only, then neither."""
    traffic = Traffic(daemon, 8000)
    subprocess.run(["chattr", "+i", str(ext4 / "one")], check=True)
    daemon.ctl("rotate", "one")
    wait_for(lambda: episodes(daemon) == (1, 0), "a file that cannot be made",
             10.0, daemon.log)
    wait_for(lambda: remount(ext4, "ro"), "a read-only disk")
    before = daemon.ledger("one")["archive_errors"]
    wait_for(lambda: daemon.ledger("one")["archive_errors"] > before,
             "errors on the read-only disk", 10.0, daemon.log)
    assert remount(ext4, "rw")
    subprocess.run(["chattr", "-i", str(ext4 / "one")], check=True)
    back_s = traffic.wait_back()
    print(f"ext4 read-only: back after {back_s:.3f} s")
    assert traffic.finish()["archive_shed"] == 0
    assert episodes(daemon) == (1, 1)
    assert len(avro_files.files(daemon.archive, "one")) >= 2


@pytest.mark.linux("another link takes a place on a tmpfs")
def test_no_inodes(daemon: Daemon, mounts: Mounts) -> None:
    root = mounts.add(daemon.archive, "size=16m,nr_inodes=40")
    traffic = Traffic(daemon, 4000)
    ballast = []
    with pytest.raises(OSError):
        while True:
            ballast.append(root / f"ballast{len(ballast)}")
            ballast[-1].touch()
    daemon.ctl("rotate", "one")
    traffic.wait_failing()
    ballast[0].unlink()
    traffic.wait_back()
    assert traffic.finish()["archive_shed"] == 0
    assert episodes(daemon) == (1, 1)


@pytest.mark.parametrize("write", ALL_WAYS)
def test_directory_removed(daemon: Daemon, write: str) -> None:
    """What the unfinished file held is shed, no more; a new directory is
    made, again and again."""
    traffic = Traffic(daemon, 8000, write=write)
    used = in_use(daemon, write)
    times = []
    for episode in range(1, 4):
        start = time.monotonic()
        shutil.rmtree(daemon.archive)
        wait_for(lambda: list(daemon.archive.glob("one/one_*")),
                 "recording again", 20, daemon.log)
        times.append(time.monotonic() - start)
        assert daemon.log().count("goes on in") == episode
        assert daemon.status("one")["io"]["write"] == used
    print("directory removed: back after", *(f"{t:.3f} s" for t in times))
    # The other may have met a machine that was busy.
    assert sorted(times)[1] < BACK_S
    ledger = traffic.finish()
    assert 0 < ledger["archive_shed"] < 8000
    assert daemon.payloads("one") == traffic.sent[ledger["archive_shed"]:]


@pytest.mark.parametrize("write", ALL_WAYS)
def test_file_size_limit(daemon: Daemon, write: str) -> None:
    """RLIMIT_FSIZE: shorter files, nothing lost."""
    traffic = Traffic(daemon, 4000, size=200, write=write)
    resource.prlimit(daemon.worker_pid("one"), resource.RLIMIT_FSIZE,
                     (300000, 300000))
    assert traffic.finish()["archive_shed"] == 0
    paths = avro_files.files(daemon.archive, "one")
    assert len(paths) >= 2
    assert all(path.stat().st_size <= 300000 for path in paths)
