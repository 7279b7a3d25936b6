# SPDX-License-Identifier: ISC
"""What workers and decimators cannot do, as the kernel tells it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from daemon import SERVING, START_S, Daemon, Programs, channel
from net import Namespace, Receiver, Sender, free_port, numbered
from waiting import wait_for


@pytest.fixture(autouse=True)
def with_sandbox(programs: Programs, daemon: Daemon) -> None:
    """Also for those who are not root."""
    daemon.environment["MCRELAY_SANDBOX"] = "kill"
    makefile = programs.mcrelayd.with_name("Makefile")
    if "-DINSTRUMENTED" in makefile.read_text():
        pytest.skip("programs with a sanitizer have no sandbox")


def facts(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in
            (line.partition(":") for line in lines)}


def children(daemon: Daemon) -> list[int]:
    """The worker's pid and the decimator's."""
    def running() -> list[int] | None:
        status = daemon.whole_status()
        both = status["channels"] + status["decimators"]
        if any(each["state"] not in SERVING for each in both):
            return None
        return [each["pid"] for each in both]

    pids = wait_for(running, "all running", START_S, daemon.log)
    assert len(pids) == 2
    return pids


def start(daemon: Daemon, port: int, view: Receiver, **top: Any) -> None:
    """One of everything."""
    daemon.start(channel(
        "one", port, archive=daemon.archive_conf(), decimate=[
            {"name": "s", "method": "pick", "every": 1,
             "address": "127.0.0.1", "port": view.port}]), **top)


def start_one(daemon: Daemon, **more: Any) -> None:
    """A worker that is not root."""
    daemon.start(channel("one", free_port(), **more), **(
        {"user": "nobody"} if os.geteuid() == 0 else {}))


def may_raise_limits() -> bool:
    sys_resource = 24
    return int(facts(os.getpid())["CapEff"], 16) >> sys_resource & 1 != 0


@pytest.mark.linux("no sandbox")
@pytest.mark.parametrize("user", [None, "nobody"])
def test_privileges(daemon: Daemon, user: str | None) -> None:
    """Whoever they are, and whatever they execute; each thread."""
    if os.geteuid() != 0:
        pytest.skip("needs root to have privileges")
    port = free_port()
    with Receiver() as view, Sender("127.0.0.1", port) as sender:
        start(daemon, port, view, **({"user": user} if user else {}))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        for pid in children(daemon):
            for task in Path(f"/proc/{pid}/task").iterdir():
                fact = facts(int(task.name))
                for name in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
                    assert int(fact[f"Cap{name}"], 16) == 0, (name, fact)
                assert fact["NoNewPrivs"] == "1"
        assert daemon.process is not None
        assert int(facts(daemon.process.pid)["CapEff"], 16) != 0


@pytest.mark.linux("no sandbox")
def test_memory(daemon: Daemon) -> None:
    """Root owns what /proc shows of a process that cannot be traced; and
    no core is left, whatever the limits are."""
    port = free_port()
    with Receiver() as view:
        start(daemon, port, view, **(
            {"user": "nobody"} if os.geteuid() == 0 else {}))
        for pid in children(daemon):
            assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
            limits = Path(f"/proc/{pid}/limits")
            if os.geteuid() == 0:
                core = next(line for line in limits.read_text().splitlines()
                            if line.startswith("Max core file size"))
                assert core.split()[4:6] == ["0", "0"]
        pid = daemon.worker_pid("one")
        os.kill(pid, signal.SIGSEGV)
        daemon.wait_new_worker("one", pid)
    assert "core dumped" not in daemon.log()


def landlock() -> bool:
    """Whether this kernel has it."""
    create_ruleset, version = 444, 1
    return ctypes.CDLL(None).syscall(
        create_ruleset, None, ctypes.c_size_t(0), version) > 0


NONE = {"state": "none",
        "missing": ["privileges", "memory", "files", "calls"]}


def expected(daemon: Daemon, pid: int) -> dict[str, Any]:
    """The sandbox, as the kernel tells it."""
    if not daemon.programs.linux:
        return NONE
    missing = [] if landlock() else ["files"]
    if facts(pid)["Seccomp"] != "2":
        missing.append("calls")
    return {"state": "partial" if missing else "full", "missing": missing}


def test_status(daemon: Daemon) -> None:
    """What the status says is true, also after an upgrade and for a
    successor."""
    with Receiver() as view:
        start(daemon, free_port(), view)

        def check() -> None:
            children(daemon)
            status = daemon.whole_status()
            for each in (*status["channels"], *status["decimators"]):
                assert each["sandbox"] == expected(
                    daemon, each["pid"])

        check()
        before = daemon.worker_pid("one")
        daemon.ctl("upgrade")
        daemon.wait_new_worker("one", before)
        check()
        pid = daemon.worker_pid("one")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("one", pid)
        check()


def test_threads(daemon: Daemon) -> None:
    """Of a worker, each has given up what others of it do."""
    start_one(daemon, archive=daemon.archive_conf(codec="deflate"))
    pid = daemon.worker_pid("one")
    if facts(pid)["Seccomp"] != "2":
        pytest.skip("no filter of system calls")
    if "Seccomp_filters" not in facts(pid):
        pytest.skip("this kernel does not count filters (Linux 5.10)")

    def filters() -> list[str]:
        return [facts(int(task))["Seccomp_filters"]
                for task in os.listdir(f"/proc/{pid}/task")]

    # Relay, archive, packer, closer, keeper; one is for clone3().
    wait_for(lambda: filters() == ["3"] * 5, "all in force",
             detail=lambda: str(filters()))


def test_threads_of_shared(daemon: Daemon) -> None:
    """The one of the archives' io_uring has given up more than theirs."""
    daemon.start(channel("one", free_port(), worker="all",
                         io_uring={"enabled": True},
                         archive=daemon.archive_conf()),
                 workers=[{"name": "all"}])
    pid = daemon.worker_pid("one")
    if facts(pid)["Seccomp"] != "2":
        pytest.skip("no filter of system calls")
    if "Seccomp_filters" not in facts(pid):
        pytest.skip("this kernel does not count filters (Linux 5.10)")
    ring = "by buffered_io_uring" in daemon.check().stdout

    def filters() -> list[str]:
        return sorted(facts(int(task))["Seccomp_filters"]
                      for task in os.listdir(f"/proc/{pid}/task"))

    # First thread and the two that start crews; these; the loop, and the ring.
    wait_for(lambda: filters() == ["2"] * 3 + ["3"] * 4 + ["5"] * (1 + ring),
             "all in force", detail=lambda: str(filters()))


def test_none_on_demand(daemon: Daemon) -> None:
    """For debuggers; and so that the tests above can fail."""
    daemon.environment["MCRELAY_SANDBOX"] = "none"
    with Receiver() as view:
        start(daemon, free_port(), view)
        assert daemon.status("one")["sandbox"] == NONE
        for pid in children(daemon):
            assert facts(pid)["NoNewPrivs"] == "0"
            assert facts(pid)["Seccomp"] == "0"
            assert Path(f"/proc/{pid}/mem").stat().st_uid == os.geteuid()


def test_processor(daemon: Daemon) -> None:
    """All that is fixed to one, is."""
    cpu = max(os.sched_getaffinity(0))
    start_one(daemon, cpu=cpu, archive=daemon.archive_conf(cpu=cpu))
    pid = daemon.worker_pid("one")
    assert os.sched_getaffinity(pid) == {cpu}
    daemon.stop()
    assert "cannot run" not in daemon.log()


def test_priority(daemon: Daemon) -> None:
    """Granted by a limit, so that it needs no privilege."""
    if os.geteuid() != 0:
        pytest.skip("needs root to raise a priority")
    if not may_raise_limits():
        pytest.skip("root may not raise limits here (CAP_SYS_RESOURCE)")
    start_one(daemon, priority=7, archive=daemon.archive_conf())
    pid = daemon.worker_pid("one")
    assert os.getpriority(os.PRIO_PROCESS, pid) == -7
    assert {os.getpriority(os.PRIO_PROCESS, int(task))
            for task in os.listdir(f"/proc/{pid}/task")} == {-7, 0}
    daemon.stop()
    assert "cannot run" not in daemon.log()


class Logged(Daemon):
    """It has a /dev of its own, where log leads to a socket of ours."""

    def command(self, *options: str) -> list[str]:
        dev = self.directory / "dev"
        dev.mkdir(exist_ok=True)
        return ["unshare", "--mount", "sh", "-ec", """
            mount -t tmpfs none "$1"
            cp -a /dev/null /dev/zero /dev/urandom /dev/fd "$1"
            mkdir "$1/shm"
            ln -s "$2" "$1/log"
            mount --bind "$1" /dev
            shift 2
            exec "$@" """, "sh", str(dev), str(self.directory / "log"),
                *super().command(*options)]


def listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    made.settimeout(10)
    return made


def test_syslog(namespace: Namespace, programs: Programs, tmp_path: Path
                ) -> None:
    """It is connected to again when its daemon is another one."""
    daemon = Logged(programs, tmp_path)
    log = listen(tmp_path / "log")
    try:
        # In the foreground it would log to standard error.
        daemon.write(channel("one", free_port()), log={"to": "syslog"})
        done = daemon.run()
        assert done.returncode == 0, done.stderr
        supervisor = daemon.find_background()
        pid = daemon.worker_pid("one")
        for _ in range(2):
            os.kill(pid, signal.SIGUSR1)
            while b"mcrelay-worker[one]" not in (line := log.recv(4096)):
                pass
            assert b"ledger" in line
            log.close()
            log = listen(tmp_path / "log")
        assert daemon.worker_pid("one") == pid
        os.kill(supervisor, signal.SIGTERM)
        daemon.check_gone()
    finally:
        daemon.kill()
        log.close()
