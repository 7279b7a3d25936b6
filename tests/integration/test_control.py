# SPDX-License-Identifier: ISC
"""Whoever may connect to the control socket: clear answers, and places for
the others."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Iterator

import pytest

from daemon import Daemon, channel
from net import free_port
from waiting import wait_for

# supervisor/control.c
REQUEST, USER_PLACES, OTHERS_PLACES = 4096, 8, 24
NOBODY = 65534


def connect(daemon: Daemon) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(str(daemon.run_dir / "mcrelayd.sock"))
    return s


def answer(s: socket.socket) -> dict[str, Any]:
    """All that comes until the end, which is no error."""
    text = b""
    while more := s.recv(1 << 20):
        text += more
    assert text.endswith(b"\n") and text.count(b"\n") == 1
    return dict(json.loads(text))


def ask(daemon: Daemon, request: bytes) -> dict[str, Any]:
    with connect(daemon) as s:
        s.sendall(request)
        return answer(s)


def error(daemon: Daemon, request: bytes) -> str:
    got = ask(daemon, request)
    assert got["ok"] is False
    return str(got["error"])


@pytest.mark.parametrize("size", [REQUEST, REQUEST + 1, 1 << 20])
def test_long_requests(daemon: Daemon, size: int) -> None:
    """They are heard to their end, and answered."""
    daemon.start(channel("one", free_port()))
    request = b'{"command":"status","channel":"'
    request += b"x" * (size - len(request) - 3) + b'"}\n'
    assert len(request) == size
    said = error(daemon, request)
    if size <= REQUEST:
        assert "there is no channel xxx" in said
    else:
        assert f"longer than {REQUEST} bytes" in said
    # What follows a request is not another one, and no reset either.
    got = ask(daemon, b'{"command":"status"}\n{"command":"status"}\n')
    assert got["ok"] is True


@pytest.mark.parametrize("request_, said", [
    ('7', "the request is not JSON"),
    ('[]', "the request is not an object"),
    ('{}', "the request has no command"),
    ('{"command":7}', "command has to be a string"),
    ('{"command":null}', "command has to be a string"),
    # It would have meant all channels.
    ('{"command":"rotate","channel":1}', "channel has to be a string"),
    ('{"command":"status","channel":null}', "channel has to be a string"),
    ('{"command":"schema","channel":"one","stream":[]}',
     "stream has to be a string"),
    ('{"command":"status","chanel":"one"}', "status does not take chanel"),
    ('{"command":"status","stream":"s"}', "status does not take stream"),
    ('{"command":"reload","channel":"one"}', "reload does not take channel"),
    ('{"command":"stop"}', "stop needs a channel"),
    ('{"command":"status","command":"stop"}', "duplicate"),
])
def test_wrong_members(daemon: Daemon, request_: str, said: str) -> None:
    daemon.start(channel("one", free_port()))
    assert said in error(daemon, request_.encode() + b"\n")
    assert daemon.status("one")["restarts"] == 0


@contextlib.contextmanager
def as_user(daemon: Daemon, uid: int) -> Iterator[None]:
    """Somebody else, whom an administrator let in."""
    before = os.getcwd()
    daemon.run_dir.chmod(0o755)
    (daemon.run_dir / "mcrelayd.sock").chmod(0o666)
    os.chdir(daemon.run_dir)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.chdir(before)


def hold(count: int) -> list[socket.socket]:
    held = []
    for _ in range(count):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect("mcrelayd.sock")
        held.append(s)
    return held


def served(daemon: Daemon, uid: int) -> bool:
    with as_user(daemon, uid), hold(1)[0] as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(b'{"command":"status"}\n')
            return bool(answer(s)["ok"])
    return False


def test_places_of_workers(daemon: Daemon) -> None:
    """Together they have those of one user, whoever they are."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be several users")
    base = 63000
    daemon.start(channel("one", free_port()), user={"base": base})
    held: list[socket.socket] = []
    try:
        for n in range(USER_PLACES):
            with as_user(daemon, base + n):
                held += hold(1)
        with as_user(daemon, base + USER_PLACES):
            more = hold(1)[0]
        assert f"{USER_PLACES} connections of user {base}" in \
            answer(more)["error"]
        more.close()
        assert served(daemon, NOBODY)
    finally:
        for s in held:
            s.close()
    daemon.stop()


def test_places(daemon: Daemon) -> None:
    """One user has some, all users but root have most, root has a place."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be several users")
    daemon.start(channel("one", free_port()))
    held: list[socket.socket] = []
    try:
        with as_user(daemon, NOBODY):
            held += hold(USER_PLACES)
            more = hold(1)[0]
        said = answer(more)["error"]
        assert f"{USER_PLACES} connections of user {NOBODY}" in said
        more.close()
        others = OTHERS_PLACES // USER_PLACES
        for n in range(1, others):
            with as_user(daemon, NOBODY - n):
                held += hold(USER_PLACES)
        with as_user(daemon, NOBODY - others):
            more = hold(1)[0]
        assert f"{OTHERS_PLACES} connections" in answer(more)["error"]
        more.close()
        # Now, not when the others are sent away.
        for _ in range(10):
            assert ask(daemon, b'{"command":"status"}\n')["ok"] is True
        # A place that is given up is another's.
        held.pop().close()
        wait_for(lambda: served(daemon, NOBODY - others), "a place")
        # Who says nothing, or half a request, is sent away.
        held[0].sendall(b'{"com')
        assert all(s.recv(1) == b"" for s in held)
    finally:
        for s in held:
            s.close()
