"""The energy meter: packages are added up, parts of packages are not, counters begin again, some cannot be read."""

import sys
import types
from pathlib import Path

import pytest

from benchmark.provenance.energy import EnergyMeter
from benchmark.timing.speed import measure_speed


def package(root: Path, name: str, microjoules: int, largest: int = 1_000_000_000) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{largest}\n")
    return folder


def test_packages_are_added_up_and_their_parts_are_not(tmp_path):
    first, second = package(tmp_path, "intel-rapl:0", 5_000_000), package(tmp_path, "intel-rapl:1", 0)
    package(tmp_path, "intel-rapl:0:0", 1)
    meter = EnergyMeter("cpu", tmp_path)
    assert meter.source == "RAPL" and meter.joules() == 0
    (first / "energy_uj").write_text("7000000")
    (second / "energy_uj").write_text("500000")
    (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("900000000")
    assert meter.joules() == pytest.approx(2.5)
    assert meter.joules() == pytest.approx(2.5)


def test_a_counter_that_begins_again_is_followed(tmp_path):
    folder = package(tmp_path, "intel-rapl:0", 9_000_000, largest=10_000_000)
    meter = EnergyMeter("cpu", tmp_path)
    (folder / "energy_uj").write_text("2000000")
    assert meter.joules() == pytest.approx(3)


def test_no_counter_is_none(tmp_path):
    (tmp_path / "intel-rapl:0").mkdir()  # as for users who may not read it: nothing there
    for meter in (EnergyMeter("cpu", tmp_path), EnergyMeter("cpu", tmp_path / "absent")):
        assert meter.source == "" and meter.joules() is None


def test_a_gpu_is_asked_through_nvml(monkeypatch, tmp_path):
    used = iter([1000.0, 4000.0])
    nvml = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(used) * (handle == 1),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    package(tmp_path, "intel-rapl:0", 1)
    meter = EnergyMeter("cuda:1", tmp_path)
    assert meter.source == "NVML" and meter.joules() == 3.0
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert EnergyMeter("cuda:1", tmp_path).joules() is None


def test_the_speed_command_divides_by_the_audio(monkeypatch, tmp_path):
    folder = package(tmp_path, "intel-rapl:0", 0)

    class Heater:
        stems, sample_rate, parameters = ("vocals",), 44100, 0

        def separate(self, mixture, sample_rate=None):
            used = int((folder / "energy_uj").read_text())
            (folder / "energy_uj").write_text(str(used + 3_000_000 * (mixture.shape[-1] // 44100)))
            return {"vocals": mixture}

    monkeypatch.setattr("benchmark.timing.speed.EnergyMeter", lambda device: EnergyMeter(device, tmp_path))
    (timing,) = measure_speed({"heater": Heater}, 2, 3, 1)
    assert timing.watt_hours == pytest.approx(3)  # 3 J a second of audio are 3 Wh an hour
