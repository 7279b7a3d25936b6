# SPDX-License-Identifier: ISC
"""Starting, in the foreground and the background, and command lines."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel
from net import Receiver, Sender, free_port, numbered
from waiting import wait_for


def test_daemonise(daemon: Daemon) -> None:
    """The shell gets 0 once all is set up, and the terminal back."""
    port = free_port()
    # With the log elsewhere it keeps no descriptor of the shell's, or this
    # would wait for the end of its standard error.
    daemon.write(channel("one", port, archive=daemon.archive_conf()),
                 log={"to": "syslog"})
    done = daemon.run()
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    # No waiting: it said that it is ready.
    assert daemon.status("one")["state"] == "running"
    pid = daemon.find_background()
    assert os.getsid(pid) not in (pid, os.getsid(0))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
    daemon.check_ledgers()
    os.kill(pid, signal.SIGTERM)
    daemon.check_gone()
    assert daemon.payloads("one") == sender.sent


def test_daemonise_with_trouble(daemon: Daemon) -> None:
    """What channels wait for is said on the shell's standard error, and the
    others run."""
    with Receiver() as first, Receiver() as second:
        daemon.write(channel("one", first.port),
                     channel("two", second.port),
                     channel("three", free_port()), log={"to": "syslog"})
        done = daemon.run()
        assert done.returncode == 0
        assert "one" in done.stderr and str(first.port) in done.stderr
        assert "two" in done.stderr and str(second.port) in done.stderr
        assert daemon.status("three")["state"] == "running"
        assert daemon.status("one")["state"] == "waiting"
        os.kill(daemon.find_background(), signal.SIGTERM)
        daemon.check_gone()


def test_daemonise_fails(daemon: Daemon) -> None:
    """The reason on the shell's standard error, and nothing left."""
    daemon.write(channel("one", free_port()))
    daemon.run_dir.write_text("")
    done = daemon.run()
    assert done.returncode == 1
    assert str(daemon.run_dir) in done.stderr


def test_archive_directory_impossible(daemon: Daemon) -> None:
    (daemon.directory / "file").write_text("")
    daemon.write(channel("one", free_port(), archive={
        "directory": str(daemon.directory / "file" / "archive")}))
    daemon.launch()
    wait_for(daemon.try_status, "an answer")
    waiting = daemon.wait_state("one", "waiting")
    assert waiting["reasons"][0]["what"] == "archive_directory"
    assert str(daemon.directory / "file") in waiting["reasons"][0]["detail"]
    daemon.archived.clear()
    daemon.stop()


def test_second_instance(daemon: Daemon) -> None:
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    done = daemon.run("-d")
    assert done.returncode == 1
    assert daemon.process is not None
    assert str(daemon.process.pid) in done.stderr
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(10))
        daemon.wait_received("one", 10)


def test_pid_files(daemon: Daemon) -> None:
    daemon.start(channel("one", free_port()), channel("two", free_port()))
    assert daemon.process is not None
    assert int((daemon.run_dir / "mcrelayd.pid").read_text()) == \
        daemon.process.pid
    pids = {daemon.worker_pid("one"), daemon.worker_pid("two")}
    assert pids == set(daemon.wait_processes("mcrelay-worker", 2))
    # What has launched them does not stay.
    assert daemon.wait_processes("mcrelayd", 1) == [daemon.process.pid]
    assert set(p.name for p in daemon.run_dir.iterdir()) == {
        "mcrelayd.pid", "mcrelayd.sock", "one.pid", "two.pid"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signals(daemon: Daemon, number: signal.Signals) -> None:
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
    daemon.check_ledgers()
    daemon.signal(number)
    daemon.wait_exit()
    assert daemon.payloads("one") == sender.sent


def test_stale(daemon: Daemon) -> None:
    """A silent stream is noticed, and that it is back."""
    port = free_port()
    daemon.start(channel("one", port, stale_after="1s"))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(10))
        daemon.wait_received("one", 10)
        daemon.wait_state("one", "stale")
        sender.send(numbered(10, first=10))
        daemon.wait_state("one", "running")


def test_user(daemon: Daemon) -> None:
    """When the supervisor is root the others are not, and their files are
    not root's."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    port = free_port()
    nobody = pwd.getpwnam("nobody").pw_uid
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, archive=daemon.archive_conf(), decimate=[
                {"name": "s", "method": "pick", "every": 1,
                 "address": "127.0.0.1", "port": receiver.port}]),
            user="nobody")
        pids = daemon.wait_processes("mcrelay-worker", 1) + \
            daemon.wait_processes("mcrelay-decimator", 1)
        for pid in pids:
            status = Path(f"/proc/{pid}/status").read_text()
            uids = re.search(r"^Uid:(.*)$", status, re.M)
            groups = re.search(r"^Groups:(.*)$", status, re.M)
            assert uids and set(uids[1].split()) == {str(nobody)}
            assert groups and "0" not in groups[1].split()
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        assert receiver.wait(100) == sender.sent
        os.kill(daemon.worker_pid("one"), signal.SIGHUP)
        sender.send(numbered(100, first=100))
        daemon.wait_received("one", 200)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent
    assert {p.stat().st_uid for p in (daemon.archive / "one").iterdir()} \
        == {nobody}


def test_closed_programs(daemon: Daemon) -> None:
    """Programs that the workers' user cannot reach, as below root's home: said
    once, waited for, and healed, also when it happens later."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    assert daemon.programs.libexec is not None
    port, view = free_port(), free_port()
    with tempfile.TemporaryDirectory() as place, \
            Sender("127.0.0.1", port) as sender:
        closed = Path(place)
        for name in ("mcrelay-worker", "mcrelay-decimator"):
            shutil.copy(daemon.programs.libexec / name, closed)
            (closed / name).chmod(0o755)
        closed.chmod(0o700)
        daemon.environment["MCRELAY_LIBEXECDIR"] = place
        daemon.write(*(channel(
            name, where, archive=daemon.archive_conf(), decimate=[
                {"name": "s", "method": "pick", "every": 1,
                 "address": "127.0.0.1", "port": view}])
            for name, where in (("one", port), ("two", free_port()))),
            user="nobody")
        daemon.launch()
        wait_for(daemon.try_status, "an answer")

        def waits() -> None:
            status = daemon.wait_state("one", "waiting")
            assert [r["what"] for r in status["reasons"]] == \
                ["program_closed"]
            assert f"{place}: Permission denied" in \
                status["reasons"][0]["detail"]

        def uptime() -> int:
            status = daemon.try_status()
            assert status is not None
            return status["uptime_s"]
        waits()
        # It looks once a second, and neither says so nor starts anything.
        begin = uptime()
        wait_for(lambda: uptime() >= begin + 3, "three seconds of waiting")
        assert daemon.log().count("cannot execute") == 1, daemon.log()
        assert set(daemon.processes().values()) == {"mcrelayd"}
        closed.chmod(0o755)
        daemon.wait_running()
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        assert daemon.status("one")["restarts"] == 0
        closed.chmod(0o700)
        os.kill(daemon.worker_pid("one"), signal.SIGKILL)
        waits()
        sender.send(numbered(100, first=100))
        closed.chmod(0o755)
        daemon.wait_running()
        daemon.wait_received("one", 200)
        assert daemon.log().count("cannot execute") == 2, daemon.log()
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_root_must_say_so(daemon: Daemon) -> None:
    """Workers are not root because nobody thought of it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be refused")
    daemon.write(channel("one", free_port()))
    config = json.loads(daemon.config_file.read_text())
    assert config.pop("user") == "root"
    daemon.write_text(json.dumps(config))
    for options in (["-d"], []):
        done = daemon.run(*options)
        assert done.returncode == 1
        assert "user: root" in done.stderr
        assert not daemon.run_dir.exists()
    # The file is another matter: the daemon may be started by another user.
    done = daemon.check()
    assert done.returncode == 0
    assert done.stdout.startswith("configuration OK\n")
    assert "warning: " in done.stderr and "user: root" in done.stderr


def test_root_may_say_so(daemon: Daemon) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to stay root")
    daemon.start(channel("one", free_port()), user="root")
    status = Path(f"/proc/{daemon.worker_pid('one')}/status").read_text()
    assert re.search(r"^Uid:\t0\t0\t0\t0$", status, re.M)


def test_terminal(daemon: Daemon) -> None:
    """No child has the terminal that the daemon was started from: it could
    type there what the shell executes."""
    with Receiver() as receiver:
        daemon.write(channel("one", free_port(), decimate=[
            {"name": "s", "method": "pick", "every": 1,
             "address": "127.0.0.1", "port": receiver.port}]))
        ours, theirs = os.openpty()
        daemon.process = subprocess.Popen(
            daemon.command("-d"), env=daemon.environment, stdin=theirs,
            stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)
        with open(ours, "wb", buffering=0) as screen:
            daemon.wait_running()
            pid = daemon.process.pid
            assert stat_fields(pid)["tty"] != 0
            others = [p for p in daemon.processes() if p != pid]
            assert len(others) == 2
            for other in others:
                stat = stat_fields(other)
                assert stat == {"group": other, "session": other, "tty": 0}
                assert not [fd for fd in open_files(other).values()
                            if fd.startswith(("/dev/pts", "/dev/tty"))]
            # The interrupt key ends the daemon in order.
            screen.write(b"\x03")
            daemon.wait_exit()


def stat_fields(pid: int) -> dict[str, int]:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return {"group": int(fields[2]), "session": int(fields[3]),
            "tty": int(fields[4])}


def open_files(pid: int) -> dict[int, str]:
    return {int(fd.name): os.readlink(fd)
            for fd in Path(f"/proc/{pid}/fd").iterdir()}


def test_worker_logs_its_ledger(daemon: Daemon) -> None:
    port = free_port()
    daemon.start(channel("one", port))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(77))
        daemon.wait_received("one", 77)
    os.kill(daemon.worker_pid("one"), signal.SIGUSR1)
    daemon.wait_log("received=77 ")


def test_ctl_without_daemon(daemon: Daemon) -> None:
    done = daemon.ctl("status", check=False)
    assert done.returncode == 1
    assert str(daemon.run_dir / "mcrelayd.sock") in done.stderr


def test_ledger_command(daemon: Daemon) -> None:
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()),
                 channel("two", free_port()))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(123))
        ledger = daemon.wait_received("one", 123)
    told = json.loads(daemon.ctl("ledger", "-j", "one").stdout)
    assert "123" in json.dumps(told)
    text = daemon.ctl("ledger", "one").stdout
    for name, value in ledger.items():
        assert re.search(rf"^\s*{name}\s+{value}\b", text, re.M), \
            f"{name} {value} in:\n{text}"
    both = daemon.ctl("ledger").stdout
    assert "one" in both and "two" in both


def test_schema_command(daemon: Daemon, source: Path) -> None:
    path = source / "etc/example/accel.avsc"
    daemon.start(channel("one", free_port(), payload={
        "format": "avro", "schema": str(path)}))
    printed = daemon.ctl("schema", "one").stdout
    assert json.loads(printed) == json.loads(path.read_text())


def test_garbage_on_the_control_socket(daemon: Daemon) -> None:
    """Half a request, a long one, none: the others are served."""
    port = free_port()
    daemon.start(channel("one", port))
    held = []
    for garbage in (b"", b"{", b"{}\n", b"[" * 100000, b"\0\xff\n",
                    b'{"command":"nosuch"}\n', b'{"command":7}\n'):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(str(daemon.run_dir / "mcrelayd.sock"))
        try:
            s.sendall(garbage)
        except (BrokenPipeError, ConnectionResetError):
            pass
        held.append(s)
    assert daemon.status("one")["state"] in ("running", "stale")
    for s in held:
        s.close()
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(10))
        daemon.wait_received("one", 10)


def test_silent_clients_are_sent_away(daemon: Daemon) -> None:
    """Many that say nothing cannot lock others out for long."""
    daemon.start(channel("one", free_port()))
    held = []
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(str(daemon.run_dir / "mcrelayd.sock"))
        except BlockingIOError:
            s.close()
            break
        held.append(s)
    wait_for(lambda: daemon.ctl("status", check=False).returncode == 0,
             "an answer", 15.0)
    for s in held:
        s.close()


def test_command_lines(programs: Programs) -> None:
    for program in (programs.mcrelayd, programs.mcrelayctl):
        done = subprocess.run([program, "-V"], text=True, timeout=10,
                              capture_output=True)
        assert done.returncode == 0 and re.search(r"\d+\.\d+", done.stdout)
    for program in (programs.mcrelayd, programs.mcrelayctl, programs.gen):
        done = subprocess.run([program, "-?"], text=True, timeout=10,
                              capture_output=True)
        assert done.returncode != 0 and "usage" in done.stderr.lower()
