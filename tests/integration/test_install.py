# SPDX-License-Identifier: ISC
"""What `make install' puts below a prefix of one's own works from there,
without root and without anything from the build directory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import find_build
from daemon import Daemon, Programs, channel, output
from net import Receiver, Sender, free_port, numbered


@pytest.fixture
def prefix() -> Path:
    if "MCRELAY_PREFIX" not in os.environ:
        pytest.skip("MCRELAY_PREFIX does not say where mcrelay is installed")
    return Path(os.environ["MCRELAY_PREFIX"])


def test_files(prefix: Path) -> None:
    for name in ("sbin/mcrelayd", "sbin/mcrelayctl", "bin/mcrelay-gen",
                 "libexec/mcrelay/mcrelay-worker",
                 "libexec/mcrelay/mcrelay-decimator"):
        assert os.access(prefix / name, os.X_OK), name
    man = prefix / "share/man"
    for page in ("man8/mcrelayd.8", "man8/mcrelayctl.8", "man1/mcrelay-gen.1",
                 "man5/mcrelay.yaml.5", "man8/mcrelay-worker.8",
                 "man8/mcrelay-decimator.8"):
        assert (man / page).exists(), page
    for name in ("systemd/system/mcrelayd.service", "sysusers.d/mcrelay.conf",
                 "tmpfiles.d/mcrelay.conf"):
        assert (prefix / "lib" / name).exists(), name
    for name in ("prometheus/mcrelay.rules.yml", "grafana/mcrelay.json"):
        assert (prefix / "share/mcrelay" / name).exists(), name
    for name in ("mcrelayd", "mcrelayctl", "mcrelay-gen"):
        assert (prefix / "share/bash-completion/completions" / name
                ).exists(), name
        assert (prefix / "share/fish/vendor_completions.d" / f"{name}.fish"
                ).exists(), name
    assert (prefix / "share/zsh/site-functions/_mcrelayctl").exists()


def test_paths(source: Path, tmp_path: Path) -> None:
    """What is installed names the places of this build, not those of
    another."""
    where = {name: f"{tmp_path}/{name}" for name in (
        "prefix", "sysconfdir", "runstatedir", "sbindir", "docdir",
        "pkgdatadir", "pkglibexecdir", "mandir")}
    subprocess.run(
        ["make", "-s", "-C", str(find_build()), "install-man",
         "install-dist_prometheusDATA", "install-dist_grafanaDATA",
         "install-data-hook", *(f"{k}={v}" for k, v in where.items())],
        check=True, capture_output=True, timeout=120)
    installed = [p for p in tmp_path.rglob("*") if p.is_file() and
                 re.search(r"\.[158]$|grafana|prometheus", str(p))]
    assert len(installed) >= 11
    texts = {p.name: p.read_text() for p in installed}
    for name, text in texts.items():
        assert not re.search(
            r"(?<![\w/])(/etc/mcrelay|/run/|/usr/sbin|/usr/share|"
            r"/usr/libexec)", text), name
    assert f".Pa {where['sysconfdir']}/mcrelay.yaml" in texts["mcrelayd.8"]
    assert f".Pa {where['runstatedir']}/mcrelay" in texts["mcrelayctl.8"]
    assert f"{where['sbindir']}/mcrelayctl" in texts["mcrelayctl.8"]
    assert f"file://{where['docdir']}/runbook/loss.md" in \
        texts["mcrelay.rules.yml"]
    assert json.loads(texts["mcrelay.json"])["templating"]["list"][-1][
        "query"] == f"file://{where['docdir']}/runbook"
    if "mcrelay-web.8" in texts:
        assert f"{where['pkgdatadir']}/grafana" in texts["mcrelay-web.8"]
        assert f"{where['pkglibexecdir']}/mcrelay-web" in \
            texts["mcrelay-web.8"]


def test_says_what_to_copy(tmp_path: Path) -> None:
    """The first example, whole; and nothing where a package is made."""
    root = tmp_path / "root"
    doc = root / "share/doc/mcrelay"

    def install(*more: str) -> str:
        return subprocess.run(
            ["make", "-s", "-C", str(find_build()), "install-dist_docDATA",
             "install-data-hook", f"docdir={doc}", f"sysconfdir={root}/etc",
             *more], check=True, capture_output=True, text=True,
            timeout=120).stdout
    said = install()
    for name in ("mcrelay.yaml.example", "accel.avsc", "mcrelay.yaml",
                 "gyro.avsc"):
        assert (doc / name).exists(), name
        assert f"{doc}/{name}" in said
    assert f"{root}/etc" in said
    made = tmp_path / "made"
    assert "mcrelayd -n" in said
    assert "mcrelayd -n" not in install(f"DESTDIR={made}")
    assert (made / f".{doc}/mcrelay.yaml.example").exists()
    for name, copy in (("mcrelay.yaml.example", "mcrelay.yaml"),
                       ("accel.avsc", "accel.avsc")):
        shutil.copy(doc / name, tmp_path / copy)
    done = Programs.built(find_build())
    subprocess.run(
        [str(done.mcrelayd), "-n", "-f", str(tmp_path / "mcrelay.yaml")],
        env=done.environment(), check=True, timeout=30,
        stdout=subprocess.DEVNULL)


def test_runs(prefix: Path, tmp_path: Path) -> None:
    daemon = Daemon(Programs.installed(prefix), tmp_path)
    port = free_port()
    try:
        with Receiver() as receiver, Receiver() as view, \
                Sender("127.0.0.1", port) as sender:
            daemon.start(channel(
                "one", port, relay=[output("127.0.0.1", receiver.port)],
                archive=daemon.archive_conf(),
                decimate=[{"name": "s", "method": "pick", "every": 10}
                          | output("127.0.0.1", view.port)]))
            sender.send(numbered(200))
            daemon.wait_received("one", 200)
            assert receiver.wait(200) == sender.sent
            assert view.wait(20) == sender.sent[9::10]
            daemon.stop()
            assert daemon.payloads("one") == sender.sent
    finally:
        daemon.kill()
