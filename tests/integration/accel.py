# SPDX-License-Identifier: ISC
"""Datums of etc/example/accel.avsc, encoded and decoded by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

from avro_files import Cursor, double, float32, long

START_US = 1_795_000_000_000_000
STATUS = ["OK", "CLIPPED", "FAULT"]


@dataclass
class Sample:
    time: int
    counter: int
    x: float
    y: float
    z: float
    temperature: float
    status: str

    def encode(self) -> bytes:
        return (long(self.time) + long(self.counter) + double(self.x)
                + double(self.y) + double(self.z)
                + float32(self.temperature)
                + long(STATUS.index(self.status)))


def decode(cursor: Cursor) -> Sample:
    return Sample(cursor.long(), cursor.long(), cursor.double(),
                  cursor.double(), cursor.double(), cursor.float32(),
                  STATUS[cursor.long()])


def decode_all(data: bytes) -> list[Sample]:
    cursor = Cursor(data)
    result = []
    while not cursor.end():
        result.append(decode(cursor))
    return result


def sample(number: int) -> Sample:
    return Sample(START_US + number * 1000, number,
                  math.sin(number / 10), number * 0.25,
                  -9.81 + (number % 7) / 100,
                  20.0 + (number % 16) * 0.25, STATUS[number % 3])


def samples(count: int, first: int = 0) -> list[Sample]:
    return [sample(n) for n in range(first, first + count)]


def datagrams(count: int, per_datagram: int = 1, first: int = 0
              ) -> list[bytes]:
    """`count' datagrams of `per_datagram' datums each."""
    result = []
    for n in range(count):
        at = first + n * per_datagram
        result.append(b"".join(
            s.encode() for s in samples(per_datagram, at)))
    return result
