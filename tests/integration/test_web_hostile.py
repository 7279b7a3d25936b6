# SPDX-License-Identifier: ISC
"""A mcrelay-web that has been taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

import native
from daemon import Daemon, channel
from net import free_port
from test_restart import libexec


def test_hoards_answers(daemon: Daemon) -> None:
    """The memory of answers that it keeps is not lost, nor can it make them
    grow: it would be nobody's, and somebody else would be killed for want of
    it."""
    place = libexec(daemon)
    source = Path(native.__file__).resolve().parents[2]
    native.build("hoarder.c", place / "mcrelay-web", "-I", str(source))
    daemon.write(channel("one", free_port()),
                 web={"address": "127.0.0.1", "port": free_port()})
    done = daemon.check()
    if done.returncode != 0:
        pytest.skip(f"no web here: {done.stderr}")
    daemon.start(channel("one", free_port()),
                 web={"address": "127.0.0.1", "port": free_port()})
    daemon.wait_log("hoards 3 files", 20)
    line, = [line for line in daemon.log().splitlines()
             if "hoards 3 files" in line]
    assert line.endswith("hoards 3 files, 0 bytes of earlier ones")
    daemon.stop()
