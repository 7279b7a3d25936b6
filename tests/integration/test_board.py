# SPDX-License-Identifier: ISC
"""The board for Grafana: made from the tables, as Grafana reads it, and each
question of it has an answer in a real Prometheus beside a daemon."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

import nats
from daemon import Daemon, channel, output
from exposition import Metrics
from net import Receiver, Sender, free_port, numbered
from prometheus import Page, Prometheus
from test_web_users import certify, files
from waiting import wait_for

BOARD = "etc/grafana/mcrelay.json"
COLUMNS = 24
SCRAPE_S = 1
# Of packages/grafana-data/src/valueFormats/categories.ts.
UNITS = {"short", "pps", "bytes", "Bps", "s", "percentunit", "ops", "cps"}
# By kind of panel: options that Grafana's schema requires.
OPTIONS = {
    "stat": {"graphMode", "colorMode", "justifyMode", "textMode",
             "wideLayout", "showPercentChange", "reduceOptions",
             "percentChangeColorMode", "orientation"},
    "table": {"frameIndex", "showHeader"},
    "timeseries": {"legend", "tooltip"},
    "state-timeline": {"showValue", "rowHeight", "legend", "tooltip"}}
BUILT_IN = {"__rate_interval"}
ALERTS = "ALERTS{"
EXPIRY = "mcrelay_web_certificate_expiry_timestamp_seconds"
# Where hosts take turns.
FLEET = "mcrelay_(lease_|drained)"
NAME = "busy"

Json = dict[str, Any]


@pytest.fixture(name="board")
def board_fixture(source: Path) -> Json:
    return dict(json.loads((source / BOARD).read_text()))


def panels(board: Json) -> list[Json]:
    return [p for p in board["panels"] if p["type"] != "row"]


def make(top: Path) -> str:
    return subprocess.run(
        [sys.executable, "-B", str(top / "etc/grafana/make-board")],
        text=True, check=True, capture_output=True, timeout=60).stdout


def test_up_to_date(source: Path) -> None:
    assert make(source) == (source / BOARD).read_text(), \
        f"etc/grafana/make-board >{BOARD}"


def test_from_tables(source: Path, tmp_path: Path) -> None:
    """A new counter is seen, with its meaning."""
    for room in ("common", "metrics", "etc/grafana", "doc/runbook"):
        shutil.copytree(source / room, tmp_path / room,
                        copy_function=shutil.copyfile)
    table = tmp_path / "common/ledger.h"
    text = table.read_text()
    row = "\tX(truncated, COUNTER,"
    assert row in text
    table.write_text(text.replace(
        row, '\tX(eaten, COUNTER, DATAGRAMS, true, "by "\t\\\n'
        '\t    "moths")\\\n' + row))
    seen = [p["description"] for p in panels(json.loads(make(tmp_path)))
            if "mcrelay_eaten_total" in json.dumps(p["targets"])]
    # Each channel's, all channels', and the sum of all causes.
    assert len(seen) == 3
    assert all("`mcrelay_eaten_total`: by moths" in text for text in seen)


def test_model(board: Json) -> None:
    """What Grafana asks of a dashboard."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", board["uid"])
    assert board["title"] and board["schemaVersion"] >= 36
    # Its own of each Grafana.
    assert "id" not in board
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids)) and all(i > 0 for i in ids)
    assert [p["title"].split()[0] for p in board["panels"]
            if p["type"] == "row"] == ["Overview", "Channel", "Host"]
    for each in board["panels"]:
        assert each["title"]
    for each in panels(board):
        check_panel(each)


def check_panel(panel: Json) -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    defaults = panel["fieldConfig"]["defaults"]
    assert OPTIONS[panel["type"]] <= panel["options"].keys()
    assert panel["datasource"] == source
    assert panel["description"], panel["title"]
    assert defaults["unit"] in UNITS
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] == "byName"
        for it in override["properties"]:
            assert it["id"] != "unit" or it["value"] in UNITS
    references = [target["refId"] for target in panel["targets"]]
    assert references and len(references) == len(set(references))
    for target in panel["targets"]:
        assert target["datasource"] == source
        assert target["instant"] != target["range"]
        assert re.fullmatch("[A-Z]", target["refId"])
        assert (target["format"] == "table") == (panel["type"] == "table")


def test_places(board: Json) -> None:
    """No panel lies on another, or beside the page."""
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["w"] > 0 and at["h"] > 0 and at["x"] >= 0 and at["y"] >= 0
        assert at["x"] + at["w"] <= COLUMNS
        for place in itertools.product(
                range(at["x"], at["x"] + at["w"]),
                range(at["y"], at["y"] + at["h"])):
            assert place not in taken, (panel["title"], taken[place])
            taken[place] = panel["title"]


def test_variables(board: Json) -> None:
    """Each that is used is there, and is used."""
    there = {v["name"] for v in board["templating"]["list"]}
    text = json.dumps(board)
    used = set(re.findall(r"\$\{?(\w+)", text.replace("$__all", "")))
    assert used - BUILT_IN == there
    for each in board["templating"]["list"]:
        assert each["type"] in ("datasource", "query", "textbox")
    # Only a channel's row is repeated, and asks for one.
    row = ""
    for panel in board["panels"]:
        if panel["type"] == "row":
            row = panel.get("repeat", "")
        else:
            for target in panel["targets"]:
                assert ("$channel" in target["expr"]) == (row == "channel")


def test_links(board: Json, source: Path) -> None:
    """Each page of doc/runbook is behind a panel, beside the list of them."""
    pages = {p.stem for p in (source / "doc/runbook").iterdir()}
    linked = set()
    for panel in panels(board):
        links = {re.fullmatch(r"\$\{runbooks\}/([\w-]+)\.md", link["url"])[1]
                 for link in panel.get("links", [])}
        assert links <= pages
        if panel["title"] != "Alerts":
            linked |= links
    assert linked == pages


def fill_in(text: str) -> str:
    """As Grafana does: what may be many is a regular expression."""
    return text.replace("$instance", ".*").replace("$channel", NAME).replace(
        "$__rate_interval", f"{max(4 * SCRAPE_S, SCRAPE_S + 1)}s")


def questions(board: Json) -> Iterator[tuple[Json, Json]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel, target


def answers(prometheus: Prometheus, target: Json) -> list[Json]:
    if target["instant"]:
        return prometheus.query(fill_in(target["expr"]))
    now = time.time()
    return prometheus.query_range(fill_in(target["expr"]), now - 60, now)


def labels_of(target: Json, panel: Json) -> set[str]:
    """Those that the names of series, or columns, are made of."""
    columns = [c for t in panel.get("transformations", [])
               for c in t["options"].get("renameByName", {})]
    return set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) or {
        c for c in columns if not c.startswith("Value")
        and len(panel["targets"]) == 1}


def check(prometheus: Prometheus, panel: Json, target: Json) -> None:
    def there() -> list[Json]:
        return answers(prometheus, target)
    got = wait_for(there, f"{panel['title']}: {target['expr']}", 60,
                   prometheus.log)
    wanted = labels_of(target, panel)
    if ALERTS in target["expr"]:
        wanted.discard("cause")     # of losses only
    assert wanted <= {name for series in got for name in series["metric"]}, \
        (panel["title"], got)
    if "lost" in panel["title"].lower():
        # What has not happened is seen not to have.
        assert {float(value) for series in got
                for _, value in series["values"]} == {0.0}, got


@pytest.fixture
def servers() -> Iterator[list[nats.Server]]:
    """Put in here, they end with the test."""
    made: list[nats.Server] = []
    yield made
    for server in made:
        server.end()


def has_tls(daemon: Daemon, web: Json) -> bool:
    daemon.write(channel(NAME, free_port()), web=web)
    return daemon.check().returncode == 0


def test_live(daemon: Daemon, board: Json, source: Path, tmp_path: Path,
              servers: list[nats.Server]) -> None:
    """All that it asks is answered, and all that there is, is asked for."""
    rules = re.sub(r"\n( +for:) \w+", r"\n\1 1s", (
        source / "etc/prometheus/mcrelay.rules.yml").read_text())
    port = free_port()
    # For its certificate; so the page is scraped, which asks no password.
    certify(daemon)
    web = {"port": free_port(), "tls": files(daemon)}
    tls = has_tls(daemon, web)
    libexec = daemon.programs.libexec
    fleet = nats.PROGRAM is not None and libexec is not None and (
        libexec / "mcrelay-forwarder").exists()
    turns: list[Json] = []
    with Page(daemon) as page, Prometheus(
            tmp_path / "prometheus", page.port, rules) as prometheus, \
            Receiver() as receiver, Receiver() as view, \
            Sender("127.0.0.1", port) as sender:
        if fleet:
            servers.append(nats.Server(tmp_path).start())
            turns = [channel("turns", free_port(), stale_after="1h",
                             hosts=["here", "there"])]
        daemon.start(
            channel(NAME, port, stale_after="1h",
                    archive=daemon.archive_conf(retain={"files": 100}),
                    relay=[output("127.0.0.1", receiver.port), {
                        "address": "239.255.77.2", "port": free_port(),
                        "interface": "lo", "ttl": 0}],
                    decimate=[{"name": "s", "method": "pick", "every": 10,
                               "archive": True} |
                              output(view.address, view.port)]),
            channel("quiet", free_port(), stale_after="1s"), *turns,
            **({"web": web} if tls else {}), **({
                "host": "here", "fleet": {"lease": "1s"},
                "forward": {"servers": [servers[0].url], "replicas": 1}
                } if fleet else {}))
        sender.send(numbered(100))
        daemon.wait_received(NAME, 100)
        prometheus.wait_scrapes(1)
        prometheus.wait_firing("McrelayStale", channel="quiet")
        for panel, target in questions(board):
            if (EXPIRY not in target["expr"] or tls) and (
                    not re.search(FLEET, target["expr"]) or fleet):
                check(prometheus, panel, target)
        for each in board["annotations"]["list"]:
            assert prometheus.query(fill_in(each["expr"]))
        asked = {name for _, target in questions(board) for name in
                 re.findall(r"\bmcrelay_\w+", target["expr"])}
        if not tls:
            asked.discard(EXPIRY)
        if not fleet:
            asked = {name for name in asked if not re.match(FLEET, name)}
        assert asked == Metrics(daemon.ctl("metrics").stdout).names() - {
            "mcrelay_relay_errors_total"}   # whose causes it shows
        [ours] = prometheus.query(fill_in(
            'sum by (channel) (mcrelay_received_total{channel=~"$channel"})'))
        assert ours["metric"] == {"channel": NAME}
