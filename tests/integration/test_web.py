# SPDX-License-Identifier: ISC
"""mcrelay-web: metrics by HTTP, and clients who mean no good."""

from __future__ import annotations

import ctypes
import errno
import gzip
import http.client
import itertools
import os
import re
import resource
import signal
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest

import fuse
from daemon import Daemon, channel, output
from exposition import Metrics, promtool
from net import Receiver, Sender, SenderThread, free_port, numbered
from waiting import wait_for

# web/web.c
CONNECTIONS, CONNECTION_S, MEMORY = 64, 10, 64 << 20
# Until a process that hangs has been replaced (supervisor/watch.h).
HANG_S = 40
OPEN = "application/openmetrics-text;version=1.0.0"
PROMETHEUS = (f"{OPEN},application/openmetrics-text;version=0.0.1;q=0.75,"
              "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")


class Web:
    """The daemon's, at a port of its own."""

    def __init__(self, daemon: Daemon, port: int) -> None:
        self.daemon, self.port = daemon, port
        self.rolled = False     # the workers were to be replaced
        self.context: ssl.SSLContext | None = None
        self.known: dict[str, str] = {}     # headers by which one is known

    def pid(self) -> int:
        """0 while there is none that is ready."""
        web = self.daemon.whole_status().get("web")
        return web["pid"] if web and web["state"] == "running" else 0

    def wait(self, old: int = 0) -> int:
        def there() -> int:
            pid = self.pid()
            return pid if pid != old else 0
        return wait_for(there, "mcrelay-web", 15, self.daemon.log)

    def get(self, url: str = "/metrics", method: str = "GET",
            **headers: str) -> http.client.HTTPResponse:
        """The answer, with its text in `text'."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=20) if self.context is None \
            else http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=20, context=self.context)
        try:
            connection.request(method, url, headers=self.known | {
                name.replace("_", "-"): value
                for name, value in headers.items()})
            answer = connection.getresponse()
            answer.text = answer.read()     # type: ignore[attr-defined]
            return answer
        finally:
            connection.close()

    def metrics(self, url: str = "/metrics") -> Metrics:
        answer = self.get(url)
        assert answer.status == 200, answer.text
        return Metrics(answer.text.decode())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)


@pytest.fixture
def have_web(programs: Any) -> None:
    if not (programs.libexec / "mcrelay-web").exists():
        pytest.skip("built without libmicrohttpd")


@contextmanager
def serve(daemon: Daemon, *more: dict[str, Any]) -> Iterator[Web]:
    """Beside two channels, one of which gets 1000 datagrams a second; none of
    them may be lost, whatever a test does."""
    port, view = free_port(), free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(
            channel("busy", port, archive=daemon.archive_conf(),
                    relay=[output("127.0.0.1", receiver.port)]),
            channel("quiet", free_port()), *more,
            web={"address": "127.0.0.1", "port": view})
        here = Web(daemon, view)
        here.wait()
        pids = {name: daemon.worker_pid(name) for name in ("busy", "quiet")}
        sent, stop = [0], threading.Event()

        def send() -> None:
            while not stop.is_set():
                sender.send(numbered(100), 1000)
                sent[0] += 100
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield here
        finally:
            stop.set()
            thread.join()
        ledger = daemon.wait_received("busy", sent[0])
        assert ledger["received"] == ledger["archived"] == \
            ledger["relayed"] == sent[0]
        for name, pid in pids.items():
            assert here.rolled or daemon.worker_pid(name) == pid


@pytest.fixture
def web(have_web: None, daemon: Daemon) -> Iterator[Web]:
    with serve(daemon) as here:
        yield here


def test_same(web: Web) -> None:
    """What mcrelayctl prints."""
    seen = web.metrics()
    said = Metrics(web.daemon.ctl("metrics").stdout)
    assert seen.names() == said.names()
    assert {s for s in seen.samples} == {s for s in said.samples}
    assert seen.value("mcrelay_received_total", channel="busy") > 0
    assert seen.value("mcrelay_process_resident_memory_bytes",
                      process="web") > 0
    text = web.get().text.decode()
    assert promtool("check", "metrics", stdin=text).strip() == ""


def test_negotiation(web: Web) -> None:
    plain = "text/plain; version=0.0.4; charset=utf-8"
    opened = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    for accept, kind in (
            (PROMETHEUS, opened), (OPEN, opened), ("*/*", plain),
            ("text/plain", plain), ("text/html,*/*;q=0.8", plain),
            (f"{OPEN};q=0.5,text/plain;version=0.0.4", plain),
            ("application/openmetrics-text;version=2.0.0", plain),
            (f"{OPEN};q=0", plain), (f"{OPEN};q=x", plain), (";,;q", plain)):
        answer = web.get(Accept=accept)
        assert answer.status == 200
        assert answer.getheader("Content-Type") == kind, accept
        assert answer.text.endswith(b"\n# EOF\n") == (kind == opened)
    assert web.get().getheader("Content-Encoding") is None
    for encoding, packed in (("gzip", True), ("deflate, gzip;q=1.0", True),
                             ("*", True), ("gzip;q=0, *", False),
                             ("identity", False)):
        answer = web.get(Accept_Encoding=encoding)
        assert (answer.getheader("Content-Encoding") == "gzip") == packed
        text = gzip.decompress(answer.text) if packed else answer.text
        assert "mcrelay_received_total" in {
            series.name for series in Metrics(text.decode()).samples}


def test_requests(web: Web) -> None:
    whole = web.get(Accept="text/plain")
    head = web.get(method="HEAD")
    assert head.status == 200 and head.text == b""
    assert abs(int(head.getheader("Content-Length")) - len(whole.text)) < 99
    assert b"/metrics" in web.get("/").text
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert web.get(method=method).status == 405
    for url in ("/metrics/", "/../../../etc/passwd", "/%2e%2e/etc/passwd",
                "//metrics", "/" + "x" * 4000):
        assert web.get(url).status in (400, 404), url
    only = web.metrics("/metrics?channel=quiet&collect[]=ledger")
    assert {labels["channel"] for labels in only.labels(
        "mcrelay_received_total")} == {"quiet"}
    assert "mcrelay_channel_state" not in only.names()
    assert web.metrics("/metrics?collect%5B%5D=state&collect[]=process"
                       ).value("mcrelay_up") == 1
    for query, status in (("channel=other", 404), ("channel", 400),
                          ("collect[]=x", 400), ("x=1", 400),
                          ("&".join(["channel=busy"] * 65), 400)):
        assert web.get("/metrics?" + query).status == status, query


def test_garbage(web: Web) -> None:
    """Each is refused or hung up on; the next one is served."""
    for text in (b"\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100, b"GET / HTTP/9\r\n",
                 b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40000,
                 b"GET /metrics HTTP/1.1\r\n\r\n" * 50,
                 b"POST /metrics HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 99999999999\r\n\r\nx",
                 b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"):
        with web.connect() as client:
            try:
                client.sendall(text)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except OSError as error:
                # It has hung up.
                assert error.errno in (errno.ECONNRESET, errno.EPIPE,
                                       errno.ENOTCONN)
        assert web.get().status == 200


def answer_to(web: Web, text: bytes) -> bytes:
    """What comes until it hangs up, which is not at once only while it waits
    for more of the request."""
    came = b""
    with web.connect() as client:
        try:
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                came += more
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as error:
            assert error.errno == errno.ENOTCONN
    return came


def get(url: bytes, *headers: bytes, method: bytes = b"GET",
        version: bytes = b"HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join((b"%b %b %b" % (method, url, version), host, *headers,
                         b"", b""))


METRICS = b"/metrics?collect[]=state"
MALFORMED = [
    # The first line.
    b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b" /metrics HTTP/1.1\r\n\r\n",
    b"GET  HTTP/1.1\r\n\r\n", get(METRICS, version=b"HTTP/2.0"),
    get(METRICS, version=b"HTTP/1.x"), get(METRICS, version=b"http/1.1"),
    get(METRICS, version=b"ICY"), get(METRICS, method=b"get"),
    get(METRICS, method=b"G" * 9000), get(METRICS, method=b"\xff\x00"),
    # Not for a server of this kind.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", get(b"*", method=b"OPTIONS"),
    get(b"example.org:443", method=b"CONNECT"), get(METRICS, method=b"TRACE"),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO example.org\r\n", b"\0" * 20000,
    # Headers.
    get(METRICS, host=b"X: y"), get(METRICS, b"nothing"),
    get(METRICS, b": x"), get(METRICS, b" folded"), get(METRICS, b"A: \0"),
    get(METRICS, b"A: " + b"x" * 100000),
    get(METRICS, *(b"A%d: x" % i for i in range(10000))),
    get(METRICS, b"A" * 20000 + b": x"),
    # A body, which nobody wants.
    get(METRICS, b"Content-Length: -1"), get(METRICS, b"Content-Length: x"),
    get(METRICS, b"Content-Length: 18446744073709551616"),
    get(METRICS, b"Content-Length: 5", b"Content-Length: 6") + b"12345",
    get(METRICS, b"Transfer-Encoding: chunked") + b"-1\r\n",
    get(METRICS, b"Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n",
    get(METRICS, b"Transfer-Encoding: chunked", b"Content-Length: 3") +
    b"0\r\n\r\n", get(METRICS, b"Expect: 100-continue", method=b"POST"),
    # Queries.
    *(get(b"/metrics?" + query) for query in (
        b"=", b"channel=%zz", b"channel=%00", b"channel=a%", b"channel=\xff",
        b"collect[]=", b"channel=" + b"x" * 10000, b"&&&=&&", b"?",
        b"&".join([b"channel=none"] * 1000), b"channel=%22%0a%7d")),
    # Other files.
    *(get(path) for path in (
        b"/../../../../etc/passwd", b"/..%2f..%2f..%2fetc%2fpasswd",
        b"/%2e%2e/%2e%2e/etc/passwd", b"/..%c0%af..%c0%afetc/passwd",
        b"/....//....//etc/passwd", b"//etc/passwd", b"/metrics/../etc/passwd",
        b"/etc/passwd%00/metrics", b"\\..\\..\\etc\\passwd",
        b"file:///etc/passwd", b"http://x/../etc/passwd", b"/proc/self/environ",
        b"/metrics\0", b"etc/passwd", b"/" + b"../" * 3000, b"/\r\n/metrics")),
]


def test_malformed(web: Web) -> None:
    """Each is refused, or hung up on, or means what is served: nothing of a
    file, nothing that was sent; the next one is served."""
    pid = web.pid()
    for text in MALFORMED:
        came = answer_to(web, text)
        assert b"root:" not in came, text
        # Of a 400 libmicrohttpd may send the head twice.
        assert came.count(b"HTTP/1.1 200 ") <= 1, text
        if came.startswith(b"HTTP/1.") and b" 200 " in came[:20]:
            assert b"\nmcrelay_up 1\n" in came, text
            assert text.startswith(b"GET /metrics"), text
        else:
            status = re.match(rb"HTTP/1\.[01] (4\d\d|50[15])|$", came)
            assert status, (text, came)
    assert web.get().status == 200
    assert web.pid() == pid
    assert resident_peak(pid) < MEMORY


def test_pipelined(web: Web) -> None:
    """It answers the first, and says that it was the last one."""
    for more in (1, 100):
        came = answer_to(web, get(METRICS) + get(METRICS) * more)
        assert came.startswith(b"HTTP/1.1 200 ")
        assert came.count(b"HTTP/1.1 200 ") == 1
        assert b"\r\nConnection: close\r\n" in came
        assert web.get().status == 200


def test_half_closed(web: Web) -> None:
    """Who has asked and will say no more is answered; who has not is not
    waited for."""
    assert b"\nmcrelay_up 1\n" in answer_to(web, get(METRICS))
    begun = time.monotonic()
    for part in (b"", b"G", get(METRICS)[:-2], b"POST / HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 9\r\n\r\n12"):
        assert b"mcrelay_up" not in answer_to(web, part)
    assert time.monotonic() - begun < CONNECTION_S
    assert web.get().status == 200


def test_endless_header(web: Web) -> None:
    """It is not kept."""
    pid, sent = web.pid(), 0
    with web.connect() as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(OSError):
            while sent < 100 << 20:
                sent += client.send(b"A: " + b"x" * 997)
    assert sent < MEMORY
    assert web.get().status == 200
    assert web.pid() == pid
    assert resident_peak(pid) < MEMORY


def test_no_answer(web: Web) -> None:
    """Not even while the supervisor is stopped does anybody wait for long."""
    assert web.daemon.process is not None
    pid = web.pid()
    web.daemon.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(2):
            begun = time.monotonic()
            answer = web.get()
            assert answer.status == 503 and b"no answer in time" in answer.text
            assert time.monotonic() - begun < 5
        assert web.get("/").status == 200
    finally:
        web.daemon.process.send_signal(signal.SIGCONT)
    wait_for(lambda: web.get().status == 200, "metrics again")
    assert web.pid() == pid


def test_no_status(web: Web) -> None:
    """The supervisor has no descriptor for it: says so at once, and has the
    status again when it can."""
    assert web.daemon.process is not None
    supervisor, limit = web.daemon.process.pid, resource.RLIMIT_NOFILE
    before = resource.prlimit(supervisor, limit)
    resource.prlimit(supervisor, limit, (3, before[1]))
    try:
        assert web.get().status == 503
    finally:
        resource.prlimit(supervisor, limit, before)
    wait_for(lambda: web.get().status == 200, "metrics again")


def test_killed(web: Web) -> None:
    pid = web.pid()
    os.kill(pid, signal.SIGKILL)
    assert web.wait(pid) != pid
    assert web.get().status == 200


def resident_peak(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) << 10


def test_slow_clients(web: Web) -> None:
    """They take all places, and lose them; meanwhile others wait, and no
    longer than that."""
    pid = web.pid()
    with ExitStack() as stack:
        slow = [stack.enter_context(web.connect())
                for _ in range(2 * CONNECTIONS)]
        begun = time.monotonic()
        for client in slow:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
            client.setblocking(False)
        gone: set[int] = set()

        def trickle() -> bool:
            """A little of a header each time, as long as one lives."""
            for number, client in enumerate(slow):
                if number in gone:
                    continue
                try:
                    client.send(b"A")
                    if client.recv(100) == b"":
                        gone.add(number)
                except BlockingIOError:
                    pass
                except ConnectionError:
                    gone.add(number)
            return len(gone) >= CONNECTIONS
        wait_for(trickle, "slow clients to be dropped", CONNECTION_S * 3)
        assert time.monotonic() - begun > CONNECTION_S / 2
        wait_for(lambda: trickle() and len(gone) == len(slow),
                 "all of them", CONNECTION_S * 3)
    assert web.get().status == 200
    assert web.pid() == pid
    assert resident_peak(pid) < MEMORY


def test_choosers(have_web: None, daemon: Daemon) -> None:
    """Who chooses parts, each others, and reads nothing, takes nothing from
    those who read all."""
    channels = [channel(f"c{n}", free_port(), ring_size="256KiB",
                        listen_receive_buffer="256KiB") for n in range(150)]
    view = free_port()
    daemon.start(*channels, web={"address": "127.0.0.1", "port": view})
    web = Web(daemon, view)
    pid = web.wait()
    groups = ("ledger", "level", "state", "process", "output")
    choices = [subset for size in (3, 4) for subset in
               itertools.permutations(groups, size)]
    with ExitStack() as stack:
        for choice, number in zip(choices, range(CONNECTIONS - 4)):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", view))
            # With another name of a channel, so that each is another.
            query = "&".join(["collect[]=" + group for group in choice]
                             + [f"channel=c{(number + n) % 150}"
                                for n in range(60)])
            client.sendall(f"GET /metrics?{query} HTTP/1.0\r\n\r\n".encode())
        for _ in range(5):
            assert web.get().status == 200
    assert web.pid() == pid
    assert resident_peak(pid) < MEMORY
    daemon.stop()


def test_all_leave(web: Web) -> None:
    """All places are taken, and then none is: who comes next is served."""
    for _ in range(10):
        with ExitStack() as stack:
            for _ in range(CONNECTIONS):
                stack.enter_context(web.connect()).sendall(b"GET /")
        assert web.get().status == 200


def test_unread_answers(web: Web) -> None:
    """Of clients that ask and do not read."""
    pid = web.pid()
    with ExitStack() as stack:
        for _ in range(CONNECTIONS - 4):
            client = stack.enter_context(web.connect())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert web.get().status == 200
    assert web.pid() == pid
    assert resident_peak(pid) < MEMORY


def small_buffers(web: Web) -> None:
    """Of what it sends the kernel takes little, as it would of an answer of
    many megabytes: set at the socket that listens, by a copy of it."""
    assert web.daemon.process is not None
    pid = web.daemon.process.pid
    address = f"0100007F:{web.port:04X} 00000000:0000 0A"
    line = next(line for line in Path("/proc/net/tcp").read_text().splitlines()
                if address in line)
    inode = f"socket:[{line.split()[9]}]"
    there = next(int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()
                 if os.readlink(fd) == inode)
    process = os.pidfd_open(pid)
    here = ctypes.CDLL(None, use_errno=True).syscall(438, process, there, 0)
    os.close(process)
    assert here != -1, os.strerror(ctypes.get_errno())  # pidfd_getfd
    with socket.socket(fileno=here) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_slow_readers(have_web: None, daemon: Daemon) -> None:
    """They read a byte a second of a long answer, twice as many as there are
    places: each is dropped in its time, and the next one is served."""
    more = [channel(f"c{i:02}", free_port(), ring_size="1MiB",
                    listen_receive_buffer="256KiB") for i in range(60)]
    with serve(daemon, *more) as web, ExitStack() as stack:
        pid = web.pid()
        whole = len(web.get().text)
        small_buffers(web)
        slow = []
        for _ in range(2 * CONNECTIONS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(20)
            client.connect(("127.0.0.1", web.port))
            client.sendall(get(b"/metrics"))
            client.setblocking(False)
            slow.append(client)
        begun, came = time.monotonic(), dict.fromkeys(slow, 0)

        def read() -> bool:
            """A byte of each, a second later than the one before."""
            if time.monotonic() < begun + max(came.values()):
                return False
            for client in list(came):
                try:
                    byte = client.recv(1)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    byte = b""
                came[client] += len(byte)
                if byte == b"":
                    del came[client]
            return time.monotonic() - begun > 2.5 * CONNECTION_S
        wait_for(read, "their time", CONNECTION_S * 4)
        # Who is slow has what was on its way, and no more.
        for client in slow:
            client.settimeout(20)
            rest = 0
            try:
                while part := client.recv(65536):
                    rest += len(part)
            except ConnectionError:
                pass
            assert rest < whole
        assert web.get().status == 200
        assert web.pid() == pid
        assert resident_peak(pid) < MEMORY


def test_flood(web: Web) -> None:
    """Ten thousand connections, as fast as they can be made, some of which
    ask; who asks afterwards is answered."""
    pid = web.pid()
    count, soft = 10000, resource.getrlimit(resource.RLIMIT_NOFILE)
    many: list[socket.socket] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft[1], soft[1]))
    try:
        for number in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", web.port))
            many.append(client)
            if number % 3 == 0:
                try:
                    client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                except OSError:
                    pass
            # So many at a time are more than ten times what it serves.
            if len(many) == 1000:
                for old in many[:500]:
                    old.close()
                del many[:500]
    finally:
        for client in many:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)
    wait_for(lambda: web.get().status == 200, "metrics after the flood",
             CONNECTION_S * 2)
    assert web.pid() == pid
    assert resident_peak(pid) < MEMORY
    assert "web: process" not in web.daemon.log().split("is ready")[-1]


# The configuration.

def refusal(daemon: Daemon, **web: Any) -> str:
    daemon.write(channel("one", free_port()), web=web)
    done = daemon.check()
    assert done.returncode == 1
    return done.stderr


def test_refused(have_web: None, daemon: Daemon) -> None:
    for address in ("0.0.0.0", "::", "192.0.2.1", "239.1.2.3"):
        assert "`address: " in refusal(daemon, address=address)
    assert "either `unix' or" in refusal(daemon, unix="x", port=1)
    assert "port" in refusal(daemon, port=0)
    daemon.write(channel("one", free_port()), web={})
    assert daemon.check().returncode == 0


def test_unix(have_web: None, daemon: Daemon) -> None:
    path = daemon.directory / "web.sock"
    daemon.start(channel("one", free_port()), web={"unix": str(path)})
    Web(daemon, 0).wait()

    def get() -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while more := client.recv(65536):
                text += more
            return text
    assert b"mcrelay_up 1\n" in get()
    daemon.stop()
    assert not path.exists()


def wait_lack(daemon: Daemon, why: str) -> None:
    def there() -> bool:
        web = daemon.whole_status()["web"]
        return web["state"] == "waiting" and why in web["detail"]
    wait_for(there, why, 10, daemon.log)


def test_unix_taken(have_web: None, daemon: Daemon) -> None:
    """Who listens there keeps it; what nobody listens at goes; at the end only
    what is its own."""
    path = daemon.directory / "web.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        daemon.start(channel("one", free_port()), web={"unix": str(path)})
        wait_lack(daemon, f"{path}: Address already in use")
        other.setblocking(False)
        try:
            while True:     # It looks whether anybody is there.
                other.accept()[0].close()
        except BlockingIOError:
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    Web(daemon, 0).wait()
    path.unlink()
    path.touch()
    daemon.stop()
    assert path.exists()


def test_unix_remote(have_web: None, daemon: Daemon) -> None:
    """Where no server answers nobody looks."""
    server = fuse.build(daemon.directory)
    there = fuse.Fuse(server, daemon.directory / "there")
    try:
        there.hang()
        daemon.start(channel("one", free_port()),
                     web={"unix": str(there.at / "web.sock")})
        wait_lack(daemon, "of a server")
    finally:
        there.close()
    daemon.stop()


@pytest.mark.linux("no sandbox")
@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_nobody(have_web: None, daemon: Daemon) -> None:
    """As another user in its sandbox it sees what it needs."""
    view = free_port()
    daemon.archive.mkdir(mode=0o777)
    for directory in (daemon.directory, *daemon.directory.parents):
        if directory.stat().st_uid == 0 and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o111)
    daemon.start(channel("one", free_port()), user="nobody",
                 web={"port": view})
    web = Web(daemon, view)
    pid = web.wait()
    state = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"Uid:(\t65534){4}\n", state)
    assert "CapBnd:\t0000000000000000" in state
    assert "NoNewPrivs:\t1" in state and "Seccomp:\t2" in state
    seen = web.metrics()
    for process in ("supervisor", "web"):
        assert seen.value("mcrelay_process_resident_memory_bytes",
                          process=process) > 0
    assert seen.value("mcrelay_process_resident_memory_bytes",
                      process="worker", channel="one") > 0
    sandbox = daemon.whole_status()["web"]["sandbox"]
    assert "calls" not in sandbox["missing"]
    assert "privileges" not in sandbox["missing"]


def test_reload(have_web: None, daemon: Daemon) -> None:
    """It comes, moves and goes; the port may be taken meanwhile."""
    one, two = free_port(), free_port()
    plain = channel("one", free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", one))
        taken.listen(1)
        daemon.start(plain, web={"port": one})
        daemon.wait_log("cannot listen at 127.0.0.1:")
    web = Web(daemon, one)
    pid = web.wait()
    assert web.get().status == 200
    daemon.write(plain, web={"port": two})
    daemon.ctl("reload")
    web.port = two
    assert web.wait(pid) != pid
    assert web.get().status == 200
    daemon.write(plain)
    daemon.ctl("reload")
    wait_for(lambda: "mcrelay-web" not in daemon.processes().values(),
             "mcrelay-web to end")
    with pytest.raises(ConnectionRefusedError):
        web.connect()


@pytest.mark.parametrize("stopped", (False, True))
def test_upgrade(web: Web, stopped: bool) -> None:
    """The new image has another, and the old one has ended, though it were
    stopped."""
    pid = web.pid()
    web.rolled = True
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    web.daemon.ctl("upgrade")
    assert web.wait(pid) != pid
    wait_for(lambda: list(web.daemon.processes().values()).count(
        "mcrelay-web") == 1, "one mcrelay-web")
    assert web.get().status == 200


def test_supervisor_killed(have_web: None, daemon: Daemon) -> None:
    """It goes as well, though it were stopped: the next one can listen."""
    view = free_port()
    daemon.start(channel("one", free_port()), web={"port": view})
    pid = Web(daemon, view).wait()
    os.kill(pid, signal.SIGSTOP)
    assert daemon.process is not None
    daemon.process.kill()
    daemon.process.wait(10)
    daemon.process = None
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "its end")


def test_hangs(web: Web) -> None:
    """One that does nothing is left alone until somebody wants to connect;
    who waits then is served by the next one."""
    pid = web.pid()
    os.kill(pid, signal.SIGSTOP)
    with web.connect() as client:
        client.settimeout(HANG_S)
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    assert web.wait(pid) != pid
    status = web.daemon.whole_status()["web"]
    assert status["deaths"] == {"exited": 0, "signalled": 0, "hung": 1}
    assert f"web: process {pid} hangs" in web.daemon.log()


def test_stop(have_web: None, daemon: Daemon) -> None:
    """One that does not end holds up nobody."""
    view = free_port()
    daemon.start(channel("one", free_port(), decimate=[
        {"name": "s", "method": "pick", "every": 1} |
        output("127.0.0.1", free_port())]), web={"port": view})
    pid = Web(daemon, view).wait()
    os.kill(pid, signal.SIGSTOP)
    daemon.signal(signal.SIGTERM)
    wait_for(lambda: sorted(daemon.processes().values()) ==
             ["mcrelay-web", "mcrelayd"], "the others' end")
    os.kill(pid, signal.SIGCONT)
    daemon.wait_exit()
