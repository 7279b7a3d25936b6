# SPDX-License-Identifier: ISC
"""Channels whose inputs are paths of one stream."""

from __future__ import annotations

import os
import random
import signal
import struct
import threading
import time
from typing import Any, Iterator

import pytest

import avro_files
from daemon import Daemon, channel, output
from net import Namespace, Receiver, Sender, free_port, group_v4, safe_rate
from waiting import wait_for

Entry = dict[str, Any]

# So much of what is sent is lost on each path.
LOSS = 0.2
# A window that holds whatever a busy machine does in between.
WINDOW = "400ms"


def datagram(number: int, generation: int = 0) -> bytes:
    return struct.pack(">II", number & 0xffffffff, generation) + \
        bytes([number & 255]) * (number % 50)


def number_of(payload: bytes) -> int:
    return struct.unpack_from(">I", payload)[0]


class Paths:
    """A stream by two veth pairs, va - vb and vc - vd of a namespace: what is
    sent into vb and vd comes in by va and vc."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        namespace.run("ip", "link", "add", "vc", "type", "veth", "peer",
                      "name", "vd")
        namespace.run("sysctl", "-qw", *(
            f"net.ipv4.conf.{link}.{setting}" for link in ("vc", "vd")
            for setting in ("rp_filter=0", "accept_local=1")))
        namespace.run("ip", "addr", "add", "10.99.2.1/24", "dev", "vc")
        namespace.run("ip", "addr", "add", "10.99.3.1/24", "dev", "vd")
        for link in ("vc", "vd"):
            namespace.run("ip", "link", "set", link, "up")
        group, port = group_v4(), free_port()
        self.listen = [
            {"address": group, "port": port, "interface": link,
             "receive_buffer": "16MiB"} for link in ("va", "vc")]
        self.senders = [Sender(group, port, link, namespace)
                        for link in ("vb", "vd")]
        self.cut = [False, False]
        self.brought: list[list[int]] = [[], []]

    def send(self, path: int, payload: bytes) -> None:
        self.senders[path]._send(payload)
        self.brought[path].append(number_of(payload))

    def link(self, path: int, state: str) -> None:
        self.namespace.run("ip", "link", "set", ("vb", "vd")[path], state)

    @property
    def copies(self) -> int:
        return sum(map(len, self.brought))

    @property
    def once(self) -> list[int]:
        """What came by one path at least."""
        return sorted(set(self.brought[0]) | set(self.brought[1]))

    def close(self) -> None:
        for sender in self.senders:
            sender.close()


@pytest.fixture
def paths(namespace: Namespace) -> Iterator[Paths]:
    made = Paths(namespace)
    yield made
    made.close()


def make(daemon: Daemon, listen: list[Entry], port: int, **more: Any
         ) -> dict[str, Any]:
    payload = {"format": "raw", "sequence": {"offset": 0, "type": "u32be"}}
    return channel("one", 1, relay=[output("127.0.0.1", port)],
                   archive=daemon.archive_conf(on_overrun="block"),
                   ) | {"listen": listen, "payload": payload,
                        "merge": "sequence", "merge_window": WINDOW} | more


def wait_merged(daemon: Daemon, copies: int) -> dict[str, int]:
    """Once all copies are accounted for, and none waits."""
    def there() -> dict[str, int] | None:
        ledger = daemon.ledger("one")
        taken = ledger["received"] + ledger["merged"] + \
            ledger["merge_waiting"]
        assert taken <= copies, ledger
        done = taken == copies and ledger["merge_waiting"] == 0
        return ledger if done else None
    wait_for(there, f"{copies} copies", 20, lambda: daemon.status("one"))
    return daemon.wait_settled("one")


def check_inputs(daemon: Daemon, paths: Paths) -> None:
    """What each has brought, and what it alone."""
    ledger, inputs = daemon.ledger("one"), daemon.status("one")["inputs"]
    assert sum(i["received"] for i in inputs) == ledger["received"]
    assert sum(i["merged"] for i in inputs) == ledger["merged"]
    for path, found in enumerate(inputs):
        mine = paths.brought[path]
        others = set(paths.brought[1 - path])
        assert found["received"] + found["merged"] == len(mine)
        assert found["sole"] == len(set(mine) - others)
        assert found["kernel_dropped"] == 0


def check_sink(daemon: Daemon, expected: list[int], sink: Receiver) -> None:
    got = [number_of(payload) for payload in sink.wait(len(expected))]
    assert got == expected
    daemon.stop()
    stored = [number_of(d.payload)
              for path in avro_files.files(daemon.archive, "one")
              for d in avro_files.read_datagrams(path)]
    assert stored == expected


class Load(threading.Thread):
    """Numbers on both paths, each of which loses some."""

    def __init__(self, paths: Paths, count: int, rate: float,
                 chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.paths, self.count, self.rate = paths, count, rate
        self.chance = chance
        self.lock = threading.Lock()
        self.start()

    def run(self) -> None:
        begin = time.monotonic()
        for number in range(self.count):
            early = begin + number / self.rate - time.monotonic()
            if early > 0.001:
                time.sleep(early)
            payload = datagram(number)
            with self.lock:
                for path in self.chance.sample((0, 1), 2):
                    if not self.paths.cut[path] and \
                            self.chance.random() >= LOSS:
                        self.paths.send(path, payload)

    def cut(self, path: int, cut: bool) -> None:
        """The link is really down; what had left before has arrived."""
        if not cut:
            self.paths.link(path, "up")
        with self.lock:
            self.paths.cut[path] = cut
        if cut:
            self.paths.link(path, "down")


@pytest.mark.parametrize("uring", [False, pytest.param(
    True, marks=pytest.mark.linux("no io_uring"))],
    ids=["sockets", "io_uring"])
def test_loss_cuts_and_kills(inside: Daemon, namespace: Namespace,
                             paths: Paths, uring: bool) -> None:
    """Each path loses a fifth, is cut in turn, and the worker is killed all
    the while: what came by one path at least goes on once and in order."""
    rate = safe_rate(1.0, 1500)
    seed = int(os.environ.get("MCRELAY_TEST_SEED", time.time_ns()))
    chance = random.Random(seed)
    print("seed", seed)
    with Receiver(namespace=namespace, repeats=inside.programs.repeats(
            100)) as sink:
        inside.start(make(inside, paths.listen, sink.port,
                          io_uring={"enabled": uring}))
        print("receives by", inside.status("one")["io"]["receive"])
        load = Load(paths, int(rate * 6), rate, chance)
        kills = 0
        while load.is_alive():
            time.sleep(chance.uniform(0.05, 0.3))
            if kills % 3 == 0:
                path = kills // 3 % 2
                load.cut(path, not paths.cut[path])
            pid = inside.worker_pid("one")
            os.kill(pid, signal.SIGKILL)
            inside.wait_new_worker("one", pid)
            kills += 1
        assert kills > 3        # so that both paths were cut
        ledger = wait_merged(inside, paths.copies)
        assert ledger["received"] == len(paths.once)
        assert ledger["sequence_gaps"] == \
            paths.once[-1] - paths.once[0] + 1 - len(paths.once)
        assert ledger["sequence_reordered"] == 0
        check_inputs(inside, paths)
        check_sink(inside, paths.once, sink)


def send_all(paths: Paths, numbers: list[int], *to: int) -> None:
    for number in numbers:
        for path in to:
            paths.send(path, datagram(number))


def test_reload_and_restart_of_the_sender(
        inside: Daemon, namespace: Namespace, paths: Paths) -> None:
    """A reload that makes the segment anew forgets no number and leaves
    nothing waiting; nor does a restart of the channel.  Then the sender begins
    anew, one path later than the other."""
    with Receiver(namespace=namespace) as sink:
        config = make(inside, paths.listen, sink.port)
        inside.start(config)
        first = list(range(20000, 20100))
        send_all(paths, first + [20102], 0)     # the last has to wait
        wait_for(lambda: inside.ledger("one")["merge_waiting"] > 0,
                 "one that waits")
        inside.write(config | {"merge_window": "60ms",
                               "listen": paths.listen[::-1]})
        pid = inside.worker_pid("one")
        inside.ctl("reload")
        inside.wait_new_worker("one", pid)      # what waited has gone on
        send_all(paths, first + [20101, 20102], 1)
        wait_merged(inside, 203)
        inside.ctl("restart", "one")
        send_all(paths, [20103, 20104], 0)
        send_all(paths, [20104], 1)
        again = list(range(5))
        send_all(paths, again, 0)
        send_all(paths, [20105], 1)
        send_all(paths, again, 1)
        ledger = wait_merged(inside, 217)
        assert ledger["merged"] == 101 + 1 + 5
        inputs = inside.status("one")["inputs"]
        assert [i["interface"] for i in inputs] == ["vc", "va"]
        assert [i["sole"] for i in inputs] == [2, 1]
        got = [number_of(payload) for payload in sink.wait(110)]
        assert got[:101] == first + [20102]
        assert sorted(got) == sorted(first + [20101, 20102, 20103, 20104,
                                              20105] + again)
        assert [n for n in got if n < 5] == again
        inside.stop()
