# SPDX-License-Identifier: ISC
"""NATS servers of a test's own, on loopback, and a client of their streams."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from waiting import wait_for

if TYPE_CHECKING:
    from net import Namespace

PROGRAM = shutil.which("nats-server") or (
    "/usr/sbin/nats-server" if Path("/usr/sbin/nats-server").exists()
    else None)
NO_SERVER = "no nats-server: install the Debian package of that name"
JOIN_S = 10.0
START_S = 30.0

# What CONNECT says of who we are, by what the server has said.
Login = Callable[[dict[str, Any]], dict[str, Any]]


# None that the kernel gives to whoever connects to somebody: servers do, before
# all of them listen.
_ports = random.sample(range(20000, 32000), 12000)


def free_tcp_port() -> int:
    while True:
        port = _ports.pop()
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class Server:
    """One; `routes' are HOST:PORT of all in its cluster, its own first."""

    def __init__(self, directory: Path, name: str = "one",
                 routes: tuple[str, ...] = (), more: str = "",
                 jetstream: bool = True, host: str = "127.0.0.1",
                 namespace: Namespace | None = None,
                 login: Login | None = None) -> None:
        self.login = login
        self.name, self.directory = name, directory / f"nats-{name}"
        self.host, self.port = host, free_tcp_port()
        self.routes, self.more = routes, more
        self.jetstream, self.namespace = jetstream, namespace
        self.process: subprocess.Popen[bytes] | None = None
        self.directory.mkdir()
        self.log_file = self.directory / "log"

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    def conf(self) -> str:
        text = (f"server_name: {self.name}\nlisten: {self.host}:{self.port}\n"
                f"{self.more}\n")
        if self.jetstream:
            text += f'jetstream {{ store_dir: "{self.directory}/js" }}\n'
        if self.routes:
            # With its own among them 2.10.27 fails more often, see join().
            routes = ", ".join(f"nats://{r}" for r in self.routes[1:])
            text += (f"cluster {{ name: test, listen: {self.routes[0]}, "
                     f"routes: [{routes}] }}\n")
        return text

    def launch(self) -> None:
        assert PROGRAM is not None and self.process is None
        file = self.directory / "conf"
        file.write_text(self.conf())
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*(self.namespace.prefix if self.namespace else []),
                 PROGRAM, "-c", str(file)], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True)

    def start(self) -> Server:
        self.launch()
        wait_for(self.answers, f"nats-server {self.name}", START_S, self.log)
        return self

    def client(self, timeout_s: float = 5.0) -> Client:
        return Client(self.port, timeout_s, self.host, self.namespace,
                      self.login)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return "error" not in client.api("INFO")
        except (OSError, ValueError):
            return False

    def listens(self) -> bool:
        """It may not let us in."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def version(self) -> str:
        with self.client() as client:
            return str(client.info["version"])

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")[-5000:]


@dataclass
class Message:
    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes


def headers_of(data: bytes) -> dict[str, str]:
    lines = data.decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines[1:] if line)


class Client:
    """As much of the protocol as it takes to ask."""

    def __init__(self, port: int, timeout_s: float = 5.0,
                 host: str = "127.0.0.1",
                 namespace: Namespace | None = None,
                 login: Login | None = None) -> None:
        def connect() -> socket.socket:
            return socket.create_connection((host, port), timeout=timeout_s)
        self.socket = namespace.enter(connect) if namespace else connect()
        self.file = self.socket.makefile("rb")
        self.info = json.loads(self.line().partition(b" ")[2])
        self.asked = 0
        words = {"verbose": False, "headers": True, "no_responders": True} | (
            login(self.info) if login else {})
        self.send(f"CONNECT {json.dumps(words)}\r\n"
                  "SUB _INBOX.test.* 1\r\n".encode())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        line = self.file.readline()
        if not line:
            raise OSError("the server has hung up")
        return line.rstrip(b"\r\n")

    def request(self, subject: str, body: bytes = b"") -> bytes:
        self.asked += 1
        inbox = f"_INBOX.test.{self.asked}"
        self.send(f"PUB {subject} {inbox} {len(body)}\r\n".encode() + body +
                  b"\r\n")
        while True:
            words = self.line().split()
            if words[0] == b"PING":
                self.send(b"PONG\r\n")
            elif words[0] in (b"MSG", b"HMSG"):
                data = self.file.read(int(words[-1]) + 2)[:-2]
                if words[1].decode() != inbox:
                    continue
                if words[0] == b"HMSG":
                    raise OSError("nobody answers")
                return data
            elif words[0] == b"-ERR":
                raise OSError(b" ".join(words).decode())

    def api(self, what: str, **body: Any) -> dict[str, Any]:
        answer = self.request(f"$JS.API.{what}",
                              json.dumps(body).encode() if body else b"")
        return dict(json.loads(answer))

    # Streams.

    def stream(self, name: str) -> dict[str, Any]:
        """Its state and configuration; {}: there is none."""
        info = self.api(f"STREAM.INFO.{name}")
        return {} if "error" in info else info

    def last(self, name: str) -> int:
        info = self.stream(name)
        return int(info["state"]["last_seq"]) if info else 0

    def find(self, stream: str, sequence: int) -> Message | None:
        """None: that number is of none, or of one that is gone."""
        got = self.api(f"STREAM.MSG.GET.{stream}", seq=sequence)
        if got.get("error", {}).get("code") == 404:
            return None
        assert "message" in got, got
        got = got["message"]
        return Message(got["seq"], got["subject"],
                       headers_of(base64.b64decode(got.get("hdrs", ""))),
                       base64.b64decode(got.get("data", "")))

    def message(self, stream: str, sequence: int) -> Message:
        found = self.find(stream, sequence)
        assert found is not None, (stream, sequence)
        return found

    def messages(self, stream: str) -> list[Message]:
        info = self.stream(stream)
        if not info or info["state"]["messages"] == 0:
            return []
        found = [self.find(stream, s) for s in range(
            info["state"]["first_seq"], info["state"]["last_seq"] + 1)]
        return [m for m in found if m is not None]


def moment(stamp: str) -> float:
    """Of Go's, with nanoseconds, as seconds since 1970."""
    head, _, rest = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(head + "+00:00").timestamp() + \
        float("0." + (rest or "0"))


class Subscriber:
    """What comes of a subject, from now on."""

    def __init__(self, server: Server, subject: str) -> None:
        self.client = server.client()
        self.messages: list[Message] = []
        self.client.send(f"SUB {subject} 2\r\nPING\r\n".encode())
        while not self.client.line().startswith(b"PONG"):
            pass
        self.client.socket.settimeout(None)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        client = self.client
        try:
            while True:
                words = client.line().split()
                if words[0] == b"PING":
                    client.send(b"PONG\r\n")
                elif words[0] in (b"MSG", b"HMSG"):
                    data = client.file.read(int(words[-1]) + 2)[:-2]
                    head = int(words[-2]) if words[0] == b"HMSG" else 0
                    self.messages.append(Message(
                        0, words[1].decode(), headers_of(data[:head]),
                        data[head:]))
        except (OSError, ValueError):
            pass    # the server has gone, or we

    def wait(self, count: int, deadline_s: float = 20.0) -> list[Message]:
        wait_for(lambda: len(self.messages) >= count, f"{count} messages",
                 deadline_s, lambda: len(self.messages))
        return list(self.messages)

    def close(self) -> None:
        self.client.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.client.close()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Proxy:
    """Before a server: what clients have sent can be held up, as a network
    does, also when they have gone since."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.held: dict[socket.socket, bytearray] = {}
        self.open: dict[socket.socket, socket.socket] = {}
        self.gone: set[socket.socket] = set()
        self.arrived = 0        # all that those have sent
        self.lock = threading.Condition()
        self.thread(self.accept)

    @staticmethod
    def thread(target: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=target, args=args, daemon=True).start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            with self.lock:
                self.open[client] = server
            self.thread(self.from_client, client, server)
            self.thread(self.from_server, client, server)

    def from_client(self, client: socket.socket, server: socket.socket
                    ) -> None:
        while True:
            try:
                data = client.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            with self.lock:
                if client in self.held:
                    self.held[client] += data
                    continue
            server.sendall(data)
        with self.lock:
            while client in self.held:
                self.lock.wait()
            self.gone.add(client)
        # It may have gone in the middle of a message.  The server ends the
        # connection when it has read all.
        try:
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass        # it has ended

    def from_server(self, client: socket.socket, server: socket.socket
                    ) -> None:
        while True:
            try:
                data = server.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            try:
                client.sendall(data)
            except OSError:
                pass
        with self.lock:
            self.arrived += client in self.gone

    def hold(self) -> None:
        """What those send that are connected now."""
        with self.lock:
            self.held = {client: bytearray() for client in self.open
                         if client not in self.gone}

    def holds(self) -> int:
        return sum(map(len, self.held.values()))

    def release(self) -> None:
        with self.lock:
            for client, data in self.held.items():
                self.open[client].sendall(data)
            self.held = {}
            self.lock.notify_all()

    def end(self) -> None:
        self.listening.close()
        for pair in self.open.items():
            for each in pair:
                each.close()


class Cluster:
    """Of three; each in a namespace, where there are `places'."""

    def __init__(self, directory: Path, more: str = "",
                 places: tuple[tuple[str, Namespace], ...] = ()) -> None:
        hosts = [host for host, _ in places] or 3 * ["127.0.0.1"]
        routes = [f"{host}:{free_tcp_port()}" for host in hosts]
        self.servers = [
            Server(directory, name, (*routes[i:], *routes[:i]), more,
                   host=hosts[i], namespace=places[i][1] if places else None)
            for i, name in enumerate("abc")]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    def start(self) -> Cluster:
        for server in self.servers:
            server.launch()
        for server in self.servers:
            wait_for(server.answers, f"nats-server {server.name}", START_S,
                     server.log)
        for server in self.servers:
            self.join(server)
        return self

    @staticmethod
    def join(server: Server) -> None:
        """Of three of 2.10.27 that begin at once one may hear of no leader, for
        a minute and longer: it is started again."""
        try:
            wait_for(lambda: "metadata leader" in server.log(), "a leader",
                     JOIN_S)
        except AssertionError:
            server.end()
            server.start()

    def end(self) -> None:
        for server in self.servers:
            server.end()

    def client(self, deadline_s: float = 30.0) -> Client:
        """Of whichever answers."""
        def there() -> Client | None:
            for server in self.servers:
                if server.process is not None and server.answers():
                    return server.client()
            return None
        return wait_for(there, "a NATS server", deadline_s)

    def info(self, stream: str) -> dict[str, Any]:
        try:
            with self.client() as client:
                return client.stream(stream)
        except OSError:
            return {}

    def leader(self, stream: str) -> Server | None:
        name = self.info(stream).get("cluster", {}).get("leader")
        return next((s for s in self.servers if s.name == name), None)

    def is_current(self, stream: str) -> bool:
        """All three have it all."""
        cluster = self.info(stream).get("cluster", {})
        replicas = cluster.get("replicas", [])
        return "leader" in cluster and len(replicas) == 2 and \
            all(r["current"] and not r.get("offline") for r in replicas)

    def wait_current(self, stream: str, deadline_s: float = 60.0) -> None:
        wait_for(lambda: self.is_current(stream),
                 f"all replicas of {stream}", deadline_s,
                 lambda: self.info(stream))
