# SPDX-License-Identifier: ISC
"""Channels under load from mcrelay-gen, each with an account: what events have
allowed it to lose, and whether the ledger, the sinks and the files agree."""

from __future__ import annotations

import json
import re
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import avro_files
import gen
from daemon import Daemon, channel, output
from net import free_port, is_group
from waiting import wait_for

BYTES = 40      # of a numbered datagram: no more than its header
SCHEMA = {"type": "record", "name": "Numbered", "fields": [
    {"name": name, "type": {"type": "fixed", "name": name, "size": size}}
    for name, size in (("magic", 4), ("stream", 4), ("number", 8),
                       ("rest", BYTES - 16))]}
# What can become of a datagram beside being relayed and archived.
LOSSES = ("kernel_dropped", "truncated", "refused_source", "rejected",
          "archive_shed", "relay_errors", "relay_overrun")
FILE = re.compile(r"catalog\.jsonl|[^/]+\.avsc|[^/]+_\d{8}T\d{6}\.\d{6}Z_\d+"
                  r"\.avro")


class Lane:
    """A channel, its source, and a sink for each of its outputs."""

    def __init__(self, daemon: Daemon, name: str, listen: str,
                 to: list[str], avro: bool = False, codec: str = "null",
                 stream: str = "", directory: Path | None = None,
                 receive_buffer: str = "256MiB", ring_size: str = "8MiB",
                 **archive: Any) -> None:
        self.daemon, self.name = daemon, name
        self.listen, self.port, self.to = listen, free_port(), to
        self.avro, self.stream = avro, stream
        self.directory = directory or daemon.archive
        self.conf = channel(
            name, self.port, listen, ring_size=ring_size, stale_after="0",
            listen_receive_buffer=receive_buffer,
            archive=daemon.archive_conf(
                directory=str(self.directory), codec=codec,
                rotate={"size": "64MiB"}) | archive)
        if is_group(listen):
            self.conf["listen"]["interface"] = "lo"
        if avro:
            (daemon.directory / "numbered.avsc").write_text(
                json.dumps(SCHEMA))
            self.conf["payload"] = {"format": "avro",
                                    "schema": "numbered.avsc"}
        self.spent: set[str] = set()    # counters that may have counted
        self.extra = 0      # datagrams that were not its source's
        self.garbage = 0    # those of them that are no datums
        self.hit_at = 0.0

    def open(self, stack: ExitStack) -> dict[str, Any]:
        """Its sinks, and what the configuration says of it then."""
        programs = self.daemon.programs

        def sink(to: str) -> gen.Gen:
            made = stack.enter_context(gen.sink(
                programs, to, *(["-i", "lo"] if is_group(to) else [])))
            return made
        self.sinks = [sink(to) for to in self.to]
        self.conf["relay"] = [output(to, sink.port) for to, sink
                              in zip(self.to, self.sinks)]
        if self.stream:
            self.view = sink(self.stream)
            self.conf["decimate"] = [
                {"name": "s", "method": "pick", "every": 10, "archive": True}
                | output(self.stream, self.view.port)]
        return self.conf

    def load(self, stack: ExitStack, rate: int) -> None:
        self.source = stack.enter_context(gen.source(
            self.daemon.programs, self.listen, self.port, "-r", str(rate),
            "-b", str(BYTES), "-t", "24h",
            *(["-i", "lo"] if is_group(self.listen) else [])))

    # The account.

    def settle(self) -> None:
        """The load has ended: all that came is accounted for."""
        report = self.source.result()
        self.sent, self.id = report["sent"], report["stream"]
        self.ledger = self.daemon.wait_received(
            self.name, self.sent + self.extra, 60)
        self.outputs = self.daemon.status(self.name)["outputs"]
        if self.stream:
            self.stream_ledger = self._settle_stream()

    def _settle_stream(self) -> dict[str, int]:
        """Until its archive has what the decimator has sent to it."""
        def there() -> dict[str, int] | None:
            counts = self.daemon.status(self.name)["decimate"]["s"]
            ledger = self.daemon.ledger(f"{self.name}.s")
            came = ledger["received"] + ledger["kernel_dropped"] + \
                counts["unarchived"]
            return ledger if came == counts["out"] + counts["errors"] and \
                ledger["pending"] == 0 else None
        return wait_for(there, f"all of {self.name}/s in its archive", 20.0,
                        lambda: self.daemon.ctl("ledger").stdout)

    def check_ledger(self) -> None:
        counted = {key: self.ledger[key] for key in LOSSES
                   if self.ledger[key] != 0}
        assert set(counted) <= self.spent, (self.name, counted, self.spent)
        assert self.ledger["rejected"] == self.garbage, self.name

    def check_sinks(self) -> None:
        for number, sink in enumerate(self.sinks):
            sink.interrupt()
            seen, out = sink.result(good=False), self.outputs[number]
            assert seen["received"] + seen["kernel_dropped"] == \
                out["relayed"], (self.name, seen, out)
            if not self.spent:
                assert seen["kernel_dropped"] == 0, (self.name, seen)
            mine = next(s for s in seen["streams"] if s["id"] == self.id)
            missing = self.sent - mine["distinct"]
            lost = self.ledger["kernel_dropped"] + out["relay_errors"] + \
                seen["kernel_dropped"]
            assert 0 <= missing <= lost, (self.name, seen, self.ledger)
            assert mine["doubled"] == mine["reordered"] == 0, \
                (self.name, seen)

    def check_files(self) -> str:
        """After the daemon's end; a line for the report."""
        numbers, records = self.numbers(self.name)
        assert ascending(numbers), f"{self.name}: twice, or out of order"
        assert records == self.ledger["archived"], self.name
        missing = self.sent - len(numbers)
        lost = self.ledger["kernel_dropped"] + self.ledger["archive_shed"]
        assert 0 <= missing <= lost, (self.name, missing, self.ledger)
        if self.extra == 0:
            assert missing == lost, (self.name, missing, self.ledger)
        text = f"{self.name}: {self.sent} sent, {missing} missing"
        if self.stream:
            numbers, records = self.numbers(f"{self.name}.s")
            assert ascending(numbers), f"{self.name}.s: twice"
            assert records == self.stream_ledger["archived"], self.name
            text += f", {records} in the stream's archive"
        return f"{text}, {self.extra} from others, spent {self.spent}"

    def numbers(self, name: str) -> tuple[list[int], int]:
        """The numbers of what its source sent, and all records; by block,
        since there may be millions.  All files are whole, and ours."""
        numbers: list[int] = []
        records = 0
        for path in (self.directory / name).iterdir():
            # A write under way when memory was lost, too (mcrelay-worker(8)).
            torn = name == "prey" and path.name.endswith(".avro.torn")
            assert path.is_file() and (torn or FILE.fullmatch(path.name)), \
                path
        # The clock may have been set; where memory was lost they begin anew.
        for path in sorted(avro_files.files(self.directory, name),
                           key=avro_files.first_sequence):
            container = avro_files.read_container(path)
            numbers += numbers_in(container, bytes.fromhex(self.id))
            records += container.records
        return numbers, records


def numbers_in(container: avro_files.Container, source: bytes) -> list[int]:
    """Of that source's datagrams; a file may have millions."""
    pattern = re.compile(re.escape(b"MCRG" + source) + b"(.{8})", re.DOTALL)
    found = pattern.findall(container.data)
    return list(struct.unpack(f">{len(found)}Q", b"".join(found)))


def ascending(numbers: list[int]) -> bool:
    return all(a < b for a, b in zip(numbers, numbers[1:]))
