# SPDX-License-Identifier: ISC
"""Datagrams that end whoever reads them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import avro_files
import native
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port
from waiting import wait_for


@pytest.fixture
def poison(daemon: Daemon, tmp_path: Path) -> None:
    daemon.environment["LD_PRELOAD"] = str(
        native.preload("poison.c", tmp_path))


def test_decimator(daemon: Daemon, poison: None) -> None:
    """It is left out, counted and said; all others of the channel and all of
    other channels are decimated, and the archive has all."""
    with Receiver() as one, Receiver() as two:
        ports = {"one": (free_port(), one), "two": (free_port(), two)}
        daemon.start(*(channel(
            name, port, archive=daemon.archive_conf(), decimate=[
                {"name": "s", "method": "pick", "every": 1,
                 "address": "127.0.0.1", "port": view.port}])
            for name, (port, view) in ports.items()))
        with Sender("127.0.0.1", ports["one"][0]) as to_one, \
                Sender("127.0.0.1", ports["two"][0]) as to_two:
            bad = [3, 4]
            for number in range(20):
                text = b"POISON" if number in bad else b"fine"
                to_one.send([b"%s %d" % (text, number)])
                to_two.send([b"two %d" % number])

            def done() -> bool:
                return all(counts["in"] + counts["skipped"] == 20
                           for counts in (daemon.status(name)["decimate"]["s"]
                                          for name in ports))
            wait_for(done, "all taken", 60, detail=daemon.log)
            assert daemon.status("one")["decimate"]["s"]["skipped"] == \
                len(bad)
            assert daemon.status("two")["decimate"]["s"]["skipped"] == 0
            fine = [d for d in to_one.sent if b"POISON" not in d]
            assert one.wait(len(fine)) == fine
            assert two.wait(20) == to_two.sent
            for number in bad:
                daemon.wait_log("one: two decimators have ended at the "
                                f"datagrams with the sequence numbers "
                                f"{number} to {number}")
            # No more ends of it.
            daemon.wait_received("one", 20)
        daemon.stop()
        assert daemon.payloads("one") == to_one.sent


def test_counts_of_another_segment(daemon: Daemon, poison: None) -> None:
    """What a decimator had sent when it was killed is counted, though a
    reload replaces the segment before another one comes."""
    with Receiver() as view:
        port = free_port()
        conf = channel("one", port, decimate=[
            {"name": "s", "method": "pick", "every": 1,
             "address": "127.0.0.1", "port": view.port}])
        daemon.start(conf)
        pid = daemon.whole_status()[
            "decimators"][0]["pid"]
        with Sender("127.0.0.1", port) as sender:
            # All of it is one share.
            os.kill(pid, signal.SIGSTOP)
            sender.send([b"fine %d" % i for i in range(20)] + [b"POISON"])
            wait_for(lambda: daemon.ledger("one")["received"] == 21,
                     "all in the ring")
            os.kill(pid, signal.SIGCONT)
            assert view.wait(20) == sender.sent[:20]
            wait_for(lambda: not Path(f"/proc/{pid}").exists(), "its end")
        daemon.write(conf | {"ring_size": "1MiB"})
        daemon.ctl("reload")
        wait_for(lambda: daemon.status("one")["ring"]["size_bytes"] == 1 << 20,
                 "another segment", detail=daemon.log)
        wait_for(lambda: daemon.status("one")["state"] == "running",
                 "it runs")
        assert daemon.status("one")["decimate"]["s"]["out"] == 20
        with Sender("127.0.0.1", port) as sender:
            sender.send([b"last"])
            assert view.wait(21)[20:] == sender.sent
        daemon.wait_received("one", 22)
        assert daemon.status("one")["decimate"]["s"]["out"] == 21


def avro_string(text: bytes) -> bytes:
    """Of at least 64 bytes: two bytes of length."""
    twice = 2 * len(text)
    return bytes([twice % 128 | 128, twice // 128]) + text


def test_worker(daemon: Daemon, tmp_path: Path, poison: None) -> None:
    """It is relayed, kept in .rejected, counted and said; all others are
    archived once.  One that is larger than what was expected has a pad before
    it in the ring."""
    schema = tmp_path / "text.avsc"
    schema.write_text('"string"')
    with Receiver() as one:
        port = free_port()
        daemon.start(channel(
            "one", port, payload={"format": "avro", "schema": str(schema)},
            relay=[output("127.0.0.1", one.port)],
            archive=daemon.archive_conf()))
        with Sender("127.0.0.1", port) as sender:
            bad = [3, 4, 17]
            for number in range(20):
                text = b"POISON" if number in bad else b"fine"
                text += b" %d" % number
                size = 1000 if number == 17 else 100
                sender.send([avro_string(text.ljust(size))])
            wait_for(lambda: daemon.ledger("one")["received"] == 20 and
                     daemon.ledger("one")["pending"] == 0, "all stored", 60,
                     detail=daemon.log)
            assert daemon.status("one")["rejected_by"] == \
                {"quarantined": len(bad)}
            for number in bad:
                size, begins = len(sender.sent[number]), sender.sent[number]
                daemon.wait_log(
                    "two workers have ended at the datagram with the "
                    f"sequence number {number} ({size} bytes, which begin "
                    f"with {begins[:16].hex()})")
            # No more ends of it.
            pid = daemon.worker_pid("one")
            sender.send([avro_string(b"last".ljust(100))])
            wait_for(lambda: daemon.ledger("one")["archived"] == 18,
                     "the last")
            assert daemon.worker_pid("one") == pid
            assert one.wait(21) == sender.sent
        daemon.stop()
        assert avro_files.archived_datums(daemon.archive, "one") == b"".join(
            d for i, d in enumerate(sender.sent) if i not in bad)
        (path,) = avro_files.files(daemon.archive, "one", True)
        assert [(d.sequence, d.payload)
                for d in avro_files.read_datagrams(path)] == \
            [(i, sender.sent[i]) for i in bad]
