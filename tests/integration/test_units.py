# SPDX-License-Identifier: ISC
"""The systemd service and what goes with it, read by systemd's own tools."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import Programs

# systemd's own measure: 10 is no protection, below 2 it calls OK.
EXPOSURE_MAX = 2.0


def run(*words: object) -> str:
    program = str(words[0])
    if not shutil.which(program):
        pytest.skip(f"needs {program}: install the Debian package systemd")
    done = subprocess.run([str(w) for w in words], text=True, timeout=60,
                          capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def unit(programs: Programs, tmp_path: Path) -> Path:
    """The service, with the paths of the build directory."""
    build = programs.mcrelayd.parent
    text = (build / "etc/systemd/mcrelayd.service").read_text()
    assert "@" not in text.replace("@system-service", "")
    place = tmp_path / "mcrelayd.service"
    place.write_text(re.sub(r"=\S*/(mcrelayd|mcrelayctl) ",
                            lambda m: f"={build}/{m[1]} ", text))
    return place


def test_service(unit: Path) -> None:
    assert run("systemd-analyze", "verify", "--man=no", unit) == ""


def test_exposure(unit: Path) -> None:
    told = run("systemd-analyze", "security", "--offline=yes", unit)
    level = re.search(r"Overall exposure level .*: ([0-9.]+)", told)
    assert level and float(level[1]) < EXPOSURE_MAX, told


def test_nothing_lost(unit: Path) -> None:
    """What the promise rests on is not edited away."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str    # type: ignore
    parser.read(unit)
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert int(service["FileDescriptorStoreMax"]) >= 2000
    assert service["OOMPolicy"] == "continue"
    assert service["KillMode"] == "mixed"
    assert service["LimitMEMLOCK"] == "infinity"


def test_user_and_directory(source: Path, tmp_path: Path) -> None:
    etc = source / "etc/systemd"
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}",
        etc / "mcrelay.sysusers.conf")
    assert re.search("^mcrelay:", (tmp_path / "etc/passwd").read_text(),
                     re.MULTILINE)
    run("systemd-tmpfiles", "--create", f"--root={tmp_path}",
        etc / "mcrelay.tmpfiles.conf")
    assert (tmp_path / "var/lib/mcrelay").is_dir()
