# SPDX-License-Identifier: ISC
"""mcrelay-cat -l: what comes by a socket."""

from __future__ import annotations

import base64
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import accel
from cat import cat, lines
from daemon import Daemon, Programs, channel
from net import Sender, free_port, group_v4, varied
from test_cat_follow import Follower
from waiting import wait_for


def wait_bound(port: int) -> None:
    """Somebody has the port."""
    def bound() -> bool:
        return any(line.split()[1].endswith(f":{port:04X}")
                   for name in ("udp", "udp6") for line in
                   Path(f"/proc/net/{name}").read_text().splitlines())
    wait_for(bound, f"a socket with port {port}")


def wait_members(group: str, count: int) -> None:
    """So many sockets have joined it."""
    def joined() -> bool:
        name = socket.inet_aton(group)[::-1].hex().upper()
        return any(line.split()[:2] == [name, str(count)] for line in
                   Path("/proc/net/igmp").read_text().splitlines())
    wait_for(joined, f"{count} members of {group}")


def test_schema(programs: Programs, source: Path) -> None:
    """Several datums in a datagram; others are left out and counted."""
    port = free_port()
    datagrams = accel.datagrams(50, 4)
    with Follower(programs, "-l", f"127.0.0.1:{port}", "-S",
                  source / "etc/example/accel.avsc") as follower, \
            Sender("127.0.0.1", port) as sender:
        wait_bound(port)
        sender.send([*datagrams[:25], b"nonsense", *datagrams[25:]])
        found = follower.wait(200)
        assert [v["counter"] for v in found] == list(range(200))
        sample = accel.sample(150)
        assert list(found[150].values()) == [
            sample.time, sample.counter, sample.x, sample.y, sample.z,
            sample.temperature, sample.status]
        assert "1 datagrams were not whole" in follower.end(1)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_datagrams(programs: Programs, address: str) -> None:
    """As an archive would have them: time, sender, payload of every size."""
    port = free_port()
    text = f"[{address}]" if ":" in address else address
    sent = varied(300)
    before = time.time_ns()
    with Follower(programs, "-l", f"{text}:{port}", "-n", "300") as follower, \
            Sender(address, port) as sender:
        wait_bound(port)
        sender.send(sent, 10000)
        found = follower.wait(300)
        assert follower.process.wait(20) == 0
        own = sender.source
    assert [base64.b64decode(v["payload"]) for v in found] == sent
    assert [v["sequence"] for v in found] == list(range(300))
    assert {v["source"] for v in found} == {own}
    times = [v["received"] * 1000 + v["received_ns"] for v in found]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time_ns()


def test_group_of_a_relay(daemon: Daemon) -> None:
    """Beside others that have joined it; as JSON, and for Wireshark."""
    port, group, to = free_port(), group_v4(), free_port()
    daemon.start(channel("one", port, relay=[
        {"address": group, "port": to, "interface": "lo", "ttl": 0}]))
    live = ("-l", f"{group}:{to}", "-i", "lo")
    with Follower(daemon.programs, *live) as first, \
            Follower(daemon.programs, *live, "-o", "raw", "-n", "3") as \
            second, Sender("127.0.0.1", port) as sender:
        wait_members(group, 2)
        sender.send([b"one\n", b"two\n", b"three\n"])
        assert [base64.b64decode(v["payload"])
                for v in first.wait(3)] == sender.sent
        wait_for(lambda: second.process.poll() == 0, "three shown")
        second.thread.join(20)
        assert second.lines == sender.sent
        assert first.end() == ""


def test_subscriber_of_the_readme(daemon: Daemon, source: Path,
                                  tmp_path: Path) -> None:
    """It prints what mcrelay-cat shows, of a decimated stream."""
    readme = (source / "README.md").read_text()
    code, = [part for part in readme.split("```")
             if part.startswith("python") and "IP_ADD_MEMBERSHIP" in part]
    program = tmp_path / "subscriber.py"
    program.write_text(code.removeprefix("python\n"))
    assert len(code.splitlines()) < 18
    schema = source / "etc/example/accel.avsc"
    port, group, to = free_port(), group_v4(), free_port()
    daemon.start(channel("one", port, payload={
        "format": "avro", "schema": str(schema)}, decimate=[
            {"name": "view", "method": "pick", "every": 10,
             "address": group, "port": to, "interface": "lo", "ttl": 0}]))
    process = subprocess.Popen(
        ["/usr/bin/python3", str(program), group, str(to), "127.0.0.1",
         str(schema)], stdout=subprocess.PIPE, text=True)
    try:
        with Follower(daemon.programs, "-l", f"{group}:{to}", "-i", "lo",
                      "-n", "5", "-S", schema) as follower, \
                Sender("127.0.0.1", port) as sender:
            wait_members(group, 2)
            sender.send(accel.datagrams(50, 1))
            shown = [v["counter"] for v in follower.wait(5)]
            assert process.stdout
            printed = [process.stdout.readline() for _ in shown]
            assert shown == [9, 19, 29, 39, 49]
            for number, line in zip(shown, printed):
                assert f"'counter': {number}," in line
    finally:
        process.kill()
        process.wait()


def test_into_an_archive(programs: Programs, tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "a.avro").open("wb") as out:
        process = subprocess.Popen(
            [programs.cat, "-o", "avro", "-n", "3", "-l",
             f"127.0.0.1:{port}"], stdout=out)
        try:
            with Sender("127.0.0.1", port) as sender:
                wait_bound(port)
                sender.send([b"1", b"", b"3"])
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    found: list[Any] = lines(programs, tmp_path / "a.avro")
    assert [base64.b64decode(v["payload"]) for v in found] == [b"1", b"",
                                                               b"3"]


def test_refused(programs: Programs, tmp_path: Path, source: Path) -> None:
    bad = tmp_path / "bad.avsc"
    bad.write_text('{"type": "what"}')
    for words, what in (
            (("-l", "nowhere"), "ADDRESS:PORT"),
            (("-l", "127.0.0.1:9", "x"), "no file"),
            (("-S", bad, "x"), "-l"),
            (("-l", "127.0.0.1:9", "-S", bad), "unknown type"),
            (("-l", "127.0.0.1:9", "-S", tmp_path / "none"), "none"),
            (("-l", "127.0.0.1:9", "-o", "pcapng", "-S",
              source / "etc/example/accel.avsc"), "datagrams"),
            (("-l", "127.0.0.1:9", "-i", "nothere"), "interface")):
        errors: list[str] = []
        cat(programs, *words, status=2, errors=errors)
        assert what in errors[0], errors
