# SPDX-License-Identifier: ISC
"""Workers killed at random instants under load, and the accounts afterwards:
every datagram came out of the relay once and lies in the archive once.

MCRELAY_TEST_LONG=1 in the environment: 1000 kills at 100 000 datagrams/s, ten
minutes for each way to write files (MCRELAY_TEST_KILLS=N for fewer), and 1000
restarts.  The reports are printed with pytest's -s, and kept in the
junit file.  Each way is gone through twice, the second time in files that are
written again.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

import avro_files
import gen
from daemon import Daemon, Programs, channel, output
from net import Receiver, free_port, group_v4
from test_archive import in_use
from test_load import needs_buffer
from waiting import wait_for

LONG = "MCRELAY_TEST_LONG" in os.environ
KILLS = int(os.environ.get("MCRELAY_TEST_KILLS", "1000")) if LONG else 60
RESTARTS = 1000 if LONG else 100
RATE = 100000 if LONG else 40000        # all channels together
# One that has been up for a second is followed at once: with four channels a
# kill every third of a second finds such a one.  Each comes another way:
# part of the rate, options of the source (the last is received straight into
# the ring).
SOURCES = {
    "singles": (0.2, ["-b", "40"]),
    "runs": (0.4, ["-b", "40", "-c"]),
    "middle": (0.3, ["-b", "200", "-c"]),
    "large": (0.1, ["-b", "1400", "-c", "-B", "46"]),
}
# Of each channel, unless all are written one way.
WRITE = {"singles": "buffered", "runs": "direct", "middle": "mmap",
         "large": "direct"}
RING = "_io_uring"
# These have one worker together then, and the ways of "each".
SHARED = ("singles", "runs", "middle")
WAYS = ["each", "shared", "shared" + RING, "buffered", "direct", "mmap",
        "buffered" + RING, "direct" + RING] if LONG else ["each"]
# What is to be recycled has to be over first: small files, of which few stay.
FILES: dict[str, Any] = {"rotate": {"size": "64MiB"}}
AGAIN: dict[str, Any] = {"rotate": {"size": "8MiB"}, "retain": {"files": 4},
                         "recycle": True}
HEALTHY_S = 1.0

# The end of an archived record: source, length, numbered datagram.  In a few
# thousand million random bytes "MCRG" alone comes by chance as well.
NUMBERED = re.compile(rb"127\.0\.0\.1:\d{1,5}.{1,2}MCRG....(.{8})", re.DOTALL)

Report = Callable[[str, object], None]


def ask(daemon: Daemon) -> dict[str, Any]:
    """The status, asked often: without a process for each question."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(10)
        s.connect(str(daemon.run_dir / "mcrelayd.sock"))
        s.sendall(b'{"command":"status"}\n')
        text = b""
        while more := s.recv(1 << 20):
            text += more
    answer = json.loads(text)
    return {c["name"]: c for c in answer["status"]["channels"]}


class Kills:
    """Kills at random, and how long each channel was away."""

    def __init__(self, daemon: Daemon, names: list[str], seed: int) -> None:
        self.daemon = daemon
        self.random = random.Random(seed)
        self.names = names
        self.ready = {name: time.monotonic() for name in names}
        self.young = 0              # kills of one that is not healthy yet
        self.away_ms: list[float] = []
        self.lasted_s = 0.0

    def kill(self) -> None:
        name = self.names.pop(0)
        self.names.append(name)
        pause = self.ready[name] + HEALTHY_S - time.monotonic()
        # One in ten is killed young, and its channel backs off.
        young = self.random.random() < 0.1
        self.young += young
        time.sleep(self.random.random() * 0.2 +
                   (0 if young else max(0, pause)))
        old = self.daemon.worker_pid(name)
        hit = [channel["name"] for channel in ask(self.daemon).values()
               if channel["pid"] == old]
        start = time.monotonic()
        os.kill(old, signal.SIGKILL)

        def there() -> bool:
            now = ask(self.daemon)
            return all(now[name]["pid"] not in (0, old)
                       and now[name]["state"] == "running" for name in hit)
        wait_for(there, f"new workers for {hit}", 60, self.daemon.log)
        self.ready |= dict.fromkeys(hit, time.monotonic())
        if not young:
            self.away_ms.append((self.ready[name] - start) * 1000)

    def percentile(self, p: float) -> float:
        ordered = sorted(self.away_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * p))]


def removed(daemon: Daemon, name: str) -> int:
    """How many datagrams the files had that are no more: by the catalogue, of
    which each line begins where the one before has ended."""
    there = {path.name for path in avro_files.files(daemon.archive, name)}
    catalogue = daemon.archive / name / "catalog.jsonl"
    lines = [json.loads(line) for line in catalogue.open()]
    files = sorted((avro_files.first_sequence(Path(line["name"])), line)
                   for line in lines)
    count = 0
    for first, line in files:
        if line["name"] in there:
            break
        assert first - files[0][0] == count, f"{line} after {count}"
        count += line["records"]
    return count


def archived_numbers(daemon: Daemon, name: str) -> tuple[int, int, int]:
    """Datagrams, and how many of them are doubled or out of order; by block,
    since there may be millions."""
    count = removed(daemon, name)
    wrong = 0
    expected = count
    for path in avro_files.files(daemon.archive, name):
        for records, block in avro_files.read_container(path).blocks:
            found = NUMBERED.findall(block)
            assert len(found) == records, f"{path}: a block's count"
            numbers = struct.unpack(f">{records}Q", b"".join(found))
            if numbers != tuple(range(expected, expected + records)):
                wrong += 1
            expected = numbers[-1] + 1
            count += records
    return count, expected - count, wrong


def of_each(write: str) -> bool:
    return write.removesuffix(RING) in ("each", "shared")


def run_kills(daemon: Daemon, programs: Programs, stack: ExitStack,
              kills: Kills, write: str, files: dict[str, Any]
            ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The load, KILLS kills, the end of the load: what each source sent and
    each sink saw."""
    groups = {name: group_v4() for name in kills.names}
    sinks = {name: stack.enter_context(gen.sink(
        programs, groups[name], "-i", "lo")) for name in groups}
    ports = {name: free_port() for name in groups}
    shared = [{"name": "together"}] if write.startswith("shared") else []
    daemon.start(*(channel(
        name, ports[name], relay=[output(groups[name], sinks[name].port)],
        listen_receive_buffer="128MiB", ring_size="16MiB",
        io_uring={"enabled": write.endswith(RING)},
        archive=daemon.archive_conf(**files,
                                    write=WRITE[name] if of_each(write)
                                    else write.removesuffix(RING)),
        **({"worker": "together"} if shared and name in SHARED else {}))
        for name in groups), workers=shared)
    sources = {name: stack.enter_context(gen.source(
        programs, "127.0.0.1", ports[name], "-r", str(int(RATE * part)),
        *options)) for name, (part, options) in SOURCES.items()}
    began = time.monotonic()
    for _ in range(KILLS):
        kills.kill()
    kills.lasted_s = time.monotonic() - began
    assert of_each(write) or daemon.status(kills.names[0])["io"]["write"] \
        == in_use(daemon, write)
    assert len({daemon.worker_pid(name) for name in groups}) == \
        (2 if shared else len(groups))
    for source in sources.values():
        source.interrupt()
    result = []
    for name in groups:
        sent = sources[name].result()
        daemon.wait_received(name, sent["sent"], 60)
        sinks[name].interrupt()
        result.append((sent, sinks[name].result(good=False)))
    return result


@pytest.mark.parametrize("files", [FILES, AGAIN] if LONG else [FILES],
                         ids=lambda files: "again" if files is AGAIN
                         else "once")
@pytest.mark.parametrize("write", WAYS)
def test_random_kills(daemon: Daemon, programs: Programs, write: str,
                      files: dict[str, Any],
                      record_property: Report) -> None:
    needs_buffer()
    names = list(SOURCES)
    kills = Kills(daemon, list(names), 1)
    with ExitStack() as stack:
        seen = run_kills(daemon, programs, stack, kills, write, files)
        ledgers = [daemon.ledger(name) for name in names]
    daemon.stop()
    sent = sum(source["sent"] for source, _ in seen)
    totals = {key: sum(sink[key] for _, sink in seen)
              for key in ("received", "lost", "doubled", "reordered",
                          "corrupt")}
    archive = [archived_numbers(daemon, name) for name in names]
    again = "recycle" in files
    gone = [removed(daemon, name) for name in names]
    assert any(gone) == again, gone
    report = {
        "write": write, "recycled": again, "of files that are gone": sum(gone),
        "archive_shed": sum(ledger["archive_shed"] for ledger in ledgers),
        "load": os.getloadavg()[0], "seconds": round(kills.lasted_s),
        "kills": KILLS, "of them young": kills.young, "sent": sent,
        "received": sum(ledger["received"] for ledger in ledgers),
        "kernel_dropped": sum(ledger["kernel_dropped"]
                              for ledger in ledgers),
        "relay": totals,
        "archived": sum(count for count, _, _ in archive),
        "archive lost": sum(lost for _, lost, _ in archive),
        "away ms": {p: round(kills.percentile(v), 1) for p, v in (
            ("p50", .5), ("p99", .99), ("max", 1.0))}}
    record_property("report", json.dumps(report))
    print(json.dumps(report, indent=2))
    assert report["received"] == report["archived"] == sent, report
    assert totals["doubled"] <= programs.repeats(KILLS), report
    assert totals["received"] == sent + totals["doubled"], report
    assert not any(totals[k] for k in ("lost", "reordered", "corrupt")), report
    assert [wrong for _, _, wrong in archive] == [0] * len(names), report


class Footprint:
    """What a process holds."""

    def __init__(self, pid: int) -> None:
        self.fds = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        status = Path(f"/proc/{pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        self.rss_kib = int(match[1])


def children(parent: int) -> int:
    """Its children, also those that nobody has waited for."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        count += int(rest[1]) == parent
    return count


def test_restarts_leave_nothing(daemon: Daemon,
                                record_property: Report) -> None:
    """As many descriptors and processes as before, and no more memory."""
    with Receiver() as receiver:
        daemon.start(channel(
            "one", free_port(), relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf()))
        assert daemon.process is not None
        pid = daemon.process.pid

        def restart() -> None:
            old = daemon.worker_pid("one")
            os.kill(old, signal.SIGTERM)
            wait_for(lambda: (now := ask(daemon)["one"])["pid"] != old and
                     now["state"] == "running", "a new worker")
            # Ended well after 100 ms it is followed at once.
            wait_for(lambda: time.monotonic() > healthy, "0.1 s")
        for n in range(RESTARTS + 10):
            healthy = time.monotonic() + 0.11
            if n == 10:
                before = Footprint(pid)
                kin = children(pid)
            restart()
        wait_for(lambda: Footprint(pid).fds <= before.fds,
                 "as many descriptors as before", 5.0)
        after = Footprint(pid)
        report = {"restarts": RESTARTS, "fds": [before.fds, after.fds],
                  "children": [kin, children(pid)],
                  "rss KiB": [before.rss_kib, after.rss_kib]}
        record_property("report", json.dumps(report))
        print(json.dumps(report))
        assert children(pid) == kin == 1, report
        assert after.fds == before.fds, report
        assert after.rss_kib <= before.rss_kib + 512, report
        assert len(daemon.processes()) == 2
