# SPDX-License-Identifier: ISC
"""What children say on their standard error: a pipe to mcrelayd, which
believes none of it and waits for nobody."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Callable

import pytest

from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port, numbered
from test_upgrade import install, own_binary
from waiting import wait_for

# supervisor/voice.h
LINES, LINES_S, LAST_LINES, LINE_SIZE = 1000, 100, 50, 1000

# As bash does its own writing; the true worker beside it is for the others.
SCRIPT = """#!/bin/sh
case $1 in bad) ;; *) exec {real} "$@";; esac
exec 3<&- 4<&-
{text}
"""


@pytest.fixture
def replace(daemon: Daemon) -> Callable[[str], None]:
    """Makes a shell script the worker of the channel `bad'."""
    place = daemon.directory / "libexec"
    place.mkdir()
    libexec = daemon.programs.libexec
    assert libexec is not None
    (place / "mcrelay-decimator").symlink_to(libexec / "mcrelay-decimator")
    daemon.environment["MCRELAY_LIBEXECDIR"] = str(place)

    def put(text: str) -> None:
        worker = place / "mcrelay-worker"
        worker.write_text(SCRIPT.format(real=libexec / worker.name,
                                        text=text))
        worker.chmod(0o755)
    return put


def launch(daemon: Daemon, port: int, receiver: Receiver) -> None:
    daemon.write(channel("bad", free_port()),
                 channel("good", port,
                         relay=[output("127.0.0.1", receiver.port)]))
    daemon.launch()
    wait_for(daemon.try_status, "an answer")
    daemon.wait_state("good", "running")


def said(daemon: Daemon, name: str = "mcrelay-worker[bad]") -> list[str]:
    lines = [line.split(" ", 1)[1] for line in daemon.log().splitlines()]
    return [line.removeprefix(f"{name}: ") for line in lines
            if line.startswith(f"{name}: ")]


def test_nothing_is_believed(daemon: Daemon, replace: Callable[[str], None]
                             ) -> None:
    """Each line has its sender's name, and no command to a terminal; what
    has no end is said when the process has ended."""
    replace(r"""
printf 'mcrelayd: forged\n\n' >&2
printf '\033]0;title\007\033[2J\302\233 \342\200\256backwards\n' >&2
printf 'mcrelay-worker[bad]: as usual\n' >&2
printf '%s\n' "$(head -c 2500 /dev/zero | tr '\0' x)" >&2
printf 'no end' >&2
exit 3""")
    with Receiver() as receiver:
        launch(daemon, free_port(), receiver)
        daemon.wait_log("mcrelay-worker[bad]: no end\n")
        daemon.ctl("stop", "bad")
    log = daemon.log()
    assert not re.search(r"^(forged|mcrelayd: forged)", log, re.M)
    assert "\x1b" not in log and "\x07" not in log and "\u202e" not in log
    first = said(daemon)[:8]
    assert first == ["mcrelayd: forged", "",
                     r"\u001b]0;title\u0007\u001b[2J\u009b \u202ebackwards",
                     "as usual", "x" * LINE_SIZE, "x" * LINE_SIZE,
                     "x" * (2500 - 2 * LINE_SIZE), "no end"]
    # The obituary follows.
    assert log.index("no end\n") < log.index("channel bad: process ")


def test_flood(daemon: Daemon, replace: Callable[[str], None]) -> None:
    """It is bounded, what is left out is counted, and it costs nobody
    else anything."""
    enough = daemon.directory / "enough"
    replace(f"while [ ! -e {enough} ]; do echo flood >&2; done\n"
            "until echo the end >&2; do :; done")
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        begun = time.monotonic()
        launch(daemon, port, receiver)
        daemon.wait_log("mcrelay-worker[bad] says too much: ")
        sender.send(numbered(1000))
        daemon.wait_received("good", 1000)
        assert receiver.wait(1000) == sender.sent
        bad = daemon.status("bad")["pid"]
        enough.touch()
        daemon.wait_log(f"channel bad: process {bad} exited")
        daemon.ctl("stop", "bad")
        # Its last words are heard, however much there was before them.
        assert "the end" in said(daemon)
        seconds = time.monotonic() - begun
        lines = said(daemon)
        assert len(lines) <= LINES + LINES_S * seconds + LAST_LINES
        assert daemon.status("good")["restarts"] == 0


def test_closed(daemon: Daemon, replace: Callable[[str], None]) -> None:
    """Nobody waits for one that says no more, nor for what it has left
    its standard error to."""
    replace("""
echo early >&2
sleep 60 >/dev/null &
exec 2>&-
exit 4""")
    with Receiver() as receiver:
        launch(daemon, free_port(), receiver)
        daemon.wait_log("exited with status 4")
        daemon.ctl("stop", "bad")
        assert said(daemon)[0] == "early"
        # One that was forked just now has its parent's name.
        sleeping = wait_for(lambda: [
            pid for pid, name in daemon.processes().items()
            if name == "sleep"], "what it has left its standard error to")
        for pid in sleeping:
            os.kill(pid, signal.SIGKILL)


def test_reader_stops(daemon: Daemon) -> None:
    """A supervisor that does not get on holds up no worker, however much
    that says."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel("one", port,
                             relay=[output("127.0.0.1", receiver.port)]))
        worker = daemon.worker_pid("one")
        daemon.signal(signal.SIGSTOP)
        try:
            # Several times what a pipe holds.
            for turn in range(1000):
                os.kill(worker, signal.SIGUSR1)
                sender.send(numbered(1, first=turn))
                assert receiver.wait(turn + 1) == sender.sent
        finally:
            daemon.signal(signal.SIGCONT)

        def told() -> bool:
            """With what it says next, once there is room for it."""
            os.kill(worker, signal.SIGUSR1)
            return "lines were not logged: nobody read them" in daemon.log()
        wait_for(told, "the count of what was lost")
        daemon.wait_received("one", 1000)
        assert daemon.worker_pid("one") == worker


def test_last_words_over_an_upgrade(daemon: Daemon) -> None:
    """A worker of the image before is heard by the one after, until it is
    replaced."""
    binary = own_binary(daemon)
    names = ["one", "two"]
    daemon.start(*(channel(name, free_port()) for name in names))
    workers = {name: daemon.worker_pid(name) for name in names}
    pipes = {name: os.readlink(f"/proc/{pid}/fd/2")
             for name, pid in workers.items()}
    assert all(p.startswith("pipe:") for p in pipes.values())
    assert len(set(pipes.values())) == 2
    # The first worker of the new version cannot use its configuration: the
    # others stay.
    libexec = daemon.directory / "libexec"
    libexec.mkdir()
    assert daemon.programs.libexec is not None
    worker = libexec / "mcrelay-worker"
    worker.write_text("#!/bin/sh\nexit 78\n")
    worker.chmod(0o755)
    (libexec / "mcrelay-decimator").symlink_to(
        daemon.programs.libexec / "mcrelay-decimator")
    install(binary, f"#!/bin/sh\nexport MCRELAY_LIBEXECDIR={libexec}\n"
            f'exec -a {binary} {daemon.programs.libexec}/mcrelayd "$@"\n'
            .replace("/bin/sh", "/bin/bash"))
    daemon.ctl("upgrade", check=False)
    daemon.wait_state("one", "failed")
    assert daemon.worker_pid("two") == workers["two"]
    before = len(said(daemon, "mcrelay-worker[two]"))
    os.kill(workers["two"], signal.SIGUSR1)
    wait_for(lambda: len(said(daemon, "mcrelay-worker[two]")) > before,
             "its ledger in the log", detail=daemon.log)
    os.kill(workers["two"], signal.SIGSEGV)
    daemon.wait_log("its last words: SIGSEGV")


def test_supervisor_killed(daemon: Daemon) -> None:
    """Workers that nobody hears any more do not die of it."""
    port = free_port()
    daemon.start(channel("one", port,
                         archive=daemon.archive_conf(flush_interval="1h")))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(500))
        wait_for(lambda: daemon.ledger("one")["received"] == 500, "all in")
        worker = daemon.worker_pid("one")
        status = Path(f"/proc/{worker}/status").read_text()
        ignored = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.M)
        assert ignored and int(ignored[1], 16) >> signal.SIGPIPE - 1 & 1
        assert daemon.process is not None
        daemon.process.kill()
        daemon.process.wait(10)
        daemon.process = None
        # What it says now has no reader.
        for _ in range(10):
            try:
                os.kill(worker, signal.SIGUSR1)
            except ProcessLookupError:
                break
        wait_for(lambda: not daemon.processes(), "workers gone")
    assert daemon.payloads("one") == sender.sent
    for path in daemon.run_dir.iterdir():
        path.unlink()
