# SPDX-License-Identifier: ISC
"""A kernel that has no io_uring."""

from __future__ import annotations

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
