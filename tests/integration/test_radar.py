# SPDX-License-Identifier: ISC
"""A capture of real radar reports, played into a veth pair."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable

import pytest

import pcap
from daemon import Daemon, channel, output
from net import Namespace, Receiver, group_v4

GROUP, PORT = "225.1.0.1", 20402


@pytest.fixture
def capture(source: Path) -> Path:
    shared = Path(os.environ.get("MCRELAY_SHARED", source.parent / "shared"))
    path = shared / "data" / "radar-multicast.pcap"
    if not path.exists():
        pytest.skip(f"no {path}: set MCRELAY_SHARED")
    if not shutil.which("tcpreplay"):
        pytest.skip("needs tcpreplay: install the Debian package tcpreplay")
    return path


def test_radar(make_daemon: Callable[..., Daemon], capture: Path,
               namespace: Namespace) -> None:
    """100 of 100 payloads, byte for byte, in relay and archive."""
    expected = pcap.udp_payloads(capture)
    assert len(expected) == 100
    # The packets come from an address that has no route back: rp_filter is
    # off in the namespace.
    daemon = make_daemon(namespace=namespace)
    group = group_v4()
    with Receiver(group, 0, "va", namespace) as receiver:
        daemon.start(channel(
            "radar", PORT, GROUP, listen_interface="vb",
            relay=[output(group, receiver.port, interface="vb")],
            archive=daemon.archive_conf()))
        namespace.run("tcpreplay", "-q", "-i", "va", "--multiplier=10",
                      str(capture), timeout_s=60)
        assert daemon.wait_received("radar", 100)["received"] == 100
        assert receiver.wait(100) == expected
        daemon.stop()
        assert daemon.payloads("radar") == expected
