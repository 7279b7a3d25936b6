# SPDX-License-Identifier: ISC
"""A user for each channel: who gets which and keeps it, whose the files are,
and what one worker can do to the others, tried out attempt by attempt."""

from __future__ import annotations

import json
import os
import pwd
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemon import START_S, Daemon, channel
from net import Receiver, Sender, free_port, numbered
from waiting import wait_for

BASE = 64000
RANGE = {"base": BASE}


@pytest.fixture(autouse=True)
def root_and_room(daemon: Daemon) -> None:
    """The programs and directories are to be reached by other users."""
    if os.geteuid() != 0:
        pytest.skip("only root can give channels users of their own")
    for path in (daemon.directory, *daemon.directory.parents):
        if path.stat().st_uid == 0 and path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o055)


def ids(pid: int) -> dict[str, list[int]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {key: value.split() for key, _, value in
             (line.partition(":") for line in lines)}
    return {key: [int(word) for word in found[key]]
            for key in ("Uid", "Gid", "Groups")}


def users(daemon: Daemon) -> dict[str, int]:
    """As the status says, which is compared with what is so."""
    status = json.loads(daemon.ctl("status", "-j").stdout)
    for each in status["channels"] + status["decimators"]:
        user = each["user"]
        if each["pid"] is None or each["pid"] == 0:
            continue
        # One that has just been started becomes it.
        wait_for(lambda: ids(each["pid"]) == {
            "Uid": [user] * 4, "Gid": [user] * 4, "Groups": []}, str(each))
    return {c["name"]: c["user"] for c in status["channels"]} | \
        {f"decimator {i}": d["user"]
         for i, d in enumerate(status["decimators"])}


def workers(daemon: Daemon) -> dict[str, int]:
    return {name: user for name, user in users(daemon).items()
            if not name.startswith("decimator ")}


def give_away(daemon: Daemon, user: int) -> None:
    """Its directory, with a configuration that can be read, whatever our umask
    is."""
    os.chown(daemon.directory, user, user)
    daemon.config_file.touch()
    daemon.config_file.chmod(0o644)


def archived(daemon: Daemon, name: str, port: int, **more: Any
             ) -> dict[str, Any]:
    return channel(name, port, archive=daemon.archive_conf(), **more)


def view(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"name": "view", "method": "pick", "every": 1,
            "address": "127.0.0.1", "port": receiver.port} | more


def test_each_its_own(daemon: Daemon) -> None:
    """Workers, those that archive streams, and the decimator; files and
    directories; after an upgrade, a restart of a worker and of all."""
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        conf = [archived(daemon, "one", port,
                         decimate=[view(receiver, archive=True)]),
                archived(daemon, "two", free_port()),
                channel("bare", free_port())]
        daemon.start(*conf, user=RANGE)
        before = users(daemon)
        assert before["decimator 0"] == BASE
        assert len(set(before.values())) == 5
        assert set(before.values()) <= set(range(BASE, BASE + 1001))
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        daemon.wait_received("one.view", 100)
        daemon.ctl("rotate")
        for name in ("one", "one.view"):
            wait_for(lambda name=name: list(daemon.archive.glob(
                f"{name}/*.avro")), "a finished file")
        for name in ("one", "two", "one.view"):
            place = daemon.archive / name
            assert {(path.stat().st_uid, path.stat().st_gid)
                    for path in (place, *place.rglob("*"))} == \
                {(before[name], before[name])}, list(place.rglob("*"))
        assert daemon.archive.stat().st_uid == 0
        old = daemon.worker_pid("one")
        os.kill(old, signal.SIGKILL)
        old = daemon.wait_new_worker("one", old)
        assert users(daemon) == before
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        assert users(daemon) == before
        sender.send(numbered(100, first=100))
        daemon.wait_received("one", 200)
        daemon.wait_received("one.view", 200)
        daemon.stop()
        daemon.start(*reversed(conf), user=RANGE)
        assert users(daemon) == before
        daemon.stop()


def test_web(daemon: Daemon) -> None:
    """Whom the network can talk to is nobody else either; where it is not
    built in, it is only said who it would be."""
    conf = channel("one", free_port())
    web = {"address": "127.0.0.1", "port": free_port()}
    daemon.write(conf, user=RANGE, web=web)
    done = daemon.check()
    if done.returncode != 0:
        pytest.skip(f"no web here: {done.stderr}")
    assert f"mcrelay-web runs as user id {BASE + 1001}\n" in done.stdout
    daemon.start()

    def running() -> dict[str, Any] | None:
        status = json.loads(daemon.ctl("status", "-j").stdout)["web"]
        return status if status["state"] == "running" else None

    status = wait_for(running, "mcrelay-web", START_S, daemon.log)
    assert status["user"] == BASE + 1001
    assert ids(status["pid"]) == {"Uid": [BASE + 1001] * 4,
                                  "Gid": [BASE + 1001] * 4, "Groups": []}
    told = try_all(BASE + 1001, daemon.worker_pid("one"), "")
    assert told and not any(told.values()), told
    daemon.stop()


def test_summary_schema(daemon: Daemon) -> None:
    """What the supervisor writes for a channel is the channel's."""
    schema = daemon.directory / "v.avsc"
    schema.write_text(json.dumps({"type": "record", "name": "V", "fields": [
        {"name": "v", "type": "double"}]}))
    with Receiver() as receiver:
        daemon.start(archived(
            daemon, "one", free_port(),
            payload={"format": "avro", "schema": str(schema)},
            decimate=[view(receiver, method="mean", shape="summary")]),
            user=RANGE)
        written = daemon.archive / "one/one.view.avsc"
        assert written.stat().st_uid == users(daemon)["one"]
        daemon.stop()


def test_reload_keeps(daemon: Daemon) -> None:
    """Whatever else comes, goes or moves; and who comes back finds his
    own."""
    one, two, three, four = (
        archived(daemon, name, free_port())
        for name in ("one", "two", "three", "four"))
    daemon.start(one, two, user=RANGE)
    before = workers(daemon)
    pids = {name: daemon.worker_pid(name) for name in ("one", "two")}
    daemon.write(three, two, four, one, user=RANGE)
    daemon.ctl("reload")
    daemon.wait_running()
    after = workers(daemon)
    assert after.items() >= before.items()
    assert len(set(after.values())) == 4
    assert {name: daemon.worker_pid(name) for name in pids} == pids
    daemon.write(two, user=RANGE)
    daemon.ctl("reload")
    wait_for(lambda: list(workers(daemon)) == ["two"], "the others gone",
             START_S, daemon.log)
    daemon.write(four, one, two, three, user=RANGE)
    daemon.ctl("reload")
    daemon.wait_running()
    assert workers(daemon) == after
    daemon.stop()


def fnv(name: str) -> int:
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 % 2 ** 32
    return value


def test_owner_decides(daemon: Daemon) -> None:
    """An archive that came from somewhere else is its owner's; what nobody
    has, but a directory, nobody new gets."""
    wanted = fnv("new") % 1000 + 1 + BASE
    (daemon.archive / "gone").mkdir(parents=True)
    os.chown(daemon.archive / "gone", wanted, wanted)
    (daemon.archive / "old").mkdir()
    os.chown(daemon.archive / "old", BASE + 7, BASE + 7)
    daemon.start(archived(daemon, "new", free_port()),
                 archived(daemon, "old", free_port()), user=RANGE)
    assert workers(daemon) == {"new": wanted + 1, "old": BASE + 7}
    daemon.stop()
    os.chown(daemon.archive / "gone", 0, 0)
    told = daemon.check().stdout
    assert f"channel new runs as user id {wanted + 1}\n" in told
    assert f"channel old runs as user id {BASE + 7}\n" in told
    assert f"decimators run as user id {BASE}\n" in told


def test_directory_of_another(daemon: Daemon) -> None:
    """Is not taken, but said, with the command; the channel goes on when
    that was done."""
    place = daemon.archive / "one"
    place.mkdir(parents=True)
    for path in daemon.archive, place:
        path.chmod(0o755)       # whatever our umask is
    (place / "notes").write_text("mine")
    daemon.write(archived(daemon, "one", free_port()),
                 channel("two", free_port()), user=RANGE)
    daemon.launch()
    wait_for(daemon.try_status, "a status", START_S, daemon.log)
    one = daemon.wait_state("one", "waiting")
    user = one["user"]
    assert [r["what"] for r in one["reasons"]] == ["archive_directory"]
    assert f"chown -hR {user}:{user}" in one["reasons"][0]["detail"]
    assert place.stat().st_uid == 0
    daemon.wait_state("two", "running")
    os.chown(place / "notes", user, user)
    os.chown(place, user, user)
    daemon.wait_state("one", "running")
    daemon.stop()


def test_empty_directory(daemon: Daemon) -> None:
    """One that was made for it, and is root's still, is given to it."""
    (daemon.archive / "one").mkdir(parents=True)
    daemon.start(archived(daemon, "one", free_port()), user=RANGE)
    assert (daemon.archive / "one").stat().st_uid == workers(daemon)["one"]
    daemon.stop()


def test_closed_directory_above(daemon: Daemon) -> None:
    """Where only some may read, workers need not pass to write."""
    daemon.archive.mkdir(mode=0o700)
    port = free_port()
    with Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port),
                     channel("evil", free_port()), user=RANGE)
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        daemon.ctl("rotate")
        evil = users(daemon)["evil"]
        done = subprocess.run(["ls", str(daemon.archive / "one")],
                              user=evil, group=evil, extra_groups=[],
                              text=True, capture_output=True, cwd="/")
        assert done.returncode != 0
        assert "Permission denied" in done.stderr
        daemon.stop()
        assert daemon.payloads("one") == numbered(100)


@pytest.mark.parametrize("mode, owner, complaint", [
    (0o777, 0, "everybody may write to"),
    (0o755, BASE + 5, "belongs to user id 64005"),
])
def test_directory_above(daemon: Daemon, mode: int, owner: int,
                         complaint: str) -> None:
    """One worker could put its own directory in another's place."""
    daemon.archive.mkdir()
    daemon.archive.chmod(mode)
    os.chown(daemon.archive, owner, 0)
    daemon.write(archived(daemon, "one", free_port()), user=RANGE)
    for done in (daemon.check(), daemon.run("-d")):
        assert done.returncode == 1
        assert complaint in done.stderr


def test_change_of_user(daemon: Daemon) -> None:
    """By neither reload nor upgrade: files would be of two users."""
    conf = archived(daemon, "one", free_port())
    daemon.start(conf, user=RANGE)
    before = workers(daemon)
    for other in ({"base": BASE, "count": 999}, "nobody"):
        daemon.write(conf, user=other)
        for word in ("reload", "upgrade"):
            done = daemon.ctl(word, check=False)
            assert done.returncode != 0
            assert f"user cannot be changed by a" in done.stderr + \
                done.stdout
        assert workers(daemon) == before
    daemon.write(conf, user=RANGE)
    daemon.stop()


@pytest.fixture
def named(daemon: Daemon, tmp_path: Path) -> Path:
    """Files of users and groups of the daemon's own, in its own mount
    namespace: the former, with the latter beside it."""
    if not Path("/usr/bin/unshare").exists():
        pytest.skip("needs unshare, of the Debian package util-linux")
    for name in ("passwd", "group"):
        (tmp_path / name).write_text(Path("/etc", name).read_text())
    passwd = tmp_path / "passwd"
    plain = daemon.command

    def command(*options: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-ec",
                'for file in passwd group; do '
                'mount --bind "$0/$file" /etc/$file; done; exec "$@"',
                str(tmp_path), *plain(*options)]
    daemon.command = command    # type: ignore[method-assign]
    return passwd


def add_users(passwd: Path, **of: int) -> None:
    with passwd.open("a") as file:
        for name, uid in of.items():
            file.write(f"mcr-{name}:x:{uid}:{uid}::/:/usr/sbin/nologin\n")


def test_by_name(daemon: Daemon, named: Path) -> None:
    daemon.write(archived(daemon, "one", free_port()),
                 channel("two", free_port()), user="mcr-%c")
    add_users(named, one=4001)
    done = daemon.check()
    assert done.returncode == 1
    for user in ("mcr-two", "mcr-decimator"):
        assert f"there is no user `{user}'" in done.stderr
        assert f"/usr/sbin/nologin {user})" in done.stderr
    assert "`mcr-one'" not in done.stderr
    add_users(named, two=4001, decimator=4003)
    done = daemon.check()
    assert "channels one and two would both be user id 4001" in done.stderr
    named.write_text(named.read_text().replace("mcr-two:x:4001:4001",
                                               "mcr-two:x:4002:4002"))
    daemon.start()
    assert workers(daemon) == {"one": 4001, "two": 4002}
    assert (daemon.archive / "one").stat().st_uid == 4001
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    assert workers(daemon) == {"one": 4001, "two": 4002}
    daemon.stop()


def test_accounts_are_not_chosen(daemon: Daemon, named: Path) -> None:
    """Whoever may log in is no channel's user."""
    wanted = fnv("one") % 1000 + 1 + BASE
    with named.open("a") as file:
        file.write(f"somebody:x:{wanted}:{wanted}::/:/bin/sh\n")
    daemon.start(channel("one", free_port()), user=RANGE)
    assert workers(daemon) == {"one": wanted + 1}
    daemon.stop()
    with named.open("a") as file:
        file.write(f"other:x:{BASE}:{BASE}::/:/bin/sh\n")
    done = daemon.check()
    assert done.returncode == 1
    assert f"user id {BASE}, for the decimators" in done.stderr


def test_without_root(daemon: Daemon) -> None:
    """With the capabilities to make others, and nothing else: as a service
    would have it."""
    caps = ",".join(f"+{name}" for name in ("setuid", "setgid", "chown",
                                            "kill"))
    if not Path("/usr/bin/setpriv").exists():
        pytest.skip("needs setpriv, of the Debian package util-linux")
    give_away(daemon, 4000)
    plain = daemon.command
    daemon.command = lambda *options: [     # type: ignore[method-assign]
        "setpriv", "--reuid=4000", "--regid=4000", "--clear-groups",
        f"--inh-caps=-all,{caps}", f"--bounding-set=-all,{caps}",
        f"--ambient-caps=-all,{caps}", "--no-new-privs", *plain(*options)]
    port = free_port()
    with Receiver() as receiver, Sender("127.0.0.1", port) as sender:
        daemon.start(archived(daemon, "one", port,
                              decimate=[view(receiver)]),
                     archived(daemon, "two", free_port()), user=RANGE)
        before = users(daemon)
        assert len(set(before.values())) == 3
        assert (daemon.archive / "one").stat().st_uid == before["one"]
        pid = daemon.worker_pid("one")
        daemon.ctl("restart", "one")
        daemon.wait_new_worker("one", pid)
        daemon.ctl("upgrade")
        daemon.wait_log("all processes are of version")
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
        assert users(daemon) == before
        status = json.loads(daemon.ctl("status", "-j").stdout)
        assert status["user"] == 4000
        assert set(status["capabilities"]) == {
            "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_KILL"}
        daemon.stop()


def test_nobody_else(daemon: Daemon) -> None:
    """Without these capabilities all are who started the daemon, and that is
    said."""
    give_away(daemon, 4000)
    plain = daemon.command
    daemon.command = lambda *options: [     # type: ignore[method-assign]
        "setpriv", "--reuid=4000", "--regid=4000", "--clear-groups",
        "--inh-caps=-all", *plain(*options)]
    conf = archived(daemon, "one", free_port())
    daemon.start(conf, channel("two", free_port()), user=RANGE)
    assert users(daemon) == {"one": 4000, "two": 4000, "decimator 0": 4000}
    daemon.write(conf, user=RANGE)
    daemon.ctl("reload")
    assert workers(daemon) == {"one": 4000}
    daemon.stop()
    assert "not run as users of their own, but all as user id 4000" in \
        daemon.log()


def test_groups(daemon: Daemon, named: Path) -> None:
    """One user for all has his groups, also after an upgrade; nobody else
    has any."""
    add_users(named, all=4001)
    group = named.with_name("group")
    group.write_text(Path("/etc/group").read_text() +
                     "mcr-more:x:4100:mcr-all\n")
    conf = channel("one", free_port())
    daemon.start(conf, user="mcr-all")

    def groups() -> list[int]:
        return sorted(ids(daemon.worker_pid("one"))["Groups"])

    assert groups() == [4001, 4100]
    daemon.ctl("upgrade")
    daemon.wait_log("all processes are of version")
    assert groups() == [4001, 4100]
    daemon.stop()


# What a worker would try at another one.  Run as its user, in no sandbox: so
# that nothing but the user is in the way.
HOSTILE = r"""
import ctypes, ctypes.util, json, os, resource, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, place, address = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def checked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result

class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

def read_memory():
    buffer = ctypes.create_string_buffer(8)
    local = Span(ctypes.addressof(buffer), 8)
    remote = Span(address, 8)
    checked(libc.process_vm_readv(pid, ctypes.byref(local), 1,
                                  ctypes.byref(remote), 1, 0))

def seize():
    checked(libc.ptrace(0x4206, pid, None, None))
    checked(libc.ptrace(0x4207, pid, None, None))   # only interrupt it
    os.waitpid(pid, 0)
    checked(libc.ptrace(17, pid, None, None))

def take_segment():
    fd = os.pidfd_open(pid)
    checked(libc.syscall(438, fd, 4, 0))

def segment_of_it():
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}").startswith(
                ("/memfd:", "/dev/shm/mcrelay.")):
            return int(fd)
    raise OSError("there is none")

def opens(what, flags=os.O_RDONLY):
    return lambda: os.close(os.open(f"/proc/{pid}/{what}", flags))

def open_segment():
    os.close(os.open(f"/proc/{pid}/fd/{segment_of_it()}", os.O_RDWR))

def make_file():
    open(f"{place}/planted", "x").close()
    os.unlink(f"{place}/planted")

def files():
    return [f"{place}/{n}" for n in os.listdir(place)]

def write_file():
    os.close(os.open(files()[0], os.O_WRONLY))

def rename_file():
    os.rename(files()[0], f"{place}/moved")
    os.rename(f"{place}/moved", files()[0])

def rename_place():
    os.rename(place, place + "x")
    os.rename(place + "x", place)

attempts = {
    "signal it": lambda: os.kill(pid, signal.SIGCONT),
    "signal its group": lambda: os.killpg(os.getpgid(pid), signal.SIGCONT),
    "signal it by pidfd": lambda: signal.pidfd_send_signal(
        os.pidfd_open(pid), signal.SIGCONT),
    "trace it": seize,
    "read its memory": read_memory,
    "open its memory": opens("mem", os.O_RDWR),
    "see its map": opens("maps"),
    "see its environment": lambda: open(f"/proc/{pid}/environ").read(),
    "list its descriptors": lambda: os.listdir(f"/proc/{pid}/fd"),
    "open its segment": open_segment,
    "take its segment": take_segment,
    "open its directory": lambda: os.listdir(f"/proc/{pid}/cwd/"),
    "slow it down": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
    "move it": lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
    "limit it": lambda: resource.prlimit(
        pid, resource.RLIMIT_NOFILE, (100, 100)),
}
if place:
    attempts |= {
        "make a file": make_file,
        "write to a file": write_file,
        "rename a file": rename_file,
        "change its mode": lambda: os.chmod(place, 0o700),
    }
told = {}
for what, attempt in attempts.items():
    try:
        attempt()
        told[what] = True
    except OSError as error:
        told[what] = False
print(json.dumps(told))
"""


def try_all(user: int, pid: int, place: Path | str) -> dict[str, bool]:
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    address = next(int(line.split("-")[0], 16) for line in maps
                   if " rw-p " in line)
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-B", "-c", HOSTILE, str(pid),
         str(place), str(address)],
        user=user, group=user, extra_groups=[], text=True,
        capture_output=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def prey(daemon: Daemon, receiver: Receiver, user: Any
         ) -> dict[str, tuple[int, Path | str]]:
    """The other processes, without a sandbox, and their files."""
    daemon.environment["MCRELAY_SANDBOX"] = "none"
    port = free_port()
    daemon.start(channel("evil", free_port()),
                 archived(daemon, "one", port, decimate=[view(receiver)]),
                 user=user)
    with Sender("127.0.0.1", port) as sender:
        sender.send(numbered(100))
        daemon.wait_received("one", 100)
    wait_for(lambda: list((daemon.archive / "one").glob("one_*")),
             "a file", 10.0, daemon.log)
    status = json.loads(daemon.ctl("status", "-j").stdout)
    assert daemon.process is not None
    return {"worker": (daemon.worker_pid("one"), daemon.archive / "one"),
            "decimator": (status["decimators"][0]["pid"], ""),
            "supervisor": (daemon.process.pid, "")}


def test_hostile_worker(daemon: Daemon) -> None:
    """Each attempt is refused at each of the others."""
    with Receiver() as receiver:
        victims = prey(daemon, receiver, RANGE)
        evil = workers(daemon)["evil"]
        for who, (pid, place) in victims.items():
            told = try_all(evil, pid, place)
            assert told and not any(told.values()), (who, told)
        # Nobody that is not there, nor anybody who may do nothing at all.
        own = try_all(evil, daemon.worker_pid("evil"), "")
        assert own["signal it"], own
        assert own["open its segment"] == daemon.programs.linux, own
        daemon.stop()


def test_hostile_worker_of_the_same_user(daemon: Daemon) -> None:
    """The attempts are some: so it would be with one user for all."""
    nobody = pwd.getpwnam("nobody").pw_uid
    with Receiver() as receiver:
        victims = prey(daemon, receiver, "nobody")
        scope = Path("/proc/sys/kernel/yama/ptrace_scope")
        traced = not scope.exists() or scope.read_text().strip() == "0"
        for who in ("worker", "decimator"):
            pid, place = victims[who]
            told = try_all(nobody, pid, place)
            refused = {what for what, worked in told.items() if not worked}
            if not traced:
                refused -= {"trace it", "read its memory", "open its memory",
                            "take its segment"}
            # A decimator has mapped them, and no more; those that have, or had,
            # a name are root's.
            if who == "decimator" or not daemon.programs.linux:
                refused -= {"open its segment"}
            # Where we are; that may be closed for anybody.
            if not os.stat(f"/proc/{pid}/cwd").st_mode & stat.S_IROTH:
                refused -= {"open its directory"}
            assert not refused, (who, refused)
        daemon.kill()
