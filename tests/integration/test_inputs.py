# SPDX-License-Identifier: ISC
"""Channels with several inputs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from typing import Any, Iterator

import pytest

import avro_files
from daemon import Daemon, Programs, channel, output
from manager import Manager
from net import (Namespace, Receiver, Sender, SenderThread, endless,
                 free_port, group_v4, numbered, safe_rate)
from waiting import wait_for

Entry = dict[str, Any]


def entry(address: str, port: int, interface: str = "") -> Entry:
    result: Entry = {"address": address, "port": port,
                     "receive_buffer": "16MiB"}
    return result | ({"interface": interface} if interface else {})


def destination(listen: Entry) -> str:
    """As in records."""
    on = f"%{listen['interface']}" if "interface" in listen else ""
    return f"{listen['address']}:{listen['port']}{on}"


def make(daemon: Daemon, listen: list[Entry], port: int, **more: Any
         ) -> dict[str, Any]:
    """A channel that relays to a port, and archives."""
    return channel("one", 1, relay=[output("127.0.0.1", port)],
                   archive=daemon.archive_conf(on_overrun="block"), **more
                   ) | {"listen": listen}


def inputs(daemon: Daemon) -> dict[str, dict[str, Any]]:
    return {destination(i): i for i in daemon.status("one")["inputs"]}


def archived(daemon: Daemon) -> dict[str, list[bytes]]:
    """The payloads by destination, each in order; numbers without a gap."""
    found: dict[str, list[bytes]] = {}
    sequence = 0
    for path in avro_files.files(daemon.archive, "one"):
        for datagram in avro_files.read_datagrams(path):
            assert datagram.sequence == sequence
            sequence += 1
            assert datagram.destination is not None
            found.setdefault(datagram.destination, []).append(
                datagram.payload)
    return found


def check(daemon: Daemon, sent: dict[str, list[bytes]],
          relayed: list[bytes]) -> None:
    """Each datagram of each input is in the archive once, with its
    destination and in its order, and was relayed once."""
    daemon.stop()
    found = archived(daemon)
    assert set(found) == {to for to, each in sent.items() if each}
    for to, each in sent.items():
        assert found.get(to, []) == each, to
    assert sorted(relayed) == sorted(sum(sent.values(), []))


class Load:
    """Datagrams to three inputs: unicast, and a group on two interfaces of a
    namespace."""

    def __init__(self, namespace: Namespace) -> None:
        group, port = group_v4(), free_port()
        self.listen = [entry("127.0.0.1", free_port()),
                       entry(group, port, "va"), entry(group, port, "lo")]
        # What va gets leaves by vb.
        self.senders = [
            Sender("127.0.0.1", self.listen[0]["port"], namespace=namespace),
            Sender(group, port, "vb", namespace),
            Sender(group, port, "lo", namespace)]
        self.threads: list[SenderThread] = []

    def start(self, rate: float) -> None:
        """Distinct ones to each."""
        self.threads = [SenderThread(sender, endless(100 + i), rate)
                        for i, sender in enumerate(self.senders)]

    def end(self) -> None:
        for thread in self.threads:
            thread.end()

    @property
    def sent(self) -> dict[str, list[bytes]]:
        return {destination(listen): sender.sent for listen, sender in
                zip(self.listen, self.senders)}

    def close(self) -> None:
        for sender in self.senders:
            sender.close()


@pytest.fixture
def load(namespace: Namespace) -> Iterator[Load]:
    made = Load(namespace)
    yield made
    made.close()


def wait_all(daemon: Daemon, load: Load) -> None:
    sent = load.sent
    daemon.wait_received("one", sum(len(each) for each in sent.values()))
    found = inputs(daemon)
    assert list(found) == list(sent)
    for to, each in sent.items():
        assert found[to]["received"] == len(each), to
        assert found[to]["received_bytes"] == sum(map(len, each))
        assert found[to]["kernel_dropped"] == 0
        assert not found[to]["lost"]
    assert found[destination(load.listen[1])]["joined"] == "va"


@pytest.mark.parametrize("killed", ["worker", "worker and upgrade"])
def test_kills_under_load(inside: Daemon, namespace: Namespace, load: Load,
                          killed: str) -> None:
    """Workers are killed at random, and the supervisor executes itself: each
    datagram is taken over with the input that it came by."""
    rate = safe_rate(1.0, 1500)
    seed = int(os.environ.get("MCRELAY_TEST_SEED", time.time_ns()))
    chance = random.Random(seed)
    print("seed", seed)
    with Receiver(namespace=namespace, repeats=inside.programs.repeats(
            100)) as sink:
        inside.start(make(inside, load.listen, sink.port))
        load.start(rate)
        # So many that none is waited for long.
        for kills in range(1, 7):
            time.sleep(chance.uniform(0.05, 0.4))
            pid = inside.worker_pid("one")
            os.kill(pid, signal.SIGKILL)
            inside.wait_new_worker("one", pid)
            if killed != "worker" and kills % 3 == 0:
                inside.ctl("upgrade")
        load.end()
        wait_all(inside, load)
        sink.wait(sum(map(len, load.sent.values())))
        check(inside, load.sent, sink.datagrams)


def test_supervisor_killed(inside: Daemon, namespace: Namespace, load: Load
                           ) -> None:
    """The service manager keeps each input: the next supervisor goes on with
    all of them."""
    rate = safe_rate(2.0, 1500)
    with Manager(inside.directory) as manager, \
            Receiver(namespace=namespace) as sink:
        inside.write(make(inside, load.listen, sink.port))
        manager.launch(inside)
        kept = ["in.one", "in1.one", "in2.one", "seg.one"]
        manager.wait_names(*kept)
        load.start(rate)
        for turn in range(1, 3):
            wait_for(lambda: inside.ledger("one")["received"]
                     > 3 * rate * turn, "datagrams before the kill")
            manager.kill(inside, turn == 2)
            manager.launch(inside)
            assert manager.names() == kept
        load.end()
        wait_all(inside, load)
        sink.wait(sum(map(len, load.sent.values())))
        check(inside, load.sent, sink.datagrams)


def test_reload(inside: Daemon, namespace: Namespace, load: Load) -> None:
    """An input that comes or goes, and another order, cost the others
    nothing; one that stays keeps its socket and its numbers."""
    rate = safe_rate(1.0, 1500)
    extra = entry("127.0.0.1", free_port())
    listens = [load.listen + [extra], load.listen,
               [extra] + load.listen[::-1], load.listen[::-1], load.listen]
    with Manager(inside.directory) as manager, \
            Receiver(namespace=namespace) as sink:
        inside.write(make(inside, load.listen, sink.port))
        manager.launch(inside)
        load.start(rate)
        for listen in listens:
            time.sleep(0.7)
            inside.write(make(inside, listen, sink.port))
            inside.ctl("reload")
            wait_for(lambda: list(inputs(inside)) == [
                destination(each) for each in listen] and
                inside.status("one")["state"] == "running", "the change")
            wait_for(lambda: manager.names() == sorted(
                ["in.one", "seg.one"] + [f"in{i}.one" for i in
                                         range(1, len(listen))]),
                "descriptors in keeping")
        # And the manager has each by the name of its place.
        manager.kill(inside, False)
        manager.launch(inside)
        load.end()
        wait_all(inside, load)
        sink.wait(sum(map(len, load.sent.values())))
        check(inside, load.sent, sink.datagrams)


def test_from_one_to_several(daemon: Daemon) -> None:
    """A list of one is as good as the mapping; one that joins it leaves it
    alone, and so does one that leaves it."""
    first, second = (entry("127.0.0.1", free_port()) for _ in range(2))
    rate = safe_rate(1.0, 1500)
    with Receiver() as sink, Sender("127.0.0.1", first["port"]) as sender:
        conf = make(daemon, [first], sink.port)
        daemon.start(conf | {"listen": first})
        pid = daemon.worker_pid("one")
        daemon.write(conf)
        daemon.ctl("reload")
        assert daemon.worker_pid("one") == pid
        thread = SenderThread(sender, endless(), rate)
        for listen in ([first, second], [second, first], [first]):
            time.sleep(0.8)
            pid = daemon.worker_pid("one")
            daemon.write(conf | {"listen": listen})
            daemon.ctl("reload")
            daemon.wait_new_worker("one", pid)
        thread.end()
        daemon.wait_received("one", len(sender.sent))
        assert inputs(daemon)[destination(first)]["received"] == \
            len(sender.sent)
        assert sink.wait(len(sender.sent)) == sender.sent
        daemon.stop()
    payloads = [d.payload for path in avro_files.files(daemon.archive, "one")
                for d in avro_files.read_datagrams(path)]
    assert payloads == sender.sent


def test_interface_goes(inside: Daemon, namespace: Namespace) -> None:
    """Of two inputs one is without its interface, at the start and later: the
    other goes on, and the state names it.  Without any the channel waits."""
    def plug() -> None:
        namespace.run("ip", "link", "add", "late", "type", "veth", "peer",
                      "name", "peer")
        for link in ("peer", "late"):
            namespace.run("sysctl", "-qw",
                          f"net.ipv4.conf.{link}.accept_local=1")
            namespace.run("ip", "link", "set", link, "up")
        namespace.run("ip", "addr", "add", "10.98.0.1/24", "dev", "peer")

    def lost() -> list[str]:
        return [reason["detail"] for reason in inside.status("one")["reasons"]
                if reason["what"] == "input_lost"]

    group, port = group_v4(), free_port()
    listen = [entry(group, port, "late"),
              entry("0.0.0.0", free_port(), "late")]
    with Receiver(namespace=namespace) as sink:
        inside.write(make(inside, listen, sink.port))
        inside.launch()
        wait_for(inside.try_status, "an answer")
        inside.wait_state("one", "waiting")
        assert inside.status("one")["reasons"][0]["what"] == \
            "interface_missing"
        listen.append(entry("127.0.0.1", free_port()))
        inside.write(make(inside, listen, sink.port))
        inside.ctl("reload")
        inside.wait_state("one", "degraded")
        [detail] = lost()
        assert detail.startswith(f"input {group}:{port}%late: ")
        assert detail.endswith(", and 1 more of 3 inputs")
        pid = inside.worker_pid("one")
        with Sender("127.0.0.1", listen[2]["port"],
                    namespace=namespace) as sender:
            sender.send(numbered(100))
            inside.wait_received("one", 100)
        for turn in range(2):
            plug()
            inside.wait_state("one", "running")
            with Sender(group, port, "peer", namespace) as sender:
                sender.send(numbered(10, first=1000 * turn))
                wait_for(lambda: inputs(inside)[destination(listen[0])][
                    "received"] == 10 * (turn + 1), "the group's datagrams")
            namespace.run("ip", "link", "del", "late")
            inside.wait_state("one", "degraded")
            assert len(lost()) == 1
        # One worker has heard it all.
        assert inside.worker_pid("one") == pid
        inside.stop()


def test_flood(daemon: Daemon, programs: Programs) -> None:
    """What floods one input keeps the others not waiting: none of theirs is
    lost."""
    flooded, calm = (entry("127.0.0.1", free_port()) for _ in range(2))
    with Sender("127.0.0.1", calm["port"]) as sender:
        daemon.start(channel("one", 1) | {"listen": [
            flooded | {"receive_buffer": "64KiB"},
            calm | {"receive_buffer": "256KiB"}]})
        flood = subprocess.Popen(
            [str(programs.gen), "source", "-q", "-r", "0", "-b", "64",
             f"127.0.0.1:{flooded['port']}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: inputs(daemon)[destination(flooded)]["received"]
                     > 10000, "the flood")
            sender.send(numbered(3000), 1000)
            wait_for(lambda: inputs(daemon)[destination(calm)]["received"]
                     == 3000, "what is not of the flood")
        finally:
            flood.terminate()
            flood.wait()
        assert inputs(daemon)[destination(calm)]["kernel_dropped"] == 0
        daemon.stop()
