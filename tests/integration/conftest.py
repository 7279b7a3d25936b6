# SPDX-License-Identifier: ISC
"""Fixtures.  Environment:

MCRELAY_BUILDDIR  where the programs were built
MCRELAY_PREFIX    where `make install' put them, for test_install.py
MCRELAY_SHARED    directory of test data that is not part of the project
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest

import nats
from daemon import Daemon, Programs
from mounts import Mounts
from net import Namespace, back_outside, leave_network

SOURCE = Path(__file__).resolve().parents[2]


def pytest_configure(config: pytest.Config) -> None:
    """Several at once (-n, of pytest-xdist) would share ports, groups and
    counters, unless each has a network of its own."""
    # Tests let others read what they make, as far as that is usual.
    os.umask(0o022)
    config.addinivalue_line(
        "markers", "alone: is about rates, and wants no other test beside it")
    config.addinivalue_line(
        "markers", "linux(what): needs what a build without Linux's extras "
        "(configure --disable-linux) leaves out")
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        leave_network()


def pytest_report_header() -> str:
    return f"programs: {find_build()}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    mark = item.get_closest_marker("linux")
    if mark is not None and not Programs.built(find_build()).linux:
        pytest.skip(f"built without Linux's extras: {mark.args[0]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter
                            ) -> None:
    """Skips are loud: each with its reason, also without -rs."""
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(
            f"SKIPPED {report.nodeid}: {report.longrepr[2]}", yellow=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item
                              ) -> Iterator[None]:
    """So that fixtures know whether their test failed."""
    outcome = yield
    report = outcome.get_result()   # type: ignore[attr-defined]
    if report.when == "call":
        item.stash[FAILED] = report.failed


FAILED = pytest.StashKey[bool]()

TEST_S = 3600 if "MCRELAY_TEST_LONG" in os.environ else 180


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """No test may hang."""
    def too_long(number: int, frame: object) -> None:
        raise TimeoutError(f"the test took longer than {TEST_S} s")
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def find_build() -> Path:
    if "MCRELAY_BUILDDIR" in os.environ:
        return Path(os.environ["MCRELAY_BUILDDIR"]).resolve()
    candidates = [SOURCE, SOURCE / "build", *sorted(SOURCE.glob("build-*"))]
    for candidate in candidates:
        if (candidate / "mcrelayd").exists():
            return candidate
    raise pytest.UsageError(
        "no built mcrelayd found: build first, or set MCRELAY_BUILDDIR")


def closed_to_others(build: Path) -> bool:
    """Whether other users cannot execute what was built there."""
    files = [p for p in build.glob("mcrelay*") if p.is_file()]
    return any(p.stat().st_mode & 0o1 == 0
               for p in (*files, build, *build.parents))


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Where they were built; but below root's home, for example, those that
    workers are to run as could not reach them."""
    build = find_build()
    if os.geteuid() != 0 or not closed_to_others(build):
        yield Programs.built(build)
        return
    with tempfile.TemporaryDirectory(prefix="mcrelay-programs-") as place:
        copy = Path(place)
        # All that tests look for there, without what it was made of.
        shutil.copytree(
            build, copy, symlinks=True, dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("*.[ao]", ".deps", "unit", "fuzz",
                                          "*.log", "*.trs"))
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        yield Programs.built(copy)


@pytest.fixture(scope="session")
def source() -> Path:
    """The source tree."""
    return SOURCE


@pytest.fixture
def make_daemon(request: pytest.FixtureRequest, programs: Programs,
                tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """A factory; what it made is stopped, with all checks, at the end."""
    made: list[Daemon] = []

    def make(subdirectory: str = "", **more: object) -> Daemon:
        directory = tmp_path / subdirectory
        directory.mkdir(exist_ok=True)
        daemon = Daemon(programs, directory, **more)    # type: ignore
        made.append(daemon)
        return daemon

    yield make
    failed = request.node.stash.get(FAILED, True)
    try:
        for daemon in made:
            if daemon.process is not None and not failed:
                daemon.stop()
    except BaseException:
        failed = True
        raise
    finally:
        for daemon in made:
            daemon.kill()
            if failed:
                print(f"--- {daemon.config_file}")
                if daemon.config_file.exists():
                    print(daemon.config_file.read_text())
                print(f"--- {daemon.log_file}")
                print(daemon.log()[-20000:])


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon()


@pytest.fixture
def have_forwarder(programs: Programs) -> None:
    """Where there is nobody to forward, or nobody to forward to, there is
    nothing to be tested."""
    if nats.PROGRAM is None:
        pytest.skip(nats.NO_SERVER)
    assert programs.libexec is not None
    if not (programs.libexec / "mcrelay-forwarder").exists():
        pytest.skip("built without libnats")


@pytest.fixture
def server(have_forwarder: None, tmp_path: Path) -> Iterator[nats.Server]:
    """One NATS server."""
    one = nats.Server(tmp_path)
    try:
        yield one.start()
    finally:
        one.end()


@pytest.fixture
def mounts(daemon: Daemon) -> Iterator[Mounts]:
    made = Mounts()
    yield made
    daemon.kill()
    made.end()


def namespaces_possible() -> str:
    """Why we cannot make network namespaces, or nothing."""
    if os.geteuid() != 0:
        return "needs root to make a network namespace"
    if not shutil.which("ip"):
        return "needs ip: install the Debian package iproute2"
    try:
        Namespace().close()
    except (OSError, subprocess.SubprocessError) as e:
        return f"cannot make a network namespace: {e}"
    return ""


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if reason := namespaces_possible():
        pytest.skip(reason)
    made = Namespace()
    yield made
    made.close()


@pytest.fixture
def inside(programs: Programs, tmp_path: Path, namespace: Namespace
           ) -> Iterator[Daemon]:
    """A daemon in the namespace."""
    daemon = Daemon(programs, tmp_path, namespace)
    yield daemon
    daemon.kill()


@pytest.fixture(scope="session")
def avsc(programs: Programs, tmp_path_factory: pytest.TempPathFactory
         ) -> Path:
    """The node_modules directory with avsc and its codecs, fetched by
    npm."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("needs npm: install the Debian packages nodejs and npm")
    place = tmp_path_factory.mktemp("avsc")
    try:
        done = subprocess.run(
            ["npm", "install", "--prefix", str(place), "--no-audit",
             "--no-fund", "--ignore-scripts", "--loglevel=error",
             "avsc@5.7.7", "snappyjs@0.7.0", "fzstd@0.1.1"],
            timeout=90, text=True, capture_output=True,
            stdin=subprocess.DEVNULL, cwd=place, preexec_fn=back_outside)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not fetch avsc within 90 s (no network?)")
    if done.returncode != 0:
        pytest.skip(f"npm cannot fetch avsc: {done.stderr.strip()[:300]}")
    return place / "node_modules"
