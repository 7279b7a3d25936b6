# SPDX-License-Identifier: ISC
"""A channel that lacks something waits for it, and it alone."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon, channel, output
from net import Namespace, Receiver, Sender, free_port, numbered
from waiting import wait_for


def ip(space: Namespace, *words: str) -> None:
    space.run("ip", *words)


class Case:
    """What a channel lacks, and how it comes."""

    def __init__(self, conf: dict[str, Any], what: str,
                 provide: Callable[[], object]) -> None:
        self.conf, self.what, self.provide = conf, what, provide


def occupied(address: str) -> Callable[[Daemon, Namespace], Case]:
    def make(daemon: Daemon, space: Namespace) -> Case:
        port = free_port()

        def bind() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            taken = socket.socket(family, socket.SOCK_DGRAM)
            taken.bind((address, port))
            return taken
        taken = space.enter(bind)
        return Case(channel("one", port, address), "address_in_use",
                    taken.close)
    return make


def make_late(space: Namespace, *addresses: str) -> None:
    ip(space, "link", "add", "late", "type", "veth", "peer", "name", "later")
    ip(space, "link", "set", "later", "up")
    ip(space, "link", "set", "late", "up")
    for address in addresses:
        ip(space, "addr", "add", address, "dev", "late")


def no_interface(group: str) -> Callable[[Daemon, Namespace], Case]:
    def make(daemon: Daemon, space: Namespace) -> Case:
        return Case(channel("one", free_port(), group,
                            listen_interface="late"), "interface_missing",
                    lambda: make_late(space))
    return make


def no_address(daemon: Daemon, space: Namespace) -> Case:
    return Case(channel("one", free_port(), "10.99.7.7"), "address_missing",
                lambda: ip(space, "addr", "add", "10.99.7.7/32", "dev",
                           "va"))


def tentative(daemon: Daemon, space: Namespace) -> Case:
    """Duplicate address detection that cannot end while there is no
    carrier's other end up to be asked."""
    space.run("sysctl", "-qw", "net.ipv6.conf.va.accept_dad=1",
              "net.ipv6.conf.va.dad_transmits=60")
    ip(space, "addr", "add", "fd00:99::7/64", "dev", "va")
    shown = space.run("ip", "-6", "addr", "show", "dev", "va").stdout
    assert "tentative" in shown

    def settle() -> None:
        ip(space, "addr", "del", "fd00:99::7/64", "dev", "va")
        ip(space, "addr", "add", "fd00:99::7/64", "dev", "va", "nodad")
    return Case(channel("one", free_port(), "fd00:99::7"),
                "address_missing", settle)


def no_route(host: str, network: str
             ) -> Callable[[Daemon, Namespace], Case]:
    def make(daemon: Daemon, space: Namespace) -> Case:
        return Case(channel("one", free_port(), relay=[output(host, 5000)]),
                    "route_missing",
                    lambda: ip(space, "route", "add", network, "dev", "va"))
    return make


def no_output_interface(group: str, address: str
                        ) -> Callable[[Daemon, Namespace], Case]:
    def make(daemon: Daemon, space: Namespace) -> Case:
        return Case(channel("one", free_port(), relay=[
            output(group, 5000) | {"interface": "late"}]),
            "interface_missing", lambda: make_late(space, address))
    return make


def no_directory(daemon: Daemon, space: Namespace) -> Case:
    """A file is in its place."""
    daemon.archive.mkdir()
    place = daemon.archive / "late"
    place.write_text("")
    return Case(channel("one", free_port(), archive={
        "directory": str(place), "flush_interval": "100ms"}),
        "archive_directory", place.unlink)


CASES = [occupied("127.0.0.1"), occupied("::1"),
         no_interface("239.1.2.3"), no_interface("ff15::1:3"), no_address,
         tentative, no_route("192.0.2.9", "192.0.2.0/24"),
         no_route("2001:db8::9", "2001:db8::/64"),
         no_output_interface("239.1.2.4", "10.98.0.1/24"),
         no_output_interface("ff15::1:4", "fd00:98::1/64"), no_directory]
NAMES = ["port", "port-v6", "interface", "interface-v6", "address",
         "tentative", "route", "route-v6", "output", "output-v6",
         "directory"]


def beside(daemon: Daemon, port: int, receiver: Receiver) -> dict[str, Any]:
    return channel("two", port,
                   relay=[output("127.0.0.1", receiver.port)],
                   archive=daemon.archive_conf())


@pytest.mark.parametrize("how", ["start", "reload"])
@pytest.mark.parametrize("make", CASES, ids=NAMES)
def test_waits_and_comes(programs: Any, tmp_path: Path, namespace: Namespace,
                         make: Callable[[Daemon, Namespace], Case],
                         how: str) -> None:
    """The other channel runs and loses nothing."""
    daemon = Daemon(programs, tmp_path, namespace)
    try:
        case, port = make(daemon, namespace), free_port()
        with Receiver(namespace=namespace) as receiver, \
                Sender("127.0.0.1", port, namespace=namespace) as sender:
            other = beside(daemon, port, receiver)
            if how == "start":
                daemon.write(case.conf, other)
                assert daemon.check().returncode == 0
                daemon.launch()
                wait_for(daemon.try_status, "an answer")
            else:
                daemon.start(other)
                sender.send(numbered(50))
                daemon.write(case.conf, other)
                daemon.ctl("reload")
            daemon.wait_state("two", "running")
            waiting = daemon.wait_state("one", "waiting")
            assert [r["what"] for r in waiting["reasons"]] == [case.what]
            assert waiting["pid"] == 0 and waiting["restarts"] == 0
            assert case.what in daemon.ctl("status").stdout
            sender.send(numbered(50))
            case.provide()
            running = daemon.wait_state("one", "running", 5)
            assert running["reasons"] == [] and running["restarts"] == 0
            sender.send(numbered(50))
            count = len(sender.sent)
            ledger = daemon.wait_received("two", count)
            assert ledger["received"] == ledger["relayed"] == count
            assert receiver.wait(count) == sender.sent
            daemon.archived.discard("one")
            daemon.stop()
            assert daemon.payloads("two") == sender.sent
    finally:
        daemon.kill()


def wait_for_port(daemon: Daemon, taken: Receiver) -> dict[str, Any]:
    """A daemon whose channel one waits, and two runs."""
    conf = channel("one", taken.port)
    daemon.write(conf, channel("two", free_port()))
    daemon.launch()
    wait_for(daemon.try_status, "an answer")
    daemon.wait_state("two", "running")
    daemon.wait_state("one", "waiting")
    return conf


def test_commands(daemon: Daemon) -> None:
    """They say that it waits and for what; a stopped one does not come by
    itself."""
    with Receiver() as taken:
        wait_for_port(daemon, taken)
        for verb in ("start", "restart"):
            done = daemon.ctl(verb, "one", check=False)
            assert done.returncode == 1
            assert "channel one waits" in done.stderr
            assert "Address already in use" in done.stderr
        daemon.ctl("stop", "one")
        stopped = daemon.status("one")
        assert stopped["state"] == "stopped" and stopped["reasons"] == []
    daemon.ctl("reload")
    assert daemon.status("one")["state"] == "stopped"
    daemon.ctl("start", "one")
    assert daemon.status("one")["state"] == "running"
    daemon.stop()


def test_stop_while_waiting(daemon: Daemon) -> None:
    with Receiver() as taken:
        wait_for_port(daemon, taken)
        daemon.stop()


def test_upgrade_while_waiting(daemon: Daemon) -> None:
    """It waits on in the new image, and holds up nobody's successor."""
    with Receiver() as taken:
        wait_for_port(daemon, taken)
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        daemon.wait_state("one", "waiting")
    daemon.wait_state("one", "running", 5)
    daemon.stop()


def test_reload_to_another_port(daemon: Daemon) -> None:
    """A reload is another way to give it what it lacks; one that takes it
    away stores what there was."""
    with Receiver() as taken:
        conf = wait_for_port(daemon, taken)
        free = channel("one", free_port(), archive=daemon.archive_conf())
        daemon.write(free)
        daemon.ctl("reload")
        daemon.wait_state("one", "running")
        with Sender("127.0.0.1", free["listen"]["port"]) as sender:
            sender.send(numbered(20))
            daemon.wait_received("one", 20)
        daemon.write(conf | {"archive": daemon.archive_conf()})
        daemon.ctl("reload")
        daemon.wait_state("one", "waiting")
        assert daemon.payloads("one") == sender.sent
    daemon.wait_state("one", "running", 5)
    daemon.stop()


@pytest.mark.parametrize("how", ["upgrade", "restart"])
def test_reasons_last(programs: Any, tmp_path: Path, namespace: Namespace,
                      how: str) -> None:
    """That another image or another worker goes on does not end what is
    wrong, nor the time since when it is."""
    daemon, port = Daemon(programs, tmp_path, namespace), free_port()

    def plug(name: str) -> None:
        ip(namespace, "link", "add", name, "type", "veth", "peer", "name",
           f"{name}-peer")
        ip(namespace, "link", "set", f"{name}-peer", "up")
        ip(namespace, "link", "set", name, "up")

    def facts() -> dict[str, list[tuple[str, str]]]:
        return {name: [(r["what"], r["since"])
                       for r in daemon.status(name)["reasons"]]
                for name in names}

    def all_there() -> bool:
        return [[what for what, _ in facts()[name]] for name in names] == [
            ["no_datagrams"], ["input_lost"], ["interface_missing"]]
    try:
        names = ["silent", "lost", "waits"]
        plug("gone")
        daemon.write(
            channel("silent", port, stale_after="1s"),
            channel("lost", free_port(), "239.1.2.4", stale_after="0",
                    listen_interface="gone"),
            channel("waits", free_port(), "239.1.2.3",
                    listen_interface="late"))
        daemon.launch()
        wait_for(daemon.try_status, "an answer")
        daemon.wait_state("silent", "stale")
        ip(namespace, "link", "del", "gone")
        wait_for(all_there, "all reasons", 5, facts)
        before = facts()
        # The next second must not be the same.
        wait_for(lambda: time.time() % 1 < 0.5 and time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > max(
                since for each in before.values() for _, since in each),
            "another second", 3)
        workers = {name: daemon.status(name)["pid"] for name in names[:2]}
        if how == "upgrade":
            daemon.ctl("upgrade")
            daemon.wait_log("all processes are of version")
        else:
            for name in workers:
                daemon.ctl("restart", name)
        for name, pid in workers.items():
            daemon.wait_new_worker(name, pid)
        wait_for(all_there, "all reasons again", 5, facts)
        assert facts() == before
        with Sender("127.0.0.1", port, namespace=namespace) as sender:
            sender.send(numbered(10))
            daemon.wait_state("silent", "running")
        daemon.wait_log("come in again after")
        plug("gone")
        plug("late")
        daemon.wait_state("waits", "running")
        daemon.wait_state("lost", "running")
        daemon.stop()
    finally:
        daemon.kill()


def test_errors_in_the_file_refuse_it(daemon: Daemon) -> None:
    """Waiting is for what may come; what is written wrong does not."""
    daemon.start(channel("one", free_port()))
    daemon.write(channel("one", free_port()) | {"nonsense": 1})
    assert daemon.ctl("reload", check=False).returncode == 1
    assert daemon.status("one")["state"] == "running"
    daemon.stop(checks=False)


def test_out_of_descriptors(daemon: Daemon) -> None:
    """It says so, and what to raise, and not that an interface is gone."""
    daemon.write(*(channel(f"c{i}", free_port(),
                           relay=[output("239.1.2.3", 5000)])
                   for i in range(20)))
    done = subprocess.run(
        ["prlimit", "--nofile=40:40", *daemon.command("-d")], text=True,
        env=daemon.environment, capture_output=True, timeout=30,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "Too many open files" in done.stderr
    assert "LimitNOFILE" in done.stderr
    assert "No such device" not in done.stderr


def test_reload_needs_both(daemon: Daemon) -> None:
    """What is new is opened before what is old is closed: it says that there
    may be too few descriptors for that."""
    def conf(size: str) -> dict[str, Any]:
        return channel("one", port, ring_size=size, relay=[
            output("127.0.0.1", sink)])
    port, sink = free_port(), free_port()
    daemon.start(conf("1MiB"))
    needed = int(re.findall(r"and (\d+) descriptors", daemon.log())[0])
    subprocess.run(["prlimit", f"--nofile={needed}",
                    "--pid", str(daemon.find_background())],
                   check=True, timeout=10, stdin=subprocess.DEVNULL)
    daemon.write(conf("1MiB") | {"stale_after": "77s"})
    daemon.ctl("reload")
    assert "while it comes into force" not in daemon.log()
    daemon.write(conf("2MiB"))
    daemon.ctl("reload")
    assert f"while it comes into force {needed + 1} descriptors are needed, " \
        f"1 of them for what is new or changed, but no more than {needed} " \
        "may be open" in daemon.log()
    daemon.wait_state("one", "running")
    daemon.stop()


def check(daemon: Daemon, *words: str) -> tuple[int, str, dict[str, int]]:
    """Exit status, text, performance data; it must be one line."""
    done = daemon.ctl("check", *words, check=False)
    assert done.stderr == "" and done.stdout.count("\n") == 1, done
    text, _, data = done.stdout.rstrip("\n").partition(" | ")
    values = dict(each.split("=") for each in data.split())
    return done.returncode, text, {
        key: int(value.removesuffix("c")) for key, value in values.items()}


def test_check(daemon: Daemon) -> None:
    """For a monitor: the worst state is the exit status."""
    assert check(daemon)[0] == 2        # it does not run
    with Receiver() as taken:
        wait_for_port(daemon, taken)
        status, text, data = check(daemon)
        assert status == 2 and text.startswith("MCRELAY CRITICAL: one is "
                                               "waiting (")
        assert "Address already in use" in text
        assert data["channels"] == 2 and data["running"] == 1
        assert check(daemon, "two")[0] == 0
        status, text, _ = check(daemon, "three")
        assert status == 3 and text == \
            "MCRELAY UNKNOWN: there is no channel three"
        daemon.ctl("stop", "one")
        status, text, _ = check(daemon)
        assert status == 1 and text == "MCRELAY WARNING: one is stopped"
    daemon.ctl("start", "one")
    status, text, data = check(daemon)
    assert status == 0 and text == \
        "MCRELAY OK: all 2 channels are running"
    assert data["received"] == 0
    daemon.stop()


def test_check_is_bounded(daemon: Daemon) -> None:
    """A daemon that hangs is critical, and in time: a monitor does not wait
    for ever.  Nor for one that says a little now and then."""
    daemon.start(channel("one", free_port(), stale_after="0"))
    daemon.signal(signal.SIGSTOP)
    for seconds in (1, 3):
        since = time.monotonic()
        done = daemon.ctl("check", "-t", str(seconds), check=False)
        assert seconds <= time.monotonic() - since < seconds + 2
        assert done.returncode == 2 and done.stdout == \
            "MCRELAY CRITICAL: mcrelayd does not answer within " \
            f"{seconds} s\n"
    since = time.monotonic()
    assert daemon.ctl("check", check=False).returncode == 2
    assert time.monotonic() - since < 10
    daemon.signal(signal.SIGCONT)
    assert check(daemon)[0] == 0
    assert daemon.ctl("check", "-t", "0", check=False).returncode == 2
    daemon.stop()


def test_check_of_a_slow_answer(programs: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        server.settimeout(10)
        since = time.monotonic()
        process = subprocess.Popen(
            [str(programs.mcrelayctl), "-s", path, "check", "-t", "2"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        connection = server.accept()[0]
        with connection:
            while process.poll() is None and time.monotonic() < since + 6:
                try:
                    connection.send(b" ")
                except OSError:
                    break
                time.sleep(0.1)
            out = process.communicate(timeout=5)[0]
    assert time.monotonic() - since < 4
    assert process.returncode == 2 and "does not answer" in out


def test_degraded(programs: Any, tmp_path: Path, namespace: Namespace
                  ) -> None:
    """A route that goes while the channel runs.  That the output's errors
    rose is history some time after the last; that it has no way to send is
    not, until the route is back."""
    daemon, port = Daemon(programs, tmp_path, namespace), free_port()
    route = ("192.0.2.0/24", "dev", "va")
    ip(namespace, "route", "add", *route)

    def reasons() -> list[str]:
        return [r["what"] for r in daemon.status("one")["reasons"]]
    try:
        daemon.start(channel("one", port, relay=[output("192.0.2.9", 5000)],
                             stale_after="120s"))
        ip(namespace, "route", "del", *route)
        with Sender("127.0.0.1", port, namespace=namespace) as sender:
            def fails() -> bool:
                sender.send(numbered(5))
                return reasons() == ["output_lost", "output_failing"]
            wait_for(fails, "an output without a way, and its errors", 10.0,
                     daemon.log)
        status = daemon.status("one")
        assert status["state"] == "degraded"
        for reason in status["reasons"]:
            assert set(reason) == {"what", "since", "detail"}
            time.strptime(reason["since"], "%Y-%m-%dT%H:%M:%SZ")
        done, said, _ = check(daemon)
        assert done == 1 and said.startswith("MCRELAY WARNING: one is degraded")
        wait_for(lambda: reasons() == ["output_lost"], "errors are history",
                 20.0, daemon.log)
        assert daemon.status("one")["state"] == "degraded"
        ip(namespace, "route", "add", *route)
        daemon.wait_state("one", "running", 5)
        assert reasons() == [] or reasons() == ["memory_unlocked"]
        daemon.stop()
    finally:
        daemon.kill()


def test_stream_waits_for_its_output(programs: Any, tmp_path: Path,
                                     namespace: Namespace) -> None:
    """Relay and archive do not need it, so the channel is degraded."""
    daemon, port = Daemon(programs, tmp_path, namespace), free_port()
    try:
        daemon.write(channel("one", port, archive=daemon.archive_conf(),
                             decimate=[{"name": "slow", "method": "pick",
                                        "every": 10}
                                       | output("192.0.2.9", 5000)]))
        daemon.launch()
        wait_for(daemon.try_status, "an answer")
        degraded = daemon.wait_state("one", "degraded")
        assert [r["what"] for r in degraded["reasons"]] == ["stream_output"]
        with Sender("127.0.0.1", port, namespace=namespace) as sender:
            sender.send(numbered(30))
            wait_for(lambda: daemon.ledger("one")["archived"] == 30,
                     "all archived")
            ip(namespace, "route", "add", "192.0.2.0/24", "dev", "va")
            assert daemon.wait_state("one", "running")["reasons"] == []
            sender.send(numbered(30, first=30))
            daemon.wait_received("one", 60)
        daemon.stop()
    finally:
        daemon.kill()


def limit_memory(pid: int, size: int) -> None:
    subprocess.run(["prlimit", f"--as={size}:unlimited", "--pid", str(pid)],
                   check=True, timeout=10, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("how", ["start", "reload"])
def test_waits_for_memory(daemon: Daemon, how: str) -> None:
    """One whose ring cannot be made waits for it; the others run, also over
    an upgrade."""
    huge = channel("one", free_port(), ring_size="256MiB",
                   archive=daemon.archive_conf(),
                   decimate=[{"name": "s", "method": "pick", "every": 10,
                              "archive": True}
                             | output("127.0.0.1", free_port())])
    small = channel("two", free_port(), ring_size="1MiB")
    command = daemon.command
    if how == "start":
        setattr(daemon, "command", lambda *options: [
            "prlimit", f"--as={400 << 20}:unlimited", *command(*options)])
        daemon.write(huge, small)
        daemon.launch()
    else:
        daemon.start(small)
        limit_memory(daemon.find_background(), 400 << 20)
        daemon.write(huge, small)
        daemon.ctl("reload")
    wait_for(daemon.try_status, "an answer")
    daemon.wait_state("two", "running")
    waiting = daemon.wait_state("one", "waiting")
    assert [r["what"] for r in waiting["reasons"]] == ["memory_missing"]
    assert waiting["reasons"][0]["detail"] == \
        "cannot make its ring of 256 MiB: Cannot allocate memory"
    assert "one waits: cannot make its ring" in daemon.log()
    if how == "start":
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        daemon.wait_state("one", "waiting")
    daemon.ctl("ledger", "one")
    # The decimator's first: it tries again, but later.
    own = daemon.find_background()
    for pid in sorted(daemon.processes(), key=lambda p: p == own):
        limit_memory(pid, 64 << 30)
    daemon.wait_state("one", "running", 5)
    with Sender("127.0.0.1", huge["listen"]["port"]) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        wait_for(lambda: daemon.status("one")["decimate"]["s"]["in"] == 100,
                 "a stream", 5, lambda: daemon.status("one"))
    daemon.stop()
    assert daemon.payloads("one") == sender.sent


def test_changed_waits_for_memory(daemon: Daemon) -> None:
    """One that runs is to have a larger ring, which cannot be made: it waits
    for it, as one that is new does; what comes meanwhile waits, too."""
    def conf(size: str) -> dict[str, Any]:
        return channel("one", port, ring_size=size,
                       archive=daemon.archive_conf(),
                       decimate=[{"name": "s", "method": "pick", "every": 10}
                                 | output("127.0.0.1", sink)])
    port, sink, two = free_port(), free_port(), channel("two", free_port())
    daemon.start(conf("1MiB"), two)
    worker = daemon.status("one")["pid"]
    own = daemon.find_background()
    limit_memory(own, 400 << 20)
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        daemon.write(conf("256MiB"), two)
        daemon.ctl("reload")
        waiting = daemon.wait_state("one", "waiting")
        assert [r["what"] for r in waiting["reasons"]] == ["memory_missing"]
        assert waiting["reasons"][0]["detail"] == \
            "cannot make its ring of 256 MiB: Cannot allocate memory"
        sender.send(numbered(100, first=100))
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        daemon.wait_state("one", "waiting")
        daemon.wait_state("two", "running")
        sender.send(numbered(100, first=200))
        # It says so once, not each time that it tries.
        said = "one waits: cannot make its ring"
        wait_for(lambda: daemon.log().count(said) == 2, "what it waits for")
        assert "what it waited for" not in daemon.log()
        # The decimator's first: it tries again, but later.
        for pid in sorted(daemon.processes(), key=lambda p: p == own):
            limit_memory(pid, 64 << 30)
        daemon.wait_state("one", "running", 5)
        assert daemon.status("one")["pid"] != worker
        daemon.wait_received("one", 300)
        wait_for(lambda: daemon.status("one")["decimate"]["s"]["in"] == 300,
                 "the stream", 5, lambda: daemon.status("one"))
    daemon.stop()
    assert daemon.payloads("one") == sender.sent


@pytest.mark.parametrize("end", ["killed", "memory"])
def test_decimator_gives_up(daemon: Daemon, end: str) -> None:
    """It has no memory for one more ring, and answers all the same: that
    channel's streams are not sent, and its state says so, until another one
    follows or there is enough."""
    def conf(name: str, size: str) -> dict[str, Any]:
        return channel(name, free_port(), ring_size=size, stale_after="0",
                       decimate=[{"name": "s", "method": "pick", "every": 10}
                                 | output("127.0.0.1", free_port())])
    two, one = conf("two", "1MiB"), conf("one", "256MiB")
    daemon.start(two)
    pid = daemon.wait_processes("mcrelay-decimator", 1)[0]
    limit_memory(pid, 300 << 20)
    daemon.write(two, one)
    daemon.ctl("reload")
    daemon.wait_state("one", "running")
    with Sender("127.0.0.1", one["listen"]["port"]) as sender:
        sender.send(numbered(50))
        daemon.wait_received("one", 50)
        degraded = daemon.wait_state("one", "degraded")
        assert [r["what"] for r in degraded["reasons"]] == ["decimator_away"]
        assert daemon.status("two")["state"] == "running"
        assert "not usable: Cannot allocate memory" in daemon.log()
        if end == "killed":
            os.kill(pid, signal.SIGKILL)
        else:
            limit_memory(pid, 64 << 30)
        daemon.wait_state("one", "running", 15)
        sender.send(numbered(50, first=50))
        wait_for(lambda: daemon.status("one")["decimate"]["s"]["in"] >= 50,
                 "the stream", 5, lambda: daemon.status("one"))
    daemon.stop()
