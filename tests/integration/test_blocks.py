# SPDX-License-Identifier: ISC
"""Container files of another library with blocks of 1 and 16 MiB: what
mcrelay-replay sends of them, and the memory that it takes."""

from __future__ import annotations

import json
import random
import re
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import avro.datafile
import avro.io
import avro.schema
import pytest

from avro_files import DATAGRAM_SCHEMA
from daemon import Programs
from net import Receiver
from waiting import wait_for

KIB, MIB = 1024, 1024 * 1024
PAYLOAD = 16000
START = datetime(2026, 11, 20, tzinfo=timezone.utc)
# What a transfer may have beside 64 KiB of buffer: the file's header and schema
# with what malloc leaves free between them (40 to 64 KiB, by where its pages end),
# and the decompressor: of zstandard its window, here of 2 MiB.
BESIDE = {"null": 64 * KIB, "deflate": (64 + 48) * KIB,
          "zstandard": 2 * MIB + 768 * KIB}


def write(path: Path, codec: str, size: int,
          monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A block of so many bytes, and one of the rest; the payloads.  A third
    of each can be compressed."""
    if codec in ("snappy", "zstandard"):
        pytest.importorskip(codec)
    monkeypatch.setattr(avro.datafile, "SYNC_INTERVAL", size)
    generator = random.Random(size)
    payloads = [generator.randbytes(PAYLOAD * 2 // 3).ljust(PAYLOAD, b"x")
                for _ in range(size // PAYLOAD + 10)]
    with path.open("wb") as out, avro.datafile.DataFileWriter(
            out, avro.io.DatumWriter(),
            avro.schema.parse(json.dumps(DATAGRAM_SCHEMA)), codec) as writer:
        for number, payload in enumerate(payloads):
            writer.append({
                "received": START + timedelta(microseconds=100 * number),
                "received_ns": 0,
                "sequence": number, "source": "127.0.0.1:9",
                "payload": payload})
    return payloads


def peak(programs: Programs, path: Path, transfers: int) -> int:
    """The most memory that so many transfers of the file have had until each of
    16 MiB is in the middle: a block that was looked at is read once more.  By the
    pages themselves: what the kernel counts of them on the way (VmHWM) may be 32
    pages behind on each processor."""
    words = [f"{path}=127.0.0.1:9"] * transfers
    least = 12 * MIB * transfers * 3 // 2
    with subprocess.Popen([str(programs.replay), "-l", "-q", "-x", "0", "--io",
                           "pread", *words]) as process:
        proc = Path(f"/proc/{process.pid}")

        def number(file: str, name: str) -> int:
            found = re.search(name + r":\s+(\d+)", (proc / file).read_text())
            return int(found[1]) if found else 0

        most = 0

        def in_the_middle() -> bool:
            nonlocal most
            most = max(most, number("smaps_rollup", "Anonymous") * KIB)
            return number("io", "rchar") > least
        wait_for(in_the_middle, f"{least} bytes that were read", 30)
        process.terminate()
    assert process.returncode == 0
    return most


@pytest.mark.parametrize("codec", BESIDE)
def test_memory(programs: Programs, tmp_path: Path, codec: str,
                monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not depend on the size of blocks: of one or several transfers."""
    one = tmp_path / "1.avro"
    large = tmp_path / "16.avro"
    write(one, codec, 1 * MIB, monkeypatch)
    write(large, codec, 16 * MIB, monkeypatch)
    least = peak(programs, one, 1)
    for transfers in 1, 4:
        more = peak(programs, large, transfers) - least
        print(codec, transfers, more // KIB, "KiB more")
        assert more < transfers * (64 * KIB + BESIDE[codec])


@pytest.mark.parametrize("codec", [*BESIDE, "snappy"])
@pytest.mark.parametrize("size", [1 * MIB, 16 * MIB])
def test_sent(programs: Programs, tmp_path: Path, codec: str, size: int,
              monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte, in order; and of one in which bytes are missing as much as
    mcrelay-cat shows, with the place."""
    path = tmp_path / "large.avro"
    payloads = write(path, codec, size, monkeypatch)
    with Receiver() as receiver:
        to = f"127.0.0.1:{receiver.port}"
        subprocess.run([programs.replay, "-q", "-r", "5000", path, to],
                       check=True, timeout=60)
        assert receiver.wait(len(payloads)) == payloads
        data = bytearray(path.read_bytes())
        del data[len(data) * 3 // 4:len(data) * 3 // 4 + 40]
        path.write_bytes(data)
        done = subprocess.run(
            [programs.replay, "-j", "-r", "5000", path, to],
            capture_output=True, text=True, timeout=60, check=False)
        shown = subprocess.run(
            [programs.replay.with_name("mcrelay-cat"), "-x", path],
            capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(done.stdout)["sent"] == shown.stdout.count("\n")
    where = re.findall(r"damaged at offset (\d+)", done.stderr)
    assert where == re.findall(r"damaged at offset (\d+)", shown.stderr)
    assert where and done.returncode == shown.returncode == 1
