# SPDX-License-Identifier: ISC
"""Outputs that a program in the kernel relays to."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon, channel, output
from net import Namespace, Receiver, Sender, SenderThread, free_port, numbered
from test_world import (GROUP_IN, GROUP_OUT, OTHERS, RELAY, World,  # noqa: F401
                        bare, world)
from waiting import wait_for

RATE = 4000
SOL_UDP = 17
UDP_SEGMENT = 103
LONG = os.environ.get("MCRELAY_TEST_LONG") == "1"


def has_library() -> bool:
    return Path(os.environ.get("MCRELAY_BUILDDIR", "."),
                "bpf/kernel_relay.skel.h").exists()


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may put programs into the kernel")
built = pytest.mark.skipif(
    not has_library(), reason="mcrelayd was built without libbpf")


def to_group(v: int, port: int, number: int = 0, **more: Any
             ) -> dict[str, Any]:
    group = GROUP_OUT[v] if number == 0 else f"239.192.8.{number}"
    return output(group, port, interface="out0", loop=False, ttl=3,
                  path="kernel", **more)


def relayed(v: int, port: int, *outputs: dict[str, Any], address: str = "",
            **more: Any) -> dict[str, Any]:
    return channel("k", port, address or GROUP_IN[v], list(outputs),
                   listen_interface="in0", **more)


def numbers(datagrams: list[bytes]) -> list[int]:
    return [struct.unpack_from(">Q", d)[0] for d in datagrams]


def wait_kernel(daemon: Daemon, path: str = "kernel", name: str = "k"
                ) -> list[dict[str, Any]]:
    def there() -> bool:
        return all(o["path"] == path for o in daemon.status(name)["outputs"])
    wait_for(there, f"outputs by {path}", 10,
             lambda: daemon.status(name)["outputs"])
    outputs: list[dict[str, Any]] = daemon.status(name)["outputs"]
    return outputs


def programs_at(home: Namespace, interface: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(home.run(
        "tc", "-j", "filter", "show", "dev", interface, "ingress").stdout
        or "[]")
    return [f["options"] for f in found if "options" in f]


class Sink(Receiver):
    """Behind an output."""

    def __init__(self, world: World, address: str, port: int) -> None:
        super().__init__(address, port, "out", world.lan)

    def all_once(self, count: int) -> None:
        """Each of the numbers below count came, and came once."""
        self.wait(count)
        came = numbers(self.datagrams)
        assert len(came) == len(set(came)), \
            f"twice: {sorted(n for n in set(came) if came.count(n) > 1)[:9]}"
        assert sorted(came) == list(range(count))


def sender(world: World, address: str, port: int) -> Sender:
    return Sender(address, port, "in", world.lan,
                  bare(OTHERS["in"][6 if ":" in address else 4]))


@built
@pytest.mark.parametrize("v", (4, 6))
@pytest.mark.parametrize("kind", ("group", "unicast"))
def test_relays(make_daemon: Callable[..., Daemon], world: World, v: int,
                kind: str) -> None:
    """All leave once, whatever the program leaves to the worker: runs that
    the kernel has coalesced, fragments, datagrams of all sizes."""
    to, address = free_port(), GROUP_IN[v]
    if kind == "unicast":
        address = bare(RELAY["in"][v])
    daemon = make_daemon(namespace=world.home)
    port = free_port()
    daemon.start(relayed(v, port, to_group(v, to, dscp="ef"),
                         address=address))
    (out,) = wait_kernel(daemon)
    assert out["attached"] == "clsact" and out["program"] > 0
    (program,) = programs_at(world.home, "in0")
    assert program["prog"]["id"] == out["program"]
    with Sink(world, GROUP_OUT[v], to) as sink, \
            sender(world, address, port) as source:
        source.send(numbered(300), RATE)
        source.send(numbered(20, 1400, 300), RATE)
        source.send(numbered(10, 4000, 320), RATE)      # in fragments
        run = b"".join(numbered(20, 200, 330))
        source.socket.sendmsg([run], [(SOL_UDP, UDP_SEGMENT,
                                       struct.pack("@H", 200))])
        sink.all_once(350)
        ledger = daemon.wait_received("k", 350)
        assert ledger["kernel_relayed"] == 340
        assert ledger["relayed"] == 10
        assert ledger["kernel_relay_errors"] == 0
        sent = dict(zip(numbers(source.sent), source.sent))
        assert all(sent.get(n, d) == d for n, d in zip(
            numbers(sink.datagrams), sink.datagrams))
    daemon.stop()
    assert not programs_at(world.home, "in0")


@built
def test_attach_and_detach(make_daemon: Callable[..., Daemon], world: World
                           ) -> None:
    """Under traffic the program comes and goes, by reload, pause, and as
    somebody takes it away; outputs come and go beside it, and workers are
    killed."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    kernel = relayed(4, port, to_group(4, to))
    plain = relayed(4, port, to_group(4, to) | {"path": "worker"})
    more = relayed(4, port, to_group(4, to, 1), to_group(4, to))
    daemon.start(kernel)    # or it would give up what that takes
    count = 12 * RATE if LONG else RATE * 2
    with Sink(world, GROUP_OUT[4], to) as sink, \
            sender(world, GROUP_IN[4], port) as source:
        thread = SenderThread(source, numbered(count), RATE)
        turns = 0
        while thread.busy():
            for which in (plain, kernel, more, kernel, plain):
                daemon.write(which)
                daemon.ctl("reload")
                if which is not plain:
                    wait_kernel(daemon)
            daemon.write(kernel)
            daemon.ctl("reload")
            wait_kernel(daemon)
            world.home.run("tc", "qdisc", "del", "dev", "in0", "clsact")
            daemon.wait_running()
            os.kill(daemon.worker_pid("k"), signal.SIGKILL)
            wait_for(lambda: programs_at(world.home, "in0"), "the program",
                     5)
            daemon.wait_running()
            turns += 1
        thread.join()
        sink.all_once(count)
        status = daemon.status("k")
        assert turns > 0 and status["ledger"]["kernel_dropped"] == 0
    daemon.stop()
    assert not programs_at(world.home, "in0")


@built
def test_all_dead(make_daemon: Callable[..., Daemon], world: World) -> None:
    """Everything is killed: it goes on relaying; the next one takes away what
    it finds, and has its own."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, to_group(4, to), to_group(4, to, 1)))
    (first, _) = wait_kernel(daemon)
    count = RATE * 2
    with Sink(world, GROUP_OUT[4], to) as sink, \
            Sink(world, "239.192.8.1", to) as other, \
            sender(world, GROUP_IN[4], port) as source:
        thread = SenderThread(source, numbered(count), RATE)
        sink.wait(count // 4)
        daemon.kill()
        assert not daemon.processes() and thread.busy()
        sink.all_once(count)
        other.all_once(count)
        thread.join()
        (left,) = programs_at(world.home, "in0")
        assert left["prog"]["id"] == first["program"]
        daemon.start(relayed(4, port, to_group(4, to), to_group(4, to, 1)))
        wait_kernel(daemon)
        (now,) = programs_at(world.home, "in0")
        assert now["prog"]["id"] != first["program"]
        source.send(numbered(500, first=count), RATE)
        sink.all_once(count + 500)
        other.all_once(count + 500)
        assert daemon.wait_received("k", 500)["kernel_relayed"] == 1000
        daemon.kill()
        daemon.start(channel("other", port, GROUP_IN[4],
                             listen_interface="in0"))
        assert not programs_at(world.home, "in0")
        daemon.wait_log("has left at in0")
    daemon.stop()
