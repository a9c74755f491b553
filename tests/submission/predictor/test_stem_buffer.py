"""The stem buffer: stems are joined as by `overlap_add`; without a chunk they are equal parts of the mixture."""

import pytest
import torch

from models.signal.chunking import overlap_add
from submission.predictor.stem_buffer import StemBuffer

MIXTURE = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))


def process(chunks: torch.Tensor) -> torch.Tensor:
    """Two stems, which depend on where a chunk begins."""
    ramp = torch.linspace(0, 1, chunks.shape[-1])
    return torch.stack([chunks * ramp, chunks * (1 - ramp)], dim=1)


def step(buffer: StemBuffer, num_chunks: int, length: int, overlap: float) -> int:
    starts = buffer.starts(num_chunks, length, overlap)
    return buffer.add(starts, process(buffer.cut(starts, length)), overlap)


@pytest.mark.parametrize("overlap", [0.0, 0.05, 0.5, 0.75])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("window", [80, 300, 1000, 2000])
def test_chunks_of_the_usual_length_are_joined_as_overlap_add_joins_them(overlap: float, batch: int, window: int):
    buffer = StemBuffer(MIXTURE, 2, window)
    covered = 0
    while buffer.covered < buffer.num_samples:
        covered += step(buffer, batch, window, overlap)
    assert covered == buffer.covered == 1000
    hop = max(1, round(window * (1 - overlap)))
    expected = torch.cat(list(overlap_add(process, [MIXTURE], window, hop, batch)), dim=-1)
    torch.testing.assert_close(buffer.finish(), expected, rtol=0, atol=0)


def test_short_chunks_start_where_the_last_one_ended_without_overlap():
    buffer = StemBuffer(MIXTURE, 2, 300)
    assert step(buffer, 1, 300, 0.5) == 300
    assert buffer.starts(2, 300, 0.5) == [150, 300]
    assert buffer.starts(1, 50, 0.5) == [300] and step(buffer, 1, 50, 0.5) == 50
    assert buffer.starts(1, 300, 0.5) == [350]
    assert buffer.starts(1, 300, 0.0) == [350]
    stems = buffer.finish()
    torch.testing.assert_close(stems[:, :, :350].sum(dim=0), MIXTURE[:, :350])
    torch.testing.assert_close(stems[0, :, 350:], MIXTURE[:, 350:] / 2)
