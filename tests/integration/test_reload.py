# SPDX-License-Identifier: ISC
"""Reload: only what changed is touched, all or nothing."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
from typing import Any

import pytest

from daemon import Daemon, channel, output
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 group_v4, numbered, safe_rate)
from waiting import wait_for


class Three:
    """A daemon with three channels."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.ports = [free_port() for _ in range(3)]
        self.channels: list[dict[str, Any]] = [
            channel(f"ch{n}", port, archive=daemon.archive_conf())
            for n, port in enumerate(self.ports)]
        daemon.start(*self.channels)

    def pids(self) -> list[int]:
        return [self.daemon.worker_pid(c["name"]) for c in self.channels]


@pytest.fixture
def three(daemon: Daemon) -> Three:
    return Three(daemon)


def test_unchanged(three: Three) -> None:
    """Under load: nobody notices."""
    before = three.pids()
    with Sender("127.0.0.1", three.ports[0]) as sender:
        thread = SenderThread(sender, numbered(4000), 4000)
        for _ in range(10):
            three.daemon.ctl("reload")
            three.daemon.signal(signal.SIGHUP)
        thread.join()
        three.daemon.wait_received("ch0", 4000)
    assert three.pids() == before
    assert three.daemon.status("ch0")["restarts"] == 0


def test_one_changed(three: Three) -> None:
    """Only that one is restarted, on the same socket; nothing lost, and
    its counters go on."""
    daemon = three.daemon
    before = three.pids()
    rate = safe_rate(1.0, 5000)
    with Sender("127.0.0.1", three.ports[1]) as sender:
        thread = SenderThread(sender, endless(), rate)
        wait_for(lambda: daemon.ledger("ch1")["received"] > rate // 4,
                 "traffic")
        three.channels[1]["archive"]["block_size"] = "64KiB"
        daemon.write(*three.channels)
        daemon.ctl("reload")
        daemon.wait_new_worker("ch1", before[1])
        thread.end()
        count = len(sender.sent)
        assert daemon.wait_received("ch1", count)["archived"] == count
    after = three.pids()
    assert (after[0], after[2]) == (before[0], before[2])
    daemon.stop()
    assert daemon.payloads("ch1") == sender.sent


def test_other_outputs(three: Three) -> None:
    """With an output more the counters begin again, so that they add up."""
    daemon = three.daemon
    with Receiver() as receiver, \
            Sender("127.0.0.1", three.ports[1]) as sender:
        sender.send(numbered(500))
        daemon.wait_received("ch1", 500)
        pid = daemon.worker_pid("ch1")
        three.channels[1]["relay"] = [output("127.0.0.1", receiver.port)]
        daemon.write(*three.channels)
        daemon.ctl("reload")
        daemon.wait_new_worker("ch1", pid)
        sender.send(numbered(100, first=500))
        daemon.wait_received("ch1", 100)
        assert receiver.wait(100) == sender.sent[500:]
    daemon.stop()
    assert daemon.payloads("ch1") == sender.sent


def test_other_port(three: Three) -> None:
    before = three.pids()
    three.ports[2] = three.channels[2]["listen"]["port"] = free_port()
    three.daemon.write(*three.channels)
    three.daemon.ctl("reload")
    three.daemon.wait_new_worker("ch2", before[2])
    assert three.pids()[:2] == before[:2]
    with Sender("127.0.0.1", three.ports[2]) as sender:
        sender.send(numbered(50))
        three.daemon.wait_received("ch2", 50)


def test_added_and_removed(three: Three) -> None:
    daemon = three.daemon
    before = three.pids()
    gone = three.channels.pop(0)
    port = free_port()
    three.channels.append(channel("new", port,
                                  archive=daemon.archive_conf()))
    daemon.write(*three.channels)
    daemon.signal(signal.SIGHUP)

    def changed() -> bool:
        status = daemon.try_status()
        assert status is not None
        return {c["name"]: c["state"] for c in status["channels"]} == {
            "ch1": "running", "ch2": "running", "new": "running"}
    wait_for(changed, "the new set of channels", 10.0, daemon.log)
    assert three.pids()[:2] == before[1:]
    wait_for(lambda: not (daemon.run_dir / "ch0.pid").exists(),
             "the removed channel's pid file gone")
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(50))
        daemon.wait_received("new", 50)
    # Its port is free again: another channel may take it.
    gone["name"] = "heir"
    daemon.write(*three.channels, gone)
    daemon.ctl("reload")
    daemon.wait_state("heir", "running")


def test_streams_only(daemon: Daemon) -> None:
    """A changed decimated stream does not touch the worker."""
    port = free_port()
    with Receiver() as first, Receiver() as second, \
            Sender("127.0.0.1", port) as sender:
        one = channel("one", port, archive=daemon.archive_conf(), decimate=[
            {"name": "a", "method": "pick", "every": 2}
            | output("127.0.0.1", first.port)])
        daemon.start(one)
        pid = daemon.worker_pid("one")
        sender.send(numbered(100))
        first.wait(50)
        one["decimate"].append(
            {"name": "b", "method": "pick", "every": 5}
            | output("127.0.0.1", second.port))
        daemon.write(one)
        daemon.ctl("reload")
        wait_for(lambda: "b" in daemon.status("one")["decimate"], "stream b")

        def both() -> bool:
            sender.send(numbered(10, first=len(sender.sent)))
            return bool(second.datagrams)
        wait_for(both, "the new stream's datagrams")
        assert daemon.worker_pid("one") == pid
        wait_for(lambda: daemon.status("one")["decimate"]["a"]["in"]
                 == len(sender.sent), "stream a complete")
        assert first.wait(len(sender.sent) // 2) == sender.sent[1::2]
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


@pytest.mark.parametrize("how", ["mcrelayctl", "HUP"])
def test_broken_file(three: Three, how: str) -> None:
    """The old one stays in force; all errors are told."""
    daemon = three.daemon
    before = three.pids()
    broken = [dict(c) for c in three.channels]
    broken[0] = broken[0] | {"paiload": {}}
    broken[2] = broken[2] | {"ring_size": "many"}
    daemon.write(*broken)
    if how == "mcrelayctl":
        done = daemon.ctl("reload", check=False)
        assert done.returncode == 1
        said = done.stderr
    else:
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("ring_size")
        said = daemon.log()
    assert "paiload" in said and "payload" in said
    assert "ring_size" in said or "many" in said
    assert f"{daemon.config_file}:" in said
    assert three.pids() == before
    with Sender("127.0.0.1", three.ports[0]) as sender:
        sender.send(numbered(50))
        daemon.wait_received("ch0", 50)
    daemon.write(*three.channels)
    daemon.ctl("reload")
    assert three.pids() == before


def test_all_or_nothing(three: Three) -> None:
    """When one channel is wrong in the file, no channel changes."""
    daemon = three.daemon
    before = three.pids()
    changed = [dict(c) for c in three.channels]
    changed[0] = changed[0] | {"ring_size": "1MiB"}
    changed[2] = changed[2] | {"ring_size": "many"}
    daemon.write(*changed)
    done = daemon.ctl("reload", check=False)
    assert done.returncode == 1
    assert "ring_size" in done.stderr
    assert three.pids() == before
    with Sender("127.0.0.1", three.ports[2]) as sender:
        sender.send(numbered(50))
        daemon.wait_received("ch2", 50)


def test_taken_port(three: Three) -> None:
    """When one channel's new port is taken it waits, and the others
    change."""
    daemon = three.daemon
    before = three.pids()
    with Receiver() as occupant:
        changed = [dict(c) for c in three.channels]
        changed[0] = changed[0] | {"ring_size": "1MiB"}
        changed[2] = changed[2] | {"listen": {
            "address": "127.0.0.1", "port": occupant.port}}
        daemon.write(*changed)
        daemon.ctl("reload")
        daemon.wait_new_worker("ch0", before[0])
        assert daemon.worker_pid("ch1") == before[1]
        waiting = daemon.wait_state("ch2", "waiting")
        assert str(occupant.port) in waiting["reasons"][0]["detail"]
    daemon.wait_state("ch2", "running")


def test_storm(three: Three) -> None:
    """A hundred at once: the last file wins."""
    daemon = three.daemon
    before = three.pids()
    for n in range(100):
        three.channels[1]["stale_after"] = f"{100 + n}s"
        three.channels[2]["archive"]["block_size"] = 4096 * (1 + n % 8)
        daemon.write(*three.channels)
        daemon.signal(signal.SIGHUP)
    three.channels[2]["archive"]["block_size"] = "128KiB"
    daemon.write(*three.channels)
    daemon.ctl("reload")
    daemon.wait_new_worker("ch2", before[2], 40.0)
    assert three.pids()[:2] == before[:2]
    with Sender("127.0.0.1", three.ports[2]) as sender:
        sender.send(numbered(50))
        daemon.wait_received("ch2", 50, 40.0)


@pytest.mark.parametrize("when", ["draining", "backoff"])
def test_killed_while_draining(daemon: Daemon, when: str) -> None:
    """What a worker had not stored when it was killed over a reload is
    stored by a successor, before the new configuration's worker comes."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        one = channel("one", port, relay=[output("127.0.0.1",
                                                 receiver.port)],
                      archive=daemon.archive_conf(flush_interval="1h"))
        daemon.start(one)
        sender.send(numbered(700))
        wait_for(lambda: daemon.ledger("one")["pending"] == 700, "all in")
        pid = daemon.worker_pid("one")
        one["archive"] = daemon.archive_conf(block_size="64KiB")
        daemon.write(one)
        if when == "backoff":
            os.kill(pid, signal.SIGKILL)
            daemon.ctl("reload")
        else:
            os.kill(pid, signal.SIGSTOP)
            daemon.ctl("reload")
            sender.send(numbered(100, first=700))
            os.kill(pid, signal.SIGKILL)
            daemon.wait_log("a successor does")
        daemon.wait_new_worker("one", pid)
        sender.send(numbered(100, first=len(sender.sent)))
        ledger = daemon.wait_received("one", len(sender.sent))
        assert ledger["archived"] == len(sender.sent)
        assert ledger["archive_shed"] == ledger["kernel_dropped"] == 0
        assert receiver.wait(len(sender.sent)) == sender.sent
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_log_level(three: Three) -> None:
    """Nobody is restarted for it; those who run and those who come later
    have heard of it."""
    daemon = three.daemon
    before = three.pids()

    def set_level(level: str) -> None:
        daemon.write(*three.channels, log={"to": "stderr", "level": level})
        daemon.ctl("reload")

    def files_begun(n: int) -> int:
        """After one more has been: each is told at level debug, before
        anything in it counts as archived."""
        daemon.ctl("rotate", f"ch{n}")
        done = daemon.ledger(f"ch{n}")["archived"]
        with Sender("127.0.0.1", three.ports[n]) as sender:
            sender.send(numbered(1))
            wait_for(lambda: daemon.ledger(f"ch{n}")["archived"] > done,
                     "stored")
        return daemon.log().count(f"mcrelay-worker[ch{n}]: archiving to")
    assert files_begun(0) == 1
    set_level("info")
    assert files_begun(0) == 1
    daemon.ctl("restart", "ch1")
    assert files_begun(1) == 0
    set_level("debug")
    for n in (0, 1):
        seen = files_begun(n)
        wait_for(lambda: files_begun(n) > seen, "a line at level debug")
    assert three.pids()[::2] == before[::2]


def test_group_with_other_sources(daemon: Daemon) -> None:
    """The new socket of the same group gets what the old one gets as long
    as both are open: each datagram is taken once, and none counts as lost
    that is not."""
    group, port = group_v4(), free_port()
    rate = safe_rate(1.0, 4000)
    one = channel("one", port, address=group, listen_interface="lo",
                  listen_sources=["127.0.0.1"],
                  archive=daemon.archive_conf())
    daemon.start(one)
    with Sender(group, port, local="127.0.0.1") as sender:
        thread = SenderThread(sender, endless(), rate)
        for extra in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            seen = daemon.ledger("one")["received"]
            wait_for(lambda: daemon.ledger("one")["received"] > seen + 100,
                     "traffic")
            pid = daemon.worker_pid("one")
            one["listen"]["sources"] = ["127.0.0.1", extra]
            daemon.write(one)
            daemon.ctl("reload")
            daemon.wait_new_worker("one", pid)
        thread.end()
        ledger = daemon.wait_received("one", len(sender.sent))
    assert ledger["kernel_dropped"] == 0
    daemon.stop()
    assert daemon.payloads("one") == sender.sent


def test_counters_begin_together(daemon: Daemon) -> None:
    """Where the channel's counters begin anew, its streams' do, too; where
    they go on, both do."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        one = channel("one", port, decimate=[
            {"name": "a", "method": "pick", "every": 10}
            | output("127.0.0.1", receiver.port)])
        daemon.start(one)
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        for archive, expected in (
                (daemon.archive_conf(), 60),
                (daemon.archive_conf(block_size="64KiB"), 120)):
            pid = daemon.worker_pid("one")
            one["archive"] = archive
            daemon.write(one)
            daemon.ctl("reload")
            daemon.wait_new_worker("one", pid)
            sender.send(numbered(60, first=len(sender.sent)))
            daemon.wait_received("one", expected)
            assert daemon.status("one")["decimate"]["a"]["in"] == expected
        # The next decimator counts on.
        pid, = daemon.wait_processes("mcrelay-decimator", 1)
        os.kill(pid, signal.SIGKILL)
        sender.send(numbered(60, first=len(sender.sent)))
        daemon.wait_received("one", 180)
        daemon.stop()


def test_while_restarting(daemon: Daemon) -> None:
    """A worker that is on its way out is told to store everything: what it
    receives in between is stored, too."""
    port = free_port()
    rate = safe_rate(0.5, 8000)
    with Sender("127.0.0.1", port) as sender:
        one = channel("one", port, archive=daemon.archive_conf())
        daemon.start(one)
        thread = SenderThread(sender, numbered(rate * 5, 1000), rate)
        reloads = 0
        while thread.busy():
            daemon.wait_state("one", "running")
            os.kill(daemon.worker_pid("one"), signal.SIGTERM)
            one["archive"]["block_size"] = f"{16 + reloads % 2}KiB"
            daemon.write(one)
            daemon.ctl("reload")
            reloads += 1
        thread.join()
        assert reloads > 5
        ledger = daemon.wait_received("one", rate * 5)
        assert ledger["archived"] == rate * 5, ledger
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def test_killed_while_leaving(three: Three) -> None:
    """The same for a channel that was removed: all of it is stored."""
    daemon = three.daemon
    with Sender("127.0.0.1", three.ports[1]) as sender:
        three.channels[1]["archive"]["flush_interval"] = "1h"
        daemon.write(*three.channels)
        pid = daemon.worker_pid("ch1")
        daemon.ctl("reload")
        pid = daemon.wait_new_worker("ch1", pid)
        sender.send(numbered(700))
        wait_for(lambda: daemon.ledger("ch1")["pending"] == 700, "all in")
        os.kill(pid, signal.SIGSTOP)
        del three.channels[1]
        daemon.write(*three.channels)
        daemon.ctl("reload")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_log("a successor does")
        wait_for(lambda: not (daemon.run_dir / "ch1.pid").exists(),
                 "its successor gone")
    daemon.stop()
    assert daemon.payloads("ch1") == sender.sent


def can_share(port: int) -> bool:
    """Another program, which shares what it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as viewer:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            viewer.bind(("0.0.0.0", port))
        except OSError as error:
            assert error.errno == errno.EADDRINUSE
            return False
        return True


def coalesces(daemon: Daemon, port: int) -> bool:
    """Whether the input does, of which mcrelayd has a copy."""
    assert daemon.process is not None
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(daemon.process.pid)
    try:
        for name in os.listdir(f"/proc/{daemon.process.pid}/fd"):
            fd = libc.syscall(438, process, int(name), 0)   # pidfd_getfd
            if fd == -1:
                continue
            try:
                with socket.socket(fileno=fd) as found:
                    if found.type == socket.SOCK_DGRAM and found.family == \
                            socket.AF_INET and \
                            found.getsockname()[1] == port:
                        return found.getsockopt(
                            socket.IPPROTO_UDP, 104) != 0   # UDP_GRO
            except OSError:
                os.close(fd)
    finally:
        os.close(process)
    raise AssertionError(f"no socket at {port}")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for pidfd_getfd")
def test_options_of_the_input(daemon: Daemon) -> None:
    """What may change of a socket that stays, does; and what is not changed
    is as before."""
    port = free_port()
    shared = channel("one", port, "0.0.0.0", listen_share=True,
                     listen_segmentation="off")
    alone = channel("one", port, "0.0.0.0")
    other = channel("two", free_port())
    daemon.start(shared)
    with Sender("127.0.0.1", port) as sender:
        for channels, share, coalesce in (
                ((shared,), True, False), ((shared, other), True, False),
                ((alone,), False, True), ((alone, other), False, True),
                ((shared,), True, False)):
            if len(sender.sent) > 0:
                daemon.write(*channels)
                daemon.ctl("reload")
                daemon.wait_running()
            assert can_share(port) == share, channels
            assert coalesces(daemon, port) == (
                coalesce and daemon.programs.linux), channels
            sender.send(numbered(100))
            daemon.wait_received("one", len(sender.sent))
    daemon.stop()
