# SPDX-License-Identifier: ISC
"""AF_XDP on a kernel that is too old for it: run by qa/kernels.sh."""

from __future__ import annotations

from typing import Callable

import pytest

from daemon import Daemon
from net import free_port, numbered
from test_world import GROUP_IN, World, world  # noqa: F401
from test_xdp import (listens, maps_what_is_bound, needs_root, reason_of,
                      sender, wait_way, wired)  # noqa: F401

pytestmark = [needs_root, pytest.mark.skipif(
    maps_what_is_bound, reason="needs a Linux before 6.4")]
WHY = "cannot map the rings of a bound AF_XDP socket (which takes Linux 6.4)"


def test_falls_back(make_daemon: Callable[..., Daemon],
                    wired: World) -> None:  # noqa: F811
    """No worker could map what the supervisor has bound: so it receives by
    sockets, or waits."""
    daemon = make_daemon(namespace=wired.home)
    port = free_port()
    daemon.write(listens(daemon, 4, port))
    assert f"`path: xdp': received by ordinary sockets: {WHY}" in \
        daemon.check().stdout
    daemon.start(listens(daemon, 4, port))
    assert WHY in wait_way(daemon, "socket")["xdp"]["not"]
    what, why = reason_of(daemon)
    assert what == "kernel_fallback" and WHY in why
    with sender(wired, GROUP_IN[4], port) as source:
        source.send(numbered(500), 10000)
        daemon.wait_received("x", 500)
    daemon.write(listens(daemon, 4, port, fallback=False))
    daemon.ctl("reload")
    daemon.wait_state("x", "waiting")
    what, why = reason_of(daemon)
    assert what == "kernel_missing" and WHY in why
    daemon.stop()
