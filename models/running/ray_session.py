"""A session of Ray: on this machine in a folder of its own, or on a cluster that is running."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.running.repository import ROOT

OBJECT_STORE_BYTES = 2**27
ANSWER_S = 7.0
"""How long an address may take to answer, for each of the machine's addresses."""
FOLDER = "bandsplit-"
"""What the name of a session's folder begins with; the number of the process that started it follows."""


@contextmanager
def ray_session(address: str | None, num_cpus: int | None = None, quiet: bool = False) -> Iterator[Any]:
    """Use the session there is, join a cluster, or start Ray here; what was begun ends with the block.

    Workers find this checkout at the path that it has here, and what PYTHONPATH names.

    Args:
        address: of a running cluster, as ``ray.init`` takes it, ``auto`` for the one on this machine; None starts Ray.
        num_cpus: of a session that is started here; None for as many as Ray finds.
        quiet: whether Ray logs errors alone.

    Yields:
        The module ``ray``.

    Raises:
        ValueError: no cluster answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's default, of which it warns
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a token would be written to the home folder
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # else it may kill a task for what others use
        os.environ.setdefault("RAY_worker_niceness", "0")  # as this process: Ray would give way to everything else
    import ray

    if ray.is_initialized():
        yield ray
        return
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    options: dict[str, Any] = {"log_to_driver": False, "runtime_env": {"env_vars": {"PYTHONPATH": path}}}
    if quiet:
        options["logging_level"] = logging.ERROR
    folder = None
    try:
        if address is None:
            parent = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # sockets need short paths
            remove_dead_sessions(Path(parent))
            folder = tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=parent)
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=folder,
                **options,
            )
        else:
            _join(ray, address, options)
        yield ray
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def check_address(address: str | None) -> None:
    """Raise ValueError if nothing listens at the address of a cluster; Ray itself would try for minutes.

    Args:
        address: ``HOST:PORT`` or ``ray://HOST:PORT``; None, ``auto`` and other names are left to Ray.
    """
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"--address {address}: nothing answers there ({error}); start a cluster with `ray start --head`"
        ) from None


def machines(ray: Any) -> list[dict[str, float]]:
    """The resources, such as CPU and GPU, of each machine of the session that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def remove_dead_sessions(parent: Path) -> None:
    """Remove the folders of sessions whose process was killed."""
    for folder in parent.glob(f"{FOLDER}*-*"):
        owner = folder.name.removeprefix(FOLDER).partition("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _join(ray: Any, address: str, options: dict[str, Any]) -> None:
    check_address(address)
    try:
        ray.init(address=address, **options)
    except Exception as error:  # Ray's own, one class for each way to fail
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"--address {address}: no Ray cluster answers there ({reason}); start one with `ray start --head`"
        ) from error


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True  # somebody else's
    except OSError:
        return False
    return True
