# SPDX-License-Identifier: ISC
"""The machine under the bench: namespace, cores, memory, CPU clocks."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2
PAGE = os.sysconf("SC_PAGESIZE")

SPIN_S, PAUSE_S = 2.0, 200e-6

VETH_OUT, VETH_IN = "mb-out", "mb-in"
VETH_ADDRESS = "10.99.7.1"

_libc = ctypes.CDLL(None, use_errno=True)


class Unsuitable(Exception):
    """Why something cannot be measured here."""


def note(text: str) -> None:
    print(text, flush=True)


class Machine:
    """Two sets of cores, and namespaces of our own for network and mounts,
    which end with the last process in them: there is nothing to clean
    up."""

    def __init__(self, source_cores: str, relay_cores: str) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.source_cores = parse_cores(source_cores) or {cores[0]}
        self.relay_cores = parse_cores(relay_cores) or {cores[-1]}
        self.load = os.getloadavg()[0]
        self.warnings: list[str] = []
        self.nic = ""       # why there is no nic source
        if self.source_cores & self.relay_cores:
            self.warnings.append("source and relay share a core: the figures "
                                 "are of little use")
        if os.geteuid() == 0:
            self._enter_namespace()
        else:
            self.nic = "needs root"
            self.warnings.append(
                "not root: on the host's own loopback, with receive buffers "
                "of net.core.rmem_max, without the nic source")
        self.away, self.longest = pauses(self.relay_cores)
        os.sched_setaffinity(0, self.source_cores)

    def _enter_namespace(self) -> None:
        if _libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
            raise Unsuitable("cannot make namespaces: "
                             + os.strerror(ctypes.get_errno()))
        command("mount", "--make-rprivate", "/")
        command("ip", "link", "set", "lo", "up")
        # Without it nobody has a route for groups on lo in here.
        command("ip", "route", "add", "224.0.0.0/4", "dev", "lo")
        try:
            self._make_veth()
        except (Unsuitable, OSError) as e:
            self.nic = str(e)

    def _make_veth(self) -> None:
        if not shutil.which("ethtool"):
            raise Unsuitable("needs the Debian package ethtool")
        command("ip", "link", "add", VETH_OUT, "type", "veth",
                "peer", "name", VETH_IN)
        # Its packets would be counted among the source's.
        for link in (VETH_OUT, VETH_IN):
            Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6"
                 ).write_text("1\n")
        for link in (VETH_OUT, VETH_IN):
            command("ip", "link", "set", link, "up")
        command("ip", "addr", "add", VETH_ADDRESS + "/24", "dev", VETH_IN)
        command("ethtool", "-K", VETH_IN, "gro", "on",
                "rx-vlan-hw-parse", "off", "rx-vlan-stag-hw-parse", "off")
        for setting in ("all/rp_filter", f"{VETH_IN}/rp_filter"):
            Path("/proc/sys/net/ipv4/conf", setting).write_text("0\n")

    def start(self, words: list[str], relay: bool, **more: object
              ) -> subprocess.Popen[str]:
        """A process on the relay's or the source's cores; it dies with
        us."""
        cores = self.relay_cores if relay else self.source_cores

        def prepare() -> None:
            os.sched_setaffinity(0, cores)
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

        more = {"stdin": subprocess.DEVNULL, "text": True} | more
        return subprocess.Popen(words, preexec_fn=prepare,
                                **more)     # type: ignore

    def start_source(self, words: list[str], **more: object
                     ) -> subprocess.Popen[str]:
        return self.start(words, relay=False, **more)

    def describe(self) -> list[str]:
        model = "unknown CPU"
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
        return [
            f"machine: {model}, {os.cpu_count()} cores; kernel "
            f"{platform.release()}; "
            + time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            f"source on core {show_cores(self.source_cores)}, relay on core "
            f"{show_cores(self.relay_cores)}; load average before "
            f"the start {self.load:.2f}",
            f"in {SPIN_S:g} s of doing nothing but look at the clock the "
            f"relay's core was away for {1000 * self.away:.1f} ms, "
            f"{1000 * self.longest:.1f} at most",
            *self.warnings,
            *([f"no nic source: {self.nic}"] if self.nic else [])]


def pauses(cores: set[int]) -> tuple[float, float]:
    """How long somebody else had these cores while we wanted them, in all and
    at the longest, seconds; a virtual machine's host does not say."""
    os.sched_setaffinity(0, cores)
    away = longest = 0.0
    last = time.monotonic()
    end = last + SPIN_S
    while last < end:
        now = time.monotonic()
        if now - last > PAUSE_S:
            away += now - last
            longest = max(longest, now - last)
        last = now
    return away, longest


def parse_cores(text: str) -> set[int]:
    return {int(word) for word in text.split(",") if word}


def show_cores(cores: set[int]) -> str:
    return ",".join(map(str, sorted(cores)))


def command(*words: str) -> str:
    done = subprocess.run(words, text=True, capture_output=True, timeout=30,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Unsuitable(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM
         ) -> None:
    """End a process that we started, in any case."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(10)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def wait_for(condition: Callable[[], object], what: str,
             deadline_s: float = 10) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise Unsuitable(f"{what}: not within {deadline_s:g} s")
        time.sleep(0.005)


# CPU time.

def cpu_ns(pid: int) -> int:
    """User and system time of all threads, also those that have ended, to
    the nanosecond: the process's own CPU clock (clock_getcpuclockid)."""
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return 0


def busy_ns(cores: set[int]) -> int:
    """What these cores have worked, for whomever; in ticks."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and \
                int(name[3:]) in cores:
            # Not the fourth and fifth, idle and waiting for a disk.
            ticks += sum(map(int, values[:3] + values[5:8]))
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def switches(pid: int) -> int:
    """Context switches of all threads: how often it went to sleep or was
    interrupted."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def children(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for word in path.read_text().split():
            yield int(word)


def command_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


# Files and memory.

class Sweeper:
    """A directory for archives, on tmpfs unless told otherwise.  Finished
    files are deleted on the source's core, so that a run of any length fits,
    and nobody pays for it but the source."""

    FINISHED = (".done", ".avro")

    def __init__(self, directory: str, folios: bool, sweeps: bool) -> None:
        self.folios = folios
        if not directory:
            directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) \
                else tempfile.gettempdir()
        self._temporary = tempfile.TemporaryDirectory(
            prefix="mcrelay-bench-", dir=directory)
        self.path = Path(self._temporary.name)
        if folios:
            command("mount", "-t", "tmpfs", "-o", "huge=within_size",
                    "mcrelay-bench", str(self.path))
        self._pool: mmap.mmap | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        if sweeps:
            self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(0.02):
            for place, _, files in os.walk(self.path):
                for name in files:
                    if name.endswith(self.FINISHED):
                        Path(place, name).unlink(missing_ok=True)

    def warm(self, size: int) -> None:
        """Hold a pool of warm pages.  A page that a virtual machine touches
        for the first time costs microseconds, and so does one that was free
        for some seconds, when the host takes back blocks of free memory.  So
        fill memory and free every second page: single pages the host leaves
        here, and the kernel hands them out first.  With large folios free all
        but a page of each MiB: blocks that are handed out before what was
        never used, again and again the same, but not safe from the host."""
        stride = (1 << 20) if self.folios else 2 * PAGE
        size -= size % (1 << 20)
        self._pool = mmap.mmap(-1, size, mmap.MAP_PRIVATE)
        self._pool.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, size, stride):
            self._pool[at:at + stride] = bytes([1]) * stride
        for at in range(0, size, stride):
            self._pool.madvise(mmap.MADV_DONTNEED, at, stride - PAGE)

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._pool is not None:
            self._pool.close()
        if self.folios:
            command("umount", "--lazy", str(self.path))
        self._temporary.cleanup()


def free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
