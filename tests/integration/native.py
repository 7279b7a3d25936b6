# SPDX-License-Identifier: ISC
"""What tests have in C beside them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.skip("no C compiler for what the test preloads or runs")
    return found


def build(name: str, out: Path, *options: str) -> Path:
    """From the source of that name here; `out' is the program."""
    subprocess.run([compiler(), "-O1", "-D_GNU_SOURCE", "-o", str(out),
                    str(Path(__file__).with_name(name)), *options],
                   check=True, stdin=subprocess.DEVNULL)
    return out


def preload(name: str, directory: Path) -> Path:
    """The same as a library for LD_PRELOAD."""
    return build(name, directory / Path(name).with_suffix(".so"),
                 "-shared", "-fPIC", "-ldl")
