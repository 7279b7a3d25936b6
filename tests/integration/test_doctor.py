# SPDX-License-Identifier: ISC
"""mcrelayctl doctor, and mcrelayd -n --doctor: faults of the host are made,
and found."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

import native
from daemon import Daemon, channel, output
from net import (Namespace, Sender, free_port, group_v4, group_v6, numbered,
                 receiving_socket, sending_socket)
from waiting import wait_for

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

    def says(self, **variables: str) -> None:
        """What host.c has the kernel say; only that."""
        for name in [n for n in self.environment
                     if n.startswith("MCRELAY_TEST_")
                     and n != "MCRELAY_TEST_MARK"]:
            del self.environment[name]
        self.environment |= {"MCRELAY_TEST_CLOCK": "0 0"} | {
            f"MCRELAY_TEST_{name.upper()}": value
            for name, value in variables.items()}

    def run(self, *options: str, through: tuple[str, ...] = (),
            ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *through, str(self.daemon.programs.mcrelayd),
             "-n", "--doctor", *options, str(self.daemon.config_file)],
            env=self.environment, text=True, capture_output=True,
            timeout=60, stdin=subprocess.DEVNULL)

    def ask(self, *options: str, through: tuple[str, ...] = (),
            ) -> subprocess.CompletedProcess[str]:
        """The daemon that runs."""
        return subprocess.run(
            [*self.prefix, *through, str(self.daemon.programs.mcrelayctl), "-s",
             str(self.daemon.run_dir / "mcrelayd.sock"), "doctor",
             *options], env=self.environment, text=True,
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL)

    def ask_status(self) -> dict[str, Any]:
        return self.daemon.whole_status()

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
        done = self.ask("-j", *options, through=through) if asked else \
            self.run(f"--doctor={check}", "-j", *options, through=through)
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


@pytest.fixture(scope="session")
def host_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native.preload("host.c", tmp_path_factory.mktemp("host"))


@pytest.fixture
def doctor(daemon: Daemon, tmp_path: Path, host_library: Path) -> Doctor:
    """By itself the clock here is synchronised."""
    result = Doctor(daemon, tmp_path)
    result.environment["LD_PRELOAD"] = str(host_library)
    result.says()
    return result


@pytest.fixture
def plain(daemon: Daemon, tmp_path: Path, namespace: Namespace) -> Doctor:
    """In a namespace, with nothing preloaded: sanitizers are first."""
    daemon.namespace = namespace
    return Doctor(daemon, tmp_path)


@pytest.fixture
def inside(doctor: Doctor, namespace: Namespace) -> Doctor:
    """In a namespace, with cards like real ones."""
    if shutil.which("ethtool") is None:
        pytest.skip("needs ethtool: install the Debian package ethtool")
    doctor.daemon.namespace = namespace
    namespace.run("ethtool", "-K", "va", "gro", "on")
    namespace.run("ethtool", "-K", "vb", "gro", "on")
    return doctor


def one(interface: str = "va", **more: Any) -> dict[str, Any]:
    return channel("one", free_port(), group_v4(),
                   listen_interface=interface, **more)


# What it says as a whole.

def test_healthy(inside: Doctor) -> None:
    """Nothing to complain of, with a daemon and without."""
    daemon = inside.daemon
    inside.says(rings="4096 4096", coalesce="50", fstype="ef53")
    port = free_port()
    daemon.write(
        one(relay=[output("10.99.1.1", port) | {"interface": "vb"}],
            archive=daemon.archive_conf()),
        channel("six", free_port(), group_v6(), listen_interface="va"),
        channel("unicast", free_port(), "10.99.0.1"))
    for report in (inside.report(inside.run("-j")),
                   inside.report(ask_running(inside))):
        # What others have set or do on this machine is no fault of ours.
        bad = [f for f in report["findings"]
               if f["result"] in ("warn", "fail")
               and f["check"] not in ("cgroup", "softnet")]
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


def test_no_such_check(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()))
    done = doctor.run("--doctor=nothing")
    assert done.returncode == 1
    assert "there is no check nothing" in done.stderr


def test_broken_file(doctor: Doctor) -> None:
    doctor.daemon.write_text("channels: 3\n")
    done = doctor.run()
    assert done.returncode == 1
    assert "mcrelay.yaml:1:" in done.stderr
    assert not done.stdout


def test_hangs(doctor: Doctor) -> None:
    """A check that hangs is told, and keeps no other waiting."""
    doctor.daemon.write(channel("one", free_port(),
                                archive=doctor.daemon.archive_conf()))
    doctor.daemon.archive.mkdir()
    doctor.says(hang="archive")
    doctor.bad("archive_filesystem", "", "fail", "no answer within 5 s")


@pytest.mark.parametrize("way, measured", (
    ("exit", "the check exited with status 3"),
    ("abort", "the check was killed by signal 6")))
def test_dies(doctor: Doctor, way: str, measured: str) -> None:
    """One that dies is told as well, with what it said before."""
    doctor.daemon.write(channel("one", free_port(),
                                archive=doctor.daemon.archive_conf()))
    doctor.says(die=way)
    doctor.bad("archive_filesystem", "", "fail", measured)


def test_few_descriptors(doctor: Doctor) -> None:
    """Those that cannot be run are told."""
    doctor.daemon.write(channel("one", free_port()))
    report = doctor.report(doctor.run(
        "-j", through=("prlimit", "--nofile=20:20")))
    told = {f["check"]: f for f in report["findings"]}
    assert told["receive_buffer"]["result"] == "ok"
    assert told["archive_space"]["measured"] == \
        "nobody can look: Too many open files"


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


def test_garbage(plain: Doctor) -> None:
    """Whatever /proc and /sys say, checks end in order."""
    files = re.findall(r'"(/(?:proc|sys)/[^"]*)"', "".join(
        file.read_text() for file in (
            Path(__file__).parents[2] / "supervisor/doctor").glob("*.c")))
    assert len(files) > 3
    doctor = plain
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
                    if re.search("the check |hangs", f["measured"])], report


def test_daemon(doctor: Doctor) -> None:
    first = channel("one", free_port())
    doctor.daemon.start(first)
    doctor.well("daemon", asked=True)
    doctor.daemon.write(first, channel("two", free_port()))
    doctor.bad("daemon", "configuration", "warn",
               "^1 channels of the file are not in force",
               "mcrelayctl reload", asked=True)
    doctor.daemon.ctl("reload")
    doctor.well("daemon", asked=True)
    status = doctor.ask_status() | {"version": "0.0.1"}
    finding = with_facts(doctor, "daemon", {"status": status})["version"]
    assert finding["result"] == "warn"
    assert finding["mend"] == "mcrelayctl upgrade"
    assert finding["measured"].startswith("0.0.1 runs")


def test_rp_filter_of_a_vlan(inside: Doctor) -> None:
    """Dots in its name are no part of the key."""
    namespace = inside.daemon.namespace
    assert namespace
    namespace.run("ip", "link", "add", "va.5", "type", "veth",
                  "peer", "name", "vc")
    namespace.run("sysctl", "-qw", "net/ipv4/conf/va.5/rp_filter=1")
    inside.daemon.write(one("va.5"))
    mend = inside.findings("rp_filter")["one"]["mend"]
    namespace.run("sh", "-c", mend)
    inside.well("rp_filter")


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
    doctor.daemon.ctl("restart", "one")
    finding = doctor.findings("outage_budget", asked=True)["one"]
    assert finding["result"] == "ok"
    assert re.search(r"the last time it was without for [1-9]\d* ms",
                     finding["measured"])
    doctor.daemon.stop()
    for budget, away, result in ((300, 100, "ok"), (300, 301, "fail"),
                                 (199, 100, "warn")):
        finding = with_facts(doctor, "outage_budget", {
            "status": {"channels": [{
                "name": "one", "outage_budget_ms": budget, "peak_rate": 7,
                "away_ms": away}]}})["one"]
        assert finding["result"] == result
        assert f"{budget} ms at 7 datagrams/s;" in finding["measured"]


def test_udp_mem(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()))
    if not Path("/proc/sys/net/ipv4/udp_mem").exists():
        # Not in a network of our own.
        doctor.fake("/proc/sys/net/ipv4/udp_mem", "90000\t120000\t180000\n")
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


def test_mtu(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one(relay=[output("10.99.1.7", 9)]))
    inside.well("mtu")
    namespace.run("ip", "link", "set", "vb", "mtu", "1280")
    inside.bad("mtu", "one", "warn", "vb have up to 1280 .* come in 1500",
               "ip link set vb mtu 1500")


@pytest.mark.parametrize("size, result", ((1252, "ok"), (1253, "warn")))
def test_mtu_measured(inside: Doctor, size: int, result: str) -> None:
    """What comes in counts, where a daemon runs."""
    namespace = inside.daemon.namespace
    assert namespace
    port = free_port()
    inside.daemon.start(channel("one", port, "10.99.0.1", relay=[
        output("10.99.1.7", 9)]))
    namespace.run("ip", "link", "set", "vb", "mtu", "1280")
    with Sender("10.99.0.1", port, namespace=namespace) as sender:
        sender.send(numbered(10, size))
    inside.daemon.wait_received("one", 10)
    finding = inside.findings("mtu", asked=True)["one"]
    assert finding["result"] == result, finding
    assert f"have {size} bytes" in finding["measured"]


def test_link_speed(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one())
    inside.well("link_speed")
    namespace.run("ip", "tuntap", "add", "t0", "mode", "tap")
    namespace.run("ethtool", "-s", "t0", "speed", "100", "duplex", "half")
    inside.daemon.write(one("t0"))
    inside.bad("link_speed", "t0", "warn", "^100 Mbit/s, half duplex",
               "ethtool -s t0 autoneg on")


def test_offloads(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one(relay=[output("10.99.1.7", 9)]))
    inside.well("offloads")
    namespace.run("ethtool", "-K", "va", "gro", "off")
    inside.bad("offloads", "va", "warn", "gro is off", "-K va gro on")
    namespace.run("ethtool", "-K", "vb", "gso", "off")
    inside.bad("offloads", "vb", "warn", "gso is off", "-K vb gso on")


def test_rings(inside: Doctor) -> None:
    inside.daemon.write(one())
    assert inside.findings("rings")["va"]["result"] == "skip"
    for rings, result in (("256 4096", "warn"), ("256 256", "ok"),
                          ("1024 4096", "ok")):
        inside.says(rings=rings)
        assert inside.findings("rings")["va"]["result"] == result
    inside.says(rings="256 4096")
    inside.bad("rings", "va", "warn", "ring of 256, 4096 are",
               "ethtool -G va rx 4096")


def test_coalescing(inside: Doctor) -> None:
    inside.daemon.write(one())
    inside.says(coalesce="100")
    inside.well("coalescing")
    inside.says(coalesce="5000")
    inside.bad("coalescing", "va", "warn", "5000 us", "-C va rx-usecs")


class Growing:
    """Counters that grow all the while: calls `more' again and again."""

    def __init__(self, more: Callable[[], None]) -> None:
        self._more = more
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(0.02):
            self._more()

    def __enter__(self) -> Growing:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()


def test_interface_drops(inside: Doctor) -> None:
    """Frames of a protocol that nobody speaks are dropped."""
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one())
    inside.well("interface_drops")

    def raw() -> socket.socket:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("vb", 0))
        return s

    with namespace.enter(raw) as s:
        frame = b"\xff" * 6 + bytes(6) + b"\x88\xb5" + bytes(50)
        with Growing(lambda: bool(s.send(frame)) and None):
            inside.bad("interface_drops", "va", "warn",
                       r"rx_dropped: [1-9]\d+ in the last second",
                       "ethtool -S va")
    # Now and then is nothing; those of others count each.
    for counter, result in (("rx_dropped", "ok"),
                            ("rx_missed_errors", "warn"),
                            ("rx_fifo_errors", "warn"),
                            ("rx_errors", "warn")):
        path = f"/sys/class/net/va/statistics/{counter}"
        inside.fake(path, "1\n")
        timer = threading.Timer(0.6, inside.fake, (path, "2\n"))
        timer.start()
        found = inside.findings("interface_drops")["va"]
        timer.join()
        inside.fake(path, "0\n")
        assert found["result"] == result, found


def test_wifi_power_save(inside: Doctor) -> None:
    inside.daemon.write(one())
    inside.well("wifi_power_save")
    inside.says(power="1")
    inside.well("wifi_power_save")      # of a cable
    inside.fake("/sys/class/net/va/phy80211", "")
    inside.bad("wifi_power_save", "va", "warn", "power saving is on",
               "iw dev va set power_save off")
    inside.says(power="0")
    inside.well("wifi_power_save")


def test_usb_nic(inside: Doctor) -> None:
    inside.daemon.write(one())
    inside.well("usb_nic")
    link = inside.root / "sys/class/net/va"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../devices/platform/soc/3f980000.usb/usb1/1-1/1-1.1/"
                    "1-1.1.1:1.0/net/va")
    inside.bad("usb_nic", "va", "warn", "behind USB")


# Groups and ports.

def igmp_query(namespace: Namespace, version: int) -> None:
    """A general query, from vb."""
    def raw() -> socket.socket:
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                          socket.IPPROTO_IGMP)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                     socket.inet_aton("10.99.1.1"))
        return s
    packet = struct.pack(">BBH4s", 0x11, 100, 0, bytes(4))
    if version == 3:
        packet += bytes(4)
    total = sum(struct.unpack(f">{len(packet) // 2}H", packet))
    total = ~(total + (total >> 16)) & 0xffff
    packet = packet[:2] + struct.pack(">H", total) + packet[4:]
    with namespace.enter(raw) as s:
        s.sendto(packet, ("224.0.0.1", 0))


def test_group(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    namespace.run("ip", "route", "add", "239.0.0.0/8", "dev", "va")
    inside.daemon.start(one(), channel("six", free_port(), group_v6(),
                                       listen_interface="va"),
                        channel("routed", free_port(), group_v4()))
    found = inside.findings("group", asked=True)
    assert found["one"]["measured"] == "joined on va"
    assert found["six"]["measured"] == "joined on va"
    assert found["routed"]["result"] == "warn"
    assert "of 2 the routes choose va" in found["routed"]["measured"]
    assert "interface: NAME" in found["routed"]["mend"]
    inside.fake("/proc/net/igmp", (inside.root.parent / "nothing").name)
    inside.fake("/proc/net/igmp6", "")
    for name in ("one", "six"):
        inside.bad("group", name, "fail", "not joined on va",
                   f"mcrelayctl restart {name}", asked=True)
    inside.daemon.stop()


def test_group_long_names(inside: Doctor) -> None:
    """Of any length that an interface's name may have."""
    namespace = inside.daemon.namespace
    assert namespace
    names = ["bond0.1234", "enp175s0f0n", "enp175s0f0np", "enp175s0f0np0",
             "enp175s0f0np0v", "enp175s0f0np0v1"]
    assert [len(name) for name in names] == list(range(10, 16))
    conf = []
    for number, name in enumerate(names):
        namespace.run("ip", "link", "add", name, "type", "veth", "peer",
                      "name", f"peer{number}")
        namespace.run("ip", "link", "set", name, "up")
        conf.append(channel(f"four{number}", free_port(), group_v4(),
                            listen_interface=name))
        conf.append(channel(f"six{number}", free_port(), group_v6(),
                            listen_interface=name))
    inside.daemon.start(*conf)
    found = inside.findings("group", asked=True)
    for number, name in enumerate(names):
        for family in ("four", "six"):
            assert found[f"{family}{number}"]["measured"] == \
                f"joined on {name}"
    inside.daemon.stop()


def test_group_without_route(inside: Doctor) -> None:
    inside.daemon.write(channel("one", free_port(), group_v4()))
    inside.bad("group", "one", "fail", "no route leads to it")


SOURCES = ["10.99.0.7", "10.99.0.8"]


def test_igmp_limits(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(
        one(listen_sources=SOURCES),
        channel("six", free_port(), group_v6(), listen_interface="va",
                listen_sources=["fd00::1", "fd00::2"]))
    inside.well("igmp_limits")
    namespace.run("sysctl", "-qw", "net.ipv4.igmp_max_msf=1")
    inside.bad("igmp_limits", "one", "fail", "2 sources, .* allows 1",
               "sysctl -w net.ipv4.igmp_max_msf=2")
    inside.fake("/proc/sys/net/ipv6/mld_max_msf", "1\n")
    inside.bad("igmp_limits", "six", "fail", "2 sources, .* allows 1",
               "sysctl -w net.ipv6.mld_max_msf=2")
    inside.daemon.write(one())
    inside.well("igmp_limits")
    namespace.run("sysctl", "-qw", "net.ipv4.igmp_max_memberships=0")
    inside.bad("igmp_limits", "one", "fail", "no group can be joined")


@pytest.mark.parametrize("where", ("all", "va"))
def test_igmp_version_forced(inside: Doctor, where: str) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    six = channel("six", free_port(), group_v6(), listen_interface="va")
    inside.daemon.write(one(), six)
    inside.well("igmp_version")
    namespace.run("sysctl", "-qw",
                  f"net.ipv4.conf.{where}.force_igmp_version=2",
                  f"net.ipv6.conf.{where}.force_mld_version=1")
    inside.bad("igmp_version", "one", "warn", "IGMP version 2 is forced",
               "net/ipv4/conf/va/force_igmp_version=0")
    inside.bad("igmp_version", "six", "warn", "MLD version 1 is forced",
               "net/ipv6/conf/va/force_mld_version=0")
    inside.daemon.write(one(listen_sources=SOURCES))
    inside.bad("igmp_version", "one", "fail", "knows no sources")


def test_igmp_version_heard(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one(listen_sources=SOURCES))
    inside.well("igmp_version")
    igmp_query(namespace, 2)
    wait_for(lambda: inside.findings("igmp_version")["one"]["result"] ==
             "fail", "version 2 to be found", 5)
    inside.bad("igmp_version", "one", "fail", "a querier speaks IGMP "
               "version 2, which knows no sources", "IGMPv3")
    inside.daemon.write(one())
    inside.well("igmp_version")


def test_querier(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one())
    assert inside.findings("querier")[""]["result"] == "skip"
    inside.daemon.start()
    wait_for(lambda: "va" in inside.findings("querier", asked=True),
             "the interface to be listened on", 20)
    assert inside.findings("querier", asked=True)["va"]["result"] == "skip"
    igmp_query(namespace, 3)
    inside.daemon.wait_log("IGMP queries come in on va")
    inside.well("querier", asked=True)
    inside.daemon.stop()


def with_facts(doctor: Doctor, check: str, facts: Any
               ) -> dict[str, dict[str, Any]]:
    """As if a daemon had said so."""
    file = doctor.root.parent / "facts"
    file.write_text(json.dumps(facts))
    with file.open() as f:
        done = subprocess.run(
            [*doctor.prefix, str(doctor.daemon.programs.mcrelayd), "-n",
             f"--doctor={check}", "-j", "--facts", str(f.fileno()),
             str(doctor.daemon.config_file)], pass_fds=[f.fileno()],
            env=doctor.environment, text=True, capture_output=True,
            timeout=60)
    return {f["subject"]: f for f in doctor.report(done)["findings"]
            if f["check"] == check}


def test_querier_missing(doctor: Doctor) -> None:
    """That it goes missing is noticed after minutes (test_querier.c)."""
    doctor.daemon.write(channel("one", free_port()))
    finding = with_facts(doctor, "querier", {
        "hears_queries": True, "queriers": [
            {"interface": "eth9", "protocol": "MLD", "heard_s": 300,
             "missing": True}]})["eth9"]
    assert finding["result"] == "warn"
    assert "no MLD query" in finding["measured"]
    assert "turn on the MLD querier" in finding["mend"]
    finding = with_facts(doctor, "querier", {"hears_queries": False})[""]
    assert finding["result"] == "skip"
    assert "CAP_NET_RAW" in finding["measured"]


@pytest.mark.parametrize("facts", (
    [], {"status": 7, "channels": {"one": 1}, "queriers": [1, {}]},
    {"status": {"channels": [[], {"name": 3}, {
        "name": "one", "ring": {"size_bytes": -1}}], "pid": -9}},
    {"status": {"channels": [
        {"name": "one", "ledger": [], "reasons": [1, {"what": 2}]}]}},
    {"status": {"pid": 1 << 62, "uptime_s": "x", "channels": [
        {"name": "one",
         "ring": {"size_bytes": 1}, "ledger": {
             "ring_high_water_bytes": (1 << 63) - 1},
         "socket": {"buffer_bytes": (1 << 63) - 1}}]}}))
def test_hostile_facts(plain: Doctor, facts: Any) -> None:
    """Whatever the daemon says, checks end in order."""
    plain.daemon.write(one(relay=[output("10.99.1.7", 9)],
                            archive=plain.daemon.archive_conf()))
    checks = {f["check"] for f in
              plain.report(plain.run("-j"))["findings"]}
    for check in checks - {"softnet", "udp_errors", "clock",
                           "interface_drops"}:
        found = with_facts(plain, check, facts)
        assert not [f for f in found.values()
                    if re.search("the check |hangs", f["measured"])], found


@pytest.mark.parametrize("address, others", (
    ("127.0.0.1", ("127.0.0.1", "0.0.0.0")), ("::1", ("::1", "::")),
    ("0.0.0.0", ("127.0.0.1",))))
def test_port(inside: Doctor, address: str, others: tuple[str, ...]) -> None:
    port = free_port()
    inside.daemon.write(channel("one", port, address))
    for other in others:
        inside.well("port")
        with receiving_socket(other, port, namespace=inside.daemon.namespace):
            inside.bad("port", "one", "warn", "^1 other sockets have port",
                       f"ss -ulpn 'sport = :{port}'")


@pytest.mark.parametrize("other, measured", (
    ("::", "^1 sockets of any IPv6 address .* may take"),
    ("::ffff:127.0.0.1", "^1 other sockets have port"),
    ("::ffff:0.0.0.0", "^1 other sockets have port"),
    ("::1", "^nobody")))
def test_port_dual_stack(inside: Doctor, other: str, measured: str) -> None:
    """One of IPv6 may take what comes by IPv4."""
    port = free_port()
    inside.daemon.write(channel("one", port, "127.0.0.1"))

    def both() -> socket.socket:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind((other, port))
        return s
    namespace = inside.daemon.namespace
    assert namespace
    with namespace.enter(both):
        inside.bad("port", "one", "ok" if other == "::1" else "warn",
                   measured)


def test_port_of_both_families(inside: Doctor) -> None:
    """A channel of IPv6 takes nothing of one of IPv4."""
    port = free_port()
    inside.daemon.start(channel("four", port, "0.0.0.0"),
                        channel("six", port, "::"))
    inside.well("port", asked=True)
    inside.daemon.stop()


def test_port_of_the_daemon(inside: Doctor) -> None:
    """Its own socket is no other; that of a group is no harm."""
    port, group = free_port(), group_v4()
    inside.daemon.start(channel("one", port, "10.99.0.1"),
                        channel("group", port, group, listen_interface="va"))
    inside.well("port", asked=True)
    with receiving_socket(group, port, "va", inside.daemon.namespace):
        found = inside.findings("port", asked=True)
        assert found["group"]["result"] == "ok"
        assert "1 other sockets" in found["group"]["measured"]
    inside.daemon.stop()


def test_fill(doctor: Doctor) -> None:
    """A worker that is away for a while leaves its mark."""
    conf = channel("one", free_port())
    conf["listen"]["receive_buffer"] = "32MiB"
    doctor.daemon.start(conf)
    doctor.well("fill", asked=True)
    worker = doctor.daemon.worker_pid("one")
    with Sender("127.0.0.1", conf["listen"]["port"]) as sender:
        os.kill(worker, signal.SIGSTOP)
        sender.send(numbered(27500, 1400), 1e6)
        os.kill(worker, signal.SIGCONT)
        doctor.daemon.wait_received("one", 27500)
    doctor.bad("fill", "one", "warn", r"receive buffer was filled up to "
               r"(8|9)\d %", "listen.receive_buffer", asked=True)
    doctor.daemon.stop()


# The host.

def test_softnet(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()))
    line = "0000ffff {:08x} 00000002 00000000\n"
    doctor.fake("/proc/net/softnet_stat", line.format(7) * 2)
    doctor.well("softnet")
    count = [0]

    def more() -> None:
        count[0] += 1
        # Replaced as a whole.
        doctor.fake("/proc/net/new", line.format(7) + line.format(count[0]))
        (doctor.root / "proc/net/new").rename(
            doctor.root / "proc/net/softnet_stat")

    with Growing(more):
        doctor.bad("softnet", "", "warn", r"^[1-9]\d* dropped in the last",
                   r"sysctl -w net.core.netdev_max_backlog=\d+000")


def test_udp_errors(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one())
    inside.well("udp_errors")
    deaf = receiving_socket("10.99.0.1", namespace=namespace)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    full = sending_socket("10.99.0.1", deaf.getsockname()[1],
                          namespace=namespace)
    for _ in range(99):
        full.send(bytes(1000))

    def udp() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def raw() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW,
                             socket.IPPROTO_UDP)

    with namespace.enter(udp) as nobody, namespace.enter(raw) as wrong:
        def more() -> None:
            nobody.sendto(b"", ("10.99.0.1", 9))
            full.send(bytes(1000))
            wrong.sendto(struct.pack(">HHHH", 9, deaf.getsockname()[1], 8,
                                     0x1234), ("10.99.0.1", 0))
        with Growing(more):
            found = inside.findings("udp_errors")
    deaf.close()
    full.close()
    for name, mend in (("RcvbufErrors", "kernel_dropped"),
                       ("NoPorts", "listen.port"),
                       ("InCsumErrors", "checksums")):
        assert found[name]["result"] == "warn", found
        assert re.match(r"[1-9]\d* in the last", found[name]["measured"])
        assert mend in found[name]["mend"]
    assert found["MemErrors"]["result"] == "ok"


def test_gso(inside: Doctor) -> None:
    namespace = inside.daemon.namespace
    assert namespace
    inside.daemon.write(one())
    inside.well("gso")
    inside.says(gso="92")
    inside.bad("gso", "", "warn", "Protocol not available", "Linux 4.18")
    inside.says(gso="merged")
    inside.bad("gso", "", "fail", "of a run of 3 sent at once 0 arrived")
    inside.says()
    namespace.run("ip", "link", "set", "lo", "down")
    inside.bad("gso", "", "fail", "0 arrived", "ip link set lo up")


@pytest.mark.parametrize("says, measured", (
    ({"clock": "5 64"}, "nobody keeps it synchronised"),
    ({"clock": "0 64"}, "nobody keeps it synchronised"),
    ({"clock": "1 16"}, "leap second"),
    ({"step": "3000"}, r"stepped by (2999|3000) ms"),
    ({"step": "-1000"}, r"stepped by -(999|1000) ms")))
def test_clock(doctor: Doctor, says: dict[str, str], measured: str) -> None:
    doctor.daemon.write(channel("one", free_port()))
    doctor.well("clock")
    doctor.says(**says)
    doctor.bad("clock", "", "warn", measured, "timedatectl")


# Archives.

def archive(doctor: Doctor, **more: Any) -> dict[str, Any]:
    return channel("one", free_port(),
                   archive=doctor.daemon.archive_conf(**more))


@pytest.fixture
def small(doctor: Doctor) -> Any:
    """Mounts a small file system at the archive's place."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        path = doctor.daemon.archive
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none",
                        str(path)], check=True)
        mounted.append(path)
        return path
    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_archive_directory(doctor: Doctor, tmp_path: Path) -> None:
    """By the user of the workers, who is not we."""
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    doctor.daemon.write(archive(doctor), user="nobody")
    doctor.well("archive_directory")            # will be made
    place = doctor.daemon.archive / "one"
    place.mkdir(parents=True)
    doctor.bad("archive_directory", "one", "fail",
               "cannot be written by nobody: Permission denied",
               f"chown nobody {place}")
    shutil.chown(place, "nobody")
    doctor.well("archive_directory")
    doctor.daemon.archive.chmod(0)
    doctor.bad("archive_directory", "one", "fail", "Permission denied")
    doctor.daemon.archive.chmod(0o755)
    shutil.rmtree(place)
    doctor.daemon.archive.rmdir()
    doctor.daemon.archive.write_text("")
    assert doctor.findings("archive_directory")["one"]["result"] == "fail"


def test_users_of_their_own(doctor: Doctor, tmp_path: Path) -> None:
    """Each channel's directory by its own user."""
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    users = {"base": 64000}
    conf = [archive(doctor), archive(doctor) | {"name": "two", "listen": {
        "address": "127.0.0.1", "port": free_port()}}]
    doctor.daemon.write(*conf, user=users)
    doctor.well("user")
    doctor.well("archive_directory")            # will be made
    doctor.daemon.start()
    user = doctor.daemon.status("one")["user"]
    doctor.daemon.stop()
    doctor.well("archive_directory")
    place = doctor.daemon.archive / "one"
    (place / "notes").write_text("")
    shutil.chown(place, "root")
    doctor.bad("archive_directory", "one", "fail",
               f"cannot be written by {user}: Permission denied",
               f"chown -hR {user}:{user} {place}")


def test_archive_read_only(doctor: Doctor, small: Any) -> None:
    (small("size=1m") / "one").mkdir()
    doctor.daemon.write(archive(doctor))
    doctor.well("archive_directory")
    subprocess.run(["mount", "-o", "remount,ro", str(doctor.daemon.archive)],
                   check=True)
    doctor.bad("archive_directory", "one", "fail", "Read-only file system",
               "remount,rw")


def test_archive_mount(doctor: Doctor, small: Any) -> None:
    doctor.daemon.write(archive(
        doctor, require_mount=str(doctor.daemon.archive)))
    doctor.bad("archive_mount", "one", "fail", "archive is not mounted",
               f"mount {doctor.daemon.archive}")
    small("size=1m")
    doctor.well("archive_mount")
    doctor.daemon.write(archive(doctor))
    assert doctor.findings("archive_mount")[""]["result"] == "skip"


def test_archive_mount_of_the_daemon(doctor: Doctor, small: Any) -> None:
    """It may see other mounts than who asks."""
    small("size=64m")
    doctor.daemon.start(archive(
        doctor, require_mount=str(doctor.daemon.archive)))
    doctor.well("archive_mount", asked=True, through=(
        "unshare", "-m", "sh", "-c",
        f'umount -l "{doctor.daemon.archive}" && exec "$@"', "sh"))
    doctor.daemon.stop()


@pytest.mark.parametrize("kind, result, measured", (
    ("6969", "warn", "NFS: .* cannot be locked"), ("4d44", "fail", "FAT"),
    ("fe534d42", "warn", "SMB"), ("794c7630", "warn", "overlayfs"),
    ("ef53", "ok", "^ext$"), ("1234", "ok", "0x1234")))
def test_archive_filesystem(doctor: Doctor, kind: str, result: str,
                            measured: str) -> None:
    doctor.daemon.write(archive(doctor))
    doctor.says(fstype=kind)
    doctor.bad("archive_filesystem", "one", result, measured)


def test_archive_filesystem_tmpfs(doctor: Doctor, small: Any) -> None:
    doctor.daemon.write(archive(doctor))
    small("size=1m")
    doctor.bad("archive_filesystem", "one", "warn", "^tmpfs: .*memory",
               "ext4")


def test_archive_space(doctor: Doctor, small: Any) -> None:
    doctor.daemon.write(archive(doctor))
    place = small("size=256m")
    doctor.well("archive_space")
    doctor.daemon.write(archive(doctor, min_free="1GiB"))
    doctor.bad("archive_space", "one", "warn",
               "^256 MiB free, less than the 1 GiB of min_free")
    doctor.daemon.write(archive(doctor, retain={"size": "1GiB"}))
    doctor.bad("archive_space", "one", "warn",
               "kept, 1 GiB, is more than the disk has", "min_free")
    # With min_free nothing is full.
    doctor.daemon.write(archive(doctor, retain={"size": "1GiB"},
                                min_free="100MiB"))
    doctor.well("archive_space")
    with (place / "other").open("wb") as other:
        os.posix_fallocate(other.fileno(), 0, 200 << 20)
    doctor.bad("archive_space", "one", "fail", "^56 MiB free", "df -h")


def test_archive_inodes(doctor: Doctor, small: Any) -> None:
    doctor.daemon.write(archive(doctor))
    small("size=256m,nr_inodes=1")
    doctor.bad("archive_space", "one", "fail", "room for 0 files", "df -i")


def test_archive_fills(doctor: Doctor, small: Any) -> None:
    """At the rate that its files have grown."""
    conf = archive(doctor)
    small("size=128m")
    doctor.daemon.start(conf)
    with Sender("127.0.0.1", conf["listen"]["port"]) as sender:
        sender.send(numbered(2000, 1400), 4000)
    doctor.daemon.wait_received("one", 2000)
    wait_for(lambda: doctor.ask_status()["uptime_s"] > 0, "a second", 5)
    doctor.bad("archive_space", "one", "warn", "full in 0 hours",
               "min_free", asked=True)


def test_archive_fills_after_a_take_over(doctor: Doctor, small: Any) -> None:
    """Counters that are older than the daemon say nothing of it."""
    doctor.daemon.write(archive(doctor))
    (small("size=128m") / "one").mkdir()
    found = with_facts(doctor, "archive_space", {"status": {
        "uptime_s": 1, "channels": [
            {"name": "one", "ledger": {"archived_bytes": 1 << 40}}]}})["one"]
    assert found["result"] == "ok", found


@pytest.mark.parametrize("error", (1, 22, 95))
def test_archive_links(doctor: Doctor, error: int) -> None:
    doctor.daemon.write(archive(doctor))
    place = doctor.daemon.archive / "one"
    place.mkdir(parents=True)
    assert doctor.findings("archive_links")[""]["result"] == "skip"
    found = doctor.findings("archive_links", "--disk")["one"]
    assert found["result"] == "ok"
    doctor.says(no_links=str(error))
    found = doctor.findings("archive_links", "--disk")["one"]
    assert found["result"] == "warn"
    assert "cannot make hard links" in found["measured"]
    assert not list(place.iterdir())


def test_archive_speed(doctor: Doctor, small: Any) -> None:
    doctor.daemon.write(archive(doctor))
    assert doctor.findings("archive_speed")[""]["result"] == "skip"
    place = small("size=16m") / "one"
    place.mkdir()
    found = doctor.findings("archive_speed", "--disk")["one"]
    assert found["result"] == "ok"
    assert re.search(r"takes [\d.]+ [KMG]iB/s", found["measured"])
    doctor.says(slow="3")
    found = doctor.findings("archive_speed", "--disk")["one"]
    assert found["result"] == "warn", found
    assert not list(place.iterdir())
    with (doctor.daemon.archive / "other").open("wb") as other:
        os.posix_fallocate(other.fileno(), 0, 16 << 20)
    found = doctor.findings("archive_speed", "--disk")["one"]
    assert found["result"] == "fail", found


def test_archive_speed_once(doctor: Doctor) -> None:
    """A disk with many archives is written to once; each is told."""
    conf = [archive(doctor) | {"name": f"c{i}", "listen": {
        "address": "127.0.0.1", "port": free_port()}} for i in range(25)]
    doctor.daemon.write(*conf)
    for each in conf:
        (doctor.daemon.archive / each["name"]).mkdir(parents=True)
    doctor.says(slow="3")
    found = doctor.findings("archive_speed", "--disk")
    assert set(found) == {each["name"] for each in conf}, found
    assert len({f["measured"] for f in found.values()}) == 1, found


def test_archive_speed_killed(doctor: Doctor, small: Any) -> None:
    """What is written has no name any more that could stay."""
    doctor.daemon.write(archive(doctor))
    place = small("size=16m") / "one"
    place.mkdir()
    doctor.says(slow="3")

    def written() -> list[str]:
        paths = []
        for fd in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                paths.append(os.readlink(fd))
            except OSError:
                pass
        return [path for path in paths if path.startswith(f"{place}/.doctor")]
    with subprocess.Popen(
            [str(doctor.daemon.programs.mcrelayd), "-n",
             "--doctor=archive_speed", "--disk",
             str(doctor.daemon.config_file)], env=doctor.environment,
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        wait_for(lambda: bool(written()) or process.poll() is not None,
                 "it to write", 20)
        wait_for(lambda: process.poll() is not None or
                 all(path.endswith(" (deleted)") for path in written()),
                 "it to have no name", 20)
        assert process.poll() is None
        assert not list(place.iterdir())
        process.kill()


# What mcrelayd itself needs.

def test_memory(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()))
    doctor.well("memory")
    doctor.daemon.write(*(channel(f"c{i}", free_port(), ring_size="1GiB")
                          for i in range(1000)))
    doctor.bad("memory", "", "fail", r"need \d+ GiB, the host has",
               "ring_size")


def test_memlock(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port(), ring_size="64MiB"))
    doctor.well("memlock")
    doctor.bad("memlock", "", "warn", r"to be locked, 1 MiB may be",
               "LimitMEMLOCK=infinity", through=(
                   "prlimit", "--memlock=1048576:1048576", "setpriv",
                   "--bounding-set", "-ipc_lock,-sys_resource"))


def test_descriptors(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()))
    doctor.well("descriptors")
    doctor.bad("descriptors", "", "fail", r"needed, 30 may be open",
               r"LimitNOFILE=\d+", through=("prlimit", "--nofile=30:30"))
    doctor.daemon.start()
    doctor.well("descriptors", asked=True)
    pid = doctor.daemon.find_background()
    subprocess.run(["prlimit", f"--pid={pid}", "--nofile=44:44"], check=True)
    doctor.bad("descriptors", "", "fail", "44 may be open", asked=True)


@pytest.mark.parametrize("version", (1, 2))
def test_cgroup(doctor: Doctor, version: int) -> None:
    """Of the daemon's group and of those above it."""
    doctor.daemon.start(channel("one", free_port(), ring_size="64MiB"))
    pid = doctor.daemon.find_background()
    files = {"memory": "/sys/fs/cgroup/a/memory.max",
             "pids": "/sys/fs/cgroup/a/b/pids.max",
             "cpu": "/sys/fs/cgroup/a/b/cpu.max"} if version == 2 else {
        "memory": "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
        "pids": "/sys/fs/cgroup/pids/a/b/pids.max",
        "cpu": "/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us"}
    doctor.fake(f"/proc/{pid}/cgroup", "0::/a/b\n" if version == 2 else
                "3:memory:/a/b\n4:cpu,cpuacct:/a/b\n5:pids:/a/b\n")
    doctor.fake("/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n")
    none = {"memory": "max\n" if version == 2 else "9223372036854771712\n",
            "pids": "max\n",
            "cpu": "max 100000\n" if version == 2 else "-1\n"}
    for name, text in none.items():
        doctor.fake(files[name], text)
    doctor.well("cgroup", asked=True)
    doctor.fake(files["memory"], "33554432\n")
    doctor.bad("cgroup", "memory", "fail", r"MiB needed, 32 MiB allowed",
               "MemoryMax=", asked=True)
    doctor.fake(files["pids"], "10\n")
    doctor.bad("cgroup", "pids", "fail", "10 allowed", "TasksMax=",
               asked=True)
    doctor.fake(files["cpu"], "50000 100000\n")
    doctor.bad("cgroup", "cpu", "warn", "time of 0.50 processors",
               "CPUQuota=", asked=True)
    doctor.daemon.stop()


def test_user(doctor: Doctor) -> None:
    doctor.daemon.write(channel("one", free_port()), user="nobody")
    doctor.well("user")
    doctor.daemon.write(channel("one", free_port()), user="no-such-user")
    done = doctor.run()         # the configuration is refused for that
    assert done.returncode == 1
    assert "there is no user `no-such-user'" in done.stderr
    conf = {"run_dir": str(doctor.daemon.run_dir),
            "channels": [channel("one", free_port())]}
    doctor.daemon.write_text(json.dumps(conf))
    doctor.bad("user", "", "fail", "no user is configured", "user: mcrelay")


def test_run_dir(doctor: Doctor) -> None:
    run_dir = doctor.daemon.run_dir
    doctor.daemon.write(channel("one", free_port()))
    found = doctor.findings("run_dir")
    assert found[str(run_dir)]["measured"] == "will be made"
    assert not run_dir.exists()
    run_dir.mkdir()
    doctor.well("run_dir")
    run_dir.chmod(0o777)
    doctor.bad("run_dir", str(run_dir), "fail", "others may write to",
               "chmod go-w")
    shutil.rmtree(run_dir)
    run_dir.write_text("")
    doctor.bad("run_dir", str(run_dir), "fail", "Not a directory")


def test_log(doctor: Doctor, tmp_path: Path) -> None:
    device = tmp_path / "dev"
    device.mkdir()
    (device / "null").touch()
    through = ("unshare", "-m", "sh", "-c",
               f'mount --bind /dev/null "{device}/null" && '
               f'mount --rbind "{device}" /dev && exec "$@"', "sh")
    doctor.daemon.write(channel("one", free_port()), log={"to": "syslog"})
    doctor.bad("log", "", "fail", "/dev/log: No such file", "rsyslog",
               through=through)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(device / "log"))
        doctor.well("log", through=through)
    (device / "log").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as log:
        log.bind(str(device / "log"))
        log.listen()
        doctor.bad("log", "", "fail", "wrong type", through=through)
    # What runs in the foreground logs to standard error, as it says itself.
    doctor.daemon.start()
    assert doctor.findings("log", asked=True)[""]["result"] == "ok"


def test_systemd(doctor: Doctor, tmp_path: Path) -> None:
    """What a unit has that is other than ours."""
    doctor.daemon.start(channel("one", free_port()))
    pid = doctor.daemon.find_background()
    assert doctor.findings("systemd", asked=True)[""]["result"] == "skip"
    doctor.fake(f"/proc/{pid}/cgroup",
                "1:name=systemd:/system.slice/mcrelayd.service\n")
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    says = tmp_path / "says"
    systemctl.write_text(f"""#!/bin/sh
[ "$1 $2 $4 $5" = "show -p -- mcrelayd.service" ] && cat {says}
""")
    systemctl.chmod(0o755)
    doctor.environment["PATH"] = f"{systemctl.parent}:{os.environ['PATH']}"
    good = {"FileDescriptorStoreMax": "3072", "LimitNOFILE": "65536",
            "OOMPolicy": "continue", "KillMode": "mixed",
            "Restart": "on-failure"}

    def unit(**other: str) -> None:
        says.write_text("".join(f"{name}={value}\n" for name, value in
                                (good | other).items()))
    unit()
    doctor.well("systemd", asked=True)
    unit(LimitNOFILE="infinity")
    doctor.well("systemd", asked=True)
    for name, value, mend in (
            ("FileDescriptorStoreMax", "0", "=3 "),
            ("LimitNOFILE", "20", r"=\d\d "),
            ("OOMPolicy", "stop", "=continue"),
            ("KillMode", "control-group", "=mixed"),
            ("Restart", "no", "=on-failure")):
        unit(**{name: value})
        doctor.bad("systemd", name, "warn", f"^{value}", name + mend,
                   asked=True)
    # One that hangs is not left behind, and keeps nothing open.
    number = tmp_path / "number"
    systemctl.write_text(f"#!/bin/sh\necho $$ >{number}\nexec sleep 1000\n")
    doctor.bad("systemd", "", "fail", "no answer within 10 s", asked=True)
    wait_for(lambda: not Path(f"/proc/{number.read_text().strip()}").exists(),
             "systemctl to end", 10)
    doctor.daemon.stop()
