# SPDX-License-Identifier: ISC
"""The live page of mcrelay-web in a real browser, beside a daemon with real
streams."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote

import pytest

from avro_files import double, long
from browser import Browser, Page
from daemon import Daemon, Programs, channel, output
from net import Receiver, Sender, free_port
from waiting import wait_for

HOSTILE = "<img src=x onerror=alert(1)>&amp;<script>alert(2)</script>"
RATE = 400      # datagrams a second

SCHEMA = {
    "type": "record", "name": "Sample", "fields": [
        {"name": "time",
         "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "level", "type": "double", "unit": "mV",
         "doc": "stands still, but for one peak"},
        {"name": "saw", "type": "double", "doc": HOSTILE, "unit": "<b>m</b>"},
        {"name": "ramp", "type": "double", "unit": "s"}]}

FIELDS = ["level", "saw", "ramp"]


class Feed:
    """Sends datums of SCHEMA, all the time."""

    def __init__(self, port: int) -> None:
        self.sender = Sender("127.0.0.1", port)
        self.run, self.stop = threading.Event(), threading.Event()
        self.peak: list[float] = []     # to come, and when they came
        self.peaked: list[float] = []
        self.sent = 0
        self.run.set()
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def datum(self) -> bytes:
        now = time.time()
        level = 2.5
        if self.peak:
            level = self.peak.pop()
            self.peaked.append(now)
        self.sent += 1
        return (long(int(now * 1e6)) + double(level)
                + double(self.sent % 200 / 100) + double(now % 1000))

    def _send(self) -> None:
        while not self.stop.wait(1 / RATE):
            if self.run.is_set():
                self.sender.send([self.datum()])

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.sender.close()


class Site:
    """A daemon with what the tests look at."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self.daemon = Daemon(programs, directory)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        schema = directory / "sample.avsc"
        schema.write_text(json.dumps(SCHEMA))
        payload = {"format": "avro", "schema": str(schema)}
        ports = {name: free_port() for name in
                 ("fast", "quiet", "peaks", "all", "view")}
        self.receiver = Receiver()
        archive = self.daemon.archive_conf()
        self.daemon.write(
            channel("quiet", ports["quiet"], archive=archive),
            channel("fast", ports["fast"], payload=payload, archive=archive,
                    relay=[output("127.0.0.1", self.receiver.port)],
                    decimate=[
                        {"name": "peaks", "shape": "summary",
                         "interval": "50ms", "address": "127.0.0.1",
                         "port": ports["peaks"]},
                        {"name": "all", "method": "pick", "every": 1,
                         "address": "127.0.0.1", "port": ports["all"]}]),
            channel("absent", free_port(), address="192.0.2.77"),
            web={"address": "127.0.0.1", "port": self.port})
        self.daemon.launch()
        wait_for(lambda: self.web_pid() and self.daemon.status(
            "fast")["state"] == "running", "the daemon and its web", 20,
            self.daemon.log)
        self.feed = Feed(ports["fast"])

    def web_pid(self) -> int:
        status = self.daemon.try_status()
        web = (status or {}).get("web") or {}
        return web["pid"] if web.get("state") == "running" else 0

    def close(self) -> None:
        self.feed.close()
        self.receiver.close()
        self.daemon.kill()


@pytest.fixture(scope="module")
def browser(source: Path) -> Iterator[Browser]:
    made = Browser(source)
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(browser: Browser, programs: Programs,
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (programs.libexec / "mcrelay-web").exists():
        pytest.skip("built without libmicrohttpd")
    made = Site(programs, tmp_path_factory.mktemp("page"))
    yield made
    made.close()


@pytest.fixture
def charts(programs: Programs) -> None:
    if not (programs.libexec / "web-page/uPlot.iife.min.js").exists():
        pytest.skip("built without uPlot: npm ci in web, then configure")


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Any]:
    """Opens pages; at the end none may have had an error, or have tried what
    its policy forbids."""
    opened: list[Page] = []

    def open_page(path: str = "#/", **options: Any) -> Page:
        opened.append(browser.open(site.url + path, **options))
        return opened[-1]
    yield open_page
    troubles = [trouble for page in opened for trouble in page.troubles()
                if not ("net::ERR" in trouble and "/live?" in trouble)]
    for page in opened:
        page.close()
    assert troubles == []


def choice(*fields: str, stream: str = "fast/peaks", window: int = 10,
           at: str = "charts") -> str:
    return f"#/{at}?" + "&".join(
        "c=" + quote(f"{stream}/{field}", safe="")
        for field in fields) + f"&w={window}"


def row(name: str, cell: str) -> str:
    return f"tr[data-name={name}] {cell}"


def wait_points(page: Page, count: int, stream: str = "fast/peaks") -> None:
    page.wait_js(f"(s => s && s.end - s.begin >= {count})"
                 f"(mcrelay.series.get('{stream}'))")


def test_overview(visit: Any, site: Site) -> None:
    page = visit()
    names = "[...document.querySelectorAll('tbody tr')]" \
        ".map(r => r.dataset.name).join()"
    page.wait_js(f"{names} === 'absent,quiet,fast'"
                 f" || {names} === 'absent,fast,quiet'")
    assert page.text(row("absent", ".state")) == "waiting"
    assert "address_missing" in (page.text(row("absent", ".why")) or "")
    # About as much as is sent comes in.
    page.wait(lambda: 0.5 * RATE < float(re.sub(
        r"[^\d.]", "", page.text(row("fast", ".rate")) or "") or 0)
        < 1.5 * RATE, "the rate", 20)
    # A worker that is killed.
    old = site.daemon.worker_pid("fast")
    before = page.text(row("fast", ".restarts"))
    assert before is not None
    os.kill(old, signal.SIGKILL)
    site.daemon.wait_new_worker("fast", old)
    page.wait(lambda: page.text(row("fast", ".restarts")) ==
              str(int(before) + 1), "the restart")
    # A change of state, and of the order.
    site.daemon.ctl("stop", "quiet")
    page.wait(lambda: page.text(row("quiet", ".state")) == "stopped",
              "the state")
    page.wait_js(f"{names} === 'absent,quiet,fast'")
    assert "1 stopped" in (page.text(".counts") or "")
    site.daemon.ctl("start", "quiet")
    page.wait(lambda: page.text(row("quiet", ".state")) != "stopped",
              "the state again")
    page.click("thead th:first-child button")
    assert page.js(names) == "absent,fast,quiet"
    assert page.js("document.querySelector('[aria-sort]').innerText") \
        == "Channel"


def test_ledger(visit: Any, site: Site) -> None:
    """Every sum is there, and is what the daemon says."""
    page = visit("#/channel/fast")
    page.wait(lambda: page.texts(".verdict").count("adds up") >= 2,
              "sums that add up")
    site.feed.run.clear()
    try:
        ledger = site.daemon.wait_settled("fast")
        wait_for(lambda: site.daemon.status("fast")["decimate"]["peaks"]["in"]
                 == ledger["received"], "the decimator")

        def numbers(counter: str) -> list[str]:
            return [re.sub(r"\D", "", text) for text in page.texts(
                f".station tr[data-counter={counter}] td:nth-child(2)")]
        received = str(ledger["received"])
        # A snapshot may have what is received and not stored yet.
        page.wait(lambda: (numbers("received") == numbers("archived")
                           == numbers("relayed") == [received]
                           and numbers("in") == [received, received]),
                  "all that the daemon has")
        assert page.texts(".verdict") == ["", *["adds up"] * 4]
        # The file that is being written, and all that is in it.
        page.wait(lambda: [re.sub(r"\D", "", text) for text in page.texts(
            "[aria-labelledby=files] tbody td:nth-child(2)")] == [received],
            "the file")
        (name,) = page.texts("[aria-labelledby=files] tbody th")
        assert (site.daemon.archive / "fast" / name).exists()
    finally:
        site.feed.run.set()
    page.js("location.hash = '#/channel/absent'")
    page.wait(lambda: "192.0.2.77" in (page.text(".reasons") or ""),
              "the reason")
    page.js("location.hash = '#/channel/nobody'")
    page.wait(lambda: "no channel of that name" in page.text("main"),
              "that it is unknown")


def test_charts(charts: None, visit: Any, site: Site) -> None:
    """What is sent is what is shown: a level, and a peak at its time."""
    page = visit(choice("level", "ramp"))
    wait_points(page, 20)
    page.wait(lambda: (page.texts(".readout") or [""])[0].startswith(
        "min 2.5000"), "the level")
    assert "mV" in page.texts(".readout")[0]
    site.feed.peak.append(7.75)
    page.wait_js("(s => Math.max(...s.part(0, 1).subarray(s.begin, s.end)))"
                 "(mcrelay.series.get('fast/peaks')) === 7.75 || undefined")
    at = page.js(
        "(s => { const i = s.part(0, 1).lastIndexOf(7.75);"
        "return s.part(0, 5)[i]; })(mcrelay.series.get('fast/peaks'))")
    assert abs(at - site.feed.peaked[-1]) < 2e-6
    # The lines are there: pixels that are neither background nor grid.
    assert page.js(
        "(c => new Set(new Uint32Array(c.getContext('2d').getImageData("
        "0, 0, c.width, c.height).data.buffer)).size)"
        "(document.querySelector('canvas'))") > 4


def test_gaps(charts: None, visit: Any, site: Site) -> None:
    """What was missed on the way is counted, and breaks the line; so does a
    silence, which is not."""
    page = visit(choice("level", stream="fast/all", window=60))
    wait_points(page, 50, "fast/all")
    web = site.web_pid()
    os.kill(web, signal.SIGSTOP)
    try:
        # More than fits between decimator and web.
        received = site.daemon.ledger("fast")["received"]
        site.feed.sender.send([b"".join(site.feed.datum() for _ in range(30))
                               for _ in range(1000)], 10000)
        wait_for(lambda: site.daemon.status("fast")["decimate"]["all"]["in"]
                 > received + 1000, "the decimator")
    finally:
        os.kill(web, signal.SIGCONT)
    page.wait(lambda: "missing in" in (page.text(".missing") or ""),
              "a gap", 20)
    assert page.js("mcrelay.series.get('fast/all').gaps.length") >= 1
    breaks = ("import('./series.js').then(m => m.trace(mcrelay.series.get("
              "'fast/all'), 0, 0, Infinity, 1e9)[1]"
              ".filter(v => v === null).length)")
    broken = page.wait_js(breaks)
    missing = page.text(".missing")
    # Far more than the patience with a stream of that rate.
    site.feed.run.clear()
    last = page.js("mcrelay.series.get('fast/all').last")
    page.wait_js(f"mcrelay.page.link.now > {last} + 1.5")
    site.feed.run.set()
    page.wait_js(f"{breaks}.then(n => n > {broken})")
    assert page.text(".missing") == missing


def test_pause_and_zoom(charts: None, visit: Any) -> None:
    page = visit(choice("level", "ramp"))
    wait_points(page, 60)
    shown = "mcrelay.charts().shown"
    newest = "mcrelay.series.get('fast/peaks').last"
    before = page.js(shown)
    page.wait_js(f"{shown}[1] > {before[1]} + 0.2")
    page.click("#pause")
    assert page.text("#pause") == "Resume"
    fixed = page.js(shown)
    last = page.js(newest)
    page.wait_js(f"{newest} > {last} + 0.5")
    assert page.js(shown) == fixed
    # Drag over the middle third.
    page.do("const b = await page.locator('.u-over').first().boundingBox();"
            "await page.mouse.move(b.x + b.width / 3, b.y + 20);"
            "await page.mouse.down();"
            "await page.mouse.move(b.x + b.width * 2 / 3, b.y + 20,"
            " {steps: 4});"
            "await page.mouse.up()")
    zoomed = page.js(shown)
    assert abs(zoomed[1] - zoomed[0] - 10 / 3) < 0.2
    assert abs(zoomed[0] - fixed[0] - 10 / 3) < 0.2
    page.wait(lambda: "cursor" in (page.text(".when") or ""), "the cursor")
    page.do("await page.locator('.u-over').first().dblclick()")
    assert page.js(shown) == fixed
    page.click("#pause")
    page.wait_js(f"{shown}[1] > {fixed[1]}")


def test_keyboard(charts: None, visit: Any) -> None:
    page = visit(choice("ramp", "level"))
    wait_points(page, 60)
    page.js("document.querySelectorAll('.canvas')[1].focus()")
    said = "document.querySelectorAll('.canvas')[%d]" \
        ".getAttribute('aria-valuetext')"
    page.press("ArrowLeft", "ArrowLeft", "Shift+ArrowLeft")
    # In all strips at once.
    for i in (0, 1):
        page.wait_js(f"/^\\d\\d:\\d\\d:\\d\\d.\\d+: min/.test({said % i})")
    page.press("Space")
    assert page.text("#pause") == "Resume"
    page.press("+")
    shown = page.js("mcrelay.charts().shown")
    assert abs(shown[1] - shown[0] - 5) < 0.01
    page.press("Escape", "Space")
    assert page.text("#pause") == "Pause"


def test_link_is_shared(charts: None, visit: Any) -> None:
    page = visit("#/channel/fast")
    page.wait_js("document.querySelectorAll('.strip').length >= 3")
    page.click(".picker summary")
    page.click("fieldset:nth-child(2) label:last-child input")
    page.do("await page.selectOption('#window', '30')")
    page.click("#utc")
    page.click(".strip:first-child .remove")
    strips = page.texts(".strip h3")
    assert len(strips) == 3 and "fast/all ramp" in strips[-1]
    other = visit(page.js("location.hash"))
    other.wait(lambda: other.texts(".strip h3") == strips, "the same")
    assert other.js("document.getElementById('window').value") == "30"
    assert other.js("document.getElementById('utc').checked")
    other.wait(lambda: "UTC, " in (other.text(".when") or "") or
               (other.text(".when") or "").endswith(" UTC"), "the zone")


def test_hostile_names(charts: None, visit: Any, site: Site) -> None:
    """Names are text, whatever is in them."""
    page = visit(choice("saw"))
    page.wait(lambda: HOSTILE in (page.text(".strip .doc") or ""), "the doc")
    assert "<b>m</b>" in page.text(".strip h3")
    # The daemon would not take such a name: what if it did?
    streams = page.browser.order(
        "return await (await fetch(args.url + 'streams')).json()",
        url=site.url)
    for layout in streams["layouts"]:
        for field in layout["fields"]:
            field["name"] = HOSTILE + field["name"]
    forged = visit(choice(HOSTILE + "level"), answers={"**/streams": {
        "json": streams}})
    forged.wait(lambda: HOSTILE in (forged.text(".strip h3") or ""),
                "the name")
    forged.click(".picker summary")
    assert any(HOSTILE in text for text in forged.texts("fieldset label"))
    wait_points(forged, 5)
    assert forged.js("document.querySelectorAll('main img, main script, main b"
                     ":not(.readout b)').length") == 0
    named = visit("#/channel/" + quote(HOSTILE, safe=""))
    named.wait(lambda: named.text("h1") == HOSTILE, "the title")


def test_reconnect(charts: None, visit: Any, site: Site) -> None:
    """Whatever does not answer, everybody sees it, and it goes on after."""
    page = visit(choice("level"))
    wait_points(page, 10)
    page.wait_js("document.getElementById('age').textContent !== ''")
    # It may be there for a moment only.
    page.js("""
        window.said = "";
        new MutationObserver(() => {
            const banner = document.querySelector("[data-kind=link]");
            window.said += banner === null ? "" : banner.textContent;
        }).observe(document.getElementById("banners"),
            {childList: true, subtree: true, characterData: true});
    """)
    old = site.web_pid()
    os.kill(old, signal.SIGKILL)
    page.wait_js("window.said.includes('as of')")
    killed = page.js("mcrelay.series.get('fast/peaks').last")
    page.wait_js("document.querySelector('[data-kind=link]') === null", 20)
    page.wait_js(f"mcrelay.series.get('fast/peaks').last > {killed} + 1")
    assert page.text("#link") == "live"
    assert site.daemon.process is not None
    os.kill(site.daemon.process.pid, signal.SIGSTOP)
    try:
        page.wait_js("document.querySelector('[data-kind=down]') !== null")
        assert "mcrelayd does not answer" in page.text("#banners")
    finally:
        os.kill(site.daemon.process.pid, signal.SIGCONT)
    page.wait_js("document.querySelector('#banners p') === null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(charts: None, visit: Any, scheme: str) -> None:
    page = visit(scheme=scheme)
    page.wait_js("document.querySelectorAll('tbody tr').length === 3")
    assert page.axe() == []
    page.js("location.hash = '#/channel/fast'")
    page.wait_js("document.querySelectorAll('.strip').length >= 3")
    page.click(".picker summary")
    page.click(".help summary")
    page.wait(lambda: page.texts(".verdict"), "the ledger")
    assert page.axe() == []
    page.js("location.hash = '#/charts'")
    page.wait_js("document.querySelectorAll('.strip').length >= 3")
    assert page.axe() == []


def test_phone(charts: None, visit: Any) -> None:
    page = visit(width=360, height=740)
    fits = "document.documentElement.scrollWidth <= innerWidth"
    page.wait_js("document.querySelectorAll('tbody tr').length === 3")
    assert page.js(fits)
    for view in ("channel/fast", "charts"):
        page.js(f"location.hash = '#/{view}'")
        page.wait_js("document.querySelectorAll('.strip').length >= 3")
        wait_points(page, 5)
        page.click(".picker summary")
        assert page.js(fits), view


def test_without_uplot(browser: Browser, site: Site) -> None:
    gone = {"status": 404, "body": ""}
    page = browser.open(site.url + "#/channel/fast", answers={
        "**/uPlot*": gone})
    page.wait(lambda: "without uPlot" in page.text(".charts"), "a word of it")
    page.wait(lambda: "adds up" in page.texts(".verdict"), "the ledger")
    assert page.texts(".strip") == []
    assert [t for t in page.troubles() if "uPlot" not in t] == []
    page.close()


def test_quickstart(programs: Programs, source: Path, tmp_path: Path) -> None:
    """It prints an address, where the page is until Ctrl-C is pressed, and
    leaves nothing behind."""
    if not (programs.libexec / "mcrelay-web").exists():
        pytest.skip("built without libmicrohttpd")
    if not shutil.which("avrocat"):
        pytest.skip("needs avrocat: install the Debian package avro-bin")
    process = subprocess.Popen(
        [str(source / "quickstart"), "--web"], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        start_new_session=True, env=os.environ | {
            "MCRELAY_BUILDDIR": str(programs.libexec),
            "TMPDIR": str(tmp_path)},
        # A shell cannot trap what is ignored when it starts, as it is in what
        # another shell runs in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert process.stdout
    try:
        url = next(found[0] for line in process.stdout
                   if (found := re.search(r"http://\S+", line)))
        with urllib.request.urlopen(url) as answer:
            assert b'src="page.js"' in answer.read()
        os.killpg(process.pid, signal.SIGINT)
        try:
            rest = process.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired as e:
            raise AssertionError("it does not end: " + subprocess.run(
                ["ps", "-s", str(process.pid), "-o",
                 "pid,ppid,stat,wchan:20,ignored,caught,args"],
                capture_output=True, text=True).stdout + "".join(
                    log.read_text() for log in tmp_path.rglob("*.log"))
            ) from e
        assert process.returncode == 0, rest
        assert list(tmp_path.iterdir()) == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
