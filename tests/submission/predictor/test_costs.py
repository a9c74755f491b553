"""The cost of each network on this machine, measured on noise in each precision that works."""

import pytest
import torch

from fake_networks import FakeClock, scaling_separator
from models.bsrnn import Estimate
from submission.predictor.costs import measure_costs


def test_costs_are_per_second_and_a_slow_machine_is_measured_briefly():
    for cost, expected in ((0.1, ["float32"] * 3 + ["half"] * 3), (70.0, ["float32"])):
        clock = FakeClock()
        networks = {name: scaling_separator(clock, cost) for name in "ab"}
        costs = measure_costs(networks, 2, 44100, clock)
        assert all(value == pytest.approx(cost) for value in costs.values())
        for name, network in networks.items():
            assert [precision for _, _, precision in network.network.calls] == expected
            assert {precision for key, precision in costs if key == name} == set(expected)


@pytest.mark.parametrize("kind", ["raises", "overflows"])
def test_a_precision_that_does_not_work_is_left_out(kind: str):
    clock = FakeClock()
    network = scaling_separator(clock, 0.1)
    original = network.network.forward

    def forward(mixture: torch.Tensor) -> Estimate:
        if torch.is_autocast_enabled("cpu"):
            if kind == "raises":
                raise RuntimeError("no such kernel")
            return Estimate(original(mixture).waveforms * torch.inf)
        return original(mixture)

    network.network.forward = forward
    assert list(measure_costs({"a": network}, 2, 44100, clock)) == [("a", "float32")]


def test_a_network_that_does_not_work_at_all_is_an_error():
    network = scaling_separator()
    network.network.fail = RuntimeError("no such kernel")
    with pytest.raises(RuntimeError, match="no such kernel"):
        measure_costs({"a": network}, 2, 44100, FakeClock())
