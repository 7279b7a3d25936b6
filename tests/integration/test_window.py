# SPDX-License-Identifier: ISC
"""Windows by time, summaries, plans of fields: real streams, against our own
calculation from what was sent."""

from __future__ import annotations

import io
import json
import math
import os
import random
import signal
import statistics
import subprocess
import time
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import pytest

import probe
from avro_files import double, float32, long
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port
from waiting import wait_for

EPOCH_US = 1_795_000_000_000_000    # a multiple of every interval here
NUMBERS = {"level": "int", "total": "long", "ratio": "float",
           "maybe": "double", "perhaps": "long"}


def stream(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"name": "s"} | more | output(receiver.address, receiver.port)


def probe_conf(directory: Path) -> dict[str, str]:
    (directory / "probe.avsc").write_text(probe.SCHEMA)
    return {"format": "avro", "schema": "probe.avsc"}


def schema_of(daemon: Daemon, *words: str) -> str:
    return subprocess.run(
        [daemon.programs.mcrelayctl, "-s", daemon.run_dir / "mcrelayd.sock",
         "schema", *words],
        check=True, capture_output=True, text=True, timeout=20).stdout


def read(schema: str, datagram: bytes) -> Any:
    """All of a datagram, by Avro's own library."""
    stream_ = io.BytesIO(datagram)
    parsed = avro.schema.parse(schema)
    datum = avro.io.DatumReader(parsed, parsed).read(
        avro.io.BinaryDecoder(stream_))
    assert stream_.read() == b"", "something behind the datum"
    return datum


def us(value: Any) -> int:
    """A timestamp as read by Avro's library, in microseconds."""
    if isinstance(value, int):
        return value
    whole = int(value.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + value.microsecond


def check_statistics(got: dict[str, Any], window: list[probe.Datum],
                     name: str) -> None:
    samples = [(d[name], d["time"]) for d in window if d[name] is not None]
    if "nulls" in got:
        assert got["nulls"] == len(window) - len(samples)
    check_values(got, samples)


def check_values(got: dict[str, Any],
                 samples: list[tuple[float, int]]) -> None:
    """Values and their times, as they came."""
    if not samples:
        assert all(got[k] is None for k in got
                   if k not in ("nulls", "samples"))
        return
    values = [v for v, _ in samples]
    assert got["min"] == min(values) and got["max"] == max(values)
    assert us(got["min_time"]) == next(t for v, t in samples
                                       if v == min(values))
    assert us(got["max_time"]) == next(t for v, t in samples
                                       if v == max(values))
    exact = statistics.mean(map(Fraction, values))
    size = float(max(abs(Fraction(v)) for v in values))
    assert math.isclose(got["mean"], float(exact), rel_tol=2e-15,
                        abs_tol=size * 2e-16)
    square = sum(Fraction(v) ** 2 for v in values) / len(values)
    assert math.isclose(got["rms"], math.sqrt(square), rel_tol=2e-15)
    # Properties, exactly.
    assert float(min(values)) <= got["mean"] <= float(max(values))
    assert got["rms"] >= abs(got["mean"])


def check_summary(got: dict[str, Any], window: list[probe.Datum]) -> None:
    assert got["count"] == len(window)
    assert us(got["first_time"]) == window[0]["time"]
    assert us(got["last_time"]) == window[-1]["time"]
    for name in NUMBERS:
        check_statistics(got["fields"][name], window, name)
    for name in ("lat", "lon"):
        check_statistics(got["fields"]["place"][name], window, name)
    assert set(got["fields"]) == set(NUMBERS) | {"place"}


@pytest.mark.parametrize("every", [1, 10, 33])
def test_summary(daemon: Daemon, every: int) -> None:
    """The schema is the one that is printed and lies beside the archive, and
    Avro's own library reads the stream with it."""
    port = free_port()
    datums = probe.datums(400)
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            archive=daemon.archive_conf(),
            decimate=[stream(receiver, shape="summary", every=every)]))
        schema = schema_of(daemon, "one", "s")
        assert schema == (daemon.archive / "one/one.s.avsc").read_text()
        sender.send([probe.encode(d) for d in datums], 2000)
        got = [read(schema, d) for d in receiver.wait(400 // every)]
        for n, summary in enumerate(got):
            check_summary(summary, datums[n * every:(n + 1) * every])
            assert summary["missed"] == 0


def windows(datums: list[probe.Datum], us_: int) -> list[list[probe.Datum]]:
    result: dict[int, list[probe.Datum]] = {}
    for d in datums:
        result.setdefault(d["time"] // us_, []).append(d)
    return list(result.values())


def test_interval_by_field(daemon: Daemon) -> None:
    """Windows of the time field; the last is sent although nothing follows,
    and a gap in the time sends nothing."""
    port = free_port()
    datums = [d for d in probe.datums(400)
              if not 100_000 <= d["time"] % 1_000_000 < 180_000]
    expected = windows(datums, 20_000)
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            decimate=[stream(receiver, shape="summary", interval="20ms",
                             clock="field")]))
        schema = schema_of(daemon, "one", "s")
        sender.send([probe.encode(d) for d in datums])
        got = [read(schema, d) for d in receiver.wait(len(expected))]
        for summary, window in zip(got, expected):
            check_summary(summary, window)


@pytest.mark.parametrize("method", ["pick", "mean", "minmax", "rms"])
def test_interval_same(daemon: Daemon, method: str) -> None:
    port = free_port()
    datums = probe.datums(300)
    expected = []
    for w in windows(datums, 10_000):
        every = probe.decimated(w, method, len(w))
        if method in ("mean", "rms"):
            early = [d for d in w if d["time"] % 10_000 < 5_000] or w[:1]
            every[0]["time"] = early[-1]["time"]
        expected += every
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            decimate=[stream(receiver, method=method, interval="10ms",
                             clock="field")]))
        sender.send([probe.encode(d) for d in datums])
        got = [probe.decode(d) for d in receiver.wait(len(expected))]
        for ours, theirs in zip(expected, got):
            assert probe.same(ours, theirs), f"{ours}, got {theirs}"


def test_interval_by_receive(daemon: Daemon) -> None:
    """Two bursts far apart: at least two windows, every datum in one of them,
    the last one sent without waiting for a third burst, then silence."""
    port = free_port()
    datums = probe.datums(60)
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            decimate=[stream(receiver, shape="summary", interval="200ms")]))
        schema = schema_of(daemon, "one", "s")

        def total() -> int:
            return sum(read(schema, d)["count"] for d in receiver.datagrams)

        sender.send([probe.encode(d) for d in datums[:30]])
        wait_for(lambda: total() == 30, "the first burst")
        first = len(receiver.datagrams)
        sender.send([probe.encode(d) for d in datums[30:]])
        wait_for(lambda: total() == 60, "the second burst")
        assert len(receiver.datagrams) > first
        sent = len(receiver.datagrams)
        # Nothing is repeated: longer than window and grace together.
        deadline = time.monotonic() + 0.6
        while time.monotonic() < deadline:
            assert len(receiver.datagrams) == sent
            time.sleep(0.02)


def test_raw_interval(daemon: Daemon) -> None:
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port, decimate=[
            stream(receiver, method="pick", interval="50ms")]))
        sender.send([b"first", b"second", b"last"])
        wait_for(lambda: receiver.datagrams[-1:] == [b"last"], "the last")


def test_fields_and_only(daemon: Daemon) -> None:
    """Each field its own method, a subset with a schema of its own, both
    beside a plain stream."""
    port = free_port()
    datums = probe.datums(90)
    with Receiver() as mixed, Receiver() as few, \
            Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory), decimate=[
                stream(mixed, method="mean", every=9,
                       fields={"level": "pick", "place": "minmax",
                               "place.lon": "rms", "label": "pick"}),
                stream(few, method="mean", every=9, name="few",
                       only=["time", "label", "place.lat", "codes"]) |
                {"name": "few"}]))
        assert json.loads(schema_of(daemon, "one", "s")) == \
            json.loads(probe.SCHEMA)
        schema = schema_of(daemon, "one", "few")
        sender.send([probe.encode(d) for d in datums], 2000)
        got = [probe.decode(d) for d in mixed.wait(20)]
        some = [read(schema, d) for d in few.wait(10)]
    for n in range(10):
        w = datums[n * 9:n * 9 + 9]
        low, high = got[2 * n], got[2 * n + 1]
        assert (low["time"], high["time"]) == (w[0]["time"], w[-1]["time"])
        assert low["level"] == high["level"] == w[-1]["level"]
        assert low["lat"] == min(d["lat"] for d in w)
        assert high["lat"] == max(d["lat"] for d in w)
        (mean,) = probe.decimated(w, "mean", 9)
        (rms,) = probe.decimated(w, "rms", 9)
        for d in low, high:
            assert math.isclose(d["lon"], rms["lon"], rel_tol=1e-14)
            assert d["total"] == mean["total"] and d["label"] == w[-1]["label"]
        assert set(some[n]) == {"time", "label", "place", "codes"}
        assert set(some[n]["place"]) == {"lat"}
        assert us(some[n]["time"]) == mean["time"]
        assert math.isclose(some[n]["place"]["lat"], mean["lat"],
                            abs_tol=1e-13)
        assert some[n]["codes"] == mean["codes"]


def test_reload_keeps_the_others(daemon: Daemon) -> None:
    """A stream's plan changes; the window of the other goes on."""
    port = free_port()
    datums = [probe.encode(d) for d in probe.datums(40)]
    with Receiver() as kept, Receiver() as changed, \
            Sender("127.0.0.1", port) as sender:
        conf = channel("one", port, payload=probe_conf(daemon.directory),
                       decimate=[
                           stream(kept, shape="summary", every=20),
                           stream(changed, shape="summary", every=10) |
                           {"name": "c"}])
        daemon.start(conf)
        sender.send(datums[:15])
        changed.wait(1)
        daemon.wait_received("one", 15)
        wait_for(lambda: daemon.status("one")["decimate"]["s"]["in"] == 15,
                 "all taken")
        conf["decimate"][1] |= {"only": ["level"]}
        daemon.write(conf)
        daemon.ctl("reload")
        schema = schema_of(daemon, "one", "c")
        sender.send(datums[15:])
        assert read(schema_of(daemon, "one", "s"),
                    kept.wait(2)[0])["count"] == 20
        assert list(read(schema, changed.wait(3)[-1])["fields"]) == ["level"]

def test_pack(daemon: Daemon) -> None:
    """Several datums in a datagram, none lost or out of order, and none that
    waits for others that do not come."""
    port = free_port()
    datums = [probe.encode(d) for d in probe.datums(500)]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            decimate=[stream(receiver, method="pick", every=1, pack=True)]))
        sender.send([b"".join(datums[n:n + 10]) for n in range(0, 500, 10)])
        wait_for(lambda: b"".join(receiver.datagrams) == b"".join(datums),
                 "all datums")
        assert len(receiver.datagrams) <= 50
        before = len(receiver.datagrams)
        sender.send(datums[:1])
        assert receiver.wait(before + 1)[-1] == datums[0]


ROWS = json.dumps({"type": "record", "name": "Rows", "fields": [
    {"name": kind, "type": {"type": "array", "items": kind}}
    for kind in ("int", "long", "float", "double")]})


def rows(r: random.Random, count: int) -> list[dict[str, list[Any]]]:
    return [{"int": [r.randrange(-2**31, 2**31) for _ in range(40)],
             "long": [r.randrange(-2**63, 2**63)
                      for _ in range(r.randrange(60))],
             "float": [r.randrange(-4000, 4000) / 16 for _ in range(8)],
             "double": [r.gauss(0, 1e3) for _ in range(r.randrange(90))]}
            for _ in range(count)]


def encode_rows(row: dict[str, list[Any]]) -> bytes:
    """In blocks of up to 25, every second with its size in bytes."""
    encoders = {"int": long, "long": long, "float": float32, "double": double}
    data = b""
    for kind, values in row.items():
        for n, at in enumerate(range(0, len(values), 25)):
            block = values[at:at + 25]
            body = b"".join(map(encoders[kind], block))
            data += long(-len(block)) + long(len(body)) + body if n % 2 \
                else long(len(block)) + body
        data += long(0)
    return data


@pytest.mark.parametrize("arrays", ["elementwise", "samples"])
@pytest.mark.parametrize("method", ["mean", "minmax", "rms"])
def test_arrays(daemon: Daemon, method: str, arrays: str) -> None:
    port, every = free_port(), 5
    sent = rows(random.Random(arrays + method), 6 * every)
    (daemon.directory / "rows.avsc").write_text(ROWS)
    functions = {"mean": [probe.mean], "rms": [probe.rms],
                 "minmax": [probe.least, probe.most]}[method]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload={"format": "avro", "schema": "rows.avsc"},
            decimate=[stream(receiver, method=method, every=every,
                             arrays=arrays)]))
        sender.send([encode_rows(row) for row in sent], 1000)
        got = [read(ROWS, d) for d in receiver.wait(6 * len(functions))]
    for n, datum in enumerate(got):
        function = functions[n % len(functions)]
        w = n // len(functions) * every
        for kind, theirs in datum.items():
            window = [row[kind] for row in sent[w:w + every]]
            if arrays == "samples":
                joined = sum(window, [])
                groups = [joined[i:i + every]
                          for i in range(0, len(joined), every)]
            else:
                groups = [[a[i] for a in window if len(a) > i]
                          for i in range(max(map(len, window)))]
            integer = kind in ("int", "long")
            assert len(theirs) == len(groups)
            for group, value in zip(groups, theirs):
                ours = function(group, integer)
                assert value == ours if integer else math.isclose(
                    value, ours, rel_tol=1e-6, abs_tol=1e-9), (kind, group)


TIMED_ROWS = json.dumps({"type": "record", "name": "Rows", "fields": [
    {"name": "time", "type": {"type": "long",
                              "logicalType": "timestamp-micros"}},
    {"name": "n", "type": "int"}] + json.loads(ROWS)["fields"]})


@pytest.mark.parametrize("only", [None, ["n", "long", "double"]])
@pytest.mark.parametrize("window", [{"every": 4}, {
    "interval": "4ms", "clock": "field"}])
def test_arrays_in_summary(daemon: Daemon, window: dict[str, Any],
                           only: list[str] | None) -> None:
    """All samples of a window's arrays, against exact fractions; where there
    are none, there is nothing to say.  Other arrays are left out."""
    port = free_port()
    sent = rows(random.Random(4), 40)
    for row in sent[8:12]:
        row["long"] = row["double"] = []
    (daemon.directory / "rows.avsc").write_text(TIMED_ROWS)
    more = window | {"shape": "summary"} | ({"only": only} if only else {})
    with Receiver() as receiver, Receiver() as plain, \
            Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload={"format": "avro", "schema": "rows.avsc"},
            decimate=[stream(receiver, arrays="samples", **more),
                      stream(plain, **more) | {"name": "plain"}]))
        schema = schema_of(daemon, "one", "s")
        sender.send([long(EPOCH_US + 1000 * n) + long(n) + encode_rows(row)
                     for n, row in enumerate(sent)], 1000)
        got = [read(schema, d) for d in receiver.wait(10)]
        schema = schema_of(daemon, "one", "plain")
        for d in plain.wait(10):
            assert set(read(schema, d)["fields"]) == {"n"}
    for w, datum in enumerate(got):
        assert set(datum["fields"]) == set(
            only or ["n", "int", "long", "float", "double"])
        for name in set(datum["fields"]) - {"n"}:
            samples = [(value, EPOCH_US + 1000 * n)
                       for n in range(4 * w, 4 * w + 4)
                       for value in sent[n][name]]
            assert datum["fields"][name]["samples"] == len(samples)
            check_values(datum["fields"][name], samples)


@pytest.mark.linux("a socket's drops are not known")
def test_lost_before_us(daemon: Daemon) -> None:
    """What the kernel dropped is missing in the summaries, all of it."""
    port, sent = free_port(), 0
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            listen_receive_buffer="16KiB",
            decimate=[stream(receiver, shape="summary", every=10)]))
        schema = schema_of(daemon, "one", "s")
        datums = [probe.encode(d) for d in probe.datums(500)]
        worker = daemon.status("one")["pid"]
        os.kill(worker, signal.SIGSTOP)
        sender.send(datums)
        os.kill(worker, signal.SIGCONT)
        sent = len(datums)
        ledger = wait_for(
            lambda: (c := daemon.ledger("one"))["received"] +
            c["kernel_dropped"] == sent and c, "all accounted for")
        assert ledger["kernel_dropped"] > 0
        # Close the window in which it was noticed.
        sender.send(datums[:20], 100)
        wait_for(lambda: sum(read(schema, d)["missed"]
                             for d in receiver.datagrams) ==
                 ledger["kernel_dropped"], "all said")


def test_ten_streams(daemon: Daemon) -> None:
    """Of all kinds on one channel, none disturbs another."""
    port = free_port()
    datums = probe.datums(420)
    kinds = [(m, n) for m in ("pick", "mean", "minmax", "rms") for n in (6, 7)]
    kinds += [("summary", 6), ("summary", 7)]
    with ExitStack() as stack:
        to = [stack.enter_context(Receiver()) for _ in kinds]
        sender = stack.enter_context(Sender("127.0.0.1", port))
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory), decimate=[
                stream(r, every=n, **({"shape": m} if m == "summary"
                                      else {"method": m})) | {"name": m + str(n)}
                for r, (m, n) in zip(to, kinds)]))
        schema = schema_of(daemon, "one", "summary7")
        sender.send([probe.encode(d) for d in datums], 2000)
        for receiver, (method, every) in zip(to, kinds):
            if method == "summary":
                for w, d in enumerate(receiver.wait(420 // every)):
                    check_summary(read(schema, d),
                                  datums[w * every:(w + 1) * every])
                continue
            expected = probe.decimated(datums, method, every)
            got = map(probe.decode, receiver.wait(len(expected)))
            assert all(map(probe.same, expected, got)), method
