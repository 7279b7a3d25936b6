# SPDX-License-Identifier: ISC
"""Recording or relaying paused: what came then is counted, and nothing else
changes, whatever is replaced meanwhile."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from daemon import Daemon, channel, output
from manager import Manager
from net import Receiver, Sender, free_port, numbered
from waiting import wait_for

BATCH = 50


class Lane:
    """A channel with archive and relay, batches of what was sent to it, and
    where each of them has to come out."""

    def __init__(self, daemon: Daemon, receiver: Receiver,
                 sender: Sender) -> None:
        self.daemon = daemon
        self.receiver = receiver
        self.sender = sender
        self.sent = 0
        self.relayed: list[bytes] = []
        self.archived: list[bytes] = []

    def send(self, archived: bool, relayed: bool) -> None:
        batch = numbered(BATCH, first=self.sent)
        self.sender.send(batch)
        self.sent += BATCH
        self.relayed += batch if relayed else []
        self.archived += batch if archived else []
        self.check()

    def check(self) -> dict[str, int]:
        ledger = self.daemon.wait_received("one", self.sent)
        assert ledger["archived"] == len(self.archived)
        assert ledger["archive_paused"] == self.sent - len(self.archived)
        assert ledger["relayed"] == len(self.relayed)
        assert ledger["relay_paused"] == self.sent - len(self.relayed)
        assert self.receiver.wait(len(self.relayed)) == self.relayed
        return ledger

    def finish(self) -> None:
        self.check()
        self.daemon.stop()
        assert self.daemon.payloads("one") == self.archived


def configure(daemon: Daemon, port: int, receiver: Receiver,
              **more: Any) -> dict[str, Any]:
    return channel("one", port, relay=[output("127.0.0.1", receiver.port)],
                   archive=daemon.archive_conf(), **more)


def reasons(daemon: Daemon) -> list[str]:
    return [r["what"] for r in daemon.status("one")["reasons"]]


def test_parts(daemon: Daemon) -> None:
    """Each by itself, and both; sent after the answer is not recorded."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(configure(daemon, port, receiver))
        lane = Lane(daemon, receiver, sender)
        lane.send(True, True)
        daemon.ctl("pause", "one", "archive")
        lane.send(False, True)
        assert daemon.status("one")["state"] == "paused"
        assert reasons(daemon) == ["archive_paused"]
        daemon.ctl("pause", "one", "relay")
        lane.send(False, False)
        assert reasons(daemon) == ["archive_paused", "relay_paused"]
        daemon.ctl("resume", "one", "archive")
        lane.send(True, False)
        assert reasons(daemon) == ["relay_paused"]
        assert "relay_paused since" in daemon.ctl("status").stdout
        daemon.ctl("resume", "one")
        lane.send(True, True)
        assert daemon.status("one")["state"] == "running"
        daemon.ctl("pause", "one")
        lane.send(False, False)
        said = daemon.ctl("check", check=False)
        assert said.returncode == 1 and "one is paused" in said.stdout
        daemon.ctl("resume", "one", "archive")
        daemon.ctl("resume", "one", "relay")
        lane.send(True, True)
        lane.finish()
        assert not list(daemon.run_dir.glob("*.paused"))


def test_survives(daemon: Daemon) -> None:
    """Workers that are killed, restarted, replaced by an upgrade or another
    configuration, and a stop."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        conf = configure(daemon, port, receiver)
        daemon.start(conf)
        lane = Lane(daemon, receiver, sender)
        lane.send(True, True)
        daemon.ctl("pause", "one", "archive")
        pid = daemon.worker_pid("one")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("one", pid)
        lane.send(False, True)
        daemon.ctl("restart", "one")
        lane.send(False, True)
        pid = daemon.worker_pid("one")
        daemon.ctl("upgrade")
        daemon.wait_new_worker("one", pid)
        lane.send(False, True)
        conf["ring_size"] = "4MiB"
        daemon.write(conf)
        pid = daemon.worker_pid("one")
        daemon.ctl("reload")
        daemon.wait_new_worker("one", pid)
        lane.send(False, True)
        daemon.ctl("stop", "one")
        daemon.ctl("start", "one")
        lane.send(False, True)
        assert reasons(daemon) == ["archive_paused"]
        daemon.ctl("resume", "one")
        lane.send(True, True)
        lane.finish()


def test_lasting(daemon: Daemon) -> None:
    """With -p it outlives the daemon; the rest does not."""
    port = free_port()
    conf = channel("one", port, archive=daemon.archive_conf())
    daemon.start(conf)
    daemon.ctl("pause", "-p", "one")
    daemon.stop()
    daemon.start(conf)
    assert "channel one: paused, as it was before" in daemon.log()
    assert reasons(daemon) == ["archive_paused"]
    daemon.ctl("resume", "one")
    daemon.ctl("pause", "one")
    daemon.stop()
    daemon.start(conf)
    assert reasons(daemon) == []
    daemon.ctl("pause", "-p", "one")
    # Its next namesake is another channel.
    daemon.write(channel("two", free_port()))
    daemon.ctl("reload")
    daemon.write(conf)
    daemon.ctl("reload")
    daemon.wait_state("one", "running")
    assert reasons(daemon) == []
    daemon.stop()


def test_supervisor_killed(daemon: Daemon) -> None:
    """The service manager keeps the segment, which says what is paused."""
    port = free_port()
    with Manager(daemon.directory) as manager, Receiver() as receiver, \
            Sender("127.0.0.1", port) as sender:
        daemon.write(configure(daemon, port, receiver))
        manager.launch(daemon)
        lane = Lane(daemon, receiver, sender)
        lane.send(True, True)
        daemon.ctl("pause", "one")
        lane.send(False, False)
        manager.kill(daemon, True)
        manager.launch(daemon)
        assert daemon.status("one")["state"] == "paused"
        lane.send(False, False)
        daemon.ctl("resume", "one")
        lane.send(True, True)
        lane.finish()


@pytest.mark.parametrize("words, said", [
    (["one"], "channel one has no archive and no relay"),
    (["one", "archive"], "channel one has no archive"),
    (["one", "recording"], "recording is neither archive nor relay"),
    (["on"], "there is no channel on"),
])
def test_refused(daemon: Daemon, words: list[str], said: str) -> None:
    daemon.start(channel("one", free_port()))
    for command in ("pause", "resume"):
        answer = daemon.ctl(command, *words, check=False)
        assert answer.returncode == 1 and said in answer.stderr
    daemon.stop()


def test_what_cannot_last(daemon: Daemon) -> None:
    """Where run_dir takes no file, -p is refused and nothing is paused."""
    daemon.start(channel("one", free_port(), archive=daemon.archive_conf()))
    (daemon.run_dir / "one.paused.new").mkdir()
    answer = daemon.ctl("pause", "-p", "one", check=False)
    assert answer.returncode == 1 and "cannot write to run_dir" in answer.stderr
    assert daemon.status("one")["state"] == "running"
    (daemon.run_dir / "one.paused.new").rmdir()
    daemon.stop()


def test_told(daemon: Daemon) -> None:
    """Events, metrics, the catalogue's line of the file."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(configure(daemon, port, receiver))
        lane = Lane(daemon, receiver, sender)
        lane.send(True, True)
        daemon.ctl("pause", "one")
        lane.send(False, False)
        metrics = daemon.ctl("metrics").stdout
        for line in ('mcrelay_channel_state{channel="one",state="paused"} 1',
                     'mcrelay_channel_reason{channel="one",'
                     'reason="archive_paused"} 1',
                     f'mcrelay_archive_paused{{channel="one"}} {BATCH}',
                     f'mcrelay_relay_paused_total{{channel="one"}} {BATCH}'):
            assert line in metrics
        looked = json.loads(daemon.ctl("doctor", "-j", check=False).stdout)
        assert "its archive and its relay are paused" in json.dumps(looked)
        assert "mcrelayctl resume one" in json.dumps(looked)
        daemon.ctl("rotate", "one")
        catalog = daemon.archive / "one" / "catalog.jsonl"
        lines = wait_for(lambda: catalog.read_text().splitlines()
                         if catalog.exists() else [], "a finished file")
        assert json.loads(lines[0])["losses"]["archive_paused"] == BATCH
        daemon.ctl("resume", "one")
        lane.send(True, True)
        lane.finish()
