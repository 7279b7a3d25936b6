# SPDX-License-Identifier: ISC
"""mcrelay-cat, run, and Avro files for it that Python has written."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import avro.datafile
import avro.io
import avro.schema

from daemon import Programs

RUN_S = 60


def cat(programs: Programs, *words: str | Path, status: int = 0,
        errors: list[str] | None = None) -> bytes:
    """Its output.  What it says beside is in `errors'; else it may say
    nothing."""
    done = subprocess.run([str(programs.cat), *map(str, words)],
                          timeout=RUN_S, capture_output=True,
                          stdin=subprocess.DEVNULL)
    said = done.stderr.decode().splitlines()
    assert done.returncode == status, f"{words}: {done.returncode}: {said}"
    if errors is None:
        assert not said, said
    else:
        errors += said
    return done.stdout


def lines(programs: Programs, *words: str | Path, status: int = 0,
          errors: list[str] | None = None) -> list[Any]:
    """The values of its lines of JSON."""
    output = cat(programs, *words, status=status, errors=errors).decode()
    return [json.loads(line) for line in output.splitlines()]


def write(path: Path, schema: Any, values: list[Any], each: int = 7,
          codec: str = "null") -> Path:
    """A container file with blocks of `each' records."""
    writer = avro.datafile.DataFileWriter(
        path.open("wb"), avro.io.DatumWriter(),
        avro.schema.parse(json.dumps(schema)), codec=codec)
    for i, value in enumerate(values):
        if i and i % each == 0:
            writer.sync()
        writer.append(value)
    writer.close()
    return path


def read(path: Path) -> list[Any]:
    """What Python reads, with bytes as mcrelay-cat writes them."""
    with avro.datafile.DataFileReader(path.open("rb"),
                                      avro.io.DatumReader()) as reader:
        return [plain(value) for value in reader]


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value
