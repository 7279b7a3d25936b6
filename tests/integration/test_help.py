# SPDX-License-Identifier: ISC
"""What programs say of themselves: -h, --help, -V, --version, and who uses them
wrongly is told of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel
from net import free_port

# Program, section of its page, arguments that are wrong.
ALL = [("mcrelayd", 8, ["-Q"]), ("mcrelayctl", 8, []),
       ("mcrelay-cat", 1, []), ("mcrelay-gen", 1, []), ("mcrelay-replay", 1, []),
       ("mcrelay-verify", 1, [])]
# What mcrelayd starts takes nothing from people, and so nothing wrong.
CHILDREN = [("mcrelay-worker", 8, []), ("mcrelay-decimator", 8, []),
            ("mcrelay-web", 8, []), ("mcrelay-forwarder", 8, [])]
each = pytest.mark.parametrize("name, section, wrong", ALL + CHILDREN,
                               ids=[name for name, _, _ in ALL + CHILDREN])


def run(programs: Programs, name: str, *words: str
        ) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(programs.gen.with_name(name)), *words], timeout=30,
        stdin=subprocess.DEVNULL, capture_output=True, text=True)


def heads(text: str) -> list[str]:
    """What stands before the meanings."""
    return [re.split(r" {2,}", line.strip())[0]
            for line in text.split("\n") if re.match(r" {2}\S", line)]


@each
def test_help(programs: Programs, source: Path, name: str, section: int,
              wrong: list[str]) -> None:
    done = run(programs, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name} ")
    assert done.stdout.endswith(f"More is in {name}({section}).\n")
    for words in (["-h"], ["-j", "-h"], ["x", "--help"]):
        assert run(programs, name, *words).stdout == done.stdout
    for line in done.stdout.split("\n"):
        assert len(line) <= 80 or "/" in line, line
    # Each option and command of the manual page, and no other.
    page = (source / f"man/{name}.{section}").read_text()
    described = [line for line in page.split(".Sh DESC")[1].split("\n")
                 if re.match(r"\.It|\.Op", line)]
    assert set(re.findall(r"(?<![\w-])-\w\b|--\w+", " ".join(heads(
        done.stdout)))) == {"-" + word for word in re.findall(
            r"\bFl (-?\w+)", " ".join(described))}


@each
def test_forms(programs: Programs, source: Path, name: str, section: int,
               wrong: list[str]) -> None:
    """They go with no other option, and the synopses say so."""
    usage = run(programs, name, "--help").stdout.split("\n  -")[0]
    assert f"{name} -h | -V\n" in usage
    assert not re.search(r"\[-\w*[hV]", usage)
    page = (source / f"man/{name}.{section}").read_text()
    synopsis = page.split(".Sh SYNOPSIS")[1].split(".Sh ")[0]
    assert synopsis.endswith(".Nm\n.Fl h | V\n")
    assert not re.search(r"Op Fl \w*[hV]", synopsis)


@each
def test_version(programs: Programs, name: str, section: int,
                 wrong: list[str]) -> None:
    for word in ("-V", "--version"):
        done = run(programs, name, word)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(rf"{name} [\w.-]+\n", done.stdout)


@pytest.mark.parametrize("name, section, wrong", ALL,
                         ids=[name for name, _, _ in ALL])
def test_wrong(programs: Programs, name: str, section: int,
               wrong: list[str]) -> None:
    done = run(programs, name, *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"usage: {name} " in done.stderr
    assert f"{name} --help says more, and so does {name}({section})" in \
        done.stderr


def test_not_asked(programs: Programs) -> None:
    """What follows -- is no option."""
    done = run(programs, "mcrelay-verify", "--", "--help")
    assert done.returncode == 2 and "No such file" in done.stdout


def test_mistyped(programs: Programs) -> None:
    for wrong, meant in (("statsu", "status"), ("metrisc", "metrics")):
        assert f"there is no command {wrong}: did you mean `{meant}'?" in \
            run(programs, "mcrelayctl", wrong).stderr
    assert "did you mean" not in run(programs, "mcrelayctl", "x").stderr


def test_mistyped_channel(daemon: Daemon) -> None:
    daemon.start(channel("radar", free_port()), channel("x", free_port()))
    for words in (["status", "rader"], ["events", "-n", "1", "rader"]):
        done = daemon.ctl(*words, check=False)
        assert done.returncode == 1
        assert "there is no channel rader: did you mean `radar'?" in \
            done.stderr
    assert "did you mean" not in daemon.ctl("stop", "gyro",
                                            check=False).stderr


def test_commands(programs: Programs, source: Path) -> None:
    """Each command, with the options that it has."""
    lines = {head.split()[0]: head for head in
             heads(run(programs, "mcrelayctl", "--help").stdout)
             if not head.startswith("-")}
    page = (source / "man/mcrelayctl.8").read_text()
    assert set(lines) == set(re.findall(
        r"^\.It (?:Xo )?Ic (\w+)", page, re.M))
    assert lines["events"] == \
        "events [-j] [-n count] [--since id] [channel ...]"
    assert set(re.findall(r"\b(source|sink)\b", "\n".join(heads(
        run(programs, "mcrelay-gen", "--help").stdout)))) == {
            "source", "sink"}
