# SPDX-License-Identifier: ISC
"""A file server that may be away: a directory behind FUSE, by the kernel's
protocol and in a thread, so that nothing has to be installed.  As with NFS, what
is open follows a directory that is renamed on the server."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import subprocess
import threading
from pathlib import Path

MAX_WRITE = 128 << 10
ROOT = 1


class FuseServer:
    """What is in `backing' is at `place', as long as it answers."""

    def __init__(self, backing: Path, place: Path) -> None:
        self.place = place
        self.node: dict[int, int] = {ROOT: os.open(backing, os.O_PATH)}
        self.number: dict[tuple[int, int], int] = {}
        self.answers = threading.Event()
        self.answers.set()
        self.held = 0
        self.fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        libc = ctypes.CDLL(None, use_errno=True)
        options = (f"fd={self.fuse},rootmode=40000,user_id=0,group_id=0,"
                   "allow_other,default_permissions")
        if libc.mount(b"mcrelay-test", str(place).encode(), b"fuse", 0,
                      options.encode()) != 0:
            error = ctypes.get_errno()
            os.close(self.fuse)
            raise OSError(error, "mount")
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def hang(self) -> None:
        self.answers.clear()

    def go_on(self) -> None:
        self.answers.set()

    def close(self) -> None:
        self.go_on()
        subprocess.run(["umount", "-l", str(self.place)], check=True,
                       timeout=10, stdin=subprocess.DEVNULL)
        self.thread.join(10)
        os.close(self.fuse)
        for fd in self.node.values():
            os.close(fd)

    # The protocol.

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self.fuse, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return      # ENODEV: it was unmounted
            if not self.answers.is_set():
                self.held += 1
                self.answers.wait()
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (2, 36, 42):       # FORGET, INTERRUPT
                continue
            name, data = OPERATIONS.get(opcode), b""
            try:
                if name is None:
                    raise OSError(errno.ENOSYS, "")
                data = getattr(self, name)(node, request[40:]) or b""
                code = 0
            except OSError as error:
                code = -(error.errno or errno.EIO)
            try:
                os.write(self.fuse, struct.pack("<IiQ", 16 + len(data), code,
                                                unique) + data)
            except OSError:
                pass        # who asked does not want to know any more

    def _path(self, node: int) -> str:
        return f"/proc/self/fd/{self.node[node]}"

    def _at(self, node: int, name: bytes) -> str:
        return f"{self._path(node)}/{os.fsdecode(name.split(bytes(1))[0])}"

    @staticmethod
    def _attr(st: os.stat_result) -> bytes:
        def parts(ns: int) -> tuple[int, int]:
            return ns // 10**9, ns % 10**9
        times = [parts(ns) for ns in (st.st_atime_ns, st.st_mtime_ns,
                                      st.st_ctime_ns)]
        return struct.pack("<6Q10I", st.st_ino, st.st_size, st.st_blocks,
                           *(t[0] for t in times), *(t[1] for t in times),
                           st.st_mode, st.st_nlink, st.st_uid, st.st_gid,
                           0, 4096, 0)

    def _entry(self, path: str) -> bytes:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        st = os.fstat(fd)
        key = st.st_dev, st.st_ino
        node = self.number.get(key, 0)
        if node and os.fstat(self.node[node]).st_nlink > 0:
            os.close(fd)
        else:
            node = self.number[key] = max(self.node) + 1
            self.node[node] = fd
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self._attr(st)

    def init(self, _: int, data: bytes) -> bytes:
        _, _, readahead, _ = struct.unpack_from("<4I", data)
        return struct.pack("<4I2H2I2H8I", 7, 31, readahead, 1 << 5, 12, 9,
                           MAX_WRITE, 1, 32, 0, *[0] * 8)

    def lookup(self, node: int, data: bytes) -> bytes:
        return self._entry(self._at(node, data))

    def getattr(self, node: int, _: bytes) -> bytes:
        return struct.pack("<Q2I", 0, 0, 0) + \
            self._attr(os.fstat(self.node[node]))

    def setattr(self, node: int, data: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<2I2Q", data)
        mode, _, uid, gid = struct.unpack_from("<4I", data, 68)
        if valid & 1:
            os.chmod(self._path(node), stat.S_IMODE(mode))
        if valid & 6:
            os.chown(self._path(node), uid if valid & 2 else -1,
                     gid if valid & 4 else -1)
        if valid & 8:
            os.truncate(self._path(node), size)
        return self.getattr(node, b"")

    def mkdir(self, node: int, data: bytes) -> bytes:
        os.mkdir(self._at(node, data[8:]),
                 struct.unpack_from("<I", data)[0] & 0o7777)
        return self._entry(self._at(node, data[8:]))

    def unlink(self, node: int, data: bytes) -> None:
        os.unlink(self._at(node, data))

    def rmdir(self, node: int, data: bytes) -> None:
        os.rmdir(self._at(node, data))

    def rename(self, node: int, data: bytes) -> None:
        old, new = data[8:].split(bytes(1))[:2]
        os.rename(self._at(node, old), self._at(
            struct.unpack_from("<Q", data)[0], new))

    def rename2(self, node: int, data: bytes) -> None:
        to, flags, _ = struct.unpack_from("<Q2I", data)
        new = data[16:].split(bytes(1))[1]
        if flags & 1 and os.path.lexists(self._at(to, new)):
            raise OSError(errno.EEXIST, "")
        self.rename(node, data[:8] + data[16:])

    def open(self, node: int, data: bytes) -> bytes:
        flags = struct.unpack_from("<I", data)[0] & ~os.O_NOFOLLOW
        return struct.pack("<Q2I", os.open(self._path(node), flags), 0, 0)

    def create(self, node: int, data: bytes) -> bytes:
        flags, mode = struct.unpack_from("<2I", data)
        path = self._at(node, data[16:])
        fd = os.open(path, flags | os.O_CREAT, mode & 0o7777)
        return self._entry(path) + struct.pack("<Q2I", fd, 0, 0)

    def read(self, _: int, data: bytes) -> bytes:
        fd, offset, size = struct.unpack_from("<2QI", data)
        return os.pread(fd, size, offset)

    def write(self, _: int, data: bytes) -> bytes:
        fd, offset, size = struct.unpack_from("<2QI", data)
        return struct.pack("<2I", os.pwrite(fd, data[40:40 + size], offset),
                           0)

    def release(self, _: int, data: bytes) -> None:
        os.close(struct.unpack_from("<Q", data)[0])

    def fsync(self, _: int, data: bytes) -> None:
        os.fsync(struct.unpack_from("<Q", data)[0])

    def nothing(self, _: int, _data: bytes) -> None:
        """All is well."""

    def readdir(self, _: int, data: bytes) -> bytes:
        fd, offset, size = struct.unpack_from("<2QI", data)
        out = b""
        names = [".", "..", *sorted(os.listdir(fd))]
        for number, name in enumerate(names[offset:], offset + 1):
            text = os.fsencode(name)
            each = struct.pack("<2Q2I", number, number, len(text), 0) + text
            each += bytes(-len(each) % 8)
            if len(out) + len(each) > size:
                break
            out += each
        return out

    def statfs(self, node: int, _: bytes) -> bytes:
        st = os.statvfs(self._path(node))
        return struct.pack("<5Q4I6I", st.f_blocks, st.f_bfree, st.f_bavail,
                           st.f_files, st.f_ffree, st.f_bsize, 255,
                           st.f_frsize, 0, *[0] * 6)


OPERATIONS = {
    1: "lookup", 3: "getattr", 4: "setattr", 9: "mkdir", 10: "unlink",
    11: "rmdir", 12: "rename", 14: "open", 15: "read", 16: "write",
    17: "statfs", 18: "release", 20: "fsync", 25: "nothing", 26: "init",
    27: "open", 28: "readdir", 29: "release", 30: "fsync", 35: "create",
    38: "nothing", 45: "rename2"}
