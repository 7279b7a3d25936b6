# SPDX-License-Identifier: ISC
"""mcrelay-gen as source and sink."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import threading
from typing import Any

from daemon import Programs
from net import Namespace

SEQUENCE_AT = 8     # in a numbered datagram, 64 bits, big endian


def sequence(datagram: bytes) -> int:
    assert datagram[:4] == b"MCRG", "not a numbered datagram"
    return struct.unpack_from(">Q", datagram, SEQUENCE_AT)[0]


class Gen:
    """One run of mcrelay-gen, in the background until result()."""

    def __init__(self, programs: Programs, command: str, *options: str,
                 to: str, port: int, namespace: Namespace | None = None
                 ) -> None:
        target = f"[{to}]:{port}" if ":" in to else f"{to}:{port}"
        words = [str(programs.gen), command, "-j", *options, target]
        prefix = namespace.prefix if namespace else []
        self.port = port
        self._process = subprocess.Popen(
            [*prefix, *words], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._errors: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_errors,
                                        daemon=True)
        self._reader.start()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            if match := re.search(r"listening on \S+:(\d+)$", line.rstrip()):
                self.port = int(match[1])
                self._ready.set()

    def wait_ready(self) -> Gen:
        """A sink that is bound and joined."""
        if not self._ready.wait(10):
            self.kill()
            raise AssertionError(f"the sink is not ready: {self._errors}")
        return self

    def result(self, timeout_s: float = 60, good: bool = True
               ) -> dict[str, Any]:
        """Its report, once it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"mcrelay-gen did not end: {self._errors}") from None
        self._reader.join()
        assert self._process.stdout is not None
        text = self._process.stdout.read()
        if good:
            assert self._process.returncode == 0, \
                f"{self._process.returncode}: {self._errors} {text}"
        return json.loads(text)

    def interrupt(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> Gen:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is None:
            self.kill()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def source(programs: Programs, to: str, port: int, *options: str,
           namespace: Namespace | None = None) -> Gen:
    return Gen(programs, "source", *options, to=to, port=port,
               namespace=namespace)


def sink(programs: Programs, to: str, *options: str, port: int = 0,
         namespace: Namespace | None = None) -> Gen:
    return Gen(programs, "sink", *options, to=to, port=port,
               namespace=namespace).wait_ready()
