# SPDX-License-Identifier: ISC
"""Completion for bash: what it offers is what --help says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel
from net import free_port

FILE = "etc/bash-completion/mcrelayctl"
PROGRAMS = ["mcrelayd", "mcrelayctl", "mcrelay-cat", "mcrelay-gen",
            "mcrelay-replay", "mcrelay-verify"]
SCRIPT = """
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_mcrelay "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(source: Path, program: Path, *words: str) -> list[str]:
    """The last word is the one to be completed."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", str(source / FILE), str(program),
         *words], capture_output=True, text=True, check=True, timeout=30,
        stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("name", PROGRAMS)
def test_options(programs: Programs, source: Path, name: str) -> None:
    program = programs.gen.with_name(name)
    said = subprocess.run([str(program), "--help"], capture_output=True,
                          text=True, check=True, timeout=30).stdout
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", said, re.M)
    assert set(complete(source, program, "-")) == set(
        re.findall(r"(?<![\w-])--?\w+", " ".join(lines)))


def test_all(source: Path) -> None:
    """Each that people start, by its own name."""
    text = (source / FILE).read_text().replace("\\\n", "")
    assert re.findall(r"^complete .* -F _mcrelay (.*)$", text, re.M)[
        0].split() == PROGRAMS
    for name in PROGRAMS[2:] + PROGRAMS[:1]:
        assert name in (source / "etc/local.mk").read_text()


def test_commands(programs: Programs, source: Path) -> None:
    ctl = programs.mcrelayctl
    assert complete(source, ctl, "st") == ["start", "status", "stop"]
    assert complete(source, ctl, "-s", "/x", "led") == ["ledger"]
    assert complete(source, ctl, "events", "-") == ["--since", "-j", "-n"]
    assert complete(source, ctl, "reload", "-") == []
    assert complete(source, programs.gen, "s") == ["sink", "source"]
    assert "-S" in complete(source, programs.gen, "source", "-")
    assert "lo" in complete(source, programs.gen, "source", "-i", "")


def test_channels(daemon: Daemon, source: Path) -> None:
    """Those that there are, by the socket that was given."""
    daemon.start(*(channel(name, free_port()) for name in ("one", "other",
                                                           "two")))
    words = (daemon.programs.mcrelayctl, "-s",
             str(daemon.run_dir / "mcrelayd.sock"))
    assert complete(source, *words, "stop", "o") == ["one", "other"]
    assert complete(source, *words, "reload", "") == []
    daemon.stop()
    assert complete(source, *words, "stop", "o") == []
