#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How fast mcrelay-forwarder is: `bench/forward.py BUILDDIR [MEGABYTES]'.

Puts an archive of datagrams of 1400 bytes, in blocks of several sizes, into a
stream of JetStream, and as many messages of that size into another one by
bench/publish, a plain publisher of libnats, without headers and with the same; in
turn, three times each, with one server and with three (three replicas).  The time is that from the first to the
last message, by the server's clock; figures are medians.  Then mcrelay-cat
reads the stream.  Servers, client and all are on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/integration"))
import nats  # noqa: E402
from nats import Client, Cluster, Server, moment  # noqa: E402

RUNS = 3
SIZES = {"4 KiB": 4 << 10, "64 KiB": 64 << 10, "256 KiB": 256 << 10,
         "960 KiB": 960 << 10}
SYNC = bytes(range(16))
DATAGRAM = json.dumps({
    "type": "record", "name": "Datagram", "namespace": "mcrelay", "fields": [
        {"name": "received", "type": {"type": "long",
                                      "logicalType": "timestamp-micros"}},
        {"name": "received_ns", "type": "int"},
        {"name": "sequence", "type": "long"},
        {"name": "source", "type": "string"},
        {"name": "payload", "type": "bytes"}]})
NAME = "one_20261120T213000.000000Z_0.avro"
MESSAGES_MAX = 40000


def long(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(data: bytes) -> bytes:
    return long(len(data)) + data


def write(directory: Path, size: int, megabytes: int) -> int:
    """An archive; returns the number of blocks."""
    payload = os.urandom(1400)
    record = (long(1795210200_000_000) + long(0) + long(7)
              + text(b"127.0.0.1:5000") + text(payload))
    each = max(1, size // len(record))
    block = long(each) + text(record * each) + SYNC
    blocks = min(MESSAGES_MAX, max(1, megabytes * 1_000_000 // len(block)))
    directory.mkdir(parents=True)
    with (directory / NAME).open("wb") as file:
        file.write(b"Obj\1" + long(2) + text(b"avro.schema")
                   + text(DATAGRAM.encode()) + text(b"avro.codec")
                   + text(b"null") + long(0) + SYNC)
        for _ in range(blocks):
            file.write(block)
    return blocks


def took(client: Client, stream: str) -> tuple[float, float]:
    """Seconds from its first to its last message, and megabytes."""
    state = client.stream(stream)["state"]
    return (moment(state["last_ts"]) - moment(state["first_ts"]),
            state["bytes"] / 1e6)


def forwarder(daemon: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Processor time in seconds, and the most memory in megabytes."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    for pid in children.read_text().split():
        if "mcrelay-forward" not in Path(f"/proc/{pid}/comm").read_text():
            continue
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        ticks = sum(map(int, fields.split()[11:13]))
        [peak] = [line for line in Path(f"/proc/{pid}/status").read_text()
                  .splitlines() if line.startswith("VmHWM")]
        return (ticks / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1e3)
    return 0, 0


def last(port: int) -> int:
    """Of three, none may answer while they agree who makes the stream."""
    try:
        with Client(port) as client:
            return client.last("mcrelay-one")
    except OSError:
        return 0


def forward(build: Path, place: Path, urls: list[str], port: int, blocks: int
            ) -> tuple[float, float]:
    (place / "run").mkdir(exist_ok=True)
    conf = place / "mcrelay.yaml"
    conf.write_text(json.dumps({
        "user": "root", "host": "rig", "run_dir": str(place / "run"),
        "log": {"to": "stderr"},
        "forward": {"servers": urls, "replicas": len(urls)},
        "channels": [{
            "name": "one", "payload": {"format": "raw"}, "forward": True,
            "listen": {"address": "127.0.0.1", "port": 31999},
            "archive": {"directory": str(place)}}]}))
    with (place / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [build / "mcrelayd", "-d", "-f", conf], stderr=log,
            env=os.environ | {"MCRELAY_LIBEXECDIR": str(build)})
    try:
        while last(port) < blocks:
            if daemon.poll() is not None:
                sys.exit((place / "log").read_text())
            time.sleep(0.1)
        return forwarder(daemon)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)


def plain(build: Path, url: str, client: Client, size: int, blocks: int,
          replicas: int, *options: str) -> tuple[float, float]:
    """Seconds that it took, and of processor time."""
    made = client.api("STREAM.CREATE.plain", name="plain",
                      subjects=["plain"], num_replicas=replicas,
                      storage="file", discard="new")
    assert "error" not in made, made
    done = subprocess.run(
        [build / "bench/publish", url, "plain", str(size), str(blocks),
         *options], check=True, capture_output=True, timeout=600)
    seconds, _ = took(client, "plain")
    client.api("STREAM.DELETE.plain")
    return seconds, float(done.stdout)


def read(build: Path, url: str) -> float:
    start = time.monotonic()
    subprocess.run([build / "mcrelay-cat", "-o", "raw",
                    f"{url}/mcrelay-one"], check=True,
                   stdout=subprocess.DEVNULL, timeout=600)
    return time.monotonic() - start


def measure(build: Path, servers: list[Server], label: str, size: int,
            megabytes: int) -> None:
    urls = [server.url for server in servers]
    results: dict[str, list[float]] = {
        key: [] for key in ("ours", "theirs", "headers", "cpu", "their cpu",
                            "headers cpu", "memory", "read", "megabytes")}
    blocks = 0
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            blocks = write(place / "one", size, megabytes)
            cpu, memory = forward(build, place, urls, servers[0].port,
                                  blocks)
        results["read"].append(read(build, urls[0]))
        # Two at a time would get each other's answers.
        with Client(servers[0].port, 60) as client:
            seconds, mb = took(client, "mcrelay-one")
            client.api("STREAM.DELETE.mcrelay-one")
            theirs, their_cpu = plain(build, urls[0], client, size, blocks,
                                      len(urls))
            headers, headers_cpu = plain(build, urls[0], client, size,
                                         blocks, len(urls), "headers")
        for key, value in (("ours", seconds), ("theirs", theirs),
                           ("headers", headers), ("cpu", cpu),
                           ("their cpu", their_cpu),
                           ("headers cpu", headers_cpu), ("memory", memory),
                           ("megabytes", mb)):
            results[key].append(value)
    of = {key: statistics.median(values) for key, values in results.items()}
    mb = of["megabytes"]
    print(f"| {len(urls)} | {label} | {blocks / of['ours']:.0f} "
          f"| {mb / of['ours']:.0f} | {mb / of['theirs']:.0f} "
          f"| {of['theirs'] / of['ours']:.2f} "
          f"| {of['headers'] / of['ours']:.2f} "
          f"| {1e3 * of['cpu'] / mb:.2f} | {1e3 * of['their cpu'] / mb:.2f} "
          f"| {1e3 * of['headers cpu'] / mb:.2f} | {of['memory']:.0f} "
          f"| {mb / of['read']:.0f} |", flush=True)


def main() -> None:
    if not 2 <= len(sys.argv) <= 3:
        sys.exit((__doc__ or "").splitlines()[0])
    build = Path(sys.argv[1]).resolve()
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    if nats.PROGRAM is None:
        sys.exit(nats.NO_SERVER)
    if not (build / "bench/publish").exists():
        sys.exit("built without libnats")
    place = Path(tempfile.mkdtemp())
    print("| servers | block | messages/s | MB/s | plain MB/s | of plain "
          "| of one with headers | CPU ms/MB | plain | with headers "
          "| memory MB | mcrelay-cat MB/s |")
    print(12 * "|---" + "|")
    one, three = Server(place), Cluster(place)
    try:
        one.start()
        for label, size in SIZES.items():
            measure(build, [one], label, size, megabytes)
        one.end()
        three.start()
        for label, size in SIZES.items():
            measure(build, three.servers, label, size, megabytes)
    finally:
        one.end()
        three.end()
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
