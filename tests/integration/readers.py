# SPDX-License-Identifier: ISC
"""Programs of others that read container files.  Each gives the records as
dictionaries, bytes as bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

import avro_files

Records = list[dict[str, Any]]
Reader = Callable[[Path], Records]

HERE = Path(__file__).parent
JARS = ["avro", "jackson-core-asl", "jackson-mapper-asl", "slf4j-api",
        "slf4j-nop", "snappy-java", "commons-compress", "xz", "paranamer"]
TIMEOUT_S = 120

# What a reader reads; Debian's avro-c and Java library are older than
# zstandard.
CODECS = {
    "python": ["null", "deflate", "snappy", "zstandard"],
    "avrocat": ["null", "deflate", "snappy"],
    "avropipe": ["null", "deflate", "snappy"],
    "java": ["null", "deflate", "snappy"],
    "avsc": ["null", "deflate", "snappy", "zstandard"],
}


def run(*command: str, **environment: str) -> list[str]:
    done = subprocess.run(
        command, timeout=TIMEOUT_S, capture_output=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"} | environment)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    assert not done.stderr, f"{command}: {done.stderr.decode()}"
    return done.stdout.decode().split("\n")[:-1]


def as_bytes(record: dict[str, Any]) -> dict[str, Any]:
    """The payload of a Datagram, in whatever form JSON has it."""
    payload = record.get("payload")
    if isinstance(payload, dict):
        payload = payload["bytes"]
    if isinstance(payload, list):
        record["payload"] = bytes(payload)
    elif isinstance(payload, str):
        record["payload"] = payload.encode("latin-1")
    return record


def by_python(path: Path) -> Records:
    return avro_files.by_python(path)


def by_avrocat(path: Path) -> Records:
    return [as_bytes(json.loads(line)) for line in run("avrocat", str(path))]


def by_avropipe(path: Path) -> Records:
    """Lines of a path in the file and its value."""
    records: Records = []
    for line in run("avropipe", str(path)):
        where, value = line.split("\t", 1)
        parts = where.split("/")[1:]
        if len(parts) == 1 and parts[0]:
            records.append({})
            assert len(records) == int(parts[0]) + 1
        elif len(parts) == 2:
            records[-1][parts[1]] = json.loads(value)
    return [as_bytes(record) for record in records]


def compile_java(place: Path, program: str) -> str:
    """With Avro for Java; where its classes are.  Skips without a compiler or
    the library."""
    jars = [Path("/usr/share/java") / f"{name}.jar" for name in JARS]
    if not shutil.which("javac"):
        pytest.skip("needs javac: install the Debian package "
                    "default-jdk-headless")
    if not jars[0].exists():
        pytest.skip("needs Avro for Java: install the Debian package "
                    "libavro-java")
    path = ":".join([str(place), *map(str, jars)])
    done = subprocess.run(
        ["javac", "-cp", path, "-d", str(place),
         str(HERE / f"{program}.java")], timeout=TIMEOUT_S, text=True,
        capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return path


def java(place: Path) -> Reader:
    path = compile_java(place, "ReadAvro")

    def by_java(file: Path) -> Records:
        return [as_bytes(json.loads(line)) for line in run(
            "java", "-cp", path, "ReadAvro", str(file))]
    return by_java


def avsc(modules: Path) -> Reader:
    def by_avsc(path: Path) -> Records:
        return [as_bytes(json.loads(line)) for line in run(
            "node", str(HERE / "read_avro.js"), str(path),
            NODE_PATH=str(modules))]
    return by_avsc
