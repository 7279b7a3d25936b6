# SPDX-License-Identifier: ISC
"""The alert rules for Prometheus: each fires, and each keeps still, by
promtool; and in a real Prometheus beside a daemon that has faults."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from daemon import Daemon, channel, output
from exposition import promtool
from net import Receiver, Sender, free_port, numbered
from prometheus import Page, Prometheus, has_web
from waiting import wait_for

RULES = "etc/prometheus/mcrelay.rules.yml"
GIB = 1 << 30


class Case(NamedTuple):
    """Series with their values, one a minute, in promtool's notation."""

    alert: str
    cause: str
    minutes: int
    series: dict[str, str]
    fires: bool


def of_channel(name: str, **labels: str) -> str:
    pairs = {"channel": "a"} | labels
    return f"mcrelay_{name}{{" + ",".join(
        f'{key}="{value}"' for key, value in pairs.items()) + "}"


def cases() -> list[Case]:
    made = []

    def case(alert: str, minutes: int, fires: bool, series: dict[str, str],
             cause: str = "") -> None:
        made.append(Case(alert, cause, minutes, series, fires))

    case("McrelayDown", 3, True, {"mcrelay_up": "0x5"})
    case("McrelayDown", 3, True, {'up{job="mcrelay"}': "0x5"})
    case("McrelayDown", 5, True, {
        'node_textfile_mtime_seconds{file="/x/mcrelay.prom"}': "0x9"})
    case("McrelayDown", 3, False, {"mcrelay_up": "1x5",
                                   'up{job="mcrelay"}': "1x5",
                                   'up{job="other"}': "0x5"})
    # Once, and soon back.
    case("McrelayDown", 3, False, {"mcrelay_up": "1 1 0 1 1"})
    case("McrelayDown", 5, False, {
        'node_textfile_mtime_seconds{file="/x/mcrelay.prom"}': "0+60x9"})
    for cause in ("kernel_dropped", "truncated", "relay_overrun",
                  "relay_no_buffers", "relay_unreachable", "relay_too_large",
                  "relay_other"):
        name = of_channel(f"{cause}_total")
        case("McrelayLoss", 4, True, {name: "5 5 5 9 9"}, cause)
        case("McrelayLoss", 4, False, {name: "5x9"}, cause)
        # It is over.
        case("McrelayLoss", 12, False, {name: "5 9x20"}, cause)
        # Counted from zero again.
        case("McrelayLoss", 4, False, {name: "5 5 0 0 0"}, cause)
    for cause in ("archive_shed", "rejected", "sequence_gaps"):
        case("McrelayLoss", 4, True, {of_channel(cause): "5 5 5 9 9"}, cause)
        case("McrelayLoss", 4, False, {of_channel(cause): "5x9"}, cause)
        # It turned out to be none.
        case("McrelayLoss", 4, False, {of_channel(cause): "5 5 5 3 3"}, cause)
    for cause in ("missed", "errors", "unarchived"):
        name = of_channel(f"stream_{cause}_total", stream="s")
        case("McrelayLoss", 4, True, {name: "5 5 5 9 9"}, f"stream_{cause}")
        case("McrelayLoss", 4, False, {name: "5x9"}, f"stream_{cause}")

    def state(name: str) -> str:
        return of_channel("channel_state", state=name)
    for alert, states in (("McrelayStale", ("stale",)), (
            "McrelayNotServing", ("waiting", "backoff", "failed")), (
            "McrelayDegraded", ("degraded",))):
        for name in states:
            case(alert, 7, True, {state(name): "0 1x20"})
            case(alert, 7, False, {state(name): "1 0x20"})
    case("McrelayStale", 7, False, {state("running"): "1x20"})
    # For as short as a repair takes.
    case("McrelayDegraded", 7, False, {state("degraded"): "0 0 0 1 1 1 0 0"})
    case("McrelayNotServing", 7, False, {state("stopped"): "1x20"})
    deaths = of_channel("channel_deaths_total", how="signalled")
    case("McrelayFlapping", 14, True, {deaths: "0 0 0 1 2 3 3x20"})
    case("McrelayFlapping", 14, True, {
        deaths: "0 0 0 1 1 1 1x20",
        of_channel("channel_deaths_total", how="exited"): "0 0 0 0 1 2 2x20"})
    case("McrelayFlapping", 14, False, {deaths: "0 0 0 1 1 2 2x20"})
    case("McrelayFlapping", 60, False, {deaths: "0 0 0 1 2 3 3x90"})
    budget = of_channel("outage_budget_seconds")
    away = of_channel("channel_last_restart_away_seconds")
    case("McrelayOutageBudget", 8, True, {budget: "0.1x20", away: "0.2x20"})
    # What once took so long may do so again.
    case("McrelayOutageBudget", 20, True, {budget: "0.1x30",
                                           away: "0 0.2 0.01x30"})
    case("McrelayOutageBudget", 8, False, {budget: "0.5x20", away: "0.2x20"})
    case("McrelayOutageBudget", 8, False, {budget: "0.1x20", away: "0x20"})
    # It has no socket now.
    case("McrelayOutageBudget", 8, False, {budget: "0x20", away: "0.2x20"})

    def disk(free: str, oldest: str = "0x90", age: str = "0x90",
             size: str = "0x90", min_free: str = "0x90") -> dict[str, str]:
        return {of_channel("archive_free_bytes"): free,
                of_channel("archive_oldest_timestamp_seconds"): oldest,
                of_channel("archive_retain_age_seconds"): age,
                of_channel("archive_retain_size_bytes"): size,
                of_channel("archive_min_free_bytes"): min_free}
    # A day has 1440 minutes.
    fast, slow = f"{1000 * GIB}-{GIB}x90", f"{2000 * GIB}-{GIB}x90"
    case("McrelayDiskFull", 70, True, disk(fast))
    case("McrelayDiskFull", 70, False, disk(slow))
    case("McrelayDiskFull", 70, False, disk(f"{GIB}x90"))
    case("McrelayDiskFull", 70, False, disk(fast, min_free=f"{GIB}x90"))
    # Files go after two hours: it grows for as long as that from the first.
    case("McrelayDiskFull", 70, False,
         disk(fast, oldest="60x90", age="7200x90"))
    case("McrelayDiskFull", 70, True,
         disk(f"{100 * GIB}-{GIB}x90", oldest="60x90", age="14400x90"))
    # Age is a limit, but there is no file yet that could go.
    case("McrelayDiskFull", 70, True, disk(fast, age="7200000x90"))
    case("McrelayDiskFull", 70, False, disk(fast, size=f"{100 * GIB}x90"))
    case("McrelayDiskFull", 70, True, disk(fast, size=f"{5000 * GIB}x90"))
    for reason in ("archive_stuck", "archive_away", "archive_failing"):
        name = of_channel("channel_reason", reason=reason)
        case("McrelayArchiveStuck", 4, True, {name: "0 1x9"})
        case("McrelayArchiveStuck", 4, False, {name: "0x9"})
    case("McrelayArchiveStuck", 4, False, {
        of_channel("channel_reason", reason="no_querier"): "1x9"})
    for reason in ("refused", "behind"):
        name = of_channel("channel_reason", reason=f"forward_{reason}")
        case("McrelayNotForwarded", 7, True, {name: "0 1x9"}, reason)
        case("McrelayNotForwarded", 7, False, {name: "0 0 0 1 1 1 0 0"},
             reason)
    def here(name: str, instance: str = "one") -> str:
        return of_channel(name, instance=instance)
    there = here("lease_active", "two")
    case("McrelayNobodyRelays", 4, True, {here("lease_active"): "1 0x9"})
    case("McrelayNobodyRelays", 4, True, {
        here("lease_active"): "0x9", there: "1 0x9"})
    case("McrelayNobodyRelays", 4, False, {
        here("lease_active"): "0x9", there: "1x9"})
    # Taken over in time; and hosts do not take turns.
    case("McrelayNobodyRelays", 4, False, {
        here("lease_active"): "1 1 0 0 0", there: "0 0 0 1 1"})
    case("McrelayNobodyRelays", 4, False, {here("received_total"): "0x9"})
    case("McrelayFleetAway", 4, True, {
        of_channel("channel_reason", reason="fleet_away"): "0 1x9"})
    case("McrelayFleetAway", 4, False, {
        of_channel("channel_reason", reason="fleet_away"): "0 0 1 0 0",
        of_channel("channel_reason", reason="standby"): "1x9"})
    active, others = here("lease_active"), here("lease_standbys")
    case("McrelayNoStandby", 9, True, {active: "1x20", others: "1 1 0x20"})
    case("McrelayNoStandby", 9, False, {active: "1x20", others: "1x20"})
    # Of another host nobody is to stand in for it; and for a moment.
    case("McrelayNoStandby", 9, False, {active: "0x20"})
    case("McrelayNoStandby", 9, False, {
        active: "1x20", others: "1 1 0 0 0 1x20"})
    lost = here("lease_lost_total")
    case("McrelayTurns", 4, True, {lost: "0 0 1 1 1"}, "lost")
    case("McrelayTurns", 4, False, {lost: "3x9"}, "lost")
    case("McrelayTurns", 30, False, {lost: "0 1x40"}, "lost")
    taken = [here("lease_taken_total", name) for name in ("one", "two")]
    case("McrelayTurns", 10, True, {
        taken[0]: "0 1 1 2 2 3 3x20", taken[1]: "0 0 1 1 2 2 2 3x20"},
        "flapping")
    case("McrelayTurns", 10, False, {
        taken[0]: "0 1 1 1x20", taken[1]: "0 0 1 1x20"}, "flapping")
    case("McrelayDrained", 65, True, {"mcrelay_drained": "1x90"})
    case("McrelayDrained", 65, False, {"mcrelay_drained": "0 0 0 0 0 0 1x90"})
    # promtool begins at 1970.
    expiry = "mcrelay_web_certificate_expiry_timestamp_seconds"
    case("McrelayCertificate", 20, True, {expiry: f"{14 * 86400}x30"})
    case("McrelayCertificate", 20, False, {expiry: f"{15 * 86400}x30"})
    # Renewed in time.
    case("McrelayCertificate", 20, False, {
        expiry: f"{14 * 86400}x5 {90 * 86400}x30"})
    return made


def rules(source: Path) -> list[tuple[str, str]]:
    """Alert and cause of each."""
    return [(alert, (re.search(r"\n +cause: (\w+)", rest) or ["", ""])[1])
            for alert, rest in re.findall(
                r"- alert: (\w+)\n(.*?)(?=\n +- alert|\Z)",
                (source / RULES).read_text(), re.S)]


def as_test(case: Case) -> dict[str, Any]:
    labels = f'alertname="{case.alert}",alertstate="firing"'
    if case.cause:
        labels += f',cause="{case.cause}"'
    return {
        "interval": "1m",
        "name": f"{case.alert} {case.cause} {case.fires}",
        "input_series": [{"series": name, "values": values}
                         for name, values in case.series.items()],
        "promql_expr_test": [{
            "expr": f"count(ALERTS{{{labels}}}) or vector(0)",
            "eval_time": f"{case.minutes}m",
            "exp_samples": [{"labels": "{}", "value": int(case.fires)}]}]}


def test_rules(source: Path, tmp_path: Path) -> None:
    promtool("check", "rules", str(source / RULES))
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({
        "rule_files": [str(source / RULES)], "evaluation_interval": "1m",
        "tests": [as_test(case) for case in cases()]}))
    promtool("test", "rules", str(file))
    # It does look.
    wrong = cases()[0]._replace(fires=not cases()[0].fires)
    file.write_text(json.dumps({
        "rule_files": [str(source / RULES)], "evaluation_interval": "1m",
        "tests": [as_test(wrong)]}))
    with pytest.raises(AssertionError, match="McrelayDown"):
        promtool("test", "rules", str(file))


@pytest.mark.parametrize("fires", [True, False])
def test_all_tested(source: Path, fires: bool) -> None:
    assert len(rules(source)) > 15
    assert set(rules(source)) == {(c.alert, c.cause) for c in cases()
                                  if c.fires == fires}


def test_runbooks(source: Path) -> None:
    """A page for each alert, and none for nothing, with a command to look
    with."""
    text = (source / RULES).read_text()
    pages = re.findall(
        r"runbook_url: file:///usr/share/doc/mcrelay/runbook/(\S+)\n", text)
    manual = (source / "man/mcrelayctl.8").read_text()
    assert len(pages) == len(rules(source))
    assert {p.name for p in (source / "doc/runbook").iterdir()} == set(pages)
    for page in set(pages):
        content = (source / "doc/runbook" / page).read_text()
        for heading in ("## What it means", "## How to look",
                        "## What to do"):
            assert heading in content, (page, heading)
        for name in re.findall(r"`(mcrelay_\w+)`", content):
            assert name in manual, (page, name)


@pytest.mark.linux("a socket's drops are not known")
def test_live(daemon: Daemon, source: Path, tmp_path: Path) -> None:
    """All is well; then there is one fault after the other, and each is seen
    by the alert for it."""
    text = re.sub(r"\n( +for:) \w+", r"\n\1 1s", (source / RULES).read_text())
    port, deaf = free_port(), free_port()
    web = {"port": free_port()}
    with Page(daemon) as page, Prometheus(
            tmp_path / "prometheus", web["port"] if has_web(daemon) else
            page.port, text) as prometheus, \
            Receiver() as receiver, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        good = channel(
            "good", port, archive=daemon.archive_conf(), stale_after="1h",
            relay=[output("127.0.0.1", receiver.port)],
            decimate=[{"name": "s", "method": "pick", "every": 10} |
                      output(view.address, view.port)])
        top = {"web": web} if has_web(daemon) else {}
        daemon.start(good, **top)
        sender.send(numbered(100))
        daemon.wait_received("good", 100)
        prometheus.wait_scrapes(5)
        assert prometheus.firing() == []
        for name in set(re.findall(r"\bmcrelay_\w+", text)):
            assert prometheus.query(name) or name in (
                # Not of a stream without an archive.
                "mcrelay_stream_unarchived_total",
                # Nobody takes turns.
                "mcrelay_lease_active", "mcrelay_lease_standbys",
                "mcrelay_lease_lost_total", "mcrelay_lease_taken_total",
                "mcrelay_drained",
                # Here is no TLS.
                "mcrelay_web_certificate_expiry_timestamp_seconds",
                # Known after a while.
                "mcrelay_archive_free_bytes",
                "mcrelay_archive_oldest_timestamp_seconds"), name
        [got] = prometheus.query("mcrelay_received_total")
        assert got["value"][1] == "100"

        for _ in range(3):
            pid = daemon.worker_pid("good")
            os.kill(pid, signal.SIGKILL)
            daemon.wait_new_worker("good", pid, 30)
        alert = prometheus.wait_firing("McrelayFlapping", channel="good")
        assert "channel good ends again" in alert["annotations"]["summary"]

        # A channel that hears nothing, one whose interface is missing.
        daemon.write(good, channel(
            "deaf", deaf, stale_after="1s", listen_receive_buffer="64KiB"),
            channel("early", free_port(), address="239.255.7.7",
                    listen_interface="nosuch0"), **top)
        daemon.ctl("reload")
        daemon.wait_state("deaf", "stale")
        prometheus.wait_firing("McrelayStale", channel="deaf")
        prometheus.wait_firing("McrelayNotServing", channel="early",
                               state="waiting")
        # So that there is a value before the loss.
        prometheus.wait_scrapes(2)
        pid = daemon.worker_pid("deaf")
        os.kill(pid, signal.SIGSTOP)
        try:
            with Sender("127.0.0.1", deaf) as other:
                other.send(numbered(1000, 1000), 5000)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert daemon.wait_received("deaf", 1000)["kernel_dropped"] > 0
        alert = prometheus.wait_firing("McrelayLoss", channel="deaf",
                                       cause="kernel_dropped")
        assert "channel deaf loses datagrams: kernel_dropped" in \
            alert["annotations"]["summary"]
        prometheus.wait_firing("McrelayDegraded", channel="deaf")

        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            prometheus.wait_firing("McrelayDown")
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        wait_for(lambda: "McrelayDown" not in {
            a["labels"]["alertname"] for a in prometheus.firing()},
            "McrelayDown to end", 60, prometheus.firing)
        for alert in prometheus.firing():
            for annotation in alert["annotations"].values():
                assert "{" not in annotation and "<" not in annotation
        daemon.write(good, **top)
        daemon.ctl("reload")
