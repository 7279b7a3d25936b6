# SPDX-License-Identifier: ISC
"""Hosts that take turns, as status, metrics, events and doctor show them.
That they do as they should is test_lease.py's."""

from __future__ import annotations

import json
import os
import signal
from typing import Any, Callable, Iterator

import pytest

from daemon import Daemon, channel
from exposition import Metrics
from nats import Server
from net import free_port
from test_events import Follower
from waiting import wait_for

pytestmark = pytest.mark.usefixtures("have_forwarder")

LEASE_S = 2


class Pair:
    """Two hosts, a before b, of one server."""

    def __init__(self, make: Callable[..., Daemon], server: Server) -> None:
        self.server = server
        self.daemon = {name: make(name) for name in "ab"}
        self.port = {name: free_port() for name in "ab"}

    def write(self, name: str, host: str = "", **fleet: Any) -> Daemon:
        daemon = self.daemon[name]
        daemon.write(
            channel("one", self.port[name], hosts=["a", "b"],
                    stale_after="1h"),
            channel("other", free_port(), stale_after="1h"),
            host=host or name, fleet={"lease": f"{LEASE_S}s"} | fleet,
            forward={"servers": [self.server.url], "replicas": 1})
        return daemon

    def start(self) -> None:
        for name, role in (("a", "active"), ("b", "standby")):
            self.write(name).launch()
            self.daemon[name].wait_running()
            self.wait(name, role=role)
        self.wait("b", holder="a")
        self.wait("a", standbys=1)

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.daemon[name].whole_status())

    def lease(self, name: str) -> dict[str, Any]:
        return dict(self.daemon[name].status("one")["lease"])

    def wait(self, name: str, **members: Any) -> None:
        daemon = self.daemon[name]
        wait_for(lambda: members.items() <= self.lease(name).items(),
                 f"{members} of {name}", 40,
                 lambda: f"{self.lease(name)}\n{daemon.log()}")

    def metrics(self, name: str) -> Metrics:
        return Metrics(self.daemon[name].ctl("metrics").stdout)

    def doctor(self, name: str) -> dict[str, list[tuple[str, str]]]:
        """What it says of the fleet: result and words, by subject."""
        done = self.daemon[name].ctl("doctor", "-j", check=False,
                                     timeout_s=100)
        found: dict[str, list[tuple[str, str]]] = {}
        for each in json.loads(done.stdout)["findings"]:
            if each["check"] == "fleet":
                found.setdefault(each["subject"], []).append(
                    (each["result"], each["measured"]))
        return found


@pytest.fixture
def pair(make_daemon: Callable[..., Daemon], server: Server
         ) -> Iterator[Pair]:
    made = Pair(make_daemon, server)
    yield made
    for daemon in made.daemon.values():
        daemon.kill()


def test_shown(pair: Pair) -> None:
    """Whose turn it is, in all that shows it; and what a drained host says,
    over an upgrade, and what becomes of it by a start anew."""
    pair.start()
    a, b = pair.daemon["a"], pair.daemon["b"]
    events = {name: Follower(pair.daemon[name]) for name in "ab"}
    lease = pair.lease("a")
    assert lease["hosts"] == ["a", "b"] and lease["taken"] == 1
    assert lease["handed"] == lease["given"] == lease["lost"] == 0
    assert 0 < lease["left_ms"] <= 1000 * LEASE_S
    assert not lease["namesake"] and "lease" not in a.status("other")
    fleet = pair.status("a")["fleet"]
    assert fleet["state"] == "running" and fleet["drained"] is False
    assert fleet["replicas"] == 1 and fleet["forgets_ms"] == 0
    for name, active in (("a", 1), ("b", 0)):
        seen = pair.metrics(name)
        assert seen.value("mcrelay_lease_active", channel="one") == active
        assert {each["host"]: seen.value("mcrelay_lease_holder", **each)
                for each in seen.labels("mcrelay_lease_holder")} == {
                    "a": 1, "b": 0}
        assert (seen.value("mcrelay_lease_left_seconds", channel="one") > 0
                ) == active
        assert seen.value("mcrelay_lease_seen_seconds", channel="one") < 1
        assert seen.value("mcrelay_lease_taken_total", channel="one") == \
            active
        assert seen.value("mcrelay_drained") == 0
        # Nobody else's.
        assert [each["channel"] for each in seen.labels(
            "mcrelay_lease_active")] == ["one"]
    assert pair.metrics("a").value("mcrelay_lease_standbys",
                                   channel="one") == 1
    text = a.ctl("status").stdout
    assert "  this host relays it, and 1 other would\n" in text
    assert "drained" not in text
    assert "  host a has it, as was told 0." in b.ctl("status").stdout
    # The process that asks is another one: it is the same turn.
    os.kill(fleet["pid"], signal.SIGKILL)
    wait_for(lambda: pair.status("a")["fleet"]["pid"] not in (
        0, fleet["pid"]), "another", 20, a.log)
    pair.wait("a", role="active", standbys=1)
    assert pair.lease("a")["taken"] == 1

    a.ctl("drain")
    pair.wait("b", role="active", holder="b", taken=1)
    pair.wait("a", role="standby", holder="b", handed=1, lost=0)
    events["a"].wait("drain", on=True)
    events["a"].wait("turn", channel="one", role="standby", lost=False)
    events["b"].wait("turn", channel="one", role="active")
    assert pair.metrics("a").value("mcrelay_drained") == 1
    assert "this host has been drained for" in a.ctl("status").stdout
    before = pair.status("a")["fleet"]["drained_s"]
    a.ctl("upgrade", timeout_s=60)
    fleet = pair.status("a")["fleet"]
    assert fleet["drained"] is True and fleet["drained_s"] >= before
    pair.wait("a", role="standby", holder="b")
    [[result, words]] = pair.doctor("a")["a"]
    assert result == "warn" and "has been drained for 0 min" in words
    for follower in events.values():
        follower.end()
    a.stop()
    a.launch()
    a.wait_running()
    assert pair.status("a")["fleet"]["drained"] is False
    pair.wait("a", role="active", taken=1)
    pair.wait("b", role="standby", handed=1)
    # Stopped, it is given away in no order.
    a.ctl("stop", "one")
    pair.wait("b", role="active", taken=2)
    pair.wait("a", given=1, handed=0, lost=0)


def no_server(pair: Pair) -> None:
    """Without one nobody relays, which is wrong, and told to be."""
    a, b = pair.daemon["a"], pair.daemon["b"]
    follower = Follower(a)
    assert a.ctl("check").returncode == b.ctl("check").returncode == 0
    assert pair.status("a")["channels"][0]["state"] == "running"
    pair.server.end()
    for name in "ab":
        status = pair.daemon[name].wait_state("one", "degraded")
        assert "fleet_away" in [r["what"] for r in status["reasons"]]
        assert pair.daemon[name].status("other")["state"] == "running"
        assert pair.daemon[name].ctl("check", check=False).returncode == 1
    follower.wait("turn", role="standby", lost=True)
    follower.wait("reason", reason="fleet_away", holds=True)
    follower.end()
    assert pair.metrics("a").value("mcrelay_lease_lost_total",
                                   channel="one") == 1
    seen = pair.metrics("b")
    assert seen.value("mcrelay_lease_seen_seconds", channel="one") > LEASE_S
    assert seen.value("mcrelay_lease_lost_total", channel="one") == 0
    [told] = pair.doctor("a")["one"]
    assert told[0] == "fail" and "no server has told for" in told[1]
    pair.server.start()
    for name in "ab":
        pair.daemon[name].wait_state("one", "running", 60)
    pair.wait("a", role="active", standbys=1)


def test_faults(pair: Pair) -> None:
    """The doctor says each, and none where there is none."""
    a, b = pair.daemon["a"], pair.daemon["b"]
    pair.start()
    good = {"bucket": [("ok", "mcrelay-fleet, 1 replicas")],
            "a": [("ok", "is not drained")],
            "one": [("ok", "this host has it, and 1 would follow")]}
    assert pair.doctor("a") == good
    assert pair.doctor("b")["one"] == [("ok", "host a has it")]
    no_server(pair)
    b.stop()
    pair.wait("a", role="active", standbys=0)
    assert pair.doctor("a")["one"] == [
        ("warn", "this host has it, and no other would follow")]
    # Of the same name.
    pair.write("b", host="a").launch()
    b.wait_running()
    pair.wait("b", namesake=True)
    assert ("fail", "another host calls itself a, too: give each a `host' "
            "of its own") in pair.doctor("b")["one"]
    assert "by the name of this host, a:" in b.log()
    pair.write("b", host="c")
    b.ctl("reload")
    assert pair.doctor("b") == {"c": [(
        "warn", "is in the `hosts' of no channel that has another: it takes "
        "no turns (is `host' right?)")]}
    if os.environ.get("MCRELAY_TEST_LONG"):
        buckets(pair)


def buckets(pair: Pair) -> None:
    """Those that are not as they should be."""
    a = pair.daemon["a"]
    # One that somebody else has made.
    with pair.server.client() as client:
        made = client.api(
            "STREAM.CREATE.KV_two", name="KV_two", subjects=["$KV.two.>"],
            num_replicas=1, max_msgs_per_subject=1, max_age=3600 * 10**9,
            discard="new", allow_direct=True, allow_rollup_hdrs=True,
            deny_delete=True)
        assert "error" not in made
    config = json.loads(a.config_file.read_text())
    config["fleet"]["bucket"] = "two"
    config["forward"]["replicas"] = 3
    a.write_text(json.dumps(config))
    a.ctl("reload")
    wait_for(lambda: pair.status("a")["fleet"].get("forgets_ms") == 3600000,
             "the other bucket", 30, a.log)
    told = pair.doctor("a")["bucket"]
    assert [result for result, _ in told] == ["warn", "fail"]
    assert "two has 1 replicas, not 3 as configured" in told[0][1]
    assert "two forgets after 3600.0 s" in told[1][1]
    # One that cannot be made.
    config["fleet"]["bucket"] = "three"
    a.write_text(json.dumps(config))
    a.ctl("reload")
    wait_for(lambda: pair.status("a")["fleet"]["replicas"] == 0,
             "no bucket", 30, a.log)
    [told_one] = pair.doctor("a")["bucket"]
    assert told_one[0] == "fail" and \
        "three could not be opened or made" in told_one[1]
