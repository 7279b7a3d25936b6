# SPDX-License-Identifier: ISC
"""Outputs that a program in the kernel relays to."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

import gen
from daemon import Daemon, channel, output
from manager import Manager
from net import (Namespace, Receiver, Sender, SenderThread, endless,
                 free_port, numbered, receiving_socket)
from test_world import (GROUP_IN, GROUP_OUT, OTHERS, RELAY, World,  # noqa: F401
                        bare, world)
from waiting import wait_for

RATE = 4000
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
LONG = os.environ.get("MCRELAY_TEST_LONG") == "1"


def has_library() -> bool:
    return Path(os.environ.get("MCRELAY_BUILDDIR", "."),
                "bpf/kernel_relay.skel.h").exists()


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may put programs into the kernel")
built = pytest.mark.skipif(
    not has_library(), reason="mcrelayd was built without libbpf")


at_length = pytest.mark.skipif(not LONG, reason="needs MCRELAY_TEST_LONG=1")


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
@pytest.mark.parametrize("kind, v", [
    ("group", 4), ("unicast", 6),
    pytest.param("group", 6, marks=at_length),
    pytest.param("unicast", 4, marks=at_length)])
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
        run_of(source, 20, 200, 330)
        sink.all_once(350)
        ledger = daemon.wait_received("k", 350)
        assert ledger["kernel_relayed"] == 340
        assert ledger["relayed"] == 10
        assert ledger["kernel_relay_errors"] == 0
        (out,) = daemon.status("k")["outputs"]
        assert out["program_counts"] == {
            "datagrams": 340, "bytes": 300 * 100 + 20 * 1400 + 20 * 200,
            "errors": 0}
        sent = dict(zip(numbers(source.sent), source.sent))
        assert all(sent.get(n, d) == d for n, d in zip(
            numbers(sink.datagrams), sink.datagrams))
    daemon.stop()
    assert not programs_at(world.home, "in0")


def add_vlan(world: World, net: str, number: int) -> None:
    for where, parent, address in (
            (world.home, f"{net}0", f"10.82.{number}.1/24"),
            (world.lan, net, f"10.82.{number}.2/24")):
        link = f"{parent}.{number}"
        try:
            where.run(*f"ip link add link {parent} name {link} type vlan id "
                      f"{number}".split())
        except subprocess.CalledProcessError as e:
            if "Unknown device type" in e.stderr:
                pytest.skip("this kernel has no VLANs")
            raise
        world.ip(where, f"link set {link} up", f"addr add {address} dev {link}")


def run_of(source: Sender, count: int, size: int, first: int) -> None:
    """To the kernel as one packet."""
    source.socket.sendmsg([b"".join(numbered(count, size, first))], [
        (SOL_UDP, UDP_SEGMENT, struct.pack("@H", size))])


def runs_that_came(s: socket.socket) -> list[tuple[int, int]]:
    """Of each message that waits: its size, and that of its datagrams."""
    found = []
    while True:
        try:
            data, said, _, _ = s.recvmsg(65536, 64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return found
        found.append((len(data), struct.unpack("@i", said[0][2])[0]
                      if said else len(data)))


def relay_runs(daemon: Daemon, world: World, of_in: str, of_out: str,
               network: str) -> None:
    """Of some senders: and what came as a run leaves as one."""
    port, to, group = free_port(), free_port(), GROUP_OUT[4]
    whole = relayed(4, port, to_group(4, to)
                    | {"interface": f"out0{of_out}"},
                    listen_sources=[f"{network}.0/31", f"{network}.2"])
    whole["listen"]["interface"] = f"in0{of_in}"
    world.ip(world.lan, f"addr add {network}.3/24 dev in{of_in}")
    daemon.start(whole)
    wait_kernel(daemon)
    with Receiver(group, to, f"out{of_out}", world.lan) as sink, \
            receiving_socket(group, to, f"out{of_out}", world.lan) as runs, \
            Sender(GROUP_IN[4], port, f"in{of_in}", world.lan,
                   f"{network}.3") as other, \
            Sender(GROUP_IN[4], port, f"in{of_in}", world.lan,
                   f"{network}.2") as source:
        runs.setsockopt(SOL_UDP, UDP_GRO, 1)
        other.send(numbered(50, first=1000), RATE)
        source.send(numbered(100), RATE)
        run_of(source, 20, 200, 100)
        assert sorted(numbers(sink.wait(120))) == list(range(120))
        assert runs_that_came(runs)[-1] == (20 * 200, 200)
        ledger = daemon.wait_received("k", 170)
        assert ledger["kernel_relayed"] == 120 and ledger["relayed"] == 0
        assert ledger["refused_source"] == 50
        assert sorted(numbers(sink.datagrams)) == list(range(120))


@built
def test_runs_of_some_senders(make_daemon: Callable[..., Daemon],
                              world: World) -> None:
    daemon = make_daemon(namespace=world.home)
    relay_runs(daemon, world, "", "", "10.81.1")
    daemon.stop()


@built
def test_vlans(make_daemon: Callable[..., Daemon], world: World) -> None:
    """From one to another."""
    add_vlan(world, "in", 7)
    add_vlan(world, "out", 9)
    daemon = make_daemon(namespace=world.home)
    relay_runs(daemon, world, ".7", ".9", "10.82.7")
    daemon.stop()


def with_tag(frame: bytes, number: int) -> bytes:
    return frame[:12] + struct.pack(">HH", 0x8100, number) + frame[12:]


@built
def test_tagged(make_daemon: Callable[..., Daemon], world: World) -> None:
    """What has a tag is not the interface's that it comes in by."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, to_group(4, to)))
    wait_kernel(daemon)
    with Sink(world, GROUP_OUT[4], to) as sink, \
            sender(world, GROUP_IN[4], port) as source, \
            world.lan.enter(lambda: socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))) as raw:
        raw.bind(("in", 3))
        raw.settimeout(5)
        source.send(numbered(1), RATE)
        # Others speak as well, of addresses that are many zeros.
        frame = raw.recv(2048)
        while frame[12:14] != bytes((8, 0)) or \
                frame[36:38] != struct.pack(">H", port):
            frame = raw.recv(2048)
        frame = frame[:40] + bytes(2) + frame[42:]      # no checksum
        raw.send(with_tag(frame, 7))
        raw.send(frame)
        source.send(numbered(1, first=1), RATE)
        sink.wait(3)
        assert numbers(sink.datagrams) == [0, 0, 1]
        assert daemon.wait_received("k", 3)["kernel_relayed"] == 3
        assert len(sink.datagrams) == 3
    daemon.stop()


class Forgetful:
    """A host and one behind it, whose neighbour comes and goes."""

    def __init__(self, world: World, v: int) -> None:
        self.world, self.v = world, v
        self.near = bare(OTHERS["out"][v])
        self.far = "fd83::9" if v == 6 else "10.83.0.9"
        world.ip(world.lan, f"addr add {self.far} dev lo")
        world.ip(world.home, f"route add {self.far} via {self.near}")

    def neighbour(self, what: str) -> None:
        self.world.ip(self.world.home,
                      f"neigh {what.format(self.near)} dev out0")

    def output(self, address: str, port: int) -> dict[str, Any]:
        return output(address, port, ttl=3, path="kernel")


def is_not_known(daemon: Daemon) -> None:
    wait_kernel(daemon, "worker")
    for out in daemon.status("k")["outputs"]:
        assert "hardware address is not known" in out["not_kernel"]


@built
@pytest.mark.parametrize("v", [
    4, pytest.param(6, marks=at_length)])
def test_to_hosts(make_daemon: Callable[..., Daemon], world: World, v: int
                  ) -> None:
    """A host of the network and one behind it: what the program does while
    it knows the way, the worker does else; each leaves once."""
    port, to, hosts = free_port(), free_port(), Forgetful(world, v)
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(v, port, hosts.output(hosts.near, to),
                         hosts.output(hosts.far, to)))
    wait_kernel(daemon)
    with Sink(world, hosts.near, to) as near, \
            Sink(world, hosts.far, to) as far, \
            sender(world, GROUP_IN[v], port) as source:
        source.send(numbered(200), RATE)
        source.send(numbered(10, 4000, 200), RATE)      # in fragments
        near.all_once(210)
        far.all_once(210)
        ledger = daemon.wait_received("k", 210)
        assert ledger["kernel_relayed"] == 400 and ledger["relayed"] == 20

        # The way to one of them takes less: that is the worker's.
        less = "route replace {} via {} mtu 1300"
        world.ip(world.home, less.format(hosts.far, hosts.near))
        daemon.ctl("reload")
        source.send(numbered(20, 1350, 210), RATE)
        far.all_once(230)
        ledger = daemon.wait_received("k", 230)
        assert ledger["kernel_relayed"] == 420 and ledger["relayed"] == 40

        # Forgotten: nobody but who sends finds out.
        hosts.neighbour("del {}")
        is_not_known(daemon)
        source.send(numbered(100, first=230), RATE)
        wait_kernel(daemon)
        far.all_once(330)
        before = daemon.wait_received("k", 330)
        assert before["relayed"] > 40
        source.send(numbered(100, first=330), RATE)
        far.all_once(430)
        near.all_once(430)
        after = daemon.wait_received("k", 430)
        assert after["kernel_relayed"] == before["kernel_relayed"] + 200
    daemon.stop()


@built
def test_moved_host(make_daemon: Callable[..., Daemon], world: World) -> None:
    """It is followed to another hardware address, and to another way."""
    port, to, hosts = free_port(), free_port(), Forgetful(world, 4)
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, hosts.output(hosts.far, to)))
    wait_kernel(daemon)
    with Sink(world, hosts.far, to) as sink, \
            sender(world, GROUP_IN[4], port) as source:
        def arrives() -> bool:
            source.send(numbered(1), RATE)
            (out,) = daemon.status("k")["outputs"]
            return bool(sink.datagrams) and out["path"] == "kernel"

        def moved() -> None:
            sink.datagrams.clear()
            wait_for(arrives, "a datagram at the new place", 5)
            before = daemon.wait_received("k", len(source.sent))
            source.send(numbered(100, first=1), RATE)
            after = daemon.wait_received("k", len(source.sent))
            assert after["kernel_relayed"] == before["kernel_relayed"] + 100
            wait_for(lambda: sorted(n for n in numbers(sink.datagrams) if n)
                     == list(range(1, 101)), "each of 100, once", 5)

        world.ip(world.lan, "link set out address 02:00:00:00:82:99")
        hosts.neighbour("replace {} lladdr 02:00:00:00:82:99")
        moved()
        world.ip(world.lan, "addr add 10.81.1.9/24 dev in")
        world.ip(world.home, f"route replace {hosts.far} via 10.81.1.9")
        daemon.wait_log("sends from 10.81.1.1:")
        moved()
        # This host itself is none to be sent to.
        world.ip(world.home, f"route del {hosts.far}",
                 f"addr add {hosts.far} dev lo")
        (out,) = wait_kernel(daemon, "worker")
        assert "no route leads from here" in out["not_kernel"]
    daemon.stop()


@built
def test_link_local_sender(make_daemon: Callable[..., Daemon], world: World
                           ) -> None:
    """Its datagrams are the worker's, and leave once."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(6, port, to_group(6, to)))
    wait_kernel(daemon)
    with Sink(world, GROUP_OUT[6], to) as sink, \
            Sender(GROUP_IN[6], port, "in", world.lan,
                   "fe80::ff:fe00:8201") as source:
        source.send(numbered(100), RATE)
        sink.all_once(100)
        assert daemon.wait_received("k", 100)["relayed"] == 100
        sink.all_once(100)
    daemon.stop()


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


STORM_CHANNELS = 4
CHANGES = 1000 if LONG else 20


@built
def test_storm(make_daemon: Callable[..., Daemon], world: World) -> None:
    """Each reload changes what the program is told of each channel, under
    traffic: outputs come and go, before and behind the one that is looked at,
    and are given other hops; nothing is lost or leaves twice."""
    daemon = make_daemon(namespace=world.home)
    ports = [free_port() for _ in range(STORM_CHANNELS)]
    to, groups = free_port(), [f"239.192.7.{20 + n}"
                               for n in range(STORM_CHANNELS)]

    def configured(turn: int) -> list[dict[str, Any]]:
        def outputs(n: int) -> list[dict[str, Any]]:
            kept = to_group(4, to, n + 1) | {"ttl": 2 + turn % 3}
            more = to_group(4, to, 100 + n)
            return [[kept], [more, kept], [kept, more]][turn % 3]
        return [channel(f"c{n}", ports[n], groups[n], outputs(n),
                        listen_interface="in0")
                for n in range(STORM_CHANNELS)]

    daemon.start(*configured(0))
    for n in range(STORM_CHANNELS):
        wait_kernel(daemon, name=f"c{n}")
    with ExitStack() as stack:
        sinks = [stack.enter_context(Sink(world, f"239.192.8.{n + 1}", to))
                 for n in range(STORM_CHANNELS)]
        sources = [stack.enter_context(sender(world, groups[n], ports[n]))
                   for n in range(STORM_CHANNELS)]
        going = True

        def send(source: Sender) -> None:
            while going:
                source.send(numbered(100, first=len(source.sent)),
                            RATE / STORM_CHANNELS)
        threads = [threading.Thread(target=send, args=(s,), daemon=True)
                   for s in sources]
        for thread in threads:
            thread.start()
        try:
            for turn in range(1, CHANGES // STORM_CHANNELS + 1):
                daemon.write(*configured(turn))
                daemon.ctl("reload")
        finally:
            going = False
            for thread in threads:
                thread.join()
        for n, (sink, source) in enumerate(zip(sinks, sources)):
            sink.all_once(len(source.sent))
            ledger = daemon.wait_settled(f"c{n}")
            assert ledger["kernel_relayed"] > 0
            assert ledger["kernel_dropped"] == ledger["relay_errors"] == 0
    daemon.stop()


@built
def test_closed_interface(make_daemon: Callable[..., Daemon], world: World
                          ) -> None:
    """Where somebody else has the program's place the worker relays, which
    the state says; and the program does when that one has gone."""
    port, to = free_port(), free_port()
    world.home.run("tc", "qdisc", "add", "dev", "in0", "clsact")
    other = ("tc", "filter", "add", "dev", "in0", "ingress", "protocol",
             "all", "prio", str(0x6d63), "u32", "match", "u32", "0", "0",
             "classid", "1:1")
    world.home.run(*other)
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, to_group(4, to)))
    daemon.wait_state("k", "degraded")
    status = daemon.status("k")
    (reason,) = status["reasons"]
    (out,) = status["outputs"]
    assert reason["what"] == "kernel_failing" and out["path"] == "worker"
    assert "in0 takes no program: " in reason["detail"]
    assert out["not_kernel"] == reason["detail"]
    with Sink(world, GROUP_OUT[4], to) as sink, \
            sender(world, GROUP_IN[4], port) as source:
        source.send(numbered(100), RATE)
        sink.all_once(100)
        world.home.run("tc", "filter", "del", "dev", "in0", "ingress")
        wait_kernel(daemon)
        daemon.wait_state("k", "running")
        source.send(numbered(100, first=100), RATE)
        sink.all_once(200)
        ledger = daemon.wait_received("k", 200)
        assert ledger["relayed"] == ledger["kernel_relayed"] == 100
    daemon.stop()
    # Who wants nothing else waits for it.
    world.home.run(*other)
    daemon.write(relayed(4, port, to_group(4, to, fallback=False)))
    daemon.launch()
    wait_for(daemon.try_status, "the daemon's answer", 15, daemon.log)
    daemon.wait_state("k", "waiting")
    (reason,) = daemon.status("k")["reasons"]
    assert reason["what"] == "kernel_missing"
    assert "in0 takes no program: " in reason["detail"]
    world.home.run("tc", "filter", "del", "dev", "in0", "ingress")
    wait_kernel(daemon)
    daemon.stop()


@built
def test_all_dead(make_daemon: Callable[..., Daemon], world: World) -> None:
    """Everything is killed: it goes on relaying; the next one takes away what
    it finds, and has its own."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, to_group(4, to), to_group(4, to, 1)))
    (first, _) = wait_kernel(daemon)
    with Sink(world, GROUP_OUT[4], to) as sink, \
            Sink(world, "239.192.8.1", to) as other, \
            sender(world, GROUP_IN[4], port) as source:
        thread = SenderThread(source, endless(), RATE)
        sink.wait(RATE // 2)
        daemon.kill()
        assert not daemon.processes()
        sink.wait(len(source.sent) + RATE)
        thread.end()
        count = len(source.sent)
        sink.all_once(count)
        other.all_once(count)
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


@built
@pytest.mark.parametrize("rate", [
    5000, pytest.param(200_000, marks=at_length)])
def test_kept(make_daemon: Callable[..., Daemon], world: World, rate: int
              ) -> None:
    """A service manager keeps sockets and segments when everything is killed:
    the archive has each once, and so has who is behind the output."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    daemon.write(relayed(4, port, to_group(4, to), archive={
        "directory": str(daemon.archive)}, **({} if rate == 5000 else {
            "listen_receive_buffer": "1023MiB", "ring_size": "256MiB"})))
    count = rate * 4
    with Manager(daemon.directory) as manager:
        manager.launch(daemon)
        (before,) = wait_kernel(daemon)
        with gen.sink(daemon.programs, GROUP_OUT[4], "-i", "out", "-I", "20s",
                      "-n", str(count), port=to, namespace=world.lan
                      ) as sink, \
                gen.source(daemon.programs, GROUP_IN[4], port, "-i", "in",
                           "-r", str(rate), "-n", str(count),
                           namespace=world.lan) as source:
            for turn in (1, 2):
                wait_for(lambda: daemon.ledger("k")["received"] >
                         rate * turn, "datagrams before the kill", 60)
                manager.kill(daemon, True)
                manager.launch(daemon)
                (now,) = wait_kernel(daemon)
                assert now["program"] != before["program"]
                assert len(programs_at(world.home, "in0")) == 1
            assert source.result()["sent"] == count
            came = sink.result()
        ledger = daemon.wait_received("k", count)
        assert ledger["kernel_dropped"] == ledger["archive_shed"] == 0
        daemon.stop()
    assert (came["received"], came["lost"], came["doubled"],
            came["reordered"]) == (count, 0, 0, 0)
    stored = [gen.sequence(d) for d in daemon.payloads("k")]
    assert stored == list(range(stored[0], stored[0] + count))


@built
@at_length
def test_upgrade(make_daemon: Callable[..., Daemon], world: World) -> None:
    """The next image puts its own in place of the program that it finds."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, to_group(4, to)))
    (before,) = wait_kernel(daemon)
    count = RATE * 2
    with Sink(world, GROUP_OUT[4], to) as sink, \
            sender(world, GROUP_IN[4], port) as source:
        thread = SenderThread(source, numbered(count), RATE)
        daemon.ctl("upgrade")

        def replaced() -> bool:
            (out,) = wait_kernel(daemon)
            return bool(out["program"] != before["program"])
        wait_for(replaced, "another program", 10)
        thread.join()
        sink.all_once(count)
        (now,) = programs_at(world.home, "in0")
        assert now["prog"]["id"] == wait_kernel(daemon)[0]["program"]
        daemon.wait_received("k", count)
    daemon.stop()


@built
@at_length
def test_many_outputs(make_daemon: Callable[..., Daemon], world: World
                      ) -> None:
    """Sixteen of them, on two interfaces, for some senders; what is too large
    for one interface is the worker's there."""
    port, to = free_port(), free_port()
    world.ip(world.home, "link add small0 mtu 1000 type veth peer name small "
             f"netns {world.lan.name}", "link set small0 up",
             "addr add 10.81.6.1/24 dev small0")
    world.ip(world.lan, "addr add 10.81.6.2/24 dev small",
             "addr add 10.81.1.3/24 dev in", "link set small up")
    outputs = [to_group(4, to, n + 1) for n in range(16)]
    outputs[15]["interface"] = "small0"
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, *outputs,
                         listen_sources=["10.81.1.0/31", "10.81.1.2"]))
    wait_kernel(daemon)
    with Sink(world, "239.192.8.1", to) as first, \
            Receiver("239.192.8.16", to, "small", world.lan) as last, \
            sender(world, GROUP_IN[4], port) as source, \
            Sender(GROUP_IN[4], port, "in", world.lan,
                   "10.81.1.3") as other:
        other.send(numbered(50, first=1000), RATE)
        source.send(numbered(200), RATE)
        source.send(numbered(20, 980, 200), RATE)
        first.all_once(220)
        assert sorted(numbers(last.wait(220))) == list(range(220))
        ledger = daemon.wait_received("k", 270)
        assert ledger["refused_source"] == 50
        assert ledger["kernel_relayed"] == 16 * 200 + 15 * 20
        assert ledger["relayed"] == 20
    daemon.stop()


@built
def test_not_allowed(make_daemon: Callable[..., Daemon], namespace: Namespace
                     ) -> None:
    """Without the capability the worker relays, or the channel waits."""
    port, to = free_port(), free_port()
    daemon = make_daemon(namespace=namespace)
    command, enter = daemon.command, namespace.prefix
    setattr(daemon, "command", lambda *options: [
        *enter, "setpriv", "--bounding-set", "-bpf,-sys_admin",
        "--inh-caps", "-bpf,-sys_admin", *command(*options)[len(enter):]])
    whole = relayed(4, port, to_group(4, to) | {"interface": "vb"})
    whole["listen"]["interface"] = "va"
    daemon.start(whole)
    (out,) = wait_kernel(daemon, "worker")
    assert "CAP_BPF" in out["not_kernel"]
    (reason,) = daemon.status("k")["reasons"]
    assert reason["what"] == "kernel_fallback"
    assert reason["detail"] == out["not_kernel"]
    with Receiver(GROUP_OUT[4], to, "va", namespace) as sink, \
            Sender(GROUP_IN[4], port, "vb", namespace) as source:
        source.send(numbered(100), RATE)
        assert sorted(numbers(sink.wait(100))) == list(range(100))
    whole["relay"][0]["fallback"] = False
    daemon.write(whole)
    daemon.ctl("reload")
    daemon.wait_state("k", "waiting")
    (reason,) = daemon.status("k")["reasons"]
    assert reason["what"] == "kernel_missing"
    assert "CAP_BPF" in reason["detail"]
    daemon.stop()


@built
def test_given_up(make_daemon: Callable[..., Daemon], world: World) -> None:
    """The first one that comes by a reload waits for a restart."""
    port, to = free_port(), free_port()
    kernel = relayed(4, port, to_group(4, to))
    daemon = make_daemon(namespace=world.home)
    daemon.start(relayed(4, port, to_group(4, to) | {"path": "worker"}))
    daemon.write(kernel)
    answer = daemon.ctl("reload")
    assert "could use CAP_BPF, to load programs into" in \
        answer.stdout + answer.stderr
    (out,) = wait_kernel(daemon, "worker")
    assert "gives up if nothing asks for them" in out["not_kernel"]
    daemon.stop()
    # It takes two of the capabilities, and these alone.
    command, enter = daemon.command, world.home.prefix
    setattr(daemon, "command", lambda *options: [
        *enter, "setpriv", "--bounding-set", "-perfmon,-sys_admin",
        *command(*options)[len(enter):]])
    daemon.start(kernel)
    wait_kernel(daemon)
    daemon.stop()


REFUSED = [
    ({"address": "10.81.2.255", "broadcast": True}, {},
     "leave `broadcast' out"),
    ({"loop": True}, {}, "`loop: false'"),
    ({"interface": None}, {}, "needs an `interface' for a group"),
    ({"address": GROUP_OUT[6]}, {}, "by the IP version"),
    ({"keep_source": True}, {}, "leave `keep_source' out"),
    ({"ttl": 0}, {}, "at least 1"),
    ({}, {"address": "0.0.0.0"}, "needs one `address'"),
    ({}, {"interface": None}, "needs an `interface' in `listen'"),
    ({"path": "worker", "fallback": False}, {}, "is for `path: kernel'"),
]


@pytest.mark.parametrize("of_output, of_listen, why", REFUSED)
def test_refused(make_daemon: Callable[..., Daemon],
                 of_output: dict[str, Any], of_listen: dict[str, Any],
                 why: str) -> None:
    """What the program cannot do is no configuration."""
    daemon = make_daemon()
    whole = relayed(4, 20000, to_group(4, 20001))
    for values, change in ((whole["relay"][0], of_output),
                           (whole["listen"], of_listen)):
        values.update(change)
        for key in [k for k, v in values.items() if v is None]:
            del values[key]
    daemon.write(whole)
    done = daemon.check()
    assert done.returncode == 1 and why in done.stderr, done.stderr


def test_merge_refused(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    whole = relayed(4, 20000, to_group(4, 20001))
    whole["listen"] = [whole["listen"], whole["listen"] | {"port": 20002}]
    whole["payload"]["sequence"] = {"type": "u64be", "offset": 0}
    whole["merge"] = "sequence"
    daemon.write(whole)
    assert "not with `merge'" in daemon.check().stderr


def test_said(make_daemon: Callable[..., Daemon]) -> None:
    """-n says what would be used."""
    daemon = make_daemon()
    daemon.write(relayed(4, 20000, to_group(4, 20001)))
    done = daemon.check()
    assert done.returncode == 0, done.stderr
    assert ("by a program in the kernel" if has_library() else
            "by workers: this mcrelayd was built without libbpf") in \
        done.stdout
