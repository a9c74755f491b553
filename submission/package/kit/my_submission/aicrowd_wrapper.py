"""Replaces the kit's wrapper of this name in local runs; the grader puts its own in this place.

It builds the class, reads a track's mixture, checks the set of instruments and writes a PCM_16 file for each.

Environment:
    AICROWD_DATASET_DIR: folder of the tracks' folders; overrides the argument.
    AICROWD_PUBLIC_SHARED_DIR: predictions are written to its folder `predictions`; overrides the argument.

Differs from the kit's: a track name that leads out of the two folders is refused.
"""

import os
from pathlib import Path

import soundfile

from my_submission.user_config import MySeparationModel

INSTRUMENTS = ("bass", "drums", "other", "vocals")


class AIcrowdWrapper:
    """Calls the class of `user_config.py` for the evaluator.

    Args:
        dataset_dir: folder of the tracks' folders, each with a `mixture.wav`.
        predictions_dir: existing folder for the predictions.

    Raises:
        FileNotFoundError: one of the two does not exist.
    """

    def __init__(self, dataset_dir: str = "./public_dataset/", predictions_dir: str = "./evaluator_outputs/") -> None:
        self.model = MySeparationModel()
        self.instruments = list(INSTRUMENTS)
        shared = os.environ.get("AICROWD_PUBLIC_SHARED_DIR")
        self.predictions_dir = os.path.join(shared, "predictions") if shared is not None else predictions_dir
        self.dataset_dir = os.environ.get("AICROWD_DATASET_DIR", dataset_dir)
        for folder in (self.predictions_dir, self.dataset_dir):
            if not os.path.isdir(folder):
                raise FileNotFoundError(f"{folder}: expected an existing folder, got none; make it")

    def raise_aicrowd_error(self, msg: str) -> None:
        """Raise the error that the grader shows in the submission's log."""
        raise NameError(msg)

    def separate_music_file(self, foldername: str) -> bool:
        """Separate one track of the data set and write its predictions; returns True.

        Raises:
            ValueError: the name leads out of the folders, or the predictor did not return exactly the instruments.
        """
        source, target = (_inside(folder, foldername) for folder in (self.dataset_dir, self.predictions_dir))
        samples, sample_rate = soundfile.read(source / "mixture.wav")
        stems, sample_rates = self.model.separate_music_file(samples, sample_rate)
        if set(stems) != set(self.instruments):
            raise ValueError(f"expected the instruments {', '.join(self.instruments)}, got {', '.join(sorted(stems))}")
        target.mkdir(exist_ok=True)
        for name in self.instruments:
            soundfile.write(str(target / f"{name}.wav"), data=stems[name], samplerate=sample_rates[name])
        return True


def _inside(folder: str, name: str) -> Path:
    """The folder of a track, directly in `folder`."""
    path = Path(folder) / name
    if name in ("", ".", "..") or Path(name).name != name or path.resolve().parent != Path(folder).resolve():
        raise ValueError(f"track {name!r}: expected the name of a folder directly in {folder}")
    return path
