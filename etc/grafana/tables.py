# SPDX-License-Identifier: ISC
"""The tables that metrics come from, for make-board: common/ledger.h,
common/reason_table.h and those in metrics/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]

# Counters of the ledger and of streams that are no loss.
NO_LOSS = {"received", "received_bytes", "relayed", "archived",
           "archived_bytes", "in", "out",
           "relay_errors",      # the sum of its causes
           "archive_paused", "relay_paused", "relay_standby", "standby", "merged",
           "kernel_relayed",
           "kernel_relay_errors",   # left to the worker
           "archive_errors", "sequence_repeats", "sequence_reordered"}


class Metric(NamedTuple):
    name: str
    counter: bool       # only grows
    unit: str
    help: str


def text(literals: str) -> str:
    """C's adjacent strings."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def read(name: str) -> str:
    return (TOP / name).read_text().replace("\\\n", "\n")


def counter_table(source: str, table: str, scope: str) -> list[Metric]:
    """Of common/ledger.h, without its levels."""
    found = re.search(rf"#define {table}\(X\)\s*\n(.*?)\n\n", source, re.S)
    assert found is not None, table
    rows = re.findall(r"X\((\w+), (\w+), (\w+), \w+,\s*((?:\"[^\"]*\"\s*)+)\)",
                      found[1])
    assert rows, table
    return [Metric(f"mcrelay_{scope}{name}" + (
        "_total" if kind == "COUNTER" else ""), kind == "COUNTER",
        unit.lower(), text(meaning)) for name, kind, unit, meaning in rows]


def other_metrics() -> list[Metric]:
    """Of metrics/."""
    row = re.compile(
        r'\{\s*"(\w*)",\s*"(\w+)",\s*METRIC_(\w+),\s*(NULL|"\w+"),\s*'
        r'((?:"[^"]*"\s*)+)\}')
    metrics = []
    for file in sorted((TOP / "metrics").glob("*.c")):
        source = re.sub(r"\{LEVEL\(\s*(\"\w+\"),([^)]*\")\)",
                        r'{{"", \1, METRIC_GAUGE,\2}', file.read_text())
        metrics += [Metric(f"mcrelay_{scope}{name}" + {
            "COUNTER": "_total", "INFO": "_info", "GAUGE": ""}[kind],
            kind == "COUNTER", "" if unit == "NULL" else text(unit),
            text(meaning))
            for scope, name, kind, unit, meaning in row.findall(source)]
    return metrics


LEDGER = read("common/ledger.h")
FLOWS = [metric for table in (
    "INGEST_FLOW_COUNTERS", "OUTPUT_FLOW_COUNTERS", "RELAY_ERROR_COUNTERS",
    "ARCHIVE_COUNTERS") for metric in counter_table(LEDGER, table, "")]
LEVELS = [metric for table in ("INGEST_GAUGES", "RING_GAUGES")
          for metric in counter_table(LEDGER, table, "")]
OUTPUTS = counter_table(LEDGER, "OUTPUT_FLOW_COUNTERS", "output_")
STREAMS = counter_table(LEDGER, "STREAM_COUNTERS", "stream_")
METRICS = {metric.name: metric for metric in
           FLOWS + LEVELS + OUTPUTS + STREAMS + other_metrics()}
STATES = re.findall(r'"(\w+)"', read("metrics/states.c").split(
    "states[] = {")[1].split("};")[0])
REASONS = {name: text(meaning) for name, meaning in re.findall(
    r'X\(\w+, (\w+), \w+,\s*((?:"[^"]*"\s*)+)\)',
    read("common/reason_table.h"))}


def word(metric: Metric) -> str:
    """As the ledger calls it."""
    return re.sub(r"^mcrelay_(stream_|output_)?|_total$", "", metric.name)


def losses(metrics: list[Metric]) -> list[Metric]:
    return [metric for metric in metrics if word(metric) not in NO_LOSS]
