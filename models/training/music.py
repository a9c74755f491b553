"""What a run's examples are mixed from, where that changes while it trains."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import nn

from models.training.data.mixing import RandomMixer


class Music(Protocol):
    """Makes the mixer of a run, and a new one after validations."""

    def follow(
        self, rows: Sequence[Mapping[str, Any]], now: int, average: nn.Module, is_stopped: Callable[[], bool]
    ) -> RandomMixer | None:
        """The mixer from here on; None: the one before.

        It follows from the rows alone: a resumed run gets the mixer that it had.

        Args:
            rows: of the run's metrics; the state that is saved holds them.
            now: steps done.
            average: the weights that are validated, as they are now.
            is_stopped: asked from time to time; if so, KeyboardInterrupt is raised and what was done is kept.
        """
        ...

    def origins(self) -> str:
        """What the music is, as names of data sets, for the training data of a checkpoint."""
        ...

    def facts(self) -> dict[str, str]:
        """What a checkpoint and its model card say of it."""
        ...
