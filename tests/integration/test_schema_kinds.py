# SPDX-License-Identifier: ISC
"""Schemas of every odd kind: what readers make of them, and what a check says.

schema_kinds.jsonl has a line for each: who refuses it (Avro for Python, the npm
package avsc, Avro for Java), and whether mcrelayd accepts it, warns or refuses
it.  A new version of a reader that sees it otherwise fails here."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import avro.errors
import avro.schema
import pytest

import readers
from daemon import Daemon, channel

KINDS: list[dict[str, Any]] = [json.loads(line) for line in (
    readers.HERE / "schema_kinds.jsonl").read_text().splitlines()]
NAMES = [kind["kind"] for kind in KINDS]
# Of what all three take, what the specification does not; and what is refused
# though some take it: no datum is possible, or no two readers agree.
BY_THE_BOOK = {
    "int default whole fraction", "bytes default beyond ff",
    "field alias bad", "logical unknown", "logical number",
    "logical wrong base", "logical beside", "timestamp-nanos"}
NOT_OURS = {
    "namespace bad", "namespace number", "name letter not ascii",
    "field name hyphen", "field name not ascii", "field name dotted",
    "name of a primitive in a namespace", "type error", "enum empty",
    "enum default bad", "enum default null", "fixed fraction", "union empty"}


def by_python() -> list[str]:
    said = []
    for kind in KINDS:
        try:
            avro.schema.parse(json.dumps(kind["schema"]))
            said.append("ok")
        except (avro.errors.AvroException, AttributeError, TypeError) as e:
            said.append(repr(e))
    return said


def compare(reader: str, said: list[str]) -> None:
    assert len(said) == len(KINDS)
    wrong = [(kind["kind"], text) for kind, text in zip(KINDS, said)
             if (text != "ok") != (reader in kind["refused_by"])]
    assert not wrong, f"{reader} sees these otherwise: {wrong}"


def lines(place: Path) -> Path:
    path = place / "kinds.txt"
    path.write_text("".join(json.dumps(kind["schema"]) + "\n"
                            for kind in KINDS))
    return path


@pytest.mark.filterwarnings("ignore")
def test_python() -> None:
    compare("python", by_python())


def test_avsc(avsc: Path, tmp_path: Path) -> None:
    compare("avsc", readers.run(
        "node", str(readers.HERE / "judge_schemas.js"), str(lines(tmp_path)),
        NODE_PATH=str(avsc)))


def test_java(tmp_path: Path) -> None:
    path = readers.compile_java(tmp_path, "JudgeSchemas")
    compare("java", readers.run("java", "-cp", path, "JudgeSchemas",
                                str(lines(tmp_path))))


def test_check(daemon: Daemon) -> None:
    """One check of a channel for each says all of it at once, and nothing of
    those that are well."""
    assert len(set(NAMES)) == len(NAMES) > 100
    for i, kind in enumerate(KINDS):
        (daemon.directory / f"kind{i}.avsc").write_text(
            json.dumps(kind["schema"]))
    daemon.write(*(channel(f"c{i}", 10_000 + i, payload={
        "format": "avro", "schema": f"kind{i}.avsc"})
        for i in range(len(KINDS))))
    done: subprocess.CompletedProcess[str] = daemon.check()
    assert done.returncode == 1
    said = {i: "accepts" for i in range(len(KINDS))}
    for line in done.stderr.splitlines():
        if match := re.search(r"kind(\d+)\.avsc", line):
            warns = line.startswith("warning: ")
            if not (warns and said[int(match[1])] == "refuses"):
                said[int(match[1])] = "warns" if warns else "refuses"
    wrong = {kind["kind"]: said[i] for i, kind in enumerate(KINDS)
             if said[i] != kind["mcrelay"]}
    assert not wrong, wrong


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_fair(kind: dict[str, Any]) -> None:
    """Who accepts it has warned of those who do not; who warns or refuses has
    one of them, or the specification, for it."""
    refused = kind["refused_by"]
    if kind["mcrelay"] == "accepts":
        assert not refused
    elif kind["mcrelay"] == "warns":
        assert bool(refused) != (kind["kind"] in BY_THE_BOOK)
    else:
        assert (len(refused) == 3) != (kind["kind"] in NOT_OURS)
