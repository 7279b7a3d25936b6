# SPDX-License-Identifier: ISC
"""Everything that README, doc/ and manual pages show is tried by some test, or
here is why not; so that nobody forgets a new example."""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import nats
from daemon import Daemon, Programs
from test_config import PAGES, examples
from test_examples import NETWORK, ROUTE, built_in, literals, path_to, run

HERE = Path(__file__).parent
# What takes until somebody ends it, and has something to say before.
ENDLESS = ("mcrelay-cat -f", "mcrelay-cat -l", "mcrelayctl events",
           "mcrelayd -d -f")
TOUR = "test_shown.py: test_tour"
SYSTEMD = "test_systemd.py: test_from_boot_to_purge"
NOT_A_COMMAND = "nothing to be typed: a picture, output, or a file's name"

# Something that stands in a block, and what tries it; or, after `not:', why
# nothing does.
TRIED: dict[str, dict[str, str]] = {
    "README.md": {
        "./quickstart\n": "check: quickstart",
        "./quickstart --web": "test_page.py: test_quickstart",
        "./check\n": "not: it is what runs this",
        "|     mcrelayd     |": NOT_A_COMMAND,
        "apt-get install ../mcrelay_": "check: packages",
        "cp /usr/share/doc/mcrelay/mcrelay.yaml": SYSTEMD,
        "apt-get install autoconf": "check: need_packages",
        "./autogen.sh": "check: build_gcc",
        "systemd-sysusers &&": "not: changes this host; the package's way to "
        f"the same is {SYSTEMD}",
        "mcrelayd -n -f mcrelay.yaml\n": "test_examples.py: test_readme",
        "sysctl -w net.core.rmem_max=67108864\n": "not: changes this host",
        "sink -a": TOUR,
        "# there": TOUR,
        "mcrelay-cat accel | head": TOUR,
        "wireshark": TOUR,
        "capture.pcapng >": TOUR,
        "nats://log1/accel": "test_shown.py: test_another_host",
        "import pandas": "test_recipes.py: test_pandas",
        "duckdb": "test_recipes.py: test_duckdb",
        "textscan": "test_recipes.py: test_octave",
        "IP_ADD_MEMBERSHIP": "test_cat_live.py: test_subscriber_of_the_readme",
        "accel_20261120T213000": NOT_A_COMMAND,
        "mcrelayctl files accel": TOUR,
        "require_mount": "test_shown.py: test_excerpts",
        "do avrocat": TOUR,
        "DataFileReader": TOUR,
        "-o report damaged.avro": TOUR,
        "mcrelay-replay -i eth1": TOUR,
        "lidar=239.192.0.2:26002": TOUR,
        "MCRELAY_BUILDDIR=$PWD": "test_fleet.py: test_fleet",
        "mcrelayd -n --doctor": TOUR,
        "warn  receive_buffer": NOT_A_COMMAND,
        "make bench ": "not: an hour; test_bench.py runs single cells"},
    "doc/containers.md": {
        "docker build": "not: an image; qa/container.sh makes it, and runs it "
        "by podman",
        "docker exec": "not: no docker daemon",
        "kind: Deployment": "not: no Kubernetes"},
    "doc/kafka.md": {
        "JetStreamToKafka": "not: no Kafka, and the bridge is no package of Debian",
        "kafka_franz": "not: no Kafka, and the bridge is no package of Debian",
        "wc -l": "test_shown.py: test_another_host"},
    "doc/raspberry-pi.md": {
        "memory: 16MiB": "test_shown.py: test_excerpts",
        "flush_interval: 10s": "test_shown.py: test_excerpts"},
    "man/mcrelay-decimator.8": {"first_time, last_time": NOT_A_COMMAND},
    "man/mcrelay-forwarder.8": {
        "nats subscribe": "not: the program nats is no package of Debian; "
        "test_forward_live.py asks for the same"},
    "man/mcrelay-gen.1": {
        "mcrelay-gen sink": "test_examples.py: test_generator",
        "cat > accel.avsc": "test_examples.py: test_generator"},
    "man/mcrelay-replay.1": {"-x 2": TOUR, "-m 10s": TOUR},
    "man/mcrelay-verify.1": {
        "-o report": "test_examples.py: test_verify"},
    "man/mcrelay-web.8": {
        "web: {address: 127.0.0.1": TOUR,
        "  users: /etc": "test_web_users.py: test_together",
        "htpasswd": "not: apache2-utils is no package that the tests ask for; "
        "test_web_users.py has its hashes",
        "# mcrelayctl reload": TOUR,
        "static_configs: [{targets: [\"127": "not: a file of Prometheus; "
        "test_board.py has one beside a daemon scrape it",
        "apiVersion": "not: Grafana cannot be had",
        "curl": TOUR,
        "scheme: https": "not: a file of Prometheus, with names of files that "
        "are not here"},
    "man/mcrelayctl.8": {
        "mcrelayctl check; echo": TOUR,
        "mcrelayctl metrics >": TOUR,
        "mcrelayctl ledger accel": TOUR,
        "status -j |": TOUR,
        "-s ~/mcrelay": TOUR,
        "while read -r channel": TOUR},
    "man/mcrelayd.8": {
        "mcrelayd -n -f my.yaml": TOUR,
        "accel.pid": TOUR,
        "mcrelayctl reload": TOUR},
    "man/mcrelay.yaml.5": {
        "# with another write:": "test_archive.py: test_switching",
        "rx-vlan-hw-parse off": "test_xdp_vlan.py: test_tags_taken_off",
    },
}


def indented(text: str) -> list[str]:
    """Blocks that are indented by four blanks, of Markdown."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    found = re.findall(r"(?<=\n\n)((?:    .*\n|\n(?=    ))+)", text)
    return [re.sub("^    ", "", block, flags=re.M) for block in found]


def shown(page: Path) -> list[str]:
    text = page.read_text()
    if page.suffix != ".md":
        return literals(page)
    return indented(text) + re.findall(r"^```[a-z]*\n(.*?)^```", text,
                                       re.M | re.S)


def pages(source: Path) -> list[Path]:
    """Without those of the runbook, whose commands are to be filled in."""
    return [source / "README.md", *sorted((source / "doc").glob("*.md")),
            *sorted((source / "man").glob("*.[1-8]"))]


def exists(source: Path, name: str) -> bool:
    """FILE: FUNCTION of these tests, or of ./check."""
    file, _, function = name.partition(": ")
    if file == "check":
        return function in (source / "check").read_text()
    return f"\ndef {function}(" in (HERE / file).read_text()


def test_none_forgotten(source: Path) -> None:
    """Each block has its line in the table, each line its block, and what it
    says is there."""
    for page in pages(source):
        name = str(page.relative_to(source))
        tried, blocks = TRIED.get(name, {}), shown(page)
        if name in PAGES:
            configurations = examples(page.read_text())
            blocks = [b for b in blocks if b not in configurations]
        for block in blocks:
            by = [key for key in tried if key in block]
            assert len(by) == 1, f"{name} shows, and no test tries:\n" \
                f"{block}\nby: {by}"
        for key, test in tried.items():
            assert any(key in block for block in blocks), (name, key)
            assert test == NOT_A_COMMAND or test.startswith("not: ") or \
                exists(source, test), (name, key, test)
    assert set(TRIED) <= {str(p.relative_to(source)) for p in pages(source)}


def test_excerpts(daemon: Daemon, source: Path) -> None:
    """Keys that are shown without channels are good with one."""
    one = "name: one\n    listen: {port: 26000}\n"
    found = 0
    for name in ("README.md", "doc/raspberry-pi.md"):
        for block in shown(source / name):
            if block.startswith("archive:"):
                conf = f"channels:\n  - {one}    {block}"
            elif block.startswith(("memory:", "defaults:")) and \
                    "channels:" not in block:
                conf = block + f"channels:\n  - {one}" \
                    "    archive: {directory: .}\n"
            else:
                continue
            found += 1
            daemon.write_text(conf)
            done = daemon.check()
            assert "configuration OK" in done.stdout, conf + done.stderr
    assert found == 3


CONF = """
user: nobody
host: rig
web: {address: 127.0.0.1, port: 9841}
defaults:
  archive: {directory: /var/lib/mcrelay, flush_interval: 100ms}
channels:
  - name: accel
    listen: {port: 26000}
    payload: {format: avro, schema: accel.avsc}
    relay: [{address: 239.192.0.1, port: 26001, interface: eth1}]
    decimate:
      - {name: view, method: mean, every: 50, address: 239.192.0.2,
         port: 26002, interface: eth1}
"""
RAW = ("lidar", "gnss", "telemetry")

# Before what is shown is typed.
BEGIN = NETWORK + ROUTE + """
mount -t tmpfs none /var/lib
mount -t tmpfs none {top}
mkdir -p {run} {etc} /var/lib/mcrelay /var/lib/prometheus/node-exporter
mkdir mcrelay
ln -s {run} mcrelay/run
mount -t tmpfs none {etc}
cp mcrelay.yaml accel.avsc {etc}
chown nobody /var/lib/mcrelay
mcrelayd -f mcrelay.yaml
trap 'kill $(cat {run}/mcrelayd.pid)' EXIT
until mcrelayctl status; do sleep 0.1; done
"""
FIRST = """
mcrelay-gen source -q -S accel.avsc -n 100 -r 1000 127.0.0.1:26000
until mcrelay-cat accel | grep -q time; do sleep 0.1; done
"""
FEED = """
mcrelay-gen source -q -S accel.avsc -n 2000 -r 4000 127.0.0.1:26000
for port in 26010 26011 26012; do
    mcrelay-gen source -q -n 100 -r 1000 127.0.0.1:$port
done
for name in accel lidar gnss telemetry; do
    until mcrelayctl ledger $name | grep -Eq '^ *archived +2?100( |$)'; do
        sleep 0.1
    done
    mcrelayctl rotate $name
    until ls /var/lib/mcrelay/$name/*.avro; do sleep 0.1; done
done
"""
# Programs that are not here, by what is wanted of them.
STUBS = {"wireshark": "cat >capture.pcapng", "rsync": "echo $1 >>copied"}


class Tour:
    """What is shown, as a script: with times of now, and places of ours."""

    def __init__(self, programs: Programs, source: Path, place: Path) -> None:
        self.source, self.place = source, place
        self.environment = path_to(programs, place / "bin") | {
            "HOME": str(place),
            "MCRELAY_WEBDIR": f"{programs.mcrelayd.parent}/web-page"}
        for name, script in STUBS.items():
            stub = place / "bin" / name
            stub.write_text(f"#!/bin/sh\n{script}\n")
            stub.chmod(0o755)
        self.run_dir = built_in(programs.mcrelayctl,
                                "/mcrelay/mcrelayd.sock", place).parent
        etc = built_in(programs.mcrelayd, "/mcrelay.yaml", place).parent
        top = next(p for p in self.run_dir.parents if p.exists())
        self.script = BEGIN.format(run=self.run_dir, etc=etc, top=top)
        self.endless: list[str] = []

    def configure(self, more: str = "", each: str = "") -> None:
        others = "".join(
            f"  - {{name: {name}, listen: {{port: {26010 + i}}}{each}}}\n"
            for i, name in enumerate(RAW))
        (self.place / "mcrelay.yaml").write_text(
            CONF.replace("payload:", f"{each[2:]}\n    payload:") + others +
            more)
        for name in ("accel.avsc", "my.yaml"):
            shutil.copy(self.source / "etc/example" /
                        name.replace("my", "mcrelay"), self.place / name)
        with (self.place / "my.yaml").open("a") as f:
            f.write("user: root\n")

    def ours(self, text: str) -> str:
        now = datetime.now(timezone.utc)
        for time, minutes in (("2026-11-20T21:30", -5),
                              ("2026-11-20T14:00", -5),
                              ("2026-11-20T22:00", 5)):
            text = text.replace(time, (now + timedelta(minutes=minutes))
                                .strftime("%Y-%m-%dT%H:%M"))
        for time, hours in (("20261120T21", 0), ("20261120T22", 1)):
            text = re.sub(rf"{time}\b", (now + timedelta(hours=hours))
                          .strftime("%Y%m%dT%H"), text)
        return text.replace("/usr/local/var/run/mcrelay", str(self.run_dir)) \
            .replace("/run/mcrelay/", f"{self.run_dir}/")

    def block(self, page: str, key: str) -> str:
        found = [b for b in shown(self.source / page) if key in b]
        assert len(found) == 1, (page, key)
        return self.ours(found[0])

    def commands(self, block: str) -> list[str]:
        """Without prompts, answers and comments."""
        prompts = re.findall(r"^[$#] (.*(?:(?<=[|\\])\n.*)*)", block, re.M)
        if prompts:
            return list(prompts)
        if "|\n" in block or "<<" in block:
            return [block]
        block = re.sub("  +# .*$", "", block, flags=re.M)
        return block.replace("\\\n", " ").splitlines()

    def typed(self, page: str, key: str, where: str = ".") -> None:
        self.script += f"(cd {where}\n"
        for command in self.commands(self.block(page, key)):
            if command.startswith("mcrelayctl doctor") or \
                    "--doctor" in command or "check; echo" in command:
                # What it finds on this host is its own business.
                command = f"{{ {command}; }} >said || [ $? -eq 1 ]\n" \
                    "test -s said"
            self.script += command.strip() + "\n"
        self.script += ")\n"

    def begun(self, page: str, key: str, seconds: int) -> None:
        """In the background, until it is ended; others are typed."""
        for command in self.commands(self.block(page, key)):
            if command.startswith(ENDLESS) or "sink" in command:
                number = len(self.endless)
                self.endless.append(command)
                (self.place / f"endless{number}").write_text(
                    command if "|" in command else f"exec {command}")
                self.script += f"timeout {seconds} sh endless{number} " \
                    f">out{number} 2>&1 &\n"
            else:
                self.script += command + "\n"

    def go(self) -> str:
        self.script += f"wait\ntrap - EXIT\n" \
            f"pid=$(cat {self.run_dir}/mcrelayd.pid)\n" \
            "kill $pid\ntimeout 20 tail --pid=$pid -f /dev/null\n"
        return run(self.script, self.place, self.environment,
                   ("unshare", "--mount", "--net", "--pid", "--mount-proc",
                    "--fork", "--kill-child"))


@pytest.fixture
def tour(programs: Programs, source: Path, tmp_path: Path) -> Tour:
    if os.geteuid() != 0:
        pytest.skip("needs root for directories and a network of its own")
    for program in "jq", "curl":
        if not shutil.which(program):
            pytest.skip(f"needs {program}: install the Debian package")
    return Tour(programs, source, tmp_path)


def test_tour(tour: Tour) -> None:
    """A host with four channels, on which all is typed that README and manual
    pages show of it."""
    tour.configure()
    page = "README.md"
    tour.script += FIRST
    tour.begun(page, "sink -a", 20)
    tour.begun(page, "mcrelay-cat accel | head", 5)
    tour.begun("man/mcrelayctl.8", "while read -r channel", 8)
    tour.begun("man/mcrelayd.8", "mcrelayd -n -f my.yaml", 3)
    # These want a group of their own.
    tour.script += f"unshare --net sh -ec '{PATH_TRIED}' >tried &\n" \
        .replace("SINK", tour.commands(tour.block(page, "# there"))[0]) \
        .replace("SOURCE", tour.commands(tour.block(page, "# there"))[1])
    tour.script += "until test -s view.avsc; do sleep 0.1; done\n" + FEED
    for key in ("wireshark", "capture.pcapng >", "mcrelayctl files accel"):
        tour.typed(page, key)
    tour.typed(page, "do avrocat", "/var/lib/mcrelay/accel")
    tour.script += "mcrelay-verify capture.avro\nln -s /var/lib/mcrelay/telemetry/telemetry_*Z_0.avro " \
        "telemetry_20261120T213000.123456Z_1.avro\n" \
        f"cat >read.py <<'END'\n{tour.block(page, 'DataFileReader')}END\n" \
        "test $(/usr/bin/python3 read.py | wc -l) -eq 100\n" \
        "head -c -100 /var/lib/mcrelay/accel/accel_*_0.avro >damaged.avro\n"
    for command in tour.commands(tour.block(page, "-o report damaged.avro")):
        tour.script += f"{command} || [ $? -eq 1 ]\n"
    tour.script += "mcrelay-verify saved.avro\n"
    for page, key in (
            (page, "mcrelay-replay -i eth1"), (page, "lidar=239.192.0.2:2"),
            (page, "mcrelayd -n --doctor"), ("man/mcrelay-replay.1", "-x 2"),
            ("man/mcrelayctl.8", "mcrelayctl check; echo"),
            ("man/mcrelayctl.8", "mcrelayctl metrics >"),
            ("man/mcrelayctl.8", "mcrelayctl ledger accel"),
            ("man/mcrelayctl.8", "status -j |"),
            ("man/mcrelay-web.8", "curl"),
            ("man/mcrelay-web.8", "# mcrelayctl reload"),
            ("man/mcrelayd.8", "mcrelayctl reload"),
            ("man/mcrelayctl.8", "-s ~/mcrelay"),
            ("man/mcrelayd.8", "accel.pid")):
        tour.typed(page, key)
    said = tour.go()
    assert "mcrelay_state" in said or "mcrelay_channel" in said, said
    for number, command in enumerate(tour.endless):
        out = (tour.place / f"out{number}").read_text()
        assert out or "rsync" in command, command
    assert (tour.place / "copied").read_text().count(".avro") >= 4


# The sink is ended, and has heard what was sent.
PATH_TRIED = NETWORK + """
SINK &
sink=$!
sleep 0.5
SOURCE
kill $sink
wait $sink || :
"""


@pytest.mark.usefixtures("have_forwarder")
def test_another_host(tour: Tour) -> None:
    """What is shown of archives that are forwarded to a server by the name of
    log1."""
    tour.configure("forward: {servers: [\"nats://log1:4222\"]}\n",
                   ", forward: true")
    (tour.place / "hosts").write_text("127.0.0.1 localhost log1\n")
    (tour.place / "nats.conf").write_text(
        f"listen: 127.0.0.1:4222\njetstream {{store_dir: {tour.place}/js}}\n")
    tour.script = f"mount --bind hosts /etc/hosts\nip link set lo up\n" \
        f"'{nats.PROGRAM}' -c nats.conf >nats.log 2>&1 &\nnats=$!\n" + \
        tour.script + FIRST + """
        mcrelay-gen source -q -n 2100 -r 4000 127.0.0.1:26010
        until [ "$(mcrelay-cat nats://log1/accel | wc -l)" -eq 100 ] &&
            [ "$(mcrelay-cat nats://log1/lidar | wc -l)" -eq 2100 ]; do
            sleep 0.1
        done
        """
    tour.typed("README.md", "nats://log1/accel")
    tour.script += "mcrelay-verify accel.avro\nkill $nats\n"
    said = tour.go()
    assert re.search("^sent +1000$", said, re.M), said
