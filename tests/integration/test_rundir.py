# SPDX-License-Identifier: ISC
"""run_dir: nobody else may write there, nothing is looked for by its path
again, and it may be full."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from daemon import Daemon, channel
from mounts import Mounts
from net import Sender, free_port, numbered
from waiting import wait_for


def refused(daemon: Daemon, *what: str) -> None:
    done = daemon.run("-d")
    assert done.returncode == 1, done.stderr
    for text in what:
        assert text in done.stderr


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_others_may_write(daemon: Daemon, mode: int) -> None:
    """To it, or to a directory above it, where they could put their own in
    its place."""
    daemon.run_dir = daemon.directory / "above/run"
    daemon.write(channel("one", free_port()))
    daemon.run_dir.mkdir(parents=True)
    daemon.run_dir.chmod(mode)
    refused(daemon, f"run_dir {daemon.run_dir}: ", f"mode {mode:04o}")
    daemon.run_dir.chmod(0o755)
    daemon.run_dir.parent.chmod(mode)
    if mode & 0o1000:
        # Like /tmp: what is ours there nobody else can replace.
        daemon.start()
        return
    refused(daemon, f"others may write to {daemon.run_dir.parent} ",
            "chmod go-w")
    assert list(daemon.run_dir.iterdir()) == []


def test_owned_by_another(daemon: Daemon) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    daemon.write(channel("one", free_port()))
    daemon.run_dir.mkdir()
    os.chown(daemon.run_dir, 65534, 65534)
    refused(daemon, f"{daemon.run_dir} belongs to user id 65534")
    assert list(daemon.run_dir.iterdir()) == []


def test_upgrade_is_refused(daemon: Daemon) -> None:
    """Not found out when it is too late to go back."""
    daemon.start(channel("one", free_port()))
    daemon.run_dir.chmod(0o777)
    done = daemon.ctl("upgrade", check=False)
    assert done.returncode == 1 and "others may write" in done.stderr
    daemon.run_dir.chmod(0o755)
    daemon.ctl("upgrade")


def test_another_in_its_place(daemon: Daemon) -> None:
    """What is made and removed is so in the directory that was found good."""
    daemon.start(channel("one", free_port()))
    true = daemon.run_dir.rename(daemon.directory / "true")
    target = daemon.directory / "target"
    target.mkdir()
    (target / "mcrelayd.sock").write_text("precious")
    daemon.run_dir.symlink_to(target)
    path, daemon.run_dir = daemon.run_dir, true
    old = daemon.worker_pid("one")
    os.kill(old, signal.SIGKILL)
    new = daemon.wait_new_worker("one", old)
    assert daemon.worker_pid("one") == new
    daemon.stop()
    path.unlink()
    assert [p.name for p in target.iterdir()] == ["mcrelayd.sock"]


@pytest.fixture
def small(daemon: Daemon, mounts: Mounts) -> Daemon:
    """One whose run_dir has room for 64 KiB."""
    mounts.add(daemon.run_dir, "size=64k,mode=755")
    return daemon


def fill(directory: Path) -> Path:
    path = directory / "full"
    with pytest.raises(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return path


def test_full(small: Daemon) -> None:
    """It does not run without the pid file that keeps a second one away."""
    small.write(channel("one", free_port()))
    full = fill(small.run_dir)
    refused(small, f"{small.run_dir}/mcrelayd.pid", "No space left")
    assert list(small.run_dir.iterdir()) == [full]
    full.unlink()
    small.start()
    small.stop()


def test_full_while_it_runs(small: Daemon) -> None:
    """The lock stays, channels run, and no pid file is wrong."""
    port = free_port()
    one, two = channel("one", free_port()), channel("two", port)
    small.start(one)
    full = fill(small.run_dir)
    small.write(one, two)
    small.ctl("reload")
    small.wait_state("two", "running")
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        small.wait_received("two", 100)
    small.wait_log(f"cannot write {small.run_dir}/two.pid")
    assert {p.name for p in small.run_dir.iterdir()} == \
        {"full", "mcrelayd.pid", "mcrelayd.sock", "one.pid"}
    small.ctl("upgrade")
    assert small.process is not None
    refused(small, f"as process {small.process.pid}")
    full.unlink()
    old = small.status("two")["pid"]
    small.ctl("restart", "two")
    new = small.wait_new_worker("two", old)
    assert small.worker_pid("two") == new
    small.stop()


def test_full_after_a_crash(small: Daemon) -> None:
    """The room that the last one had is enough."""
    small.start(channel("one", free_port()))
    assert small.process is not None
    os.kill(small.process.pid, signal.SIGKILL)
    small.process.wait(10)
    small.process = None
    wait_for(lambda: not small.processes(), "its worker's end")
    full = fill(small.run_dir)
    small.launch()
    small.wait_running()
    assert small.process is not None
    assert int((small.run_dir / "mcrelayd.pid").read_text()) == \
        small.process.pid
    full.unlink()
    small.stop()
