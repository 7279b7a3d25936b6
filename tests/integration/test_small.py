# SPDX-License-Identifier: ISC
"""A small machine: twenty channels with all that there is, 10 Mbit/s together,
on one processor that others want as well, in 64 MiB."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import probe
from cgroup import CannotLimit, Cgroup
from daemon import Daemon, Programs, channel, output, processor_s
from net import Receiver, Sender, free_port

CHANNELS = 20
SECONDS = 4.0
# 10 Mbit/s, in datagrams of about this size.
SIZE = 500
RATE = 10_000_000 / 8 / CHANNELS / SIZE
ALL_MIB = 64
# What one of their processors is of a PC's, at most.
MACHINES = {"Pi 4": 0.25, "Pi Zero 2": 0.12}


@pytest.fixture
def one_processor() -> Iterator[None]:
    """Ours and our children's, with somebody else who wants all of it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, before)


def proportional_kib(pid: int) -> int:
    """What is shared counts once."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


def conf(daemon: Daemon, name: str, port: int, relayed: Receiver,
         view: Receiver) -> dict[str, Any]:
    return channel(
        name, port, ring_size="auto",
        relay=[output("127.0.0.1", relayed.port)],
        payload={"format": "avro", "schema": "probe.avsc"},
        archive=daemon.archive_conf(codec="deflate"),
        decimate=[{"name": "view", "shape": "summary", "interval": "100ms"}
                  | output("127.0.0.1", view.port)])


def all_processors_s(daemon: Daemon) -> float:
    return sum(map(processor_s, daemon.processes()))


def run_all(daemon: Daemon) -> tuple[dict[int, int], float]:
    """What each process takes, in KiB, once all was relayed and archived, and
    all of them together of a processor."""
    (daemon.directory / "probe.avsc").write_text(probe.SCHEMA)
    datum = probe.encode({
        "time": 0, "label": "x" * (SIZE - 70), "level": 1, "total": 2,
        "ratio": 0.5, "lat": 1.5, "lon": 2.5, "maybe": 3.5, "perhaps": 4,
        "good": True, "codes": [5, 6]})
    count = int(SECONDS * RATE)
    with ExitStack() as stack:
        ports = {f"c{i}": free_port() for i in range(CHANNELS)}
        more: dict[str, Any] = {}
        if (daemon.programs.libexec / "mcrelay-web").exists():
            more["web"] = {"port": free_port()}
        daemon.start(*(conf(daemon, name, port,
                            stack.enter_context(Receiver()),
                            stack.enter_context(Receiver()))
                       for name, port in ports.items()),
                     memory="16MiB", **more)
        senders = [stack.enter_context(Sender("127.0.0.1", port))
                   for port in ports.values()]
        begin, used = time.monotonic(), all_processors_s(daemon)
        for number in range(count):
            for sender in senders:
                sender.send([datum])
            time.sleep(max(0.0, begin + (number + 1) / RATE -
                           time.monotonic()))
        share = ((all_processors_s(daemon) - used) /
                 (time.monotonic() - begin))
        for name in ports:
            daemon.wait_received(name, count)
        kib = {pid: proportional_kib(pid) for pid in daemon.processes()}
        for name in ports:
            ledger = daemon.wait_settled(name)
            assert ledger["received"] == ledger["relayed"] == \
                ledger["archived"] == count
            assert ledger["kernel_dropped"] == 0
    return kib, share


def test_budget(one_processor: None, make_daemon: Callable[..., Daemon]
                ) -> None:
    daemon = make_daemon()
    kib, share = run_all(daemon)
    print(f"{sum(kib.values()) / 1024:.1f} MiB in {len(kib)} processes, "
          f"{share:.2f} of a processor")
    assert sum(kib.values()) <= ALL_MIB * 1024, kib
    daemon.stop()


@pytest.fixture(params=MACHINES)
def group(request: pytest.FixtureRequest) -> Iterator[Cgroup]:
    """What a machine would have for us, if it did nothing else."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a control group")
    try:
        made = Cgroup(ALL_MIB << 20, MACHINES[request.param])
    except CannotLimit as why:
        pytest.skip(str(why))
    yield made
    made.close()


def test_budget_enforced(group: Cgroup, programs: Programs, tmp_path: Path
                         ) -> None:
    """The kernel gives no more: neither memory, of which files that are being
    written take some, nor time."""
    class Limited(Daemon):
        def command(self, *options: str) -> list[str]:
            return [*group.prefix(), *super().command(*options)]

    daemon = Limited(programs, tmp_path)
    try:
        _, share = run_all(daemon)
        status = daemon.try_status()
        assert status is not None
        assert not any(c["restarts"] for c in status["channels"])
        print(f"{group.unreclaimable() / 2**20:.1f} MiB of {ALL_MIB}; "
              f"{share:.2f} of a processor of {group.processors}, throttled "
              f"{group.throttled()} times")
        assert group.killed() == 0
        daemon.stop()
    finally:
        daemon.kill()


def test_shared_out(make_daemon: Callable[..., Daemon]) -> None:
    """A reload gives a new channel what is left and stops no other; a restart
    shares it out anew; too little is refused."""
    daemon = make_daemon()

    def confs(count: int) -> list[dict[str, Any]]:
        return [channel(f"c{i}", ports[i], ring_size="auto")
                for i in range(count)]

    def rings(count: int) -> list[int]:
        return [daemon.status(f"c{i}")["ring"]["size_bytes"]
                for i in range(count)]

    ports = [free_port() for _ in range(9)]
    daemon.start(*confs(2), memory="8MiB")
    assert rings(2) == [2 << 20] * 2
    pids = [daemon.worker_pid(f"c{i}") for i in range(2)]
    daemon.write(*confs(3), memory="8MiB")
    daemon.ctl("reload")
    daemon.wait_running()
    assert rings(3) == [2 << 20, 2 << 20, 1 << 20]
    assert [daemon.worker_pid(f"c{i}") for i in range(2)] == pids
    daemon.write(*confs(9), memory="8MiB")
    refused = daemon.ctl("reload", check=False)
    assert refused.returncode == 1
    assert "a restart shares it out anew" in refused.stderr
    daemon.stop()
    daemon.start(*confs(9), memory="8MiB")
    assert rings(9) == [512 << 10] * 9
    daemon.stop()
    daemon.write(channel("c0", ports[0]), memory="8MiB")
    refused = daemon.check()
    assert refused.returncode == 1
    assert "`memory' is 8 MiB" in refused.stderr
