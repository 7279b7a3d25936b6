# SPDX-License-Identifier: ISC
"""Keys and tokens of NATS' operators, accounts and users, as its own tool nsc
would make them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

SEED, KINDS = 18 << 3, {"operator": 14 << 3, "account": 0, "user": 20 << 3}


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc


def base32(data: bytes) -> str:
    return base64.b32encode(data + crc16(data).to_bytes(
        2, "little")).decode().rstrip("=")


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    def __init__(self, kind: str) -> None:
        ed25519 = pytest.importorskip(
            "cryptography.hazmat.primitives.asymmetric.ed25519",
            reason="needs the Debian package python3-cryptography")
        self.kind, number = kind, KINDS[kind]
        self.private = ed25519.Ed25519PrivateKey.generate()
        self.public = base32(bytes([number])
                             + raw(self.private.public_key()))
        self.seed = base32(bytes([SEED | number >> 5, (number & 31) << 3])
                           + raw(self.private))

    def token(self, subject: Key, name: str, **more: Any) -> str:
        """Which says who `subject' is."""
        claims = {"iat": int(time.time()), "iss": self.public, "name": name,
                  "sub": subject.public}
        if "exp" in more:
            claims["exp"] = more.pop("exp")
        claims["nats"] = more | {"type": subject.kind, "version": 2}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(
            claims).encode()).digest()).decode().rstrip("=")
        text = ".".join(base64url(json.dumps(part).encode()) for part in (
            {"typ": "JWT", "alg": "ed25519-nkey"}, claims))
        return f"{text}.{base64url(self.private.sign(text.encode()))}"


def raw(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as form
    if hasattr(key, "private_bytes"):
        return bytes(key.private_bytes(
            form.Encoding.Raw, form.PrivateFormat.Raw, form.NoEncryption()))
    return bytes(key.public_bytes(form.Encoding.Raw, form.PublicFormat.Raw))


class Operator:
    """With an account of its own system, and one for streams."""

    def __init__(self) -> None:
        self.key = Key("operator")
        self.system, self.account = Key("account"), Key("account")
        limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1,
                  "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
        stores = {"mem_storage": -1, "disk_storage": -1, "streams": -1,
                  "consumer": -1}
        self.conf = "\n".join((
            f"operator: {self.key.token(self.key, 'operator')}",
            f"system_account: {self.system.public}",
            "resolver: MEMORY",
            "resolver_preload: {",
            f"{self.system.public}: "
            f"{self.key.token(self.system, 'SYS', limits=limits)}",
            f"{self.account.public}: " + self.key.token(
                self.account, "streams", limits=limits | stores),
            "}"))

    def user(self, name: str, **more: Any) -> User:
        return User(self.account, name, **more)


class User:
    def __init__(self, account: Key, name: str, **more: Any) -> None:
        self.key = Key("user")
        self.token = account.token(
            self.key, name, subs=-1, data=-1, payload=-1, pub={}, sub={},
            **more)

    def write(self, path: Path, mode: int = 0o644) -> None:
        """In the place of what was there, as who renews it does."""
        new = path.with_name(f"{path.name}.new")
        new.write_text("\n".join((
            "-----BEGIN NATS USER JWT-----", self.token,
            "------END NATS USER JWT------", "",
            "-----BEGIN USER NKEY SEED-----", self.key.seed,
            "------END USER NKEY SEED------", "")))
        new.chmod(mode)
        new.rename(path)

    def login(self, info: dict[str, Any]) -> dict[str, Any]:
        """What goes into CONNECT."""
        return {"jwt": self.token, "sig": base64url(
            self.key.private.sign(info["nonce"].encode()))}
