# SPDX-License-Identifier: ISC
"""A name service that does not answer holds nobody up for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import native
from daemon import Daemon, channel
from net import free_port

SILENT = "the name service does not answer"


@pytest.fixture
def silence(daemon: Daemon, tmp_path: Path) -> Path:
    """The service does not answer while this file is there."""
    path = tmp_path / "silence"
    daemon.environment["LD_PRELOAD"] = str(
        native.preload("slow_names.c", tmp_path))
    daemon.environment["SLOW_NAMES"] = str(path)
    return path


def test_start(daemon: Daemon, silence: Path) -> None:
    silence.touch()
    daemon.write(channel("one", free_port()), user="nobody")
    done = daemon.check()
    assert done.returncode == 1
    assert f"user `nobody' cannot be looked up: {SILENT}" in done.stderr


def test_reload_by_name(daemon: Daemon, silence: Path) -> None:
    """It fails, and the daemon is there for others."""
    conf = channel("one", free_port()), channel("two", free_port())
    daemon.start(conf[0], user="nobody")
    silence.touch()
    daemon.write(*conf, user="nobody")
    done = daemon.ctl("reload", check=False)
    assert done.returncode != 0
    assert SILENT in done.stdout + done.stderr
    assert daemon.status("one")["state"] == "running"
    silence.unlink()
    daemon.ctl("reload")
    assert daemon.status("two")["state"] in ("running", "starting")
    daemon.stop()


def test_slow_reload(daemon: Daemon, silence: Path) -> None:
    """Answers that each are soon enough hold it up for as long as one that is
    not; a start takes the time."""
    if os.geteuid() != 0:
        pytest.skip("only root can give channels users of their own")
    silence.write_text("100")
    many = [channel(f"c{n}", free_port(), ring_size="256KiB")
            for n in range(60)]
    daemon.start(*many[:6], user={"base": 64000})
    assert SILENT not in daemon.log()
    daemon.write(*many, user={"base": 64000})
    daemon.ctl("reload")
    daemon.wait_log(SILENT)
    assert daemon.status("c0")["state"] == "running"
    silence.unlink()
    daemon.wait_running()
    daemon.stop()


def test_upgrade(daemon: Daemon, silence: Path) -> None:
    """It is not tried."""
    daemon.start(channel("one", free_port()), user="nobody")
    pid = daemon.worker_pid("one")
    silence.touch()
    done = daemon.ctl("upgrade", check=False)
    assert done.returncode != 0
    assert SILENT in done.stdout + done.stderr
    assert daemon.worker_pid("one") == pid
    silence.unlink()
    daemon.ctl("upgrade")
    daemon.stop()


def test_reload_by_number(daemon: Daemon, silence: Path) -> None:
    """Only a precaution is left out."""
    if os.geteuid() != 0:
        pytest.skip("only root can give channels users of their own")
    conf = channel("one", free_port()), channel("two", free_port())
    daemon.start(conf[0], user={"base": 64000})
    silence.touch()
    daemon.write(*conf, user={"base": 64000})
    daemon.ctl("reload")
    daemon.wait_log(SILENT)
    assert daemon.status("two")["user"] > 64000
    silence.unlink()
    daemon.stop()
