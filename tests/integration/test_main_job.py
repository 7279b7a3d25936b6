# SPDX-License-Identifier: ISC
"""The main job: what comes in leaves byte for byte and lies in the archive,
over v4 and v6, unicast and groups, avro and raw."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

import accel
import avro_files
from daemon import Daemon, channel, output
from net import (IP_RECVTTL, Namespace, Receiver, Sender, free_port,
                 group_v4, group_v6, numbered, receiving_socket, varied)

COUNT = 1500


def payload_conf(form: str, source: Path) -> dict[str, str]:
    if form == "raw":
        return {"format": "raw"}
    return {"format": "avro",
            "schema": str(source / "etc/example/accel.avsc")}


def traffic(form: str) -> list[bytes]:
    if form == "raw":
        return varied(COUNT)
    # From one datum in a datagram to a datagram near the limit.
    return accel.datagrams(COUNT - 2, 3) + accel.datagrams(1, 1, 9000) + \
        accel.datagrams(1, 1500, 10000)


def assert_archived(daemon: Daemon, name: str, form: str,
                    sent: list[bytes]) -> None:
    if form == "raw":
        assert daemon.payloads(name) == sent
    else:
        assert avro_files.archived_datums(daemon.archive, name) == \
            b"".join(sent)


@pytest.mark.parametrize("form", ["raw", "avro"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_unicast(daemon: Daemon, source: Path, address: str, form: str
                 ) -> None:
    loopback = "::1" if ":" in address else "127.0.0.1"
    port = free_port()
    with Receiver(loopback) as receiver:
        daemon.start(channel(
            "one", port, address, payload=payload_conf(form, source),
            relay=[output(loopback, receiver.port)],
            archive=daemon.archive_conf()))
        with Sender(loopback, port) as sender:
            sender.send(traffic(form))
            ledger = daemon.wait_received("one", COUNT)
            assert ledger["received"] == COUNT
            assert ledger["received_bytes"] == sum(map(len, sender.sent))
            assert ledger["archived"] == COUNT
            assert receiver.wait(COUNT) == sender.sent
            daemon.stop()
            assert_archived(daemon, "one", form, sender.sent)


@pytest.mark.parametrize("form", ["raw", "avro"])
def test_group_v4(daemon: Daemon, source: Path, form: str) -> None:
    port = free_port()
    group_in, group_out = group_v4(), group_v4()
    with Receiver(group_out) as receiver:
        daemon.start(channel(
            "one", port, group_in, listen_interface="lo",
            payload=payload_conf(form, source),
            relay=[output(group_out, receiver.port)],
            archive=daemon.archive_conf()))
        with Sender(group_in, port) as sender:
            sender.send(traffic(form))
            assert daemon.wait_received("one", COUNT)["archived"] == COUNT
            assert receiver.wait(COUNT) == sender.sent
            daemon.stop()
            assert_archived(daemon, "one", form, sender.sent)


@pytest.mark.parametrize("form", ["raw", "avro"])
@pytest.mark.parametrize("group", [group_v4, group_v6])
def test_group_over_wire(
        make_daemon: Callable[..., Daemon], namespace: Namespace,
        source: Path, form: str, group: Callable[[], str]) -> None:
    """In at one end of a veth pair and out at the same; MTU 1500."""
    daemon = make_daemon(namespace=namespace)
    port = free_port()
    group_in, group_out = group(), group()
    with Receiver(group_out, 0, "va", namespace) as receiver:
        daemon.start(channel(
            "one", port, group_in, listen_interface="vb",
            payload=payload_conf(form, source),
            relay=[output(group_out, receiver.port, interface="vb")],
            archive=daemon.archive_conf()))
        with Sender(group_in, port, "va", namespace) as sender:
            sender.send(traffic(form), rate=2000)
            assert daemon.wait_received("one", COUNT)["archived"] == COUNT
            assert receiver.wait(COUNT) == sender.sent
            daemon.stop()
            assert_archived(daemon, "one", form, sender.sent)


def test_archive_record(daemon: Daemon) -> None:
    """Who sent it, and when, in a raw channel's records."""
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as a, Sender("127.0.0.1", port) as b:
        for n in range(50):
            (a if n % 3 else b).send(numbered(1, first=n))
        daemon.wait_received("one", 50)
        daemon.stop()
        (path,) = avro_files.files(daemon.archive, "one")
        records = avro_files.read_datagrams(path)
        assert [r.source for r in records] == \
            [(a if n % 3 else b).source for n in range(50)]
    times = [r.received_ns for r in records]
    assert times == sorted(times)
    finished_ns = path.stat().st_mtime_ns
    assert all(0 <= finished_ns - t < 60e9 for t in times)
    first = records[0].sequence
    assert [r.sequence for r in records] == list(range(first, first + 50))


def test_empty_and_largest(daemon: Daemon) -> None:
    """A datagram can hold nothing, or 65 507 bytes."""
    port = free_port()
    sent = [b"", b"x", b"", b"", bytes(65507), b"", b"y" * 65507, b"end"]
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf()))
        sender.send(sent)
        assert daemon.wait_received("one", len(sent))["truncated"] == 0
        assert receiver.wait(len(sent)) == sent
        daemon.stop()
        assert daemon.payloads("one") == sent


def test_several_outputs(daemon: Daemon) -> None:
    """Each gets everything; one that nobody listens to harms none."""
    port, group = free_port(), group_v4()
    with Receiver() as first, Receiver(group) as second:
        nobody = free_port()
        daemon.start(channel("one", port, relay=[
            output("127.0.0.1", first.port),
            output("127.0.0.1", nobody),
            output(group, second.port)], archive=daemon.archive_conf()))
        with Sender("127.0.0.1", port) as sender:
            sender.send(varied(COUNT, 1472))
            daemon.wait_received("one", COUNT)
            assert first.wait(COUNT) == sender.sent
            assert second.wait(COUNT) == sender.sent
        outputs = {o["port"]: o for o in daemon.status("one")["outputs"]}
        assert set(outputs) == {first.port, second.port, nobody}
        assert outputs[first.port]["relay_errors"] == 0
        assert outputs[second.port]["address"] == group


def test_ten_channels(daemon: Daemon, source: Path) -> None:
    """v4 and v6, unicast and group, avro and raw, all at once."""
    count = 400
    with ExitStack() as stack:
        channels: list[dict[str, Any]] = []
        plan = []
        for n in range(10):
            form = "avro" if n % 2 else "raw"
            kind = ("unicast", "group", "v6")[n % 3]
            address = {"unicast": "127.0.0.1", "group": group_v4(),
                       "v6": "::1"}[kind]
            port = free_port()
            receiver = stack.enter_context(
                Receiver("::1" if n % 3 == 2 else group_v4()))
            more = {"listen_interface": "lo"} if kind == "group" else {}
            channels.append(channel(
                f"ch-{n}", port, address,
                payload=payload_conf(form, source),
                relay=[output(receiver.address, receiver.port)],
                archive=daemon.archive_conf(), **more))
            plan.append((f"ch-{n}", form, receiver, address, port))
        daemon.start(*channels)
        senders = [stack.enter_context(Sender(address, port))
                   for _, _, _, address, port in plan]
        for n in range(count):      # all channels interleaved
            for at, (_, form, _, _, _) in enumerate(plan):
                senders[at].send(
                    accel.datagrams(1, 1 + n % 3, n * 3) if form == "avro"
                    else numbered(1, 50 + n % 900, n * 10 + at))
        for (name, form, receiver, _, _), sender in zip(plan, senders):
            assert daemon.wait_received(name, count)["archived"] == count
            assert receiver.wait(count) == sender.sent
        daemon.stop()
        for (name, form, _, _, _), sender in zip(plan, senders):
            assert_archived(daemon, name, form, sender.sent)


def test_two_groups_on_one_port(daemon: Daemon) -> None:
    """Each channel gets its own group's datagrams and no others."""
    port = free_port()
    groups = [group_v4(), group_v4()]
    daemon.start(*(channel(f"g{n}", port, group, listen_interface="lo",
                           archive=daemon.archive_conf())
                   for n, group in enumerate(groups)))
    with Sender(groups[0], port) as a, Sender(groups[1], port) as b:
        a.send(numbered(200))
        b.send(numbered(300, first=1000))
        daemon.wait_received("g0", 200)
        daemon.wait_received("g1", 300)
        daemon.stop()
        assert daemon.payloads("g0") == a.sent
        assert daemon.payloads("g1") == b.sent


def test_sources(daemon: Daemon) -> None:
    """Datagrams from elsewhere are refused, counted, and go nowhere."""
    port = free_port()
    with Receiver() as receiver:
        daemon.start(channel(
            "one", port, "0.0.0.0", listen_sources=["127.0.0.2/31"],
            relay=[output("127.0.0.1", receiver.port)],
            archive=daemon.archive_conf()))
        with Sender("127.0.0.1", port) as wrong, \
                Sender("127.0.0.1", port, local="127.0.0.3") as right:
            wrong.send(numbered(70))
            right.send(numbered(50, first=100))
            ledger = daemon.wait_received("one", 120)
            assert ledger["refused_source"] == 70
            assert ledger["received"] == 50
            assert receiver.wait(50) == right.sent
            daemon.stop()
            assert daemon.payloads("one") == right.sent


def test_sources_of_a_group(daemon: Daemon) -> None:
    """Single hosts and a group: a source-specific join; what others send to
    the group never arrives."""
    port, group = free_port(), group_v4()
    daemon.start(channel("one", port, group, listen_interface="lo",
                         listen_sources=["127.0.0.3"],
                         archive=daemon.archive_conf()))
    with Sender(group, port) as wrong, \
            Sender(group, port, local="127.0.0.3") as right:
        for n in range(0, 500, 50):
            wrong.send(numbered(50, first=10000 + n))
            right.send(numbered(50, first=n))
        ledger = daemon.wait_received("one", 500)
        assert ledger["received"] == 500
        daemon.stop()
        assert daemon.payloads("one") == right.sent


def test_ttl_and_loop(make_daemon: Callable[..., Daemon],
                      namespace: Namespace) -> None:
    """As far as the output says, and not to listeners on the sender's own
    interface when it says loop: false."""
    daemon = make_daemon(namespace=namespace)
    port, near, far = free_port(), group_v4(), group_v4()
    with Receiver(near, 0, "vb", namespace) as own, \
            Receiver(far, 0, "vb", namespace) as own_deaf, \
            Receiver(near, own.port, "va", namespace) as wire_near, \
            Sender("10.99.1.1", port, "va", namespace) as sender, \
            namespace.enter(lambda: ttl_socket(far, own_deaf.port)) as wire:
        daemon.start(channel("one", port, "10.99.1.1", relay=[
            output(near, own.port, interface="vb"),
            output(far, own_deaf.port, interface="vb", ttl=7, loop=False)]))
        sender.send(numbered(50))
        assert own.wait(50) == wire_near.wait(50) == sender.sent
        wire.settimeout(10)
        for expected in sender.sent:
            data, control, _, _ = wire.recvmsg(2000, 100)
            assert data == expected
            assert control == [(socket.IPPROTO_IP, socket.IP_TTL,
                                struct.pack("@i", 7))]
        assert own_deaf.datagrams == []


def ttl_socket(group: str, port: int) -> socket.socket:
    """Receives on va, and says with which TTL."""
    s = receiving_socket(group, port, "va")
    s.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    return s


def test_status_shape(daemon: Daemon) -> None:
    """What `status -j' promises."""
    port = free_port()
    with Receiver() as receiver:
        daemon.start(channel("one", port, relay=[
            output("127.0.0.1", receiver.port)]))
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(10))
            daemon.wait_received("one", 10)
        whole = daemon.try_status()
        assert whole is not None and daemon.process is not None
        assert whole["pid"] == daemon.process.pid
        assert isinstance(whole["version"], str)
        (status,) = whole["channels"]
        assert status["name"] == "one" and status["state"] == "running"
        assert status["pid"] == daemon.worker_pid("one")
        assert status["uptime_s"] >= 0 and status["restarts"] == 0
        assert all(isinstance(v, int) for v in status["ledger"].values())
        assert status["outputs"] == [{
            "address": "127.0.0.1", "port": receiver.port,
            "path": "worker",
            "relayed": 10, "relay_errors": 0, "relay_paused": 0,
            "relay_standby": 0, "kernel_relayed": 0,
            "kernel_relay_errors": 0}]
