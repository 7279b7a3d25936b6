# SPDX-License-Identifier: ISC
"""Outputs that send with the address and port of who sent each datagram."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon, channel, output
from net import (IP_RECVTTL, Namespace, Sender, SenderThread, free_port,
                 is_group, is_v6, numbered, receiving_socket)
from test_world import OTHERS, RELAY, World, bare, world    # noqa: F401
from waiting import wait_for

NO_NET_RAW = ["setpriv", "--bounding-set", "-net_raw",
              "--inh-caps", "-net_raw"]
RATE = 3000
EF = 46

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has CAP_NET_RAW to give away")


class Heard:
    """A sink that notes whom each datagram is from, and how it came."""

    def __init__(self, stack: ExitStack, address: str,
                 namespace: Namespace | None = None,
                 interface: str = "lo") -> None:
        self.socket = stack.enter_context(
            receiving_socket(address, 0, interface, namespace))
        v6 = is_v6(address)
        level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
        for option in (socket.IPV6_RECVTCLASS, socket.IPV6_RECVHOPLIMIT) \
                if v6 else (socket.IP_RECVTOS, IP_RECVTTL):
            self.socket.setsockopt(level, option, 1)
        self.port: int = self.socket.getsockname()[1]
        self.datagrams: list[tuple[bytes, str]] = []
        self.marks: set[tuple[int, int]] = set()    # class, hops
        self._closing = False
        self.socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        stack.callback(self._close)

    def _run(self) -> None:
        while not self._closing:
            try:
                data, control, _, source = self.socket.recvmsg(65536, 256)
            except TimeoutError:
                continue
            host, port = source[:2]
            values = {kind: int.from_bytes(value[:1], "little")
                      for _, kind, value in control}
            self.marks.add((
                values.get(socket.IPV6_TCLASS, values.get(socket.IP_TOS, -1)),
                values.get(socket.IPV6_HOPLIMIT,
                           values.get(socket.IP_TTL, -1))))
            self.datagrams.append((data, f"[{host}]:{port}" if ":" in host
                                   else f"{host}:{port}"))

    def _close(self) -> None:
        self._closing = True
        self._thread.join()

    def wait(self, senders: list[Sender], deadline_s: float = 10.0) -> None:
        """All that they sent, from where they did, once and in order."""
        count = sum(len(s.sent) for s in senders)
        wait_for(lambda: len(self.datagrams) >= count, f"{count} datagrams",
                 deadline_s, lambda: f"{len(self.datagrams)} came")
        for s in senders:
            assert [data for data, source in self.datagrams
                    if source == s.source] == s.sent, s.source
        assert len(self.datagrams) == count


def keeping(to: str, port: int, **more: Any) -> dict[str, Any]:
    return output(to, port) | {"keep_source": True} | more


def privileges(pid: int) -> tuple[int, int]:
    """Its capabilities, and whether system calls are filtered."""
    lines = dict(line.split(":", 1) for line in
                 Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["CapEff"], 16), int(lines["Seccomp"])


@pytest.mark.parametrize("to", [
    bare(OTHERS["out"][4]), bare(OTHERS["out"][6]), "239.192.7.5",
    "ff15::7:5"])
def test_senders(make_daemon: Callable[..., Daemon], world: World,
                 to: str) -> None:      # noqa: F811
    """The sink sees each sender; marks and hops are those of the output, too
    large is said so, and an upgrade leaves it all."""
    v = 6 if is_v6(to) else 4
    lan, address = world.lan, bare(RELAY["in"][v])
    # The sink has the addresses of the senders itself.
    lan.run("sysctl", "-qw", "net.ipv4.conf.out.accept_local=1",
            "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.out.rp_filter=0")
    other = "fd81:1::77" if v == 6 else "10.81.1.77"
    world.ip(lan, f"addr add {other}/{64 if v == 6 else 24} dev in"
             + (" nodad" if v == 6 else ""))
    hops = {"ttl": 7} if is_group(to) else {}
    with ExitStack() as stack:
        heard = Heard(stack, to, lan, "out")
        daemon = make_daemon(namespace=world.home)
        port = free_port()
        daemon.start(channel("one", port, address, relay=[
            keeping(to, heard.port, interface="out0", dscp="ef") | hops],
            archive=daemon.archive_conf()))
        senders = [stack.enter_context(Sender(
            address, port, "in", lan, local=local))
            for local in (bare(OTHERS["in"][v]), other, other)]
        for size in (0, 1, 1000, 1440):
            for s in senders:
                first = len(s.sent)
                s.send(numbered(30, size, first) if size > 8 else
                       [bytes(size)] * 3)
        heard.wait(senders)
        assert heard.marks == {(EF << 2, 7 if hops else 64)}
        # CAP_NET_RAW is the supervisor's alone.
        assert privileges(daemon.worker_pid("one")) == (0, 2)
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        senders[0].send(numbered(30, 200))
        heard.wait(senders)
        senders[0].send([bytes(1500)])
        total = sum(len(s.sent) for s in senders)
        daemon.wait_received("one", total)
        status = daemon.status("one")
        assert status["ledger"]["relay_too_large"] == 1, status
        assert status["ledger"]["relayed"] == total - 1
        daemon.stop()


def test_kills(daemon: Daemon) -> None:
    """Each is sent once, from where it came, whenever the worker is killed,
    and whether it comes alone or in a run."""
    with ExitStack() as stack:
        heard = Heard(stack, "127.0.0.1")
        heard.socket.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
        port = free_port()
        daemon.start(channel("one", port, "0.0.0.0", relay=[
            keeping("127.0.0.1", heard.port)]))
        senders = [stack.enter_context(
            Sender("127.0.0.1", port, local=f"127.0.0.{i}"))
            for i in (2, 3)]
        threads = [SenderThread(s, numbered(2 * RATE), RATE) for s in senders]
        kills = 0
        while all(t.busy() for t in threads):
            pid = daemon.worker_pid("one")
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("one", pid)
            kills += 1
        for t in threads:
            t.join()
        assert kills > 3
        heard.wait(senders)
        ledger = daemon.wait_received("one", 4 * RATE)
        assert ledger["relayed"] == 4 * RATE
        daemon.stop()


def test_refused(daemon: Daemon) -> None:
    """What cannot be is said: by the file alone, and without the capability
    by a check, at the start, and by a reload when it was given up."""
    plain = channel("one", free_port(), relay=[output("127.0.0.1", 9)],
                    listen_receive_buffer="16KiB")
    kept = plain | {"relay": [keeping("127.0.0.1", 9)]}

    def said(conf: dict[str, Any], *prefix: str, run: str = "-n") -> str:
        daemon.write(conf)
        done = subprocess.run(
            [*prefix, *daemon.command(run)], env=daemon.environment,
            text=True, capture_output=True, timeout=30)
        assert done.returncode == 1, done
        return done.stderr
    assert "leave `source_address' and `source_port' out" in said(
        plain | {"relay": [keeping("127.0.0.1", 9, source_port=7)]})
    assert "receives by IPv4: an output by IPv6 cannot have its senders' " \
        "addresses" in said(plain | {"relay": [keeping("::1", 9)]})
    for run in "-n", "-d":
        assert "channel one: `keep_source: true' needs the capability " \
            "CAP_NET_RAW, which this process does not have" in \
            said(kept, *NO_NET_RAW, run=run)
    daemon.start(plain)
    daemon.write(kept)
    refused = daemon.ctl("reload", check=False)
    assert refused.returncode != 0
    assert "CAP_NET_RAW, which mcrelayd has given up" in \
        refused.stdout + refused.stderr
    daemon.write(plain)
    daemon.stop()
    daemon.start(kept)
    daemon.stop()
