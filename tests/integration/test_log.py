# SPDX-License-Identifier: ISC
"""A log daemon that does not read: nobody waits for it."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

from daemon import Programs, channel, output
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

            def told() -> bool:
                lines.extend(drain(log))
                return any(f"[{worker}]: " in line and LOST.search(line)
                           for line in lines)
            wait_for(told, "the count of what was lost",
                     detail=lambda: lines[-3:])
            lost = sum(int(match[4]) for line in lines
                       if (match := LOST.search(line))
                       and int(match[3]) == worker)
            assert 0 < ledgers(lines, worker) < turns
            assert lost + ledgers(lines, worker) >= turns
            os.kill(supervisor, signal.SIGTERM)
            daemon.check_gone()
            assert daemon.payloads("one") == sender.sent
    finally:
        daemon.kill()
        log.close()
