# SPDX-License-Identifier: ISC
"""Decimated streams on core NATS, as whoever listens gets them."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable

import avro.io
import avro.schema
import pytest

import accel
from daemon import Daemon, channel, output
from forwarding import forward, wait_forwarded
from nats import Message, Server, Subscriber
from net import Receiver, Sender, SenderThread, free_port
from test_framing import fingerprint
from waiting import wait_for

pytestmark = pytest.mark.usefixtures("have_forwarder")
ALL = "mcrelay.live.>"


def conf(source: Path, port: int, view: Receiver, another: Receiver,
         **more: Any) -> dict[str, Any]:
    """Of two streams one is as it comes in, of the other a summary's."""
    return channel(
        "accel", port, payload={
            "format": "avro",
            "schema": str(source / "etc/example/accel.avsc")},
        decimate=[
            {"name": "some", "method": "pick", "every": 10}
            | output("127.0.0.1", view.port),
            {"name": "sum", "shape": "summary", "every": 20}
            | output("127.0.0.1", another.port)], **more)


def shows(daemon: Daemon) -> dict[str, Any]:
    """Of the first forwarder, once the decimator and it know each other."""
    return dict(daemon.whole_status()[
        "forwarders"][0])


def flows(daemon: Daemon, sender: Sender, heard: Subscriber) -> None:
    """What is sent now comes there."""
    had = len(heard.messages)

    def comes() -> bool:
        sender.send(accel.datagrams(20))
        return len(heard.messages) > had
    wait_for(comes, "streams to be shown", 30, daemon.log)


def of(messages: list[Message], stream: str) -> list[Message]:
    return [m for m in messages if m.subject.endswith(f".{stream}")]


def schema_of(server: Server, message: Message) -> str:
    """As any subscriber finds it."""
    subject = f"mcrelay.schema.{message.headers['Mcrelay-Fingerprint']}"

    def there() -> str:
        with server.client() as client:
            found = client.api("STREAM.MSG.GET.mcrelay_schema",
                               last_by_subj=subject)
            return client.message(
                "mcrelay_schema", found["message"]["seq"]).data.decode() \
                if "message" in found else ""
    return wait_for(there, subject, 30)


def value(schema: str, message: Message) -> Any:
    """Decoded by somebody else's library."""
    parsed = avro.schema.parse(schema)
    data = io.BytesIO(message.data)
    decoded = avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(data))
    assert data.read() == b""
    return decoded


def test_shown(daemon: Daemon, server: Server, source: Path) -> None:
    """Those of all channels, and nothing else; with schemas by which they can
    be read."""
    port = free_port()
    with Receiver() as view, Receiver() as another, \
            Sender("127.0.0.1", port) as sender, \
            Subscriber(server, "mcrelay.>") as heard:
        daemon.start(conf(source, port, view, another),
                     **forward(server.url, live=True))
        flows(daemon, sender, heard)
        wait_for(lambda: len(another.datagrams) * 20 == len(
            view.datagrams) * 10 == len(sender.sent), "all of that", 10)
        seen, began = (len(view.datagrams), len(another.datagrams)), \
            time.time_ns()
        sender.send(accel.datagrams(1000))

        def came() -> list[Message]:
            return [m for m in heard.messages if int(
                m.headers.get("Mcrelay-Time-Ns", "0")) > began]
        wait_for(lambda: len(came()) == 150, "150 datums", 10, came)
        messages = came()
        # And the schemas, which are stored by their subjects.
        assert {m.subject for m in heard.messages if not
                m.subject.startswith("mcrelay.schema.")} == {
            "mcrelay.live.rig.accel.some", "mcrelay.live.rig.accel.sum"}
        # As they are sent to their addresses.
        some, summed = of(messages, "some"), of(messages, "sum")
        assert [m.data for m in some] == view.wait(seen[0] + 100)[seen[0]:]
        assert [m.data for m in summed] == \
            another.wait(seen[1] + 50)[seen[1]:]
        for message in messages:
            assert message.headers["Mcrelay-Host"] == "rig"
            assert message.headers["Mcrelay-Channel"] == "accel"
            assert message.headers["Mcrelay-Missed"] == "0"
            assert message.headers["Mcrelay-Lost"] == "0"
        assert some[0].headers["Mcrelay-Stream"] == "some"
        for one in (some[0], summed[0]):
            schema = schema_of(server, one)
            value(schema, one)
        text = schema_of(server, some[0])
        assert json.loads(text) == json.loads(
            (source / "etc/example/accel.avsc").read_text())
        assert value(text, some[0])["counter"] == \
            accel.decode_all(some[0].data)[0].counter
        assert shows(daemon)["shown"] >= 150
        assert shows(daemon)["not_shown"] == 0
        with server.client() as client:
            assert client.stream("mcrelay-accel") == {}
        daemon.stop()


def test_fingerprint(daemon: Daemon, server: Server, tmp_path: Path) -> None:
    """It is the specification's, of the canonical form."""
    port, canonical = free_port(), (
        '{"name":"N","type":"record","fields":'
        '[{"name":"n","type":"double"}]}')
    (tmp_path / "n.avsc").write_text(json.dumps({
        "type": "record", "doc": "of no matter", "name": "N",
        "fields": [{"name": "n", "type": "double"}]}))
    with Receiver() as view, Sender("127.0.0.1", port) as sender, \
            Subscriber(server, ALL) as heard:
        daemon.start(channel("n", port, payload={
            "format": "avro", "schema": str(tmp_path / "n.avsc")},
            decimate=[{"name": "s", "method": "pick", "every": 1}
                      | output("127.0.0.1", view.port)]),
            **forward(server.url, live=True))

        def comes() -> bool:
            sender.send([bytes(8)])
            return bool(heard.messages)
        wait_for(comes, "a datum", 30, daemon.log)
        number = int.from_bytes(fingerprint(canonical), "little")
        assert heard.messages[0].headers["Mcrelay-Fingerprint"] == \
            f"{number:016x}"
        assert json.loads(schema_of(server, heard.messages[0]))["doc"]
        daemon.stop()


def everything(heard: Subscriber, stream: str) -> int:
    """That has come, or was said to be lost."""
    return sum(1 + int(m.headers["Mcrelay-Lost"])
               for m in of(heard.messages, stream))


def test_holds_up_nobody(daemon: Daemon, server: Server, source: Path
                         ) -> None:
    """A server that stands still costs the streams, their own receivers and
    the archives nothing, and what it has not got is said afterwards."""
    port = free_port()
    with Receiver() as view, Receiver() as another, \
            Sender("127.0.0.1", port) as sender, \
            Subscriber(server, ALL) as heard:
        daemon.start(conf(source, port, view, another, forward=True,
                          archive=daemon.archive_conf()),
                     **forward(server.url, live=True))
        flows(daemon, sender, heard)
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        try:
            # Until it is given up.
            thread = SenderThread(sender, accel.datagrams(40000), 4000)
            thread.join()
            daemon.wait_received("accel", len(sender.sent))
            view.wait(len(sender.sent) // 10)
        finally:
            server.process.send_signal(signal.SIGCONT)
        flows(daemon, sender, heard)
        status = daemon.wait_received("accel", len(sender.sent))
        assert status["archived"] == len(sender.sent)
        out = daemon.status("accel")["decimate"]["some"]
        assert out["missed"] == 0
        assert shows(daemon)["not_shown"] > 0
        # What was on its way when the connection was given up nobody has
        # counted.
        assert len(of(heard.messages, "some")) < out["out"]
        assert everything(heard, "some") <= out["out"]
        with server.client() as client:
            wait_forwarded(daemon, client, "accel", len(sender.sent))
        daemon.stop()


def kill(daemon: Daemon, command: str) -> None:
    for pid, name in daemon.processes().items():
        if name == command[:15]:
            os.kill(pid, signal.SIGKILL)


def test_goes_on(daemon: Daemon, server: Server, source: Path) -> None:
    """Whatever is killed, upgraded and reloaded."""
    port = free_port()
    with Receiver() as view, Receiver() as another, \
            Sender("127.0.0.1", port) as sender, \
            Subscriber(server, ALL) as heard:
        one = conf(source, port, view, another)
        daemon.start(one, **forward(server.url, live=True))
        flows(daemon, sender, heard)
        steps: dict[str, Callable[[], object]] = {
            "forwarder": lambda: kill(daemon, "mcrelay-forwarder"),
            "decimator": lambda: kill(daemon, "mcrelay-decimator"),
            "upgrade": lambda: daemon.ctl("upgrade")}
        for step in steps.values():
            step()
            flows(daemon, sender, heard)
        # Another stream; then none.
        one["decimate"].append(one["decimate"][0] | {
            "name": "more", "port": free_port()})
        daemon.write(one, **forward(server.url, live=True))
        daemon.ctl("reload")

        def more() -> bool:
            sender.send(accel.datagrams(20))
            return bool(of(heard.messages, "more"))
        wait_for(more, "the new stream", 20, daemon.log)
        daemon.write(one, **forward(server.url))
        daemon.ctl("reload")
        wait_for(lambda: "mcrelay-forward" not in
                 daemon.processes().values(), "no forwarder", 20)
        daemon.write(one, **forward(server.url, live=True))
        daemon.ctl("reload")
        flows(daemon, sender, heard)
        daemon.stop()
