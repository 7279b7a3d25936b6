# SPDX-License-Identifier: ISC
"""What `make install' puts below a prefix of one's own works from there,
without root and without anything from the build directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel, output
from net import Receiver, Sender, free_port, numbered


@pytest.fixture
def prefix() -> Path:
    if "MCRELAY_PREFIX" not in os.environ:
        pytest.skip("MCRELAY_PREFIX does not say where mcrelay is installed")
    return Path(os.environ["MCRELAY_PREFIX"])


def test_files(prefix: Path) -> None:
    for name in ("sbin/mcrelayd", "sbin/mcrelayctl", "bin/mcrelay-gen",
                 "libexec/mcrelay/mcrelay-worker",
                 "libexec/mcrelay/mcrelay-decimator"):
        assert os.access(prefix / name, os.X_OK), name
    man = prefix / "share/man"
    for page in ("man8/mcrelayd.8", "man8/mcrelayctl.8", "man1/mcrelay-gen.1",
                 "man5/mcrelay.yaml.5", "man8/mcrelay-worker.8",
                 "man8/mcrelay-decimator.8"):
        assert (man / page).exists(), page
    for name in ("systemd/system/mcrelayd.service", "sysusers.d/mcrelay.conf",
                 "tmpfiles.d/mcrelay.conf"):
        assert (prefix / "lib" / name).exists(), name
    for name in ("prometheus/mcrelay.rules.yml", "grafana/mcrelay.json"):
        assert (prefix / "share/mcrelay" / name).exists(), name


def test_runs(prefix: Path, tmp_path: Path) -> None:
    daemon = Daemon(Programs.installed(prefix), tmp_path)
    port = free_port()
    try:
        with Receiver() as receiver, Receiver() as view, \
                Sender("127.0.0.1", port) as sender:
            daemon.start(channel(
                "one", port, relay=[output("127.0.0.1", receiver.port)],
                archive=daemon.archive_conf(),
                decimate=[{"name": "s", "method": "pick", "every": 10}
                          | output("127.0.0.1", view.port)]))
            sender.send(numbered(200))
            daemon.wait_received("one", 200)
            assert receiver.wait(200) == sender.sent
            assert view.wait(20) == sender.sent[9::10]
            daemon.stop()
            assert daemon.payloads("one") == sender.sent
    finally:
        daemon.kill()
