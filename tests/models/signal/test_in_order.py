"""Results keep their order, however long each takes; threads of PyTorch's are as before afterwards."""

import threading
import time

import pytest
import torch

from models.signal.in_order import map_in_order


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_are_in_order_whatever_each_takes(count: int, workers: int):
    def slow_first(item: int) -> int:
        time.sleep(0.01 * (item % 3 == 0))
        return item * item

    assert list(map_in_order(slow_first, range(count), workers)) == [item * item for item in range(count)]


def test_several_items_run_at_once_on_a_thread_each():
    both_here = threading.Barrier(2, timeout=20)

    def meet(_: int) -> int:
        both_here.wait()
        return torch.get_num_threads()

    assert list(map_in_order(meet, range(4), 2)) == [1, 1, 1, 1]


@pytest.mark.parametrize("count", [1, 4])
def test_pytorch_has_as_many_threads_as_before(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        used = list(map_in_order(lambda _: torch.get_num_threads(), range(count), 2))
        assert torch.get_num_threads() == 2
        assert used == ([2] if count == 1 else [1] * count)
    finally:
        torch.set_num_threads(before)


def test_no_more_is_read_ahead_than_there_are_workers():
    read: list[int] = []

    def items():
        for item in range(10):
            read.append(item)
            yield item

    results = map_in_order(lambda item: item, items(), 2)
    assert next(results) == 0 and len(read) <= 3
    results.close()  # type: ignore[attr-defined]
    assert len(read) <= 3


def test_an_error_of_a_worker_is_the_callers():
    def fail(item: int) -> int:
        if item == 2:
            raise ValueError("chunk 2")
        return item

    results = map_in_order(fail, range(5), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="chunk 2"):
        next(results)
