# SPDX-License-Identifier: ISC
"""A real Prometheus, and a page for it to scrape where mcrelayctl stands in for
what serves it."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from daemon import Daemon
from net import free_port
from waiting import wait_for


def has_web(daemon: Daemon) -> bool:
    """Else mcrelayctl stands in for it."""
    libexec = daemon.programs.libexec
    return libexec is not None and (libexec / "mcrelay-web").exists()


class Page:
    """http://127.0.0.1:port/metrics is what mcrelayctl prints just then."""

    def __init__(self, daemon: Daemon) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = daemon.ctl("metrics").stdout.encode()
                self.send_response(200)
                self.send_header("Content-Type",
                                 "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: Any) -> None:
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Page:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Prometheus:
    """It scrapes `port' each second and evaluates `rules'."""

    def __init__(self, directory: Path, port: int, rules: str) -> None:
        if shutil.which("prometheus") is None:
            pytest.skip("no prometheus (package prometheus)")
        directory.mkdir()
        (directory / "rules.yml").write_text(rules)
        (directory / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "mcrelay", "static_configs": [
                {"targets": [f"127.0.0.1:{port}"]}]}]}))
        self.url = f"http://127.0.0.1:{free_port()}/api/v1/"
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.directory}/prometheus.yml",
                 f"--storage.tsdb.path={self.directory}/data",
                 f"--web.listen-address={self.url.split('/')[2]}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()

    def _get(self, what: str, **query: str) -> Any:
        url = self.url + what + "?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(url, timeout=10) as answer:
            got = json.load(answer)
        assert got["status"] == "success", got
        return got["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return list(self._get("query", query=expression)["result"])

    def query_range(self, expression: str, start: float, end: float
                    ) -> list[dict[str, Any]]:
        """A value each second."""
        return list(self._get("query_range", query=expression,
                              start=str(start), end=str(end),
                              step="1")["result"])

    def firing(self) -> list[dict[str, Any]]:
        return [a for a in self._get("alerts")["alerts"]
                if a["state"] == "firing"]

    def wait_scrapes(self, count: int) -> None:
        """So many have been made, and rules were evaluated since."""
        def there() -> bool:
            try:
                seen = self.query("count_over_time(mcrelay_up[1h])")
            except urllib.error.URLError:
                return False
            return bool(seen) and float(seen[0]["value"][1]) >= count
        wait_for(there, f"{count} scrapes", 60, self.log)

    def wait_firing(self, alert: str, **labels: str) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            return next((a for a in self.firing() if labels.items() | {
                ("alertname", alert)} <= a["labels"].items()), None)
        return wait_for(there, f"{alert} {labels}", 60, self.firing)

    def log(self) -> str:
        return (self.directory / "log").read_text()[-5000:]
