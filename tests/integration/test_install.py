# SPDX-License-Identifier: ISC
"""What `make install' puts below a prefix of one's own works from there,
without root and without anything from the build directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import find_build
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


def test_says_what_to_copy(tmp_path: Path) -> None:
    """The first example, whole; and nothing where a package is made."""
    root = tmp_path / "root"
    doc = root / "share/doc/mcrelay"

    def install(*more: str) -> str:
        return subprocess.run(
            ["make", "-s", "-C", str(find_build()), "install-dist_docDATA",
             "install-data-hook", f"docdir={doc}", f"sysconfdir={root}/etc",
             *more], check=True, capture_output=True, text=True,
            timeout=120).stdout
    said = install()
    for name in ("mcrelay.yaml.example", "accel.avsc", "mcrelay.yaml",
                 "gyro.avsc"):
        assert (doc / name).exists(), name
        assert f"{doc}/{name}" in said
    assert f"{root}/etc" in said
    made = tmp_path / "made"
    assert "mcrelayd -n" in said
    assert "mcrelayd -n" not in install(f"DESTDIR={made}")
    assert (made / f".{doc}/mcrelay.yaml.example").exists()
    for name, copy in (("mcrelay.yaml.example", "mcrelay.yaml"),
                       ("accel.avsc", "accel.avsc")):
        shutil.copy(doc / name, tmp_path / copy)
    done = Programs.built(find_build())
    subprocess.run(
        [str(done.mcrelayd), "-n", "-f", str(tmp_path / "mcrelay.yaml")],
        env=done.environment(), check=True, timeout=30,
        stdout=subprocess.DEVNULL)


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
