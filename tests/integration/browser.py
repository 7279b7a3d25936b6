# SPDX-License-Identifier: ISC
"""A real Chromium, driven by tests/page/driver.mjs."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from waiting import wait_for

END_S = 20.0


def find_chromium() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


class Browser:
    """Or the test is skipped, with what is missing."""

    def __init__(self, source: Path) -> None:
        chromium = find_chromium()
        place = source / "tests/page"
        if chromium is None:
            pytest.skip("needs a browser: install the Debian package chromium")
        if not shutil.which("node"):
            pytest.skip("needs node: install the Debian package nodejs")
        if not (place / "node_modules/playwright-core").exists():
            pytest.skip("needs playwright-core: run npm ci in tests/page")
        self.process = subprocess.Popen(
            ["node", str(place / "driver.mjs"), chromium], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.names = itertools.count()

    def order(self, code: str, **args: Any) -> Any:
        """`code' is the body of a function of `it' and `args'."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"code": code, "args": args})
                                 + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, url: str, **options: Any) -> Page:
        return Page(self, str(next(self.names)), url, options)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Page:
    def __init__(self, browser: Browser, name: str, url: str,
                 options: dict[str, Any]) -> None:
        self.browser, self.name = browser, name
        browser.order("await it.open(args.name, args)", name=name, url=url, **({
            "width": 1280, "height": 800, "scheme": "light", "answers": {}}
            | options))

    def do(self, code: str, **args: Any) -> Any:
        """With `page', in the driver."""
        return self.browser.order("const page = it.pages.get(args.name);"
                                  + code, name=self.name, **args)

    def js(self, expression: str) -> Any:
        """In the page."""
        return self.do("return await page.evaluate(args.expression)",
                       expression=expression)

    def text(self, selector: str) -> str | None:
        """As it can be read; None: there is no such element."""
        return self.js(f"document.querySelector({json.dumps(selector)})"
                       "?.innerText")

    def texts(self, selector: str) -> list[str]:
        return self.js("[...document.querySelectorAll("
                       f"{json.dumps(selector)})].map(e => e.innerText)")

    def wait(self, condition: Callable[[], Any], what: str,
             deadline_s: float = 15.0) -> Any:
        return wait_for(condition, what, deadline_s, lambda: (
            self.text("body"), self.troubles()))

    def wait_js(self, expression: str, deadline_s: float = 15.0) -> Any:
        return self.wait(lambda: self.js(expression), expression, deadline_s)

    def click(self, selector: str) -> None:
        self.do("await page.click(args.selector)", selector=selector)

    def press(self, *keys: str) -> None:
        self.do("for (const key of args.keys) await page.keyboard.press(key)",
                keys=keys)

    def troubles(self) -> list[str]:
        """Errors, dialogs, and what the page's policy has refused."""
        return self.do("return [...page.troubles, "
                       "...await page.evaluate('violations')]")

    def axe(self) -> list[str]:
        """What axe-core complains about."""
        return self.do(
            "await page.evaluate(it.axe);"
            "return (await page.evaluate('axe.run()')).violations"
            ".map(v => v.id + ': ' + v.help + ': ' +"
            " v.nodes.map(n => n.html + n.failureSummary).join('; '))")

    def close(self) -> None:
        self.do("await page.context().close(); it.pages.delete(args.name)")
