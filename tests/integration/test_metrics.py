# SPDX-License-Identifier: ISC
"""mcrelayctl metrics: what it says is what the status says."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import COUNTERS, Daemon, channel, output
from exposition import Metrics, promtool
from net import Namespace, Receiver, Sender, free_port, numbered
from waiting import wait_for

SENT = 500
STATES = {"starting", "running", "waiting", "degraded", "stale", "backoff",
          "paused", "stopped", "failed"}


def metrics(daemon: Daemon, *words: str) -> Metrics:
    return Metrics(daemon.ctl("metrics", *words).stdout)


def status(daemon: Daemon) -> dict[str, Any]:
    return dict(daemon.whole_status())


@pytest.fixture
def settled(daemon: Daemon) -> Iterator[Daemon]:
    """Two channels, one of which has done something of all."""
    port = free_port()
    with Receiver() as one, Receiver() as two, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        daemon.start(
            channel("busy", port, archive=daemon.archive_conf(
                        retain={"age": "1h"}, min_free="1MiB"),
                    relay=[output("127.0.0.1", one.port),
                           output("127.0.0.1", two.port)],
                    decimate=[{"name": "s", "method": "pick", "every": 10} |
                              output(view.address, view.port)]),
            channel("quiet", free_port(), stale_after="1h"))
        sender.send(numbered(SENT))
        daemon.wait_received("busy", SENT)
        wait_for(lambda: daemon.status("busy")["decimate"]["s"]["in"] == SENT,
                 "the stream")
        yield daemon


def sample(seen: Metrics, scope: str, counter: str, **labels: str) -> float:
    """By whichever of the names that it can have."""
    found = [name for name in (f"mcrelay_{scope}{counter}_total",
                               f"mcrelay_{scope}{counter}")
             if name in seen.types]
    assert len(found) == 1, (counter, found)
    assert seen.types[found[0]] == \
        ("counter" if found[0].endswith("_total") else "gauge")
    return seen.value(found[0], **labels)


def test_counters(settled: Daemon) -> None:
    """All of them, of channels, outputs and streams, zeros as well."""
    seen, said = metrics(settled), status(settled)
    assert COUNTERS <= set(said["channels"][0]["ledger"])
    for each in said["channels"]:
        name = each["name"]
        for counter, value in each["ledger"].items():
            assert sample(seen, "", counter, channel=name) == value
        for out in each["outputs"]:
            for counter in ("relayed", "relay_errors"):
                assert sample(seen, "output_", counter, channel=name,
                              output=f"127.0.0.1:{out['port']}"
                              ) == out[counter]
        for stream, counts in each["decimate"].items():
            for counter, value in counts.items():
                if counter not in ("address", "port"):
                    assert sample(seen, "stream_", counter, channel=name,
                                  stream=stream) == value
    assert seen.value("mcrelay_received_total", channel="busy") == SENT
    assert seen.value("mcrelay_received_total", channel="quiet") == 0
    # What may be corrected downwards is no counter to a collector.
    assert seen.types["mcrelay_archived"] == "gauge"
    assert seen.value("mcrelay_archived", channel="busy") == SENT


def test_states(settled: Daemon) -> None:
    seen = metrics(settled)
    for name in ("busy", "quiet"):
        states = {labels["state"]: seen.value("mcrelay_channel_state",
                                              **labels)
                  for labels in seen.labels("mcrelay_channel_state")
                  if labels["channel"] == name}
        assert set(states) == STATES
        assert states == {s: float(s == "running") for s in STATES}
    assert seen.value("mcrelay_up") == 1
    assert seen.value("mcrelay_build_info",
                      version=status(settled)["version"]) == 1
    assert seen.value("mcrelay_channel_reason", channel="busy",
                      reason="archive_stuck") == 0
    settled.ctl("stop", "quiet")
    seen = metrics(settled, "quiet")
    assert seen.value("mcrelay_channel_state", channel="quiet",
                      state="stopped") == 1
    assert seen.value("mcrelay_channel_state", channel="quiet",
                      state="running") == 0
    assert {labels["channel"] for name in seen.names()
            for labels in seen.labels(name) if "channel" in labels} == {
                "quiet"}
    settled.ctl("start", "quiet")


def test_reasons(settled: Daemon, source: Path) -> None:
    """Each that there is, and those that hold."""
    known = set(re.findall(r"X\([A-Z_]+, (\w+)", (
        source / "common/reason_table.h").read_text()))
    assert len(known) > 20

    def lasting() -> Metrics | None:
        seen = metrics(settled)
        busy = {labels["reason"]: seen.value("mcrelay_channel_reason",
                                             **labels)
                for labels in seen.labels("mcrelay_channel_reason")
                if labels["channel"] == "busy"}
        assert set(busy) == known
        return seen if busy["no_datagrams"] == 1 else None
    config = json.loads(settled.config_file.read_text())
    config["channels"][0]["stale_after"] = "1s"
    settled.write_text(json.dumps(config))
    settled.ctl("reload")
    seen = wait_for(lasting, "the reason no_datagrams")
    assert seen.value("mcrelay_channel_state", channel="busy",
                      state="stale") == 1


def test_levels(settled: Daemon) -> None:
    def known() -> Metrics | None:
        seen = metrics(settled)
        return seen if "mcrelay_archive_free_bytes" in seen.names() else None
    seen = wait_for(known, "how much is free")
    place = os.statvfs(settled.archive)
    free = seen.value("mcrelay_archive_free_bytes", channel="busy")
    assert 0 < free <= place.f_blocks * place.f_frsize
    assert seen.value("mcrelay_archive_retain_age_seconds",
                      channel="busy") == 3600
    assert seen.value("mcrelay_archive_min_free_bytes",
                      channel="busy") == 1 << 20
    assert seen.value("mcrelay_archive_retain_size_bytes",
                      channel="busy") == 0
    assert seen.value("mcrelay_ring_size_bytes", channel="busy") > 0
    assert seen.value("mcrelay_ring_used_bytes", channel="busy") == 0
    if settled.programs.linux:
        assert seen.value("mcrelay_socket_buffer_bytes", channel="quiet") > 0
        assert seen.value("mcrelay_socket_queued_bytes",
                          channel="quiet") == 0
    budget = settled.status("busy")["outage_budget_ms"]
    assert seen.value("mcrelay_outage_budget_seconds",
                      channel="busy") == budget / 1000
    last = seen.value("mcrelay_last_datagram_timestamp_seconds",
                      channel="busy")
    started = seen.value("mcrelay_process_start_time_seconds",
                         process="supervisor")
    # The machine's start is known to a second.
    assert started - 2 < last <= time.time()
    assert seen.value("mcrelay_last_datagram_timestamp_seconds",
                      channel="quiet") == 0


@pytest.mark.linux("what waits in a socket is not known")
def test_socket_fills(settled: Daemon) -> None:
    """While its worker is stopped, what comes waits, and is seen to."""
    pid = settled.worker_pid("quiet")
    port = settled.status("quiet")["listen"]["port"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with Sender("127.0.0.1", port) as sender:
            sender.send(numbered(10))
        wait_for(lambda: metrics(settled).value(
            "mcrelay_socket_queued_bytes", channel="quiet") > 0,
            "datagrams in the socket")
    finally:
        os.kill(pid, signal.SIGCONT)
    settled.wait_received("quiet", 10)
    assert metrics(settled).value("mcrelay_socket_queued_bytes",
                                  channel="quiet") == 0


def test_restarts(settled: Daemon) -> None:
    def number(name: str, **more: str) -> float:
        return metrics(settled).value(f"mcrelay_channel_{name}",
                                      channel="busy", **more)
    assert number("restarts_total") == 0
    assert number("deaths_total", how="signalled") == 0
    assert number("last_restart_away_seconds") == 0
    pid = settled.worker_pid("busy")
    before = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    settled.wait_new_worker("busy", pid)
    took = time.monotonic() - before
    assert number("restarts_total") == 1
    assert number("deaths_total", how="signalled") == 1
    assert number("deaths_total", how="exited") == 0
    assert 0 < number("last_restart_away_seconds") <= took
    # A stop that was asked for is no time away.
    away = number("last_restart_away_seconds")
    settled.ctl("stop", "busy")
    settled.ctl("start", "busy")
    assert number("last_restart_away_seconds") == away


def test_processes(settled: Daemon) -> None:
    seen = metrics(settled)
    wanted = [{"process": "supervisor"},
              {"process": "decimator", "decimator": "0"},
              {"process": "worker", "channel": "busy"},
              {"process": "worker", "channel": "quiet"}]
    pids = [int((settled.run_dir / "mcrelayd.pid").read_text()),
            status(settled)["decimators"][0]["pid"],
            settled.worker_pid("busy"), settled.worker_pid("quiet")]
    for labels, pid in zip(wanted, pids):
        page = os.sysconf("SC_PAGE_SIZE")
        resident = int(Path(f"/proc/{pid}/stat").read_text().rpartition(
            ")")[2].split()[21]) * page
        assert abs(seen.value("mcrelay_process_resident_memory_bytes",
                              **labels) - resident) < max(resident / 4,
                                                          1 << 20)
        if os.geteuid() == 0:
            assert seen.value("mcrelay_process_open_fds", **labels) == \
                len(os.listdir(f"/proc/{pid}/fd"))
        assert seen.value("mcrelay_process_cpu_seconds_total", **labels) < 60
    for name in ("cpu_seconds_total", "resident_memory_bytes",
                 "start_time_seconds"):
        assert sorted(map(sorted, (x.items() for x in seen.labels(
            f"mcrelay_process_{name}")))) == \
            sorted(map(sorted, (x.items() for x in wanted)))


def test_twin_outputs(daemon: Daemon) -> None:
    """One group by two interfaces: two series."""
    group, port = "239.255.77.1", free_port()
    daemon.start(channel("one", free_port(), relay=[
        {"address": group, "port": port, "interface": "lo", "ttl": 0},
        {"address": group, "port": port, "ttl": 0}]))
    assert [x.get("interface") for x in metrics(daemon).labels(
        "mcrelay_output_relayed_total")] == ["lo", None]


def test_inputs(daemon: Daemon) -> None:
    """Of a channel with several: each; of one with one the ledger says it."""
    ports = [free_port(), free_port()]
    daemon.start(channel("one", free_port()),
                 channel("two", 1) | {"listen": [
                     {"port": ports[0], "interface": "lo"},
                     {"address": "127.0.0.1", "port": ports[1]}]})
    with Sender("127.0.0.1", ports[1]) as sender:
        sender.send(numbered(10))
        daemon.wait_received("two", 10)
    seen = metrics(daemon)
    assert [(x["channel"], x["input"], x.get("interface")) for x in
            seen.labels("mcrelay_input_received_total")] == [
        ("two", f"0.0.0.0:{ports[0]}", "lo"),
        ("two", f"127.0.0.1:{ports[1]}", None)]
    assert seen.value("mcrelay_input_received_total", channel="two",
                      input=f"127.0.0.1:{ports[1]}") == 10
    assert seen.value("mcrelay_input_received_bytes_total", channel="two",
                      input=f"127.0.0.1:{ports[1]}") == 1000
    daemon.stop()


def test_promtool(settled: Daemon) -> None:
    text = settled.ctl("metrics").stdout
    assert promtool("check", "metrics", stdin=text).strip() == ""


def test_openmetrics(settled: Daemon) -> None:
    """The same, read by another's strict reader."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser",
                                 reason="no python3-prometheus-client")
    text = settled.ctl("metrics", "-o").stdout
    assert text.endswith("\n# EOF\n")
    families = list(parser.text_string_to_metric_families(text))
    plain = metrics(settled)
    assert {s.name for f in families for s in f.samples} == plain.names()
    units = {f.name: f.unit for f in families if f.unit}
    assert units["mcrelay_received_bytes"] == "bytes"
    assert units["mcrelay_outage_budget_seconds"] == "seconds"
    for family in families:
        assert family.name.startswith("mcrelay_")
        assert family.documentation
        for each in family.samples:
            if each.name == "mcrelay_received_total":
                assert each.value == plain.value(each.name, **each.labels)


def test_stable(settled: Daemon) -> None:
    """Only values change from one to the next."""
    one, two = (re.sub(r" \S+$", "", settled.ctl("metrics").stdout,
                       flags=re.M) for _ in range(2))
    assert one == two


def test_down(settled: Daemon) -> None:
    """A text that is whole, whether it is gone or does not answer."""
    assert settled.process is not None
    settled.process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        done = settled.ctl("metrics")
        assert time.monotonic() - begun < 5
    finally:
        settled.process.send_signal(signal.SIGCONT)
    assert Metrics(done.stdout).samples == {("mcrelay_up", frozenset()): "0"}
    assert "does not answer within 1 s" in done.stderr
    settled.stop()
    done = settled.ctl("metrics")
    assert Metrics(done.stdout).samples == {("mcrelay_up", frozenset()): "0"}
    assert "mcrelayd does not run" in done.stderr
    assert settled.ctl("metrics", "-o").stdout.endswith(
        "mcrelay_up 0\n# EOF\n")


def test_refused(settled: Daemon) -> None:
    """Nothing that could be taken for all of it."""
    done = settled.ctl("metrics", "busy", "other", check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "there is no channel other" in done.stderr
    assert settled.ctl("metrics", "-x", check=False).returncode == 2
    with open("/dev/full", "w") as full:
        full_done = subprocess.run(
            [str(settled.programs.mcrelayctl), "-s",
             str(settled.run_dir / "mcrelayd.sock"), "metrics"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert full_done.returncode == 1
    assert "standard output" in full_done.stderr


def test_bad_checksums(make_daemon: Callable[..., Daemon],
                       namespace: Namespace) -> None:
    """Datagrams that the kernel throws away for that are no channel's, but a
    hint is there."""
    def raw() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW,
                             socket.IPPROTO_UDP)
    daemon = make_daemon(namespace=namespace)
    port = free_port()
    daemon.start(channel("one", port, "0.0.0.0"))
    before = status(daemon)["udp_bad_checksums"]
    assert before > 0 or "bad checksums" not in daemon.ctl("status").stdout
    with namespace.enter(raw) as wrong:
        for _ in range(3):
            wrong.sendto(struct.pack(">HHHH", 9, port, 8, 0x1234),
                         ("127.0.0.1", 0))
    wait_for(lambda: status(daemon)["udp_bad_checksums"] == before + 3,
             "three of them")
    assert metrics(daemon).value("mcrelay_udp_bad_checksums_total") == \
        before + 3
    assert f"{before + 3} datagrams with bad checksums were thrown away" in \
        daemon.ctl("status").stdout
    assert daemon.ledger("one")["received"] == 0
    daemon.stop()
