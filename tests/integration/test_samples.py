# SPDX-License-Identifier: ISC
"""Samples in raw payloads: every type and method, against our own calculation
with exact fractions."""

from __future__ import annotations

import math
import random
import struct
from contextlib import ExitStack
from typing import Any, Sequence

import pytest

import probe
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port

TYPES = {"u8": "B", "s8": "b", "u16le": "<H", "u16be": ">H", "s16le": "<h",
         "s16be": ">h", "s24le": "<3", "s24be": ">3", "u32le": "<I",
         "u32be": ">I", "s32le": "<i", "s32be": ">i", "f32le": "<f",
         "f32be": ">f", "f64le": "<d", "f64be": ">d"}
METHODS = ["pick", "mean", "minmax", "rms"]
CHANNELS, HEADER, EVERY, FRAMES = 3, 5, 4, 6


def pack(kind: str, values: Sequence[Any]) -> bytes:
    code = TYPES[kind]
    if code[-1] == "3":
        order = "little" if code[0] == "<" else "big"
        return b"".join(v.to_bytes(3, order, signed=True) for v in values)
    return struct.pack(f"{code[:-1] or '<'}{len(values)}{code[-1]}", *values)


def unpack(kind: str, data: bytes) -> list[Any]:
    code = TYPES[kind]
    if code[-1] == "3":
        order = "little" if code[0] == "<" else "big"
        return [int.from_bytes(data[i:i + 3], order, signed=True)
                for i in range(0, len(data), 3)]
    size = struct.calcsize(code)
    return list(struct.unpack(
        f"{code[:-1] or '<'}{len(data) // size}{code[-1]}", data))


def sample(kind: str, r: random.Random) -> Any:
    code = TYPES[kind][-1]
    if code in "fd":
        return struct.unpack("<f", struct.pack("<f", r.gauss(0, 100)))[0]
    bits = 8 * (3 if code == "3" else struct.calcsize("<" + code))
    low = 0 if kind[0] == "u" else -1 << bits - 1
    # The ends of the range come often.
    return r.choice([low, low + (1 << bits) - 1,
                     r.randrange(low, low + (1 << bits))])


def highest(kind: str) -> int:
    bits = int("".join(c for c in kind if c.isdigit()))
    return (1 << bits - (kind[0] == "s")) - 1


def reduced(kind: str, method: str, values: list[Any]) -> list[Any]:
    integer = kind[0] != "f"
    if method == "pick":
        return [values[-1]]
    if method == "minmax":
        return [min(values), max(values)]
    result = (probe.mean if method == "mean" else probe.rms)(values, integer)
    return [min(result, highest(kind)) if integer else result]


def same(kind: str, ours: Any, theirs: Any) -> bool:
    if kind[0] != "f":
        return ours == theirs
    return math.isclose(ours, theirs, rel_tol=2e-7 if "32" in kind else 1e-14,
                        abs_tol=1e-5 if "32" in kind else 1e-12)


@pytest.mark.parametrize("kind", TYPES)
def test_types(daemon: Daemon, kind: str) -> None:
    """Four datagrams become one (two with minmax), its frames each of four,
    with the header of the last one."""
    port = free_port()
    r = random.Random(kind)
    datagrams = [[[sample(kind, r) for _ in range(CHANNELS)]
                  for _ in range(FRAMES)] for _ in range(12 * EVERY)]
    sent = [b"%05d" % n + b"".join(pack(kind, f) for f in frames)
            for n, frames in enumerate(datagrams)]
    with ExitStack() as stack:
        to = {m: stack.enter_context(Receiver()) for m in METHODS}
        sender = stack.enter_context(Sender("127.0.0.1", port))
        daemon.start(channel(
            "one", port, payload={"format": "raw", "samples": {
                "type": kind, "channels": CHANNELS, "offset": HEADER}},
            decimate=[{"name": m, "method": m, "every": EVERY} |
                      output(to[m].address, to[m].port) for m in METHODS]))
        sender.send(sent)
        for method in METHODS:
            outputs = 2 if method == "minmax" else 1
            got = to[method].wait(12 * outputs)
            for w in range(12):
                joined = sum(datagrams[w * EVERY:(w + 1) * EVERY], [])
                for o in range(outputs):
                    data = got[w * outputs + o]
                    assert data[:HEADER] == sent[w * EVERY + 3][:HEADER]
                    theirs = unpack(kind, data[HEADER:])
                    ours = [reduced(kind, method, [
                        f[c] for f in joined[g * EVERY:(g + 1) * EVERY]])[o]
                        for g in range(FRAMES) for c in range(CHANNELS)]
                    assert len(ours) == len(theirs)
                    assert all(same(kind, a, b) for a, b in
                               zip(ours, theirs)), (method, ours, theirs)


def test_odd_datagrams(daemon: Daemon) -> None:
    """Of different lengths, with bytes behind the last frame, too short."""
    port = free_port()
    lengths = [3, 1, 5, 2, 2, 4]
    sent = [bytes([n]) + pack("s16le", [100 * n + i for i in range(length)]) +
            b"x" * (n % 2) for n, length in enumerate(lengths)]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload={"format": "raw", "samples": {
                "type": "s16le", "offset": 1}},
            decimate=[{"name": "s", "method": "pick", "every": 3} |
                      output(receiver.address, receiver.port)]))
        sender.send(sent[:2] + [b"", b"\0", b"\0\0"] + sent[2:])
        assert receiver.wait(2) == [
            b"\2" + pack("s16le", [2, 201, 204]),
            b"\5" + pack("s16le", [400, 501, 503])]


def test_fir(daemon: Daemon) -> None:
    """A tone that passes comes out as it is; one above half of the output's
    rate, which would alias, is gone; both at once are only the first."""
    port, every, frames = free_port(), 10, 100
    total = every * frames * 30

    def tone(frequency: float, n: int) -> float:
        return 20000 * math.sin(2 * math.pi * frequency * n)

    low, high = 0.03, 0.088     # the output's samples come at 0.1
    samples = [[round(tone(low, n)), round(tone(high, n)),
                round(tone(low, n) / 2 + tone(high, n) / 2)]
               for n in range(total)]
    sent = [b"".join(pack("s16be", f) for f in samples[at:at + frames])
            for at in range(0, total, frames)]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload={"format": "raw", "samples": {
                "type": "s16be", "channels": 3}},
            decimate=[{"name": "s", "method": "fir", "every": every} |
                      output(receiver.address, receiver.port)]))
        sender.send(sent, 3000)
        got = unpack("s16be", b"".join(receiver.wait(30)))
    # Past the beginning, when the filter is filled.
    settled = list(zip(got[0::3], got[1::3], got[2::3]))[100:]
    assert len(settled) == total // every - 100

    def rms(channel_: int) -> float:
        return math.sqrt(sum(v[channel_] ** 2 for v in settled) /
                         len(settled))

    whole = 20000 / math.sqrt(2)
    assert math.isclose(rms(0), whole, rel_tol=0.01)
    assert rms(1) < whole / 1000
    assert math.isclose(rms(2), whole / 2, rel_tol=0.01)
