"""models.running.ray_session: what is started is ended, whatever happens; what is there already is used and left.

Ray itself is a fake here; `tests/benchmark/runs/test_parallel.py` and `tests/tuning/trials/test_on_ray.py` start it.
"""

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from models.running.ray_session import FOLDER, check_address, machines, ray_session, remove_dead_sessions
from models.running.repository import ROOT


class FakeRay:
    """Notes how it was started and ended."""

    def __init__(self, running: bool = False, error: Exception | None = None) -> None:
        self.running, self.error = running, error
        self.options: dict[str, Any] = {}
        self.ended = 0

    def is_initialized(self) -> bool:
        return self.running

    def init(self, **options: Any) -> None:
        self.options = options
        if self.error:
            raise self.error

    def shutdown(self) -> None:
        self.ended += 1

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]


@pytest.fixture
def start(monkeypatch):
    """Puts a fake in the place of Ray, and a few variables in that of the environment."""

    def use(fake: FakeRay, environment: dict[str, str]) -> FakeRay:
        monkeypatch.setitem(sys.modules, "ray", fake)
        monkeypatch.setattr(os, "environ", environment)
        return fake

    return use


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError("no")])
def test_a_session_here_ends_with_its_folder(start, error):
    environment = {"PYTHONPATH": "/mine", "RAY_worker_niceness": "15"}
    ray = start(FakeRay(), environment)
    try:
        with ray_session(None, num_cpus=3, quiet=True) as session:
            assert session is ray and ray.ended == 0
            folder = Path(ray.options.pop("_temp_dir"))
            assert folder.is_dir() and folder.name.startswith(f"{FOLDER}{os.getpid()}-")
            if error:
                raise error
    except (KeyboardInterrupt, ValueError) as caught:
        assert caught is error
    assert ray.ended == 1 and not folder.exists()
    assert ray.options == {
        "address": "local",
        "num_cpus": 3,
        "include_dashboard": False,
        "object_store_memory": 2**27,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": {"PYTHONPATH": f"{ROOT}{os.pathsep}/mine"}},
    }
    assert environment["RAY_AUTH_MODE"] == "disabled" and environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["RAY_worker_niceness"] == "15"  # what the user sets stays


def test_ray_that_does_not_start_leaves_no_folder(start):
    ray = start(FakeRay(error=RuntimeError("no room")), {})
    with pytest.raises(RuntimeError, match="no room"), ray_session(None):
        pass
    assert ray.ended == 1 and not Path(ray.options["_temp_dir"]).exists()


def test_a_cluster_is_joined_as_it_is(start):
    environment: dict[str, str] = {}
    ray = start(FakeRay(), environment)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with ray_session(address, num_cpus=3):
            assert machines(ray) == [{"CPU": 2.0}]
    assert ray.options["address"] == address and ray.ended == 1
    assert not {"num_cpus", "_temp_dir", "logging_level"} & set(ray.options)
    assert "RAY_AUTH_MODE" not in environment  # the cluster may ask for a token


def test_an_address_where_nobody_answers_is_one_line(start):
    ray = start(FakeRay(error=ConnectionError("nobody\nthere")), {})
    message = r"^--address auto: no Ray cluster answers there \(nobody there\); start one with `ray start --head`$"
    with pytest.raises(ValueError, match=message), ray_session("auto"):
        pass
    assert ray.ended == 1


def test_an_address_at_which_nothing_listens_is_one_line_before_ray_tries(start, monkeypatch):
    ray = start(FakeRay(), {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "127.0.0.1:99999"):
        with pytest.raises(ValueError, match=f"^--address {address}: nothing answers there "), ray_session(address):
            pass
    assert not ray.options

    def wait(place, timeout):
        assert timeout <= 7.5  # two addresses of a name, and the rest, within 15 s
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", wait)
    with pytest.raises(ValueError, match=r"nothing answers there \(timed out\)"):
        check_address("10.255.255.1:6379")
    for address in (None, "auto", "local"):
        check_address(address)


@pytest.mark.parametrize("address", [None, "auto"])
def test_a_session_that_is_there_is_used_and_left(start, address):
    ray = start(FakeRay(running=True), {})
    with ray_session(address) as session:
        assert session is ray
    assert (ray.options, ray.ended) == ({}, 0)


def test_what_a_killed_process_left_is_removed(tmp_path):
    dead, living = tmp_path / f"{FOLDER}999999999-abc", tmp_path / f"{FOLDER}{os.getpid()}-abc"
    for folder in (dead, living, tmp_path / f"{FOLDER}other"):
        folder.mkdir()
    remove_dead_sessions(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, f"{FOLDER}other"]
