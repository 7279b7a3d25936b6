# SPDX-License-Identifier: ISC
"""Sockets of our own (nothing of mcrelay's), and network namespaces."""

from __future__ import annotations

import ctypes
import errno
import functools
import itertools
import os
import random
import socket
import struct
import subprocess
import threading
import time
from typing import Callable, Iterable, Iterator

import pytest

from waiting import wait_for

# Linux's numbers; Python's socket module lacks them.
SO_RCVBUFFORCE = 33
IP_RECVTTL = 12
IP_MULTICAST_ALL = 49
IPV6_MULTICAST_ALL = 29
CLONE_NEWNET = 0x40000000

# What a small datagram may cost of a socket's receive buffer.
TRUESIZE = 2304

_random = random.Random(os.getpid() ^ time.time_ns())


def is_v6(address: str) -> bool:
    return ":" in address


def is_group(address: str) -> bool:
    if is_v6(address):
        return address.lower().startswith("ff")
    return 224 <= int(address.split(".")[0]) <= 239


def is_link_local(address: str) -> bool:
    """Of IPv6, host or group: it needs an interface."""
    return address.lower().startswith(("fe80:", "ff02:"))


def _ports() -> Iterator[int]:
    """Those below what the kernel hands out, round and round."""
    first, end = 20000, 32000
    port = _random.randrange(first, end)
    while True:
        yield port
        port = port + 1 if port + 1 < end else first


_port = _ports()


def free_port() -> int:
    """A UDP port that nobody has, and that was not asked for before."""
    for port in _port:
        try:
            for family, any_address in ((socket.AF_INET, "0.0.0.0"),
                                        (socket.AF_INET6, "::")):
                with socket.socket(family, socket.SOCK_DGRAM) as s:
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6,
                                     socket.IPV6_V6ONLY, 1)
                    s.bind((any_address, port))
        except OSError as e:
            # Where there is no IPv6 nobody has the port there.
            if e.errno != errno.EAFNOSUPPORT:
                continue
        return port
    raise AssertionError("unreachable")


def group_v4() -> str:
    """A group of the organisation-local scope, unlikely to be in use."""
    return "239.192.%d.%d" % (_random.randrange(1, 256),
                              _random.randrange(1, 255))


def group_v6() -> str:
    return "ff15::%x:%x" % (_random.randrange(1, 65536),
                            _random.randrange(1, 65536))


def grow_receive_buffer(s: socket.socket, size: int = 32 << 20) -> None:
    try:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


@functools.cache
def receive_budget() -> int:
    """How many small datagrams a socket with a big receive buffer holds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        grow_receive_buffer(s, 16 << 20)
        return s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // TRUESIZE


def safe_rate(outage_s: float, wanted: int) -> int:
    """The highest rate at which an outage costs nothing, at most `wanted'."""
    return max(50, min(wanted, int(receive_budget() / outage_s)))


_outside = -1


def leave_network() -> None:
    """From now on this process has a network of its own, with nothing but
    lo: what else listens on this machine, or counts packets, is not here."""
    global _outside
    _outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for words in (["link", "set", "lo", "up"],
                  # Groups have a way out, as on most machines.
                  ["route", "add", "224.0.0.0/4", "dev", "lo"]):
        subprocess.run(["ip", *words], check=True, timeout=10,
                       stdin=subprocess.DEVNULL)


def back_outside() -> None:
    """For a child, before it executes what needs the machine's network."""
    if _outside >= 0:
        ctypes.CDLL(None).setns(_outside, CLONE_NEWNET)


class Namespace:
    """A network namespace: lo up, and a veth pair `va' - `vb'."""

    def __init__(self) -> None:
        self.name = "mcrelay-%d-%d" % (os.getpid(), _random.randrange(1 << 20))
        self._ip("netns", "add", self.name)
        try:
            self._setup()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, timeout=10,
                       stdin=subprocess.DEVNULL)

    def _setup(self) -> None:
        self._ip("-n", self.name, "link", "add", "va", "type", "veth",
                 "peer", "name", "vb")
        settings = ["ipv4.conf.all.rp_filter=0",
                    "ipv4.conf.default.rp_filter=0"]
        for link in ("va", "vb"):
            # Both ends are here, so what comes in has an address of ours.
            settings += [f"ipv4.conf.{link}.rp_filter=0",
                         f"ipv4.conf.{link}.accept_local=1",
                         f"ipv6.conf.{link}.accept_dad=0"]
        self.run("sysctl", "-qw", *("net." + s for s in settings))
        for link in ("lo", "va", "vb"):
            self._ip("-n", self.name, "link", "set", link, "up")
        self._ip("-n", self.name, "addr", "add", "10.99.0.1/24", "dev", "va")
        self._ip("-n", self.name, "addr", "add", "10.99.1.1/24", "dev", "vb")

    @property
    def prefix(self) -> list[str]:
        """What makes a command run in here."""
        return ["ip", "netns", "exec", self.name]

    def run(self, *command: str, timeout_s: float = 30
            ) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.prefix, *command], check=True, text=True,
                              timeout=timeout_s, capture_output=True,
                              stdin=subprocess.DEVNULL)

    def enter(self, make: Callable[[], socket.socket]) -> socket.socket:
        """make() in a thread that lives in here: a socket stays where it
        was made."""
        result: list[socket.socket] = []
        error: list[BaseException] = []

        def inside() -> None:
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
                try:
                    if libc.setns(fd, CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(fd)
                result.append(make())
            except BaseException as e:  # handed to the caller
                error.append(e)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if error:
            raise error[0]
        return result[0]

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], timeout=10,
                       check=False)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _here(make: Callable[[], socket.socket]) -> socket.socket:
    return make()


def _index(interface: str) -> int:
    return socket.if_nametoindex(interface) if interface else 0


def _join(s: socket.socket, address: str, interface: str) -> None:
    if is_v6(address):
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     socket.inet_pton(socket.AF_INET6, address)
                     + struct.pack("@I", _index(interface)))
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     struct.pack("@4s4si", socket.inet_aton(address),
                                 bytes(4), _index(interface)))


def need_v6() -> None:
    """Skips the test where IPv6 is off."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
    except OSError as e:
        pytest.skip(f"needs IPv6, at least ::1: {e.strerror}")


def receiving_socket(address: str, port: int = 0, interface: str = "lo",
                     namespace: Namespace | None = None) -> socket.socket:
    def make() -> socket.socket:
        if is_v6(address):
            need_v6()
        family = socket.AF_INET6 if is_v6(address) else socket.AF_INET
        s = socket.socket(family, socket.SOCK_DGRAM)
        grow_receive_buffer(s)
        if is_group(address):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port, 0, _index(interface))
               if is_link_local(address) else (address, port))
        if is_group(address):
            _join(s, address, interface)
        return s

    return (namespace.enter if namespace else _here)(make)


def sending_socket(address: str, port: int, interface: str = "lo",
                   namespace: Namespace | None = None,
                   local: str = "") -> socket.socket:
    def make() -> socket.socket:
        if is_v6(address):
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            if is_group(address):
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF,
                             _index(interface))
        else:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if is_group(address):
                s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                             struct.pack("@4s4si", bytes(4), bytes(4),
                                         _index(interface)))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        if local:
            s.bind((local, 0, 0, _index(interface))
                   if is_link_local(local) else (local, 0))
        s.connect((address, port))
        return s

    return (namespace.enter if namespace else _here)(make)


class Receiver:
    """Collects datagrams in a thread of its own.  As many as `repeats' may come
    a second time just behind the first, which is left out."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0,
                 interface: str = "lo",
                 namespace: Namespace | None = None, repeats: int = 0
                 ) -> None:
        self.address = address
        self.repeats = repeats
        self.socket = receiving_socket(address, port, interface, namespace)
        self.port: int = self.socket.getsockname()[1]
        self.datagrams: list[bytes] = []
        self._closing = False
        self.socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            try:
                datagram = self.socket.recv(65536)
            except TimeoutError:
                continue
            if self.repeats > 0 and [datagram] == self.datagrams[-1:]:
                self.repeats -= 1
            else:
                self.datagrams.append(datagram)

    def wait(self, count: int, deadline_s: float = 10.0) -> list[bytes]:
        """The datagrams, once there are at least `count' of them."""
        wait_for(lambda: len(self.datagrams) >= count,
                 f"{count} datagrams at {self.address}:{self.port}",
                 deadline_s, lambda: f"{len(self.datagrams)} came")
        return list(self.datagrams)

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        self.socket.close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Sender:
    """Sends datagrams from one socket, evenly at a rate."""

    def __init__(self, address: str, port: int, interface: str = "lo",
                 namespace: Namespace | None = None,
                 local: str = "") -> None:
        self.socket = sending_socket(address, port, interface, namespace,
                                     local)
        self.sent: list[bytes] = []

    @property
    def source(self) -> str:
        """As an archive tells it."""
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def send(self, datagrams: Iterable[bytes], rate: float = 0) -> None:
        """Without a rate: one at which a busy machine loses nothing."""
        rate = rate or safe_rate(0.1, 5000)
        start = time.monotonic()
        for count, datagram in enumerate(datagrams):
            early = start + count / rate - time.monotonic()
            if early > 0.001:
                time.sleep(early)
            self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        while True:
            try:
                self.socket.send(datagram)
            except ConnectionRefusedError:
                continue        # reports an earlier one; this did not leave
            break
        self.sent.append(datagram)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class SenderThread:
    """A Sender at work while the test does something else."""

    def __init__(self, sender: Sender, datagrams: Iterable[bytes],
                 rate: float) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=sender.send, args=(itertools.takewhile(
                lambda _: not self._over.is_set(), datagrams), rate),
            daemon=True)
        self._thread.start()

    def busy(self) -> bool:
        return self._thread.is_alive()

    def join(self, deadline_s: float = 60.0) -> None:
        self._thread.join(deadline_s)
        assert not self._thread.is_alive(), "the sender did not finish"

    def end(self) -> None:
        """What it was the load for is done; there was one until now."""
        assert self.busy(), "the load ended too early"
        self._over.set()
        self.join()


def endless(size: int = 100, first: int = 0) -> Iterator[bytes]:
    """Such as numbered() makes: as many as a test may need while it waits for
    something, on a busy machine."""
    return (numbered(1, size, number)[0]
            for number in range(first, first + 1_000_000))


def numbered(count: int, size: int = 100, first: int = 0) -> list[bytes]:
    """Datagrams that differ: a number, then filling made from it."""
    result = []
    for number in range(first, first + count):
        head = struct.pack(">Q", number)
        body = bytes([number & 255]) * max(0, size - len(head))
        result.append(head + body)
    return result


def varied(count: int, largest: int = 65507) -> list[bytes]:
    """Numbered datagrams of all sizes, in runs of one size and singly; no
    large ones where buffers are small."""
    if receive_budget() < 1000:
        largest = min(largest, 1472)
    sizes = [8, 9, 100, 100, 100, 1400, 1400, 1400, 1472, 1473, 4000, 8972,
             min(largest, 65507), 64, 64, 64, 64, 63, 1000]
    result = []
    for number in range(count):
        result += numbered(1, min(largest, sizes[number % len(sizes)]),
                           number)
    return result
