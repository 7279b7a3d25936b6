# SPDX-License-Identifier: ISC
"""A kernel that has no io_uring; whether this one has."""

from __future__ import annotations

import ctypes
import os

import pytest

from daemon import Daemon, Programs, channel
from net import free_port

# Executes what follows without io_uring, as in many a container.
WITHOUT_URING = """
import ctypes, os, sys
s = ctypes.CDLL("libseccomp.so.2", use_errno=True)
s.seccomp_init.restype = ctypes.c_void_p
f = ctypes.c_void_p(s.seccomp_init(0x7fff0000))
number = s.seccomp_syscall_resolve_name(b"io_uring_setup")
assert s.seccomp_rule_add(f, 0x00050000 | 1, number, 0) == 0
assert s.seccomp_load(f) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""

SYS_IO_URING_SETUP = 425
# IORING_SETUP_R_DISABLED, by which rings are made that write; with
# SINGLE_ISSUER, DEFER_TASKRUN and TASKRUN_FLAG those that receive.
TO_WRITE = 1 << 6
TO_RECEIVE = TO_WRITE | 1 << 12 | 1 << 13 | 1 << 9
SQPOLL = 1 << 1


def why_not(programs: Programs, flags: int) -> str:
    """Why no such ring can be made here, by asking the kernel; "": it can."""
    if not programs.uring:
        return "built without liburing-dev"
    params = (ctypes.c_uint32 * 30)(0, 0, flags)
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(SYS_IO_URING_SETUP, 1, params)
    if ring == -1:
        return f"io_uring_setup: {os.strerror(ctypes.get_errno())}"
    os.close(ring)
    return ""


def skip_without(why: str) -> None:
    if why:
        pytest.skip(f"needs io_uring: {why}")


def needs_ring(daemon: Daemon, flags: int = TO_WRITE) -> None:
    """Skips where the kernel has none such; what -n says is no less."""
    daemon.write(channel("one", free_port(), io_uring={"enabled": True},
                         archive=daemon.archive_conf()))
    said = daemon.check().stdout
    for use, text in ((TO_WRITE, "writes its archive by buffered_io_uring"),
                      (TO_RECEIVE, "receives by io_uring")):
        why = why_not(daemon.programs, use)
        assert (why == "") == (f"channel one {text}\n" in said), (why, said)
    skip_without(why_not(daemon.programs, flags))
