# SPDX-License-Identifier: ISC
"""A service manager that speaks sd_notify(3)'s protocol and keeps
descriptors (systemd's fd store), as far as mcrelayd can tell."""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from daemon import START_S, Daemon
from waiting import wait_for

# What a manager does between fork and exec: the kept descriptors from 3 on.
LAUNCHER = """
import fcntl, json, os, sys
fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for fd in json.loads(sys.argv[1])]
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
os.closerange(3 + len(fds), 1000)
if fds:
    os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Keeps what it is given, until the test ends it."""

    def __init__(self, directory: Path, abstract: bool = False) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"@mcrelay-test-{os.getpid()}-{id(self)}" if abstract \
            else str(directory / "notify")
        self.socket.bind(self.name.replace("@", "\0", 1))
        self.socket.settimeout(0.1)
        # Looks at nothing until it is asked to with a barrier.
        self.lazy = False
        self.deaf = False       # reads nothing
        self.messages: list[dict[str, str]] = []
        self.store: list[tuple[str, int]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # What it is told.

    def _run(self) -> None:
        waiting: list[tuple[str, list[int]]] = []
        while not self._closing:
            if self.deaf:
                time.sleep(0.01)
                continue
            if waiting and (not self.lazy or "BARRIER" in waiting[-1][0]):
                for text, descriptors in waiting:
                    self._take(text, descriptors)
                waiting.clear()
            try:
                data, ancillary, flags, _ = self.socket.recvmsg(
                    4096, socket.CMSG_SPACE(16 * 4))
            except TimeoutError:
                continue
            assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            fds = array.array("i")
            for level, kind, content in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET,
                                         socket.SCM_RIGHTS)
                fds.frombytes(content)
            waiting.append((data.decode(), list(fds)))

    def _take(self, text: str, fds: list[int]) -> None:
        message = dict(line.split("=", 1) for line in text.split("\n"))
        name = message.get("FDNAME", "stored")
        assert len(name) <= 255 and ":" not in name and name.isprintable()
        if "FDSTORE" in message:
            assert len(fds) == 1 and message["FDPOLL"] == "0"
            self._keep(name, fds.pop())
        if "FDSTOREREMOVE" in message:
            for kept, fd in [k for k in self.store if k[0] == name]:
                os.close(fd)
                self.store.remove((kept, fd))
        # What is left is a barrier's: closing it is the answer.
        for fd in fds:
            assert "BARRIER" in message
            os.close(fd)
        self.messages.append(message)

    def _keep(self, name: str, fd: int) -> None:
        """The same object twice is kept once."""
        for _, other in self.store:
            if os.path.sameopenfile(fd, other):
                os.close(fd)
                return
        self.store.append((name, fd))

    def names(self) -> list[str]:
        """But for the programs."""
        return sorted(name for name, _ in self.store
                      if not name.startswith(("program.", "worker.")))

    def layouts(self) -> list[str]:
        """Of the programs."""
        return sorted(name.partition(".")[2] for name, _ in self.store
                      if name.startswith("program."))

    def wait_names(self, *names: str) -> None:
        wait_for(lambda: self.names() == sorted(names),
                 f"{sorted(names)} in the store", detail=self.names)

    def wait_message(self, key: str, value: str = "1",
                     count: int = 1, deadline_s: float = 10.0
                     ) -> dict[str, str]:
        def there() -> dict[str, str] | None:
            found = [m for m in self.messages if m.get(key) == value]
            return found[-1] if len(found) >= count else None
        return wait_for(there, f"{count} messages {key}={value}",
                        deadline_s, lambda: self.messages[-20:])

    # What it does.

    def launch(self, daemon: Daemon, watchdog_s: float = 0,
               wait: bool = True) -> None:
        """Start the daemon with what is kept; wait until it is ready."""
        self.messages.clear()
        environment = daemon.environment | {"NOTIFY_SOCKET": self.name}
        fds = [fd for _, fd in self.store]
        if watchdog_s:
            environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        if fds:
            environment["LISTEN_FDS"] = str(len(fds))
            environment["LISTEN_FDNAMES"] = ":".join(
                name for name, _ in self.store)
        with daemon.log_file.open("ab") as log:
            daemon.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, json.dumps(fds),
                 *daemon.command("-d")], env=environment, stderr=log,
                stdout=log, stdin=subprocess.DEVNULL, pass_fds=fds,
                start_new_session=True)
        # The end of the old workers, then the start of the new ones.
        if wait:
            self.wait_message("READY", deadline_s=2 * START_S)

    @staticmethod
    def kill(daemon: Daemon, all_processes: bool) -> None:
        """The supervisor only, or everything at one moment: without having
        been stopped the workers would still begin to finish their files."""
        assert daemon.process is not None
        if all_processes:
            # It starts nobody from here on, and reaps nobody.
            daemon.process.send_signal(signal.SIGSTOP)
        others = [pid for pid in daemon.processes()
                  if pid != daemon.process.pid] if all_processes else []
        for pid in others:
            # A child of another one than the daemon may just have ended.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        daemon.process.kill()
        daemon.process.wait(10)
        daemon.process = None
        for pid in others:
            # One that had ended already goes with the daemon.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Nothing is started before all of a unit are gone.
        if all_processes:
            wait_for(lambda: not daemon.processes(), "no process", 10.0,
                     daemon.processes)

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        self.socket.close()
        for _, fd in self.store:
            os.close(fd)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
