# SPDX-License-Identifier: ISC
"""Inputs by AF_XDP.

MCRELAY_TEST_LONG=1 in the environment: 300 kills at 200 000 datagrams/s
(MCRELAY_TEST_KILLS=N for fewer).
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

import pytest

import avro_files
import gen
from daemon import Daemon, Programs, channel, output
from net import Sender, SenderThread, free_port, numbered
from test_campaign import ask
from test_world import (GROUP_IN, OTHERS, RELAY, World, bare,  # noqa: F401
                        world)
from waiting import wait_for

LONG = os.environ.get("MCRELAY_TEST_LONG") == "1"
KILLS = int(os.environ.get("MCRELAY_TEST_KILLS", "300")) if LONG else 4
RATE = 200000 if LONG else 40000
HEALTHY_S = 1.0


def has_library() -> bool:
    return Path(os.environ.get("MCRELAY_BUILDDIR", "."),
                "bpf/xdp_input.skel.h").exists()


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not has_library(),
    reason="needs root, who may put programs into the kernel, and libbpf")


@pytest.fixture
def wired(world: World) -> World:  # noqa: F811
    """Its veth computes checksums, as what comes from a wire has them."""
    world.lan.run("ethtool", "-K", "inp", "tx", "off")
    return world


def listens(daemon: Daemon, v: int, port: int, address: str = "",
            **listen: Any) -> dict[str, Any]:
    conf = channel("x", port, address or GROUP_IN[v],
                   archive=daemon.archive_conf(), listen_interface="in0")
    conf["listen"].update({"path": "xdp", **listen})
    return conf


def xdp_of(daemon: Daemon) -> dict[str, Any]:
    io: dict[str, Any] = daemon.status("x")["io"]
    return io


def wait_way(daemon: Daemon, way: str) -> dict[str, Any]:
    def there() -> bool:
        status = daemon.status("x")
        return bool(status["state"] in ("running", "degraded") and
                    status["io"]["receive"] == way)
    wait_for(there, f"receiving by {way}", 20,
             lambda: f"{daemon.status('x')} {daemon.log()}")
    return xdp_of(daemon)


def sender(world: World, address: str, port: int) -> Sender:  # noqa: F811
    return Sender(address, port, "in", world.lan,
                  bare(OTHERS["in"][6 if ":" in address else 4]))


def by_sockets(world: World, v: int) -> int:  # noqa: F811
    """Datagrams that sockets of IP have got."""
    if v == 6:
        text = world.home.run("cat", "/proc/net/snmp6").stdout
        return int(text.split("Udp6InDatagrams")[1].split()[0])
    text = world.home.run("cat", "/proc/net/snmp").stdout
    lines = [line.split() for line in text.splitlines()
             if line.startswith("Udp:")]
    return int(lines[1][lines[0].index("InDatagrams")])


def archived_once(daemon: Daemon, in_order: bool = True) -> int:
    """How many are archived: each number once, and in order."""
    pattern = re.compile(rb"10\.81\.1\.2:\d{1,5}.{1,2}MCRG....(.{8})",
                         re.DOTALL)
    numbers: list[int] = []
    # What a socket brings has the kernel's time, so names are in no order.
    for path in sorted(avro_files.files(daemon.archive, "x"), key=lambda
                       path: int(path.stem.split("_")[2])):
        for records, block in avro_files.read_container(path).blocks:
            found = pattern.findall(block)
            assert len(found) == records, f"{path}: a block's count"
            numbers += struct.unpack(f">{records}Q", b"".join(found))
    assert len(set(numbers)) == len(numbers), "some came twice"
    assert not in_order or numbers == sorted(numbers), "in another order"
    return len(numbers)


@pytest.mark.parametrize("v, kind", [(4, "group"), (4, "unicast"),
                                     (6, "group"), (6, "unicast")])
def test_receives(make_daemon: Callable[..., Daemon], wired: World, v: int,
                  kind: str) -> None:
    """All that comes is archived once, by whichever socket: what the program
    lets pass, too."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    address = GROUP_IN[v] if kind == "group" else bare(RELAY["in"][v])
    daemon.start(listens(daemon, v, port, address))
    io = wait_way(daemon, "xdp")
    assert io["xdp"]["attached"] == "native"
    assert io["xdp"]["mode"] == "copy" and io["xdp"]["frames"] == 16384
    (link,) = json.loads(wired.home.run(
        "ip", "-j", "link", "show", "in0").stdout)
    assert link["xdp"]["prog"]["id"] == io["xdp"]["program"]
    before = by_sockets(wired, v)
    with sender(wired, address, port) as source:
        source.send(numbered(300), 10000)
        source.send(numbered(20, 1400, 300), 10000)
        daemon.wait_received("x", 320)
        assert by_sockets(wired, v) == before
        source.send(numbered(10, 4000, 320), 10000)     # in fragments
        source.send([struct.pack(">Q", 330), b""], 10000)
        ledger = daemon.wait_received("x", 332)
        assert by_sockets(wired, v) == before + 10
        assert ledger["kernel_dropped"] == 0
        sent = sorted(source.sent)
    daemon.stop()
    assert sorted(daemon.payloads("x")) == sent
    assert "xdp" not in wired.home.run("ip", "link", "show", "in0").stdout


class Campaign:
    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.random = random.Random(seed)
        self.ready = time.monotonic()

    def kill(self) -> None:
        young = self.random.random() < 0.1
        pause = self.ready + HEALTHY_S - time.monotonic()
        time.sleep(self.random.random() * 0.1 +
                   (0 if young else max(0, pause)))
        old = self.daemon.worker_pid("x")
        os.kill(old, signal.SIGKILL)

        def there() -> bool:
            now = ask(self.daemon)["x"]
            return now["pid"] not in (0, old) and now["state"] == "running"
        wait_for(there, "a new worker", 60, self.daemon.log)
        self.ready = time.monotonic()


@pytest.mark.parametrize("receive_buffer", ["64MiB", pytest.param(
    "1MiB", marks=pytest.mark.skipif(
        not LONG, reason="needs MCRELAY_TEST_LONG=1"))])
def test_killed(make_daemon: Callable[..., Daemon], wired: World,
                programs: Programs,
                receive_buffer: str,
                record_property: Callable[[str, object], None]) -> None:
    """Whatever the instant, what was received and what was dropped is what
    was sent, and nothing came twice or in another order."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    seed = int.from_bytes(os.urandom(4), "big")
    daemon.start(listens(daemon, 4, port, receive_buffer=receive_buffer))
    wait_way(daemon, "xdp")
    kills = Campaign(daemon, seed)
    with gen.source(programs, GROUP_IN[4], port, "-r", str(RATE), "-b",
                    "64", "-i", "in", namespace=wired.lan) as source:
        for _ in range(KILLS):
            kills.kill()
        source.interrupt()
        sent = source.result()["sent"]

    def accounted() -> bool:
        ledger = daemon.ledger("x")
        return ledger["received"] + ledger["kernel_dropped"] >= sent
    wait_for(accounted, f"{sent} datagrams", 30,
             lambda: f"{daemon.ledger('x')}, seed {seed}")
    ledger = daemon.wait_settled("x")
    report = {"kills": KILLS, "sent": sent, "seed": seed,
              "received": ledger["received"],
              "kernel_dropped": ledger["kernel_dropped"]}
    record_property("report", json.dumps(report))
    print(json.dumps(report))
    assert ledger["received"] + ledger["kernel_dropped"] == sent, seed
    assert xdp_of(daemon)["receive"] == "xdp"
    daemon.stop()
    assert archived_once(daemon) == ledger["received"], seed


def test_overflows(make_daemon: Callable[..., Daemon], wired: World) -> None:
    """What its memory does not hold while the worker is stopped, and killed,
    is counted to the last datagram."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port, receive_buffer="1MiB"))
    assert wait_way(daemon, "xdp")["xdp"]["frames"] == 1024
    pid = daemon.worker_pid("x")
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(100))
        daemon.wait_received("x", 100)
        os.kill(pid, signal.SIGSTOP)
        source.send(numbered(3000, first=100))
        os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("x", pid)
        source.send(numbered(100, first=3100))

        def accounted() -> bool:
            ledger = daemon.ledger("x")
            return ledger["received"] + ledger["kernel_dropped"] >= 3200
        wait_for(accounted, "3200 datagrams", 20, lambda: daemon.ledger("x"))
        ledger = daemon.ledger("x")
        assert ledger["received"] == 100 + 1024 + 100
        assert ledger["kernel_dropped"] == 3000 - 1024
    daemon.stop()
    came = [struct.unpack_from(">Q", d)[0] for d in daemon.payloads("x")]
    assert came == [*range(1124), *range(3100, 3200)]


class Load:
    """Numbered datagrams until it is told to end; all were archived once."""

    def __init__(self, daemon: Daemon, programs: Programs,
                 world: World, port: int) -> None:   # noqa: F811
        self.daemon = daemon
        self.source = gen.source(programs, GROUP_IN[4], port, "-r", "10000",
                                 "-b", "64", "-i", "in", namespace=world.lan)

    def end(self, lost: int = 0) -> None:
        self.source.interrupt()
        sent = self.source.result()["sent"] - lost
        ledger = self.daemon.wait_received("x", sent)
        assert ledger["received"] == sent
        assert ledger["kernel_dropped"] == 0
        self.source.__exit__()
        self.daemon.stop()
        # Between both sockets there is no order.
        assert archived_once(self.daemon, in_order=False) == sent


def test_to_sockets_and_back(make_daemon: Callable[..., Daemon], wired: World,
                             programs: Programs) -> None:
    """By reloads, an upgrade, and an upgrade whose worker is killed: nothing
    is lost or doubled on the way."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    load = Load(daemon, programs, wired, port)
    for path in ("socket", "xdp"):
        daemon.write(listens(daemon, 4, port, path=path))
        daemon.ctl("reload")
        wait_way(daemon, path)
    for kill in (False, True):
        pid = daemon.worker_pid("x")
        daemon.ctl("upgrade")
        if kill:
            with suppress(ProcessLookupError):      # it may have followed
                os.kill(pid, signal.SIGKILL)
        daemon.wait_new_worker("x", pid)
        wait_way(daemon, "xdp")
        wait_for(lambda: "program" in xdp_of(daemon)["xdp"], "the program",
                 10, daemon.log)
    load.end()


def test_interface_goes(make_daemon: Callable[..., Daemon], wired: World,
                        programs: Programs) -> None:
    """Down and up, and deleted and made again, by the same number too: it
    receives by AF_XDP again."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    with sender(wired, GROUP_IN[4], port) as source:
        count = 0

        def goes_on(way: str) -> None:
            nonlocal count
            wait_way(daemon, way)
            wired.lan.run("ethtool", "-K", "inp", "tx", "off")
            source.send(numbered(100, first=count), 10000)
            count += 100
            daemon.wait_received("x", count)

        goes_on("xdp")
        wired.ip(wired.home, "link set in0 down", "link set in0 up")
        wired.address("in", verb="replace")
        goes_on("xdp")
        (link,) = json.loads(wired.home.run(
            "ip", "-j", "link", "show", "in0").stdout)
        for number in (0, link["ifindex"]):
            wired.unplug("in")
            wait_way(daemon, "socket")
            wired.plug("in", index=number)
            goes_on("xdp")
    daemon.stop()
    assert len(daemon.payloads("x")) == count
