# SPDX-License-Identifier: ISC
"""Archives on a file system that lacks what others have, fails as one of a
server does, or does not answer.  The tests of test_archive.py run on it, too.

MCRELAY_TEST_LONG=1: it does not answer for a minute.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import avro_files
import probe
from daemon import Daemon, channel, output
from fuse import LACKS, Fuse, build
from net import Receiver, Sender, SenderThread, free_port, numbered
from test_archive import (in_use, test_left_over,     # noqa: F401
                          test_rejected_kept_aside,
                          test_rotation_by_size)
from test_campaign import ask
from test_web_users import BCRYPT, crypt
from waiting import wait_for

LONG = "MCRELAY_TEST_LONG" in os.environ
HANG_S = 60.0 if LONG else 3.0
RATE = 1000
# How long an answer may take; there are others on this machine.
ANSWER_S = 1.0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("fuse"))


@pytest.fixture(params=["", *LACKS, ",".join(LACKS)],
                ids=["whole", *LACKS, "all"])
def fuse(request: pytest.FixtureRequest, server: Path, tmp_path: Path
         ) -> Iterator[Fuse]:
    made = Fuse(server, tmp_path / "archive", request.param)
    yield made
    made.close()


whole = pytest.mark.parametrize("fuse", [""], indirect=True, ids=["whole"])


@pytest.fixture
def daemon(fuse: Fuse, make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon()


def test_kills(daemon: Daemon) -> None:
    """Each datagram once, in finished files, whoever writes how."""
    count = 3000
    ports = {"buffered": free_port(), "direct": free_port()}
    with ExitStack() as stack:
        daemon.start(*(channel(
            name, port, ring_size="16MiB", archive=daemon.archive_conf(
                write=name, block_size="64KiB", rotate={"size": "256KiB"}))
            for name, port in ports.items()))
        threads = []
        for port in ports.values():
            sender = stack.enter_context(Sender("127.0.0.1", port))
            threads.append(SenderThread(sender, numbered(count, 400),
                                        count / 2))
        while any(thread.busy() for thread in threads):
            for name in ports:
                old = daemon.worker_pid(name)
                os.kill(old, signal.SIGKILL)
                daemon.wait_new_worker(name, old)
            done = time.monotonic() + 0.3
            wait_for(lambda: time.monotonic() > done, "0.3 s")
        for name in ports:
            assert daemon.wait_received(name, count)["archived"] == count
        daemon.stop()
    for name in ports:
        assert daemon.payloads(name) == numbered(count, 400)
        assert len(avro_files.files(daemon.archive, name)) > 3


class Watcher:
    """Asks for the status all the time: how long did an answer take?"""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.slowest, self.over = daemon, 0.0, False
        self.start = time.monotonic()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            while not self.over:
                start = time.monotonic()
                ask(self.daemon)
                self.slowest = max(self.slowest, time.monotonic() - start)
                time.sleep(0.01)
        except BaseException as e:      # told by check()
            self.error = e

    def check(self) -> None:
        """Who waits for the file system answers when that does: nearly all
        the time is gone then.  On a busy machine all takes longer."""
        self.over = True
        self.thread.join(20)
        assert self.error is None, self.error
        watched_s = time.monotonic() - self.start
        allowed_s = ANSWER_S if LONG else max(ANSWER_S, watched_s / 2)
        assert self.slowest < allowed_s, \
            f"the supervisor took {self.slowest:.1f} of {watched_s:.1f} s " \
            "to answer"


@contextmanager
def watched(daemon: Daemon) -> Iterator[Watcher]:
    watcher = Watcher(daemon)
    watcher.thread.start()
    yield watcher
    watcher.check()


class Pair:
    """Channel `far' has its archive there, `near' on a local disk."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self.receivers = {name: stack.enter_context(Receiver())
                          for name in ("far", "near")}
        self.ports = {name: free_port() for name in self.receivers}
        self.places = {"far": daemon.archive,
                       "near": daemon.directory / "local"}
        self.senders = {
            name: stack.enter_context(Sender("127.0.0.1", port))
            for name, port in self.ports.items()}

    def confs(self, **more: Any) -> list[dict[str, Any]]:
        return [channel(
            name, port, ring_size="64MiB",
            relay=[output("127.0.0.1", self.receivers[name].port)],
            archive=self.daemon.archive_conf(
                directory=str(self.places[name]))) | more
            for name, port in self.ports.items()]

    def send(self, seconds: float) -> None:
        """To both, for that long."""
        threads = [SenderThread(sender, numbered(
            int(RATE * seconds), first=len(sender.sent)), RATE)
            for sender in self.senders.values()]
        for thread in threads:
            thread.join(seconds + 30)

    def check(self) -> None:
        """All was relayed, all is archived once."""
        for name, sender in self.senders.items():
            sent = sender.sent
            ledger = self.daemon.wait_received(name, len(sent))
            assert ledger["archived"] == ledger["received"] == len(sent)
            assert self.receivers[name].wait(len(sent)) == sent
        self.daemon.stop()
        for name, sender in self.senders.items():
            assert avro_files.archived_payloads(
                self.places[name], name) == sender.sent


@pytest.fixture
def pair(daemon: Daemon) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(daemon, stack)


hangs = pytest.mark.parametrize("hang", ["stopped", "deaf"])


@whole
@hangs
def test_hangs(pair: Pair, daemon: Daemon, fuse: Fuse, hang: str) -> None:
    """Relays, the other channel's archive and the supervisor do not notice;
    what came meanwhile is archived afterwards."""
    daemon.start(*pair.confs())
    pair.send(0.5)
    with watched(daemon):
        fuse.hang(hang)
        pair.send(HANG_S)
        near = len(pair.senders["near"].sent)
        assert daemon.wait_received("near", near)["archived"] == near
        for name, sender in pair.senders.items():
            assert pair.receivers[name].wait(len(sender.sent)) == \
                sender.sent
        fuse.go_on()
        pair.send(0.5)
    pair.check()


@whole
@pytest.mark.parametrize("uring", [False, True], ids=["calls", "io_uring"])
def test_shared_hangs(daemon: Daemon, fuse: Fuse, uring: bool) -> None:
    """More archives of a worker than it has threads for them wait for a disk:
    that does not hold up the others', which are written with them, through the
    page cache or past it."""
    # A flush of `direct' is more than what goes through the page cache.
    near = {"near": {}, "direct": {"write": "direct",
                                   "flush_interval": "500ms"}}
    places = {f"far{n}": daemon.archive for n in range(20)} | {
        name: daemon.directory / "local" for name in near}
    ports = {name: free_port() for name in places}
    with ExitStack() as stack:
        senders = {name: stack.enter_context(Sender("127.0.0.1", port))
                   for name, port in ports.items()}
        daemon.write(*(channel(
            name, ports[name], ring_size="1MiB", worker="all",
            io_uring={"enabled": uring},
            archive=daemon.archive_conf(
                directory=str(place), **near.get(name, {})))
            for name, place in places.items()), workers=[{"name": "all"}])
        ring = uring and "archive by buffered_io_uring" in \
            daemon.check().stdout
        daemon.start()

        def send(seconds: float) -> None:
            threads = [SenderThread(sender, numbered(
                int(100 * seconds), 1400 if name == "direct" else 100,
                first=len(sender.sent)), 100)
                for name, sender in senders.items()]
            for thread in threads:
                thread.join(seconds + 30)

        def check(name: str) -> None:
            sent = len(senders[name].sent)
            assert daemon.wait_received(name, sent)["archived"] == sent

        send(1)
        fuse.hang()
        with watched(daemon):
            send(HANG_S)
            for name in near:
                check(name)
        fuse.go_on()
        send(0.5)
        for name in senders:
            check(name)
        for name, way in ("near", "buffered"), ("direct", "direct"):
            assert daemon.status(name)["io"]["write"] == in_use(
                daemon, way + ("_io_uring" if ring else ""), places[name])
        daemon.stop()
        for name, sender in senders.items():
            assert avro_files.archived_payloads(
                places[name], name) == sender.sent


@whole
@hangs
@pytest.mark.parametrize("how", ["reload", "kill", "restart", "start"])
def test_changes_while_it_hangs(pair: Pair, daemon: Daemon, fuse: Fuse,
                                how: str, hang: str) -> None:
    """Whatever makes the supervisor look at the directory."""
    if how != "start":
        daemon.start(*pair.confs())
        pair.send(0.2)
        fuse.hang(hang)
    else:
        fuse.hang(hang)
        daemon.write(*pair.confs())
        daemon.launch()
        wait_for(daemon.try_status, "an answer", ANSWER_S + 10, daemon.log)
        daemon.wait_state("near", "running")
    with watched(daemon):
        if how == "reload":
            daemon.write(*pair.confs(stale_after="7s"),
                         channel("new", free_port(),
                                 archive=daemon.archive_conf()))
            daemon.ctl("reload", timeout_s=5)
        elif how == "kill":
            os.kill(daemon.worker_pid("far"), signal.SIGKILL)
        elif how == "restart":
            # Answered when it is done.
            asked = threading.Thread(
                target=daemon.ctl, args=("restart", "far"),
                kwargs={"check": False, "timeout_s": 60})
            asked.start()
        old = daemon.worker_pid("near")
        os.kill(old, signal.SIGKILL)
        daemon.wait_new_worker("near", old)
        pair.send(1)
        near = len(pair.senders["near"].sent)
        assert daemon.wait_received("near", near)["archived"] == near
        fuse.go_on()
        daemon.wait_running()
        if how == "restart":
            asked.join()
        pair.send(0.2)
    pair.check()


@whole
def test_behind_a_link(pair: Pair, daemon: Daemon, fuse: Fuse) -> None:
    """What an administrator's link leads to is found out, too."""
    link = daemon.directory / "link"
    link.symlink_to(daemon.archive)
    pair.places["far"] = link
    fuse.hang("deaf")
    daemon.write(*pair.confs())
    daemon.launch()
    wait_for(daemon.try_status, "an answer", ANSWER_S + 10, daemon.log)
    with watched(daemon):
        daemon.wait_state("near", "running")
        pair.send(1)
        fuse.go_on()
        daemon.wait_log("its archive directory is there again")
        daemon.wait_running()
    pair.check()


@whole
def test_mounted_over_it(pair: Pair, daemon: Daemon, server: Path,
                         fuse: Fuse) -> None:
    """A channel's user mounts one that hangs on its own directory."""
    daemon.start(*pair.confs())
    pair.send(0.2)
    other = Fuse(server, pair.places["near"] / "near")
    try:
        with watched(daemon):
            other.hang()
            pair.send(HANG_S)
        other.go_on()
    finally:
        other.close()
    for sender in pair.senders.values():
        assert sender.sent
    daemon.wait_running()


@whole
def test_stale(pair: Pair, daemon: Daemon, fuse: Fuse) -> None:
    """As of a server that does not export it any more: counted, and once it
    does all is archived."""
    daemon.start(*pair.confs())
    pair.send(0.2)
    with watched(daemon):
        fuse.fail(errno.ESTALE)
        pair.send(1)
        wait_for(lambda: daemon.ledger("far")["archive_errors"] > 0,
                 "an error counted", 10, daemon.log)
        old = daemon.worker_pid("far")
        os.kill(old, signal.SIGKILL)
        fuse.fail(0)
        daemon.wait_running()
        pair.send(0.2)
    pair.check()


@whole
def test_reload_while_away(pair: Pair, daemon: Daemon, fuse: Fuse) -> None:
    """What is not there is not there for the next worker either, until it
    comes back; all is relayed, and each that is not archived is counted."""
    def away() -> bool:
        return "archive_away" in {reason["what"] for reason in
                                  daemon.status("far")["reasons"]}

    daemon.start(*pair.confs())
    pair.send(0.2)
    fuse.fail(errno.ENOTCONN)
    wait_for(away, "archive_away", 20, daemon.log)
    changed = pair.confs()
    for each in changed:
        each["listen"]["coalesce"] = "1ms"
    daemon.write(*changed)
    old = daemon.worker_pid("far")
    daemon.ctl("reload")
    daemon.wait_new_worker("far", old)
    wait_for(away, "archive_away", 20, lambda: daemon.status("far"))
    pair.send(1)
    assert away(), daemon.status("far")
    fuse.fail(0)
    wait_for(lambda: not away(), "the archive", 20, daemon.log)
    daemon.wait_running()
    pair.send(0.2)
    ledger = daemon.wait_settled("far")
    assert ledger["relayed"] == ledger["received"] == 1400
    # What the worker before could not take with it to another input, if it
    # had not stored it all before the archive went away.
    assert ledger["archive_shed"] <= 200
    assert ledger["archived"] + ledger["archive_shed"] == 1400
    sent = pair.senders["far"].sent
    assert pair.receivers["far"].wait(1400) == sent
    daemon.stop()
    archived = avro_files.archived_payloads(pair.places["far"], "far")
    assert len(archived) == ledger["archived"]
    assert archived == [one for one in sent if one in set(archived)]


@whole
@pytest.mark.parametrize("hang", ["stopped", "deaf"] if LONG else ["deaf"])
def test_stop_while_it_hangs(pair: Pair, daemon: Daemon, fuse: Fuse,
                             hang: str) -> None:
    """The daemon ends, in bounded time, says what is not on disk, and leaves
    nothing behind."""
    daemon.start(*pair.confs())
    pair.send(0.5)
    fuse.hang(hang)
    pair.send(0.5)
    assert daemon.process is not None
    near = len(pair.senders["near"].sent)
    daemon.wait_received("near", near)
    daemon.process.send_signal(signal.SIGTERM)
    code = daemon.process.wait(40)
    fuse.go_on()
    daemon.process = None
    wait_for(lambda: not daemon.processes(), "no process left", 20,
             daemon.processes)
    assert code == 1, daemon.log()
    assert "are in no archive" in daemon.log()
    assert not list(daemon.run_dir.iterdir())
    assert avro_files.archived_payloads(pair.places["near"], "near") == \
        pair.senders["near"].sent


@whole
def test_schemas_of_many(daemon: Daemon, fuse: Fuse) -> None:
    """More channels than are asked about at once: all have their schemas, also
    those that began while the server was away, and all archive."""
    def summarized(name: str) -> dict[str, Any]:
        return channel(name, free_port(), ring_size="256KiB",
                       payload={"format": "avro", "schema": "probe.avsc"},
                       archive=daemon.archive_conf(),
                       decimate=[{"name": "view", "shape": "summary",
                                  "interval": "100ms"} |
                                 output("127.0.0.1", free_port())])

    def written() -> set[str]:
        return {path.name.split(".")[0] for path in
                fuse.below.glob("*/*.view.avsc")}

    (daemon.directory / "probe.avsc").write_text(probe.SCHEMA)
    channels = [summarized(f"c{n}") for n in range(20)]
    names = {str(each["name"]) for each in channels}
    daemon.start(*channels)
    wait_for(lambda: written() == names, "the schemas", 20, written)
    # So there is room to follow a directory, and for another channel.
    (fuse.below / "c0").rename(fuse.below / "moved")
    wait_for(lambda: (fuse.below / "c0").exists(), "c0 to be followed", 20,
             daemon.log)
    fuse.hang()
    try:
        channels.append(summarized("late"))
        daemon.write(*channels)
        daemon.ctl("reload")
    finally:
        fuse.go_on()
    daemon.wait_running()
    wait_for(lambda: written() == names | {"late"}, "the late schema", 30,
             written)
    daemon.stop()


@whole
@pytest.mark.parametrize("hang", ["stopped", "deaf"])
@pytest.mark.parametrize("what", ["schema", "users", "configuration"])
def test_reload_of_files_there(daemon: Daemon, fuse: Fuse, what: str,
                               hang: str) -> None:
    """A reload whose files are there fails, says which does not come, and
    changes nothing; when they come it is as any other."""
    far = fuse.at / "file"
    (daemon.directory / "probe.avsc").write_text(probe.SCHEMA)
    port = free_port()
    conf = channel("one", port, payload={
        "format": "avro", "schema": str(daemon.directory / "probe.avsc")})
    more: dict[str, Any] = {}
    if what == "schema":
        (fuse.below / "file").write_text(probe.SCHEMA)
        conf["payload"]["schema"] = str(far)
    elif what == "users":
        if not (daemon.programs.libexec / "mcrelay-web").exists():
            pytest.skip("built without libmicrohttpd")
        (fuse.below / "file").write_text(f"me:{crypt('me', BCRYPT)}\n")
        (fuse.below / "file").chmod(0o600)
        more["web"] = {"port": free_port(), "users": str(far)}
    daemon.start(conf, **more)
    if what == "configuration":
        daemon.config_file.rename(fuse.below / "file")
        daemon.config_file.symlink_to(far)
    fuse.hang(hang)
    try:
        failed = daemon.ctl("reload", check=False)
        assert failed.returncode == 1
        assert "its server does not answer" in failed.stderr
        assert ("mcrelay.yaml" if what == "configuration" else str(far)) in \
            failed.stderr
        assert daemon.status("one")["state"] == "running"
    finally:
        fuse.go_on()
    daemon.ctl("reload")
    daemon.wait_running()
    daemon.stop()
