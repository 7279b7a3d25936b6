# SPDX-License-Identifier: ISC
"""Completion for shells: what it offers is what --help says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel
from net import free_port

FILES = {"bash": "etc/bash-completion/mcrelayctl",
         "zsh": "etc/zsh-completion/_mcrelayctl",
         "fish": "etc/fish-completion/mcrelayctl.fish"}
PROGRAMS = ["mcrelayd", "mcrelayctl", "mcrelay-cat", "mcrelay-gen",
            "mcrelay-replay", "mcrelay-verify"]
# What is offered, a line each, for the words after the file; the last is the
# one to be completed.  zsh has what it offers through only while somebody types.
SCRIPTS = {
    "bash": """
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_mcrelay "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": """
compadd() { print -l -- ${(P)2}; }
_describe() { print -l -- ${${(P)2}%%:*}; }
_files() { :; }
file=$1; shift
words=("$@") CURRENT=$#
. $file | grep -e "^$words[CURRENT]" || :
""",
    "fish": """
set -gx PATH (dirname $argv[2]) $PATH
source $argv[1]
set argv[2] (basename $argv[2])
complete -C "$argv[2..-1]"
""",
}
ARGUMENTS = {"bash": ["-c", SCRIPTS["bash"], "bash"],
             "zsh": ["-f", "-c", SCRIPTS["zsh"], "zsh"],
             "fish": ["--no-config", "-c", SCRIPTS["fish"]]}


@pytest.fixture(params=list(FILES))
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"no {name}: install the Debian package {name}")
    return name


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No files, which are offered as well."""
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)


pytestmark = pytest.mark.usefixtures("empty")


def complete(shell: str, source: Path, program: Path, *words: str
             ) -> list[str]:
    """The last word is the one to be completed."""
    done = subprocess.run(
        [shell, *ARGUMENTS[shell], str(source / FILES[shell]), str(program),
         *words], capture_output=True, text=True, check=True, timeout=30,
        stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("name", PROGRAMS)
def test_options(shell: str, programs: Programs, source: Path, name: str
                 ) -> None:
    program = programs.gen.with_name(name)
    said = subprocess.run([str(program), "--help"], capture_output=True,
                          text=True, check=True, timeout=30).stdout
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", said, re.M)
    assert set(complete(shell, source, program, "-")) == set(
        re.findall(r"(?<![\w-])--?\w+", " ".join(lines)))


def test_all(source: Path) -> None:
    """Each that people start, by its own name."""
    for shell, names in (
            ("bash", r"^complete .* -F _mcrelay (.*)$"),
            ("zsh", r"^#compdef (.*)$"), ("fish", r"^for name in (mc.*)$")):
        text = (source / FILES[shell]).read_text().replace("\\\n", "")
        assert re.findall(names, text, re.M)[0].split() == PROGRAMS
    for name in PROGRAMS[2:] + PROGRAMS[:1]:
        assert name in (source / "etc/local.mk").read_text()


def test_commands(shell: str, programs: Programs, source: Path) -> None:
    def offered(program: Path, *words: str) -> list[str]:
        return sorted(complete(shell, source, program, *words))

    ctl = programs.mcrelayctl
    assert offered(ctl, "st") == ["start", "status", "stop"]
    assert offered(ctl, "-s", "/x", "led") == ["ledger"]
    assert offered(ctl, "events", "-") == ["--since", "-j", "-n"]
    assert offered(ctl, "reload", "-") == []
    assert offered(programs.gen, "s") == ["sink", "source"]
    assert "-S" in offered(programs.gen, "source", "-")
    assert offered(programs.gen, "source", "-i", "") == sorted(
        os.listdir("/sys/class/net"))


def test_channels(shell: str, daemon: Daemon, source: Path) -> None:
    """Those that there are, by the socket that was given."""
    daemon.start(*(channel(name, free_port()) for name in ("one", "other",
                                                           "two")))
    words = (daemon.programs.mcrelayctl, "-s",
             str(daemon.run_dir / "mcrelayd.sock"))
    assert complete(shell, source, *words, "stop", "o") == ["one", "other"]
    assert complete(shell, source, *words, "reload", "") == []
    daemon.stop()
    assert complete(shell, source, *words, "stop", "o") == []
