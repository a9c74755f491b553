"""Applies a function to a stream on several threads; the results keep their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Results of a function of each item, in order, ``workers`` items at once, each on one thread of PyTorch's.

    A network on a chunk of music spends much of its time where threads inside an operation do not help, so two chunks
    on a thread each are done sooner than one after the other on two threads. A single item has all threads.

    Args:
        function: can run on several threads at once if ``workers`` is more than 1.
        items: read as far ahead as there are workers.
        workers: at least 1; with 1 nothing is read ahead and no thread is started.
    """
    if workers > 1:
        items = iter(items)
        first = list(islice(items, 2))
        items = chain(first, items)
        if len(first) == 2:
            yield from _map_on_threads(function, items, workers)
            return
    yield from map(function, items)


def _map_on_threads(function: Callable[[Item], Result], items: Iterator[Item], workers: int) -> Iterator[Result]:
    import torch

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    running: deque[Future[Result]] = deque()
    try:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) == workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # a part of what the workers set counts for the whole process
