# SPDX-License-Identifier: ISC
"""A schema with numbers of every kind in every place, its datums, and what
decimation must make of them, calculated here once more."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from typing import Any, Callable, Sequence

from avro_files import Cursor, double, float32, long, string

SCHEMA = json.dumps({
    "type": "record", "name": "Probe", "fields": [
        {"name": "time",
         "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "label", "type": "string"},
        {"name": "level", "type": "int"},
        {"name": "total", "type": "long"},
        {"name": "ratio", "type": "float"},
        {"name": "place", "type": {
            "type": "record", "name": "Place", "fields": [
                {"name": "lat", "type": "double"},
                {"name": "lon", "type": "double"}]}},
        {"name": "maybe", "type": ["null", "double"]},
        {"name": "perhaps", "type": ["long", "null"]},
        {"name": "good", "type": "boolean"},
        {"name": "codes", "type": {"type": "array", "items": "int"}}]})

Datum = dict[str, Any]

INTEGERS = ("level", "total", "perhaps")
FLOATS = ("ratio", "lat", "lon", "maybe")


def encode(d: Datum) -> bytes:
    codes = long(len(d["codes"])) + b"".join(map(long, d["codes"])) \
        if d["codes"] else b""
    return b"".join([
        long(d["time"]), string(d["label"]), long(d["level"]),
        long(d["total"]), float32(d["ratio"]), double(d["lat"]),
        double(d["lon"]),
        long(0) if d["maybe"] is None else long(1) + double(d["maybe"]),
        long(1) if d["perhaps"] is None else long(0) + long(d["perhaps"]),
        bytes([d["good"]]), codes, long(0)])


def decode(data: bytes) -> Datum:
    c = Cursor(data)
    d = {"time": c.long(), "label": c.bytes().decode(), "level": c.long(),
         "total": c.long(), "ratio": c.float32(), "lat": c.double(),
         "lon": c.double(), "maybe": c.double() if c.long() else None,
         "perhaps": None if c.long() else c.long(),
         "good": c.take(1) == b"\1"}
    codes = []
    while (count := c.long()) != 0:
        if count < 0:
            count = -count
            c.long()
        codes += [c.long() for _ in range(count)]
    assert c.end(), "more than one datum"
    return d | {"codes": codes}


def datums(count: int, seed: int = 1) -> list[Datum]:
    r = random.Random(seed)
    result = []
    for n in range(count):
        result.append({
            "time": 1_795_000_000_000_000 + n * 997,
            "label": f"sample {n}", "level": r.randrange(-1000, 1000),
            "total": r.randrange(-2**62, 2**62),
            # Exact as a float, so that ours and theirs are comparable.
            "ratio": r.randrange(-4000, 4000) / 16,
            "lat": r.uniform(-90, 90), "lon": r.uniform(-180, 180),
            # A whole window of nulls now and then.
            "maybe": None if n // 10 % 4 == 1 or r.random() < 0.3
            else r.gauss(0, 1e6),
            "perhaps": None if r.random() < 0.5 else r.randrange(-9, 10),
            "good": r.random() < 0.5,
            "codes": [r.randrange(-99, 99) for _ in range(r.randrange(4))]})
    return result


def nearest(value: Fraction) -> int:
    """Halves away from zero."""
    size = math.floor(abs(value) + Fraction(1, 2))
    return size if value >= 0 else -size


def mean(values: Sequence[Any], integer: bool) -> Any:
    exact = sum(map(Fraction, values)) / len(values)
    return nearest(exact) if integer else float(exact)


def rms(values: Sequence[Any], integer: bool) -> Any:
    square = sum(Fraction(v) ** 2 for v in values) / len(values)
    if not integer:
        return math.sqrt(square)
    # The integer nearest to the root, without a float between.
    root = math.isqrt(math.floor(square))
    return root + 1 if square >= (root + Fraction(1, 2)) ** 2 else root


def least(values: Sequence[Any], integer: bool) -> Any:
    return min(values)


def most(values: Sequence[Any], integer: bool) -> Any:
    return max(values)


def _reduced(window: Sequence[Datum], time: int,
             function: Callable[[Sequence[Any], bool], Any]) -> Datum:
    result = window[-1] | {"time": time}
    for name in INTEGERS + FLOATS:
        values = [d[name] for d in window if d[name] is not None]
        result[name] = function(values, name in INTEGERS) if values else None
    # Element by element, of those that have it.
    result["codes"] = [
        function([d["codes"][i] for d in window if len(d["codes"]) > i], True)
        for i in range(max(len(d["codes"]) for d in window))]
    return result


def decimated(all_datums: Sequence[Datum], method: str, every: int
              ) -> list[Datum]:
    result = []
    for at in range(0, len(all_datums) // every * every, every):
        w = all_datums[at:at + every]
        middle = w[every // 2]["time"]
        if method == "pick":
            result.append(w[-1])
        elif method == "mean":
            result.append(_reduced(w, middle, mean))
        elif method == "rms":
            result.append(_reduced(w, middle, rms))
        else:
            result.append(_reduced(w, w[0]["time"], least))
            result.append(_reduced(w, w[-1]["time"], most))
    return result


# A few units in the last place of the largest number in the field.
TOLERANCE = {"ratio": 2e-5, "lat": 5e-14, "lon": 1e-13, "maybe": 4e-9}


def same(ours: Datum, theirs: Datum) -> bool:
    """Floats but for rounding, all else equal."""
    return all(
        abs(value - theirs[name]) <= TOLERANCE[name]
        if name in FLOATS and None not in (value, theirs[name])
        else value == theirs[name] for name, value in ours.items())
