#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The ways to read files side by side: `bench/read.py BUILDDIR [FILES [SECONDS [CACHE]]]'.

FILES (4000) archives of 50 datagrams of 1400 bytes, not compressed, are sent to
an address each by mcrelay-replay with each of its ways to read, and by a pool of
32 threads (bench/pool.c), by turns: 100, 1000 and all of them at 10 datagrams a
second each (in SECONDS, 5), for lateness, and as fast as they can; with a cold and a
warm cache, or one of them.
Says what was sent a second, the processor time for a datagram, the memory of each
transfer that no other process shares, and how late datagrams were.

`bench/read.py --leak BUILDDIR [WAY ...]' has 1000 files sent again and again, until
these were 100 000 transfers and a minute: memory and descriptors of the process after
more and more of them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/integration"))

from avro_files import DATAGRAM_SCHEMA, long, string  # noqa: E402

COUNT, SIZE, INTERVAL_US, SECONDS, THREADS = 50, 1400, 40_000, 5.0, 32
CACHES = "cold", "warm"
BLOCK = 256 * 1024
SCHEMA = json.dumps(DATAGRAM_SCHEMA)
WAYS = "pool", "pread", "io_uring", "mmap"


def make(path: Path, count: int, shift_us: int) -> None:
    sync, payload = os.urandom(16), os.urandom(SIZE)
    out = [b"Obj\x01", long(1), string("avro.schema"), string(SCHEMA),
           long(0), sync]
    per_block = BLOCK // (SIZE + 40)
    for first in range(0, count, per_block):
        numbers = range(first, min(count, first + per_block))
        data = b"".join(
            long(1795 * 10**12 + number * INTERVAL_US + shift_us) + long(0) +
            long(number) + string("127.0.0.1:9999") + long(SIZE) + payload
            for number in numbers)
        out += [long(len(numbers)), long(len(data)), data, sync]
    path.write_bytes(b"".join(out))


def chill() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def warm(paths: list[Path]) -> None:
    for path in paths:
        path.read_bytes()


class Watch(threading.Thread):
    """The most memory of its own that a process has, in bytes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self.process, self.peak = process, 0
        self.start()

    def run(self) -> None:
        while self.process.returncode is None:
            self.peak = max(self.peak, anonymous(self.process.pid))
            time.sleep(0.1)


def anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines
               if line.startswith("RssAnon"))


def command(build: Path, way: str, speed: float, pairs: list[str]
            ) -> list[str]:
    if way == "pool":
        return [str(build / "bench/pool"), str(THREADS), str(speed), *pairs]
    return [str(build / "mcrelay-replay"), "-j", "--io", way, "-x",
            str(speed), *pairs]


def measure(words: list[str]) -> dict[str, Any]:
    before = os.times()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True
                          ) as process:
        watch = Watch(process)
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    watch.join()
    after = os.times()
    report["cpu_s"] = after[2] + after[3] - before[2] - before[3]
    report["memory"] = watch.peak
    return report


def show(way: str, n: int, cache: str, report: dict[str, Any]) -> None:
    late = report.get("lateness_us") or {}
    print(f"| {way} | {n} | {cache} "
          f"| {report['bytes'] / report['elapsed_s'] / 1e6:.0f} "
          f"| {report['cpu_s'] / report['sent'] * 1e9:.0f} "
          f"| {report['memory'] / n / 1024:.0f} | " + " | ".join(
              f"{late[key] / 1000:.1f}" if late.get("max") else "-"
              for key in ("p50", "p99", "p99.9", "max")) + " |", flush=True)


def compare(build: Path, files: int, seconds: float, caches: list[str],
            directory: Path, port: int) -> None:
    paths = [directory / f"{i}.avro" for i in range(files)]
    for i, path in enumerate(paths):
        make(path, COUNT, i * INTERVAL_US // files)
    pairs = [f"{path}=127.1.{i // 250}.{i % 250 + 1}:{port}"
             for i, path in enumerate(paths)]
    numbers = sorted({min(n, files) for n in (100, 1000, files)})
    print("| way | transfers | cache | MB/s | CPU ns a datagram | KiB each "
          "| late ms: p50 | p99 | p99.9 | max |")
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for speed in COUNT * INTERVAL_US / 1e6 / seconds, 0:
        for n in numbers:
            for cache in caches:
                for way in WAYS:
                    chill() if cache == "cold" else warm(paths[:n])
                    show(way, n, cache, measure(
                        command(build, way, speed, pairs[:n])))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def dropped(port: int) -> int:
    """Datagrams that came to the socket; nobody reads them."""
    lines = Path("/proc/net/udp").read_text().splitlines()
    return next(int(line.split()[-1]) for line in lines[1:]
                if line.split()[1].endswith(f":{port:04X}"))


def leak(build: Path, directory: Path, port: int, way: str) -> None:
    paths = [directory / f"{i}.avro" for i in range(1000)]
    for path in paths:
        make(path, 1, 0)
    words = command(build, way, 0, [f"{path}=127.0.0.1:{port}"
                                    for path in paths])
    begun = dropped(port)
    with subprocess.Popen([words[0], "-l", *words[1:]],
                          stdout=subprocess.PIPE, text=True) as process:
        seen: list[tuple[int, int]] = []
        while len(seen) < 6 or dropped(port) - begun < 100_000:
            time.sleep(10)
            seen.append((anonymous(process.pid) // 1024, len(list(
                Path(f"/proc/{process.pid}/fd").iterdir()))))
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    print(f"{way}: {report['sent']} transfers; every 10 s KiB of memory and "
          f"descriptors: {seen}", flush=True)


def main() -> None:
    words = sys.argv[1:]
    leaks = words[:1] == ["--leak"]
    words = words[leaks:]
    if not words or words[0].startswith("-"):
        sys.exit(__doc__)
    build = Path(words[0]).resolve()
    with tempfile.TemporaryDirectory(prefix="mcrelay-read-") as name, \
            socket.socket(type=socket.SOCK_DGRAM) as sink:
        # Nobody reads: what comes is thrown away when it has come.
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sink.bind(("0.0.0.0", 0))
        port = sink.getsockname()[1]
        if leaks:
            for way in words[1:] or WAYS[1:]:
                leak(build, Path(name), port, way)
        else:
            given = dict(enumerate(words))
            compare(build, int(given.get(1, 4000)),
                    float(given.get(2, SECONDS)), words[3:] or list(CACHES),
                    Path(name), port)


if __name__ == "__main__":
    main()
