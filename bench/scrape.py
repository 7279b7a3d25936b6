#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a scrape of mcrelay-web costs: `bench/scrape.py BUILDDIR [CHANNELS]'.

Starts a mcrelayd of its own with so many channels, each with an output, an
archive and a decimated stream, and asks for /metrics once a second, with and
without gzip.  Says how long that takes, and how much processor time it takes
of mcrelayd and of mcrelay-web, less what they use when nobody asks.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRAPES = 15
START_S = 180


def free_tcp_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def configuration(directory: Path, port: int, channels: int) -> str:
    made = [{
        "name": f"c{i}", "ring_size": "1MiB", "stale_after": "1d",
        "listen": {"address": "127.0.0.1", "port": 10000 + i,
                   "receive_buffer": "256KiB"},
        "payload": {"format": "raw"},
        "archive": {"directory": str(directory / "archive")},
        "relay": [{"address": "127.0.0.1", "port": 12000 + i}],
        "decimate": [{"name": "s", "method": "pick", "every": 10,
                      "address": "127.0.0.1", "port": 14000 + i}],
    } for i in range(channels)]
    config = {"run_dir": str(directory / "run"), "web": {"port": port},
              "log": {"to": "stderr", "level": "warning"}, "channels": made}
    return json.dumps(config | (
        {"user": "root"} if os.geteuid() == 0 else {}))


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_running(ctl: list[str]) -> dict:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        time.sleep(0.5)
        done = subprocess.run([*ctl, "status", "-j"], capture_output=True)
        if done.returncode != 0:
            continue
        status = json.loads(done.stdout)
        if status["web"]["state"] == "running" and all(
                c["state"] == "running" for c in status["channels"]):
            return status
    sys.exit("the channels do not come up")


def scrape(port: int, headers: dict[str, str]) -> tuple[float, int, int]:
    """Seconds, HTTP status, bytes."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    size = len(answer.read())
    connection.close()
    return time.monotonic() - begun, answer.status, size


def measure(name: str, port: int, pids: list[int],
            headers: dict[str, str]) -> None:
    def spent(ask: bool) -> list[float]:
        before = [processor_s(pid) for pid in pids]
        for _ in range(SCRAPES):
            time.sleep(1)
            if ask:
                seen.append(scrape(port, headers))
        return [(processor_s(pid) - b) / SCRAPES * 1000
                for pid, b in zip(pids, before)]
    seen: list[tuple[float, int, int]] = []
    idle, busy = spent(False), spent(True)
    good = [s for s, status, _ in seen if status == 200]
    if not good:
        print(f"{name}: none of {SCRAPES} was answered")
        return
    print(f"{name}: {seen[-1][2] / 1e6:.2f} MB, "
          f"median {statistics.median(good) * 1000:.0f} ms, "
          f"longest {max(good) * 1000:.0f} ms; processor time "
          f"{busy[0] - idle[0]:.0f} ms of mcrelayd, "
          f"{busy[1] - idle[1]:.0f} ms of mcrelay-web; "
          f"{SCRAPES - len(good)} not answered")


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    build = Path(sys.argv[1]).resolve()
    channels = int(sys.argv[2]) if len(sys.argv) == 3 else 1000
    port = free_tcp_port()
    with tempfile.TemporaryDirectory(prefix="mcrelay-scrape-") as name:
        directory = Path(name)
        config = directory / "mcrelay.yaml"
        config.write_text(configuration(directory, port, channels))
        daemon = subprocess.Popen(
            [build / "mcrelayd", "-d", "-f", config],
            env=os.environ | {"MCRELAY_LIBEXECDIR": str(build)})
        try:
            status = wait_running([str(build / "mcrelayctl"), "-s",
                                   str(directory / "run/mcrelayd.sock")])
            pids = [daemon.pid, status["web"]["pid"]]
            load = os.getloadavg()[0]
            print(f"{channels} channels; load {load:.1f} on "
                  f"{os.cpu_count()} processors")
            measure("plain", port, pids, {})
            measure("gzip", port, pids, {"Accept-Encoding": "gzip"})
            peak = next(line.split()[1] for line in Path(
                f"/proc/{pids[1]}/status").read_text().splitlines()
                if line.startswith("VmHWM"))
            print(f"mcrelay-web had {int(peak) / 1024:.0f} MiB at most")
        finally:
            daemon.terminate()
            daemon.wait(60)


if __name__ == "__main__":
    main()
