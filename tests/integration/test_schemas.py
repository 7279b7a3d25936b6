# SPDX-License-Identifier: ISC
"""Every kind of schema through the daemon: datums that Python's Avro encodes
are archived, and read back by it, equal; what is refused, is at -n."""

from __future__ import annotations

import io
import json
import struct
from contextlib import ExitStack
from typing import Any

import avro.errors
import avro.io
import avro.schema
import pytest

import avro_files
from daemon import Daemon, channel
from net import Sender, free_port


def record(name: str, *fields: tuple[str, Any], **more: Any
           ) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [
        {"name": n, "type": t} for n, t in fields]} | more


NODE = record("Node", ("value", "int"), ("next", ["null", "Node"]))
TREE = record("Tree", ("kids", {"type": "array", "items": "Tree"}))
FOREST = record("Forest", ("by_name", {"type": "map", "values": "Forest"}))
POINT = record("Point", ("x", "float"), ("y", "float"))

SCHEMAS: dict[str, tuple[Any, list[Any]]] = {
    "boolean": ("boolean", [True, False]),
    "int": ("int", [0, -1, (1 << 31) - 1, -(1 << 31)]),
    "long": ("long", [0, -1, (1 << 63) - 1, -(1 << 63)]),
    "float": ("float", [0.0, -1.5, float("inf")]),
    "double": ("double", [0.1, 5e-324, float("-inf")]),
    "bytes": ("bytes", [b"", bytes(range(256)), b"x" * 60_000]),
    "string": ("string", ["", "Grüße, \U0001f600", "x" * 60_000]),
    "fixed": ({"type": "fixed", "name": "F", "size": 3}, [b"abc"]),
    "enum": ({"type": "enum", "name": "E", "symbols": ["A", "B"],
              "default": "A"}, ["A", "B"]),
    "array": ({"type": "array", "items": "string"},
              [[], ["a", "bc"], ["x"] * 5000]),
    "array_of_null": ({"type": "array", "items": "null"},
                      [[], [None] * 1000]),
    "map": ({"type": "map", "values": "long"}, [{}, {"a": 1, "ü": -2}]),
    "union": (["null", "long", "string", POINT],
              [None, 7, "seven", {"x": 0.5, "y": -0.5}]),
    "nested": ({"type": "map", "values": {
        "type": "array", "items": ["null", POINT]}},
        [{"k": [None, {"x": 1.0, "y": 2.0}], "l": []}]),
    "by_union": (NODE, [{"value": 1, "next": {
        "value": 2, "next": {"value": 3, "next": None}}}]),
    "by_array": (TREE, [{"kids": [{"kids": []}, {
        "kids": [{"kids": []}]}]}]),
    "by_map": (FOREST, [{"by_name": {"a": {"by_name": {
        "b": {"by_name": {}}}}}}]),
    "namespaces": (record(
        "Outer", ("inner", record("Inner", ("n", "int"))),
        ("again", "a.b.Inner"), ("relative", "Inner"),
        ("other", record("Point", ("z", "int"), namespace="c")),
        namespace="a.b"),
        [{"inner": {"n": 1}, "again": {"n": 2}, "relative": {"n": 3},
          "other": {"z": 4}}]),
    "aliases": ({"type": "record", "name": "New", "aliases": ["Old", "x.Y"],
                 "fields": [{"name": "a", "aliases": ["b"],
                             "type": "int"}]}, [{"a": 5}]),
    "defaults": ({"type": "record", "name": "D", "fields": [
        {"name": "a", "type": "int", "default": 7},
        {"name": "b", "type": ["null", "string"], "default": None},
        {"name": "c", "type": {"type": "array", "items": "int"},
         "default": [1, 2]},
        {"name": "d", "type": POINT, "default": {"x": 1.0, "y": 2.0}},
        {"name": "e", "type": "bytes", "default": "\u00ff"}]},
        [{"a": 1, "b": "x", "c": [], "d": {"x": 0.0, "y": 0.0},
          "e": b"\x00"}]),
    "logical": (record("L", *((n, {"type": t, "logicalType": n}) for t, n in (
        ("int", "date"), ("int", "time-millis"), ("long", "time-micros"),
        ("long", "timestamp-millis"), ("long", "timestamp-micros"),
        ("long", "local-timestamp-millis"), ("string", "uuid")))
        ), []),
}


def names_of(schema: Any) -> Any:
    """Names without the hyphens of logical types."""
    for field in schema["fields"]:
        field["name"] = field["name"].replace("-", "_")
    return schema


names_of(SCHEMAS["logical"][0])


def encode(schema: Any, datum: Any) -> bytes:
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(
        datum, avro.io.BinaryEncoder(out))
    return out.getvalue()


def logical_datum() -> bytes:
    """Two decades of Python's Avro disagree about these: by hand."""
    return b"".join(map(avro_files.long, (19_000, 1, 2, 3, 4, 5))) + \
        avro_files.string("123e4567-e89b-12d3-a456-426614174000")


@pytest.mark.filterwarnings("ignore:Unknown local-timestamp-millis")
def test_round_trip(daemon: Daemon) -> None:
    """A channel for each; each datum alone, then several in a datagram."""
    sent: dict[str, list[bytes]] = {}
    channels = []
    ports = {}
    for name, (schema, datums) in SCHEMAS.items():
        (daemon.directory / f"{name}.avsc").write_text(json.dumps(schema))
        encoded = [encode(schema, d) for d in datums] or [logical_datum()]
        small = [d for d in encoded if len(d) < 1000]
        sent[name] = encoded + [b"".join(small * 3)]
        ports[name] = free_port()
        channels.append(channel(
            name, ports[name], archive=daemon.archive_conf(),
            payload={"format": "avro", "schema": f"{name}.avsc"},
            ring_size="1MiB", listen_receive_buffer="1MiB"))
    daemon.start(*channels)
    with ExitStack() as stack:
        for name, datagrams in sent.items():
            stack.enter_context(Sender("127.0.0.1", ports[name])).send(
                datagrams)
        for name, datagrams in sent.items():
            ledger = daemon.wait_received(name, len(datagrams))
            assert ledger["rejected"] == 0, name
    daemon.stop()
    for name, (schema, datums) in SCHEMAS.items():
        assert avro_files.archived_datums(daemon.archive, name) == \
            b"".join(sent[name]), name
        small = [d for d in datums if len(encode(schema, d)) < 1000]
        read = [d for path in avro_files.files(daemon.archive, name)
                for d in avro_files.by_python(path)]
        if datums:
            assert read == datums + small * 3, name
        else:
            assert len(read) == 4, name


PARTS: dict[str, Any] = {
    "kinds": [record("Point", ("x", "double"), ("y", "double"),
                     namespace="geo"),
              {"type": "enum", "name": "Mode", "symbols": ["off", "on"]}],
    "track": record("Track", ("points", {"type": "array", "items": "Point"}),
                    ("bare", ["null", "Stamp"]), namespace="geo"),
    "stamp": record("Stamp", ("time", "long")),
    "whole": record("Whole", ("mode", "Mode"), ("track", "geo.Track"),
                    ("last", "geo.Point"), ("again", ["null", "Mode"]),
                    namespace="lab"),
}


def test_several_files(daemon: Daemon) -> None:
    """The last one is the schema, with what it uses of the others in it:
    everybody's reader takes the files that come of it."""
    for name, schema in PARTS.items():
        (daemon.directory / f"{name}.avsc").write_text(json.dumps(schema))
    port = free_port()
    daemon.start(channel(
        "one", port, archive=daemon.archive_conf(),
        payload={"format": "avro", "schema": [
            f"{name}.avsc" for name in PARTS]}))
    printed = json.loads(daemon.ctl("schema", "one").stdout)
    datum = {"mode": "on", "track": {"points": [{"x": 1.0, "y": 2.0}],
                                     "bare": {"time": 5}},
             "last": {"x": 3.0, "y": 4.0}, "again": "off"}
    sent = b"".join([b"\x02", b"\x02", struct.pack("<dd", 1, 2), b"\x00",
                     b"\x02\x0a", struct.pack("<dd", 3, 4), b"\x02\x00"])
    with Sender("127.0.0.1", port) as sender:
        sender.send([sent, sent])
        ledger = daemon.wait_received("one", 2)
    assert ledger["rejected"] == 0
    daemon.stop()
    (path,) = avro_files.files(daemon.archive, "one")
    assert list(avro_files.by_python(path)) == [datum, datum]
    names = {name for name in json.dumps(printed).split('"')}
    assert {"Whole", "Track", "Point", "Stamp", "Mode"} <= names


@pytest.mark.parametrize("files,message", [
    (["whole"], 'field mode: unknown type "Mode"'),
    (["kinds", "kinds", "whole"], 'kinds.avsc: "geo.Point" is defined in'),
    (["broken", "whole"], "broken.avsc: line 1, column"),
    (["none", "whole"], "none.avsc: No such file"),
    ([], "`schema' is an empty list"),
    ([["kinds"], "whole"], "each item of `schema' has to be a file, not a"),
])
def test_several_files_check(daemon: Daemon, files: list[Any],
                             message: str) -> None:
    for name, schema in PARTS.items():
        (daemon.directory / f"{name}.avsc").write_text(json.dumps(schema))
    (daemon.directory / "broken.avsc").write_text("{")
    daemon.write(channel("one", 1, payload={"format": "avro", "schema": [
        f"{name}.avsc" if isinstance(name, str) else name
        for name in files]}))
    done = daemon.check()
    assert message in done.stderr and done.returncode == 1, done.stderr


CHECKS: list[tuple[str, Any, str]] = [
    ("error", record("R", ("a", record("I", ("b", "flaot")))),
     'field a.b: unknown type "flaot"'),
    ("error", record("R", ("a", ["null", ["int"]])),
     "field a: union directly inside a union"),
    ("error", record("R", ("a", {"type": "array", "items": record(
        "I", ("c", {"type": "enum", "name": "E", "symbols": ["1"]}))})),
     'field a[].c: symbol "1" is not a valid name'),
    ("error", record("R", ("a", "R")), "contains itself without end"),
    ("error", "null", "a datum of this schema has no bytes"),
    ("error", record("R", ("a", {"type": "fixed", "name": "F",
                                 "size": 70_000})),
     "field a: fixed F is larger than a datagram"),
    ("warning", record("R", ("a", dict(record("B", ("x", "int")),
                                       namespace="")), ("b", "B"),
                       namespace="n"),
     "field b: B is the name of a type without a namespace"),
    ("warning", record("R", ("a", {"type": "long",
                                   "logicalType": "timestamp-nanos"})),
     "field a: logical type timestamp-nanos"),
    ("warning", record("R", ("a", {"type": "int", "logicalType": "roman"})),
     "field a: unknown logical type roman"),
    ("warning", record("R", ("a", {"type": "string",
                                   "logicalType": "date"})),
     "field a: logical type date does not apply to type string"),
]


@pytest.mark.parametrize("kind,schema,message", CHECKS)
def test_check(daemon: Daemon, kind: str, schema: Any, message: str) -> None:
    (daemon.directory / "s.avsc").write_text(json.dumps(schema))
    daemon.write(channel("one", 1, payload={"format": "avro",
                                            "schema": "s.avsc"}))
    done = daemon.check()
    assert message in done.stderr
    assert done.returncode == (1 if kind == "error" else 0)
    assert ("configuration OK" in done.stdout) == (kind == "warning")


@pytest.mark.parametrize("field", [
    {"name": "x", "type": "int", "order": "up"},
    {"name": "x", "type": "int", "order": 7},
    {"name": "x", "type": ["null", {"type": "R"}]},
])
def test_what_python_refuses(daemon: Daemon, field: dict[str, Any]) -> None:
    """A warning that names it is true."""
    text = json.dumps({"type": "record", "name": "R", "fields": [field]})
    with pytest.raises(avro.errors.AvroException):
        avro.schema.parse(text)
    (daemon.directory / "r.avsc").write_text(text)
    daemon.write(channel("one", free_port(), payload={
        "format": "avro", "schema": str(daemon.directory / "r.avsc")}))
    checked = daemon.check()
    assert checked.returncode == 0
    assert "some readers (avsc, Java, Python) refuse" in checked.stdout + checked.stderr
