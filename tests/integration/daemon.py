# SPDX-License-Identifier: ISC
"""A mcrelayd of a test's own, and the checks that every test makes."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import avro_files
from net import Namespace
from waiting import wait_for

START_S = 15.0
STOP_S = 20.0

# The states of a channel whose worker runs.
SERVING = ("running", "stale", "degraded", "paused")

COUNTERS = {
    "received", "received_bytes", "kernel_dropped", "truncated",
    "refused_source", "sequence_gaps", "sequence_repeats",
    "sequence_reordered", "relayed", "relay_errors", "archived",
    "archived_bytes", "rejected", "archive_shed", "archive_errors",
    "pending", "relay_overrun", "relay_no_buffers", "relay_unreachable",
    "relay_too_large", "relay_other", "socket_high_water_bytes",
    "ring_high_water_bytes", "archive_paused", "relay_paused",
    "relay_standby", "merged", "merge_waiting", "kernel_relayed",
    "kernel_relay_errors"}


@dataclass(frozen=True)
class Programs:
    """Where the programs are: a build directory, or an installed prefix."""

    mcrelayd: Path
    mcrelayctl: Path
    gen: Path
    libexec: Path | None    # None: the one built in

    @staticmethod
    def built(directory: Path) -> Programs:
        return Programs(directory / "mcrelayd", directory / "mcrelayctl",
                        directory / "mcrelay-gen", directory)

    @staticmethod
    def installed(prefix: Path) -> Programs:
        return Programs(prefix / "sbin/mcrelayd", prefix / "sbin/mcrelayctl",
                        prefix / "bin/mcrelay-gen", None)

    def built_with(self, what: str) -> bool:
        """By what configure has found; what is installed has all."""
        status = (self.libexec or Path("/nonexistent")) / "config.status"
        return not status.exists() or \
            f'S["{what}_TRUE"]="#"' not in status.read_text()

    @property
    def linux(self) -> bool:
        """Whether they were built with Linux's extras (HACKING.md)."""
        return self.built_with("LINUX")

    @property
    def uring(self) -> bool:
        """Whether they were built with liburing."""
        return self.built_with("URING")

    def repeats(self, kills: int) -> int:
        """How many datagrams each output may send twice when so many workers
        are killed (common/messages.h)."""
        return 0 if self.linux else kills

    @property
    def verify(self) -> Path:
        return self.gen.with_name("mcrelay-verify")

    @property
    def replay(self) -> Path:
        return self.gen.with_name("mcrelay-replay")

    @property
    def cat(self) -> Path:
        return self.gen.with_name("mcrelay-cat")

    def environment(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("MCRELAY_")}
        # A system call that their sandbox does not have ends a child.  Who is
        # not root could not look into its /proc, by which it is found.
        env["MCRELAY_SANDBOX"] = "kill" if os.geteuid() == 0 else "none"
        if self.libexec is not None:
            env["MCRELAY_LIBEXECDIR"] = str(self.libexec)
            env["MCRELAY_WEBDIR"] = str(self.libexec / "web-page")
        return env


def marked(mark: str) -> dict[int, str]:
    """The live processes that were started with `mark' in their environment,
    which all that they start inherits: {pid: command}."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                stat = (entry / "stat").read_text()
                found[int(entry.name)] = stat[stat.index("(") + 1:
                                              stat.rindex(")")]
        except OSError:
            continue
    return found


def processor_s(pid: int) -> float:
    """What all its threads have used of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def root_user() -> dict[str, str]:
    """What root must say, or it is refused: in tests workers are who we
    are."""
    return {"user": "root"} if os.geteuid() == 0 else {}


def debug(pid: int) -> None:
    """Stop it like a debugger: it goes on with let_go()."""
    attach = 16
    assert ctypes.CDLL(None).ptrace(attach, pid, None, None) == 0
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status)


def let_go(pid: int) -> None:
    detach = 17
    assert ctypes.CDLL(None).ptrace(detach, pid, None, None) == 0


def channel(name: str, port: int, address: str = "127.0.0.1",
            relay: list[dict[str, Any]] | None = None,
            **more: Any) -> dict[str, Any]:
    """A channel's part of the configuration; more: listen_* go there."""
    listen = {"address": address, "port": port, "receive_buffer": "16MiB"}
    for key in [k for k in more if k.startswith("listen_")]:
        listen[key.removeprefix("listen_")] = more.pop(key)
    result: dict[str, Any] = {"name": name, "listen": listen,
                              "payload": {"format": "raw"}}
    if relay:
        result["relay"] = relay
    return result | more


def output(address: str, port: int, **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"address": address, "port": port}
    if address.startswith(("ff", "22", "23")):
        result["interface"] = "lo"
    return result | more


class Daemon:
    """mcrelayd with its configuration, run and archive directories below
    `directory'.  stop() makes the checks that hold for every run."""

    def __init__(self, programs: Programs, directory: Path,
                 namespace: Namespace | None = None) -> None:
        self.programs = programs
        self.directory = directory
        self.namespace = namespace
        self.config_file = directory / "mcrelay.yaml"
        self.run_dir = directory / "run"
        self.archive = directory / "archive"
        self.log_file = directory / "mcrelayd.log"
        # By which its processes are found, in whatever session they are.
        self.mark = f"MCRELAY_TEST_MARK={uuid.uuid4()}"
        self.environment = programs.environment() | \
            dict([self.mark.split("=")])
        self.process: subprocess.Popen[bytes] | None = None
        self.archived: set[str] = set()     # channels with an archive
        self.streams: set[tuple[str, str]] = set()  # those since the start

    # Configuration.

    def write(self, *channels: dict[str, Any], **top: Any) -> None:
        """JSON is YAML, too."""
        config = {"run_dir": str(self.run_dir),
                  "log": {"to": "stderr", "level": "debug"},
                  "channels": list(channels)} | root_user() | top
        self.write_text(json.dumps(config, indent=2) + "\n")
        defaults = config.get("defaults", {})
        self.archived = {c["name"] for c in channels
                         if "archive" in c or "archive" in defaults}
        self.archived |= {f"{c['name']}.{s['name']}" for c in channels
                          for s in c.get("decimate", []) if s.get("archive")}
        streams = {(c["name"], s["name"]) for c in channels
                   for s in c.get("decimate", [])}
        # One that a reload adds has not seen what came before.
        self.streams = streams if self.process is None else \
            self.streams & streams

    def write_text(self, text: str) -> None:
        self.config_file.write_text(text)

    def archive_conf(self, **more: Any) -> dict[str, Any]:
        return {"directory": str(self.archive),
                "flush_interval": "100ms"} | more

    # Its life.

    def command(self, *options: str) -> list[str]:
        prefix = self.namespace.prefix if self.namespace else []
        return [*prefix, str(self.programs.mcrelayd), *options,
                "-f", str(self.config_file)]

    def run(self, *options: str, timeout_s: float = 30.0
            ) -> subprocess.CompletedProcess[str]:
        """Run it to its end (of the foreground part)."""
        return subprocess.run(
            self.command(*options), env=self.environment, text=True,
            capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL)

    def check(self) -> subprocess.CompletedProcess[str]:
        return self.run("-n")

    def launch(self) -> None:
        assert self.process is None, "already started"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("-d"), env=self.environment, stderr=log,
                stdout=log, stdin=subprocess.DEVNULL,
                start_new_session=True)

    def start(self, *channels: dict[str, Any], **top: Any) -> Daemon:
        """Write the configuration, start, wait until all channels run."""
        if channels:
            self.write(*channels, **top)
        self.launch()
        self.wait_running()
        return self

    def wait_running(self, deadline_s: float = START_S) -> None:
        def running() -> bool:
            assert self.process is None or self.process.poll() is None, \
                f"mcrelayd ended: {self.log()}"
            status = self.try_status()
            return status is not None and all(
                c["state"] in SERVING
                for c in status["channels"])
        wait_for(running, "all channels running", deadline_s, self.log)

    def stop(self, checks: bool = True, status: int = 0) -> None:
        """TERM; it must drain, exit so and leave nothing behind."""
        assert self.process is not None
        if checks:
            self.check_ledgers()
        self.process.send_signal(signal.SIGTERM)
        self.wait_exit(status)

    def wait_exit(self, status: int = 0) -> None:
        assert self.process is not None
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not stop: {self.log()}") from None
        self.process = None
        assert code == status, f"exit status {code}: {self.log()}"
        self.check_gone()

    def check_gone(self) -> None:
        for trouble in ("Sanitizer", "runtime error", "Assertion",
                        "Bad system call"):
            assert trouble not in self.log(), self.log()
        wait_for(lambda: not self.processes(), "no process left", 5.0,
                 self.processes)
        # What is paused for longer is there to stay.
        left = sorted(p.name for p in self.run_dir.glob("*")
                      if p.suffix != ".paused")
        assert not left, f"left in run_dir: {left}"
        parts = [str(p) for p in self.archive.glob("*/*.part")]
        assert not parts, f"unfinished files: {parts}"

    def kill(self) -> None:
        """No checks; none of them is left.  One that was killed has its memory
        to give back before it is gone."""
        deadline = time.monotonic() + 10
        while self.kill_once() and time.monotonic() < deadline:
            time.sleep(0.005)
        if self.process is not None:
            self.process.wait(10)
            self.process = None

    def kill_once(self) -> bool:
        """Whether there was any."""
        processes = self.processes()
        for pid in processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(processes) > 0

    def processes(self) -> dict[int, str]:
        """All that it has started and is alive, and itself."""
        return marked(self.mark)

    def find_background(self) -> int:
        """One in the background is found by its pid file; 0 if there is
        none."""
        try:
            return int((self.run_dir / "mcrelayd.pid").read_text())
        except (OSError, ValueError):
            return 0

    # Talking to it.

    def ctl(self, *words: str, check: bool = True, timeout_s: float = 30.0
            ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.programs.mcrelayctl), "-s",
             str(self.run_dir / "mcrelayd.sock"), *words],
            text=True, capture_output=True, timeout=timeout_s,
            stdin=subprocess.DEVNULL)
        if check:
            assert done.returncode == 0, \
                f"mcrelayctl {words}: {done.returncode}: {done.stderr}"
        return done

    def try_status(self) -> dict[str, Any] | None:
        """What `mcrelayctl status -j' prints, without a program's start, which
        costs far more; None: nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(30)
                s.connect(str(self.run_dir / "mcrelayd.sock"))
                s.sendall(b'{"command":"status"}\n')
                with s.makefile() as file:
                    return dict(json.loads(file.read())["status"])
        except (OSError, ValueError, KeyError):
            return None

    def whole_status(self) -> dict[str, Any]:
        status = self.try_status()
        assert status is not None, "no answer"
        return status

    def status(self, name: str) -> dict[str, Any]:
        return next(dict(c) for c in self.whole_status()["channels"]
                    if c["name"] == name)

    def ledger(self, name: str) -> dict[str, int]:
        return self.status(name)["ledger"]

    def worker_pid(self, name: str) -> int:
        """From the pid file, as a shell would."""
        return int((self.run_dir / f"{name}.pid").read_text())

    def log(self) -> str:
        try:
            return self.log_file.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_log(self, text: str, deadline_s: float = 10.0) -> None:
        wait_for(lambda: text in self.log(), f"log line with {text!r}",
                 deadline_s, self.log)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait_state(self, name: str, state: str,
                   deadline_s: float = START_S) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            status = self.status(name)
            return status if status["state"] == state else None
        return wait_for(there, f"{name} {state}", deadline_s, self.log)

    def wait_new_worker(self, name: str, old_pid: int,
                        deadline_s: float = 10.0) -> int:
        """The successor's pid, once it runs."""
        def there() -> int:
            status = self.status(name)
            new = status["state"] in SERVING and \
                status["pid"] not in (0, None, old_pid)
            return status["pid"] if new else 0
        return wait_for(there, f"a new worker for {name}", deadline_s,
                        self.log)

    # The ledger.

    def wait_received(self, name: str, sent: int,
                      deadline_s: float = 20.0) -> dict[str, int]:
        """Once all that was sent is accounted for, and nothing pends."""
        def there() -> dict[str, int] | None:
            ledger = self.ledger(name)
            taken = ledger["received"] + ledger["kernel_dropped"] + \
                ledger["truncated"] + ledger["refused_source"] + \
                ledger["merged"] + ledger["merge_waiting"]
            assert taken <= sent, f"{taken} of {sent}: {ledger}"
            return ledger if taken == sent else None
        wait_for(there, f"{sent} datagrams accounted for in {name}",
                 deadline_s, lambda: self.ledger(name))
        return self.wait_settled(name)

    def wait_settled(self, name: str, deadline_s: float = 10.0
                     ) -> dict[str, int]:
        """Wait for the identities; fails with the ledger that breaks
        them."""
        wait_for(lambda: not self.broken_identities(name),
                 f"ledger identities of {name}", deadline_s,
                 lambda: (self.broken_identities(name), self.status(name)))
        return self.ledger(name)

    def broken_identities(self, name: str) -> list[str]:
        status = self.status(name)
        ledger = status["ledger"]
        broken = []
        if missing := COUNTERS - set(ledger):
            broken.append(f"counters missing: {missing}")
            return broken
        if name in self.archived:
            stored = sum(ledger[key] for key in (
                "archived", "rejected", "archive_shed", "archive_paused",
                "pending"))
            if ledger["received"] != stored:
                broken.append("received != archived + rejected + "
                              "archive_shed + archive_paused + pending")
            if ledger["pending"] != 0:
                broken.append("pending")
        if sum(status["rejected_by"].values()) != ledger["rejected"]:
            broken.append("rejected is not the sum of rejected_by")
        # One that was removed has left its numbers in the ledger only.
        for counter in ("received", "received_bytes", "kernel_dropped",
                        "truncated", "refused_source", "merged"):
            if sum(i[counter] for i in status.get("inputs", ())) > \
                    ledger[counter]:
                broken.append(f"{counter} is less than the sum over inputs")
        outputs = status["outputs"]
        if ledger["received"] * len(outputs) != \
                ledger["relayed"] + ledger["relay_errors"] + \
                ledger["relay_paused"] + ledger["relay_standby"] + \
                ledger["kernel_relayed"]:
            broken.append("received * outputs != relayed + relay_errors + "
                          "relay_paused + relay_standby + kernel_relayed")
        for counter in ("relayed", "relay_errors", "relay_paused",
                        "relay_standby", "kernel_relayed",
                        "kernel_relay_errors"):
            if sum(o[counter] for o in outputs) != ledger[counter]:
                broken.append(f"{counter} is not the sum over outputs")
        for out in outputs:
            if out["relayed"] + out["relay_errors"] + \
                    out["relay_paused"] + out["relay_standby"] + \
                    out["kernel_relayed"] != \
                    ledger["received"]:
                broken.append(f"output {out} does not add up")
        for stream, counts in status.get("decimate", {}).items():
            if (name, stream) in self.streams and \
                    counts["in"] + counts["missed"] + counts["skipped"] != \
                    ledger["received"]:
                broken.append(f"stream {stream}: in + missed + skipped "
                              "!= received")
        return broken

    def check_ledgers(self) -> None:
        status = self.whole_status()
        for each in status["channels"]:
            self.wait_settled(each["name"])

    # The archive.

    def payloads(self, name: str) -> list[bytes]:
        return avro_files.archived_payloads(self.archive, name)

    def wait_processes(self, name: str, count: int) -> list[int]:
        """The pids of our processes whose command name is `name'."""
        def there() -> list[int] | None:
            pids = [pid for pid, command in self.processes().items()
                    if command == name[:15]]
            return pids if len(pids) == count else None
        return wait_for(there, f"{count} processes {name}", START_S,
                        self.processes)


def answers_s(daemon: Daemon, count: int) -> Iterator[float]:
    """How long so many answers take one by one, with no program's start in
    it."""
    for _ in range(count):
        began = time.monotonic()
        assert daemon.try_status()
        yield time.monotonic() - began
