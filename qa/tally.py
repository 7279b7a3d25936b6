#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Adds up test results and prints `N passed, N failed, N skipped'.

Arguments: files of lines `ok NAME', `not ok NAME', `skip NAME: WHY'; JUnit
XML of pytest; automake's .trs files (the .log beside it is cmocka's).
Exit status 1 when anything failed or nothing ran.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path

OUTCOME = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
WHY = 12        # lines, the last ones


def tell_why(text: str) -> None:
    """What a test that failed has said: its log may be gone by then."""
    for line in [line for line in text.splitlines() if line.strip()][-WHY:]:
        print(f"    {line}")


def lines(path: Path) -> Counter[str]:
    count: Counter[str] = Counter()
    for line in path.read_text(errors="replace").splitlines():
        for start, outcome in (("ok ", "passed"), ("not ok ", "failed"),
                               ("skip ", "skipped")):
            if line.startswith(start):
                count[outcome] += 1
                if outcome != "passed":
                    print(f"{outcome}: {line}")
    return count


def junit(path: Path) -> Counter[str]:
    count: Counter[str] = Counter()
    if not path.exists() or path.stat().st_size == 0:
        print(f"failed: {path.name} was not written")
        return Counter(failed=1)
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            count["failed"] += 1
            print(f"failed: {name}")
            tell_why("\n".join(child.text or "" for child in case
                               if child.tag in ("failure", "error")))
        elif "skipped" in kinds:
            count["skipped"] += 1
            why = case.find("skipped").get("message")   # type: ignore
            print(f"skipped: {name}: {why}")
        else:
            count["passed"] += 1
    if not count:
        count["failed"] += 1
        print(f"failed: nothing ran in {path.name}")
    return count


def automake(path: Path) -> Counter[str]:
    """One test program.  A test without an outcome is a crash."""
    result = re.search(r"^:test-result: (\S+)", path.read_text(), re.M)
    log = path.with_suffix(".log").read_text(errors="replace")
    count: Counter[str] = Counter()
    running = ""
    said = 0
    for found in re.finditer(
            r"^\[ +(RUN|OK|FAILED|SKIPPED) +\] (\w+)$", log, re.M):
        kind, name = found.groups()
        if kind == "RUN":
            running = name
            said = found.end()
        elif name == running:
            count[OUTCOME[kind]] += 1
            running = ""
            if kind != "OK":
                print(f"{OUTCOME[kind]}: {path.stem}: {name}")
            if kind == "FAILED":
                tell_why(log[said:found.start()])
    word = result[1] if result else "FAIL"
    if running or (word not in ("PASS", "SKIP") and not count["failed"]):
        count["failed"] += 1
        print(f"failed: {path.stem} {running}")
        tell_why(log)
    elif not count and word == "SKIP":
        count["skipped"] += 1
        print(f"skipped: {path.stem}: {log.splitlines()[0]}")
    elif not count:
        count["passed"] += 1
    return count


def main() -> int:
    total: Counter[str] = Counter()
    for name in sys.argv[1:]:
        path = Path(name)
        reader = {".xml": junit, ".trs": automake}.get(path.suffix, lines)
        total += reader(path)
    print(f"{total['passed']} passed, {total['failed']} failed, "
          f"{total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
