# SPDX-License-Identifier: ISC
"""mcrelayctl doctor, and mcrelayd -n --doctor: faults of the host are made,
and found."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemon import Daemon, Programs, channel, output
from net import Namespace, free_port, group_v4, group_v6

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="needs root to make faults")

# Without it root is as anybody else to the kernel's limits of the network.
NO_NET_ADMIN = ("setpriv", "--bounding-set", "-net_admin")


class Doctor:
    """Runs it on a daemon's configuration, in its namespace."""

    def __init__(self, daemon: Daemon, tmp_path: Path) -> None:
        self.daemon = daemon
        self.root = tmp_path / "root"
        self.environment = daemon.environment | {
            "MCRELAY_DOCTOR_ROOT": str(self.root)}

    @property
    def prefix(self) -> list[str]:
        namespace = self.daemon.namespace
        return namespace.prefix if namespace else []

    def fake(self, path: str, text: str | bytes) -> None:
        """What the kernel says there."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def run(self, *options: str, through: tuple[str, ...] = (),
            ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *through, str(self.daemon.programs.mcrelayd),
             "-n", "--doctor", *options, str(self.daemon.config_file)],
            env=self.environment, text=True, capture_output=True,
            timeout=60, stdin=subprocess.DEVNULL)

    def ask(self, *options: str) -> subprocess.CompletedProcess[str]:
        """The daemon that runs."""
        return subprocess.run(
            [*self.prefix, str(self.daemon.programs.mcrelayctl), "-s",
             str(self.daemon.run_dir / "mcrelayd.sock"), "doctor",
             *options], env=self.environment, text=True,
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL)

    @staticmethod
    def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        report = json.loads(done.stdout)
        counts = report["counts"]
        assert done.returncode == (1 if counts["fail"] else 0), done
        for result in counts:
            assert counts[result] == sum(
                f["result"] == result for f in report["findings"])
        for finding in report["findings"]:
            assert finding["why"] and finding["measured"], finding
        return report

    def findings(self, check: str, *options: str,
                 through: tuple[str, ...] = (), asked: bool = False
                 ) -> dict[str, dict[str, Any]]:
        """Of one check, by subject."""
        done = self.ask("-j", *options) if asked else \
            self.run("-j", *options, through=through)
        return {f["subject"]: f for f in self.report(done)["findings"]
                if f["check"] == check}

    def bad(self, check: str, subject: str, result: str, measured: str,
            mend: str = "", **more: Any) -> None:
        """The check must find that of the subject."""
        found = self.findings(check, **more)
        assert subject in found, found
        finding = found[subject]
        assert finding["result"] == result, finding
        assert re.search(measured, finding["measured"]), finding
        assert re.search(mend, finding["mend"]), finding

    def well(self, check: str, **more: Any) -> None:
        found = self.findings(check, **more)
        assert found
        assert {f["result"] for f in found.values()} == {"ok"}, found


@pytest.fixture
def doctor(daemon: Daemon, tmp_path: Path) -> Doctor:
    return Doctor(daemon, tmp_path)


@pytest.fixture
def inside(make_daemon: Any, namespace: Namespace, tmp_path: Path) -> Doctor:
    """In a namespace."""
    return Doctor(make_daemon(namespace=namespace), tmp_path)


def one(interface: str = "va", **more: Any) -> dict[str, Any]:
    return channel("one", free_port(), group_v4(),
                   listen_interface=interface, **more)


# What it says as a whole.

def test_healthy(inside: Doctor) -> None:
    """Nothing to complain of, with a daemon and without."""
    daemon = inside.daemon
    port = free_port()
    daemon.write(
        one(relay=[output("10.99.1.1", port) | {"interface": "vb"}],
            archive=daemon.archive_conf()),
        channel("six", free_port(), group_v6(), listen_interface="va"),
        channel("unicast", free_port(), "10.99.0.1"))
    for report in (inside.report(inside.run("-j")),
                   inside.report(ask_running(inside))):
        bad = [f for f in report["findings"]
               if f["result"] in ("warn", "fail")]
        assert not bad
        assert report["counts"]["ok"] > 5
        assert report["file"] == str(daemon.config_file)


def ask_running(doctor: Doctor, *options: str
                ) -> subprocess.CompletedProcess[str]:
    doctor.daemon.start()
    done = doctor.ask("-j", *options)
    doctor.daemon.stop()
    return done


def test_lines(inside: Doctor) -> None:
    """A line for each finding: result, check, what was measured, why it
    matters, what mends it; and the sum."""
    inside.daemon.write(one("nowhere"))
    done = inside.run()
    assert done.returncode == 1
    *lines, last = done.stdout.splitlines()
    assert re.fullmatch(r"\d+ ok, \d+ warn, [1-9]\d* fail, \d+ skip", last)
    for line in lines:
        assert re.match(r"(ok  |warn|fail|skip)  [a-z_]+ +\S", line), line
    line, = (line for line in lines if " interface " in line)
    assert re.fullmatch(r"fail  interface +nowhere: there is no such "
                        r"interface; nothing is heard .*; mend: ip link .*",
                        line)


def test_many_channels_few_lines(doctor: Doctor) -> None:
    doctor.daemon.write(*(channel(f"c{i}", free_port()) for i in range(50)))
    lines = doctor.run().stdout.splitlines()
    assert sum("receive_buffer" in line for line in lines) == 9
    assert any("and 42 more" in line for line in lines)
    assert len(doctor.findings("receive_buffer")) == 50


def test_broken_file(doctor: Doctor) -> None:
    doctor.daemon.write_text("channels: 3\n")
    done = doctor.run()
    assert done.returncode == 1
    assert "mcrelay.yaml:1:" in done.stderr
    assert not done.stdout


def test_no_daemon(doctor: Doctor) -> None:
    done = doctor.ask()
    assert done.returncode == 1
    assert "mcrelayd does not run" in done.stderr


@pytest.mark.parametrize("options", (
    ["-j"], ["--disk"], ["--facts", "3"],
    ["-n", "--doctor", "one", "two"]))
def test_usage(doctor: Doctor, options: list[str]) -> None:
    done = doctor.daemon.run(*options) if "one" not in options else \
        subprocess.run([str(doctor.daemon.programs.mcrelayd), *options],
                       capture_output=True, text=True, timeout=10)
    assert done.returncode == 2, done
    assert "usage" in done.stderr


def test_manual_has_all_checks(doctor: Doctor, source: Path) -> None:
    """Each row of the table is an item of mcrelayctl(8), and nothing else
    is."""
    table = (source / "supervisor/doctor/checks.h").read_text()
    checks = re.findall(r"^ROW\((\w+),", table, re.M)
    page = (source / "man/mcrelayctl.8").read_text()
    section = page.split("\nThe checks are:\n")[1].split("\n.S")[0]
    assert re.findall(r"^\.It Cm (\w+)$", section, re.M) == checks
    assert len(checks) > 4
    # Each says something of any configuration, if only that it is well.
    doctor.daemon.write(channel("one", free_port(),
                                archive=doctor.daemon.archive_conf()))
    said = {f["check"] for f in doctor.report(doctor.run("-j"))["findings"]}
    assert said == set(checks)


def test_garbage(doctor: Doctor, namespace: Namespace) -> None:
    """Whatever /proc and /sys say, checks end in order."""
    files = re.findall(r'"(/(?:proc|sys)/[^"]*)"', "".join(
        file.read_text() for file in (
            Path(__file__).parents[2] / "supervisor/doctor").glob("*.c")))
    assert len(files) > 3
    doctor.daemon.namespace = namespace
    doctor.daemon.write(one(archive=doctor.daemon.archive_conf()))
    for garbage in (b"", b"\0\xff\n" * 99, b"-9" * 5000,
                    b"99999999999999999999 " * 5000, b"a: b\n: :\n" * 999):
        for file in files:
            for name in {re.sub("%s", "va", re.sub("%d", "self", file)),
                         re.sub("%s", "all", file)}:
                try:
                    doctor.fake(name, garbage)
                except OSError:
                    pass        # what is a directory to another one
        report = doctor.report(doctor.run("-j"))
        assert not [f for f in report["findings"]
                    if re.search("signal|hangs", f["measured"])], report


# Receive buffers.

def test_receive_buffer(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port(),
                                listen_receive_buffer="512MiB"))
    doctor.well("receive_buffer")
    doctor.bad("receive_buffer", "one", "warn",
               r"MiB of the 512 MiB wanted",
               r"sysctl -w net.core.rmem_max=536870912",
               through=NO_NET_ADMIN)


def test_outage_budget(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()) | {})
    doctor.well("outage_budget")
    small = channel("one", free_port())
    small["listen"]["receive_buffer"] = "64KiB"
    doctor.daemon.write(small)
    doctor.bad("outage_budget", "one", "warn",
               r"\d+ ms at 1000 datagrams/s", r"receive_buffer: \d+KiB")


def test_outage_budget_measured(doctor: Doctor) -> None:
    """What the daemon has seen counts."""
    doctor.daemon.start(channel("one", free_port()))
    finding = doctor.findings("outage_budget", asked=True)["one"]
    assert finding["result"] == "ok"
    assert re.search(r"its worker took [1-9]\d* ms to start",
                     finding["measured"])
    doctor.daemon.stop()


def test_udp_mem(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()))
    doctor.well("udp_mem")
    doctor.fake("/proc/sys/net/ipv4/udp_mem", "100\t200\t400\n")
    doctor.fake("/proc/net/sockstat",
                "sockets: used 9\nUDP: inuse 2 mem 30\n")
    doctor.bad("udp_mem", "", "warn", "allows 400, all sockets have 30",
               "sysctl -w net.ipv4.udp_mem=")
    doctor.fake("/proc/net/sockstat", "UDP: inuse 2 mem 400\n")
    doctor.bad("udp_mem", "", "fail", "all sockets have 400")


# Interfaces and ways.

def test_interface(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one())
    inside.well("interface")
    namespace.run("ip", "link", "set", "va", "multicast", "off")
    inside.bad("interface", "va", "fail", "no multicast",
               "ip link set va multicast on")
    namespace.run("ip", "link", "set", "vb", "down")
    inside.bad("interface", "va", "fail", "no carrier")
    namespace.run("ip", "link", "set", "va", "down")
    inside.bad("interface", "va", "fail", "not up", "ip link set va up")
    namespace.run("ip", "link", "del", "va")
    inside.bad("interface", "va", "fail", "no such interface")


def test_homeless(inside: Doctor) -> None:
    inside.daemon.write(channel("one", free_port(), "10.98.0.1"),
                        channel("two", free_port(), group_v4()))
    inside.bad("interface", "one", "fail", "no interface has the address")
    inside.bad("interface", "two", "fail", "no route", "interface: NAME")


@pytest.mark.parametrize("where", ("all", "va"))
def test_rp_filter(inside: Doctor, where: str) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    namespace.run("sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter=1")
    inside.daemon.write(one())
    inside.bad("rp_filter", "one", "warn", r"va: strict .*who sends",
               "sysctl -w net.ipv4.conf.va.rp_filter=2")
    inside.daemon.write(one(listen_sources=["10.99.0.0/24"]))
    inside.well("rp_filter")
    for sources in (["10.99.1.0/24"], ["10.99.0.7", "192.0.2.3"]):
        inside.daemon.write(one(listen_sources=sources))
        inside.bad("rp_filter", "one", "fail",
                   r"the way back to the sender (10.99.1.2|192.0.2.3) ",
                   "sysctl -w net.ipv4.conf.va.rp_filter=2")
    # 2, loose, is more than all's 1.
    namespace.run("sysctl", "-qw", "net.ipv4.conf.va.rp_filter=2")
    inside.well("rp_filter")
