# SPDX-License-Identifier: ISC
"""Who is measured: each takes datagrams from a port, sends them to a group on
lo and writes them to files, and can be asked how far it is."""

from __future__ import annotations

import json
import mmap
import os
import select
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

from machine import (VETH_ADDRESS, VETH_IN, Machine, Unsuitable, children,
                     command, command_name, cpu_ns, stop, wait_for)

RECEIVE_BUFFER = 8 << 20
GROUP, GROUP_PORT, VIEW_PORT = "239.192.7.1", 26701, 26702
PORT = 26700
ROTATE_SIZE = "256MiB"
# Of a steady contender's files, beside the one that is being written.
KEPT = 2
SPARES = 2      # what `recycle' keeps ready
# Of mcrelay's ledger.
LOSSES = ("kernel_dropped", "truncated", "archive_shed", "archive_errors",
          "relay_errors")


class Contender:
    """One run of one of them."""

    def __init__(self, machine: Machine, directory: Path, address: str,
                 size: int, options: Options) -> None:
        self.machine = machine
        self.directory = directory
        self.address = address
        self.size = size        # of a datagram
        self.options = options
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        raise NotImplementedError

    def finished(self) -> int:
        """Datagrams sent and in files, since the start."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        assert self.process is not None
        return [self.process.pid]

    def cpu_ns(self) -> int:
        return sum(map(cpu_ns, self.pids()))

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @classmethod
    def suits(cls, steady: bool) -> bool:
        """Measured unless told otherwise, where files are written again or
        where they are not."""
        return not steady

    def forget(self) -> None:
        """What was lost until now."""

    def why(self) -> str:
        """Where datagrams were lost since, if it says so."""
        return ""

    def trim(self) -> None:
        """Give disk space back between two measurements."""

    def settled(self) -> bool:
        """It has been running for long: all its files have been there."""
        return True


class Options:
    """What the user says about mcrelay, and about files."""

    def __init__(self, build: Path, settings: list[str], steady: bool
                 ) -> None:
        self.build = build
        self.steady = steady
        self.settings: list[tuple[list[str], Any]] = []
        for setting in settings:
            key, _, text = setting.partition("=")
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                value = text
            self.settings.append((key.split("."), value))

    def apply(self, channel: dict[str, Any]) -> None:
        for keys, value in self.settings:
            place = channel
            for key in keys[:-1]:
                place = place.setdefault(key, {})
            place[keys[-1]] = value


class Ours(Contender):
    """A program of bench/contender."""

    way, interface = "", "lo"

    def start(self) -> None:
        path = self.directory / "counters"
        self.process = self.machine.start(
            [str(self.options.build / "bench/contender"), self.way,
             self.address, str(PORT), GROUP, str(GROUP_PORT),
             str(RECEIVE_BUFFER), str(self.directory), str(path),
             self.interface,
             str(KEPT if self.options.steady else 0)],
            relay=True, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], 10)[0] or \
                self.process.stdout.readline() != "ready\n":
            raise Unsuitable(f"{self.way} does not start")
        with path.open("rb") as f:
            self.counters = mmap.mmap(f.fileno(), 24, prot=mmap.PROT_READ)

    def finished(self) -> int:
        _, archived, relayed = struct.unpack_from("3Q", self.counters)
        return min(archived, relayed)


class Classic(Ours):
    way = "classic"

    @classmethod
    def suits(cls, steady: bool) -> bool:
        return True


class Batch(Ours):
    way = "batch"


class Floor(Classic):
    way = "floor"


class ByFile(Contender):
    """Of Debian: what it has archived shows in the size of its file."""

    package = ""

    def words(self, path: Path) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        if not shutil.which(self.package):
            raise Unsuitable(f"Debian package {self.package} not installed")
        self.file = self.directory / "payloads"
        self.trimmed = 0
        self.launch(self.words(self.file))
        wait_for(lambda: port_bound(PORT), f"{self.package}'s socket")
        self.file.touch()

    def launch(self, words: list[str]) -> None:
        self.process = self.machine.start(words, relay=True,
                                          stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)

    def finished(self) -> int:
        return self.trimmed + self.file.stat().st_size // self.stored()

    def stored(self) -> int:
        """Bytes of a datagram in the file."""
        return self.size

    def trim(self) -> None:
        self.trimmed = self.finished()
        os.truncate(self.file, 0)


class Multicat(ByFile):
    package = "multicat"

    def stored(self) -> int:
        """It is for MPEG-TS: cuts to whole packets of 188 bytes."""
        return self.size // 188 * 188

    def words(self, path: Path) -> list[str]:
        if self.stored() == 0:
            raise Unsuitable("multicat relays nothing below 188 bytes")
        return ["multicat", "-u", "-U", "-X", "-m", str(self.size),
                f"@{self.address}:{PORT}",
                f"{GROUP}:{GROUP_PORT}/ifaddr=127.0.0.1"]

    def launch(self, words: list[str]) -> None:
        with self.file.open("ab") as f:
            self.process = self.machine.start(
                words, relay=True, stdout=f, stderr=subprocess.DEVNULL)


class Socat(ByFile):
    package = "socat"

    def words(self, path: Path) -> list[str]:
        return ["socat", "-u", "-b", "65536", "-r", str(path),
                f"UDP4-RECV:{PORT},bind={self.address},"
                f"rcvbuf-late={RECEIVE_BUFFER}",
                f"UDP4-DATAGRAM:{GROUP}:{GROUP_PORT},"
                "ip-multicast-if=127.0.0.1"]


def port_bound(port: int) -> bool:
    return any(f":{port:04X} " in line for line in
               Path("/proc/net/udp").read_text().splitlines())


class Mcrelay(Contender):
    """The daemon, from a configuration file, with the whole job."""

    lost_before: dict[str, int] = {}
    decimate = False
    write, ring, recycle = "buffered", False, False

    @classmethod
    def suits(cls, steady: bool) -> bool:
        return steady or not (cls.ring or cls.recycle)

    def channel(self) -> dict[str, Any]:
        channel: dict[str, Any] = {
            "name": "bench",
            "listen": {"address": self.address, "port": PORT,
                       "receive_buffer": RECEIVE_BUFFER},
            "payload": {"format": "raw"},
            "relay": [{"address": GROUP, "port": GROUP_PORT,
                       "interface": "lo"}],
            "archive": {"directory": str(self.directory / "archive"),
                        "flush_interval": "100ms", "write": self.write,
                        "rotate": {"size": ROTATE_SIZE}},
            "io_uring": {"enabled": self.ring}}
        if self.write == "direct":
            channel["ring_size"] = "64MiB"
        if self.options.steady:
            channel["archive"] |= {"retain": {"files": KEPT},
                                   "recycle": self.recycle}
        if self.decimate:
            channel["decimate"] = [{
                "name": "view", "method": "pick", "every": 50,
                "address": GROUP, "port": VIEW_PORT, "interface": "lo"}]
        self.options.apply(channel)
        return channel

    def configuration(self) -> dict[str, Any]:
        root = {"user": "root"} if os.geteuid() == 0 else {}
        return {"run_dir": str(self.directory / "run"),
                "log": {"to": "stderr", "level": "info"},
                "channels": [self.channel()]} | root

    def start(self) -> None:
        kind = command("stat", "-f", "-c", "%T", str(self.directory)).strip()
        if self.write == "direct" and \
                not kind.startswith(("ext", "xfs", "f2fs")):
            raise Unsuitable(f"no direct I/O on {kind}; see --directory")
        self.launch()
        wait_for(self.running, "mcrelayd running", 30)

    def launch(self) -> None:
        build = self.options.build
        path = self.directory / "mcrelay.yaml"
        # JSON is YAML, too.
        path.write_text(json.dumps(self.configuration(), indent=2))
        self.log = self.directory / "mcrelayd.log"
        with self.log.open("w") as log:
            self.process = self.machine.start(
                [str(build / "mcrelayd"), "-d", "-f", str(path)], relay=True,
                stdout=log, stderr=log,
                env=os.environ | {"MCRELAY_LIBEXECDIR": str(build)})

    def running(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise Unsuitable("mcrelayd: " + self.log.read_text()[-2000:])
        if not (self.directory / "run/mcrelayd.sock").exists():
            return False
        return all(c["state"] in ("running", "stale")
                   for c in self.status()["channels"])

    def status(self) -> dict[str, Any]:
        return json.loads(command(
            str(self.options.build / "mcrelayctl"), "-s",
            str(self.directory / "run/mcrelayd.sock"), "status", "-j"))

    def finished(self) -> int:
        ledger = self.status()["channels"][0]["ledger"]
        return min(ledger["archived"], ledger["relayed"])

    def lost(self) -> dict[str, int]:
        """Of all channels together."""
        ledgers = [c["ledger"] for c in self.status()["channels"]]
        return {name: sum(each[name] for each in ledgers) for name in LOSSES}

    def forget(self) -> None:
        self.lost_before = self.lost()

    def why(self) -> str:
        return " ".join(
            f"{name}={count - self.lost_before.get(name, 0)}"
            for name, count in self.lost().items()
            if count > self.lost_before.get(name, 0))

    def pids(self) -> list[int]:
        assert self.process is not None
        return [self.process.pid, *children(self.process.pid)]

    def settled(self) -> bool:
        catalogue = self.directory / "archive/bench/catalog.jsonl"
        return not self.options.steady or (catalogue.exists() and len(
            catalogue.read_bytes().splitlines()) > KEPT + SPARES)

    def workers(self) -> list[int]:
        return [pid for pid in self.pids()
                if command_name(pid) == "mcrelay-worker"]


class McrelayDecimating(Mcrelay):
    decimate = True

    @classmethod
    def suits(cls, steady: bool) -> bool:
        return not steady


class McrelayXdp(Mcrelay):
    """By AF_XDP, which takes an interface."""

    def channel(self) -> dict[str, Any]:
        if self.address != VETH_ADDRESS:
            raise Unsuitable("AF_XDP is measured with the source nic")
        channel = super().channel()
        channel["listen"] |= {"interface": VETH_IN, "path": "xdp",
                              "fallback": False}
        return channel

    @classmethod
    def suits(cls, steady: bool) -> bool:
        return not steady


def ways() -> dict[str, type[Mcrelay]]:
    """Each way to write, by system calls and by io_uring."""
    return {f"mcrelay{'' if write == 'buffered' else '+' + write}"
            f"{'+uring' * ring}{'+recycle' * recycle}":
            type("McrelayWay", (Mcrelay,), {
                "write": write, "ring": ring, "recycle": recycle})
            for recycle in (False, True)
            for write in ("buffered", "direct", "mmap")
            for ring in (False, True)}


CONTENDERS: dict[str, type[Contender]] = {
    "classic": Classic, "batch": Batch, "floor": Floor,
    "multicat": Multicat, "socat": Socat, "mcrelay+dec": McrelayDecimating,
    **ways(), "mcrelay+xdp": McrelayXdp}
