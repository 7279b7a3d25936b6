# SPDX-License-Identifier: ISC
"""A container with systemd as its PID 1, and the packages installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from waiting import wait_for

HERE = Path(__file__).resolve().parent
BOOT_S = 60
END_S = 30


def own_groups() -> list[Path]:
    """A cgroup of ours in each hierarchy that systemd keeps its units in."""
    paths = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = path.lstrip("/")
    made = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        controllers = "" if kind == "cgroup2" else "name=systemd"
        if kind == "cgroup2" or kind == "cgroup" and \
                controllers in options.split(","):
            made.append(Path(where) / paths[controllers] /
                        f"mcrelay-test-{os.getpid()}")
            made[-1].mkdir()
    return made


def removed(groups: list[Path]) -> bool:
    """With all that was made below them, if nobody is left there."""
    try:
        for group in groups:
            for path, _, _ in os.walk(group, topdown=False):
                os.rmdir(path)
    except OSError:
        return False
    return True


class Container:
    """From its boot to close().  `prefix' makes a command run in its
    network."""

    def __init__(self, directory: Path, packages: Path, nspawn: Path,
                 base: Path, configuration: dict[str, Any]) -> None:
        root = directory / "root"
        root.mkdir()
        self.log_file = directory / "console.log"
        conf = directory / "mcrelay.yaml"
        conf.write_text(json.dumps(configuration, indent=2) + "\n")
        self._groups = own_groups()
        # All that is started ends with the first of the process namespace,
        # which ends with unshare, which ends with us, however we do.
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount",
                 "--propagation", "private", "--pid", "--mount-proc",
                 "--fork", "--kill-child",
                 "sh", str(HERE / "container.sh"), str(root), str(packages),
                 str(nspawn), str(conf), str(base),
                 *map(str, self._groups)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        try:
            self.pid = wait_for(self._find_init, "a container that boots",
                                BOOT_S, self.console)
            self.prefix = ["nsenter", "-t", str(self.pid), "-n"]
            wait_for(self._is_up, "the end of the boot", BOOT_S,
                     self.console)
        except BaseException:
            self.close()
            raise

    # What there is of it.

    def console(self) -> str:
        return self.log_file.read_text(errors="replace")[-8000:]

    def _find_init(self) -> int:
        """systemd, once it has made itself at home."""
        assert self._process.poll() is None, self.console()
        for group in self._groups:
            file = group / "payload/init.scope/cgroup.procs"
            for pid in file.read_text().split() if file.exists() else ():
                status = Path(f"/proc/{pid}/status").read_text()
                if re.search(r"^NSpid:.*\t1$", status, re.M):
                    return int(pid)
        return 0

    def _is_up(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def path(self, path: str) -> Path:
        return Path(f"/proc/{self.pid}/root{path}")

    def packages(self, pattern: str) -> list[str]:
        return sorted(f"/root/{file.name}"
                      for file in self.path("/root").glob(pattern))

    @property
    def version(self) -> int:
        """Of its systemd."""
        return int(self.run("systemctl", "--version").stdout.split()[1])

    # What is done in it.

    def run(self, *command: str, check: bool = True, timeout_s: float = 60
            ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "--all", "--root", "--wd",
             "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
             "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", *command],
            text=True, capture_output=True, timeout=timeout_s,
            stdin=subprocess.DEVNULL)
        if check:
            assert done.returncode == 0, \
                f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def unit(self, key: str) -> str:
        """A property of the service."""
        return self.run("systemctl", "show", "--value", "-p", key,
                        "mcrelayd").stdout.strip()

    def journal(self) -> str:
        return self.run("journalctl", "-o", "cat", "-u",
                        "mcrelayd").stdout

    def channel(self, name: str) -> dict[str, Any]:
        """Its status; nothing while there is no daemon or no such
        channel."""
        done = self.run("mcrelayctl", "status", "-j", check=False)
        if done.returncode != 0:
            return {}
        return next((c for c in json.loads(done.stdout)["channels"]
                     if c["name"] == name), {})

    def wait_state(self, name: str, *states: str) -> dict[str, Any]:
        def there() -> dict[str, Any]:
            status = self.channel(name)
            return status if status.get("state") in states else {}
        return wait_for(there, f"{name} {states}", 30, self.journal)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(END_S)
        wait_for(lambda: removed(self._groups), "the end of the container",
                 END_S)
