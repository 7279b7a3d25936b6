# SPDX-License-Identifier: ISC
"""The packages under systemd, from the first boot until they are purged.

By qa/systemd.sh, which makes the packages; MCRELAY_PACKAGES is where they
are, MCRELAY_NSPAWN the systemd-nspawn for the systemd of this machine,
MCRELAY_ROOT the root of the system that is run, which may be another one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator

import pytest

import avro_files
import gen
from container import Container
from daemon import SERVING, Programs, channel, output
from net import Namespace
from waiting import wait_for

RATE = 5000
PORT, LATE, SINK, VIEW, WEB, MORE, KERNEL = range(26000, 26007)
GROUP, GROUP_OUT = "239.192.77.1", "239.192.77.2"
PACKAGES = ("mcrelay", "mcrelay-forwarder", "mcrelay-tools", "mcrelay-web")
IMAGES = {"/usr/sbin/mcrelayd", *(
    f"/usr/libexec/mcrelay/mcrelay-{name}"
    for name in ("worker", "decimator", "web"))}


def configuration(*more: dict[str, Any]) -> dict[str, Any]:
    archive = {"directory": "/var/lib/mcrelay", "flush_interval": "100ms"}
    return {
        "web": {"address": "127.0.0.1", "port": WEB},
        "channels": [
            channel("one", PORT, relay=[output("127.0.0.1", SINK)],
                    listen_receive_buffer="64MiB", archive=archive,
                    decimate=[{"name": "view", "method": "pick",
                               "every": 100} | output("127.0.0.1", VIEW)]),
            channel("late", LATE, address=GROUP, listen_interface="late0",
                    archive=archive), *more]}


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    if os.geteuid() != 0:
        pytest.skip("needs root for a container")
    packages, nspawn = (os.environ.get(f"MCRELAY_{name}")
                        for name in ("PACKAGES", "NSPAWN"))
    if not packages or not nspawn:
        pytest.skip("needs packages and systemd-nspawn: run qa/systemd.sh")
    if not shutil.which("nsenter"):
        pytest.skip("needs nsenter: install the Debian package util-linux")
    made = Container(tmp_path, Path(packages), Path(nspawn),
                     Path(os.environ.get("MCRELAY_ROOT", "/")),
                     configuration())
    yield made
    made.close()


def test_from_boot_to_purge(container: Container,
                            programs: Programs) -> None:
    late_interface(container, programs)
    sent = under_load(container, programs)
    restart(container, sent)
    by_kernel(container, programs)
    stop(container)
    purge(container)
    installed_anew(container)


def late_interface(container: Container, programs: Programs) -> None:
    """Booted: the service has been started, and waits for the interface of
    one channel only."""
    container.wait_state("one", *SERVING)
    assert container.unit("ActiveState") == "active"
    kind = container.unit("Type")
    assert kind == ("notify-reload" if container.version >= 253 else "notify")
    print(f"systemd {container.version}, a service of type {kind}")
    container.wait_state("late", "waiting")
    container.run("ip", "link", "add", "late0", "type", "veth", "peer",
                  "name", "late1")
    for link in "late1", "late0":
        container.run("ip", "link", "set", link, "up")
    container.run("ip", "addr", "add", "10.77.0.1/24", "dev", "late0")
    container.wait_state("late", *SERVING)
    with gen.source(programs, GROUP, LATE, "-i", "late0", "-n", "100",
                    namespace=container) as source:
        assert source.result()["sent"] == 100
    wait_received(container, "late", 100)
    print("boot: an interface that came late, 100 of 100 received")


def under_load(container: Container, programs: Programs) -> int:
    """Whatever is done, no datagram is lost and none doubled.  How many
    there were."""
    with gen.sink(programs, "127.0.0.1", "-I", "10s", port=SINK,
                  namespace=container) as sink, \
            gen.source(programs, "127.0.0.1", PORT, "-r", str(RATE), "-b",
                       "200", namespace=container) as source:
        for disturb in (reload, kill_supervisor, kill_everything, upgrade,
                        watchdog):
            before = received(container)
            disturb(container)
            container.wait_state("one", *SERVING)
            wait_for(lambda: received(container) > before + RATE,
                     f"a second's datagrams around {disturb.__name__}", 30,
                     container.journal)
            print(f"{disturb.__name__}: {received(container)} received")
        source.interrupt()
        sent = source.result()["sent"]
        ledger = wait_received(container, "one", sent)
        seen = sink.result()
    print(f"sent {sent}, received {ledger['received']}, archived "
          f"{ledger['archived']}, relayed {ledger['relayed']}; at the sink "
          f"{seen['received']}, lost {seen['lost']}, doubled "
          f"{seen['doubled']}")
    assert ledger["archived"] == ledger["relayed"] == sent
    assert seen["received"] == sent
    assert seen["lost"] == seen["doubled"] == seen["corrupt"] == 0
    return sent


def received(container: Container) -> int:
    return container.channel("one").get("ledger", {}).get("received", 0)


def wait_received(container: Container, name: str, count: int
                  ) -> dict[str, int]:
    """All received, and archived."""
    def there() -> dict[str, int]:
        ledger = container.channel(name).get("ledger", {})
        whole = ledger.get("archived") == ledger.get("received") == count
        return ledger if whole else {}
    return wait_for(there, f"{count} datagrams in {name}", 30,
                    lambda: container.channel(name))


# What is done to it.

def reload(container: Container) -> None:
    """When systemctl returns, it is done; or nothing is, and the journal says
    why."""
    main = container.unit("MainPID")
    file = container.path("/etc/mcrelay.yaml")
    good = json.dumps(configuration(channel("more", MORE)))
    file.write_text(good)
    container.run("systemctl", "reload", "mcrelayd")
    assert container.channel("more")
    container.wait_state("more", *SERVING)
    file.write_text("channels: 7\n")
    # Only where it is a command that reloads, it can fail.
    container.run("systemctl", "reload", "mcrelayd", check=False)
    assert "/etc/mcrelay.yaml:1:11: " in container.journal()
    assert container.channel("more")["state"] in SERVING
    assert container.unit("ActiveState") == "active"
    file.write_text(good)
    container.run("systemctl", "reload", "mcrelayd")
    assert container.unit("MainPID") == main


def wait_restarts(container: Container, count: int) -> None:
    wait_for(lambda: container.unit("NRestarts") == str(count) and
             container.unit("ActiveState") == "active",
             f"restart {count}", 30, container.journal)


def kill_supervisor(container: Container) -> None:
    container.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main",
                  "mcrelayd")
    wait_restarts(container, 1)


def kill_everything(container: Container) -> None:
    # All at once: systemctl kills one after the other.  One of them may have
    # ended meanwhile: not all last.
    container.run("sh", "-c", "kill -KILL $(pgrep mcrelay) || :")
    wait_restarts(container, 2)


def images(container: Container) -> set[str]:
    """What its processes execute.  A file that was replaced since is
    "(deleted)"."""
    done = container.run(
        "sh", "-c", "for pid in $(pgrep mcrelay); do "
        "readlink /proc/$pid/exe || :; done")
    return set(done.stdout.splitlines())


def upgrade(container: Container) -> None:
    main = container.unit("MainPID")
    assert images(container) == IMAGES
    container.run("apt-get", "-y", "install", "--reinstall",
                  *container.packages("mcrelay*.deb"))
    wait_for(lambda: images(container) == IMAGES,
             "the new image of each process", 30,
             lambda: f"{images(container)} {container.journal()}")
    assert container.unit("MainPID") == main
    assert container.unit("NRestarts") == "2"


def watchdog(container: Container) -> None:
    container.run("systemctl", "kill", "-s", "STOP", "--kill-whom=main",
                  "mcrelayd")
    wait_restarts(container, 3)
    assert "Watchdog timeout" in container.journal()


# Without load.

def restart(container: Container, sent: int) -> None:
    main = container.unit("MainPID")
    container.run("systemctl", "restart", "mcrelayd")
    assert container.unit("MainPID") != main
    container.wait_state("one", *SERVING)
    numbers = [gen.sequence(datagram) for datagram in
               avro_files.archived_payloads(
                   container.path("/var/lib/mcrelay"), "one")]
    assert numbers == list(range(sent))
    print(f"restart: {len(numbers)} in files, each once and in order")


def by_kernel(container: Container, programs: Programs) -> None:
    """What the unit has for it as comments lets the packaged daemon relay by
    a program in the kernel."""
    unit = container.path("/usr/lib/systemd/system/mcrelayd.service")
    lines = re.search(r"`path: kernel'.*((?:\n#\w+=.*)+)", unit.read_text())
    assert lines
    container.path("/etc/systemd/system/mcrelayd.service.d/kernel.conf"
                   ).write_text("[Service]" + lines[1].replace("#", "") + "\n")
    container.path("/etc/mcrelay.yaml").write_text(json.dumps(configuration(
        channel("kernel", KERNEL, address=GROUP, listen_interface="late0",
                relay=[output(GROUP_OUT, SINK, interface="out0", loop=False,
                              path="kernel")]))))
    with closing(Namespace()) as lan:
        behind_links(container, lan)
        container.run("systemctl", "daemon-reload")
        container.run("systemctl", "restart", "mcrelayd")
        wait_for(lambda: [out["path"] for out in container.channel(
            "kernel").get("outputs", ())] == ["kernel"],
            "a relay in the kernel", 30, container.journal)
        with gen.sink(programs, GROUP_OUT, "-i", "out1", "-n", "1000", "-t",
                      "30s", port=SINK, namespace=lan) as sink, \
                gen.source(programs, GROUP, KERNEL, "-i", "late1", "-n",
                           "1000", "-r", str(RATE), namespace=lan):
            seen = sink.result()
        ledger = container.channel("kernel")["ledger"]
    assert (seen["received"], seen["lost"], seen["doubled"]) == (1000, 0, 0)
    assert ledger["kernel_relayed"] == 1000
    print("kernel: 1000 of 1000 relayed there")


def behind_links(container: Container, lan: Namespace) -> None:
    """Both interfaces of that channel lead to a network of its own."""
    container.run("ip", "link", "add", "out0", "type", "veth", "peer",
                  "name", "out1")
    for ours, theirs, net in (("late0", "late1", 77), ("out0", "out1", 78)):
        # By its name here, where there are other files in /run.
        subprocess.run([*container.prefix, "ip", "link", "set", theirs,
                        "netns", lan.name], check=True, timeout=10)
        container.run("ip", "link", "set", ours, "up")
        lan.run("ip", "link", "set", theirs, "up")
        lan.run("ip", "addr", "add", f"10.{net}.0.2/24", "dev", theirs)
    container.run("ip", "addr", "add", "10.78.0.1/24", "dev", "out0")


def stop(container: Container) -> None:
    assert container.unit("NFileDescriptorStore") != "0"
    container.run("systemctl", "stop", "mcrelayd")
    assert container.unit("ActiveState") == "inactive"
    assert container.unit("Result") == "success"
    assert container.unit("NFileDescriptorStore") == "0"
    assert not list(container.path("/var/lib/mcrelay").rglob("*.part"))
    # Nobody has the ports any more.
    assert f":{PORT:04X} " not in container.run(
        "cat", "/proc/net/udp").stdout
    assert not container.path("/run/mcrelay").exists()


def purge(container: Container) -> None:
    """What was recorded stays, and whose it is; nothing else."""
    container.run("apt-get", "-y", "purge", *PACKAGES)
    assert container.unit("LoadState") == "not-found"
    left = container.run(
        "find", "/etc", "/run", "/usr", "/var", "(", "-path", "/usr/local",
        "-o", "-path", "/var/lib/mcrelay", "-o", "-path",
        "/etc/systemd/system/mcrelayd.service.d", ")", "-prune", "-o",
        "-name", "*mcrelay*", "-print")
    assert left.stdout == ""
    assert avro_files.files(container.path("/var/lib/mcrelay"), "one")
    assert container.run("stat", "-c", "%U", "/var/lib/mcrelay").stdout \
        == "mcrelay\n"


def installed_anew(container: Container) -> None:
    """Nothing is started before the configuration says anything, and nothing
    has failed; then what it says itself is to be done."""
    container.run("apt-get", "-y", "--no-install-recommends", "install",
                  *container.packages("mcrelay_*.deb"))
    assert container.unit("ActiveState") == "inactive"
    assert container.unit("UnitFileState") == "enabled"
    assert "nothing but comments" in container.journal()
    text = container.path("/etc/mcrelay.yaml").read_text()
    commands = re.findall(r"^#\t(.*(?:\n#\t .*)*)", text, re.M)
    assert len(commands) == 3
    for command in commands:
        container.run("sh", "-c", command.replace("\n#\t", "\n"))
    assert container.unit("ActiveState") == "active"
