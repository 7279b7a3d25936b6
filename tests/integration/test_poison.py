# SPDX-License-Identifier: ISC
"""Datagrams that end whoever reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, channel
from net import Receiver, Sender, free_port
from waiting import wait_for


@pytest.fixture
def poison(daemon: Daemon, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the library that ends a decimator")
    out = tmp_path / "poison.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE",
                    "-o", str(out), str(Path(__file__).with_name("poison.c")),
                    "-ldl"], check=True, stdin=subprocess.DEVNULL)
    daemon.environment["LD_PRELOAD"] = str(out)


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
            # Some may have come twice: the decimator has died after them.
            fine = [d for d in to_one.sent if b"POISON" not in d]
            wait_for(lambda: set(one.datagrams) == set(fine), "the others")
            wait_for(lambda: set(two.datagrams) == set(to_two.sent), "of two")
            for number in bad:
                daemon.wait_log("one: two decimators have ended at the "
                                f"datagrams with the sequence numbers "
                                f"{number} to {number}")
            # No more ends of it.
            daemon.wait_received("one", 20)
        daemon.stop()
        assert daemon.payloads("one") == to_one.sent
