# SPDX-License-Identifier: ISC
"""What is recovered after a power cut, read with what others wrote.

`tests/unit/test_crash` makes every state that a disk may be in after one and
recovers it; here the distinct files that come out are read, which ./check has
it leave in $MCRELAY_CRASH_OUT.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import avro_files
import pytest
import readers
from daemon import Programs
from no_uring import TO_WRITE, why_not


WAYS = ["buffered", "mmap", "direct"]


def each_kind(programs: Programs) -> set[tuple[str, str]]:
    """How files are written there, and those of which are others' before."""
    ways = WAYS if why_not(programs, TO_WRITE) else [
        *WAYS, "buffered by a ring", "direct by a ring"]
    return {(way, "new") for way in ways} | {
        (way + ", recycled", "spare") for way in ways}


def test_readers_agree(programs: Programs, tmp_path: Path) -> None:
    """Each file is whole for Avro's own Python reader and for avro-c's
    avrocat, and holds consecutive datagrams; there are some of each way to
    write, new ones and such that were others before."""
    place = os.environ.get("MCRELAY_CRASH_OUT")
    if place is None:
        place = str(tmp_path)
        crash = programs.mcrelayd.parent / "tests/unit/test_crash"
        if not os.access(crash, os.X_OK):
            pytest.skip(f"{crash} is not built: make check builds it")
        subprocess.run([str(crash)], check=True, timeout=300,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, MCRELAY_CRASH_OUT=place))
    files = sorted(Path(place).iterdir())
    assert len(files) > 50
    assert each_kind(programs) <= {
        tuple(path.name.split("_")[:2]) for path in files}
    for path in files:
        records = avro_files.by_python(path)
        assert records, path
        first = records[0]["sequence"]
        assert [r["sequence"] for r in records] == \
            list(range(first, first + len(records))), path
        assert [r["sequence"] for r in readers.by_avrocat(path)] == \
            [r["sequence"] for r in records], path
