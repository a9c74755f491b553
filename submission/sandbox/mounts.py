"""Takes the file system away from this process and all that it starts, but for reading.

It happens in a mount namespace that the process makes for itself first: nothing of it reaches the rest of the machine.

Everything is read-only except some folders. Places where programs put Unix sockets are covered by empty, temporary
ones, as are the devices. Other sockets that are known are covered one by one, since a read-only file system does not
keep anybody from connecting. At the end all capabilities are dropped, so nothing of it can be undone.

Source: mount(2), mount_setattr(2), capset(2), prctl(2).
"""

import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

COVERED = ("/run", "/tmp", "/var/tmp", "/dev")
"""Temporary and empty inside, but for what is asked for."""
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
    """Make the file system read-only but for some folders, hide sockets, and drop all capabilities.

    The first thing is a mount namespace of its own, whoever called; without one nothing is mounted. Namespaces and
    capabilities belong to threads: this thread and those that it starts from then on are confined.

    Args:
        writable: existing folders.
        readable: existing folders that are wanted even if they lie in a covered place.
        sockets: paths of sockets to cover.

    Raises:
        OSError: the system does not allow it, or has no such calls.
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
    os.chdir(os.getcwd())  # the folder as it is mounted now
    _drop_capabilities()


def unix_sockets() -> list[str]:
    """Paths of the Unix sockets that programs listen on here, as far as the system tells."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []
    columns = [line.split(maxsplit=7) for line in lines]
    return sorted({parts[7] for parts in columns if len(parts) == 8 and parts[7].startswith("/")})


def _enter_own_namespace() -> None:
    """Leave the mount namespace that this process shares with others, and take no mounts to it or from it.

    Raises:
        OSError: the system does not allow it, or the process is in the same namespace as before.
    """
    before = os.stat("/proc/self/ns/mnt").st_ino
    _check(_libc().unshare(_CLONE_NEWNS), "unshare")
    if os.stat("/proc/self/ns/mnt").st_ino == before:
        raise OSError("expected a mount namespace of its own, got the one before: nothing was mounted")
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
        library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for those that the system does not know
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    _check(library.capset(header, ctypes.create_string_buffer(bytes(24))), "capset")
    _check(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
