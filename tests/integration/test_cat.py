# SPDX-License-Identifier: ISC
"""mcrelay-cat on files: every type, exactly, as Python reads it; CSV; times;
files that are not whole; several files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

import accel
import avro_files
from cat import cat, lines, plain, read, write
from daemon import Daemon, Programs, channel
from net import Sender, free_port, varied
from waiting import wait_for

EVERYTHING = {
    "type": "record", "name": "Everything", "namespace": "test", "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "single", "type": "float"},
        {"name": "real", "type": "double"},
        {"name": "blob", "type": "bytes"},
        {"name": "text", "type": "string"},
        {"name": "nothing", "type": "null"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind",
                                  "symbols": ["A", "B", "C"]}},
        {"name": "mark", "type": {"type": "fixed", "name": "Mark",
                                  "size": 3}},
        {"name": "list", "type": {"type": "array", "items": "double"}},
        {"name": "names", "type": {"type": "map", "values": "long"}},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "several", "type": ["int", "string", "null", {
            "type": "array", "items": "long"}]},
        {"name": "pos", "type": {"type": "record", "name": "Pos", "fields": [
            {"name": "x", "type": "double"},
            {"name": "deep", "type": ["null", {
                "type": "record", "name": "Deep", "fields": [
                    {"name": "n", "type": ["long", "null"]},
                    {"name": "s", "type": "string"}]}]}]}},
        {"name": "tree", "type": ["null", {
            "type": "record", "name": "Tree", "fields": [
                {"name": "v", "type": "int"},
                {"name": "next", "type": ["null", "Tree"]}]}]},
    ]}

TEXTS = ["", "plain", "a,b", 'say "x"', "two\nlines", "\r", "\x00\x01\x1f",
         "\x7f\x80\x9f\xa0", "äöü€😀", " blank ", "\\", "\u2028", '"']


def value(r: random.Random) -> dict[str, Any]:
    def tree(depth: int) -> Any:
        return None if depth == 0 else {"v": depth, "next": tree(depth - 1)}

    def real() -> float:
        made = struct.unpack("<d", r.randbytes(8))[0]
        return made if math.isfinite(made) else 0.1

    return {
        "flag": r.random() < .5,
        "small": r.choice([0, -1, 2**31 - 1, -2**31, r.randrange(1000)]),
        "large": r.choice([0, 2**63 - 1, -2**63, 2**53 + 1,
                           r.getrandbits(63)]),
        "single": r.choice([0.0, -0.0, 0.5, 3.0e38, 1e-45, r.random()]),
        "real": r.choice([0.1, 1e22, 5e-324, 1.7976931348623157e308, -0.0,
                          100.0, 1e16, 123456789.125, real()]),
        "blob": r.randbytes(r.randrange(9)),
        "text": r.choice(TEXTS), "nothing": None,
        "kind": r.choice("ABC"), "mark": r.randbytes(3),
        "list": [real() for _ in range(r.randrange(4))],
        "names": {r.choice(TEXTS): r.getrandbits(62)
                  for _ in range(r.randrange(3))},
        "maybe": r.choice([None, "", "here"]),
        "several": r.choice([1, "1", None, [1, 2**62], []]),
        "pos": {"x": real(), "deep": r.choice([None, {
            "n": r.choice([None, 7]), "s": r.choice(TEXTS)}])},
        "tree": tree(r.randrange(4)),
    }


def values(count: int, seed: int = 1) -> list[dict[str, Any]]:
    r = random.Random(seed)
    return [value(r) for _ in range(count)]


def same(a: Any, b: Any) -> bool:
    """Equal, with the same types and signs of zero."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_json_everything(programs: Programs, tmp_path: Path, codec: str
                         ) -> None:
    path = write(tmp_path / "a.avro", EVERYTHING, values(500), codec=codec)
    expected = read(path)
    found = lines(programs, path)
    assert len(found) == 500
    for a, b in zip(found, expected):
        assert same(a, b), f"{a}\n{b}"
    # The members stand in the order of the schema.
    assert list(found[0]) == [f["name"] for f in EVERYTHING["fields"]]


def test_json_is_exact_to_the_byte(programs: Programs, tmp_path: Path
                                   ) -> None:
    """Doubles are what Python's repr() writes; nothing is a command to a
    terminal."""
    r = random.Random(3)
    reals = [struct.unpack("<d", r.randbytes(8))[0] for _ in range(20000)]
    reals = [x for x in reals if math.isfinite(x)]
    path = write(tmp_path / "a.avro", {
        "type": "record", "name": "R", "fields": [
            {"name": "r", "type": "double"}]}, [{"r": x} for x in reals],
        each=1000)
    assert cat(programs, path).decode().splitlines() == \
        ['{"r":%r}' % x for x in reals]
    path = write(tmp_path / "b.avro", "string", ["\x1b[2J\x9b2J\x7f"])
    assert cat(programs, path) == b'"\\u001b[2J\\u009b2J\\u007f"\n'


def test_not_finite(programs: Programs, tmp_path: Path) -> None:
    path = write(tmp_path / "a.avro", {
        "type": "record", "name": "R", "fields": [
            {"name": "d", "type": "double"}, {"name": "f", "type": "float"}]},
        [{"d": math.nan, "f": math.inf}, {"d": -math.inf, "f": -math.nan}])
    assert lines(programs, path) == [
        {"d": "NaN", "f": "Infinity"}, {"d": "-Infinity", "f": "NaN"}]
    assert cat(programs, "-o", "csv", path) == \
        b"d,f\nNaN,Infinity\n-Infinity,NaN\n"


def test_bytes_as_hex(programs: Programs, tmp_path: Path) -> None:
    path = write(tmp_path / "a.avro", "bytes", [b"\x00\xff\x10", b""])
    assert lines(programs, "-x", path) == ["00ff10", ""]
    assert cat(programs, "-o", "csv", path) == b'value\nAP8Q\n""\n'
    assert cat(programs, "-xo", "csv", path) == b'value\n00ff10\n""\n'


TIMES = [
    ({"type": "int", "logicalType": "date"}, [0, -1, 20000, 11016],
     ["1970-01-01", "1969-12-31", "2024-10-04", "2000-02-29"]),
    ({"type": "int", "logicalType": "time-millis"}, [0, 86399999, 86400000],
     ["00:00:00.000", "23:59:59.999", 86400000]),
    ({"type": "long", "logicalType": "time-micros"}, [1, -1],
     ["00:00:00.000001", -1]),
    ({"type": "long", "logicalType": "timestamp-millis"}, [-1, 1732666271123],
     ["1969-12-31T23:59:59.999Z", "2024-11-27T00:11:11.123Z"]),
    ({"type": "long", "logicalType": "timestamp-micros"},
     [1732666271123456, -2**63],
     ["2024-11-27T00:11:11.123456Z", "-290308-12-21T19:59:05.224192Z"]),
    ({"type": "long", "logicalType": "timestamp-nanos"},
     [1732666271123456789, 2**63 - 1],
     ["2024-11-27T00:11:11.123456789Z", "2262-04-11T23:47:16.854775807Z"]),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, [0],
     ["1970-01-01T00:00:00.000000"]),
]


@pytest.mark.parametrize("schema,numbers,texts", TIMES, ids=str)
def test_times(programs: Programs, tmp_path: Path, schema: Any,
               numbers: list[int], texts: list[Any]) -> None:
    """As numbers, exactly; with -t as ISO 8601; what is no time of a day
    stays a number."""
    path = tmp_path / "a.avro"
    data = b"".join(map(avro_files.long, numbers))
    path.write_bytes(container(schema, [(len(numbers), data)]))
    assert lines(programs, path) == numbers
    assert lines(programs, "-t", path) == texts
    assert cat(programs, "-to", "csv", path).decode().splitlines() == \
        ["value", *map(str, texts)]


SYNC = bytes(range(16))


def container(schema: Any, blocks: list[tuple[int, bytes]],
              **meta: str) -> bytes:
    made = {"avro.schema": json.dumps(schema), "avro.codec": "null"} | {
        k.replace("_", "."): v for k, v in meta.items()}
    data = b"Obj\x01" + avro_files.long(len(made)) + b"".join(
        avro_files.string(k) + avro_files.string(v)
        for k, v in made.items()) + b"\0" + SYNC
    return data + b"".join(
        avro_files.long(count) + avro_files.long(len(block)) + block + SYNC
        for count, block in blocks)


def flat(prefix: str, value: Any, into: dict[str, Any]) -> dict[str, Any]:
    for name, inner in value.items():
        if prefix + name == "pos":
            flat("pos.", inner, into)
        elif prefix + name == "pos.deep":
            flat("pos.deep.", inner or {"n": None, "s": None}, into)
        elif prefix + name == "tree":
            flat("tree.", inner or {"v": None, "next": None}, into)
        else:
            into[prefix + name] = inner
    return into


def test_csv(programs: Programs, tmp_path: Path) -> None:
    """Python's reader of CSV finds every value again."""
    written = values(300)
    path = write(tmp_path / "a.avro", EVERYTHING, written)
    text = cat(programs, "-o", "csv", path).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 300
    for row, expected in zip(rows, read(path)):
        wanted = flat("", expected, {})
        assert list(row) == list(wanted)
        for name, value in wanted.items():
            if value is None:
                assert row[name] == "", name
            elif isinstance(value, str):
                assert row[name] == value, name
            elif isinstance(value, bool):
                assert row[name] == str(value).lower()
            else:
                assert same(json.loads(row[name]), value), name


def test_csv_on_a_terminal(programs: Programs, tmp_path: Path) -> None:
    """Text from outside commands no terminal; in a file it is as it was."""
    hostile = "a\x1b]0;title\x07\u202e"
    path = write(tmp_path / "a.avro", {
        "type": "record", "name": "T",
        "fields": [{"name": "t", "type": "string"}]}, [{"t": hostile}])
    assert hostile in cat(programs, "-o", "csv", path).decode()
    ours, theirs = os.openpty()
    try:
        subprocess.run([str(programs.cat), "-o", "csv", path],
                       stdout=theirs, check=True, timeout=20)
        assert os.read(ours, 4096).split() == [
            b"t", b"a\\u001b]0;title\\u0007\\u202e"]
    finally:
        os.close(ours)
        os.close(theirs)


def test_csv_tells_null_from_empty(programs: Programs, tmp_path: Path
                                   ) -> None:
    path = write(tmp_path / "a.avro", {
        "type": "record", "name": "R", "fields": [
            {"name": "a", "type": ["null", "string"]},
            {"name": "b", "type": "int"}]},
        [{"a": None, "b": 1}, {"a": "", "b": 2}, {"a": 'x"y', "b": 3}])
    assert cat(programs, "-o", "csv", path) == b'a,b\n,1\n"",2\n"x""y",3\n'


def test_fields(programs: Programs, tmp_path: Path) -> None:
    """In the order of -F; a record splits up in CSV."""
    path = write(tmp_path / "a.avro", EVERYTHING, values(20))
    chosen = lines(programs, "-F", "pos.x,kind,pos.deep.s,tree", path)
    for found, whole in zip(chosen, read(path)):
        deep = whole["pos"]["deep"]
        assert found == {
            "pos.x": whole["pos"]["x"], "kind": whole["kind"],
            "pos.deep.s": deep and deep["s"], "tree": whole["tree"]}
        assert list(found) == ["pos.x", "kind", "pos.deep.s", "tree"]
    head = cat(programs, "-o", "csv", "-F", "text,pos", path)
    assert head.startswith(b"text,pos.x,pos.deep.n,pos.deep.s\n")
    for wrong in ("nothere", "pos.y", "kind.x", "kind,kind", "kind,,text",
                  "pos,pos.x"):
        errors: list[str] = []
        cat(programs, "-o", "csv", "-F", wrong, path, status=2,
            errors=errors)
        assert "field" in errors[0]


def test_count_and_time(programs: Programs, tmp_path: Path) -> None:
    """-n, -s and -e: the first of START, none of END."""
    schema = {"type": "record", "name": "R", "fields": [
        {"name": "i", "type": "int"}, {"name": "time", "type": {
            "type": "long", "logicalType": "timestamp-millis"}}]}
    paths = []
    for n in range(3):
        data = b"".join(avro_files.long(i) + avro_files.long(i * 1000)
                        for i in range(10 * n, 10 * n + 10))
        paths.append(tmp_path / f"{n}.avro")
        paths[-1].write_bytes(container(schema, [(10, data)]))

    def numbers(*options: str) -> list[int]:
        return [v["i"] for v in lines(programs, *options, *paths)]

    assert numbers() == list(range(30))
    assert numbers("-n", "12") == list(range(12))
    assert numbers("-n", "0") == []
    assert numbers("-s", "1970-01-01T00:00:05Z", "-e",
                   "1970-01-01T00:00:22Z") == list(range(5, 22))
    assert numbers("-s", "1970-01-01T00:00:05Z", "-n", "3") == [5, 6, 7]
    assert cat(programs, "-o", "csv", "-F", "i", "-s",
               "1970-01-01T00:00:29Z", *paths) == b"i\n29\n"


def test_headers_once(programs: Programs, tmp_path: Path) -> None:
    """One header for several files; another schema is refused, not mixed."""
    one = {"type": "record", "name": "A", "fields": [
        {"name": "a", "type": "int"}]}
    paths = [write(tmp_path / f"{n}.avro", one, [{"a": n}]) for n in range(3)]
    assert cat(programs, "-o", "csv", *paths) == b"a\n0\n1\n2\n"
    other = write(tmp_path / "b.avro", {
        "type": "record", "name": "B", "fields": [
            {"name": "b", "type": "int"}]}, [{"b": 1}])
    errors: list[str] = []
    assert cat(programs, "-o", "csv", paths[0], other, status=2,
               errors=errors) == b"a\n0\n"
    assert "columns" in errors[0]
    assert lines(programs, paths[0], other) == [{"a": 0}, {"b": 1}]


def test_damaged(programs: Programs, tmp_path: Path) -> None:
    """What mcrelay-verify says of a file: the same places, the same records;
    at each cut."""
    path = write(tmp_path / "a.avro", EVERYTHING, values(40), each=5)
    whole = path.read_bytes()
    expected = read(path)
    r = random.Random(5)
    bad = tmp_path / "bad.avro"
    for _ in range(40):
        cut = r.randrange(len(whole) - 3000, len(whole))
        damaged = bytearray(whole[:cut])
        if r.random() < .5:
            damaged[r.randrange(len(whole) - 3500, cut)] ^= 0x40
        bad.write_bytes(damaged)
        verified = subprocess.run([programs.verify, bad], text=True,
                                  timeout=60, capture_output=True)
        errors: list[str] = []
        done = subprocess.run([programs.cat, bad], timeout=60,
                              capture_output=True)
        errors = done.stderr.decode().splitlines()
        found = done.stdout.decode().splitlines()
        assert done.returncode == verified.returncode
        places = [line.split("offset ")[1].split(" ")[0].rstrip(":,")
                  for line in verified.stdout.splitlines()
                  if ": damaged at offset " in line or " offset " in line
                  and "damaged" in line]
        assert len(errors) == len(places), verified.stdout
        for place, error in zip(places, errors):
            assert f"damaged at offset {place}:" in error
        if verified.returncode == 0:
            assert [json.loads(x) for x in found] == expected[:len(found)]


def test_being_written(programs: Programs, tmp_path: Path) -> None:
    """Direct I/O leaves whole sectors of a block that is not committed: that
    is where the file ends, wherever it is cut, and damage before it is told."""
    name = "one_20261120T210000.000000Z_0.avro"
    part = tmp_path / (name + ".part")
    data = b"".join(map(avro_files.string, ("some", "records", "of a block")))
    header, first, whole = (len(container("string", [(3, data)] * n))
                            for n in range(3))
    file = container("string", [(3, data)] * 2)
    for size in range(first, whole):
        part.write_bytes(file[:size])
        assert len(lines(programs, tmp_path)) == 3, size
    part.write_bytes(file + bytes(4096))
    assert len(lines(programs, tmp_path)) == 6
    # There is nothing in it yet.
    part.write_bytes(b"")
    assert lines(programs, tmp_path) == []
    # Damage is what lies before a whole block.
    part.write_bytes(file[:header] + b"\xff" + file[header + 1:])
    errors: list[str] = []
    assert len(lines(programs, tmp_path, status=1, errors=errors)) == 3
    assert f"damaged at offset {header}:" in errors[0]
    part.write_bytes(b"\xff" + file[1:])
    cat(programs, tmp_path, status=1, errors=errors)
    assert f"{part}: not an Avro file's header" in errors[1]
    # Nothing is to come.
    part.unlink()
    (tmp_path / name).write_bytes(file[:-1])
    assert len(lines(programs, tmp_path, status=1, errors=errors)) == 6


def test_no_file(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "empty.avro").write_bytes(b"")
    (tmp_path / "text.avro").write_bytes(b"no Avro file")
    (tmp_path / "none").mkdir()
    for name in ("empty.avro", "text.avro", "none", "nothere/x"):
        errors: list[str] = []
        assert cat(programs, tmp_path / name, status=2, errors=errors) == b""
        assert name in errors[0]
    for wrong in ((), ("-o", "xml", "x"), ("-s", "now", "x"), ("-z",),
                  ("-F", "a", "-o", "raw", "x"), ("-n", "x", "x")):
        errors = []
        cat(programs, *wrong, status=2, errors=errors)
        assert any("usage" in e for e in errors)
    assert b"usage" in cat(programs, "--help")


def test_pipe_closed_early(programs: Programs, tmp_path: Path) -> None:
    """Nobody reads any more: an end like any other, without a word."""
    path = write(tmp_path / "a.avro", "string", ["x" * 1000] * 5000,
                 each=1000)
    with subprocess.Popen([programs.cat, path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_full_disk(programs: Programs, tmp_path: Path) -> None:
    path = write(tmp_path / "a.avro", "string", ["x"] * 10)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([programs.cat, path], stdout=full, timeout=60,
                              stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"No space" in done.stderr


def wait_archived(daemon: Daemon, count: int) -> None:
    wait_for(lambda: daemon.ledger("one")["archived"] == count,
             "all in the archive")


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_archive(daemon: Daemon, codec: str) -> None:
    """Raw datagrams of every size in several files, each codec: the channel's
    directory is shown in order, and so is the file that is being written."""
    port = free_port()
    r = random.Random(9)
    sent = [r.randbytes(len(x)) for x in varied(400)]
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        codec=codec, rotate={"size": "64KiB"}, block_size="16KiB",
        flush_interval="50ms")))
    with Sender("127.0.0.1", port) as sender:
        sender.send(sent, 4000)
        wait_archived(daemon, 400)
        # So that there is one being written, however the others ended.
        sent.append(b"last")
        sender.send(sent[-1:])
        wait_archived(daemon, 401)
        directory = daemon.archive / "one"
        assert list(directory.glob("*.part"))
        live = lines(daemon.programs, directory)
        daemon.stop()
    paths = avro_files.files(daemon.archive, "one")
    assert len(paths) > 1
    expected = [plain(v) for p in paths for v in (
        {"received": d.received_ns // 1000,
         "received_ns": d.received_ns % 1000, "sequence": d.sequence,
         "source": d.source, "payload": d.payload}
        for d in avro_files.read_datagrams(p))]
    assert live == expected[:len(live)] and len(live) == 401
    assert lines(daemon.programs, directory) == expected
    assert lines(daemon.programs, *paths) == expected
    assert lines(daemon.programs, "-c", daemon.config_file, "one") == expected
    for name in ("two", "one/"):
        cat(daemon.programs, "-c", daemon.config_file, name, status=2, errors=[])
    assert cat(daemon.programs, "-o", "raw", directory) == b"".join(sent)


def test_archive_none(programs: Programs, tmp_path: Path) -> None:
    """A channel's own word is before the defaults: no old files are shown as
    what it archives."""
    conf = tmp_path / "mcrelay.yaml"
    for name in ("one", "two", "one.view"):
        (tmp_path / "archive" / name).mkdir(parents=True)
        write(tmp_path / "archive" / name /
              f"{name}_20261120T210000.000000Z_0.avro", "string", [name])
    conf.write_text("""
defaults: {archive: {directory: archive}}
channels:
- {name: one, archive: none}
- {name: two, archive: {codec: deflate}}
""")
    assert lines(programs, "-c", conf, "two") == ["two"]
    for name in ("one", "one.view"):
        errors: list[str] = []
        cat(programs, "-c", conf, name, status=2, errors=errors)
        assert errors == [f"mcrelay-cat: {name}: this channel of {conf} has "
                          "no archive"]


def test_archive_of_datums(daemon: Daemon, source: Path) -> None:
    port = free_port()
    datagrams = accel.datagrams(50, 4)
    daemon.start(channel("one", port, payload={
        "format": "avro", "schema": str(source / "etc/example/accel.avsc")},
        archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as sender:
        sender.send(datagrams, 2000)
        daemon.wait_received("one", 50)
    daemon.stop()
    directory = daemon.archive / "one"
    assert cat(daemon.programs, "-o", "raw", directory) == b"".join(datagrams)
    samples = accel.decode_all(b"".join(datagrams))
    for found, sample in zip(lines(daemon.programs, directory), samples):
        assert list(found.values()) == [
            sample.time, sample.counter, sample.x, sample.y, sample.z,
            sample.temperature, sample.status]
    wanted = "time,counter,x,y,z,temperature,status\n" + "".join(
        ",".join(map(str, vars(s).values())) + "\n" for s in samples)
    assert cat(daemon.programs, "-o", "csv", directory).decode() == wanted


def test_hex(programs: Programs, tmp_path: Path) -> None:
    payload = bytes(range(60, 80))
    data = (avro_files.long(1732666271123456) + avro_files.long(789)
            + avro_files.long(42) + avro_files.string("10.0.0.1:5")
            + avro_files.long(len(payload)) + payload)
    path = tmp_path / "a.avro"
    path.write_bytes(container(DATAGRAM, [(1, data)]))
    assert cat(programs, "-o", "hex", path).decode() == (
        '42 2024-11-27T00:11:11.123456789Z "10.0.0.1:5" 20 bytes\n'
        "00000000  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  "
        "|<=>?@ABCDEFGHIJK|\n"
        "00000010  4c 4d 4e 4f                                       "
        "|LMNO|\n")


DATAGRAM = {
    "type": "record", "name": "Datagram", "namespace": "mcrelay", "fields": [
        {"name": "received", "type": {"type": "long",
                                      "logicalType": "timestamp-micros"}},
        {"name": "received_ns", "type": "int"},
        {"name": "sequence", "type": "long"},
        {"name": "source", "type": "string"},
        {"name": "payload", "type": "bytes"}]}
