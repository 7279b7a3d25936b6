# SPDX-License-Identifier: ISC
"""Faults of all kinds, done to a daemon under load, one at a time; some last
until they are mended.  Each says to the accounts of the channels (lanes.py)
what it may cost them, which for most is nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

import gen
from daemon import SERVING, Daemon, channel
from lanes import Lane
from net import free_port, sending_socket
from test_campaign import ask
from test_faults import Faults
from test_restart import libexec, script
from waiting import wait_for

DAY = 86400
# A worker that has been up for a second is followed at once.
HEALTHY_S = 1.1
DEADLY = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS,
          signal.SIGTERM)
CONTROLLERS = Path("/sys/fs/cgroup/memory")
FILL = bytes(4096)


class Cgroup:
    """Whoever is put in here gets no more memory."""

    def __init__(self) -> None:
        self.path = CONTROLLERS / f"mcrelay-test-{os.getpid()}"
        self.path.mkdir()

    def add(self, pid: int) -> None:
        (self.path / "cgroup.procs").write_text(str(pid))
        (self.path / "memory.limit_in_bytes").write_text("4096")

    def kills(self) -> int:
        text = (self.path / "memory.oom_control").read_text()
        return int(text.split("oom_kill ")[-1].split()[0])

    def close(self) -> None:
        self.path.rmdir()


def make_cgroup() -> Cgroup | None:
    try:
        return Cgroup()
    except OSError as e:
        warnings.warn(f"no process runs out of memory: no cgroup of version "
                      f"1 with the memory controller: {e}")
        return None


class Log:
    """Who reads standard error, and stops doing so; or the file that it is,
    on a disk that gets full."""

    def __init__(self, disk: Path | None) -> None:
        self.disk = disk
        self.reader: subprocess.Popen[bytes] | None = None

    def begin(self) -> bool:
        if self.disk is not None:
            fill(self.disk)
        elif self.reader is not None:
            self.reader.send_signal(signal.SIGSTOP)
        return True

    def end(self) -> None:
        if self.disk is not None:
            (self.disk / "full").unlink()
        elif self.reader is not None:
            self.reader.send_signal(signal.SIGCONT)


def fill(directory: Path) -> None:
    with (directory / "full").open("wb", buffering=0) as file, \
            suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with (directory / "full").open("ab", buffering=0) as file, \
            suppress(OSError):
        while True:
            file.write(FILL)


def pause(pid: int, seconds: float) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)


class Mischief:
    """`lanes' by name: `disk' has a small disk of its own, `prey' may be
    taken over, `flood' and those with avro get what is not theirs."""

    def __init__(self, daemon: Daemon, lanes: dict[str, Lane],
                 chance: random.Random, faults: Faults, log: Log,
                 thorough: bool) -> None:
        self.daemon, self.lanes, self.chance = daemon, lanes, chance
        self.faults, self.log, self.thorough = faults, log, thorough
        self.decimator_hit_at = 0.0
        self.cgroup = make_cgroup()
        self.broken: dict[str, Callable[[], None]] = {}
        self.planted: list[Path] = []
        self.canary = daemon.directory / "canary"
        self.canary.write_text("as it was\n")
        self.flag = daemon.directory / "taken-over"
        self._prepare_programs()

    def _prepare_programs(self) -> None:
        programs = self.daemon.programs.libexec
        assert programs is not None
        place = libexec(self.daemon)
        shutil.copy(programs / "tests/integration/vandal", place / "vandal")
        script(place / "mcrelay-worker",
               f'[ "$1" != prey ] || [ ! -e "{self.flag}" ] || '
               f'exec "{place}/vandal" "$@"\n'
               f'exec "{programs}/mcrelay-worker" "$@"\n')

    # Looking.

    def statuses(self) -> dict[str, Any]:
        """In turn, if there is a crowd."""
        def answer() -> dict[str, Any] | None:
            with suppress(BlockingIOError):
                return ask(self.daemon)
            return None
        return wait_for(answer, "an answer", 10, self.daemon.log)

    def supervisor(self) -> int:
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def worker(self, lane: Lane) -> int:
        return int(self.statuses()[lane.name]["pid"] or 0)

    def victim(self) -> Lane | None:
        """One that has been well for a while."""
        well = [lane for lane in self.lanes.values()
                if time.monotonic() > lane.hit_at + HEALTHY_S]
        return self.chance.choice(well) if well else None

    def decimator(self) -> int:
        return next((pid for pid, command in self.daemon.processes().items()
                     if command == "mcrelay-decimator"[:15]), 0)

    # Signals.

    def kill_worker(self) -> bool:
        lane = self.victim()
        if lane is None or (pid := self.worker(lane)) == 0:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, self.chance.choice(DEADLY))
        self._followed(lane, pid)
        return True

    def _followed(self, lane: Lane, old: int) -> None:
        wait_for(lambda: self.worker(lane) not in (0, old),
                 f"a new worker for {lane.name}", 30, self.daemon.log)
        lane.hit_at = time.monotonic()

    def pause_worker(self) -> bool:
        lane = self.victim()
        if lane is None or (pid := self.worker(lane)) == 0:
            return False
        pause(pid, self.chance.uniform(0.01, 0.3))
        return True

    def stop_worker(self) -> bool:
        """For good: it is found, and replaced."""
        lane = self.victim()
        if not self.thorough or lane is None or \
                (pid := self.worker(lane)) == 0:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        self._followed(lane, pid)
        return True

    def kill_decimator(self) -> bool:
        pid = self.decimator()
        if pid == 0 or time.monotonic() < self.decimator_hit_at + HEALTHY_S:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, self.chance.choice(DEADLY))
        wait_for(lambda: self.decimator() not in (0, pid),
                 "a new decimator", 30, self.daemon.log)
        self.decimator_hit_at = time.monotonic()
        return True

    def pause_decimator(self) -> bool:
        pause(self.decimator(), self.chance.uniform(0.01, 0.3))
        return True

    def pause_supervisor(self) -> bool:
        pause(self.supervisor(), self.chance.uniform(0.01, 0.3))
        return True

    def hit_launcher(self) -> bool:
        """The process between supervisor and program, if it can be met."""
        lane = self.victim()
        if lane is None or (pid := self.worker(lane)) == 0:
            return False
        kin = Path(f"/proc/{self.supervisor()}/task/{self.supervisor()}"
                   "/children")
        known = set(kin.read_text().split())
        kill = self.chance.random() < 0.5
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            for new in set(kin.read_text().split()) - known:
                end = 0
                with suppress(ProcessLookupError):
                    if kill:
                        os.kill(int(new), signal.SIGKILL)
                    else:
                        pause(int(new), 0.1)
        self._followed(lane, pid)
        return True

    def out_of_memory(self) -> bool:
        """Of what it writes to a tmpfs, nothing can be given back."""
        lane = self.lanes["disk"]
        if self.cgroup is None or "disk" in self.broken or \
                time.monotonic() < lane.hit_at + HEALTHY_S:
            return False
        pid, before = self.worker(lane), self.cgroup.kills()
        if pid == 0:
            return False
        self.cgroup.add(pid)
        self._followed(lane, pid)
        assert self.cgroup.kills() > before, "not by the kernel"
        return True

    # Disks and the clock.

    def fill_disk(self) -> bool:
        lane = self.lanes["disk"]
        fill(lane.directory)
        self.broken["disk"] = lambda: (lane.directory / "full").unlink()
        lane.spent.add("archive_shed")
        return True

    def fill_run_dir(self) -> bool:
        fill(self.daemon.run_dir)
        self.broken["run_dir"] = \
            lambda: (self.daemon.run_dir / "full").unlink()
        return True

    def disturb_log(self) -> bool:
        self.broken["log"] = self.log.end
        return self.log.begin()

    def set_clock(self) -> bool:
        days = self.chance.choice((-30, -7, -1, 1, 7, 30))
        self.faults.set("clock", days * DAY + self.chance.randrange(3600))
        self.broken["clock"] = lambda: self.faults.set("clock", 0)
        return True

    # From outside.

    def flood(self) -> bool:
        """Singly: one of many that the kernel drops together counts once."""
        lane = self.lanes["flood"]
        lane.spent |= {"kernel_dropped", "relay_errors", "relay_overrun",
                       "archive_shed"}
        with gen.source(self.daemon.programs, lane.listen, lane.port, "-r",
                        "0", "-t", "300ms", "-b", "200", "-i", "lo"
                        ) as source:
            lane.extra += source.result()["sent"]
        return True

    def garbage(self) -> bool:
        lane = self.lanes[self.chance.choice(("avro", "null"))]
        with sending_socket(lane.listen, lane.port) as s:
            for _ in range(50):
                size = self.chance.choice((0, 1, 39, 41, 999, 65507))
                s.send(self.chance.randbytes(size))
                lane.extra += 1
                if lane.avro:
                    lane.garbage += 1
                    lane.spent.add("rejected")
        return True

    def control_garbage(self) -> bool:
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as s, suppress(OSError):
                s.settimeout(0.2)
                s.connect(str(self.daemon.run_dir / "mcrelayd.sock"))
                s.sendall(self.chance.randbytes(
                    self.chance.randrange(1, 10000)))
                if self.chance.random() < 0.5:
                    s.recv(4096)
        return True

    def control_crowd(self) -> bool:
        """More than are served, who say nothing."""
        crowd = []
        for _ in range(100):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            with suppress(OSError):
                s.connect(str(self.daemon.run_dir / "mcrelayd.sock"))
            crowd.append(s)
        for s in crowd:
            s.close()
        return True

    def second_daemon(self) -> bool:
        """With the same directories: it goes at once.  Or with the same
        archive only: it waits."""
        done = self.daemon.run("-d")
        assert done.returncode == 1, done.stderr
        other = Daemon(self.daemon.programs,
                       self.daemon.directory / "second")
        other.directory.mkdir(exist_ok=True)
        name = self.chance.choice(sorted(self.lanes.keys() - {"prey"}))
        other.write(channel(name, free_port(),
                            archive=self.lanes[name].conf["archive"]))
        other.launch()
        try:
            wait_for(other.try_status, "an answer", 10, other.log)
            status = other.wait_state(name, "waiting")
            assert [r["what"] for r in status["reasons"]] == \
                ["archive_in_use"]
            other.stop(checks=False)
        finally:
            other.kill()
        return True

    def plant(self) -> bool:
        """What a worker's user can put beside its files."""
        lane = self.victim()
        if lane is None:
            return False
        path = lane.directory / lane.name / lane.name
        path = path.with_name(lane.name + self.chance.choice((
            "_20990101T000000.000000Z_7.avro.part", ".s.avsc.new",
            "_20200101T000000.000000Z_7.avro", ".rejected_20200101T000000."
            "000000Z_7.avro.part", ".s.avsc")))
        if path.exists() or path.is_symlink():
            return False
        self.planted.append(path)
        self.chance.choice((
            lambda: os.mkfifo(path), lambda: path.mkdir(),
            lambda: path.symlink_to(self.canary),
            lambda: path.symlink_to("/")))()
        return self.kill_worker() or self.commands()

    def _remove_planted(self) -> None:
        for path in self.planted:
            if path.is_symlink() or path.is_fifo():
                path.unlink()
            elif path.is_dir():
                path.rmdir()
        self.planted.clear()

    def take_over(self) -> bool:
        """The prey's worker is hostile for a while, then its memory and all
        that it has said are gone for good."""
        lane = self.lanes["prey"]
        if (pid := self.worker(lane)) == 0:
            return False
        self.flag.touch()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(AssertionError):      # in case it ends at once
            wait_for(lambda: "vandal" in self.daemon.processes().values(),
                     "the hostile worker", 5)
        time.sleep(self.chance.uniform(0.1, 0.5))
        self.flag.unlink()
        for pid, command in self.daemon.processes().items():
            if command == "vandal":
                os.kill(pid, signal.SIGKILL)
        self._write(without="prey")
        self._reload()
        self._write()
        self._reload()
        lane.hit_at = time.monotonic()
        return True

    # Commands.

    def _write(self, without: str = "", **changes: Any) -> None:
        self.daemon.write(*(lane.conf for name, lane in self.lanes.items()
                            if name != without), **changes)

    def _reload(self) -> None:
        self.daemon.ctl("reload", check="run_dir" not in self.broken)

    def commands(self) -> bool:
        """A storm of them."""
        for _ in range(self.chance.randrange(1, 6)):
            self.chance.choice((self._rotate, self._restart, self._reload,
                                self._change, self._break, self._upgrade))()
        return True

    def _rotate(self) -> None:
        self.daemon.ctl("rotate", check=False)

    def _restart(self) -> None:
        lane = self.victim()
        if lane is not None:
            lane.hit_at = time.monotonic()
            self.daemon.ctl("restart", lane.name, check=False)

    def _change(self) -> None:
        """A key that takes another worker."""
        lane = self.victim()
        if lane is None:
            return
        lane.hit_at = time.monotonic()
        lane.conf["archive"]["flush_interval"] = \
            f"{self.chance.randrange(50, 200)}ms"
        self._write()
        self._reload()

    def _break(self) -> None:
        good = self.daemon.config_file.read_text()
        self.daemon.write_text(good[:self.chance.randrange(len(good))] + "]")
        done = self.daemon.ctl("reload", check=False)
        assert done.returncode != 0
        self.daemon.write_text(good)

    def _upgrade(self) -> None:
        if any(time.monotonic() < lane.hit_at + HEALTHY_S
               for lane in self.lanes.values()):
            return
        for lane in self.lanes.values():
            lane.hit_at = time.monotonic()
        self.daemon.ctl("upgrade", check=not self.broken)

    EVENTS = (kill_worker, pause_worker, stop_worker, kill_decimator,
              pause_decimator, pause_supervisor, hit_launcher, out_of_memory,
              fill_disk, fill_run_dir, disturb_log, set_clock, flood, garbage,
              control_garbage, control_crowd, second_daemon, plant, take_over,
              commands)
    LASTING = {fill_disk: "disk", fill_run_dir: "run_dir",
               disturb_log: "log", set_clock: "clock"}

    def happen(self) -> str:
        """One of those that are possible now."""
        if self.broken and self.chance.random() < 0.4:
            return self.mend(self.chance.choice(sorted(self.broken)))
        for event in self.chance.sample(self.EVENTS, len(self.EVENTS)):
            if self.LASTING.get(event) not in self.broken and event(self):
                return event.__name__
        raise AssertionError("nothing can happen")

    def mend(self, what: str) -> str:
        self.broken.pop(what)()
        return f"mend {what}"

    def unsettled(self) -> list[str]:
        """Who does not run, which is all of them, whatever has happened."""
        return [f"{name} {status['state']} {status['reasons']}"
                for name, status in self.statuses().items()
                if status["state"] not in SERVING]

    def end(self) -> None:
        for what in sorted(self.broken):
            self.mend(what)
        self._remove_planted()
        assert self.canary.read_text() == "as it was\n"

    def close(self) -> None:
        if self.cgroup is not None:
            self.cgroup.close()
