# SPDX-License-Identifier: ISC
"""UDP payloads out of a classic pcap file (Ethernet, IPv4)."""

from __future__ import annotations

import struct
from pathlib import Path


def udp_payloads(path: Path) -> list[bytes]:
    data = path.read_bytes()
    magic = struct.unpack("<I", data[:4])[0]
    assert magic in (0xa1b2c3d4, 0xd4c3b2a1), "not a pcap file"
    order = "<" if magic == 0xa1b2c3d4 else ">"
    assert struct.unpack(order + "I", data[20:24])[0] == 1, "not Ethernet"
    payloads = []
    at = 24
    while at < len(data):
        captured, length = struct.unpack(order + "8xII", data[at:at + 16])
        assert captured == length, "cut packet"
        payloads.append(_payload(data[at + 16:at + 16 + captured]))
        at += 16 + captured
    return payloads


def _payload(frame: bytes) -> bytes:
    assert frame[12:14] == b"\x08\x00", "not IPv4"
    ip = frame[14:]
    assert ip[9] == 17, "not UDP"
    udp = ip[(ip[0] & 15) * 4:]
    return udp[8:struct.unpack(">H", udp[4:6])[0]]
