# SPDX-License-Identifier: ISC
"""A FUSE file system that shows a directory (passthrough.c), lacks what it is
told to, fails, and hangs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import native
from waiting import wait_for

LACKS = ("link", "rename", "fallocate", "direct", "mmap")


def build(place: Path) -> Path:
    """The server, or a reason to skip."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system for a daemon's tests")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no /dev/fuse")
    if shutil.which("pkg-config") is None:
        pytest.skip("no pkg-config for a FUSE file system")
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"],
                           text=True, capture_output=True)
    if found.returncode != 0:
        pytest.skip("no FUSE library: install the Debian package "
                    "libfuse3-dev")
    return native.build("passthrough.c", place / "passthrough",
                        "-D_FILE_OFFSET_BITS=64", *found.stdout.split())


class Fuse:
    """Mounted at `at'; what it shows is in `below'."""

    def __init__(self, server: Path, at: Path, lacks: str = "") -> None:
        self.at = at
        self.below = at.with_name(at.name + ".below")
        self.error = at.with_name(at.name + ".error")
        for path in (self.at, self.below):
            path.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [str(server), str(self.below), "-f", "-o", "allow_other",
             str(at)], stdin=subprocess.DEVNULL,
            env=os.environ | {"PASSTHROUGH_LACKS": lacks,
                              "PASSTHROUGH_ERROR": str(self.error)})
        try:
            wait_for(self._mounted, "the mount", 10)
        except BaseException:
            self.close()
            raise

    def _mounted(self) -> bool:
        if self.process.poll() is not None:
            pytest.skip(f"cannot mount a FUSE file system: status "
                        f"{self.process.returncode}")
        return f" {self.at} " in Path("/proc/self/mountinfo").read_text()

    def fail(self, error: int) -> None:
        """From now on; 0: it works again."""
        self.error.with_suffix(".new").write_text(str(error))
        self.error.with_suffix(".new").rename(self.error)

    def hang(self, how: str = "stopped") -> None:
        """Deaf: it takes what it is asked for, so that nobody who waits can
        be killed."""
        if how == "deaf":
            self.fail(-1)
        else:
            self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.fail(0)
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "-l", str(self.at)], capture_output=True)
        # Whoever still has something open there gets ENOTCONN.
        self.process.kill()
        self.process.wait(10)
