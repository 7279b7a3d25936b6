# SPDX-License-Identifier: ISC
"""Checking a configuration from the command line, and the examples that the
manual pages and the README show.  (The table of all that can be wrong is in
tests/unit/test_conf.c.)"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, channel, output
from net import free_port, need_v6

GOOD = """\
run_dir: run
channels:
  - name: accel
    listen: {address: 127.0.0.1, port: 26000}
    payload: {format: raw}
"""


def test_good(daemon: Daemon) -> None:
    daemon.write_text(GOOD)
    done = daemon.check()
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first == "configuration OK"
    assert re.fullmatch(r"needs \d+ MiB of memory, which is locked "
                        r"\(limit: (none|\d+ MiB)\), and \d+ descriptors "
                        r"\(limit: (none|\d+)\)", second)


def needs(daemon: Daemon, *prefix: str) -> tuple[int, int, str]:
    """MiB, descriptors, warnings, as -n says."""
    done = subprocess.run([*prefix, *daemon.command("-n")], text=True,
                          env=daemon.environment, capture_output=True,
                          timeout=10, check=True, stdin=subprocess.DEVNULL)
    found = re.search(r"needs (\d+) MiB .* and (\d+) descriptors",
                      done.stdout)
    assert found, done
    return int(found[1]), int(found[2]), done.stderr


def test_needs(daemon: Daemon) -> None:
    """What all channels together ask for, beside the limits; a daemon that
    runs has no more than that."""
    need_v6()
    daemon.write(*(channel(f"c{i}", free_port(), ring_size="4MiB",
                           relay=[output("127.0.0.1", 9), output("::1", 9)],
                           archive=daemon.archive_conf(),
                           decimate=[{"name": "s", "method": "pick",
                                      "every": 10, "archive": True}
                                     | output("127.0.0.1", 10)])
                   for i in range(20)))
    memory, descriptors, warnings = needs(daemon)
    assert "descriptors are needed" not in warnings
    daemon.start()
    own = Path(f"/proc/{daemon.find_background()}")
    status = (own / "status").read_text()
    locked = re.search(r"VmLck:\s+(\d+) kB", status)
    assert locked
    if os.geteuid() == 0:
        assert memory == -(-int(locked[1]) // 1024)
    used = len(list((own / "fd").iterdir()))
    assert descriptors - 40 < used <= descriptors
    assert f"needs {memory} MiB" in daemon.log()
    daemon.ctl("reload")
    assert daemon.log().count(f"needs {memory} MiB") == 2
    daemon.stop()
    few = needs(daemon, "prlimit", "--nofile=100:100")[2]
    assert f"warning: {descriptors} descriptors are needed, but no more " \
        f"than 100 may be open" in few
    assert f"LimitNOFILE={descriptors}" in few


def test_needs_locked(daemon: Daemon) -> None:
    """Who may lock everything has no limit."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give up a capability")
    daemon.write(channel("one", free_port(), ring_size="64MiB"))
    limit = ["prlimit", f"--memlock={8 << 20}:{8 << 20}"]
    memory, _, warnings = needs(daemon, *limit)
    assert warnings == ""
    drop = ["setpriv", "--bounding-set", "-ipc_lock,-sys_resource"]
    warnings = needs(daemon, *limit, *drop)[2]
    assert f"warning: {memory} MiB of memory are to be locked, but no more " \
        "than 8 MiB may be" in warnings
    assert f"ulimit -l {memory * 1024}" in warnings
    command = daemon.command
    setattr(daemon, "command", lambda *options: [
        *limit, *drop, *command(*options)])
    daemon.start()
    assert "cannot be locked" in daemon.log()
    assert "Cannot allocate memory" in daemon.log()
    assert f"LimitMEMLOCK={memory}M" in daemon.log()
    daemon.stop()


def test_all_errors_at_once(daemon: Daemon) -> None:
    daemon.write_text(GOOD.replace("port: 26000", "prot: 26000")
                      .replace("format: raw", "format: row")
                      + "    ring_size: 3MiB\nlog: {to: nowhere}\n")
    done = daemon.check()
    assert done.returncode == 1
    assert "configuration OK" not in done.stdout
    told = done.stdout + done.stderr
    file = re.escape(str(daemon.config_file))
    places = [(int(line), int(column)) for line, column in
              re.findall(rf"{file}:(\d+):(\d+): ", told)]
    assert places == sorted(places)
    assert {line for line, _ in places} >= {4, 5, 6, 7}
    assert re.search(r"prot.*did you mean.*port", told)


@pytest.mark.parametrize("text", [
    "", "channels: [", "\0", "- 1\n", "a: &a [*a]\n",
    "x: !!python/object:os.system {}\n", "[" * 2000, "channels: 7\n"])
def test_nonsense(daemon: Daemon, text: str) -> None:
    daemon.write_text(text)
    for done in (daemon.check(), daemon.run("-d"), daemon.run()):
        assert done.returncode == 1
        assert str(daemon.config_file) in done.stdout + done.stderr
    assert not list(daemon.run_dir.glob("*"))


def test_missing_file(daemon: Daemon) -> None:
    done = daemon.check()
    assert done.returncode == 1
    assert str(daemon.config_file) in done.stderr


def test_check_touches_nothing(daemon: Daemon) -> None:
    daemon.write_text(GOOD)
    assert daemon.check().returncode == 0
    assert [p.name for p in daemon.directory.iterdir()] == \
        [daemon.config_file.name]


def examples(text: str) -> list[str]:
    """The YAML files in a page: what has channels and is no excerpt."""
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text,
                        re.M | re.S)
    blocks += re.findall(r"^```ya?ml\n(.*?)^```", text, re.M | re.S)
    found = []
    for block in blocks:
        block = block.replace("\\(dq", '"').replace("\\-", "-") \
            .replace("\\e", "\\").replace("\\&", "")
        if re.search(r"^channels:", block, re.M) and \
                "# excerpt" not in block:
            found.append(block)
    return found


PAGES = ["README.md", "HACKING.md", "man/mcrelay.yaml.5", "man/mcrelayd.8",
         "man/mcrelayctl.8", "man/mcrelay-gen.1", "man/mcrelay-worker.8",
         "man/mcrelay-decimator.8"]


@pytest.mark.parametrize("page", PAGES)
def test_documented_examples(daemon: Daemon, source: Path, page: str
                             ) -> None:
    """Each passes mcrelayd -n.  Files they name are put beside them."""
    for number, example in enumerate(examples((source / page).read_text())):
        for name in re.findall(r"schema: *([\w./-]+\.avsc)", example):
            example = example.replace(name, Path(name).name)
            shutil.copy(source / "etc/example/accel.avsc",
                        daemon.directory / Path(name).name)
        # A user of the machine that is documented, not of this one.
        example = re.sub(r"^user: .*$", "user: nobody", example, flags=re.M)
        daemon.write_text(example)
        done = daemon.check()
        if "\nforward:" in example and daemon.programs.libexec and not \
                (daemon.programs.libexec / "mcrelay-forwarder").exists():
            assert "built without" in done.stderr
            continue
        assert done.returncode == 0, \
            f"{page}, example {number}:\n{example}\n{done.stderr}"


def test_there_are_examples(source: Path) -> None:
    """So that the test above cannot pass by finding nothing."""
    for page in ("README.md", "man/mcrelay.yaml.5"):
        assert examples((source / page).read_text()), page


def test_installed_examples(daemon: Daemon, source: Path) -> None:
    paths = sorted((source / "etc").rglob("*.yaml"))
    assert paths
    for path in paths:
        daemon.config_file = path
        text = path.read_text()
        if re.search(r"^user: ", text, re.M):
            copy = daemon.directory / "etc"
            shutil.copytree(path.parent, copy, dirs_exist_ok=True)
            daemon.config_file = copy / path.name
            daemon.write_text(re.sub(r"^user: .*$", "user: nobody", text,
                                     flags=re.M))
        done = daemon.check()
        assert done.returncode == 0, f"{path}: {done.stderr}"
