# SPDX-License-Identifier: ISC
"""Inputs by AF_XDP.

MCRELAY_TEST_LONG=1 in the environment: 300 kills at 200 000 datagrams/s
(MCRELAY_TEST_KILLS=N for fewer).
"""

from __future__ import annotations

import ipaddress
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
import native
from daemon import Daemon, Programs, channel
from manager import Manager
from net import Namespace, Sender, SenderThread, free_port, numbered
from test_campaign import ask
from test_idle import check_idle
from test_kernel_relay import add_vlan
from test_world import (GROUP_IN, OTHERS, RELAY, World, bare,  # noqa: F401
                        world)
from waiting import wait_for

LONG = os.environ.get("MCRELAY_TEST_LONG") == "1"
KILLS = int(os.environ.get("MCRELAY_TEST_KILLS", "300")) if LONG else 2
RATE = 200000 if LONG else 40000
HEALTHY_S = 1.0


def built(suffix: str) -> Path:
    return Path(os.environ.get("MCRELAY_BUILDDIR", "."),
                f"bpf/xdp_input.{suffix}")


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not built("skel.h").exists(),
    reason="needs root, who may put programs into the kernel, and libbpf")
maps_what_is_bound = tuple(map(int, re.findall(
    r"\d+", os.uname().release)[:2])) >= (6, 4)
pytestmark = [needs_root, pytest.mark.skipif(
    not maps_what_is_bound, reason="needs Linux 6.4")]
at_length = pytest.mark.skipif(not LONG, reason="needs MCRELAY_TEST_LONG=1")


def leave_tags(namespace: Namespace, link: str) -> None:
    """In the frames, of VLANs and of those around them."""
    namespace.run("ethtool", "-K", link, "rx-vlan-hw-parse", "off",
                  "rx-vlan-stag-hw-parse", "off")


def wire(world: World) -> None:  # noqa: F811
    """Its veth computes checksums, as what comes from a wire has them, and
    puts tags into frames."""
    world.lan.run("ethtool", "-K", "inp", "tx", "off",
                  "tx-vlan-hw-insert", "off", "tx-vlan-stag-hw-insert", "off")
    leave_tags(world.home, "in0")


@pytest.fixture
def wired(world: World) -> World:  # noqa: F811
    wire(world)
    return world


def listens(daemon: Daemon, v: int, port: int, address: str = "",
            name: str = "x", **listen: Any) -> dict[str, Any]:
    conf = channel(name, port, address or GROUP_IN[v],
                   archive=daemon.archive_conf(), listen_interface="in0")
    conf["listen"].update({"path": "xdp", **listen})
    return conf


def xdp_of(daemon: Daemon, name: str = "x") -> dict[str, Any]:
    io: dict[str, Any] = daemon.status(name)["io"]
    return io


def wait_way(daemon: Daemon, way: str, name: str = "x") -> dict[str, Any]:
    def there() -> bool:
        status = daemon.status(name)
        return bool(status["state"] in ("running", "degraded") and
                    status["io"]["receive"] == way)
    wait_for(there, f"receiving by {way}", 20,
             lambda: f"{daemon.status(name)} {daemon.log()}")
    return xdp_of(daemon, name)


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
    pattern = re.compile(rb"10\.8[12]\.[17]\.2:\d{1,5}.{1,2}MCRG....(.{8})",
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


@pytest.mark.parametrize("v, kind", [
    (4, "group"), (6, "unicast"),
    pytest.param(4, "unicast", marks=at_length),
    pytest.param(6, "group", marks=at_length)])
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
    assert io["xdp"]["mode"] == wired.mode and io["xdp"]["frames"] == 16384
    # At 1000 datagrams a second.
    assert daemon.status("x")["outage_budget_ms"] == 16384
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


def test_idle(make_daemon: Callable[..., Daemon], wired: World) -> None:
    """While nothing comes nobody uses a processor."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(300), 10000)
        daemon.wait_received("x", 300)
    check_idle(daemon)


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
            # What does not find room degrades it.
            return now["pid"] not in (0, old) and \
                now["state"] in ("running", "degraded")
        wait_for(there, "a new worker", 60, self.daemon.log)
        self.ready = time.monotonic()


@pytest.mark.parametrize("receive_buffer, vlan", [
    ("64MiB", ""), ("64MiB", ".7"), pytest.param("1MiB", "", marks=at_length)])
def test_killed(make_daemon: Callable[..., Daemon], wired: World,
                programs: Programs,
                receive_buffer: str, vlan: str,
                record_property: Callable[[str, object], None]) -> None:
    """Whatever the instant, what was received and what was dropped is what
    was sent, and nothing came twice or in another order."""
    if receive_buffer == "1MiB" and wired.mode != "copy":
        pytest.skip("what a card drops it counts itself")
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    seed = int.from_bytes(os.urandom(4), "big")
    if vlan:
        add_vlan(wired, "in", 7)
    daemon.start(listens(daemon, 4, port, receive_buffer=receive_buffer,
                         interface=f"in0{vlan}"))
    wait_way(daemon, "xdp")
    kills = Campaign(daemon, seed)
    with gen.source(programs, GROUP_IN[4], port, "-r", str(RATE), "-b",
                    "64", "-i", f"in{vlan}", namespace=wired.lan) as source:
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
    assert archived_once(daemon, wired.in_order) == ledger["received"], seed


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


@pytest.mark.parametrize("killed", [False, True])
def test_times(make_daemon: Callable[..., Daemon], wired: World, killed: bool
               ) -> None:
    """A datagram has the time at which it came, whatever the worker did."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    pid = daemon.worker_pid("x")
    sent: list[int] = []
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(1))
        daemon.wait_received("x", 1)
        os.kill(pid, signal.SIGSTOP)
        for number in range(1, 21):
            sent.append(time.time_ns())
            source.send(numbered(1, first=number))
            time.sleep(0.05)
        if killed:
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("x", pid)
        else:
            os.kill(pid, signal.SIGCONT)
        daemon.wait_received("x", 21)
        came = [*sent[1:], time.time_ns()]
    daemon.stop()
    (path,) = avro_files.files(daemon.archive, "x")
    times = [d.received_ns for d in avro_files.read_datagrams(path)][1:]
    # Each came before the next was sent.
    for first, seen, then in zip(sent, times, came, strict=True):
        assert first <= seen <= then


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
    """With another MTU, down and up, and deleted and made again, by the same
    number too: it receives by AF_XDP again."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    with sender(wired, GROUP_IN[4], port) as source:
        count = 0

        def goes_on(way: str) -> None:
            nonlocal count
            wait_way(daemon, way)
            source.send(numbered(100, first=count), 10000)
            count += 100
            daemon.wait_received("x", count)

        goes_on("xdp")
        wired.ip(wired.home, "link set in0 mtu 1400")
        goes_on("xdp")
        wired.ip(wired.home, "link set in0 down", "link set in0 up")
        wired.address("in", verb="replace")
        goes_on("xdp")
        (link,) = json.loads(wired.home.run(
            "ip", "-j", "link", "show", "in0").stdout)
        numbers = (0, link["ifindex"]) if LONG else (link["ifindex"],)
        for number in numbers:
            wired.unplug("in")
            wait_way(daemon, "socket")
            wired.plug("in", index=number)
            wire(wired)
            goes_on("xdp")
    daemon.stop()
    assert len(daemon.payloads("x")) == count


@pytest.mark.parametrize("v", [4, pytest.param(6, marks=at_length)])
def test_address_changes(make_daemon: Callable[..., Daemon], wired: World,
                         v: int) -> None:
    """When its interface has another hardware address, what is for this host
    comes by AF_XDP again, soon; until then by the socket."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    address = bare(RELAY["in"][v])
    daemon.start(listens(daemon, v, port, address))
    wait_way(daemon, "xdp")
    new, count = "02:00:00:00:07:07", 0
    with sender(wired, address, port) as source:
        def came_past() -> bool:
            nonlocal count
            before = by_sockets(wired, v)
            source.send(numbered(1, first=count))
            count += 1
            daemon.wait_received("x", count)
            return by_sockets(wired, v) == before

        assert came_past()
        pid = daemon.worker_pid("x")
        wired.ip(wired.home, f"link set in0 address {new}")
        # Who sends has heard of it.
        (route,) = json.loads(wired.lan.run(
            "ip", "-j", "route", "get", address).stdout)
        wired.lan.run("ip", "neigh", "replace", address, "lladdr", new,
                      "dev", route["dev"], "nud", "permanent")
        wait_for(came_past, "AF_XDP", 20, daemon.log)
        assert daemon.worker_pid("x") == pid
    daemon.stop()
    assert sorted(daemon.payloads("x")) == numbered(count)


def reason_of(daemon: Daemon) -> tuple[str, str]:
    (reason,) = daemon.status("x")["reasons"]
    return reason["what"], reason["detail"]


def test_another_program(make_daemon: Callable[..., Daemon], wired: World
                         ) -> None:
    """As long as the interface has one it receives by sockets, or waits if it
    is to receive by AF_XDP only."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    wired.home.run("ip", "link", "set", "in0", "xdp", "obj",
                   str(built("bpf.o").resolve()), "sec", "xdp")
    daemon.start(listens(daemon, 4, port))
    why = wait_way(daemon, "socket")["xdp"]["not"]
    assert re.fullmatch(r"the interface has another XDP program \(number "
                        r"\d+, see bpftool net\): it can have one only", why)
    assert reason_of(daemon) == ("kernel_fallback", why)
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(100), 10000)
        daemon.wait_received("x", 100)
        daemon.write(listens(daemon, 4, port, fallback=False))
        daemon.ctl("reload")
        daemon.wait_state("x", "waiting")
        assert reason_of(daemon) == (
            "kernel_missing", "`path: xdp' without `fallback': " + why)
        wired.home.run("ip", "link", "set", "in0", "xdp", "off")
        assert wait_way(daemon, "xdp")["xdp"]["attached"] == "native"
        before = by_sockets(wired, 4)
        source.send(numbered(100, first=100), 10000)
        daemon.wait_received("x", 200)
        assert by_sockets(wired, 4) == before
        assert daemon.status("x")["reasons"] == []
    daemon.stop()


def test_checksums(make_daemon: Callable[..., Daemon], world: World  # noqa
                   ) -> None:
    """Those that a veth has not computed are wrong, unless they are not looked
    at."""
    leave_tags(world.home, "in0")
    daemon = make_daemon(namespace=world.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    wait_way(daemon, "xdp")
    with sender(world, GROUP_IN[4], port) as source:
        source.send(numbered(100), 10000)
        wait_for(lambda: daemon.ledger("x")["kernel_dropped"] == 100,
                 "100 that are wrong", 10, lambda: daemon.ledger("x"))
        # What comes by the socket is right.
        source.send(numbered(10, 4000, 100), 10000)
        daemon.wait_received("x", 110)
        pid = daemon.worker_pid("x")
        daemon.write(listens(daemon, 4, port, checksum="trust"))
        daemon.ctl("reload")
        daemon.wait_new_worker("x", pid)
        wait_way(daemon, "xdp")
        source.send(numbered(100, first=110), 10000)
        ledger = daemon.wait_received("x", 210)
        assert (ledger["received"], ledger["kernel_dropped"]) == (110, 100)
    daemon.stop()
    assert daemon.payloads("x") == source.sent[100:]


@pytest.mark.parametrize("without, why", [
    ("-bpf,-sys_admin", "CAP_BPF"),
    pytest.param("-net_raw", "CAP_NET_RAW", marks=at_length)])
def test_not_allowed(make_daemon: Callable[..., Daemon],
                     namespace: Namespace, without: str, why: str) -> None:
    """Without the capability it receives by sockets, or waits."""
    leave_tags(namespace, "va")
    daemon = make_daemon(namespace=namespace)
    command, enter = daemon.command, namespace.prefix
    setattr(daemon, "command", lambda *options: [
        *enter, "setpriv", "--bounding-set", without, "--inh-caps", without,
        *command(*options)[len(enter):]])
    port = free_port()
    conf = listens(daemon, 4, port)
    conf["listen"]["interface"] = "va"
    daemon.start(conf)
    assert f"this takes {why}" in wait_way(daemon, "socket")["xdp"]["not"]
    assert reason_of(daemon)[0] == "kernel_fallback"
    with Sender(GROUP_IN[4], port, "vb", namespace) as source:
        source.send(numbered(100), 10000)
        daemon.wait_received("x", 100)
    if why == "CAP_BPF":
        assert "`path: xdp': received by ordinary sockets: cannot load the " \
            f"program into the kernel: this takes {why}" in \
            daemon.check().stdout
    conf["listen"]["fallback"] = False
    daemon.write(conf)
    daemon.ctl("reload")
    daemon.wait_state("x", "waiting")
    assert reason_of(daemon)[0] == "kernel_missing"
    assert f"this takes {why}" in reason_of(daemon)[1]
    daemon.stop()


def test_generic(make_daemon: Callable[..., Daemon], wired: World) -> None:
    """A driver that refuses has the kernel do it, with packets that are too
    large for a program in the driver."""
    for namespace, link in ((wired.home, "in0"), (wired.lan, "inp"),
                            (wired.lan, "ink"), (wired.lan, "inl"),
                            (wired.lan, "in")):
        wired.ip(namespace, f"link set {link} mtu 9000")
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.start(listens(daemon, 4, port))
    assert wait_way(daemon, "xdp")["xdp"]["attached"] == "generic"
    before = by_sockets(wired, 4)
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(100), 10000)
        daemon.wait_received("x", 100)
        assert by_sockets(wired, 4) == before
        source.send(numbered(10, 4000, 100), 10000)
        # What a frame just holds, with its three headers.
        source.send(numbered(1, 1792 - 42, 110), 10000)
        daemon.wait_received("x", 111)
        assert by_sockets(wired, 4) == before + 10
        source.send(numbered(1, 1792 - 41, 111), 10000)
        daemon.wait_received("x", 112)
        assert by_sockets(wired, 4) == before + 11
    daemon.stop()
    assert sorted(daemon.payloads("x")) == sorted(source.sent)


@pytest.mark.skipif(os.cpu_count() == 1, reason="a veth has a queue for each "
                    "processor")
def test_two_queues(make_daemon: Callable[..., Daemon], wired: World) -> None:
    """Each channel has one, and what comes at another one's comes by its
    ordinary socket.  Of a sender, all comes at one of them."""
    daemon = make_daemon(namespace=wired.home)
    for namespace, link in ((wired.home, "in0"), (wired.lan, "inp")):
        namespace.run("ethtool", "-L", link, "rx", "2", "tx", "2")
    ports = {"x": free_port(), "y": free_port()}
    daemon.start(*(listens(daemon, 4, port, name=name, queue=queue)
                   for queue, (name, port) in enumerate(ports.items())))
    for queue, (name, port) in enumerate(ports.items()):
        assert wait_way(daemon, "xdp", name)["xdp"]["queue"] == queue
        sent, ways = [], set()
        for _ in range(100):
            before = by_sockets(wired, 4)
            with sender(wired, GROUP_IN[4], port) as source:
                source.send(numbered(10, first=len(sent)), 10000)
            sent += source.sent
            daemon.wait_received(name, len(sent))
            ways.add(by_sockets(wired, 4) - before)
            if len(ways) > 1:
                break
        assert ways == {0, 10}
        ports[name] = len(sent)
    daemon.stop()
    for name, count in ports.items():
        assert sorted(daemon.payloads(name)) == numbered(count)


def test_all_killed(make_daemon: Callable[..., Daemon], wired: World) -> None:
    """With a service manager nothing is lost or doubled: what had come is in
    the memory that it keeps, and what comes meanwhile in the socket."""
    daemon = make_daemon(namespace=wired.home)
    port, count = free_port(), 6000
    daemon.write(listens(daemon, 4, port, receive_buffer="64MiB"))
    with Manager(daemon.directory) as manager, \
            sender(wired, GROUP_IN[4], port) as source:
        manager.launch(daemon)
        wait_way(daemon, "xdp")
        manager.wait_names("frames.x", "in.x", "seg.x", "xdp.x")
        before = daemon.status("x")["io"]["xdp"]["program"]
        thread = SenderThread(source, numbered(count), 4000)
        wait_for(lambda: daemon.ledger("x")["received"] > 1000, "some", 10)
        manager.kill(daemon, True)
        manager.launch(daemon)
        assert wait_way(daemon, "xdp")["xdp"]["program"] != before
        thread.join()
        ledger = daemon.wait_received("x", count)
        assert ledger["received"] == count
        assert ledger["kernel_dropped"] == 0
        daemon.stop()
    assert sorted(daemon.payloads("x")) == sorted(source.sent)


class Card:
    """What card.c keeps: rules of flows, each in its place."""

    PLACES, SIZE = 8, 176

    def __init__(self, daemon: Daemon, directory: Path) -> None:
        self.table = directory / "card"
        self.reset()
        daemon.environment |= {
            "LD_PRELOAD": str(native.preload("card.c", directory)),
            "MCRELAY_TEST_CARD": str(self.table)}

    def rules(self) -> dict[int, tuple[int, str, int, int, int]]:
        """By place: kind of flow, address, port, queue, VLAN."""
        found = {}
        for place in range(self.PLACES):
            at = self.table.read_bytes()[place * self.SIZE:]
            (there,) = struct.unpack_from("=I", at)
            if not there:
                continue
            kind, flow, mask = (struct.unpack_from("=I", at, 8)[0],
                                at[12:64], at[84:136])
            where, size, port = {2: (4, 4, 10), 6: (16, 16, 34)}[kind & 0xff]
            vlan, vlan_mask = struct.unpack_from(">H70xH", at, 74)
            assert (vlan_mask == 0xfff) == (kind >> 8 == 0x800000), hex(kind)
            # No more than these.
            assert mask.strip(b"\0") and not mask[:where].strip(b"\0")
            assert mask[where:where + size] == b"\xff" * size
            assert mask[port:port + 2] == b"\xff\xff"
            (queue,) = struct.unpack_from("=Q", at, 160)
            found[place] = (kind & 0xff, str(ipaddress.ip_address(
                flow[where:where + size])), *struct.unpack_from(
                    ">H", flow, port), queue, vlan)
        return found

    def reset(self) -> None:
        self.table.write_bytes(bytes(self.PLACES * self.SIZE))

    def fill(self) -> None:
        self.table.write_bytes(
            (b"\2" + bytes(self.SIZE - 1)) * self.PLACES)


@pytest.mark.parametrize("v, vlan", [(4, 0), (6, 0), (4, 7)])
def test_steers(make_daemon: Callable[..., Daemon], wired: World,
                tmp_path: Path, v: int, vlan: int) -> None:
    """By a rule of the card's, which is there as long as the program: not
    twice, after a kill, again when the card has lost it, and not any more in
    the end."""
    if vlan:
        add_vlan(wired, "in", vlan)
    interface = f"in0.{vlan}" if vlan else "in0"
    daemon = make_daemon(namespace=wired.home)
    card = Card(daemon, tmp_path)
    port = free_port()
    rule = {card.PLACES - 1: ({4: 2, 6: 6}[v], GROUP_IN[v], port, 0, vlan)}

    def conf(steer: bool) -> dict[str, Any]:
        return listens(daemon, v, port, steer=steer, interface=interface)
    daemon.start(conf(True))
    wait_way(daemon, "xdp")
    assert card.rules() == rule
    pid = daemon.worker_pid("x")
    card.reset()
    wait_for(lambda: card.rules() == rule, "the rule", 20, daemon.log)
    assert daemon.worker_pid("x") == pid
    for steer in (False, True):
        daemon.write(conf(steer))
        daemon.ctl("reload")
        wait_for(lambda: bool(card.rules()) == steer, "a rule", 20,
                 daemon.log)
        wait_way(daemon, "xdp")
    pid = daemon.worker_pid("x")
    daemon.ctl("upgrade")
    daemon.wait_new_worker("x", pid)
    wait_way(daemon, "xdp")
    assert card.rules() == rule
    daemon.kill()
    assert card.rules() == rule
    daemon.start(conf(True))
    wait_way(daemon, "xdp")
    assert card.rules() == rule
    card.fill()
    fallback = (
        "kernel_fallback", "`steer': interface in0 does not take a rule (see "
        "ethtool -n, and ntuple-filters of ethtool -k): No space left on "
        "device")
    wait_way(daemon, "socket")
    assert reason_of(daemon) == fallback
    card.reset()
    daemon.stop()
    daemon.start(conf(True))
    wait_way(daemon, "xdp")
    daemon.stop()
    assert card.rules() == {}
    card.fill()
    daemon.start(conf(True))
    wait_way(daemon, "socket")
    assert reason_of(daemon) == fallback


def test_cannot_steer(make_daemon: Callable[..., Daemon], wired: World
                      ) -> None:
    """A veth takes no rules."""
    daemon = make_daemon(namespace=wired.home)
    why = "`steer': interface in0 takes no rules: Operation not supported"
    port = free_port()
    daemon.write(listens(daemon, 4, port, steer=True))
    done = daemon.check()
    assert done.returncode == 0, done.stderr
    assert f"`path: xdp': received by ordinary sockets: {why}\n" \
        in done.stdout
    daemon.start(listens(daemon, 4, port, steer=True))
    wait_way(daemon, "socket")
    assert reason_of(daemon) == ("kernel_fallback", why)
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(100), 10000)
        daemon.wait_received("x", 100)


def test_said(make_daemon: Callable[..., Daemon]) -> None:
    """-n says what would be used, what it takes, and what cannot be."""
    daemon = make_daemon()
    needs = []
    for path in ("socket", "xdp"):
        daemon.write(listens(daemon, 4, 20000, path=path))
        done = daemon.check()
        assert done.returncode == 0, done.stderr
        said = re.search(r"needs (\d+) MiB of memory.* (\d+) descriptors",
                         done.stdout)
        assert said, done.stdout
        needs.append([int(number) for number in said.groups()])
    assert "`path: xdp': received by AF_XDP sockets\n" in done.stdout
    # 16384 frames of 2 KiB; socket, memory, program.
    assert needs[1] == [needs[0][0] + 32, needs[0][1] + 3]
    conf = listens(daemon, 4, 20000)
    del conf["listen"]["interface"]
    daemon.write(conf)
    done = daemon.check()
    assert done.returncode == 1
    assert "`path: xdp' needs an `interface', at whose queue" in done.stderr
