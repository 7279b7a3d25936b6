# SPDX-License-Identifier: ISC
"""Small file systems for tests.  The fixture `mounts' is in conftest.py."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


class Mounts:
    """File systems that a test has mounted; the rest is taken away again by
    end().  A test that may not mount is skipped."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def add(self, path: Path, options: str = "size=64m",
            image: Path | None = None) -> Path:
        """A tmpfs, or the file system in the image, with these options; also
        over another one.  The directory is made if it is not there."""
        if os.geteuid() != 0:
            pytest.skip("only root can mount a file system")
        path.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", *(() if image else ("-t", "tmpfs")), "-o", options,
             str(image or "none"), str(path)],
            capture_output=True, text=True, timeout=20)
        if done.returncode != 0:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        self.paths.append(path)
        return path

    def remove(self, path: Path) -> None:
        """As for a disk that is in use: the name goes at once."""
        subprocess.run(["umount", "-l", str(path)], check=True, timeout=20)
        self.paths.remove(path)

    def end(self) -> None:
        for path in reversed(list(self.paths)):
            self.remove(path)
