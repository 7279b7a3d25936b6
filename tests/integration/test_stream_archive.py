# SPDX-License-Identifier: ISC
"""Decimated streams in archives of their own: what the stream's listeners got
is what lies there, byte for byte, whoever dies or changes meanwhile."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import pytest

import accel
import avro_files
import probe
from daemon import Daemon, channel, output
from manager import Manager
from net import (Receiver, Sender, SenderThread, endless, free_port,
                 group_v4, numbered, safe_rate)
from test_framing import FRAMINGS, framed, payload
from test_upgrade import own_binary, wait_rolled, workers
from waiting import wait_for

# While a worker is replaced the socket buffer must hold what comes.
OUTAGE_S = 0.5
# How long processes are killed, again and again.
KILLING_S = 100 if "MCRELAY_TEST_LONG" in os.environ else 6


def stream(name: str, receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"name": name, "archive": True} | more | \
        output(receiver.address, receiver.port)


def probe_conf(directory: Path) -> dict[str, str]:
    (directory / "probe.avsc").write_text(probe.SCHEMA)
    return {"format": "avro", "schema": "probe.avsc"}


def raw_channel(daemon: Daemon, port: int, view: Receiver, **more: Any
                ) -> dict[str, Any]:
    """Every second datagram goes to `view' and to the archive one.view."""
    return channel("one", port, archive=daemon.archive_conf(),
                   decimate=[stream("view", view, method="pick", every=2) |
                             more])


def wait_archived(daemon: Daemon, name: str = "one", to: str = "view"
                  ) -> dict[str, int]:
    """Until what the stream has sent is accounted for by its archive; the
    archive's ledger."""
    def there() -> dict[str, int] | None:
        counts = daemon.status(name)["decimate"][to]
        ledger = daemon.ledger(f"{name}.{to}")
        came = ledger["received"] + ledger["kernel_dropped"] + \
            counts["unarchived"]
        return ledger if came == counts["out"] + counts["errors"] and \
            ledger["pending"] == 0 else None
    return wait_for(there, f"all of {name}/{to} in its archive", 20.0,
                    lambda: daemon.ctl("ledger").stdout)


def check_archive(daemon: Daemon, view: Receiver) -> None:
    """The listener has got what is archived, and nothing else."""
    archived = daemon.payloads("one.view")
    assert archived == view.wait(len(archived))


def read_all(schema: str, datagram: bytes) -> list[Any]:
    """The datums of a datagram, by Avro's own library."""
    data = io.BytesIO(datagram)
    parsed = avro.schema.parse(schema)
    reader = avro.io.DatumReader(parsed, parsed)
    decoder = avro.io.BinaryDecoder(data)
    datums = []
    while data.tell() < len(datagram):
        datums.append(reader.read(decoder))
    return datums


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_what_was_sent(daemon: Daemon, pack: bool, codec: str) -> None:
    """All shapes of an avro channel, in small files: byte for byte, and as
    Avro's own reader sees them."""
    port = free_port()
    shapes: dict[str, dict[str, Any]] = {
        "mean": {"method": "mean", "every": 50},
        "peaks": {"method": "minmax", "every": 7},
        "summary": {"shape": "summary", "every": 50},
        "only": {"method": "pick", "every": 3, "only": ["time", "level"]}}
    datums = [probe.encode(d) for d in probe.datums(12000)]
    datagrams = [b"".join(datums[at:at + 5])
                 for at in range(0, len(datums), 5)]
    with ExitStack() as stack:
        to = {name: stack.enter_context(Receiver(group_v4()))
              for name in shapes}
        daemon.start(channel(
            "one", port, payload=probe_conf(daemon.directory),
            archive=daemon.archive_conf(
                codec=codec, block_size="4KiB", rotate={"size": "64KiB"}),
            decimate=[stream(name, to[name], pack=pack, **more)
                      for name, more in shapes.items()]))
        sender = stack.enter_context(Sender("127.0.0.1", port))
        sender.send(datagrams)
        daemon.wait_received("one", len(datagrams))
        schema = {name: daemon.ctl("schema", "one", name).stdout
                  for name in shapes}
        ledgers = {name: wait_archived(daemon, "one", name)
                   for name in shapes}
        for name, ledger in ledgers.items():
            assert ledger["received"] == ledger["archived"] > 0
            assert ledger["rejected"] == 0
            assert daemon.ctl("schema", f"one.{name}").stdout == schema[name]
        daemon.stop()
        assert avro_files.archived_datums(daemon.archive, "one") == \
            b"".join(datums)
        for name in shapes:
            sent = to[name].wait(ledgers[name]["received"])
            assert avro_files.archived_datums(
                daemon.archive, f"one.{name}") == b"".join(sent)
            files = avro_files.files(daemon.archive, f"one.{name}")
            assert len(files) > 1 or name != "peaks", "no rotation"
            assert [d for f in files for d in avro_files.by_python(f)] == \
                [d for datagram in sent
                 for d in read_all(schema[name], datagram)]
            subprocess.run([daemon.programs.verify, *files], check=True,
                           capture_output=True, timeout=60)
        lines = (daemon.archive / "one.peaks" / "catalog.jsonl").read_text()
        assert [json.loads(line)["name"] for line in lines.splitlines()] == \
            [f.name for f in avro_files.files(daemon.archive, "one.peaks")]


@pytest.mark.parametrize("samples", [None, {"type": "s16le", "offset": 8}])
def test_raw(daemon: Daemon, samples: dict[str, Any] | None) -> None:
    """A raw channel's streams, of datagrams and of samples."""
    port = free_port()
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        conf = raw_channel(daemon, port, view)
        if samples:
            conf["payload"]["samples"] = samples
        daemon.start(conf)
        sender.send(numbered(3001, 208))
        daemon.wait_received("one", 3001)
        wait_archived(daemon)
        daemon.stop()
        assert len(view.datagrams) > 1000
        check_archive(daemon, view)


@pytest.mark.parametrize("envelope", [False, True])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_framing(daemon: Daemon, source: Path, framing: str, envelope: bool
                 ) -> None:
    """A stream of the channel's shape has its headers, one of another has
    none: the archive stores neither's, or with an envelope the datagram."""
    port = free_port()
    header = FRAMINGS[framing][1]
    with Receiver(group_v4()) as same, Receiver(group_v4()) as other, \
            Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload=payload(source, framing),
            archive=daemon.archive_conf(envelope=envelope),
            decimate=[stream("same", same, method="mean", every=2),
                      stream("other", other, shape="summary", every=2)]))
        sender.send([framed(header, [s]) for s in accel.samples(200)])
        daemon.wait_received("one", 200)
        for name in ("same", "other"):
            ledger = wait_archived(daemon, "one", name)
            assert ledger["archived"] == 100 and ledger["rejected"] == 0
        daemon.stop()
        if envelope:
            assert daemon.payloads("one.same") == same.datagrams
            assert daemon.payloads("one.other") == other.datagrams
            return
        assert all(d.startswith(header) for d in same.datagrams)
        assert avro_files.archived_datums(daemon.archive, "one.same") == \
            b"".join(d[len(header):] for d in same.datagrams)
        assert avro_files.archived_datums(daemon.archive, "one.other") == \
            b"".join(other.datagrams)


def kill_healthy(daemon: Daemon, name: str) -> None:
    """Kills a worker that has been up for long enough to be followed at
    once, and waits for the next one."""
    wait_for(lambda: daemon.status(name)["uptime_s"] >= 1, "a healthy worker")
    pid = daemon.worker_pid(name)
    os.kill(pid, signal.SIGKILL)
    daemon.wait_new_worker(name, pid)


def test_worker_killed(daemon: Daemon) -> None:
    """The archiving worker, again and again, under load; its parent's
    worker and the decimator are not touched."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 8000)
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.start(raw_channel(daemon, port, view, every=1))
        others = daemon.worker_pid("one"), \
            daemon.wait_processes("mcrelay-decimator", 1)
        thread = SenderThread(sender, numbered(rate * KILLING_S, 100), rate)
        kills = 0
        while thread.busy():
            kill_healthy(daemon, "one.view")
            kills += 1
        thread.join(KILLING_S * 2)
        assert kills > 3
        assert others == (daemon.worker_pid("one"),
                          daemon.wait_processes("mcrelay-decimator", 1))
        daemon.wait_received("one", rate * KILLING_S)
        ledger = wait_archived(daemon)
        assert ledger["kernel_dropped"] == ledger["archive_shed"] == 0
        daemon.stop()
        assert view.datagrams == sender.sent
        check_archive(daemon, view)


@pytest.mark.linux("a socket's drops are not known")
def test_worker_hangs(daemon: Daemon) -> None:
    """What finds no room in its socket is counted there; the stream and its
    channel go on."""
    port = free_port()
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        conf = raw_channel(daemon, port, view, every=1)
        conf["listen"]["receive_buffer"] = "256KiB"
        daemon.start(conf)
        pid = daemon.worker_pid("one.view")
        os.kill(pid, signal.SIGSTOP)
        sender.send(numbered(3000, 200), 3000)
        daemon.wait_received("one", 3000)
        view.wait(3000)
        os.kill(pid, signal.SIGCONT)
        ledger = wait_archived(daemon)
        assert ledger["kernel_dropped"] > 0
        assert daemon.status("one")["decimate"]["view"]["unarchived"] == 0
        daemon.stop()
        assert view.datagrams == sender.sent
        archived = daemon.payloads("one.view")
        assert archived == sender.sent[:len(archived)]
        assert len(archived) == ledger["received"]


def test_parent_killed(daemon: Daemon) -> None:
    """The worker of the channel whose stream it is."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 8000)
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.start(raw_channel(daemon, port, view))
        pid = daemon.worker_pid("one.view")
        thread = SenderThread(sender, numbered(rate * KILLING_S, 100), rate)
        kills = 0
        while thread.busy():
            kill_healthy(daemon, "one")
            kills += 1
        thread.join(KILLING_S * 2)
        assert kills > 2
        daemon.wait_received("one", rate * KILLING_S)
        wait_archived(daemon)
        assert pid == daemon.worker_pid("one.view")
        daemon.stop()
        assert view.datagrams == sender.sent[1::2]
        check_archive(daemon, view)


@pytest.mark.linux("a killed decimator's last may be sent again")
def test_decimator_killed(daemon: Daemon) -> None:
    """The archive has each datagram once, however often decimators and its
    worker are killed.  What one that was killed had passed to the archive but
    not yet sent is counted as an error of the stream."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 8000)
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.start(raw_channel(daemon, port, view, every=1))
        relaying = daemon.worker_pid("one")
        thread = SenderThread(sender, numbered(rate * KILLING_S, 100), rate)
        kills = 0
        while thread.busy():
            if kills % 4 == 3:
                os.kill(daemon.worker_pid("one.view"), signal.SIGKILL)
            (old,) = daemon.wait_processes("mcrelay-decimator", 1)
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: daemon.wait_processes(
                "mcrelay-decimator", 1) != [old], "a new decimator")
            kills += 1
        thread.join(KILLING_S * 2)
        assert kills > 2
        daemon.wait_received("one", rate * KILLING_S)
        wait_archived(daemon)
        assert relaying == daemon.worker_pid("one")
        counts = daemon.status("one")["decimate"]["view"]
        daemon.stop()
        archived = daemon.payloads("one.view")
        assert archived == sender.sent
        rest = iter(archived)
        assert all(datagram in rest for datagram in view.datagrams)
        assert counts["out"] == len(view.datagrams)
        assert counts["errors"] == len(archived) - len(view.datagrams)


def test_reload_adds_and_removes(daemon: Daemon) -> None:
    """Nobody else is touched, no window is lost."""
    port = free_port()
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        plain = raw_channel(daemon, port, view, every=10)
        del plain["decimate"][0]["archive"]
        daemon.start(plain)
        pids = daemon.worker_pid("one"), \
            daemon.wait_processes("mcrelay-decimator", 1)
        sender.send(numbered(105))
        daemon.wait_received("one", 105)
        archived = raw_channel(daemon, port, view, every=10)
        daemon.write(archived)
        assert "1 added" in daemon.ctl("reload").stdout
        daemon.wait_state("one.view", "running")
        sender.send(numbered(100, first=105))
        daemon.wait_received("one", 205)
        wait_archived_count(daemon, 10)
        daemon.write(plain)
        assert "1 removed" in daemon.ctl("reload").stdout
        wait_for(lambda: not (daemon.run_dir / "one.view.pid").exists(),
                 "the end of the archive's worker")
        sender.send(numbered(105, first=205))
        daemon.wait_received("one", 310)
        view.wait(31)
        assert "unarchived" not in daemon.status("one")["decimate"]["view"]
        daemon.write(archived)
        daemon.ctl("reload")
        daemon.wait_state("one.view", "running")
        sender.send(numbered(10, first=310))
        daemon.wait_received("one", 320)
        wait_archived_count(daemon, 1)
        assert pids == (daemon.worker_pid("one"),
                        daemon.wait_processes("mcrelay-decimator", 1))
        daemon.stop()
        assert view.datagrams == sender.sent[9::10]
        assert daemon.payloads("one.view") == \
            view.datagrams[10:20] + view.datagrams[31:]


def descriptors(*pids: int) -> list[int]:
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]


def test_no_leaks(daemon: Daemon) -> None:
    """Sockets of archives that are gone are closed."""
    port = free_port()
    with Receiver(group_v4()) as view:
        archived = raw_channel(daemon, port, view)
        plain = raw_channel(daemon, port, view, archive=False)
        daemon.start(plain)
        assert daemon.process is not None
        (decimator,) = daemon.wait_processes("mcrelay-decimator", 1)
        # When it sends it has all that it is given.
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(10))
        view.wait(1)
        pids = daemon.process.pid, decimator
        before = descriptors(*pids)
        for _ in range(5):
            daemon.write(archived)
            daemon.ctl("reload")
            daemon.wait_state("one.view", "running")
            daemon.ctl("stop", "one.view")
            daemon.ctl("start", "one.view")
            daemon.write(plain)
            daemon.ctl("reload")
            wait_for(lambda: not (daemon.run_dir / "one.view.pid").exists(),
                     "the end of the archive's worker")
        wait_for(lambda: descriptors(*pids) == before,
                 "as many descriptors as before", 5.0,
                 lambda: (before, descriptors(*pids)))
        daemon.stop()


def wait_archived_count(daemon: Daemon, count: int) -> None:
    wait_for(lambda: daemon.ledger("one.view")["archived"] == count,
             f"{count} datagrams archived")


def test_settings_follow_the_channel(daemon: Daemon) -> None:
    """Other settings of the archive, under load: new workers, nothing
    lost."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 5000)
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        conf = raw_channel(daemon, port, view, every=1)
        daemon.start(conf)
        thread = SenderThread(sender, endless(), rate)
        for turn in range(3):
            wait_for(lambda: len(sender.sent) > rate * (turn + 1) / 2,
                     "some datagrams")
            conf["archive"]["block_size"] = f"{4 << turn}KiB"
            conf["listen"]["receive_buffer"] = f"{16 + turn}MiB"
            pid = daemon.worker_pid("one.view")
            daemon.write(conf)
            assert "2 changed" in daemon.ctl("reload").stdout
            daemon.wait_new_worker("one.view", pid)
        thread.end()
        daemon.wait_received("one", len(sender.sent))
        ledger = wait_archived(daemon)
        assert ledger["kernel_dropped"] == 0
        daemon.stop()
        check_archive(daemon, view)


def test_stream_with_another_schema(daemon: Daemon) -> None:
    """The fields change, under load: no datum is taken for one of the other
    schema, and what does not come to the archive is counted."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 4000)
    fields = ["level", "total", "count"]
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        conf = channel(
            "one", port, payload=probe_conf(daemon.directory),
            archive=daemon.archive_conf(), decimate=[
                stream("view", view, method="pick", every=1)])
        datums = probe.datums(rate * 4)
        known = {(field, d[field]) for field in fields[:2] for d in datums}
        for d in datums:
            assert ("level", d["total"]) not in known
        thread = None
        for turn in range(4):
            conf["decimate"][0]["only"] = ["time", fields[turn % 2]]
            daemon.write(conf)
            if thread is None:
                daemon.start(conf)
                thread = SenderThread(
                    sender, [probe.encode(d) for d in datums], rate)
            else:
                daemon.ctl("reload")
            wait_for(lambda: len(sender.sent) > rate * (turn + 0.7),
                     "some datagrams")
        thread.join()
        daemon.wait_received("one", rate * 4)
        ledger = wait_archived(daemon)
        assert ledger["rejected"] == 0
        daemon.stop()
        names = []
        records = 0
        for path in avro_files.files(daemon.archive, "one.view"):
            for record in avro_files.by_python(path):
                (name,) = set(record) - {"time"}
                assert (name, record[name]) in known, path
                records += 1
            names.append(name)
        assert names == ["level", "total", "level", "total"]
        assert records == ledger["archived"]


@pytest.mark.parametrize("only", [["time", "x"], None])
def test_channel_with_another_schema(daemon: Daemon, only: list[str] | None
                                     ) -> None:
    """Two fields change places, under load: each datum is decimated and
    archived by the schema by which its channel has received it."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 4000)
    orders = [["x", "y"], ["y", "x"]]
    for turn, order in enumerate(orders):
        (daemon.directory / f"{turn}.avsc").write_text(json.dumps({
            "type": "record", "name": "Point", "fields": [
                {"name": "time", "type": "long"}] + [
                {"name": name, "type": "int"} for name in order]}))
    datums = [avro_files.long(n) + avro_files.long(1) + avro_files.long(2)
              for n in range(rate * 4)]
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        conf = channel("one", port, archive=daemon.archive_conf(), decimate=[
            stream("view", view, method="pick", every=1)])
        if only:
            conf["decimate"][0]["only"] = only
        thread = None
        for turn in range(4):
            conf["payload"] = {"format": "avro",
                               "schema": f"{turn % 2}.avsc"}
            daemon.write(conf)
            if thread is None:
                daemon.start(conf)
                thread = SenderThread(sender, datums, rate)
            else:
                daemon.ctl("reload")
            wait_for(lambda: len(sender.sent) > rate * (turn + 0.7),
                     "some datagrams")
        thread.join()
        daemon.wait_received("one", rate * 4)
        wait_archived(daemon)
        daemon.stop()

        def archived(name: str) -> list[tuple[int, int]]:
            return [(d["time"], d["x"])
                    for path in avro_files.files(daemon.archive, name)
                    for d in avro_files.by_python(path)]
        expected = archived("one")
        assert len(expected) == rate * 4
        assert {x for _, x in expected} == {1, 2}
        got = archived("one.view")
        wrong = set(got) - set(expected)
        assert not wrong, sorted(wrong)[:10]
        lost = len(expected) - len(got)
        assert 0 <= lost < rate / 4


def test_upgrade(daemon: Daemon) -> None:
    """Under load: nothing lost, nothing doubled."""
    own_binary(daemon)
    port = free_port()
    rate = safe_rate(OUTAGE_S, 5000)
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.start(raw_channel(daemon, port, view))
        for turn in range(2):
            before = workers(daemon)
            thread = SenderThread(
                sender, endless(first=len(sender.sent)), rate)
            daemon.ctl("upgrade")
            wait_rolled(daemon, before)
            thread.end()
        daemon.wait_received("one", len(sender.sent))
        daemon.wait_log("upgrade: all processes are of version")
        sender.send(numbered(2, first=len(sender.sent)))
        daemon.wait_received("one", len(sender.sent))
        ledger = wait_archived(daemon)
        assert ledger["kernel_dropped"] == 0
        daemon.stop()
        check_archive(daemon, view)


def test_supervisor_killed(daemon: Daemon) -> None:
    """The service manager keeps both ends."""
    port = free_port()
    with Manager(daemon.directory) as manager, \
            Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.write(raw_channel(daemon, port, view))
        manager.launch(daemon)
        kept = ["feed.one.view", "in.one", "in.one.view", "seg.one",
                "seg.one.view"]
        manager.wait_names(*kept)
        for turn in range(2):
            sender.send(numbered(400, first=400 * turn))
            daemon.wait_received("one", 400 * (turn + 1))
            wait_archived(daemon)
            manager.kill(daemon, False)
            manager.launch(daemon)
            assert manager.names() == kept
        sender.send(numbered(400, first=800))
        daemon.wait_received("one", 1200)
        ledger = wait_archived(daemon)
        assert ledger["received"] == 600 and ledger["kernel_dropped"] == 0
        daemon.stop()
        check_archive(daemon, view)


def test_end_under_load(daemon: Daemon) -> None:
    """What was sent up to the end is in the files."""
    port = free_port()
    rate = safe_rate(OUTAGE_S, 8000)
    for _ in range(3):
        with Receiver(group_v4()) as view, \
                Sender("127.0.0.1", port) as sender:
            known = len(daemon.payloads("one.view"))
            daemon.start(raw_channel(daemon, port, view, every=1))
            thread = SenderThread(sender, endless(), rate)
            view.wait(rate // 4)
            daemon.stop(checks=False)
            thread.end()
            got = daemon.payloads("one.view")[known:]
            assert got == view.wait(len(got))


def test_stopped_archive(daemon: Daemon) -> None:
    """It is stopped for a while: the stream goes on, and what the archive
    lacks is counted."""
    port = free_port()
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.start(raw_channel(daemon, port, view, every=1))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        wait_archived(daemon)
        daemon.ctl("stop", "one.view")
        assert daemon.status("one.view")["state"] == "stopped"
        sender.send(numbered(200, first=100))
        daemon.wait_received("one", 300)
        view.wait(300)
        wait_archived(daemon)
        counts = daemon.status("one")["decimate"]["view"]
        assert counts["unarchived"] == 200 and counts["out"] == 300
        assert "200" in daemon.ctl("ledger", "one").stdout.splitlines()[-1]
        # A decimator that knows nothing else counts on.
        (old,) = daemon.wait_processes("mcrelay-decimator", 1)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: daemon.wait_processes("mcrelay-decimator", 1) !=
                 [old], "a new decimator")
        sender.send(numbered(10, first=300))
        daemon.wait_received("one", 310)
        assert wait_archived(daemon)["received"] == 100
        daemon.ctl("start", "one.view")
        sender.send(numbered(100, first=310))
        daemon.wait_received("one", 410)
        assert wait_archived(daemon)["received"] == 200
        daemon.ctl("restart", "one.view")
        daemon.stop()
        assert daemon.payloads("one.view") == \
            view.datagrams[:100] + view.datagrams[310:]


def test_files_of_its_own(daemon: Daemon) -> None:
    """Rotation, retention, holds, what is found of an archive: the stream's
    are the stream's and the channel's are the channel's."""
    port = free_port()
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        conf = raw_channel(daemon, port, view)
        conf["archive"]["retain"] = {"files": 2}
        daemon.start(conf)
        for turn in range(5):
            sender.send(numbered(100, first=100 * turn))
            daemon.wait_received("one", 100 * (turn + 1))
            wait_archived(daemon)
            daemon.ctl("rotate", "one.view")
            newest = avro_files_after(daemon, turn + 1)
        assert newest[-1] in daemon.ctl("files", "one.view").stdout
        assert newest[-1] not in daemon.ctl("files", "one").stdout
        wait_for(lambda: len(avro_files.files(
            daemon.archive, "one.view")) == 2, "retention")
        daemon.ctl("hold", "one.view", "20200101", "21000101", "all")
        held = daemon.archive / "one.view" / "hold" / "all"
        assert len(list(held.glob("*.avro"))) == 2
        daemon.ctl("release", "one.view", "all")
        daemon.stop()
        assert len(avro_files.files(daemon.archive, "one")) == 1
        assert daemon.payloads("one") == sender.sent
        assert daemon.payloads("one.view") == view.datagrams[150:]


def avro_files_after(daemon: Daemon, count: int) -> list[str]:
    """The names in the catalogue, once there are as many."""
    catalog = daemon.archive / "one.view" / "catalog.jsonl"

    def there() -> list[str] | None:
        lines = catalog.read_text().splitlines() if catalog.exists() else []
        return [json.loads(line)["name"] for line in lines] \
            if len(lines) >= count else None
    return wait_for(there, f"{count} files in the catalogue")


def test_nobody_else_feeds_it(daemon: Daemon) -> None:
    """Its socket takes nothing that others on this host send."""
    port = free_port()
    with Receiver(group_v4()) as view, Sender("127.0.0.1", port) as sender:
        daemon.start(raw_channel(daemon, port, view))
        loopback = "0100007F"
        ends = set()
        for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
            local, remote = line.split()[1:3]
            if local.startswith(loopback) and remote.startswith(loopback):
                ends.add(int(local.partition(":")[2], 16))
        assert len(ends) >= 2
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for end in ends - {sender.socket.getsockname()[1]}:
                other.sendto(b"not from the decimator", ("127.0.0.1", end))
        sender.send(numbered(20))
        daemon.wait_received("one", 20)
        assert wait_archived(daemon)["received"] == 10
        daemon.stop()
        check_archive(daemon, view)
