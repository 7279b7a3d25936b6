# SPDX-License-Identifier: ISC
"""An archive on a file server: its directory is renamed there or here, and the
server does not answer for a while, which must not keep the supervisor."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Iterator

import pytest

from daemon import Daemon, answers_s
from fuse_server import FuseServer
from net import numbered
from test_directories import COUNT, Flow, all_once
from waiting import wait_for

# The supervisor's next look, and another worker.
FOLLOWED_S = 3.0
# Longer than a look may take.
AWAY_S = 13.0


@pytest.fixture
def server(daemon: Daemon, tmp_path: Path) -> Iterator[FuseServer]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    daemon.archive.mkdir()
    backing = tmp_path / "backing"
    backing.mkdir()
    try:
        made = FuseServer(backing, daemon.archive)
    except OSError as error:
        pytest.skip(f"no FUSE: {error}")
    yield made
    made.go_on()
    daemon.kill()
    made.close()


def looks(daemon: Daemon) -> list[int]:
    """The supervisor's processes that look: children of the same program."""
    own = daemon.find_background()
    return [int(pid) for pid in Path(
        f"/proc/{own}/task/{own}/children").read_text().split()
        if os.path.realpath(f"/proc/{pid}/exe") ==
        os.path.realpath(f"/proc/{own}/exe")]


@pytest.mark.parametrize("where", ["server", "host"])
def test_renamed(daemon: Daemon, server: FuseServer, tmp_path: Path,
                 where: str) -> None:
    """Nothing is lost, nothing goes to where nobody looks."""
    backing = tmp_path / "backing"
    flow = Flow(daemon)
    flow.wait_files(backing / "one")
    base = backing if where == "server" else daemon.archive
    (base / "one").rename(base / "moved")
    seconds = flow.wait_files(backing / "one")
    print(f"renamed by the {where}: files in the new one after "
          f"{seconds:.3f} s")
    assert seconds < FOLLOWED_S
    ledger = flow.finish()
    flow.collect(backing / "moved")
    flow.collect(backing / "one")
    all_once(flow, ledger)
    assert "was removed, moved or covered: goes on in" in daemon.log()


def test_server_is_away(daemon: Daemon, server: FuseServer, tmp_path: Path
                        ) -> None:
    """It answers nothing for longer than a look may take: mcrelayd does, and
    relays; when it is back, all is stored, and a rename is noticed."""
    backing = tmp_path / "backing"
    flow = Flow(daemon)
    flow.wait_files(backing / "one")
    calm = statistics.median(answers_s(daemon, 100))
    server.hang()
    end, took, most = time.monotonic() + AWAY_S, [], 0
    while time.monotonic() < end:
        took += answers_s(daemon, 1)
        most = max(most, len(looks(daemon)))
        time.sleep(0.05)
    print(f"away: an answer takes {statistics.median(took) * 1e3:.2f} ms, "
          f"else {calm * 1e3:.2f}, {max(took):.3f} s at most, {most} "
          "processes look")
    assert statistics.median(took) < 10 * calm + 0.1
    # Who waits for the server waits until it is back.
    assert max(took) < AWAY_S / 2
    assert most == 1
    assert server.held > 0
    (backing / "one").rename(backing / "moved")
    server.go_on()
    daemon.wait_log("was removed, moved or covered: goes on in")
    wait_for(lambda: flow.reasons() == [], "all in order", 20.0, daemon.log)
    flow.thread.join()
    flow.sender.send(numbered(1000, first=COUNT))
    flow.wait_files(backing / "one")
    daemon.wait_received("one", COUNT + 1000)
    assert flow.receiver.wait(COUNT + 1000) == flow.sender.sent
    flow.sender.socket.close()
    flow.receiver.__exit__(None, None, None)
    daemon.stop()
    flow.collect(backing / "moved")
    flow.collect(backing / "one")
    assert flow.stored == flow.sender.sent
