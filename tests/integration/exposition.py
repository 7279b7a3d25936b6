# SPDX-License-Identifier: ISC
"""Metrics as text, read strictly: Prometheus's format 0.0.4."""

from __future__ import annotations

import re
import subprocess
from typing import NamedTuple

import pytest

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\d+(?:\.\d+)?)")
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.+)")


class Series(NamedTuple):
    name: str
    labels: frozenset[tuple[str, str]]


class Metrics:
    """Samples by series, types and help by name."""

    def __init__(self, text: str) -> None:
        self.samples: dict[Series, str] = {}
        self.types: dict[str, str] = {}
        self.help: dict[str, str] = {}
        assert text.endswith("\n")
        family = ""
        for line in text[:-1].split("\n"):
            if line.startswith("#"):
                family = self._head(line)
            else:
                self._sample(line, family)

    def _head(self, line: str) -> str:
        match = HEAD.fullmatch(line)
        assert match, line
        kind, name, rest = match.groups()
        into = self.help if kind == "HELP" else self.types
        assert name not in into, f"a second time: {line}"
        assert kind == "HELP" or name in self.help, line
        into[name] = rest
        return name

    def _sample(self, line: str, family: str) -> None:
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        assert name == family and name in self.types, line
        pairs = []
        rest = labels or ""
        while rest:
            found = LABEL.match(rest)
            assert found, line
            pairs.append((found[1], unescape(found[2])))
            rest = rest[found.end():]
            assert rest == "" or rest.startswith(",") and rest != ",", line
            rest = rest[1:]
        assert len(pairs) == len(dict(pairs)), line
        series = Series(name, frozenset(pairs))
        assert series not in self.samples, f"a second time: {line}"
        self.samples[series] = value

    def text(self, name: str, **labels: str) -> str:
        return self.samples[Series(name, frozenset(labels.items()))]

    def value(self, name: str, **labels: str) -> float:
        return float(self.text(name, **labels))

    def names(self) -> set[str]:
        return {series.name for series in self.samples}

    def labels(self, name: str) -> list[dict[str, str]]:
        return [dict(s.labels) for s in self.samples if s.name == name]


def unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def promtool(*words: str, stdin: str | None = None) -> str:
    """What it prints; it must be content."""
    try:
        done = subprocess.run(["promtool", *words], input=stdin, text=True,
                              capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no promtool (package prometheus)")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
