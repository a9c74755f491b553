"""Makes the file system read-only for this process and all that it starts.

The process first makes its own mount namespace, so the rest of the machine does not change.

Everything is read-only except some folders. Folders in which programs put Unix sockets are covered by empty, temporary
ones, and so is /dev. Other known sockets are covered one by one: a read-only file system does not stop a process from
connecting to them. At the end all capabilities are dropped, so that the process cannot undo any of this.

Source: mount(2), mount_setattr(2), capset(2), prctl(2).
"""

import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

COVERED = ("/run", "/tmp", "/var/tmp", "/dev")
"""Folders that become temporary and empty, except for the folders passed to `confine`."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
GPU_DEVICES = "nvidia*"

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MS_NOSUID, _MS_NODEV = 0x2, 0x4
_AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = -100, 0x8000, 0x1
_SYS_MOUNT_SETATTR = 442  # on every architecture
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITY_VERSION_3 = 0x20080522


def confine(writable: Sequence[str], readable: Sequence[str], sockets: Sequence[str]) -> None:
    """Make the file system read-only except for some folders, hide sockets, and drop all capabilities.

    It always makes a new mount namespace first; if that fails, nothing is mounted. Namespaces and capabilities belong
    to threads: this thread, and the threads that it starts afterwards, are confined.

    Args:
        writable: existing folders that stay writable.
        readable: existing folders that stay visible even if they are inside a covered folder.
        sockets: paths of sockets to cover.

    Raises:
        OSError: the system does not allow it, or lacks these system calls.
    """
    _enter_own_namespace()
    wanted = sorted({*map(Path, writable), *(Path(path) for path in readable if _is_covered(Path(path)))})
    opened = {path: os.open(path, os.O_PATH) for path in wanted}
    names = [*DEVICES, *(path.name for path in Path("/dev").glob(GPU_DEVICES))]
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in names if _is_device(f"/dev/{name}")}
    covered = [place for place in COVERED if Path(place).is_dir() and not Path(place).is_symlink()]
    for place in covered:
        _mount("tmpfs", place, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777,size=1g")
    for name, descriptor in devices.items():
        Path("/dev", name).touch()
        _mount(f"/proc/self/fd/{descriptor}", f"/dev/{name}", "", _MS_BIND)
    Path("/dev/shm").mkdir(mode=0o1777)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        Path("/dev", name).symlink_to(f"/proc/self/{target}")
    for path, descriptor in opened.items():
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", str(path), "", _MS_BIND | _MS_REC)
    for socket in sockets:
        if Path(socket).is_socket():
            _mount("/dev/null", socket, "", _MS_BIND)
    for descriptor in (*opened.values(), *devices.values()):
        os.close(descriptor)
    _set_read_only("/", True, _AT_RECURSIVE)
    for place in (*covered, *writable):
        _set_read_only(place, False, 0)
    os.chdir(os.getcwd())  # enter the new mount of the working folder
    _drop_capabilities()


def unix_sockets() -> list[str]:
    """Paths of the Unix sockets that /proc/net/unix lists; empty where the system has no such file."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []
    columns = [line.split(maxsplit=7) for line in lines]
    return sorted({parts[7] for parts in columns if len(parts) == 8 and parts[7].startswith("/")})


def _enter_own_namespace() -> None:
    """Enter a new mount namespace; mounts no longer pass between it and the old one.

    Raises:
        OSError: the system does not allow it, or the process is still in the old namespace.
    """
    before = os.stat("/proc/self/ns/mnt").st_ino
    _check(_libc().unshare(_CLONE_NEWNS), "unshare")
    if os.stat("/proc/self/ns/mnt").st_ino == before:
        raise OSError("expected a new mount namespace, got the old one: nothing was mounted")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def _is_covered(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in COVERED)


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    values = [os.fsencode(value) or None for value in (source, target, kind, options)]
    result = _libc().mount(values[0], values[1], values[2], ctypes.c_ulong(flags), values[3])
    _check(result, f"mount {target}")


def _set_read_only(path: str, is_read_only: bool, flags: int) -> None:
    change = (_ATTR_RDONLY, 0) if is_read_only else (0, _ATTR_RDONLY)
    attributes = struct.pack("=QQQQ", *change, 0, 0)
    result = _libc().syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(flags),
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
    )
    _check(result, f"mount_setattr {path}")


def _drop_capabilities() -> None:
    library = _libc()
    for capability in range(64):
        library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for numbers that the system does not have
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    _check(library.capset(header, ctypes.create_string_buffer(bytes(24))), "capset")
    _check(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
