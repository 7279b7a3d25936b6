# SPDX-License-Identifier: ISC
"""Workers that end, are killed, stopped, or cannot start."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from pathlib import Path

import pytest

import avro_files
from daemon import Daemon, channel, output
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 numbered, receive_budget, safe_rate)
from waiting import wait_for

# While a worker is away the socket buffer must hold what comes.
OUTAGE_S = 0.5
# A worker that was up for so long is followed at once.
HEALTHY_S = 2


def two_channels(daemon: Daemon, receiver: Receiver) -> tuple[int, int]:
    ports = free_port(), free_port()
    daemon.start(
        channel("one", ports[0], relay=[output("127.0.0.1", receiver.port)],
                archive=daemon.archive_conf()),
        channel("other", ports[1], archive=daemon.archive_conf()))
    return ports


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL,
                                    signal.SIGABRT])
def test_ended_under_load(daemon: Daemon, number: signal.Signals) -> None:
    """Nothing lost, nothing doubled, in relay and archive; the other
    channel's worker stays."""
    rate = safe_rate(OUTAGE_S, 10000)
    with Receiver(repeats=daemon.programs.repeats(2)) as receiver:
        port, _ = two_channels(daemon, receiver)
        other = daemon.worker_pid("other")
        with Sender("127.0.0.1", port) as sender:
            thread = SenderThread(sender, endless(120), rate)
            pid = daemon.worker_pid("one")
            for _ in range(2):
                wait_for(lambda: daemon.status("one")["uptime_s"]
                         >= HEALTHY_S, "a healthy worker")
                os.kill(pid, number)
                pid = daemon.wait_new_worker("one", pid)
            thread.end()
            count = len(sender.sent)
            ledger = daemon.wait_received("one", count)
            assert ledger["received"] == ledger["archived"] == count
            assert ledger["kernel_dropped"] == 0
            assert receiver.wait(count) == sender.sent
            assert daemon.status("one")["restarts"] == 2
            assert daemon.worker_pid("one") == pid
        assert daemon.worker_pid("other") == other
        assert daemon.status("other")["restarts"] == 0
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_kill_storm(daemon: Daemon) -> None:
    """Killed again and again at any moment, also while it starts and puts
    right what its predecessor left."""
    rate = safe_rate(5.0, 2000)
    with Receiver(repeats=daemon.programs.repeats(6)) as receiver:
        port, _ = two_channels(daemon, receiver)
        killed = {daemon.worker_pid("other")}

        def victim() -> int:
            """A worker that has just appeared."""
            for pid, name in daemon.processes().items():
                if name == "mcrelay-worker" and pid not in killed:
                    return pid
            return 0
        with Sender("127.0.0.1", port) as sender:
            thread = SenderThread(sender, endless(60), rate)
            for turn in range(6):
                pid = wait_for(victim, "a successor")
                if turn % 2:
                    done = daemon.ledger("one")["received"]
                    wait_for(lambda: daemon.ledger("one")["received"]
                             > done, "a successor at work")
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            thread.end()
            count = len(sender.sent)
            daemon.wait_state("one", "running", 30.0)
            ledger = daemon.wait_received("one", count)
            assert ledger["archived"] == count
            assert receiver.wait(count) == sender.sent
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_restart_command(daemon: Daemon) -> None:
    """Waits until the successor runs; the shell's kill does the same."""
    with Receiver() as receiver:
        port, _ = two_channels(daemon, receiver)
        before = daemon.worker_pid("one")
        daemon.ctl("restart", "one")
        after = daemon.worker_pid("one")
        assert after != before
        assert daemon.status("one")["state"] == "running"
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(100))
            daemon.wait_received("one", 100)


def test_stop_and_start(daemon: Daemon) -> None:
    with Receiver() as receiver:
        port, _ = two_channels(daemon, receiver)
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(100))
            daemon.wait_received("one", 100)
            daemon.ctl("stop", "one")
            daemon.wait_state("one", "stopped")
            assert not (daemon.run_dir / "one.pid").exists()
            assert daemon.payloads("one") == sender.sent
            daemon.ctl("start", "one")
            daemon.wait_state("one", "running")
            sender.send(numbered(100, first=100))
            daemon.wait_received("one", 200)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_unknown_channel(daemon: Daemon) -> None:
    with Receiver() as receiver:
        two_channels(daemon, receiver)
        for command in ("restart", "stop", "start", "rotate", "status"):
            done = daemon.ctl(command, "nosuch", check=False)
            assert done.returncode == 1, command
            assert "nosuch" in done.stderr, command


def libexec(daemon: Daemon) -> Path:
    """A directory of scripts that execute the programs, so that a test can
    change what is started."""
    place = daemon.directory / "libexec"
    place.mkdir()
    for name in ("mcrelay-worker", "mcrelay-decimator"):
        (place / name).touch(0o755)
        real(daemon, place / name)
    daemon.environment["MCRELAY_LIBEXECDIR"] = str(place)
    return place


def script(path: Path, text: str) -> None:
    """The same file: another one in its place would be another version's."""
    path.write_text("#!/bin/sh\n" + text)


def real(daemon: Daemon, path: Path) -> None:
    script(path, f'exec "{daemon.programs.libexec}/{path.name}" "$@"\n')


def test_backoff(daemon: Daemon) -> None:
    """A crash loop backs off, says so, leaves the others alone, and ends
    by itself when the cause does; nothing is lost meanwhile."""
    programs = libexec(daemon)
    with Receiver() as receiver:
        port, other_port = two_channels(daemon, receiver)
        other = daemon.worker_pid("other")
        script(programs / "mcrelay-worker", "exit 1\n")
        os.kill(daemon.worker_pid("one"), signal.SIGKILL)
        daemon.wait_state("one", "backoff")
        restarts = daemon.status("one")["restarts"]
        wait_for(lambda: daemon.status("one")["restarts"] > restarts + 2,
                 "more attempts")
        with Sender("127.0.0.1", port) as sender, \
                Sender("127.0.0.1", other_port) as other_sender:
            sender.send(numbered(50))
            other_sender.send(numbered(50))
            daemon.wait_received("other", 50)
            assert daemon.worker_pid("other") == other
            real(daemon, programs / "mcrelay-worker")
            daemon.wait_state("one", "running", 40.0)
            daemon.wait_received("one", 50)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_stopped_in_backoff(daemon: Daemon) -> None:
    """Who has stored all it had, and was killed before it could finish its
    file, has that finished by a successor at the end."""
    programs = libexec(daemon)
    with Receiver() as receiver:
        port, _ = two_channels(daemon, receiver)
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(50))
            daemon.wait_received("one", 50)
        script(programs / "mcrelay-worker", "exit 1\n")
        os.kill(daemon.worker_pid("one"), signal.SIGKILL)
        # The next attempt is not before 1.6 s.
        wait_for(lambda: daemon.status("one")["restarts"] > 4, "attempts")
        daemon.wait_state("one", "backoff")
        assert daemon.ledger("one")["pending"] == 0
        assert list(daemon.archive.rglob("*.part"))
        real(daemon, programs / "mcrelay-worker")
        daemon.stop()
        assert not list(daemon.archive.rglob("*.part"))
        assert daemon.payloads("one") == sender.sent


def test_failed(daemon: Daemon) -> None:
    """Exit status 78 is not retried until a reload."""
    programs = libexec(daemon)
    with Receiver() as receiver:
        two_channels(daemon, receiver)
        script(programs / "mcrelay-worker",
               f"echo x >>{daemon.directory}/attempts\nexit 78\n")
        os.kill(daemon.worker_pid("one"), signal.SIGKILL)
        daemon.wait_state("one", "failed")
        real(daemon, programs / "mcrelay-worker")
        attempts = (daemon.directory / "attempts").read_text()
        assert attempts == "x\n"
        daemon.ctl("reload")
        daemon.wait_state("one", "running")


def test_no_descriptor_or_process_leaks(daemon: Daemon) -> None:
    """Over restarts and reloads."""
    with Receiver() as receiver:
        two_channels(daemon, receiver)
        assert daemon.process is not None
        fds = Path(f"/proc/{daemon.process.pid}/fd")

        def again() -> int:
            pid = daemon.worker_pid("one")
            daemon.ctl("restart", "one")
            daemon.wait_new_worker("one", pid)
            daemon.ctl("reload")
            return len(list(fds.iterdir()))
        # mcrelayctl's own connection may still be there for a moment.
        first = again()
        for _ in range(5):
            again()
        wait_for(lambda: len(list(fds.iterdir())) <= first,
                 "as many descriptors as before", 5.0,
                 lambda: [os.readlink(p) for p in fds.iterdir()])
        assert len(daemon.wait_processes("mcrelay-worker", 2)) == 2


def test_supervisor_killed(daemon: Daemon) -> None:
    """Workers finish their files and go; the next one starts on what is
    left in run_dir."""
    port = free_port()
    one = channel("one", port,
                  archive=daemon.archive_conf(flush_interval="1h"))
    daemon.start(one)
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(500))
        wait_for(lambda: daemon.ledger("one")["received"] == 500, "all in")
        assert daemon.broken_identities("one") in ([], ["pending"])
        assert daemon.process is not None
        daemon.process.kill()
        daemon.process.wait(10)
        daemon.process = None
        wait_for(lambda: not daemon.processes(), "workers gone")
        assert daemon.payloads("one") == sender.sent
        one["archive"] = daemon.archive_conf()
        daemon.start(one)
        sender.send(numbered(100, first=500))
        daemon.wait_received("one", 100)
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_stop_under_load(daemon: Daemon) -> None:
    """What had arrived when TERM came is relayed and stored, also what was
    still in the socket's buffer."""
    port = free_port()
    count = min(4000, receive_budget() // 2)
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf()))
        os.kill(daemon.worker_pid("one"), signal.SIGSTOP)
        sender.send(numbered(count), 1e9)
        daemon.signal(signal.SIGTERM)
        os.kill(daemon.worker_pid("one"), signal.SIGCONT)
        daemon.wait_exit()
        assert receiver.wait(count) == sender.sent
        assert daemon.payloads("one") == sender.sent


def test_term_drains(daemon: Daemon) -> None:
    """What was received is in finished files, though it was pending."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf(flush_interval="1h")))
        sender.send(numbered(700))
        wait_for(lambda: daemon.ledger("one")["received"] == 700, "all in")
        assert daemon.broken_identities("one") in ([], ["pending"])
        daemon.stop(checks=False)
        assert receiver.wait(700) == sender.sent
        (path,) = avro_files.files(daemon.archive, "one")
        assert [d.payload for d in avro_files.read_datagrams(path)] == \
            sender.sent


def test_lock_of_the_dead(daemon: Daemon) -> None:
    """A daemon that was killed has left its lock to a child that had yet to
    execute something: the next one waits for that, but for no one alive."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    daemon.write(channel("one", free_port()))
    daemon.run_dir.mkdir(mode=0o755, exist_ok=True)
    with (daemon.run_dir / "mcrelayd.pid").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        again = daemon.run("-d")
        assert again.returncode == 1 and "runs already" in again.stderr
        lock.seek(0)
        lock.truncate()
        lock.write(str(dead.pid))
        lock.flush()
        daemon.launch()
        assert daemon.process is not None
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(0.3)
        assert daemon.try_status() is None
    daemon.wait_running()
    daemon.stop()
