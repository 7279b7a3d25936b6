# SPDX-License-Identifier: ISC
"""What the README says how others read what mcrelay-cat writes: run as printed,
by these others where they are."""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cat import write
from daemon import Programs
from test_examples import path_to, run
from test_shown import shown

SCHEMA = {
    "type": "record", "name": "Sample", "fields": [
        {"name": "time", "type": "long"},
        {"name": "counter", "type": ["null", "long"]},
        {"name": "x", "type": "double"}, {"name": "y", "type": "double"},
        {"name": "z", "type": "double"},
        {"name": "status", "type": {"type": "enum", "name": "Status",
                                    "symbols": ["OK", "CLIPPED", "FAULT"]}}]}
BEGIN_US = 1_795_000_000_000_001
COUNT = 5000
# A channel's name, where a directory of it is.
CHANNEL = "accel"


def samples() -> list[dict[str, Any]]:
    """Doubles with all their bits, some not finite; integers that are no
    doubles."""
    r = random.Random(1)
    made = [{"time": BEGIN_US + 1001 * n,
             "counter": None if n % 7 == 0 else 2**53 + 2 * n + 1,
             "x": r.uniform(-20, 20),
             "y": r.uniform(-1, 1) * 10.0 ** r.randint(-300, 300),
             "z": -1.0 / (n + 1),
             "status": "CLIPPED" if n % 5 == 0 else "OK"}
            for n in range(COUNT)]
    for n, odd in enumerate((math.nan, math.inf, -math.inf)):
        made[n] |= {"x": odd, "status": "FAULT"}
    return made


class Desk:
    """Where one sits with a channel's archive and types what is shown."""

    def __init__(self, programs: Programs, source: Path, place: Path) -> None:
        self.source, self.place = source, place
        self.samples = samples()
        self.environment = path_to(programs, place / "bin")
        self.environment["PATH"] += f":{os.environ['PATH']}"
        (place / CHANNEL).mkdir()
        write(place / CHANNEL / f"{CHANNEL}_20261118T104640.000001Z_0.avro",
              SCHEMA, self.samples)

    def block(self, key: str) -> str:
        block, = (b for b in shown(self.source / "README.md") if key in b)
        return block

    def run(self, script: str) -> str:
        said = run(script, self.place, self.environment)
        return "".join(line for line in said.splitlines(True)
                       if not line.startswith("+ "))

    def written(self, name: str, program: str, text: str) -> str:
        """What a program says to a file with this text."""
        (self.place / name).write_text(text)
        return self.run(f"{program} {name}")

    def compare(self, said: str, column: int, name: str,
                number: type[float] | type[int] = float,
                near: float = 0.0) -> None:
        found = [number(line.split()[column]) for line in said.splitlines()]
        wanted = [each[name] for each in self.samples]
        assert len(found) == len(wanted), said[:1000]
        wrong = [pair for pair in zip(found, wanted)
                 if not math.isclose(*pair, rel_tol=near) and
                 not all(map(math.isnan, pair))]
        assert not wrong, (name, len(wrong), wrong[:5])


@pytest.fixture
def desk(programs: Programs, source: Path, tmp_path: Path) -> Desk:
    return Desk(programs, source, tmp_path)


def test_pandas(desk: Desk) -> None:
    have = subprocess.run([sys.executable, "-c", "import pandas"],
                          capture_output=True)
    if have.returncode != 0:
        pytest.skip("needs pandas: install the Debian package python3-pandas")
    said = desk.written("accel.py", sys.executable, desk.block("import pandas")
                        + "for row in frame.itertuples(index=False):\n"
                        "    print(row.time.value // 1000, repr(row.x), "
                        "repr(row.y), repr(row.z))\n")
    desk.compare(said, 0, "time", int)
    for column, name in enumerate("xyz", 1):
        desk.compare(said, column, name)


def test_duckdb(desk: Desk) -> None:
    if not shutil.which("duckdb"):
        pytest.skip("needs duckdb, which is no package of Debian 12")
    said = desk.run(desk.block("duckdb"))
    for status in "OK", "CLIPPED":
        found = [each["x"] for each in desk.samples
                 if each["status"] == status]
        line, = (line for line in said.splitlines() if f"{status}" in line)
        assert f"{len(found)}" in line, said
        assert repr(max(found)) in line, (max(found), said)
    line, = (line for line in said.splitlines() if "FAULT" in line)
    assert "nan" in line.lower(), said


def test_octave(desk: Desk) -> None:
    """What is shown for MATLAB, by a program that has the same functions, but
    reads doubles with some units of the last place added."""
    if not shutil.which("octave-cli"):
        pytest.skip("needs octave-cli: install the Debian package octave")
    said = desk.written(
        "recipe.m", "octave-cli --norc", desk.block("textscan") +
        "assert(isreal(accel{2}) && isa(accel{1}, 'int64'));\n"
        "columns = [num2cell(accel{1}) num2cell([accel{2:4}])]';\n"
        "printf(\"%d %.17g %.17g %.17g\\n\", columns{:});\n")
    desk.compare(said, 0, "time", int)
    for column, name in enumerate("xyz", 1):
        desk.compare(said, column, name, near=1e-14)
