# SPDX-License-Identifier: ISC
"""Archives through readers that others wrote: every codec, raw and avro
payload, as recorded, recovered after a power cut, and repaired."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import accel
import avro_files
import readers
from daemon import Daemon, Programs, channel
from net import Sender, free_port
from waiting import wait_for

COUNT = 600
MILLION = 1_000_000


PAIRS = [(reader, codec) for reader, codecs in readers.CODECS.items()
         for codec in codecs]


@pytest.fixture(scope="module")
def reader(request: pytest.FixtureRequest,
           tmp_path_factory: pytest.TempPathFactory) -> readers.Reader:
    if request.param == "java":
        return readers.java(tmp_path_factory.mktemp("java"))
    if request.param == "avsc":
        return readers.avsc(request.getfixturevalue("avsc"))
    return getattr(readers, f"by_{request.param}")


Made = dict[str, tuple[Path, list[Any]]]


class Recorder:
    """Files, made once for all readers.  With each, the values that tell its
    records apart."""

    def __init__(self, programs: Programs, source: Path, directory: Path
                 ) -> None:
        self.programs = programs
        self.source = source
        self.directory = directory
        self.made: dict[tuple[str, str], Made | str] = {}

    def files(self, payload: str, codec: str) -> Made:
        """`one' datum, `many', `recovered', `repaired'."""
        if (payload, codec) not in self.made:
            try:
                self.made[payload, codec] = self.make(payload, codec)
            except pytest.skip.Exception as e:
                self.made[payload, codec] = str(e)
        made = self.made[payload, codec]
        if isinstance(made, str):
            pytest.skip(made)
        return made

    def make(self, payload: str, codec: str) -> Made:
        one = self.record(payload, codec, "one", 1)
        many = self.record(payload, codec, "many", COUNT)
        return {"one": (one, values(payload, 1)),
                "many": (many, values(payload, COUNT)),
                "recovered": self.recover(payload, codec, many),
                "repaired": self.repair(payload, many)}

    def daemon(self, payload: str, codec: str, name: str) -> Daemon:
        directory = self.directory / f"{payload}-{codec}-{name}"
        directory.mkdir()
        daemon = Daemon(self.programs, directory)
        conf: dict[str, Any] = {"format": "raw"}
        if payload != "raw":
            schema = self.source / "etc/example/accel.avsc"
            if payload == "numbers":
                schema = directory / "numbers.avsc"
                schema.write_text(json.dumps(NUMBERS))
            conf = {"format": "avro", "schema": str(schema)}
        port = free_port()
        daemon.write(channel("one", port, payload=conf,
                             archive=daemon.archive_conf(
                                 codec=codec, block_size="4KiB")))
        check = daemon.check()
        if "is missing in this build" in check.stderr:
            pytest.skip(f"built without {codec}")
        daemon.port = port          # type: ignore[attr-defined]
        return daemon

    def run(self, daemon: Daemon, do: Callable[[], None]) -> Path:
        """The one file that it leaves."""
        try:
            daemon.start()
            do()
            daemon.stop()
        finally:
            daemon.kill()
        (path,) = avro_files.files(daemon.archive, "one")
        return path

    def record(self, payload: str, codec: str, name: str, count: int
               ) -> Path:
        daemon = self.daemon(payload, codec, name)
        sent = datagrams(payload, count)

        def send() -> None:
            with Sender("127.0.0.1", daemon.port) as sender:  # type: ignore
                sender.send(sent, 20000)
                daemon.wait_received("one", len(sent))
        return self.run(daemon, send)

    def recover(self, payload: str, codec: str, many: Path
                ) -> tuple[Path, list[Any]]:
        """Cut within a block, as by a power cut; finished at the start."""
        daemon = self.daemon(payload, codec, "recovered")
        place = daemon.archive / "one"
        place.mkdir(parents=True)
        data = many.read_bytes()
        (place / f"{many.name}.part").write_bytes(data[:len(data) * 2 // 3])
        path = self.run(daemon, lambda: wait_for(
            (place / many.name).exists, "the file finished", 10.0,
            daemon.log))
        records = avro_files.read_container(path).records
        assert 0 < records < COUNT
        return path, values(payload, records)

    def repair(self, payload: str, many: Path) -> tuple[Path, list[Any]]:
        """The head of a block in the middle is overwritten."""
        report = subprocess.run(
            [str(self.programs.verify), "-o", "report", str(many)],
            capture_output=True, text=True, timeout=30)
        assert report.returncode == 0, report.stdout
        offsets = re.findall(r"block \d+: offset (\d+),", report.stdout)
        assert len(offsets) >= 3, report.stdout
        data = bytearray(many.read_bytes())
        at = int(offsets[len(offsets) // 2])
        data[at:at + 12] = b"\xff" * 12
        damaged = self.directory / f"{many.parents[2].name}-damaged.avro"
        damaged.write_bytes(data)
        path = damaged.with_suffix(".repaired.avro")
        done = subprocess.run(
            [str(self.programs.verify), "-r", str(path), str(damaged)],
            capture_output=True, text=True, timeout=30)
        assert done.returncode == 1, done.stderr
        kept = python_values(payload, path)
        expected = values(payload, COUNT)
        assert 0 < len(kept) < COUNT
        # One stretch is missing, and nothing is altered.
        first = next(i for i, v in enumerate(kept) if v != expected[i])
        assert kept[first:] == expected[first + COUNT - len(kept):]
        return path, kept


@pytest.fixture(scope="module")
def recorder(programs: Programs, source: Path,
             tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    yield Recorder(programs, source, tmp_path_factory.mktemp("recorded"))


NUMBERS = {"type": "record", "name": "Number", "fields": [
    {"name": "n", "type": "long"}]}


def datagrams(payload: str, count: int) -> list[bytes]:
    if payload == "accel":
        return accel.datagrams(count)
    if payload == "numbers":
        return [b"".join(avro_files.long(n) for n in range(at, at + 400))
                for at in range(0, count, 400)]
    # Text: avro-c ends a field of bytes at the first NUL.
    return [b"text %d \xe9\n" % n * (1 + n % 5) for n in range(count)]


def values(payload: str, count: int) -> list[Any]:
    if payload == "accel":
        return [(s.counter, s.y, s.status) for s in accel.samples(count)]
    if payload == "numbers":
        return list(range(count))
    return datagrams(payload, count)


# Of the doubles y: avropipe prints six decimals.
def pick(payload: str, records: readers.Records) -> list[Any]:
    if payload == "accel":
        return [(r["counter"], r["y"], r["status"]) for r in records]
    if payload == "numbers":
        return [r["n"] for r in records]
    return [r["payload"] for r in records]


def python_values(payload: str, path: Path) -> list[Any]:
    return pick(payload, readers.by_python(path))


@pytest.mark.parametrize("payload", ["raw", "accel"])
@pytest.mark.parametrize("reader,codec", PAIRS, indirect=["reader"])
def test_reader(recorder: Recorder, reader: readers.Reader, codec: str,
                payload: str) -> None:
    for what, (path, expected) in recorder.files(payload, codec).items():
        assert pick(payload, reader(path)) == expected, what


@pytest.mark.parametrize("reader", readers.CODECS, indirect=True)
def test_million(recorder: Recorder, reader: readers.Reader) -> None:
    """A million datums in a file."""
    key = ("numbers", "null")
    if key not in recorder.made:
        path = recorder.record("numbers", "null", "million", MILLION)
        recorder.made[key] = {"million": (path, values("numbers", MILLION))}
    path, expected = recorder.files(*key)["million"]
    got = pick("numbers", reader(path))
    assert len(got) == MILLION
    assert got == expected


def test_table(source: Path) -> None:
    """The README says of each reader what is tried here."""
    rows = re.findall(r"^\| (.+) \| (yes|no) \| (yes|no) \| (yes|no) \| "
                      r"(yes|no) \|$", (source / "README.md").read_text(),
                      re.MULTILINE)
    said = {row[0].lower(): [codec for codec, word in zip(
        ("null", "deflate", "snappy", "zstandard"), row[1:])
        if word == "yes"] for row in rows}
    for reader, codecs in readers.CODECS.items():
        assert [have for words, have in said.items()
                if re.search(rf"\b{reader}\b", words)] == [codecs]
