"""Several readers of one stream, and streams cut at the same places."""

import weakref

import torch

from models.separation.streams import aligned, copied


def test_pieces_are_cut_at_the_same_places_and_empty_ones_passed_over():
    def stream(*lengths):
        start = 0
        for length in lengths:
            yield {"vocals": torch.arange(start, start + length)[None]}
            start += length

    pieces = list(aligned([stream(3, 0, 5, 2), stream(0, 1, 9, 0)]))
    for first, second in pieces:
        assert torch.equal(first["vocals"], second["vocals"]) and first["vocals"].numel() > 0
    assert torch.cat([first["vocals"] for first, _ in pieces], dim=-1).tolist() == [list(range(10))]


def test_a_block_is_kept_only_until_all_have_read_it():
    seen = []

    def blocks():
        for index in range(4):
            block = torch.full((1, 2), float(index))
            seen.append(weakref.ref(block))
            yield block

    first, second = copied(blocks(), 2)
    for index in range(4):
        assert float(next(first)[0, 0]) == float(next(second)[0, 0]) == index
        assert sum(block() is not None for block in seen) <= 1
    assert next(first, None) is None and next(second, None) is None
