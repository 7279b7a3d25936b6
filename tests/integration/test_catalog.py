# SPDX-License-Identifier: ISC
"""The catalogue: a line for each finished file, once, whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import avro_files
from daemon import Daemon, channel
from net import Sender, free_port, numbered
from waiting import wait_for

LOSSES = {"kernel_dropped", "truncated", "refused_source", "sequence_gaps",
          "sequence_repeats", "sequence_reordered", "rejected",
          "archive_shed", "archive_errors", "archive_paused"}


def catalog(daemon: Daemon) -> Path:
    return daemon.archive / "one" / "catalog.jsonl"


def lines(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line)
            for line in catalog(daemon).read_text().splitlines()]


def names(daemon: Daemon) -> list[str]:
    return sorted(path.name for path in (daemon.archive / "one").glob("*.avro"))


def assert_true(daemon: Daemon) -> list[dict[str, Any]]:
    """What the lines say of the files is what the files say."""
    found = lines(daemon)
    assert sorted(line["name"] for line in found) == names(daemon)
    for line in found:
        path = daemon.archive / "one" / line["name"]
        datagrams = avro_files.read_datagrams(path)
        assert line["bytes"] == path.stat().st_size
        assert line["records"] == len(datagrams)
        assert line["first_sequence"] == datagrams[0].sequence
        if line["last_sequence"] is None:
            continue
        assert line["datagrams"] == len(datagrams)
        assert line["last_sequence"] == datagrams[-1].sequence
        for key, at in (("first_received", 0), ("last_received", -1)):
            seconds, rest = divmod(datagrams[at].received_ns, 10**9)
            assert line[key].endswith(f".{rest // 1000:06d}Z"), line
        assert set(line["losses"]) == LOSSES
    return found


def test_lines(daemon: Daemon) -> None:
    """Files by size, with what was refused and truncated in between."""
    port = free_port()
    daemon.start(channel(
        "one", port, listen_sources=["127.0.0.1"],
        archive=daemon.archive_conf(rotate={"size": "64KiB"})))
    with Sender("127.0.0.1", port) as sender, \
            Sender("127.0.0.1", port, local="127.0.0.2") as stranger:
        sender.send(numbered(2000, size=100))
        daemon.wait_received("one", 2000)
        stranger.send(numbered(7))
        daemon.wait_received("one", 2007)
        sender.send(numbered(2000, size=100))
        daemon.wait_received("one", 4007)
        daemon.stop()
    found = assert_true(daemon)
    assert len(found) > 4
    assert all(line["codec"] == "null" and line["stream"] == "main"
               for line in found)
    assert sum(line["datagrams"] for line in found) == 4000
    assert sum(line["losses"]["refused_source"] for line in found) == 7
    assert sum(v for line in found for v in line["losses"].values()) == 7


def test_late_across_files(daemon: Daemon) -> None:
    """What was missing while one file was written and came during the next
    is taken off there: the lines add up to the ledger."""
    port = free_port()
    daemon.start(channel(
        "one", port, archive=daemon.archive_conf(),
        payload={"sequence": {"offset": 0, "type": "u32be"}}))
    with Sender("127.0.0.1", port) as sender:
        def send(*numbers: int) -> None:
            sender.send(n.to_bytes(4, "big") for n in numbers)
        send(0, 1, 2, 5, 6)
        daemon.wait_received("one", 5)
        daemon.ctl("rotate", "one")
        wait_for(lambda: catalog(daemon).exists() and lines(daemon),
                 "the first file finished", 10.0, daemon.log)
        send(3, 7)
        ledger = daemon.wait_received("one", 7)
    daemon.stop()
    found = assert_true(daemon)
    assert [line["losses"]["sequence_gaps"] for line in found] == [2, -1]
    for key in LOSSES:
        assert sum(line["losses"][key] for line in found) == ledger[key]


def test_repair(daemon: Daemon) -> None:
    """A torn last line, a line that is missing, a file left over."""
    port = free_port()
    # A file ends with the block that fills it.
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        rotate={"size": "64KiB"}, block_size="16KiB")))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(4000, size=100))
        daemon.wait_received("one", 4000)
        daemon.stop()
        before = catalog(daemon).read_text().splitlines(keepends=True)
        assert len(before) > 4
        whole = (daemon.archive / "one" / names(daemon)[0]).read_bytes()
        part = daemon.archive / "one" / "one_20200101T000000.000000Z_0.avro"
        Path(f"{part}.part").write_bytes(whole)
        catalog(daemon).write_text("".join(before[1:-1]) + before[-1][:70])
        daemon.start()
        wait_for(lambda: catalog(daemon).read_text().count("}\n") ==
                 len(before) + 1,
                 "the catalogue completed", 10.0, daemon.log)
        sender.send(numbered(10))
        daemon.wait_received("one", 10)
        daemon.stop()
    found = assert_true(daemon)
    assert len(found) == len(before) + 2
    unknown = [line["name"] for line in found if line["losses"] is None]
    assert len(unknown) == 3 and part.name in unknown



def record_files(daemon: Daemon, **more: Any) -> list[str]:
    """Eight files or so of a stopped daemon; their names."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf(
        rotate={"size": "64KiB"}, **more)))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(4000, size=100))
        daemon.wait_received("one", 4000)
    daemon.stop()
    return names(daemon)


def test_files(daemon: Daemon) -> None:
    written = record_files(daemon)
    daemon.start()
    table = daemon.ctl("files", "one").stdout.splitlines()
    assert [line.split()[4] for line in table[1:]] == written
    found = json.loads(daemon.ctl("files", "-j", "one").stdout)
    assert found == lines(daemon)
    # From the middle of the third to the middle of the fifth.
    start, end = found[2]["last_received"], found[4]["last_received"]
    some = json.loads(daemon.ctl("files", "-j", "one", start, end).stdout)
    assert [line["name"] for line in some] == written[2:5]
    spaced = f"{start[:4]}-{start[4:6]}-{start[6:11]}:{start[11:13]}:{start[13:]}"
    same = json.loads(daemon.ctl("files", "-j", "one", spaced, end).stdout)
    assert same == some
    assert json.loads(daemon.ctl(
        "files", "-j", "one", "20200101", "20210101T12").stdout) == []
    for bad in ("2020", "yesterday", "20200101T12x", "20200101T1234567"):
        done = daemon.ctl("files", "one", bad, check=False)
        assert done.returncode == 1 and bad in done.stderr
    (daemon.archive / "one" / written[0]).unlink()
    assert len(json.loads(daemon.ctl("files", "-j", "one").stdout)) == \
        len(written) - 1
    daemon.stop()


def test_hold(daemon: Daemon) -> None:
    """Retention removes what is too much, but not what is held."""
    written = record_files(daemon)
    daemon.start()
    found = lines(daemon)
    start, end = found[1]["first_received"], found[2]["last_received"]
    daemon.ctl("hold", "one", start, end, "crash")
    daemon.ctl("hold", "one", start, end, "crash")
    held = daemon.archive / "one" / "hold" / "crash"
    kept = sorted(path.name for path in held.iterdir())
    assert kept[-2:] == written[1:3]
    for bad in ("../crash", ".", "a/b", ""):
        assert daemon.ctl("hold", "one", start, end, bad,
                          check=False).returncode == 1
    daemon.stop()
    daemon.start(channel("one", free_port(), archive=daemon.archive_conf(
        retain={"files": 2})))
    wait_for(lambda: names(daemon) == written[-2:], "the oldest removed",
             10.0, daemon.log)
    daemon.wait_log("there are more than `retain: files'")
    assert sorted(path.name for path in held.iterdir()) == kept
    assert avro_files.read_datagrams(held / kept[0])
    assert daemon.ctl("release", "one", "crush", check=False).returncode == 1
    daemon.ctl("release", "one", "crash")
    assert not held.parent.exists()
    daemon.stop()


def test_unreadable_line(daemon: Daemon) -> None:
    """What a line cannot tell is said, and nothing is called held for it."""
    written = record_files(daemon)
    text = catalog(daemon).read_text().splitlines(keepends=True)
    text[1] = text[1].replace('"sequence_gaps":0',
                              '"sequence_gaps":18446744073709551606')
    catalog(daemon).write_text("".join(text))
    daemon.start()
    done = daemon.ctl("files", "-j", "one", check=False)
    assert done.returncode == 1
    assert "catalog.jsonl: line 2 cannot be read: " in done.stderr
    listed = [line["name"] for line in json.loads(done.stdout)]
    assert listed == [written[0], *written[2:]]
    done = daemon.ctl("hold", "one", "2020-01-01", "2200-01-01", "all",
                      check=False)
    assert done.returncode == 1
    assert "line 2 cannot be read: " in done.stderr
    assert "not held" in done.stderr
    assert f"held {len(written) - 1} files" in done.stdout
    held = daemon.archive / "one" / "hold" / "all"
    assert sorted(path.name for path in held.iterdir()) == listed
    daemon.stop()
    # Made anew, it says what it did, but for what nobody else had counted.
    text[1] = text[1].replace('18446744073709551606', '0')
    before = [json.loads(line) for line in text]
    before[1]["losses"] = None
    subprocess.run([daemon.programs.verify, "--catalog",
                    catalog(daemon).parent], check=True)
    assert lines(daemon) == before
    daemon.start()
    assert json.loads(daemon.ctl("files", "-j", "one").stdout) == before
    daemon.stop()
    assert lines(daemon) == before


def test_no_regular_file(daemon: Daemon) -> None:
    """Nothing waits for a FIFO or follows a link in the directory."""
    written = record_files(daemon)
    daemon.start()
    first = daemon.archive / "one" / written[0]
    first.unlink()
    os.mkfifo(first)
    for words in (["files", "one"],
                  ["hold", "one", "2020-01-01", "2200-01-01", "all"]):
        done = daemon.ctl(*words, check=False)
        assert done.returncode == 1
        assert f"{written[0]}: a FIFO, not a regular file" in done.stderr
        assert written[-1] in done.stdout or words[0] == "hold"
    held = daemon.archive / "one" / "hold" / "all"
    assert sorted(path.name for path in held.iterdir()) == written[1:]
    first.unlink()
    whole = catalog(daemon).read_bytes()
    catalog(daemon).unlink()
    os.mkfifo(catalog(daemon))
    done = daemon.ctl("files", "one", check=False)
    assert done.returncode == 1
    assert "catalog.jsonl: a FIFO, not a regular file" in done.stderr
    catalog(daemon).unlink()
    catalog(daemon).symlink_to("/etc/passwd")
    done = daemon.ctl("files", "one", check=False)
    assert done.returncode == 1
    assert "catalog.jsonl: a symbolic link" in done.stderr
    catalog(daemon).unlink()
    catalog(daemon).write_bytes(whole)
    daemon.stop()
