# SPDX-License-Identifier: ISC
"""What the live page is made of: streams as decimators send them, by events."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import signal
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import probe
from daemon import Daemon, channel, output
from net import Receiver, Sender, free_port
from test_web import MEMORY, Web, have_web, resident_peak
from test_web_users import Guarded, built_with, certify, files
from waiting import wait_for

__all__ = ["have_web"]

# web/live.h
CLIENTS, BLOCKED_S = 32, 30


@dataclass
class Event:
    name: str
    data: Any
    id: str | None


class Events:
    """A client of /live, which reads when it is asked to."""

    def __init__(self, web: Web, query: str = "", last: str = "",
                 buffer: int = 0, known: bool = True) -> None:
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   buffer)
        self.socket.connect(("127.0.0.1", web.port))
        self.socket.settimeout(20)
        if web.context:
            self.socket = web.context.wrap_socket(
                self.socket, server_hostname="127.0.0.1")
        header = "".join(
            f"{name}: {value}\r\n" for name, value in (
                (web.known if known else {}) |
                ({"Last-Event-ID": last} if last else {})).items())
        self.socket.sendall(
            f"GET /live?{query} HTTP/1.1\r\nHost: x\r\n{header}\r\n"
            .encode())
        self.raw = self.rest = b""
        self.chunked = False
        self.seen: list[Event] = []
        self.heartbeats = 0
        self.head = self.until(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])
        if "Transfer-Encoding: chunked" in self.head:
            self.chunked, self.raw, self.rest = True, self.rest, b""

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def until(self, end: bytes) -> bytes:
        while end not in self.rest:
            if self.chunked and self.take_chunk():
                continue
            got = self.socket.recv(65536)
            if not got:
                raise EOFError(self.rest)
            if self.chunked:
                self.raw += got
            else:
                self.rest += got
        text, self.rest = self.rest.split(end, 1)
        return text

    def take_chunk(self) -> bool:
        line, there, after = self.raw.partition(b"\r\n")
        if not there or len(after) < (size := int(line, 16)) + 2:
            return False
        self.rest += after[:size]
        self.raw = after[size + 2:]
        return size > 0

    def next(self) -> Event:
        while True:
            fields: dict[str, str] = {}
            for line in self.until(b"\n\n").decode().split("\n"):
                if line.startswith(":"):
                    self.heartbeats += 1
                    continue
                name, _, value = line.partition(": ")
                fields[name] = value
            if "event" in fields:
                event = Event(fields["event"], json.loads(fields["data"]),
                              fields.get("id"))
                self.seen.append(event)
                return event

    def wait(self, name: str,
             good: Callable[[Any], bool] = lambda data: True) -> Any:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            event = self.next()
            if event.name == name and good(event.data):
                return event.data
        raise AssertionError(f"no {name} that was waited for")

    def rows(self, stream: int) -> list[list[Any]]:
        """The datums of a stream so far."""
        return [row for event in self.seen if event.name == "datums"
                and event.data["s"] == stream for row in event.data["d"]]

    def wait_rows(self, stream: int, count: int) -> list[list[Any]]:
        while len(self.rows(stream)) < count:
            self.wait("datums")
        return self.rows(stream)


def streams_of(text: bytes) -> list[dict[str, Any]]:
    """Of the answer of /streams, each with its layout."""
    found = json.loads(text)
    return [stream | found["layouts"][stream["layout"]]
            for stream in found["streams"]]


class Live(Web):
    """The daemon's, with a channel of probe datums and streams of it."""

    def __init__(self, daemon: Daemon, stack: ExitStack,
                 guarded: dict[str, Any] | None = None) -> None:
        super().__init__(daemon, free_port())
        self.at = free_port()
        self.views = {name: stack.enter_context(Receiver())
                      for name in ("all", "summary")}
        (daemon.directory / "probe.avsc").write_text(probe.SCHEMA)
        self.channel = channel(
            "one", self.at, payload={"format": "avro",
                                     "schema": "probe.avsc"},
            decimate=[self.stream("all", method="pick", every=1),
                      self.stream("summary", shape="summary", every=10)])
        self.settings: dict[str, Any] = {
            "web": {"address": "127.0.0.1", "port": self.port} |
            (guarded or {})}
        daemon.start(self.channel, **self.settings)
        self.sender = stack.enter_context(Sender("127.0.0.1", self.at))
        self.datums = probe.datums(4000)
        self.sent = 0
        self.wait()

    def stream(self, name: str, **more: Any) -> dict[str, Any]:
        view = self.views[name]
        return {"name": name} | more | output(view.address, view.port)

    def send(self, count: int, rate: int = 0) -> None:
        self.sender.send([probe.encode(d) for d in
                          self.datums[self.sent:self.sent + count]], rate)
        self.sent += count

    def streams(self) -> dict[str, dict[str, Any]]:
        def known() -> Any:
            answer = self.get("/streams")
            return streams_of(answer.text) if answer.status == 200 else None
        return {f"{s['channel']}/{s['stream']}": s
                for s in wait_for(known, "the streams", 10)}

    def id(self, name: str) -> int:
        return self.streams()[name]["id"]

    def events(self, query: str = "", **more: Any) -> Events:
        return Events(self, query, **more)


@pytest.fixture
def live(have_web: None, daemon: Daemon) -> Iterator[Live]:
    with ExitStack() as stack:
        yield Live(daemon, stack)


def values(datum: probe.Datum) -> list[Any]:
    return [datum[name] for name in (
        "time", "level", "total", "ratio", "lat", "lon", "maybe",
        "perhaps")]


def same(ours: list[Any], theirs: list[Any]) -> bool:
    return len(ours) == len(theirs) and all(
        a is b is None or a is not None and b is not None
        and math.isclose(a, b, rel_tol=1e-15) for a, b in zip(ours, theirs))


def test_datums(live: Live) -> None:
    """All, in order, with what they hold; as the group has them."""
    stream = live.streams()["one/all"]
    assert [f["name"] for f in stream["fields"]] == [
        "time", "level", "total", "ratio", "place.lat", "place.lon",
        "maybe", "perhaps"]
    assert stream["every"] == 1 and stream["interval_s"] is None
    assert stream["shape"] == "same"
    with live.events("stream=one/all") as events:
        assert events.status == 200
        hello = events.next()
        assert hello.name == "hello" and hello.data["host"]
        before = time.time()
        live.send(300, 2000)
        rows = events.wait_rows(stream["id"], 300)
        assert len(rows) == 300
        for row, datum in zip(rows, live.datums):
            assert row[1] == 0 and same(row[2:], values(datum)), (row, datum)
            assert abs(row[0] - before) < 20
        assert [r[0] for r in rows] == sorted(r[0] for r in rows)
    assert live.views["all"].wait(300) == live.sender.sent


def test_summary(live: Live) -> None:
    stream = live.streams()["one/summary"]
    assert stream["shape"] == "summary" and stream["every"] == 10
    names = [f["name"] for f in stream["fields"]]
    assert names == ["level", "total", "ratio", "place.lat", "place.lon",
                     "maybe", "perhaps"]
    with live.events("stream=one/summary") as events:
        live.send(40)
        rows = events.wait_rows(stream["id"], 4)
    for number, row in enumerate(rows):
        window = live.datums[number * 10:number * 10 + 10]
        low, low_at, high, high_at, mean, rms = row[2 + names.index("level")]
        levels = [d["level"] for d in window]
        assert (low, high) == (min(levels), max(levels))
        assert math.isclose(mean, sum(levels) / 10)
        assert math.isclose(rms, math.hypot(*levels) / math.sqrt(10))
        at = {d["level"]: d["time"] / 1e6 for d in reversed(window)}
        assert math.isclose(low_at, at[low], abs_tol=1e-6)
        assert math.isclose(high_at, at[high], abs_tol=1e-6)


def test_status(live: Live) -> None:
    """What mcrelayctl prints, and its channels each second."""
    answer = live.get("/status")
    assert answer.getheader("Content-Type") == "application/json"
    said = live.daemon.whole_status()
    shown = json.loads(answer.text)
    assert shown.keys() == said.keys() and shown["pid"] == said["pid"]
    assert live.get("/status?channel=one").status == 400
    live.send(50)
    live.daemon.wait_received("one", 50)
    with live.events("overview=1&channel=one&channel=two") as events:
        for _ in range(2):
            overview = events.wait("overview")
            (row,) = overview["channels"]
            assert overview["down"] is False
            assert row[:2] == ["one", "running"] and row[3:6] == [50, 0, 0]
            assert abs(row[6] - time.time()) < 60
            assert row[8] == live.daemon.worker_pid("one")
            one = events.wait("channel", lambda c: c["name"] == "one")
            assert one["ledger"]["received"] == 50
            assert events.wait("channel", lambda c: c["name"] == "two") == {
                "name": "two", "gone": True}
        assert live.daemon.process is not None
        live.daemon.process.send_signal(signal.SIGSTOP)
        try:
            down = events.wait("overview", lambda o: o["down"])
            assert abs(down["since"] - time.time()) < 60
        finally:
            live.daemon.process.send_signal(signal.SIGCONT)
        events.wait("overview", lambda o: not o["down"])


def test_history(live: Live) -> None:
    """As much as is asked for, and behind the last event that was seen."""
    number = live.id("one/all")
    live.send(200, 1000)
    live.views["all"].wait(200)
    with live.events("stream=one/all") as events:
        assert len(events.wait_rows(number, 200)) == 200
    with live.events("stream=one/all&since=0") as events:
        events.next()
        live.send(10)
        assert len(events.wait_rows(number, 10)) == 10
    # Wherever it breaks off, what follows is the rest.
    both = "stream=one/all&stream=one/summary"
    with live.events(both) as events:
        events.wait_rows(number, 210)
        told = [event for event in events.seen if event.name == "datums"]
        whole = events.rows(number)
    for place in (0, len(told) // 2, len(told) - 1):
        id = told[place].id
        assert id is not None
        seen = [row for event in told[:place + 1]
                if event.data["s"] == number for row in event.data["d"]]
        with live.events(both, last=id) as after:
            # So that there is something in any case.
            live.send(1)
            rest = after.wait_rows(number, len(whole) + 1 - len(seen))
        whole = seen + rest
    assert [row[3] for row in whole] == [
        d["level"] for d in live.datums[:213]]
    # Of another process.
    with live.events("stream=one/all", last="x-1") as events:
        assert events.wait_rows(number, 213) == whole


def load(live: Live, seconds: float, stop: threading.Event) -> None:
    """Datums until it is told to stop: some 4000 a second."""
    del seconds
    while not stop.is_set():
        if live.sent >= len(live.datums):
            live.datums += live.datums[:4000]
        live.send(200, 4000)


@pytest.fixture
def loaded(live: Live) -> Iterator[Live]:
    """Nothing may happen to its streams."""
    stop = threading.Event()
    thread = threading.Thread(target=load, args=(live, 0, stop))
    thread.start()
    try:
        yield live
    finally:
        stop.set()
        thread.join()
    live.daemon.wait_received("one", live.sent)
    counts = wait_for(
        lambda: (c := live.daemon.status("one")["decimate"])["all"]["out"]
        == live.sent and c, "all to be sent", 10)
    assert counts["all"]["missed"] == counts["all"]["errors"] == 0
    assert live.views["all"].wait(live.sent) == live.sender.sent


def test_web_killed(loaded: Live) -> None:
    """Under load, several times; who looks again sees what comes."""
    number = loaded.id("one/all")
    for _ in range(3):
        pid = loaded.pid()
        with loaded.events("stream=one/all&since=0") as events:
            events.wait_rows(number, 500)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises((EOFError, ConnectionError)):
                while True:
                    events.next()
        loaded.wait(pid)
        number = loaded.id("one/all")
    with loaded.events("stream=one/all&since=0") as events:
        events.wait_rows(number, 500)


def test_web_stopped(loaded: Live) -> None:
    """What it could not be shown is counted, each datum once."""
    number = loaded.id("one/all")
    with loaded.events("stream=one/all") as events:
        events.wait_rows(number, 500)
        pid = loaded.pid()
        os.kill(pid, signal.SIGSTOP)
        sent = loaded.sent
        try:
            wait_for(lambda: loaded.sent > sent + 20000, "datums", 30)
        finally:
            os.kill(pid, signal.SIGCONT)
        first = events.wait("gap", lambda gap: gap["s"] == number)
        assert first["missed"] > 0
        rows = len(events.rows(number))
        events.wait_rows(number, rows + 2000)
        rows = len(events.rows(number))
        gaps = sum(event.data["missed"] for event in events.seen
                   if event.name == "gap" and event.data["s"] == number)
        dropped = sum(event.data["events"] for event in events.seen
                      if event.name == "dropped")
        levels = [row[3] for row in events.rows(number)[-50:]]
    # The last ones say how many there have been.
    sent = [d["level"] for d in loaded.datums]
    ends = [i + 50 for i in range(len(sent)) if sent[i:i + 50] == levels]
    assert rows + gaps + dropped in ends
    assert resident_peak(pid) < MEMORY


def test_decimator_killed(live: Live) -> None:
    """It is followed by one that shows what comes then."""
    number = live.id("one/all")
    with live.events("stream=one/all") as events:
        live.send(100, 1000)
        live.views["all"].wait(100)
        events.wait_rows(number, 100)
        (pid,) = live.daemon.wait_processes("mcrelay-decimator", 1)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: pid not in live.daemon.wait_processes(
            "mcrelay-decimator", 1), "another decimator")
        live.send(100, 1000)
        rows = events.wait_rows(number, 200)
        assert [row[3] for row in rows] == [
            d["level"] for d in live.datums[:200]]
        assert not [e for e in events.seen if e.name == "gap"]


def test_slow_client(loaded: Live) -> None:
    """It is told how much it has missed; others see all."""
    number = loaded.id("one/all")
    with loaded.events("stream=one/all", buffer=4096) as slow, \
            loaded.events("stream=one/all") as fast:
        fast.wait_rows(number, 500)
        slow.wait_rows(number, 1)
        # Not so long that it would be hung up on.
        fast.wait_rows(number, len(fast.rows(number)) + 30000)
        dropped = slow.wait("dropped")
        assert dropped["events"] > 0
        assert not [e for e in fast.seen if e.name in ("dropped", "gap")]
        levels = [row[3] for row in fast.rows(number)]
        sent = [d["level"] for d in loaded.datums[:len(levels)]]
        assert levels == sent


def test_blocked_client(live: Live) -> None:
    """One that reads nothing loses its place, though it asked for no more than
    what others would take at once."""
    with ExitStack() as stack:
        blocked = [stack.enter_context(live.connect()) for _ in range(4)]
        for client in blocked:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /live?stream=one/all HTTP/1.1\r\n"
                           b"Host: x\r\n\r\n")
        live.send(4000, 4000)
        begun = time.monotonic()

        def sockets() -> int:
            """Established, of mcrelay-web."""
            return sum(os.readlink(f).startswith("socket:") for f in Path(
                f"/proc/{live.pid()}/fd").iterdir() if f.exists())
        before = sockets()
        wait_for(lambda: sockets() <= before - 4, "to be hung up on",
                 BLOCKED_S + 15)
        assert time.monotonic() - begun > BLOCKED_S / 2


def test_many_clients(loaded: Live) -> None:
    """As many as may be, all slow, and the metrics are there; so is a place
    when one has left."""
    query = "&".join(["overview=1", "since=3600", "channel=one"]
                     + ["stream=one/all", "stream=one/summary"] * 8)
    pid = loaded.pid()
    with ExitStack() as stack:
        clients = [stack.enter_context(loaded.events(query, buffer=4096))
                   for _ in range(CLIENTS)]
        assert {c.status for c in clients} == {200}
        with loaded.events(query) as refused:
            assert refused.status == 503
        for _ in range(20):
            assert loaded.get().status == 200
            assert loaded.get("/status").status == 200
        clients[0].socket.close()

        def again() -> bool:
            with loaded.events(query) as client:
                return client.status == 200
        wait_for(again, "a place", 10)
        number = loaded.id("one/all")
        for client in clients[1:]:
            client.wait_rows(number, 100)
    assert loaded.pid() == pid
    assert resident_peak(pid) < MEMORY


class Behind(Live):
    """Seen by who has a password, through TLS."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        guard = Guarded(daemon, 0, {"anna": "secret"})
        certify(daemon)
        web = {"users": guard.write_users(), "tls": files(daemon)}
        built_with(daemon, port=free_port(), **web)
        super().__init__(daemon, stack, guarded=web)
        guard.trust()
        self.context = guard.context
        self.know("secret")

    def know(self, password: str) -> None:
        said = base64.b64encode(f"anna:{password}".encode()).decode()
        self.known = {"Authorization": f"Basic {said}"}


@pytest.fixture
def behind(have_web: None, daemon: Daemon) -> Iterator[Behind]:
    with ExitStack() as stack:
        yield Behind(daemon, stack)


def test_guarded(behind: Behind) -> None:
    """All datums in order, for those who may; and who reads slowly is told of
    each that he does not get, through TLS as well."""
    with behind.events("stream=one/all", known=False) as nobody:
        assert nobody.status == 401
    ids = {name: stream["id"] for name, stream in behind.streams().items()}
    with behind.events("stream=one/all&stream=one/summary") as events:
        assert events.status == 200
        behind.send(2000, 4000)
        rows = events.wait_rows(ids["one/all"], 2000)
        assert len(rows) == 2000
        for row, datum in zip(rows, behind.datums):
            assert same(row[2:], values(datum))
        events.wait_rows(ids["one/summary"], 200)
    with behind.events("stream=one/all", buffer=4096) as slow, \
            behind.events("stream=one/all") as fast:
        behind.send(2000, 4000)
        fast.wait_rows(ids["one/all"], 2000)
        assert not [e for e in fast.seen if e.name in ("dropped", "gap")]
        missed = 0
        while len(slow.rows(ids["one/all"])) + missed < 2000:
            event = slow.next()
            if event.name == "dropped":
                missed += event.data["events"]


def test_reload_guarded(behind: Behind) -> None:
    """Another password: who knew the old one is out, also where he was
    already looking."""
    pid = behind.pid()
    with behind.events("stream=one/all") as events:
        behind.send(10)
        events.wait("datums")
        Guarded(behind.daemon, 0, {"anna": "changed"}).write_users()
        behind.daemon.signal(signal.SIGHUP)
        behind.wait(pid)
        with pytest.raises((EOFError, ConnectionError, ssl.SSLError)):
            while True:
                events.next()
    with behind.events("stream=one/all") as events:
        assert events.status == 401
    behind.know("changed")
    with behind.events("stream=one/all&since=0") as events:
        assert events.status == 200
        behind.send(10)
        events.wait("datums")


def test_reload(live: Live) -> None:
    """A stream that stays goes on; one that is another is asked for anew."""
    number = live.id("one/all")
    with live.events("stream=one/all&stream=one/new") as events:
        events.wait("streams")
        live.send(100)
        events.wait_rows(number, 100)
        view = live.views["summary"]
        live.channel["decimate"][1] = {
            "name": "new", "method": "mean", "every": 5} | \
            output(view.address, view.port)
        live.daemon.write(live.channel, **live.settings)
        live.daemon.ctl("reload")
        events.wait("streams")
        assert set(live.streams()) == {"one/all", "one/new"}
        assert live.id("one/all") == number
        live.send(100)
        assert len(events.wait_rows(number, 200)) == 200
    with live.events("stream=one/all&stream=one/new") as events:
        events.wait_rows(live.id("one/new"), 20)
        assert len(events.wait_rows(number, 200)) == 200
    # Other datums under the same name.
    schema = json.loads(probe.SCHEMA)
    schema["fields"] = schema["fields"][:3]
    (live.daemon.directory / "probe.avsc").write_text(json.dumps(schema))
    live.daemon.ctl("reload")
    fields = wait_for(lambda: (s := live.streams()["one/all"])["id"]
                      != number and s["fields"], "another schema")
    assert [f["name"] for f in fields] == ["time", "level"]


def test_reload_of_workers(live: Live) -> None:
    """Streams that come with another worker, and with another channel."""
    live.channel["ring_size"] = "4MiB"
    more, other = ({"name": name, "method": "pick", "every": 1}
                   | output("127.0.0.1", free_port())
                   for name in ("more", "s"))
    live.channel["decimate"].append(more)
    port = free_port()
    live.daemon.write(live.channel, channel(
        "two", port, payload=live.channel["payload"], decimate=[other]),
        **live.settings)
    live.daemon.ctl("reload")
    live.daemon.wait_running()
    wait_for(lambda: set(live.streams()) == {
        "one/all", "one/summary", "one/more", "two/s"}, "all streams")
    with Sender("127.0.0.1", port) as sender, \
            live.events("stream=one/more&stream=two/s") as events:
        live.send(50)
        sender.send([probe.encode(d) for d in live.datums[:50]])
        for name in ("one/more", "two/s"):
            assert len(events.wait_rows(live.id(name), 50)) == 50


def test_web_comes_and_goes(live: Live) -> None:
    """By reload; the streams notice nothing."""
    live.send(100)
    bare = {k: v for k, v in live.settings.items() if k != "web"}
    live.daemon.write(live.channel, **bare)
    live.daemon.ctl("reload")
    wait_for(lambda: "mcrelay-web" not in live.daemon.processes().values(),
             "no web")
    live.send(100)
    live.views["all"].wait(200)
    live.daemon.write(live.channel, **live.settings)
    live.daemon.ctl("reload")
    live.wait()
    with live.events("stream=one/all") as events:
        live.send(100)
        rows = events.wait_rows(live.id("one/all"), 100)
        assert [row[3] for row in rows] == [
            d["level"] for d in live.datums[200:300]]
    assert live.views["all"].wait(300) == live.sender.sent


def test_upgrade(loaded: Live) -> None:
    """Its process is another one, and the streams are seen again."""
    pid = loaded.pid()
    with loaded.events("stream=one/all&since=0") as events:
        events.wait("datums")
        loaded.daemon.ctl("upgrade")
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                events.next()
    loaded.wait(pid)
    with loaded.events("stream=one/all&since=0") as events:
        events.wait_rows(loaded.id("one/all"), 1000)
    wait_for(lambda: "all processes are of version" in loaded.daemon.log(),
             "the upgrade to be over", 30)
    with loaded.events("stream=one/all&since=0") as events:
        events.wait_rows(loaded.id("one/all"), 1000)


def test_bad_requests(live: Live) -> None:
    for query in ("x=1", "since=-1", "since=3601", "since=1x", "stream=",
                  "stream=one", "channel=", "overview", "channel=" + "x" * 99,
                  "&".join(["stream=one/all"] * 17),
                  "&".join(["channel=one"] * 9)):
        assert live.get("/live?" + query).status == 400, query
    for method in ("POST", "PUT"):
        assert live.get("/live", method=method).status == 405
    for last in ("", "-", "x", "-1", "00000000-", "00000000-1", "1" * 5000):
        with live.events("since=0", last=last) as events:
            assert events.next().name == "hello"


POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; "
          "img-src 'self'; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")


def test_pages(have_web: None, daemon: Daemon) -> None:
    """Files of one directory, and none of any other."""
    place = daemon.directory / "page"
    place.mkdir()
    texts = {"index.html": ("text/html; charset=utf-8", b"<p>page" * 99),
             "some.js": ("text/javascript; charset=utf-8", b"1;"),
             "some.css": ("text/css; charset=utf-8", b"p {}"),
             "icon.svg": ("image/svg+xml", b"<svg/>"),
             "empty.js": ("text/javascript; charset=utf-8", b"")}
    for name, (_, text) in texts.items():
        (place / name).write_bytes(text)
    (place / "other").write_text("no page")
    (place / ".hidden.js").write_text("no page")
    (place / "large.js").write_bytes(b" " * (2 << 20))
    (place / "directory.js").mkdir()
    (place / "dangling.js").symlink_to("nowhere")
    os.mkfifo(place / "fifo.js")
    (daemon.directory / "outside.js").write_text("secret")
    daemon.environment["MCRELAY_WEBDIR"] = str(place)
    web = Web(daemon, free_port())
    daemon.start(channel("one", free_port()),
                 web={"address": "127.0.0.1", "port": web.port})
    web.wait()
    for name, (kind, text) in texts.items():
        url = "/" if name == "index.html" else f"/{name}"
        answer = web.get(url)
        assert (answer.status, answer.text) == (200, text)
        assert answer.getheader("Content-Type") == kind
        assert answer.getheader("Content-Security-Policy") == POLICY
        assert answer.getheader("Referrer-Policy") == "no-referrer"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        tag = answer.getheader("ETag")
        assert tag is not None
        assert web.get(url, If_None_Match=tag).status == 304
        assert web.get(url, If_None_Match='"x"').status == 200
    assert web.get("/", Accept_Encoding="gzip").getheader(
        "Content-Encoding") == "gzip"
    for url in ("/other", "/.hidden.js", "/large.js", "/directory.js",
                "/dangling.js", "/fifo.js", "/outside.js", "/../outside.js",
                "/%2e%2e/outside.js", "/page/some.js", "//some.js",
                "/some.js/", "/./some.js", "/page/../some.js"):
        answer = web.get(url)
        assert answer.status in (400, 404), url
        assert b"secret" not in answer.text
    for url in ("/status", "/streams", "/metrics", "/nothing"):
        assert web.get(url).getheader("Content-Security-Policy") == POLICY


def test_hostile_names(have_web: None, daemon: Daemon) -> None:
    """Whatever a schema says comes as text, and breaks no line."""
    port, view = free_port(), free_port()
    doc = "</script><script>alert(1)</script>\r\n\r\nevent: x\ndata: \u2028"
    (daemon.directory / "bad.avsc").write_text(json.dumps({
        "type": "record", "name": "Bad", "doc": doc, "fields": [
            {"name": "x", "type": "double", "doc": doc, "unit": doc},
            {"name": "y", "type": {"type": "long", "unit": "mV"}},
            {"name": "z", "type": "float", "doc": 5, "unit": ["x"]}]}))
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(channel(
            "one", port, payload={"format": "avro", "schema": "bad.avsc"},
            decimate=[{"name": "s", "method": "pick", "every": 1}
                      | output(receiver.address, receiver.port)]),
            web={"address": "127.0.0.1", "port": view})
        web = Web(daemon, view)
        web.wait()
        answer = wait_for(lambda: (a := web.get("/streams")).status == 200
                          and a, "the streams")
        (stream,) = streams_of(answer.text)
        assert stream["doc"] == doc
        x, y, z = stream["fields"]
        assert x["doc"] == x["unit"] == doc
        assert y["unit"] == "mV" and y["doc"] is None
        assert z["doc"] is None and z["unit"] is None
        with Events(web, "stream=one/s&since=0") as events:
            events.next()
            numbers = [float("inf"), float("-inf"), float("nan"), -0.0,
                       5e-324, 1.7976931348623157e308, 0.1]
            for number in numbers:
                sender.send([probe.double(number) + probe.long(2**63 - 1)
                             + probe.float32(0.5)])
            rows = events.wait_rows(stream["id"], len(numbers))
            assert [row[2] for row in rows] == [
                n if math.isfinite(n) else None for n in numbers]
            assert {row[3] for row in rows} == {2**63}


def switches(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", text))


def test_wake_ups(live: Live) -> None:
    """No datum wakes it, and nothing does when nothing comes."""
    pid, number = live.pid(), live.id("one/all")
    with live.events("stream=one/all&since=0") as events:
        before = switches(pid)
        live.send(4000, 2000)
        events.wait_rows(number, 4000)
        assert switches(pid) - before < 400
    wait_for(lambda: idle(pid), "it to sleep", 15)


def idle(pid: int) -> bool:
    before = switches(pid)
    time.sleep(0.5)     # nothing is waited for: this is the measurement
    return switches(pid) - before <= 1
