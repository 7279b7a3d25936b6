# SPDX-License-Identifier: ISC
"""A log daemon that does not read: nobody waits for it."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from datetime import datetime
from pathlib import Path

from daemon import Daemon, Programs, channel, output
from net import Namespace, Receiver, Sender, free_port, numbered
from test_sandbox import Logged, listen
from waiting import wait_for

LOST = re.compile(r"(\w[\w-]*)(\[\w+\])?\[(\d+)\]: (\d+) lines were not logged")


def drain(log: socket.socket) -> list[str]:
    lines = []
    log.setblocking(False)
    try:
        while True:
            lines.append(log.recv(8192).decode())
    except BlockingIOError:
        pass
    return lines


def ledgers(lines: list[str], pid: int) -> int:
    return sum(f"[{pid}]: ledger" in line for line in lines)


def test_times(daemon: Daemon) -> None:
    """Each line of a file has its time, whoever said it; who reads a pipe
    knows it."""
    before = time.time()
    daemon.start(channel("one", free_port()))
    os.kill(daemon.worker_pid("one"), signal.SIGUSR1)
    daemon.wait_log("mcrelay-worker[one]: ledger:")
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    daemon.stop()
    for line in daemon.log().splitlines():
        when, who = line.split(" ")[:2]
        assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", when), line
        assert before - 0.001 <= datetime.fromisoformat(
            when.replace("Z", "+00:00")).timestamp() <= time.time(), line
        assert who in ("mcrelayd:", "mcrelay-worker[one]:"), line
    # A second one ends at once, for what it lacks.
    daemon.write(channel("one", free_port()), run_dir="/proc/none")
    said = daemon.run("-d").stderr
    assert said and all(line.startswith("mcrelayd: ")
                        for line in said.splitlines()), said


def test_stalled(namespace: Namespace, programs: Programs, tmp_path: Path
                 ) -> None:
    """Relay, supervisor and decimator go on; all that could not be logged
    is told when it is read again."""
    daemon = Logged(programs, tmp_path)
    log = listen(tmp_path / "log")
    port = free_port()
    try:
        with Receiver() as receiver, Receiver() as view, \
                Sender("127.0.0.1", port) as sender:
            daemon.write(channel(
                "one", port, relay=[output("127.0.0.1", receiver.port)],
                archive=daemon.archive_conf(),
                decimate=[{"name": "s", "method": "pick", "every": 1,
                           "address": "127.0.0.1", "port": view.port}]),
                log={"to": "syslog"})
            done = daemon.run()
            assert done.returncode == 0, done.stderr
            supervisor = daemon.find_background()
            worker = daemon.worker_pid("one")
            lines = drain(log)
            # Many times what the socket and the processes hold.
            turns = 2000
            for turn in range(turns):
                os.kill(worker, signal.SIGUSR1)
                sender.send(numbered(1, first=turn))
                assert receiver.wait(turn + 1) == sender.sent
                if turn % 5 == 0:
                    daemon.ctl("rotate", "one")
            assert view.wait(turns) == sender.sent
            daemon.ctl("reload")
            assert daemon.worker_pid("one") == worker
            daemon.wait_received("one", turns)

            # A line that says so may find room where a ledger does not: the
            # rest is told later.
            def told() -> int:
                lines.extend(drain(log))
                return sum(int(match[4]) for line in lines
                           if (match := LOST.search(line))
                           and int(match[3]) == worker)
            wait_for(lambda: told() > turns // 2,
                     "the count of what was lost",
                     detail=lambda: lines[-3:])
            # Two signals may be one to it: how exact the count is, is for
            # tests/unit/test_log.
            assert 0 < ledgers(lines, worker) < turns // 2
            os.kill(supervisor, signal.SIGTERM)
            daemon.check_gone()
            assert daemon.payloads("one") == sender.sent
    finally:
        daemon.kill()
        log.close()
