#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a card has to write for one slow channel: `bench/card.py BUILDDIR
[SECONDS]', as root.

A second brings ten datagrams of 100 bytes.  Each way to archive them has an ext4 of
its own on a loop device, all at once, for ten minutes; the kernel counts what that
device is given to write, journal and all, until then: what waits for its flush is
not among it.  The table is that of doc/raspberry-pi.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from recycle import Daemon

RATE, SIZE, PORT = 10, 100, 26000
WAYS = (("1s", "interval"), ("10s", "interval"), ("60s", "interval"),
        ("60s", "none"))


class Card:
    """A file system that is there as long as our mounts are."""

    def __init__(self, place: Path, name: str) -> None:
        image = place / f"{name}.img"
        with image.open("wb") as f:
            f.truncate(256 << 20)
        # All is written now that it would write when it has nothing to do.
        subprocess.run(["mkfs.ext4", "-q", "-E",
                        "lazy_itable_init=0,lazy_journal_init=0", image],
                       check=True)
        self.directory = place / name
        self.directory.mkdir()
        subprocess.run(["mount", "-o", "loop,noatime", image,
                        self.directory], check=True)
        device = os.stat(self.directory).st_dev
        self.counts = Path(f"/sys/dev/block/{os.major(device)}:"
                           f"{os.minor(device)}/stat")

    def written(self) -> tuple[int, int]:
        """Bytes, and in how many writes."""
        fields = self.counts.read_text().split()
        return int(fields[6]) * 512, int(fields[4])


def configuration(card: Card, own: Path, port: int, flush: str, sync: str
                  ) -> str:
    return json.dumps({
        "run_dir": str(own / "run"), "user": "root",
        "log": {"to": "stderr", "level": "warning"},
        "channels": [{
            "name": "one", "ring_size": "256KiB", "payload": {"format": "raw"},
            "listen": {"address": "127.0.0.1", "port": port},
            "archive": {"directory": str(card.directory / "archive"),
                        "flush_interval": flush, "sync": sync}}]})


def send(build: Path, seconds: int) -> None:
    """To all of them."""
    sources = [subprocess.Popen(
        [build / "mcrelay-gen", "source", "-q", "-b", str(SIZE), "-r",
         str(RATE), "-t", f"{seconds}s", f"127.0.0.1:{PORT + number}"],
        stdout=subprocess.DEVNULL) for number in range(len(WAYS))]
    if any([source.wait() for source in sources]):
        sys.exit("mcrelay-gen has failed")


def measure(build: Path, place: Path, seconds: int) -> None:
    with ExitStack() as stack:
        cards = []
        for number, (flush, sync) in enumerate(WAYS):
            card = Card(place, f"card{number}")
            own = place / f"conf{number}"
            own.mkdir()
            text = configuration(card, own, PORT + number, flush, sync)
            stack.callback(Daemon(build, own, text).end)
            cards.append(card)
        os.sync()
        before = [card.written() for card in cards]
        send(build, seconds)
        after = [card.written() for card in cards]
    kib = seconds * RATE * SIZE / 1024
    print(f"{kib:.0f} KiB in {seconds} seconds; written:")
    for way, (bytes0, writes0), (bytes1, writes1) in zip(WAYS, before, after):
        size, writes = bytes1 - bytes0, writes1 - writes0
        print(f"| {' | '.join(way)} | {size / 1024:.0f} KiB | {writes} | "
              f"{size / seconds * 3600 / 2**20:.1f} MiB | "
              f"{writes / seconds * 3600:.0f} |")


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "inside":
        with tempfile.TemporaryDirectory(prefix="mcrelay-card-") as name:
            subprocess.run(["mount", "-t", "tmpfs", "none", name], check=True)
            measure(Path(sys.argv[2]), Path(name), int(sys.argv[3]))
            subprocess.run(["umount", "-R", "-l", name], check=True)
        return
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    seconds = sys.argv[2] if len(sys.argv) == 3 else "600"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, __file__,
                          "inside", str(Path(sys.argv[1]).resolve()), seconds])


if __name__ == "__main__":
    main()
