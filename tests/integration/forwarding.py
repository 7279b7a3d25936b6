# SPDX-License-Identifier: ISC
"""Channels whose archives are forwarded, and how far they are."""

from __future__ import annotations

from typing import Any

from daemon import Daemon, channel
from nats import Client
from waiting import wait_for


def forward(*servers: str, **more: Any) -> dict[str, Any]:
    return {"host": "rig", "forward": {"servers": list(servers)} | more}


def archived(daemon: Daemon, name: str, port: int, **more: Any
             ) -> dict[str, Any]:
    return channel(name, port, forward=True,
                   archive=daemon.archive_conf(**more))


def state(daemon: Daemon, name: str) -> dict[str, Any]:
    return dict(daemon.status(name)["forward"])


def forwarder_pid(daemon: Daemon, old: int = 0) -> int:
    """Of one that runs, and is not the old one."""
    def there() -> int:
        one = daemon.whole_status()["forwarders"][0]
        return int(one["pid"]) if one["state"] == "running" and \
            one["pid"] != old else 0
    return wait_for(there, "a forwarder", 60, daemon.log)


def wait_forwarded(daemon: Daemon, client: Client, name: str, count: int,
                   deadline_s: float = 60.0) -> dict[str, Any]:
    """So many records are in the stream, and the forwarder knows that these
    are all."""
    found: list[int] = []

    def there() -> dict[str, Any] | None:
        stream = f"mcrelay-{name}"
        for sequence in range(len(found) + 1, client.last(stream) + 1):
            message = client.find(stream, sequence)
            found.append(int(message.headers["Mcrelay-Records"])
                         if message is not None else 0)
        if sum(found) < count:
            return None
        now = state(daemon, name)
        return now if now["state"] == "forwarding" and \
            now.get("behind_bytes") == 0 else None
    return wait_for(there, f"{count} of {name} to be forwarded", deadline_s,
                    lambda: (sum(found), daemon.status(name),
                             daemon.log()[-3000:]))
