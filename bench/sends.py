#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Sending by io_uring beside sendmmsg: `bench/sends.py BUILDDIR [ROUNDS]'.

Batches of one and of 16 datagrams for 1 and for 8 outputs, groups on loopback
and through a veth pair, each with a listener whose buffer is full: so what is
measured is all the way there, and nobody reads.  By one sendmmsg for each output,
as the worker does, and by one submission to an io_uring for all: as they come,
linked so that an output stops at the first that fails, and without a copy
(SENDMSG_ZC).  Nanoseconds of processor time for a message, each way after the
other in turn, medians of the rounds.
"""

from __future__ import annotations

import socket
import statistics
import sys
from pathlib import Path

from machine import (Machine, VETH_ADDRESS, VETH_IN, VETH_OUT, command, note)

GROUP, PORT, OUTPUTS = "239.192.7.1", 26800, 32
WAYS = ("sendmmsg", "uring", "linked", "zero_copy")
BATCHES = ((1, 1), (1, 16), (8, 1), (8, 16), (32, 1))
SIZES = (200, 1400, 8192, 65507)
RUN_MS = 100


def listeners(interface: str, address: str) -> list[socket.socket]:
    """That are full at once, and stay so."""
    made = []
    for port in range(PORT, PORT + OUTPUTS):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((GROUP, port))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton(GROUP) + socket.inet_aton(address))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                     interface.encode())
        made.append(s)
    return made


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program = str(Path(sys.argv[1]).resolve() / "bench/sends")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    machine = Machine("", "")
    for line in machine.describe():
        note(line)
    links = {"lo": ("lo", "127.0.0.1"), "veth": (VETH_IN, VETH_ADDRESS)}
    if machine.nic:
        note(f"no veth: {machine.nic}")
        del links["veth"]
    note("| link | bytes | outputs | a batch | " + " | ".join(WAYS) +
         " | copied after all |\n" + "|---" * (5 + len(WAYS)) + "|")
    for link, (into, address) in links.items():
        held = listeners(into, address)
        for size in SIZES:
            for outputs, batch in BATCHES:
                ns: dict[str, list[float]] = {way: [] for way in WAYS}
                copied = failed = 0.0
                for _ in range(rounds):
                    for way in WAYS:
                        words = command(
                            program, way, "lo" if link == "lo" else VETH_OUT,
                            GROUP, str(PORT), str(outputs), str(batch),
                            str(size), str(RUN_MS)).split()
                        ns[way].append(float(words[0]))
                        failed = max(failed, float(words[1]))
                        copied = max(copied, float(words[2]))
                note(f"| {link} | {size} | {outputs} | {batch} | " +
                     " | ".join(f"{statistics.median(ns[way]):.0f}"
                                for way in WAYS) + f" | {copied:.0%} |" +
                     (f" {failed:.1%} failed" if failed else ""))
        for s in held:
            s.close()


if __name__ == "__main__":
    main()
