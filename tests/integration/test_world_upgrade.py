# SPDX-License-Identifier: ISC
"""A daemon that is replaced while the world is not as it should be: the new
image goes on with what each channel has, and says what is missing."""

from __future__ import annotations

import os
import signal
import time
from typing import Callable

import pytest

import gen
from daemon import Daemon, channel, output
from net import free_port
from test_directories import COUNT, Flow
from test_world import (GROUP_IN, Run, World, destination, start,   # noqa: F401
                        world)
from waiting import wait_for


def upgrade(daemon: Daemon, name: str = "one") -> None:
    """Until another worker has followed, too."""
    pid = daemon.status(name)["pid"]
    before = daemon.log().count("all processes are of version")
    daemon.ctl("upgrade")
    daemon.wait_new_worker(name, pid)
    wait_for(lambda: daemon.log().count("all processes are of version")
             > before, "all processes replaced", 10.0, daemon.log)


@pytest.mark.parametrize("v", [4, 6])
@pytest.mark.parametrize("kind", ["group", "unicast"])
def test_without_output(start: Callable[..., Run], world: World,    # noqa: F811
                        kind: str, v: int) -> None:
    """Neither relay nor stream has an interface.  What they had is theirs
    still, what comes in is archived, and both go on once it is back."""
    run = start(destination(kind, v), address=GROUP_IN[v], interface="in0")

    def lost() -> dict[str, str]:
        return {r["what"]: r["since"]
                for r in run.daemon.status("one")["reasons"]
                if r["what"].endswith("_lost")}
    for _ in range(2):
        world.unplug("out")
        run.reasons({"output_lost", "stream_lost"})
        before = lost()
        upgrade(run.daemon)
        assert run.daemon.status("one")["state"] == "degraded"
        assert lost() == before
        since = time.monotonic()
        world.plug("out")
        run.heals(f"output after an upgrade, {kind}, v{v}", run.output, since)
        run.heals(f"stream after an upgrade, {kind}, v{v}", run.stream, since)
        wait_for(lambda: run.daemon.status("one")["state"] == "running",
                 "all in order", 20.0, run.daemon.log)
        run.steady()
    run.end(True)


@pytest.mark.parametrize("v", [4, 6])
def test_made_again_meanwhile(start: Callable[..., Run],            # noqa: F811
                              world: World, v: int) -> None:
    """What happens while one image follows another is noticed by the next."""
    run = start(destination("group", v), address=GROUP_IN[v], interface="in0")
    pid = run.daemon.status("one")["pid"]
    run.daemon.signal(signal.SIGUSR2)
    for _ in range(3):
        world.unplug("out")
        world.plug("out")
    since = time.monotonic()
    run.heals(f"output made again during an upgrade, v{v}", run.output, since)
    run.heals(f"stream made again during an upgrade, v{v}", run.stream, since)
    run.daemon.wait_new_worker("one", pid)
    run.end(True)


def test_changed_to_what_is_not_there(start: Callable[..., Run],    # noqa: F811
                                      world: World) -> None:
    """The file has one more output, by an interface that is late, and another
    channel's archive goes elsewhere: that one waits, as after a reload."""
    run = start(destination("group", 4), address=GROUP_IN[4], interface="in0")
    daemon, conf = run.daemon, channel("two", free_port())
    late = output("239.192.7.9", 5000, interface="late")
    pid = daemon.status("one")["pid"]
    one = run.conf | {"relay": run.conf["relay"] + [late]}
    daemon.write(one, conf | {"archive": daemon.archive_conf()})
    os.kill(pid, signal.SIGSTOP)
    daemon.ctl("upgrade")
    daemon.wait_state("two", "running")
    # Until what there is not yet has been looked for again.
    time.sleep(1.2)
    os.kill(pid, signal.SIGCONT)
    waiting = daemon.wait_state("one", "waiting")
    assert [r["what"] for r in waiting["reasons"]] == ["interface_missing"]
    since = time.monotonic()
    world.ip(world.home, "link add late type veth peer name etal",
             "link set late up", "link set etal up",
             "addr add 10.84.0.1/24 dev late")
    run.heals("a channel that waited", run.output, since)
    daemon.wait_new_worker("one", pid)
    run.steady()
    run.source.interrupt()
    sent = run.source.result()["sent"]
    wait_for(lambda: gen.sequence(run.output.datagrams[-1]) == sent - 1,
             "the last one that was sent", 10, daemon.log)
    daemon.wait_settled("one")
    daemon.stop()
    # With other outputs it counts from zero; the archive has them all.
    assert [gen.sequence(d) for d in daemon.payloads("one")] == \
        [gen.sequence(d) for d in run.output.datagrams] == list(range(sent))


@pytest.mark.parametrize("how", ["in the way", "moved"])
def test_without_directory(daemon: Daemon, how: str) -> None:
    """A file is in the archive directory's place; or it was moved a moment
    ago, which nobody knows yet."""
    flow = Flow(daemon, ring_size="256KiB" if how == "in the way" else
                "16MiB")
    place = daemon.archive / "one"
    aside = daemon.archive / "moved"
    flow.wait_files(place)
    place.rename(aside)
    if how == "in the way":
        place.write_text("in the way")
        wait_for(lambda: "archive_away" in flow.reasons(), "the reason", 10.0,
                 daemon.log)
    upgrade(daemon)
    if how == "in the way":
        reason = daemon.status("one")["reasons"][0]
        assert reason["what"] == "archive_away"
        assert "Not a directory" in reason["detail"]
        assert daemon.log().count("Not a directory: until that is over") == 1
        wait_for(lambda: daemon.ledger("one")["archive_shed"] > 0,
                 "shedding", 10.0, daemon.log)
        place.unlink()
    flow.wait_files(place)
    ledger = flow.finish()
    flow.collect(aside)
    flow.collect(place)
    assert len(flow.stored) == ledger["archived"]
    assert ledger["archived"] + ledger["archive_shed"] == COUNT
    if how == "moved":
        assert flow.stored == flow.sent
