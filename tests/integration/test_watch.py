# SPDX-License-Identifier: ISC
"""Workers that hang, and what those say that die."""

from __future__ import annotations

import os
import signal

import pytest

from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port, numbered
from waiting import wait_for

# The watchdog's ten checks, the end of the process, the next one.
HANG_S = 40.0


def start(daemon: Daemon, receiver: Receiver) -> int:
    port = free_port()
    daemon.start(channel(
        "one", port, relay=[output("127.0.0.1", receiver.port)],
        archive=daemon.archive_conf()))
    return port


def test_stopped_worker(daemon: Daemon) -> None:
    """One that does not move is replaced; what came meanwhile had waited
    in the socket.  One that has nothing to do is left alone."""
    with Receiver() as receiver:
        idle = free_port()
        port = free_port()
        daemon.start(
            channel("one", port, relay=[output("127.0.0.1", receiver.port)],
                    archive=daemon.archive_conf()),
            channel("idle", idle, archive=daemon.archive_conf()))
        pids = {n: daemon.worker_pid(n) for n in ("one", "idle")}
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(200))
            daemon.wait_new_worker("one", pids["one"], HANG_S)
            assert daemon.wait_received("one", 200)["archived"] == 200
            assert receiver.wait(200) == sender.sent
        status = daemon.status("one")
        assert status["deaths"] == {"exited": 0, "signalled": 0, "hung": 1}
        assert "signal 6" in status["last_exit"]
        assert "hangs" in daemon.log()
        assert "SIGABRT from process" in daemon.log()
        assert daemon.worker_pid("idle") == pids["idle"]
        os.kill(pids["idle"], signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS,
                                    signal.SIGILL, signal.SIGFPE,
                                    signal.SIGABRT])
def test_last_words(daemon: Daemon, number: signal.Signals) -> None:
    """Name, sender and cursors; the exit status stays the signal's."""
    with Receiver() as receiver:
        port = start(daemon, receiver)
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(10))
            daemon.wait_received("one", 10)
            pid = daemon.worker_pid("one")
            os.kill(pid, number)
            daemon.wait_new_worker("one", pid)
            status = daemon.status("one")
            assert f"signal {number.value} " in status["last_exit"]
            assert status["deaths"]["signalled"] == 1
            daemon.wait_log(
                f"last words: {number.name} from process {os.getpid()}; "
                "batch ")
            # They were of that process only.
            pid = daemon.worker_pid("one")
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("one", pid)
            assert daemon.log().count("last words") == 1
            sender.send(numbered(10, first=10))
            daemon.wait_received("one", 20)


def test_outage_budget(daemon: Daemon) -> None:
    """It falls as the rate rises."""
    with Receiver() as receiver:
        port = start(daemon, receiver)
        before = daemon.status("one")
        assert before["peak_rate"] == 0
        # As if 1000 came a second, of 1472 bytes.
        assert before["outage_budget_ms"] > 90
        daemon.wait_log("it can be without a worker for "
                        f"{before['outage_budget_ms']} ms")
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(12000, 100), 4000)
            daemon.wait_received("one", 12000)
        status = wait_for(
            lambda: (s := daemon.status("one"))["peak_rate"] > 0 and s,
            "a rate")
        assert status["peak_rate"] > 1000
        # 832 bytes a datagram now, not 2304.
        expected = before["outage_budget_ms"] * 2304 / 832 * 1000 / \
            status["peak_rate"]
        assert abs(status["outage_budget_ms"] / expected - 1) < 0.02
