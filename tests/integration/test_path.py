# SPDX-License-Identifier: ISC
"""The data path: whatever the shape of the traffic, relay and archive have
every datagram, byte for byte, in each source's order."""

from __future__ import annotations

import os
import random
import re
import signal
import struct
from typing import Any, Callable

import pytest

import avro_files
from daemon import Daemon, channel, output
from net import (Namespace, Receiver, Sender, free_port, group_v4,
                 numbered, receiving_socket)
from waiting import wait_for

# Linux's numbers; Python's socket module lacks them.
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104

MESSAGE_MAX = 65507         # bytes in one UDP message, coalesced or not
RUN_MAX = 64                # datagrams in one coalesced message


def send_run(sender: Sender, run: list[bytes]) -> None:
    """As one coalesced message: of one size, the last may be shorter."""
    size = len(run[0])
    assert len(run) <= RUN_MAX and len(run[-1]) <= size
    assert all(len(d) == size for d in run[:-1])
    whole = b"".join(run)
    assert sender.socket.sendmsg([whole], [
        (SOL_UDP, UDP_SEGMENT, struct.pack("@H", size))]) == len(whole)
    sender.sent += run


def loopback(family: int) -> str:
    return "::1" if family == 6 else "127.0.0.1"


def by_source(daemon: Daemon, name: str) -> dict[str, list[bytes]]:
    """What the archive has of each sender."""
    found: dict[str, list[bytes]] = {}
    for path in avro_files.files(daemon.archive, name):
        for d in avro_files.read_datagrams(path):
            found.setdefault(d.source, []).append(d.payload)
    return found


def assert_all(daemon: Daemon, receiver: Receiver, senders: list[Sender]
               ) -> None:
    """Relay and archive have what was sent, in one and the same order, each
    sender's in its own; ends the daemon."""
    count = sum(len(s.sent) for s in senders)
    ledger = daemon.wait_received("one", count)
    assert ledger["received"] == ledger["archived"] == count, ledger
    relayed = receiver.wait(count)
    daemon.stop()
    assert daemon.payloads("one") == relayed
    assert by_source(daemon, "one") == {s.source: s.sent for s in senders}


@pytest.mark.parametrize("family", [4, 6])
def test_shapes_in_one_batch(daemon: Daemon, family: int) -> None:
    """Sizes that change, empty datagrams and the largest, runs whose last
    is shorter or is one datagram, senders that take turns: all waiting in
    the socket when the worker comes to look."""
    port = free_port()
    with Receiver(loopback(family)) as receiver, \
            Sender(loopback(family), port) as a, \
            Sender(loopback(family), port) as b:
        daemon.start(channel(
            "one", port, loopback(family),
            relay=[output(loopback(family), receiver.port)],
            archive=daemon.archive_conf()))
        for turn in range(5):
            pid = daemon.worker_pid("one")
            os.kill(pid, signal.SIGSTOP)
            try:
                a.send(numbered(5, 100), rate=1e6)
                a.send(numbered(3, 200), rate=1e6)
                a.send([b""], rate=1e6)
                b.send(numbered(2, 200), rate=1e6)
                a.send(numbered(2, 200) + numbered(1, 199), rate=1e6)
                send_run(a, numbered(10, 100) + [b"short"])
                send_run(a, numbered(3, 1400) + numbered(1, 1399))
                send_run(b, numbered(RUN_MAX, 9))
                b.send([b"", b"", b"x"], rate=1e6)
                send_run(a, numbered(46, 1400))
                a.send(numbered(1, MESSAGE_MAX), rate=1e6)
                send_run(a, numbered(2, 30000) + numbered(1, 5000))
                b.send(numbered(40, 64) + [b""], rate=1e6)
                a.send(numbered(1, 1), rate=1e6)
            finally:
                os.kill(pid, signal.SIGCONT)
            # No more than a batch or two, so that no buffer overflows.
            daemon.wait_received("one", len(a.sent) + len(b.sent))
        assert_all(daemon, receiver, [a, b])


@pytest.mark.parametrize("family", [4, 6])
def test_flows_coalesced_apart(daemon: Daemon, family: int) -> None:
    """Runs of several senders, interleaved, none mixed with another's."""
    port = free_port()
    rng = random.Random(family)
    with Receiver(loopback(family)) as receiver, \
            Sender(loopback(family), port) as a, \
            Sender(loopback(family), port) as b, \
            Sender(loopback(family), port) as c:
        daemon.start(channel(
            "one", port, loopback(family),
            relay=[output(loopback(family), receiver.port)],
            archive=daemon.archive_conf()))
        for turn in range(300):
            sender = rng.choice([a, b, c])
            size = rng.choice([64, 200, 1400])
            run = numbered(rng.randrange(1, MESSAGE_MAX // size
                                         if size == 1400 else RUN_MAX),
                           size, len(sender.sent))
            if rng.random() < 0.3:
                run[-1] = run[-1][:rng.randrange(1, size)]
            send_run(sender, run)
            if turn % 20 == 19:
                daemon.wait_received("one", sum(
                    len(s.sent) for s in (a, b, c)))
        assert_all(daemon, receiver, [a, b, c])


def test_fragments(make_daemon: Callable[..., Daemon], namespace: Namespace
                   ) -> None:
    """A lidar's datagrams, which arrive as six IP fragments and leave so."""
    daemon = make_daemon(namespace=namespace)
    port, group_in, group_out = free_port(), group_v4(), group_v4()
    with Receiver(group_out, 0, "va", namespace) as receiver, \
            Sender(group_in, port, "va", namespace) as sender:
        daemon.start(channel(
            "one", port, group_in, listen_interface="vb",
            relay=[output(group_out, receiver.port, interface="vb")],
            archive=daemon.archive_conf()))
        sender.send(numbered(2000, 8448), rate=2000)
        ledger = daemon.wait_received("one", 2000)
        assert ledger["received"] == 2000, ledger
        assert receiver.wait(2000) == sender.sent
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


# A route that takes no runs of this size any more, and then does again.

class RunReceiver:
    """Tells coalesced messages from single datagrams."""

    def __init__(self, address: str, namespace: Namespace) -> None:
        self.socket = receiving_socket(address, 0, "va", namespace)
        self.socket.setsockopt(SOL_UDP, UDP_GRO, 1)
        self.socket.settimeout(5)
        self.port: int = self.socket.getsockname()[1]

    def receive(self, count: int) -> tuple[list[bytes], int]:
        """So many datagrams, and the most that came in one message."""
        found: list[bytes] = []
        largest = 0
        while len(found) < count:
            data, control, _, _ = self.socket.recvmsg(65536, 256)
            size = len(data)
            for level, kind, value in control:
                if (level, kind) == (SOL_UDP, UDP_GRO):
                    size = struct.unpack("@i", value[:4])[0]
            run = [data[at:at + size] for at in range(0, len(data), size)]
            largest = max(largest, len(run))
            found += run
        return found, largest


def test_mtu_shrinks(make_daemon: Callable[..., Daemon],
                     namespace: Namespace) -> None:
    """Runs leave as runs; one by one when the MTU is too small for them,
    said once and nothing lost; as runs again some time after it has grown
    back."""
    daemon = make_daemon(namespace=namespace)
    port, out = free_port(), group_v4()
    run = numbered(20, 1400)
    receiver = RunReceiver(out, namespace)
    with receiver.socket, Sender("127.0.0.1", port,
                                 namespace=namespace) as sender:
        daemon.start(channel(
            "one", port, relay=[output(out, receiver.port, interface="vb")],
            archive=daemon.archive_conf()))

        def burst() -> int:
            """Relays one run; returns how much of it came together."""
            send_run(sender, run)
            found, largest = receiver.receive(len(run))
            assert found == run
            return largest

        def complaints() -> int:
            return len(re.findall("does not take runs", daemon.log()))

        assert burst() == len(run)
        set_mtu(namespace, 1000)
        for _ in range(20):
            assert burst() == 1     # in fragments, too large for one packet
        assert complaints() == 1, daemon.log()
        set_mtu(namespace, 1500)
        # It is tried again after ten seconds.
        wait_for(lambda: burst() == len(run), "runs again", 90, daemon.log)
        assert complaints() == 1, daemon.log()
        ledger = daemon.wait_received("one", len(sender.sent))
        assert ledger["relayed"] == len(sender.sent)
        assert ledger["relay_errors"] == 0, ledger
        daemon.stop()
        assert daemon.payloads("one") == sender.sent


def set_mtu(namespace: Namespace, mtu: int) -> None:
    for link in ("va", "vb"):
        namespace.run("ip", "link", "set", link, "mtu", str(mtu))


# A million.

MILLION = 1_000_000
WINDOW = 10_000             # datagrams under way: what a receiver can hold
SENDERS = 3
HEAD = struct.Struct(">IHxx")   # number, sender


class Traffic:
    """Random datagrams that can be told from each other: number and sender,
    then a piece of random bytes that both determine."""

    def __init__(self, seed: int) -> None:
        self.pool = random.Random(seed).randbytes(1 << 20)

    def datagram(self, sender: int, number: int, size: int) -> bytes:
        at = (number * 7919 + sender * 104729) % (len(self.pool) - 2048)
        return HEAD.pack(number, sender) + self.pool[at:at + size - HEAD.size]

    def check(self, datagram: bytes, expected: list[int]) -> None:
        """The next one of its sender, unchanged.  That none was cut or
        grew is for the sum of all sizes to tell."""
        number, sender = HEAD.unpack_from(datagram)
        assert number == expected[sender], \
            f"number {number} of sender {sender} after " \
            f"{expected[sender] - 1}"
        expected[sender] += 1
        assert datagram == self.datagram(sender, number, len(datagram))


class CheckingReceiver(Receiver):
    """Checks what comes, and does not keep it."""

    def __init__(self, address: str, traffic: Traffic) -> None:
        self.traffic = traffic
        self.expected = [0] * SENDERS
        self.bytes = 0
        self.error: BaseException | None = None
        super().__init__(address)

    def count(self) -> int:
        return sum(self.expected)

    def _run(self) -> None:
        while not self._closing and self.error is None:
            try:
                datagram = self.socket.recv(65536)
            except TimeoutError:
                continue
            try:
                self.traffic.check(datagram, self.expected)
            except (AssertionError, struct.error) as e:
                self.error = e
            self.bytes += len(datagram)


def wait_relayed(receiver: CheckingReceiver, count: int) -> None:
    wait_for(lambda: receiver.error or receiver.count() >= count,
             f"{count} relayed", 30, receiver.count)
    if receiver.error:
        raise receiver.error


def send_million(receiver: CheckingReceiver, senders: list[Sender]
                 ) -> tuple[list[int], int]:
    """Singly and in runs, all sizes; returns each sender's count, and the
    bytes of all."""
    rng = random.Random(1)
    counts = [0] * len(senders)
    sent = total = 0
    while sent < MILLION:
        who = rng.randrange(len(senders))
        size = min(1472, HEAD.size + int(rng.expovariate(1 / 150)))
        length = rng.choice((1, 1, 1, 2, 7, 40))
        run = [receiver.traffic.datagram(who, counts[who] + i, size)
               for i in range(min(length, MILLION - sent))]
        if len(run) > 1:
            shorter = rng.randrange(HEAD.size, size + 1)
            run[-1] = run[-1][:shorter]
            senders[who].socket.sendmsg([b"".join(run)], [
                (SOL_UDP, UDP_SEGMENT, struct.pack("@H", size))])
        else:
            senders[who].socket.send(run[0])
        counts[who] += len(run)
        sent += len(run)
        total += sum(map(len, run))
        if sent - receiver.count() > WINDOW:
            wait_relayed(receiver, sent - WINDOW // 2)
    return counts, total


def test_million(daemon: Daemon) -> None:
    """Random sizes and runs of three senders: equal in relay and archive,
    each sender's in its order."""
    port, out = free_port(), group_v4()
    traffic = Traffic(2)
    with CheckingReceiver(out, traffic) as receiver, \
            Sender("127.0.0.1", port) as a, Sender("127.0.0.1", port) as b, \
            Sender("127.0.0.1", port) as c:
        archive: dict[str, Any] = daemon.archive_conf(
            rotate={"size": "32MiB"})
        daemon.start(channel(
            "one", port, relay=[output(out, receiver.port)],
            listen_receive_buffer="64MiB", archive=archive,
            ring_size="32MiB"))
        counts, total = send_million(receiver, [a, b, c])
        ledger = daemon.wait_received("one", MILLION)
        assert ledger["received"] == ledger["archived"] == MILLION, ledger
        assert ledger["received_bytes"] == total
        wait_relayed(receiver, MILLION)
        assert (receiver.expected, receiver.bytes) == (counts, total)
        daemon.stop()
        sources = [s.source for s in (a, b, c)]
    expected = [0] * SENDERS
    stored = 0
    for path in avro_files.files(daemon.archive, "one"):
        for d in avro_files.read_datagrams(path):
            traffic.check(d.payload, expected)
            assert d.source == sources[HEAD.unpack_from(d.payload)[1]]
            stored += len(d.payload)
    assert (expected, stored) == (counts, total)
