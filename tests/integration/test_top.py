# SPDX-License-Identifier: ISC
"""mcrelayctl top: through a pipe, and on a terminal of the test's own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator

import pytest

from daemon import Daemon, Programs, channel, output
from net import Receiver, Sender, SenderThread, free_port, numbered
from waiting import wait_for

SIZE = 1000
RATE = 500
SENT = 6 * RATE
HEADS = ["CHANNEL", "STATE", "IN/S", "MBIT/S", "DROPPED", "SHED", "ERRORS",
         "REJECTED", "MISSED", "PENDING", "SOCKET", "RING"]


@pytest.fixture
def busy(daemon: Daemon) -> Iterator[Daemon]:
    """One channel with traffic for some seconds, and one without."""
    with ExitStack() as stack:
        port = free_port()
        sender = stack.enter_context(Sender("127.0.0.1", port))
        view = stack.enter_context(Receiver())
        daemon.start(
            channel("busy", port, archive=daemon.archive_conf(), decimate=[
                {"name": "s", "method": "pick", "every": 10} |
                output(view.address, view.port)]),
            channel("quiet", free_port()))
        thread = SenderThread(sender, numbered(SENT, SIZE), RATE)
        wait_for(lambda: daemon.ledger("busy")["received"] > 0, "traffic")
        yield daemon
        thread.join()
        daemon.wait_received("busy", SENT)


def command(daemon: Daemon, *options: str) -> list[str]:
    return [str(daemon.programs.mcrelayctl), "-s",
            str(daemon.run_dir / "mcrelayd.sock"), "top", *options]


def check_table(lines: list[str]) -> None:
    assert re.fullmatch(r"\d{8}T\d{6}Z  mcrelayd \S+, process \d+: "
                        r"2 of 2 running", lines[0])
    assert lines[1].split() == HEADS
    rows = [dict(zip(HEADS, line.split())) for line in lines[2:]]
    assert [row["CHANNEL"] for row in rows] == ["busy", "quiet"]
    # As evenly as a busy machine sends.
    assert RATE / 4 < float(rows[0]["IN/S"]) < RATE * 4
    assert abs(float(rows[0]["MBIT/S"]) * 1e6 / SIZE / 8 /
               float(rows[0]["IN/S"]) - 1) < 0.1
    assert float(rows[1]["IN/S"]) == float(rows[1]["MBIT/S"]) == 0
    for row in rows:
        assert [row[h] for h in HEADS[4:9]] == ["0"] * 5
        assert int(row["PENDING"]) <= SENT
        assert re.fullmatch(r"[\d.]+(B|KiB|MiB)", row["SOCKET"])


def test_pipe(busy: Daemon) -> None:
    """One table a second, and no escapes."""
    begin = time.monotonic()
    out = busy.ctl("top", "-n", "2").stdout
    assert time.monotonic() - begin >= 2
    tables = [text.splitlines() for text in out.split("\n\n")]
    assert len(tables) == 2
    for table in tables:
        check_table(table)
    # One channel only; one that is not there; a count that is none.
    assert "quiet" not in busy.ctl("top", "-n", "1", "busy").stdout
    assert busy.ctl("top", "-n", "1", "no", check=False).returncode == 1
    assert busy.ctl("top", "-n", "0", check=False).returncode == 2


class Screen:
    """mcrelayctl on a terminal."""

    def __init__(self, daemon: Daemon, *options: str, rows: int = 24,
                 columns: int = 120, term: str = "xterm") -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            command(daemon, *options), stdin=slave, stdout=slave,
            stderr=slave, start_new_session=True,
            env=os.environ | {"TERM": term})
        self.text = ""

    def _read(self) -> bool:
        """Whether there was something."""
        if not select.select([self.master], [], [], 0)[0]:
            return False
        self.text += os.read(self.master, 65536).decode()
        return True

    def wait_tables(self, count: int) -> None:
        def there() -> bool:
            self._read()
            return self.text.count("quiet") >= count
        wait_for(there, f"{count} tables", 20.0, lambda: self.text)

    def wait_end(self) -> int:
        def ended() -> bool:
            self._read()
            return self.process.poll() is not None
        wait_for(ended, "the end", 20.0, lambda: self.text)
        while self._read():
            pass
        assert termios.tcgetattr(self.slave) == self.before
        return int(self.process.returncode)

    def lines(self) -> list[str]:
        """The last table, as it stands there."""
        last = self.text.rsplit("\033[H", 1)[1]
        assert last.count("\033[J") == 1
        shown = last.split("\033[J")[0]
        assert "\033" not in shown.replace("\033[K", "")
        return shown.replace("\033[K", "").split("\r\n")[:-1]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.master)
        os.close(self.slave)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def test_screen(busy: Daemon) -> None:
    """One over the other; the terminal is as before, whatever ends it."""
    with Screen(busy, "-n", "2") as screen:
        assert screen.wait_end() == 0
        assert screen.text.count("\033[H") == 2
        check_table(screen.lines())
    with Screen(busy) as screen:
        screen.wait_tables(1)
        os.write(screen.master, b"xq")
        assert screen.wait_end() == 0
        assert "xq" not in screen.text
    with Screen(busy) as screen:
        screen.wait_tables(1)
        screen.process.send_signal(signal.SIGINT)
        assert screen.wait_end() == 0


def test_small_screen(daemon: Daemon) -> None:
    """What there is no room for is left out, and nothing scrolls."""
    daemon.start(*(channel(f"quiet{i}", free_port()) for i in range(9)))
    with Screen(daemon, "-n", "1", rows=8, columns=40) as screen:
        assert screen.wait_end() == 0
        lines = screen.lines()
        assert len(lines) == 7 and lines[-1] == "..."
        assert lines[-2].startswith("quiet3")
        assert max(len(line) for line in lines[1:]) <= 40
        assert lines[1].split() == HEADS[:3] + ["DROPPED", "ERRORS"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_cell_is_cut(daemon: Daemon, width: int) -> None:
    """Columns that have no room are left out as a whole, the least important
    first."""
    long = "x" * 24
    daemon.start(*(channel(name, free_port())
                   for name in ("quiet", long)))
    with Screen(daemon, "-n", "1", columns=width) as screen:
        assert screen.wait_end() == 0
        _, head, *rows = screen.lines()
    heads = head.split()
    assert heads == [h for h in HEADS if h in heads]
    if width == 200:
        assert heads == HEADS
    else:
        assert len(heads) < len(HEADS)
        # What was left out would not have fitted.
        dropped = ["RING", "SOCKET", "PENDING", "MBIT/S", "MISSED",
                   "REJECTED", "SHED", "ERRORS", "DROPPED", "IN/S"]
        gone = [h for h in dropped if h not in heads]
        assert gone == dropped[:len(gone)]
        assert width - 2 - len(gone[-1]) < len(head) <= width
    for row in rows:
        assert len(row) <= width
        assert len(row.split()) == len(heads)
        assert row.split()[0] in ("quiet", long)


def test_trouble_first(programs: Programs, tmp_path: Path) -> None:
    """Those that do not run, then those that do it badly; else as in the
    file."""
    states = ["running", "stale", "waiting", "degraded", "stopped",
              "starting", "running", "unheard-of", "degraded", "failed",
              "backoff"]
    given = answer(1)
    one = given["status"]["channels"][0]
    given["status"]["channels"] = [
        one | {"name": f"c{i}", "state": state}
        for i, state in enumerate(states)]
    lines = ask(programs, tmp_path, "top", "-n", "1", answers=[given, given])
    assert [tuple(line.split()[:2]) for line in lines[2:]] == [
        (f"c{i}", states[i]) for i in (2, 7, 9, 10, 4, 5, 3, 8, 1, 0, 6)]


def test_dumb(daemon: Daemon) -> None:
    """A terminal that can do nothing gets what a pipe gets; the daemon's end
    is one's own."""
    daemon.start(channel("quiet", free_port()))
    with Screen(daemon, term="dumb") as screen:
        screen.wait_tables(2)
        daemon.stop()
        assert screen.wait_end() == 1
        assert "\033" not in screen.text
        assert "mcrelayd does not run" in screen.text
        assert screen.text.count("CHANNEL") >= 2


def answer(received: int, counters_current: bool = True,
           streams: dict[str, int] | None = None,
           **counts: int) -> dict[str, Any]:
    """A daemon's answer; the counters that are not told are 0."""
    one = {"name": "one", "state": "running", "pid": 9,
           "counters_current": counters_current,
           "ledger": {"received": received, "received_bytes": received,
                      "rejected": 0, "archive_shed": 0} | counts,
           "decimate": {name: {"in": 0, "out": 0, "missed": missed,
                               "errors": 0}
                        for name, missed in (streams or {}).items()}}
    return {"ok": True, "status": {"version": "0", "pid": 1,
                                   "channels": [one]}}


def ask(programs: Programs, tmp_path: Path, *words: str,
        answers: list[dict[str, Any]]) -> list[str]:
    """What mcrelayctl says of a daemon that gives these answers."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        process = subprocess.Popen(
            [str(programs.mcrelayctl), "-s", path, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for each in answers:
            server.settimeout(20)
            connection, _ = server.accept()
            with connection:
                connection.makefile("r").readline()
                connection.sendall(json.dumps(each).encode())
        out, _ = process.communicate(timeout=20)
    Path(path).unlink()
    assert process.returncode == 0
    return out.splitlines()


def columns(lines: list[str]) -> dict[str, str]:
    return dict(zip(HEADS, lines[-1].split()))


def test_corrected(programs: Programs, tmp_path: Path) -> None:
    """A count that goes down is a correction; only when the channel's
    counters begin anew all of them came since."""
    row = columns(ask(programs, tmp_path, "top", "-n", "1", answers=[
        answer(100, rejected=50, streams={"a": 7, "b": 2}),
        answer(100, rejected=49, archive_shed=1, streams={"b": 5})]))
    assert (row["REJECTED"], row["SHED"], row["MISSED"]) == ("-1", "1", "3")
    assert row["IN/S"] == "0"
    row = columns(ask(programs, tmp_path, "top", "-n", "1", answers=[
        answer(100, rejected=3, streams={"a": 7}),
        answer(90, rejected=5, streams={"a": 6})]))
    assert (row["REJECTED"], row["MISSED"]) == ("5", "6")
    assert float(row["IN/S"]) > 0


def test_old_counters(programs: Programs, tmp_path: Path) -> None:
    """Counters that could not be read are shown as what they are."""
    for words in (("status",), ("ledger",)):
        for current in (True, False):
            text = "\n".join(ask(programs, tmp_path, *words, answers=[
                answer(100, counters_current=current)]))
            assert ("these are earlier ones" in text) == (not current)
    lines = ask(programs, tmp_path, "top", "-n", "1", answers=[
        answer(100), answer(100, counters_current=False)])
    assert "these are earlier ones" in lines[-1]
