# SPDX-License-Identifier: ISC
"""That the bench still works; what it measures is nobody's promise."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import namespaces_possible
from daemon import Programs

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


def test_options(source: Path) -> None:
    assert "--quick" in run(source, "--help").stdout
    wrong = run(source, "--only", "coalesced:1400:nobody")
    assert wrong.returncode == 2 and "nobody" in wrong.stderr
