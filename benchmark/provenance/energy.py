"""Energy that a machine has used: of its processors by RAPL, of a GPU by NVML."""

import importlib
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Counts the energy of the processors' packages, or of one NVIDIA GPU, while it is asked at least once an hour.

    It is that of all that runs there: measure one system at a time on a machine that does nothing else.

    Args:
        device: ``cpu``, or ``cuda`` with or without a number.
        powercap: where Linux keeps the counters.

    Attributes:
        source: ``RAPL`` or ``NVML``, or ``""`` where no counter can be read (root may be needed).
    """

    def __init__(self, device: str = "cpu", powercap: Path = POWERCAP) -> None:
        self._joules = 0.0
        self._gpu = _nvml_handle(device) if device.startswith("cuda") else None
        packages = [] if device.startswith("cuda") else sorted(powercap.glob("intel-rapl:[0-9]*"))
        packages = [package for package in packages if package.name.count(":") == 1]
        self._last: dict[Path, int] = {}
        for package in packages:
            try:
                self._last[package] = _microjoules(package / "energy_uj")
            except (OSError, ValueError):
                continue
        self.source = "NVML" if self._gpu is not None else "RAPL" if self._last else ""

    def joules(self) -> float | None:
        """Energy since the meter was made; None where it cannot be read."""
        if self._gpu is not None:
            nvml, handle, start = self._gpu
            return (nvml.nvmlDeviceGetTotalEnergyConsumption(handle) - start) / 1e3
        if not self._last:
            return None
        for package, last in self._last.items():
            now = _microjoules(package / "energy_uj")
            if now < last:  # the counter began again
                last -= _microjoules(package / "max_energy_range_uj")
            self._joules += (now - last) / 1e6
            self._last[package] = now
        return self._joules


def _microjoules(file: Path) -> int:
    return int(file.read_text())


def _nvml_handle(device: str) -> tuple[Any, Any, float] | None:
    """The library, the GPU and its counter in millijoules; None without the package nvidia-ml-py or the counter."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        return nvml, handle, nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # noqa: BLE001 - no package, no driver or no counter: NVML has errors of its own
        return None
