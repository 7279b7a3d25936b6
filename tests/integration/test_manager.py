# SPDX-License-Identifier: ISC
"""Under a service manager: what it is told, and what it keeps when the
supervisor is killed."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from daemon import Daemon, channel, debug, output
from manager import Manager
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 group_v4, numbered, safe_rate)
from waiting import wait_for

# Until the next supervisor has started its workers, after having waited for
# the old ones to end.
OUTAGE_S = 2.0


@pytest.mark.parametrize("killed", ["supervisor", "everything"])
def test_killed_under_load(daemon: Daemon, killed: str) -> None:
    """The next supervisor goes on with sockets and segments: nothing is
    lost, nothing doubled, counters go on.  Twice."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 2000)
    with Manager(daemon.directory) as manager, Receiver() as receiver, \
            Receiver(group_v4()) as view:
        daemon.write(
            channel("one", port, relay=[output("127.0.0.1", receiver.port)],
                    archive=daemon.archive_conf(),
                    decimate=[{"name": "view", "method": "pick",
                               "every": 10} |
                              output(view.address, view.port)]),
            channel("two", free_port(), archive=daemon.archive_conf()))
        manager.launch(daemon)
        kept = ["in.one", "in.two", "seg.one", "seg.two"]
        manager.wait_names(*kept)
        with Sender("127.0.0.1", port) as sender:
            thread = SenderThread(sender, endless(120), rate)
            for turn in range(1, 3):
                wait_for(lambda: daemon.ledger("one")["received"]
                         > rate * turn, "datagrams before the kill")
                if turn == 2:
                    # Its workers are being replaced when it is killed.
                    daemon.ctl("upgrade")
                    assert manager.names() == kept
                manager.kill(daemon, killed == "everything")
                manager.launch(daemon)
                assert manager.names() == kept
            thread.end()
            count = len(sender.sent)
            ledger = daemon.wait_received("one", count)
            assert ledger["received"] == ledger["archived"] == count
            assert ledger["kernel_dropped"] == 0
            assert receiver.wait(count) == sender.sent
        daemon.stop()
        assert daemon.payloads("one") == sender.sent
        manager.wait_names()


def test_what_it_is_told(daemon: Daemon) -> None:
    """READY, STATUS, RELOADING, STOPPING, WATCHDOG."""
    daemon.write(channel("one", free_port()))
    with Manager(daemon.directory, abstract=True) as manager:
        before = time.monotonic_ns() // 1000
        manager.launch(daemon, watchdog_s=0.1)
        manager.wait_message("STATUS", "1 of 1 channels are running")
        manager.wait_message("WATCHDOG", count=3)
        daemon.ctl("reload")
        told = manager.wait_message("RELOADING")
        assert before <= int(told["MONOTONIC_USEC"]) \
            <= time.monotonic_ns() // 1000
        manager.wait_message("READY", count=2)
        daemon.ctl("upgrade")
        manager.wait_message("RELOADING", count=2)
        manager.wait_message("READY", count=3)
        manager.messages.clear()
        manager.wait_message("WATCHDOG", count=2)
        daemon.wait_log("all processes are of version")
        daemon.stop()
        manager.wait_message("STOPPING")


def test_reload_by_signal(daemon: Daemon) -> None:
    """As systemd does with Type=notify-reload: it sends SIGHUP, and the reload
    is done with the first READY behind a RELOADING that is not older than the
    signal; whatever becomes of it, and while the daemon is upgraded, too."""
    def reload() -> None:
        manager.messages.clear()
        before = time.monotonic_ns() // 1000
        daemon.signal(signal.SIGHUP)

        def done() -> bool:
            told = [m for m in manager.messages
                    if "RELOADING" in m or "READY" in m]
            return bool(told) and "READY" in told[-1] and any(
                int(m.get("MONOTONIC_USEC", 0)) >= before for m in told)
        wait_for(done, "reloaded", 10.0, lambda: manager.messages)

    config = channel("one", free_port())
    daemon.write(config)
    with Manager(daemon.directory) as manager:
        manager.launch(daemon)
        daemon.write(config, channel("two", free_port()))
        reload()
        daemon.wait_state("two", "running")
        daemon.write_text("channels: [")
        reload()
        assert "the old configuration stays in force" in daemon.log()
        daemon.write(config)
        daemon.signal(signal.SIGUSR2)
        reload()
        daemon.wait_log("all processes are of version")
        assert [c["name"] for c in daemon.try_status()["channels"]] == ["one"]
        daemon.stop()


def test_watchdog_of_another(daemon: Daemon) -> None:
    """WATCHDOG_PID names somebody else."""
    daemon.write(channel("one", free_port()))
    daemon.environment["WATCHDOG_PID"] = "1"
    with Manager(daemon.directory) as manager:
        manager.launch(daemon, watchdog_s=0.05)
        manager.wait_message("STATUS", "1 of 1 channels are running")
        daemon.ctl("reload")
        manager.wait_message("READY", count=2)
        assert not any("WATCHDOG" in m for m in manager.messages)


def test_removed_from_the_store(daemon: Daemon) -> None:
    """A socket that nobody uses must not stay bound."""
    ports = free_port(), free_port()
    one, two = (channel(name, port) for name, port in
                zip(("one", "two"), ports))
    daemon.write(one, two)
    with Manager(daemon.directory) as manager:
        manager.launch(daemon)
        manager.wait_names("in.one", "in.two", "seg.one", "seg.two")
        # Stopped: the input goes, counters stay; started again at once,
        # on an address that the manager's copy has still.
        manager.lazy = True
        daemon.ctl("stop", "two")
        daemon.ctl("start", "two")
        manager.lazy = False
        manager.wait_names("in.one", "in.two", "seg.one", "seg.two")
        daemon.ctl("stop", "two")
        manager.wait_names("in.one", "seg.one", "seg.two")
        daemon.write(one)
        daemon.ctl("reload")
        manager.wait_names("in.one", "seg.one")
        # Back, on the address that it had.
        daemon.write(one, two)
        daemon.ctl("reload")
        manager.wait_names("in.one", "in.two", "seg.one", "seg.two")
        # Another address: the old one is free.
        two["listen"]["port"] = free_port()
        daemon.write(one, two)
        daemon.ctl("reload")
        daemon.wait_state("two", "running")
        manager.wait_names("in.one", "in.two", "seg.one", "seg.two")

        def free() -> bool:
            try:
                Receiver(port=ports[1]).close()
            except OSError:
                return False
            return True
        wait_for(free, f"port {ports[1]} free")


def test_configuration_changed(daemon: Daemon) -> None:
    """While there was no supervisor: what still fits is adopted, the rest
    let go."""
    ports = [free_port() for _ in range(5)]
    names = "same", "moved", "other", "gone"
    config = [channel(name, port, archive=daemon.archive_conf())
              for name, port in zip(names, ports)]
    # Nothing of it is in a file when its worker is killed.
    config[2]["archive"]["flush_interval"] = "1h"
    daemon.write(*config)
    with Manager(daemon.directory) as manager:
        manager.launch(daemon)
        with Sender("127.0.0.1", ports[0]) as same, \
                Sender("127.0.0.1", ports[2]) as other:
            for sender in same, other:
                sender.send(numbered(50))
            daemon.wait_received("same", 50)
            wait_for(lambda: daemon.ledger("other")["received"] == 50,
                     "all in")
            manager.kill(daemon, True)
            for sender in same, other:
                sender.send(numbered(50, first=50))
            config[1]["listen"]["port"] = ports[4]
            config[2]["archive"]["flush_interval"] = "50ms"
            daemon.write(*config[:3])
            manager.launch(daemon)
            for name in "same", "other":
                ledger = daemon.wait_received(name, 100)
                assert ledger["archived"] == 100, name
        manager.wait_names(*(f"{kind}.{name}" for name in names[:3]
                             for kind in ("in", "seg")))
        Receiver(port=ports[1]).close()     # free again
        Receiver(port=ports[3]).close()
        with Sender("127.0.0.1", ports[4]) as moved:
            moved.send(numbered(50))
            daemon.wait_received("moved", 50)


def test_foreign_descriptors(daemon: Daemon) -> None:
    """Rubbish in the store: looked at, not believed."""
    ports = free_port(), free_port()
    with Manager(daemon.directory) as manager, Receiver() as wrong:
        daemon.write(channel("one", ports[0]), channel("two", ports[1]))
        manager.launch(daemon)
        manager.wait_names("in.one", "in.two", "seg.one", "seg.two")
        manager.kill(daemon, True)
        # Another socket for one; no socket, and no memory, for two.
        fds = dict(manager.store)
        manager.store[:] = [
            ("in.one", wrong.socket.dup().detach()),
            ("seg.one", fds["seg.one"]),
            ("seg.two", wrong.socket.dup().detach()),
            ("in.", fds["seg.two"])]
        os.close(fds["in.one"])
        os.close(fds["in.two"])
        manager.launch(daemon)
        daemon.wait_running()
        assert re.search("one: its predecessor's socket has another address",
                         daemon.log())
        assert re.search("two: what its predecessor left cannot be used",
                         daemon.log())
        for name, port in zip(("one", "two"), ports):
            with Sender("127.0.0.1", port) as sender:
                sender.send(numbered(20))
                daemon.wait_received(name, 20)
        manager.wait_names("in.one", "in.two", "seg.one", "seg.two")


def test_late_reader(daemon: Daemon) -> None:
    """READY is not lost with a manager that reads nothing for a while, and
    what it is to keep is not either."""
    names = [f"c{i}" for i in range(20)]
    daemon.write(*(channel(name, free_port(), ring_size="256KiB")
                   for name in names))
    with Manager(daemon.directory) as manager:
        manager.deaf = True
        manager.launch(daemon, wait=False)
        daemon.wait_log("cannot tell the service manager")
        daemon.wait_running()
        manager.deaf = False
        manager.wait_message("READY")
        manager.wait_names(*(f"{kind}.{name}" for name in names
                             for kind in ("in", "seg")))


def test_no_reader(daemon: Daemon) -> None:
    """A manager that is not there costs nothing but a log line."""
    daemon.environment["NOTIFY_SOCKET"] = str(daemon.directory / "nothing")
    daemon.start(channel("one", free_port()))
    daemon.wait_log("cannot tell the service manager")


@pytest.mark.parametrize("kept", [True, False])
def test_orphaned_decimator(daemon: Daemon, kept: bool) -> None:
    """A decimator does not outlive its supervisor, not even one that hangs:
    its page, which the manager keeps, and its stream are the next one's."""
    port = free_port()
    with Manager(daemon.directory) as manager, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        daemon.write(channel("one", port, decimate=[
            {"name": "s", "method": "pick", "every": 1} |
            output(view.address, view.port)]))
        manager.launch(daemon)
        manager.wait_names("in.one", "seg.one")
        sender.send(numbered(100))
        assert view.wait(100) == sender.sent
        daemon.wait_settled("one")
        (orphan,) = daemon.wait_processes("mcrelay-decimator", 1)
        # The kernel wakes orphans that SIGSTOP has stopped, but not these.
        debug(orphan)
        sender.send(numbered(100, first=100))
        wait_for(lambda: daemon.ledger("one")["received"] == 200, "all in")
        manager.kill(daemon, False)
        status = wait_for(lambda: os.waitpid(orphan, os.WNOHANG)[1], "its end")
        assert os.WTERMSIG(status) == signal.SIGKILL
        if not kept:
            for _, fd in manager.store:
                os.close(fd)
            manager.store.clear()
        manager.launch(daemon)
        first = 200 if kept else 0
        sender.send(numbered(100, first=200))
        daemon.wait_received("one", first + 100)
        # Without the memory, what it had not yet taken is lost with it.
        expected = sender.sent if kept else \
            sender.sent[:100] + sender.sent[200:]
        assert view.wait(len(expected)) == expected
        daemon.wait_settled("one")
