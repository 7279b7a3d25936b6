# SPDX-License-Identifier: ISC
"""What the README and manual pages say that one can type: typed as printed.

Configurations are tried in test_config.py."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Programs, channel
from net import Sender, free_port, numbered

# These end when somebody ends them.
ENDLESS = ("mcrelayctl top", "mcrelayctl events")
# A host's: a script in a network namespace of its own begins with it.
NETWORK = """
ip link set lo up
ip link add eth1 type veth peer name eth2
ip link set eth2 up
ip addr add 10.77.0.1/24 dev eth1
ip link set eth1 up
"""
# To where groups have no interface.
ROUTE = "ip route add 224.0.0.0/4 dev eth1\n"


def path_to(programs: Programs, place: Path) -> dict[str, str]:
    """An environment in which the programs are found by their names."""
    place.mkdir()
    for program in (programs.mcrelayd, programs.mcrelayctl, programs.gen):
        for each in program.parent.glob("mcrelay*"):
            if os.access(each, os.X_OK) and each.is_file() and \
                    not (place / each.name).exists():
                (place / each.name).symlink_to(each)
    return dict(os.environ) | {
        "PATH": f"{place}:/usr/sbin:/usr/bin:/sbin:/bin",
        "MCRELAY_LIBEXECDIR": str(programs.libexec)}


def run(script: str, place: Path, environment: dict[str, str],
        prefix: tuple[str, ...] = ()) -> str:
    done = subprocess.run([*prefix, "sh", "-exc", script], cwd=place,
                          env=environment, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                          stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stdout
    return done.stdout


def built_in(program: Path, end: str, place: Path) -> Path:
    """A path that was built in: a package has another one.  If it has blanks,
    by a link in place: what is shown has no quotes."""
    found = re.search(b"/[ -~]*" + re.escape(end.encode()),
                      program.read_bytes())
    assert found
    path = Path(found[0].decode())
    if " " not in str(path):
        return path
    there = next(p for p in path.parents if p.exists())
    link = place / f"to-{path.name}"
    link.symlink_to(there)
    return link / path.relative_to(there)


def literals(page: Path) -> list[str]:
    """What a manual page shows, as a terminal shows it."""
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page.read_text(),
                       re.M | re.S)
    return [re.sub(r"\\e", r"\\", text).replace("\\(dq", '"')
            .replace("\\-", "-").replace("\\&", "") for text in found]


def test_generator(programs: Programs, source: Path, tmp_path: Path) -> None:
    """What mcrelay-gen(1) shows: a sink that gets all, and samples of a
    schema."""
    environment = path_to(programs, tmp_path / "bin")
    to_sink, samples = literals(source / "man/mcrelay-gen.1")
    said = run(to_sink, tmp_path, environment)
    assert re.search("^received +10000$", said, re.M), said
    said = run(samples, tmp_path, environment)
    assert re.search("^datums +[1-9]", said, re.M), said


def test_verify(daemon: Daemon, source: Path, tmp_path: Path) -> None:
    """What mcrelay-verify(1) shows, of a file whose end is torn."""
    environment = path_to(daemon.programs, tmp_path / "bin")
    port = free_port()
    daemon.start(channel("one", port, archive=daemon.archive_conf()))
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(1000))
        daemon.wait_received("one", 1000)
    daemon.stop()
    whole = next(daemon.archive.rglob("*.avro")).read_bytes()
    (tmp_path / "accel.avro.torn").write_bytes(whole[:-100])
    shown, = literals(source / "man/mcrelay-verify.1")
    report, repair = shown.splitlines()
    # Both say with their status that there is damage.
    for command in report, repair:
        run(f"{command} || [ $? -eq 1 ]", tmp_path, environment)
    run("mcrelay-verify accel.repaired.avro", tmp_path, environment)


def typed(line: str) -> str:
    line = line.partition("  #")[0].rstrip()
    if line.startswith(ENDLESS):
        # It goes on until then, and has nothing to complain about.
        return f"timeout 2 {line} 2>said || [ $? -eq 124 ]\ntest ! -s said\n"
    if line.startswith("mcrelayctl doctor"):
        # What it finds on this host is its own business.
        return f"{line} >said || [ $? -eq 1 ]\ntest -s said\n"
    return line + "\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for directories "
                    "and a network of its own")
def test_readme(programs: Programs, source: Path, tmp_path: Path) -> None:
    """Check, start, look, change, stop: the commands of `Configuration by
    example', with its second file and the schema that comes along."""
    text = (source / "README.md").read_text()
    _, before = text.split("\n## Configuration by example\n")
    conf = re.findall(r"^```yaml\n(.*?)^```", before, re.M | re.S)[1]
    assert "schema: accel.avsc" in conf
    commands = re.search(r"start, look, change, stop:\n\n((?:    .*\n)+)",
                         before)
    assert commands
    lines = [line.strip() for line in commands[1].splitlines()]
    assert len(lines) >= 10

    run_dir = built_in(programs.mcrelayctl, "/mcrelay/mcrelayd.sock",
                       tmp_path).parent
    top = next(p for p in run_dir.parents if p.exists())
    (tmp_path / "mcrelay.yaml").write_text("user: nobody\n" + conf)
    (tmp_path / "accel.avsc").write_bytes(
        (source / "etc/example/accel.avsc").read_bytes())
    stop = lines.pop()
    script = NETWORK + ROUTE + f"""
        mount -t tmpfs none /var/lib
        mount -t tmpfs none {top}
        mkdir -p {run_dir.parent} /var/lib/mcrelay
        chown nobody /var/lib/mcrelay
        trap 'kill $(cat {run_dir}/mcrelayd.pid)' EXIT
        """ + "".join(map(typed, lines)) + f"""
        trap - EXIT
        pid=$(cat {run_dir}/mcrelayd.pid)
        {stop}
        timeout 20 tail --pid=$pid -f /dev/null
        ls /var/lib/mcrelay/accel
        """
    said = run(script.replace("/usr/local/var/run/mcrelay", str(run_dir)),
               tmp_path, path_to(programs, tmp_path / "bin"),
               ("unshare", "--mount", "--net"))
    assert "configuration OK" in said
    assert re.search("^accel +running", said, re.M), said
