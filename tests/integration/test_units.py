# SPDX-License-Identifier: ISC
"""The systemd service and what goes with it, read by systemd's own tools."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel, output
from net import Receiver, Sender, free_port, group_v4, numbered

# systemd's own measure: 10 is no protection, below 2 it calls OK.
EXPOSURE_MAX = 1.5
# What becomes of it when mcrelayd may make others out of its children.
EXPOSURE_USERS_MAX = 2.2


def need(program: str, package: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"needs {program}: install the Debian package {package}")


def run(*words: object) -> str:
    need(str(words[0]), "systemd")
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
    place.write_text(re.sub(r'="[^"]*/(mcrelayd|mcrelayctl)" ',
                            lambda m: f'="{build}/{m[1]}" ', text))
    return place


def read(unit: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str    # type: ignore
    parser.read(unit)
    return parser["Service"]


def test_service(unit: Path) -> None:
    assert run("systemd-analyze", "verify", "--man=no", unit) == ""


def exposure(unit: Path) -> float:
    told = run("systemd-analyze", "security", "--offline=yes", unit)
    level = re.search(r"Overall exposure level .*: ([0-9.]+)", told)
    assert level, told
    return float(level[1])


def test_exposure(unit: Path) -> None:
    assert exposure(unit) <= EXPOSURE_MAX


def for_users(unit: Path) -> Path:
    """As its comments say for a user of its own for each channel."""
    before, after = unit.read_text().split("# For a user of its own for each")
    lines = after.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if re.match("#[A-Z]", line))
    while lines[first].startswith("#"):
        lines[first] = lines[first].removeprefix("#")
        first += 1
    place = unit.with_name("mcrelayd-users.service")
    place.write_text(before + "#" + "".join(lines))
    return place


def test_exposure_with_users(unit: Path) -> None:
    users = for_users(unit)
    assert "CAP_SETUID" in read(users)["AmbientCapabilities"]
    assert run("systemd-analyze", "verify", "--man=no", users) == ""
    assert EXPOSURE_MAX < exposure(users) <= EXPOSURE_USERS_MAX


def test_nothing_lost(unit: Path) -> None:
    """What the promise rests on is not edited away."""
    service = read(unit)
    assert service["Type"] in ("notify", "notify-reload")
    assert int(service["FileDescriptorStoreMax"]) >= 2000
    assert service["OOMPolicy"] == "continue"
    assert service["KillMode"] == "mixed"
    assert service["LimitMEMLOCK"] == "infinity"


def test_notify_reload(unit: Path, source: Path) -> None:
    """Where the service manager sends the signal, nobody else asks for a
    reload."""
    made = subprocess.run(
        ["sed", "-f", str(source / "etc/systemd/notify-reload.sed"),
         str(unit)], text=True, capture_output=True, check=True, timeout=10)
    assert not made.stderr
    place = unit.with_name("notify-reload.service")
    place.write_text(made.stdout)
    before, after = dict(read(unit)), dict(read(place))
    if before["Type"] == "notify":
        before["Type"] = "notify-reload"
        assert before.pop("ExecReload").endswith(" reload")
        assert "To reload it is sent SIGHUP" in made.stdout
    assert after == before


def members(group: str) -> set[str]:
    """The system calls in one of systemd's groups, and those in these."""
    found = set()
    for line in run("systemd-analyze", "syscall-filter",
                    group).splitlines()[1:]:
        word = line.split("#")[0].strip()
        if word.startswith("@"):
            found |= members(word)
        elif word:
            found.add(word)
    return found


class Traced(Daemon):
    """Everything that it and its children call goes to a file."""

    def command(self, *options: str) -> list[str]:
        return ["strace", "-f", "-qq", "-o", str(self.directory / "strace"),
                *super().command(*options)]


def test_system_calls(unit: Path, programs: Programs, tmp_path: Path
                      ) -> None:
    """The service's filter lets through what is called from the start to
    the end, with a reload, a rotation and an upgrade in between."""
    need("strace", "strace")
    group, *single = read(unit)["SystemCallFilter"].split()
    assert group == "@system-service"
    daemon = Traced(programs, tmp_path)
    port = free_port()
    try:
        with Receiver() as receiver, Receiver(group_v4()) as view, \
                Sender("127.0.0.1", port) as sender:
            daemon.start(channel(
                "one", port, relay=[output("127.0.0.1", receiver.port)],
                archive=daemon.archive_conf(sync="block"),
                decimate=[{"name": "s", "method": "pick", "every": 10}
                          | output(view.address, view.port)]))
            for turn, command in enumerate(("reload", "rotate", "upgrade")):
                sender.send(numbered(100, first=100 * turn))
                daemon.wait_received("one", 100 * (turn + 1))
                daemon.ctl(command)
            daemon.wait_log("all processes are of version")
            os.kill(int((daemon.run_dir / "mcrelayd.pid").read_text()),
                    signal.SIGTERM)
            daemon.wait_exit()
    finally:
        daemon.kill()
    used = set(re.findall(r"^[0-9]+ +([a-z_0-9]+)\(",
                          (tmp_path / "strace").read_text(), re.MULTILINE))
    assert {"recvmmsg", "execve", "mlock"} <= used
    assert not used - members(group) - members("@default") - set(single)


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
