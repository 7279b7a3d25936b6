# SPDX-License-Identifier: ISC
"""mcrelay-web: who may read.  Passwords, TLS, networks, and who guesses."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon, channel, output, processor_s
from net import Namespace, Receiver, Sender, free_port, numbered
from test_web import CONNECTION_S, CONNECTIONS, have_web    # noqa: F401
from waiting import wait_for

# web/guesses.h
GUESSES, GUESSES_S = 5, 6

BCRYPT = "$2b$06$abcdefghijklmnopqrstuu"
# As slow as htpasswd makes them when it is asked for good ones.
SLOW = "$2b$12$abcdefghijklmnopqrstuu"
SHA512 = "$6$abcdefghijklmnop"
YESCRYPT = "$y$j75$abcdefghijklmnop"


def crypt(password: str, salt: str) -> str:
    """'' when this libcrypt does not know it."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    found = library.crypt(password.encode(), salt.encode())
    return found.decode() if found and found[:1] == b"$" else ""


def built_with(daemon: Daemon, **web: Any) -> None:
    daemon.write(channel("one", free_port()), web=web)
    if "was built without" in daemon.check().stderr:
        pytest.skip("built without it")


def files(daemon: Daemon) -> dict[str, str]:
    return {"certificate": str(daemon.directory / "cert.pem"),
            "key": str(daemon.directory / "key.pem")}


def certify(daemon: Daemon, *, days: int = 90, name: str = "one",
            cert: str = "cert.pem", key: str = "key.pem") -> None:
    """A certificate of its own authority, and its key."""
    directory = daemon.directory
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
         "-keyout", str(directory / key), "-out", str(directory / cert),
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, timeout=60)
    (directory / key).chmod(0o600)


class Guarded:
    """A daemon with a mcrelay-web that asks."""

    def __init__(self, daemon: Daemon, port: int,
                 passwords: dict[str, str] | None = None) -> None:
        self.daemon, self.port = daemon, port
        self.passwords = passwords or {}
        self.context: ssl.SSLContext | None = None

    def write_users(self, salt: str = BCRYPT) -> str:
        path = self.daemon.directory / "users"
        path.write_text("# people\n\n" + "".join(
            f"{name}:{crypt(password, salt)}\n"
            for name, password in self.passwords.items()))
        return str(path)

    def trust(self, cert: str = "cert.pem") -> None:
        self.context = ssl.create_default_context(
            cafile=str(self.daemon.directory / cert))

    def status(self) -> dict[str, Any]:
        return self.daemon.whole_status()["web"]

    def pid(self) -> int:
        web = self.status()
        return web["pid"] if web["state"] == "running" else 0

    def wait(self, old: int = 0) -> int:
        return wait_for(lambda: self.pid() not in (0, old) and self.pid(),
                        "mcrelay-web", 15, self.daemon.log)

    def get(self, user: str = "", password: str = "", url: str = "/",
            source: str = "127.0.0.1", header: str = "") -> int:
        """The status."""
        where: dict[str, Any] = {
            "host": "127.0.0.1", "port": self.port, "timeout": 20,
            "source_address": (source, 0)}
        client = http.client.HTTPConnection(**where) if not self.context \
            else http.client.HTTPSConnection(**where, context=self.context)
        if user:
            header = "Basic " + base64.b64encode(
                f"{user}:{password}".encode()).decode()
        try:
            client.request("GET", url, headers={
                "Authorization": header} if header else {})
            answer = client.getresponse()
            answer.read()
            return answer.status
        finally:
            client.close()

    def hurry(self, user: str, password: str, source: str) -> int:
        """The status, or 0 if that is not there at once: who guesses does not
        wait."""
        said = base64.b64encode(f"{user}:{password}".encode())
        with socket.create_connection(("127.0.0.1", self.port), 20,
                                      (source, 0)) as client:
            client.sendall(b"GET / HTTP/1.0\r\nAuthorization: Basic " +
                           said + b"\r\n\r\n")
            client.settimeout(0.2)
            try:
                return int(client.recv(64).split()[1])
            except TimeoutError:
                return 0

    def get_as(self, user: str, **more: Any) -> int:
        return self.get(user, self.passwords[user], **more)


def guard(daemon: Daemon, salt: str = BCRYPT, **web: Any) -> Guarded:
    view = free_port()
    here = Guarded(daemon, view, {"anna": "secret", "prometheus": "of:old"})
    users = here.write_users(salt)
    built_with(daemon, port=view, users=users, **web)
    daemon.start(channel("one", free_port()),
                 web={"port": view, "users": users} | web)
    here.wait()
    return here


# Users.

@pytest.mark.parametrize("salt", (BCRYPT, "$2y" + BCRYPT[3:], SHA512,
                                  YESCRYPT))
def test_users(have_web: None, daemon: Daemon, salt: str) -> None:
    if not crypt("x", salt):
        pytest.skip("this libcrypt does not know that hash")
    web = guard(daemon, salt)
    assert web.get() == 401
    for url in ("/", "/metrics", "/metrics"):
        assert web.get_as("anna", url=url) == 200
    # With a colon in it.
    assert web.get_as("prometheus", source="127.0.0.2") == 200
    assert web.get_as("anna", url="/no") == 404
    for user, password in (("anna", "Secret"), ("anna", ""), ("anna", "secre"),
                           ("nobody", "secret"), ("prometheus", "secret")):
        assert web.get(user, password, source="127.0.0.3") == 401
    daemon.stop()


def test_malformed(have_web: None, daemon: Daemon) -> None:
    """What is no name with a password is nobody's, and no guess."""
    web = guard(daemon)
    good = base64.b64encode(b"anna:secret").decode()
    assert web.get(header=f"basic   {good} ") == 200
    for header in ("Basic", f"Basic{good}", "Basic ", "Basic =", "Basic a",
                   f"Basic {good[:-1]}!", f"Basic {good} x", f"Bearer {good}",
                   "Basic " + base64.b64encode(b"anna").decode(),
                   "Basic " + base64.b64encode(b"anna:sec\0ret").decode(),
                   "Basic " + base64.b64encode(b"a" * 128 + b":").decode(),
                   "Basic " + base64.b64encode(b"a:" + b"b" * 256).decode(),
                   "Basic " + "A" * 8000):
        assert web.get(header=header) == 401, header
    # Anybody else would have to wait by now.
    assert web.get_as("prometheus") == 200
    daemon.stop()


def test_unix_users(have_web: None, daemon: Daemon) -> None:
    path = daemon.directory / "web.sock"
    web = Guarded(daemon, 0, {"anna": "secret"})
    users = web.write_users()
    built_with(daemon, unix=str(path), users=users)
    daemon.start(channel("one", free_port()),
                 web={"unix": str(path), "users": users})
    web.wait()
    for words, status in (([], "401"), (["-u", "anna:secret"], "200"),
                          (["-u", "anna:wrong"], "401")):
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
             "--unix-socket", str(path), *words, "http://x/metrics"],
            text=True, capture_output=True, timeout=30)
        assert done.stdout == status
    assert "wrong user or password from a Unix socket" in daemon.log()
    daemon.stop()


def test_locked_out(have_web: None, daemon: Daemon) -> None:
    """Who has guessed too often gets no answer any more, be it right or
    wrong: but only at that user, and only there."""
    web = guard(daemon)
    assert web.get_as("anna") == web.get_as("prometheus") == 200
    seen = [web.get("anna", f"guess{n}") for n in range(4 * GUESSES)]
    assert seen[0] == 401 and seen[-1] == 429
    assert web.get_as("anna") == 429
    assert web.get_as("prometheus") == 200
    assert web.get_as("anna", source="127.0.0.2") == 200
    # It has not come here before, so it would have to be compared.
    assert web.get("nobody", "x") == 429
    daemon.stop()


def test_nobody_costs_the_same(have_web: None, daemon: Daemon) -> None:
    """Whether a user exists cannot be told by what it takes."""
    web = guard(daemon, SLOW)
    pid = web.pid()

    def cost(user: str, source: str) -> float:
        before = processor_s(pid)
        assert web.get(user, "wrong", source=source) == 401
        return processor_s(pid) - before
    known = cost("anna", "127.0.0.2")
    unknown = cost("nobody", "127.0.0.3")
    assert known < 2 * unknown and unknown < 2 * known
    daemon.stop()


def test_together(have_web: None, daemon: Daemon) -> None:
    """A browser says the same many times at once; that is one guess."""
    web = guard(daemon, SLOW)
    seen: list[int] = []

    def ask() -> None:
        seen.append(web.get_as("anna"))
    threads = [threading.Thread(target=ask) for _ in range(2 * GUESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 2 * GUESSES
    daemon.stop()


def test_guesses(have_web: None, daemon: Daemon) -> None:
    """A thousand of them, from several addresses, beside somebody who is known
    and reads on; few are compared, and no channel notices."""
    port, view = free_port(), free_port()
    web = Guarded(daemon, view, {"anna": "secret", "prometheus": "of:old"})
    users = web.write_users(SLOW)
    built_with(daemon, port=view, users=users)
    seen: dict[str, list[int]] = {}
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(
            channel("one", port, archive=daemon.archive_conf(),
                    relay=[output("127.0.0.1", receiver.port)]),
            web={"port": view, "users": users})
        pid, worker = web.wait(), daemon.worker_pid("one")
        # A user whom somebody else at the same address does not guess.
        assert web.get_as("prometheus") == 200
        used, begun = processor_s(pid), time.monotonic()

        def guess(source: str, user: str) -> None:
            seen[source + user] = [
                web.hurry(user, f"guess{n}", source) for n in range(200)]
        threads = [threading.Thread(target=guess, args=who) for who in (
            ("127.0.0.1", "anna"), ("127.0.0.1", "nobody"),
            ("127.0.0.2", "prometheus"), ("127.0.0.3", "anna"),
            ("127.0.0.4", "prometheus"))]
        for thread in threads:
            thread.start()
        scrapes = 0
        while any(thread.is_alive() for thread in threads):
            assert web.get_as("prometheus") == 200
            sender.send(numbered(10, first=len(sender.sent)))
            scrapes += 1
        for thread in threads:
            thread.join()
        took = time.monotonic() - begun
        spent = processor_s(pid) - used
        daemon.wait_received("one", len(sender.sent))
        assert receiver.wait(len(sender.sent)) == sender.sent
        assert daemon.worker_pid("one") == worker and web.pid() == pid
    answers = [status for each in seen.values() for status in each]
    assert len(answers) == 1000 and set(answers) <= {0, 401, 429}
    # Of each of the four addresses.
    assert 1000 - answers.count(429) <= \
        4 * (GUESSES + took / GUESSES_S + 1)
    assert scrapes > 0
    print(1000 - answers.count(429), "guesses compared or waiting",
          scrapes, "scrapes in", took, "s, processor", spent)
    daemon.stop()


# TLS.

def encrypted(daemon: Daemon, **web: Any) -> Guarded:
    certify(daemon)
    here = guard(daemon, tls=files(daemon), **web)
    here.trust()
    return here


def test_tls(have_web: None, daemon: Daemon) -> None:
    """Answers that are known at once, and such as are waited for."""
    web = encrypted(daemon)
    assert web.get() == 401
    for _ in range(5):
        assert web.get_as("anna", url="/metrics") == 200
    plain = Guarded(daemon, web.port)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        plain.get()
    context = web.context
    certify(daemon, cert="other.pem", key="otherkey.pem")
    web.trust("other.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        web.get()
    web.context = context
    done = subprocess.run(
        ["curl", "-s", "--cacert", str(daemon.directory / "cert.pem"),
         "--fail", "-u", "anna:secret",
         f"https://127.0.0.1:{web.port}/metrics"],
        text=True, capture_output=True, timeout=30)
    assert "mcrelay_up 1\n" in done.stdout
    daemon.stop()


def test_tls_versions(have_web: None, daemon: Daemon) -> None:
    web = encrypted(daemon)

    def version(option: str) -> str:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{web.port}",
             option, "-cipher", "DEFAULT@SECLEVEL=0"], input="", text=True,
            capture_output=True, timeout=30)
        found = re.search(r"^New, (\S+), Cipher is (\S+)", done.stdout, re.M)
        return found[1] if found and found[2] != "(NONE)" else ""
    assert version("-tls1_3") == "TLSv1.3"
    assert version("-tls1_2") == "TLSv1.2"
    for old in ("-tls1_1", "-tls1"):
        assert version(old) == ""
    daemon.stop()


@pytest.mark.parametrize("half", (b"", b"\x16\x03\x01\x02\x00\x01"))
def test_tls_half_open(have_web: None, daemon: Daemon, half: bytes) -> None:
    """Who begins and says no more loses the place, as without TLS."""
    web = encrypted(daemon)
    pid = web.pid()
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(
                ("127.0.0.1", web.port))).sendall(half)
        late = threading.Thread(target=lambda: seen.append(
            web.get_as("anna")))
        seen: list[int] = []
        late.start()
        late.join(3 * CONNECTION_S)
        assert seen == [200]
    assert web.pid() == pid
    daemon.stop()


def test_tls_garbage(have_web: None, daemon: Daemon) -> None:
    web = encrypted(daemon)
    pid = web.pid()
    for text in (b"GET /metrics HTTP/1.0\r\n\r\n", b"\0" * 1000,
                 b"\x16\x03\x01\xff\xff" + b"\xff" * 70000,
                 b"\x15\x03\x03\x00\x02\x02\x28", os.urandom(5000)):
        with socket.create_connection(("127.0.0.1", web.port), 20) as client:
            try:
                client.sendall(text)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except OSError as error:
                # It has hung up.
                assert error.errno in (errno.ECONNRESET, errno.EPIPE,
                                       errno.ENOTCONN)
        assert web.get() == 401
    assert web.pid() == pid
    daemon.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_key_stays_secret(have_web: None, daemon: Daemon) -> None:
    """Only root can read the file; mcrelay-web, which is nobody, has it all
    the same, and shows it to nobody."""
    daemon.archive.mkdir(mode=0o777)
    for directory in (daemon.directory, *daemon.directory.parents):
        if directory.stat().st_uid == 0 and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o111)
    certify(daemon)
    view = free_port()
    built_with(daemon, port=view, tls=files(daemon))
    web = Guarded(daemon, view)
    daemon.start(channel("one", free_port()), user="nobody",
                 web={"port": view, "tls": files(daemon)})
    pid = web.wait()
    web.trust()
    assert web.get() == 200
    assert daemon.process is not None
    for process in (pid, daemon.worker_pid("one")):
        held = [os.readlink(each)
                for each in Path(f"/proc/{process}/fd").iterdir()]
        assert not any("memfd:mcrelay-web" in each for each in held)
    # One that the kernel lets nobody look into belongs to root in /proc.
    assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
    for line in (daemon.directory / "key.pem").read_text().splitlines()[1:-1]:
        assert line not in daemon.log()
        assert line not in daemon.ctl("status", "-j").stdout
        # Nor in what a core of the supervisor would have.
        assert line.encode() not in heap(daemon.process.pid)
    daemon.stop()


def heap(pid: int) -> bytes:
    found = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if "rw-p" in line and ("[heap]" in line or "[stack]" in line):
                begin, end = (int(x, 16) for x in line.split()[0].split("-"))
                memory.seek(begin)
                found += memory.read(end - begin)
    return found


# Reload.

def test_reload_files(have_web: None, daemon: Daemon) -> None:
    """Another certificate and other users come into force; nobody is refused
    meanwhile.  With nothing new, nothing happens."""
    web = encrypted(daemon)
    pid = web.pid()
    daemon.ctl("reload")
    certify(daemon, cert="new.pem", key="newkey.pem", name="two")
    stop, errors, served = threading.Event(), [], [0]

    def connect() -> None:
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", web.port), 20):
                    served[0] += 1
            except OSError as error:
                errors.append(error)
    thread = threading.Thread(target=connect)
    thread.start()
    try:
        assert web.pid() == pid
        for new, old in (("new.pem", "cert.pem"), ("newkey.pem", "key.pem")):
            (daemon.directory / new).rename(daemon.directory / old)
        web.passwords = {"anna": "changed", "otto": "neu"}
        web.write_users()
        daemon.signal(signal.SIGHUP)
        web.wait(pid)
    finally:
        stop.set()
        thread.join()
    assert not errors and served[0] > 0
    with pytest.raises(ssl.SSLCertVerificationError):
        web.get()
    web.trust()
    assert web.get_as("anna") == web.get_as("otto") == 200
    for user, password in (("anna", "secret"), ("prometheus", "of:old")):
        assert web.get(user, password) == 401
    deaths = web.status()["deaths"]
    assert deaths == {"exited": 0, "signalled": 0, "hung": 0}
    daemon.stop()


def test_reload_bad(have_web: None, daemon: Daemon) -> None:
    """What cannot be used leaves all as it is, and is said."""
    web = encrypted(daemon)
    pid = web.pid()
    good = {path: path.read_bytes() for path in (
        daemon.directory / name for name in ("cert.pem", "key.pem", "users"))}
    certify(daemon, cert="other.pem", key="otherkey.pem")
    for name, text, why in (
            ("cert.pem", b"-----BEGIN NONSENSE", "is no certificate"),
            ("key.pem", (daemon.directory / "otherkey.pem").read_bytes(),
             "is not the key"),
            ("users", b"anna:secret\n", "users:1: this is no hash"),
            ("users", None, "cannot be read")):
        path = daemon.directory / name
        if text is None:
            path.unlink()
        else:
            path.write_bytes(text)
        done = daemon.ctl("reload", check=False)
        assert done.returncode != 0 and why in done.stderr + done.stdout
        assert web.get_as("anna") == 200 and web.pid() == pid
        assert daemon.check().returncode == 1
        path.write_bytes(good[path])
    daemon.ctl("reload")
    assert web.pid() == pid
    # The next process has what was checked, whatever is in the files now.
    (daemon.directory / "users").unlink()
    os.kill(pid, signal.SIGKILL)
    web.wait(pid)
    assert web.get_as("anna") == 200
    daemon.stop()


def secrets(daemon: Daemon) -> int:
    """How many copies of the files there are in mcrelayd."""
    assert daemon.process is not None
    count = 0
    for fd in Path(f"/proc/{daemon.process.pid}/fd").iterdir():
        # It may be closed just now.
        with contextlib.suppress(FileNotFoundError):
            count += "memfd:mcrelay-web" in os.readlink(fd)
    return count


def test_reloads_in_a_row(have_web: None, daemon: Daemon) -> None:
    """The last good one counts, whatever comes right behind it, and no copy
    of what it replaced stays."""
    web = encrypted(daemon)
    pid, copies = web.pid(), secrets(daemon)
    assert copies == 1
    for number in range(6):
        web.passwords["prometheus"] = f"changed{number}"
        web.write_users()
        daemon.ctl("reload")
    del web.passwords["prometheus"]
    users = web.write_users()
    daemon.ctl("reload")
    good = Path(users).read_text()
    Path(users).write_text("nonsense\n")
    assert daemon.ctl("reload", check=False).returncode != 0
    web.wait(pid)

    def says(status: int, user: str, password: str) -> bool:
        # Whoever is being replaced may have taken the connection.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return web.get(user, password) == status
        return False
    wait_for(lambda: says(401, "prometheus", "changed5"),
             "that prometheus is out", 10)
    wait_for(lambda: says(200, "anna", web.passwords["anna"]), "anna", 10)
    wait_for(lambda: secrets(daemon) == copies, "no more copies", 10)
    # And none of one that goes at once.
    Path(users).write_text(good + "\n")
    daemon.ctl("reload")
    daemon.write(channel("one", free_port()))
    daemon.ctl("reload")
    wait_for(lambda: secrets(daemon) == 0, "no copies", 10)
    daemon.stop()


def told_to_end(pid: int) -> tuple[bool, str]:
    """Whether a SIGTERM waits for it, and its state; "": it has gone."""
    try:
        facts = dict(line.split(":\t", 1) for line in Path(
            f"/proc/{pid}/status").read_text().splitlines())
    except OSError:
        return False, ""
    return (bool(int(facts["ShdPnd"], 16) >> (signal.SIGTERM - 1) & 1),
            facts["State"][0])


def test_connected_when_replaced(have_web: None, daemon: Daemon) -> None:
    """Whoever is connected to a process that is replaced is answered if he asks
    at once.  (Not each time: it has a quarter of a second.)"""
    web = encrypted(daemon)
    said = base64.b64encode(f"anna:{web.passwords['anna']}".encode())
    request = (b"GET / HTTP/1.0\r\nAuthorization: Basic " + said +
               b"\r\n\r\n")
    assert web.context is not None

    def answered(number: int) -> bool:
        pid = web.wait()
        with socket.create_connection(("127.0.0.1", web.port), 20) as plain, \
                web.context.wrap_socket(plain, server_hostname="127.0.0.1"
                                        ) as client:
            web.passwords["prometheus"] = f"changed{number}"
            web.write_users()
            os.kill(pid, signal.SIGSTOP)
            daemon.ctl("reload")
            wait_for(lambda: told_to_end(pid)[0], "a signal", 10)
            os.kill(pid, signal.SIGCONT)
            wait_for(lambda: told_to_end(pid) in ((False, "S"), (False, "Z"),
                                                  (False, "")),
                     "it to have heard", 10)
            answer = b""
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                client.sendall(request)
                answer = client.recv(64)
        web.wait(pid)
        return answer.split()[1:2] == [b"200"]
    assert any(map(answered, range(20)))


def test_missing_at_start(have_web: None, daemon: Daemon) -> None:
    """No channel waits for a list of users."""
    view = free_port()
    web = Guarded(daemon, view, {"anna": "secret"})
    users = daemon.directory / "users"
    built_with(daemon, port=view, users=str(users))
    daemon.start(channel("one", free_port()),
                 web={"port": view, "users": str(users)})
    status = wait_for(lambda: web.status()["state"] == "waiting" and
                      web.status(), "it to wait", 10, daemon.log)
    assert f"{users}: cannot be read: No such file" in status["detail"]
    with pytest.raises(ConnectionRefusedError):
        web.get()
    web.write_users()
    web.wait()
    assert web.get_as("anna") == 200
    daemon.stop()


# The doctor.

def test_doctor(have_web: None, daemon: Daemon) -> None:
    web = encrypted(daemon)

    def found() -> dict[str, tuple[str, str, str]]:
        done = subprocess.run(
            [str(daemon.programs.mcrelayctl), "-s",
             str(daemon.run_dir / "mcrelayd.sock"), "doctor", "-j"],
            env=daemon.environment, text=True, capture_output=True,
            timeout=60)
        return {f["subject"]: (f["result"], f["measured"], f["mend"])
                for f in json.loads(done.stdout)["findings"]
                if f["check"] == "web"}
    before = found()
    assert {result for result, _, _ in before.values()} == {"ok"}
    assert re.search(r"expires in (89|90) days", before["certificate"][1])
    expiry = web.status()["certificate_expires"]
    assert f"mcrelay_web_certificate_expiry_timestamp_seconds {expiry}\n" in \
        daemon.ctl("metrics").stdout
    certify(daemon, days=80)
    result, measured, mend = found()["certificate"]
    assert result == "warn" and "has another one" in measured
    assert mend == "mcrelayctl reload"
    daemon.ctl("reload")
    web.wait(0)
    wait_for(lambda: found()["certificate"][0] == "ok", "the other one", 10)
    certify(daemon, days=3)
    assert found()["files"][0] == "warn"
    assert "expires at" in found()["files"][1]
    (daemon.directory / "users").unlink()
    certify(daemon)
    assert found()["files"][0] == "fail"
    assert "cannot be read" in found()["files"][1]
    daemon.stop()


# Networks.

def connect(namespace: Namespace, to: str, port: int) -> bytes:
    """What comes back: nothing, if one is not allowed."""
    def make() -> socket.socket:
        return socket.create_connection((to, port), 20)
    with namespace.enter(make) as client:
        try:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b""
            while more := client.recv(4096):
                text += more
            return text
        except ConnectionError:
            return b""


@pytest.mark.parametrize("address", ("0.0.0.0", "::"))
def test_allow(have_web: None, programs: Any, tmp_path: Path,
               namespace: Namespace, address: str) -> None:
    """By where they come from, also if that is an IPv4 address in IPv6."""
    daemon, view = Daemon(programs, tmp_path, namespace), free_port()
    try:
        daemon.start(channel("one", free_port()), web={
            "address": address, "port": view,
            "allow": ["10.99.0.0/24", "fd00:99::/32"]})
        Guarded(daemon, view).wait()
        assert b"200 OK" in connect(namespace, "10.99.0.1", view)
        # From their own addresses.
        assert connect(namespace, "127.0.0.1", view) == b""
        assert connect(namespace, "10.99.1.1", view) == b""
        daemon.wait_log("is not in `allow': refused")
        if address == "::":
            assert connect(namespace, "::1", view) == b""
            namespace.run("ip", "addr", "add", "fd00:99::1/64", "dev", "va",
                          "nodad")
            # The kernel adds the route to it later.
            wait_for(lambda: "fd00:99::1" in namespace.run(
                "ip", "-6", "route", "show", "table", "local").stdout,
                "the address at work")
            assert b"200 OK" in connect(namespace, "fd00:99::1", view)
        daemon.stop()
    finally:
        daemon.kill()


def test_address_comes_and_goes(have_web: None, programs: Any, tmp_path: Path,
                                namespace: Namespace) -> None:
    daemon, view = Daemon(programs, tmp_path, namespace), free_port()
    try:
        daemon.start(channel("one", free_port()), web={
            "address": "10.99.7.1", "port": view, "allow": ["10.0.0.0/8"]})
        web = Guarded(daemon, view)
        wait_for(lambda: web.status()["state"] == "waiting" and
                 "cannot listen at 10.99.7.1" in web.status()["detail"],
                 "it to wait", 10, daemon.log)
        change: Callable[[str], Any] = lambda word: namespace.run(
            "ip", "addr", word, "10.99.7.1/24", "dev", "va")
        change("add")
        pid = web.wait()
        assert b"200 OK" in connect(namespace, "10.99.7.1", view)
        change("del")
        with pytest.raises(OSError):
            connect(namespace, "10.99.7.1", view)
        change("add")
        assert b"200 OK" in connect(namespace, "10.99.7.1", view)
        assert web.pid() == pid
        daemon.stop()
    finally:
        daemon.kill()


# mcrelayd -n.

def said(daemon: Daemon, status: int = 1, **web: Any) -> str:
    daemon.write(channel("one", free_port()), web=web)
    done = daemon.check()
    assert done.returncode == status, done.stderr
    return done.stderr


def test_users_checked(have_web: None, daemon: Daemon) -> None:
    path = daemon.directory / "users"
    built_with(daemon, users=str(path))
    good = crypt("secret", BCRYPT)
    for text, why in (
            ("", "there is no user in it: htpasswd -B"),
            (f"a:{good}\n\n#\nanna\n", "users:4: not NAME:HASH"),
            (f":{good}", "users:1: not NAME:HASH"),
            (f"a:{good}\nb:{good}\na:{good}\n", "users:3: the user `a' is"),
            ("a:$apr1$x$y\n", "users:1: Apache's MD5 ($apr1$) is not"),
            ("a:$1$x$y\n", "MD5 ($1$)"), ("a:{SHA}xx\n", "SHA-1 ({SHA})"),
            ("a:secret\n", "this is no hash of bcrypt, SHA-512 or yescrypt"),
            (f"a:{good[:-1]}\n", "the hash is not whole"),
            (f"a:{good} \n", "the hash is not whole"),
            (f"a:{good}:x\n", "the hash is not whole"),
            (f"a:{crypt('x', SHA512)[:-1]}\n", "the hash is not whole"),
            ("a:" + good.replace("$06$", "$31$"), "takes too long"),
            ("a:" + crypt("x", SHA512).replace("$6$", "$6$rounds=9999999$"),
             "takes too long"),
            (f"{'a' * 200}:{good}\n", "the name is longer than"),
            ("".join(f"u{n}:{good}\n" for n in range(1001)),
             "more users than 1000"), ("a:\0", "is no text")):
        path.write_text(text)
        assert why in said(daemon, users=str(path)), text[:80]
    path.write_text("".join(f"u{n}:{good}\n" for n in range(1000)))
    said(daemon, status=0, users=str(path))
    path.unlink()
    path.mkdir()
    assert "is no file" in said(daemon, users=str(path))
    path.rmdir()
    os.mkfifo(path)
    assert "is no file" in said(daemon, users=str(path))
    path.unlink()
    path.write_text(f"a:{good}\n")
    path.chmod(0o666)
    assert "others may change it" in said(daemon, 0, users=str(path))


def test_certificates_checked(have_web: None, daemon: Daemon) -> None:
    tls = files(daemon)
    built_with(daemon, tls=tls)
    certify(daemon)
    assert said(daemon, 0, tls=tls) == ""
    key = Path(tls["key"])
    for mode, why in ((0o644, "may read"), (0o660, "may change"),
                      (0o640, "")):
        key.chmod(mode)
        text = said(daemon, 0, tls=tls)
        assert why in text and (text == "") == (why == "")
    certify(daemon, days=3)
    assert "expires at" in said(daemon, 0, tls=tls)
    locked = subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-aes128", "-passout", "pass:x"],
        check=True, timeout=30, capture_output=True)
    key.write_bytes(locked.stdout)
    assert "is encrypted" in said(daemon, tls=tls)
    key.write_text("")
    assert "is no private key" in said(daemon, tls=tls)
    assert "has no `certificate'" in said(daemon, tls={"key": str(key)})


def test_expired(have_web: None, daemon: Daemon) -> None:
    tls = files(daemon)
    built_with(daemon, tls=tls)
    certify(daemon)
    cert = daemon.directory / "cert.pem"
    subprocess.run(
        ["openssl", "x509", "-in", str(cert), "-signkey", tls["key"],
         "-days", "-1", "-out", str(cert)], check=True, timeout=30,
        capture_output=True)
    assert "expired at" in said(daemon, 0, tls=tls)


def test_open_to_all(have_web: None, daemon: Daemon) -> None:
    """Who could read it must be said."""
    certify(daemon)
    web = Guarded(daemon, 0, {"anna": "secret"})
    users, tls = web.write_users(), files(daemon)
    built_with(daemon, users=users, tls=tls)
    for address in ("0.0.0.0", "::", "192.0.2.1", "2001:db8::1"):
        text = said(daemon, address=address)
        assert re.search(r"yaml:\d+:\d+: `address: ", text)
        assert "by `users: FILE' or `allow: [NETWORKS]'" in text
        assert "everybody" in said(daemon, address=address, tls=tls)
        assert said(daemon, 0, address=address, allow=["10.0.0.0/8"]) == ""
        assert "passwords" in said(daemon, 0, address=address, users=users)
        assert said(daemon, 0, address=address, users=users, tls=tls) == ""
