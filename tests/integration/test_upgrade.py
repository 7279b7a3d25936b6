# SPDX-License-Identifier: ISC
"""The daemon replaced by another binary while it runs."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import Daemon, channel, output
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 group_v4, numbered, safe_rate)
from waiting import wait_for

# While a worker is replaced the socket buffer must hold what comes.
OUTAGE_S = 0.5


def own_binary(daemon: Daemon) -> Path:
    """A copy of mcrelayd that a test may replace."""
    place = daemon.directory / "sbin" / "mcrelayd"
    place.parent.mkdir()
    shutil.copy(daemon.programs.mcrelayd, place)
    daemon.programs = dataclasses.replace(daemon.programs, mcrelayd=place)
    return place


def install(path: Path, text: str) -> None:
    """As a package manager does it: the old file stays for who runs it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o755)
    new.rename(path)


def workers(daemon: Daemon) -> dict[str, int]:
    status = daemon.whole_status()
    return {c["name"]: c["pid"] for c in status["channels"]}


def wait_rolled(daemon: Daemon, before: dict[str, int]) -> dict[str, int]:
    """Until every worker is another process, and runs."""
    def rolled() -> dict[str, int] | None:
        status = daemon.whole_status()
        now = {c["name"]: c["pid"] for c in status["channels"]
               if c["state"] in ("running", "stale")}
        done = set(now) == set(before) and \
            not set(now.values()) & set(before.values())
        return now if done else None
    return wait_for(rolled, "all workers replaced", 20.0, daemon.log)


def punch_hole(fd: int, offset: int, length: int) -> None:
    """fallocate(2): FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64,
                               ctypes.c_int64]
    if libc.fallocate(fd, 3, offset, length) == -1:
        raise OSError(ctypes.get_errno(), "fallocate")


def most_away(log: str) -> int:
    """How many processes were missing at a time, after the exchange."""
    away = most = 0
    for line in log.partition("has taken over")[2].splitlines():
        if re.search("process [0-9]+ exited", line):
            away += 1
            most = max(most, away)
        elif line.endswith("is ready"):
            away -= 1
    return most


def start(daemon: Daemon, *receivers: Receiver) -> list[int]:
    """Two channels: `one' with everything, and `two'."""
    ports = free_port(), free_port()
    one, stream = receivers
    daemon.start(
        channel("one", ports[0], relay=[output("127.0.0.1", one.port)],
                archive=daemon.archive_conf(),
                decimate=[{"name": "view", "method": "pick", "every": 10} |
                          output(stream.address, stream.port)]),
        channel("two", ports[1], archive=daemon.archive_conf()))
    return list(ports)


@pytest.mark.parametrize("upgrades", [1, 10])
def test_under_load(daemon: Daemon, upgrades: int) -> None:
    """Nothing lost, nothing doubled; the same process; other workers."""
    own_binary(daemon)
    rate = safe_rate(OUTAGE_S, 5000)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        port, _ = start(daemon, relayed, view)
        assert daemon.process is not None
        pid = daemon.process.pid
        with Sender("127.0.0.1", port) as sender:
            for _ in range(upgrades):
                before = workers(daemon)
                thread = SenderThread(
                    sender, endless(120, first=len(sender.sent)), rate)
                assert f"as process {pid}" in daemon.ctl("upgrade").stdout
                wait_rolled(daemon, before)
                thread.end()
            done = len(sender.sent)
            ledger = daemon.wait_received("one", done)
            assert ledger["received"] == ledger["archived"] == done
            assert ledger["kernel_dropped"] == 0
            assert relayed.wait(done) == sender.sent
            daemon.wait_log("upgrade: all processes are of version")
            status = daemon.status("one")
            assert status["restarts"] == upgrades
            counts = status["decimate"]["view"]
            assert counts["in"] + counts["missed"] == done
        assert (daemon.run_dir / "mcrelayd.pid").read_text() == str(pid)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_by_signal(daemon: Daemon) -> None:
    """SIGUSR2, in the background; children that die around it are seen."""
    own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        port, _ = start(daemon, relayed, view)
        before = workers(daemon)
        daemon.signal(signal.SIGUSR2)
        os.kill(before["two"], signal.SIGKILL)
        after = wait_rolled(daemon, before)
        assert len(set(after.values())) == 2
        # The run directory is still locked.
        again = daemon.run("-d")
        assert again.returncode == 1 and "runs already" in again.stderr
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(100))
            daemon.wait_received("one", 100)


def test_stopped_stays_stopped(daemon: Daemon) -> None:
    own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        _, port = start(daemon, relayed, view)
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(100))
            daemon.wait_received("two", 100)
            daemon.ctl("stop", "two")
            one = daemon.worker_pid("one")
            daemon.ctl("upgrade")
            daemon.wait_new_worker("one", one)
            assert daemon.status("two")["state"] == "stopped"
            daemon.ctl("start", "two")
            sender.send(numbered(100, first=100))
            daemon.wait_received("two", 200)
        daemon.stop()
        assert daemon.payloads("two") == sender.sent


def test_configuration_changed(daemon: Daemon) -> None:
    """The new image puts the file in force, as a reload does."""
    own_binary(daemon)
    ports = [free_port() for _ in range(5)]
    config = [channel(name, port, archive=daemon.archive_conf())
              for name, port in zip(("same", "moved", "other", "gone"),
                                    ports)]
    daemon.start(*config)
    before = workers(daemon)
    with Sender("127.0.0.1", ports[0]) as same, \
            Sender("127.0.0.1", ports[2]) as other, \
            Sender("127.0.0.1", ports[3]) as gone:
        same.send(numbered(50))
        gone.send(numbered(50))
        for name in ("same", "gone"):
            daemon.wait_received(name, 50)
        config[1]["listen"]["port"] = ports[4]
        config[2]["archive"] = daemon.archive_conf(flush_interval="500ms")
        daemon.write(*config[:3])
        thread = SenderThread(other, endless(), 2000)
        daemon.ctl("upgrade")
        del before["gone"]
        wait_rolled(daemon, before)
        same.send(numbered(50, first=50))
        assert daemon.wait_received("same", 100)["archived"] == 100
        thread.end()
        count = len(other.sent)
        assert daemon.wait_received("other", count)["archived"] == count
        with Sender("127.0.0.1", ports[4]) as moved:
            moved.send(numbered(50))
            daemon.wait_received("moved", 50)
        wait_for(lambda: not (daemon.run_dir / "gone.pid").exists(),
                 "the worker that is not needed has ended")
        daemon.stop()
        assert daemon.payloads("same") == same.sent
        assert daemon.payloads("gone") == gone.sent


WRONG = {
    "exit 1": ("echo broken >&2; exit 1", "exited with status 1: broken"),
    "crash": ("kill -SEGV $$", "was killed by signal 11"),
    "hang": ("exec sleep 100", "did not say within 10 s"),
    "old": ("echo 'usage: mcrelayd' >&2; exit 2", "exited with status 2"),
    # Passes on another version of the handoff than the real one knows.
    "version": ("f=$(mktemp); sed 's/\"handoff\": 1/\"handoff\": 999/' "
                "</proc/self/fd/$2 >$f; exec 9<$f; rm $f; shift 2; "
                "exec {real} --check-handoff 9 \"$@\"", "another version"),
    "missing": ("", "exited with status 127"),
    "not executable": ("", "exited with status 127"),
}


@pytest.mark.parametrize("how", list(WRONG))
def test_bad_binary(daemon: Daemon, how: str) -> None:
    """Refused, said so, nothing touched."""
    binary = own_binary(daemon)
    text, message = WRONG[how]
    real = shutil.copy(binary, binary.with_name("real"))
    with Receiver() as relayed, Receiver(group_v4()) as view:
        port, _ = start(daemon, relayed, view)
        before = workers(daemon)
        install(binary, "#!/bin/sh\n" + text.format(real=real) + "\n")
        if how == "missing":
            binary.unlink()
        elif how == "not executable":
            binary.chmod(0o644)
        done = daemon.ctl("upgrade", check=False)
        assert done.returncode == 1
        assert message in done.stderr
        assert message in daemon.log()
        assert "everything stays as it was" in daemon.log()
        assert workers(daemon) == before
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(100))
            daemon.wait_received("one", 100)
        # And it can be tried again.
        shutil.copy(real, binary.with_suffix(".new"))
        binary.with_suffix(".new").rename(binary)
        daemon.ctl("upgrade")
        wait_rolled(daemon, before)


# As if the channels' memory had been laid out by another version.
OTHER_LAYOUT = """#!{python}
import fcntl, json, os, sys
state = json.load(open("/proc/self/fd/" + sys.argv[2]))
state["layout"] = "0" * 16
for channel in state["channels"]:
    data = bytearray(os.pread(channel["segment"], 4096, 0))
    data[16] ^= 1       # layout[0]
    fd = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, 1033, 7)    # F_ADD_SEALS
    os.set_inheritable(fd, True)
    channel["segment"] = fd
fd = os.memfd_create("handoff", 0)
os.write(fd, json.dumps(state).encode())
os.execv("{real}", ["{real}", sys.argv[1], str(fd), *sys.argv[3:]])
"""


def test_other_layout(daemon: Daemon) -> None:
    """The new binary could not use the memory of the channels."""
    binary = own_binary(daemon)
    real = shutil.copy(binary, binary.with_name("real"))
    with Receiver() as relayed, Receiver(group_v4()) as view:
        start(daemon, relayed, view)
        before = workers(daemon)
        install(binary, OTHER_LAYOUT.format(python=sys.executable,
                                            real=real))
        done = daemon.ctl("upgrade", check=False)
        assert done.returncode == 1
        assert "memory cannot be taken over" in done.stderr
        assert "layout" in done.stderr
        assert workers(daemon) == before


@pytest.mark.parametrize("how", ["magic", "hole", "config"])
def test_damaged_segment(daemon: Daemon, how: str) -> None:
    """A hostile worker may do anything to its channel's memory; only that
    channel loses what was in it."""
    own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        ports = start(daemon, relayed, view)
        with Sender("127.0.0.1", ports[0]) as sender:
            sender.send(numbered(100))
            daemon.wait_received("one", 100)
        before = workers(daemon)
        with open(f"/proc/{before['two']}/fd/4", "r+b") as segment:
            if how == "magic":
                os.pwrite(segment.fileno(), bytes(8), 0)
            elif how == "hole":
                punch_hole(segment.fileno(), 0, 1 << 20)
            else:
                os.pwrite(segment.fileno(), b"\xff" * 4048, 48)
        daemon.ctl("upgrade")
        assert "cannot be used and is lost" in daemon.log()
        wait_rolled(daemon, before)
        with Sender("127.0.0.1", ports[0]) as again, \
                Sender("127.0.0.1", ports[1]) as other:
            again.send(numbered(100))
            other.send(numbered(100))
            daemon.wait_received("one", 200)
            daemon.wait_received("two", 100)
        daemon.stop()
        assert len(daemon.payloads("one")) == 200
        assert daemon.payloads("two") == other.sent


def test_too_late(daemon: Daemon) -> None:
    """One that passes the check and fails all the same: the workers finish
    what they have, and a start finds everything in order."""
    binary = own_binary(daemon)
    real = shutil.copy(binary, binary.with_name("real"))
    with Receiver() as relayed, Receiver(group_v4()) as view:
        port, _ = start(daemon, relayed, view)
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(500))
            daemon.wait_received("one", 500)
        install(binary, "#!/bin/sh\ncase $1 in --check-handoff)\n"
                f'exec {real} "$@";;\nesac\nexit 3\n')
        daemon.ctl("upgrade", check=False)
        assert daemon.process is not None
        assert daemon.process.wait(10) == 3
        daemon.process = None
        wait_for(lambda: not daemon.processes(), "workers gone")
        assert daemon.payloads("one") == sender.sent
        shutil.copy(real, binary.with_suffix(".new"))
        binary.with_suffix(".new").rename(binary)
        daemon.start()


def test_in_the_background(daemon: Daemon) -> None:
    """Without -d, with a configuration named relative to a directory that
    is not the daemon's any more."""
    own_binary(daemon)
    port = free_port()
    daemon.write(channel("one", port, archive=daemon.archive_conf()))
    done = subprocess.run(
        [str(daemon.programs.mcrelayd), "-f", daemon.config_file.name],
        env=daemon.environment, cwd=daemon.directory, timeout=30,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    assert done.returncode == 0
    pid = daemon.find_background()
    before = workers(daemon)
    for _ in range(2):
        daemon.ctl("upgrade")
        before = wait_rolled(daemon, before)
        assert daemon.find_background() == pid
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not daemon.processes(), "the end")
    daemon.check_gone()
    assert daemon.payloads("one") == sender.sent


# A worker dies between the images; "reaped": and its end is not seen.
BETWEEN = """#!{python}
import os, signal, sys
if sys.argv[1] == "--handoff":
    pid = int(open("{pid_file}").read())
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | {more})
os.execv("{real}", ["{real}", *sys.argv[1:]])
"""


@pytest.mark.parametrize("end", ["not reaped", "reaped"])
def test_death_between_images(daemon: Daemon, end: str) -> None:
    binary = own_binary(daemon)
    real = shutil.copy(binary, binary.with_name("real"))
    with Receiver() as relayed, Receiver(group_v4()) as view:
        port, _ = start(daemon, relayed, view)
        before = workers(daemon)
        install(binary, BETWEEN.format(
            python=sys.executable, real=real,
            pid_file=daemon.run_dir / "one.pid",
            more="os.WNOWAIT" if end == "not reaped" else "0"))
        with Sender("127.0.0.1", port) as sender:
            thread = SenderThread(sender, numbered(2000), 2000)
            daemon.ctl("upgrade")
            wait_rolled(daemon, before)
            thread.join()
            ledger = daemon.wait_received("one", 2000)
            assert ledger["archived"] == 2000
            assert relayed.wait(2000) == sender.sent
        # There is only one writer.
        assert len(daemon.wait_processes("mcrelay-worker", 2)) == 2
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_bad_configuration(daemon: Daemon) -> None:
    """What the new binary would not start with is no reason to end."""
    own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        start(daemon, relayed, view)
        before = workers(daemon)
        good = daemon.config_file.read_text()
        daemon.write_text(good + "nonsense: 1\n")
        done = daemon.ctl("upgrade", check=False)
        assert done.returncode == 1 and daemon.config_file.name in done.stderr
        assert workers(daemon) == before
        daemon.write_text(good)


def test_hangup_meanwhile(daemon: Daemon) -> None:
    """A reload that is asked for during an upgrade is not forgotten: neither
    when the new binary refuses, nor when what it was asked about is not what
    is there now."""
    binary = own_binary(daemon)
    real = shutil.copy(binary, binary.with_name("real"))
    go = daemon.directory / "go"
    wait = f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.02; done\n"
    port = free_port()
    one = channel("one", port, archive=daemon.archive_conf())
    daemon.start(one)
    for turn, verdict in enumerate(("exit 1\n", f'exec {real} "$@"\n')):
        install(binary, wait + verdict)
        daemon.signal(signal.SIGUSR2)
        wait_for(lambda: daemon.log().count("upgrade: asking") == turn + 1,
                 "the upgrade's begin")
        done = daemon.ctl("reload", check=False)
        assert done.returncode == 1 and "upgrade" in done.stderr
        daemon.write(one, *(channel(f"new{i}", free_port())
                            for i in range(turn + 1)))
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: daemon.log().count("not before the upgrade")
                 == turn + 1, "the reload put off")
        go.touch()
        wait_for(lambda: f"new{turn}" in workers(daemon), "the new channel",
                 detail=daemon.log)
        daemon.wait_state(f"new{turn}", "running")
        go.unlink()
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)


def test_end_meanwhile(daemon: Daemon) -> None:
    """TERM while the new binary is being asked."""
    binary = own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        start(daemon, relayed, view)
        install(binary, "#!/bin/sh\nexec sleep 100\n")
        daemon.signal(signal.SIGUSR2)
        daemon.wait_log("upgrade: asking")
        daemon.stop()


def test_no_leaks(daemon: Daemon) -> None:
    """As many descriptors after a second upgrade as after the first."""
    own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        start(daemon, relayed, view)
        assert daemon.process is not None
        fds = Path(f"/proc/{daemon.process.pid}/fd")
        counts = []
        for turn in range(3):
            before = workers(daemon)
            daemon.ctl("upgrade")
            wait_rolled(daemon, before)
            wait_for(lambda: daemon.log().count("all processes are of")
                     == turn + 1, "the end of the upgrade")
            counts.append(len(list(fds.iterdir())))
        assert most_away(daemon.log()) == 1
        wait_for(lambda: len(list(fds.iterdir())) <= counts[0],
                 "no more descriptors", 5.0,
                 lambda: [os.readlink(p) for p in fds.iterdir()])


def test_decimator_that_waits(daemon: Daemon) -> None:
    """For its next start, when the image is replaced."""
    own_binary(daemon)
    with Receiver() as relayed, Receiver(group_v4()) as view:
        start(daemon, relayed, view)
        old: list[int] = []
        for _ in range(4):
            new = wait_for(lambda: [
                pid for pid in daemon.wait_processes("mcrelay-decimator", 1)
                if pid not in old], "a decimator", 10.0, daemon.log)
            old += new
            os.kill(new[0], signal.SIGKILL)
        wait_for(lambda: re.search("decimator: next start in [4-9].. ms",
                                   daemon.log()), "a long pause", 10.0,
                 daemon.log)
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        daemon.wait_processes("mcrelay-decimator", 1)
        daemon.stop()
