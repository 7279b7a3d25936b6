# SPDX-License-Identifier: ISC
"""That the bench still works; what it measures is nobody's promise."""

from __future__ import annotations

import csv
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import namespaces_possible
from daemon import Programs
from mounts import Mounts
from net import Receiver, group_v4
from no_uring import TO_WRITE, why_not

pytestmark = pytest.mark.alone

CONTENDERS = {"classic", "batch", "floor", "mcrelay", "mcrelay+dec"}


def run(source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", str(source / "bench/run"), *options],
        text=True, capture_output=True, timeout=150,
        stdin=subprocess.DEVNULL)


def test_bench(programs: Programs, source: Path, tmp_path: Path) -> None:
    """One small cell of each of ours, and a few channels: figures for all,
    a verdict, a plot, and nothing left behind."""
    done = run(source, "--build", str(programs.mcrelayd.parent),
               "--only", "coalesced:200:" + ",".join(sorted(CONTENDERS)),
               "--measure", "cpu,scaling", "--channels", "3",
               "--repeat", "1", "--time", "0.2", "--warm", "16",
               "--directory", str(tmp_path),
               "--output", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not measured: coalesced" not in done.stdout, done.stdout
    with (tmp_path / "results/results.csv").open() as f:
        rows = list(csv.DictReader(f))
    cpu = {r["contender"]: float(r["value"]) for r in rows
           if r["metric"] == "cpu_ns_per_datagram"}
    assert set(cpu) == CONTENDERS, done.stdout
    assert all(value > 0 for value in cpu.values()), cpu
    (lost,) = [r["value"] for r in rows if r["metric"] == "lost"]
    assert lost == "0"
    assert "**not measured**" in (tmp_path / "results/results.md").read_text()
    assert "<rect" in (tmp_path / "results/results.svg").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["results"]


def test_nic_source(programs: Programs, source: Path, tmp_path: Path
                    ) -> None:
    """Live XDP frames are made, and what they carry arrives: headers and
    checksums are right."""
    if reason := namespaces_possible():
        pytest.skip(reason)
    if not shutil.which("ethtool"):
        pytest.skip("needs ethtool: install the Debian package ethtool")
    done = run(source, "--build", str(programs.mcrelayd.parent),
               "--only", "nic:64:mcrelay", "--measure", "cpu",
               "--repeat", "1", "--time", "0.2", "--warm", "16",
               "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not measured: nic" not in done.stdout, done.stdout
    assert "nic:64:mcrelay cpu_ns_per_datagram" in done.stdout
    assert "lost 100.0 %" not in done.stdout, done.stdout


def test_loop(programs: Programs, tmp_path: Path) -> None:
    """What many channels are compared with does the whole job: each datagram
    is in its channel's file and at all of its outputs."""
    build, group = programs.mcrelayd.parent, group_v4()
    first, out = 24000, 24100
    loop = subprocess.Popen(
        [build / "bench/loop", str(first), "2", group, str(out), "2",
         str(1 << 20), tmp_path, tmp_path / "counters"], text=True,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        assert loop.stdout is not None and loop.stdout.readline() == "ready\n"
        with Receiver(group, out + 1) as one, Receiver(group, out + 2) as two:
            done = subprocess.run(
                [build / "bench/source", "many", "127.0.0.1", str(first),
                 "100", "2000", "100", "2"], text=True, check=True,
                timeout=20, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            assert int(done.stdout.split()[0]) == 200
            assert one.wait(100) == two.wait(100) == [bytes(100)] * 100
        counted = struct.unpack("3Q", (tmp_path / "counters").read_bytes())
        assert counted == (200, 200, 200)
        # Address, time and length before each.
        assert [(tmp_path / f"{i}.part").stat().st_size for i in (0, 1)] == \
            [100 * (32 + 100)] * 2
    finally:
        loop.kill()
        loop.communicate(timeout=10)


@pytest.mark.parametrize("way", ["sendmmsg", "uring", "linked", "zero_copy"])
def test_sends(programs: Programs, way: str) -> None:
    """Each way to send takes time and sends whole batches."""
    program = programs.mcrelayd.parent / "bench/sends"
    if not program.exists():
        pytest.skip("needs the Debian package liburing-dev")
    group, out = group_v4(), 24200
    with Receiver(group, out + 1) as receiver:
        done = subprocess.run(
            [program, way, "lo", group, str(out), "2", "3", "100", "5"],
            text=True, timeout=20, capture_output=True,
            stdin=subprocess.DEVNULL)
        if "io_uring" in done.stderr:
            pytest.skip(done.stderr)
        ns, failed, copied = map(float, done.stdout.split())
        assert ns > 0 and failed == 0
        assert copied == 0 or way == "zero_copy"
        assert receiver.wait(3)[:3] == [bytes(100)] * 3


def test_steady(programs: Programs, source: Path, tmp_path: Path) -> None:
    """Files that are written over by those who can."""
    done = run(source, "--build", str(programs.mcrelayd.parent), "--steady",
               "--only", "coalesced:1400:floor,mcrelay+recycle",
               "--measure", "cpu", "--repeat", "1", "--time", "0.2",
               "--warm", "16", "--set", "archive.rotate.size=16MiB",
               "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not measured: coalesced" not in done.stdout, done.stdout
    with (tmp_path / "results.csv").open() as f:
        cpu = {r["contender"]: float(r["value"]) for r in csv.DictReader(f)
               if r["metric"] == "cpu_ns_per_datagram"}
    assert set(cpu) == {"floor", "mcrelay+recycle"}, done.stdout
    assert all(value > 0 for value in cpu.values()), cpu


def by_itself(programs: Programs, source: Path, name: str, *words: str
              ) -> str:
    """What another program of bench/ prints."""
    done = subprocess.run(
        [sys.executable, "-B", source / "bench" / name,
         programs.mcrelayd.parent, *words], text=True, capture_output=True,
        timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_recycle(programs: Programs, source: Path) -> None:
    out = by_itself(programs, source, "recycle.py", "1", "1", "4", "buffered")
    for how in "new files", "recycled ":
        found = re.search(rf"buffered {how}: worker (\d+) ns", out)
        assert found and int(found[1]) > 0, out


def test_read(programs: Programs, source: Path) -> None:
    """Paced, with how late they were, and as fast as they can."""
    ways = ["pool", "pread", "mmap"]
    if not why_not(programs, TO_WRITE):
        ways.insert(2, "io_uring")
    out = by_itself(programs, source, "read.py", "4", "0.2", "warm")
    rows = [line.split(" | ") for line in out.splitlines()
            if line.startswith(tuple(f"| {way} " for way in ways))]
    assert [row[0].removeprefix("| ") for row in rows] == 2 * ways, out
    assert [row[6] != "-" for row in rows] == \
        [True] * len(ways) + [False] * len(ways), out


def test_many(programs: Programs, source: Path) -> None:
    out = by_itself(programs, source, "many.py", "0.1", "1", "8 outputs",
                    "shared")
    assert re.search(r"\n\| 1 channel, 8 outputs \| shared \| [1-9]\d* "
                     r"\| [1-9]\d* \| \d+ \|", out), out


def test_slow(programs: Programs, source: Path, mounts: Mounts,
              tmp_path: Path) -> None:
    """A disk that is slow is made, and goes again."""
    for program in "mkfs.ext4", "losetup", "pkg-config":
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    if subprocess.run(["pkg-config", "fuse3"]).returncode != 0 or \
            not Path("/dev/fuse").exists():
        pytest.skip("needs /dev/fuse and libfuse3-dev")
    mounts.add(tmp_path / "here")
    if subprocess.run(["losetup", "-f"], capture_output=True).returncode:
        pytest.skip("needs a loop device")
    out = by_itself(programs, source, "slow.py", "1", "0.3", "mcrelay+mmap")
    for rate in "half", "twice":
        for way in "mcrelay, in memory", "mcrelay+mmap":
            assert re.search(rf"\n\| {rate} \| {re.escape(way)} \| [1-9]", out
                             ), out


def test_options(source: Path) -> None:
    assert "--quick" in run(source, "--help").stdout
    wrong = run(source, "--only", "coalesced:1400:nobody")
    assert wrong.returncode == 2 and "nobody" in wrong.stderr
