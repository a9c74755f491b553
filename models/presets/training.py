"""Settings of the training: how examples are made and how the network is optimised."""

from dataclasses import dataclass

from models.tracks import check_stems

CROPS = ("salient", "random")
OPTIMIZERS = ("adam", "muon")
SCHEDULES = ("linear", "exponential")
LOSSES = ("complex", "waveform", "multiresolution", "rmse", "log_error")
PRECISIONS = ("float32", "bfloat16", "float16")
CLOCKS = ("wall", "processor")
NON_FINITE = ("stop", "skip")


@dataclass(frozen=True)
class DataConfig:
    """Random mixing; the defaults are the paper's (Luo & Yu 2022, section 4.1)."""

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    """Stems whose sum is a mixture, with any names; every track must have them all."""
    crop_s: float = 3.0
    """Length of a training example, seconds."""
    crops: str = "salient"
    """``salient``: from segments in which the source is active, by the paper's activity detection. ``random``: from
    anywhere in a stem that is not entirely silent."""
    channels: int = 1
    """1: a random channel of each stem; 2: stereo examples."""
    mid_side: float = 0.0
    """Probability that an example of one channel is mid or side instead of left or right; no effect on stereo
    examples."""
    gain_db: float = 10.0
    """Each source's gain is uniform in [-gain_db, gain_db]."""
    drop: float = 0.1
    """Probability that a source is left out of a mixture."""
    remix: float = 1.0
    """Probability that the sources are drawn from independent tracks; else all are from one track at one time."""
    speed_semitones: float = 0.0
    """Each source is played at a speed of 2^(u / 12), u uniform in [-speed_semitones, speed_semitones]."""
    reverse: float = 0.0
    """Probability that a source is played backwards."""
    rendered: float = 0.0
    """Probability that a source out of ``rendered_stems`` comes from a rendered track instead of a recorded one."""
    rendered_stems: tuple[str, ...] = ("drums", "bass", "other")
    """Sources that rendered tracks may give."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_stems(self.sources, "data.sources")
        if not self.crop_s > 0:
            raise ValueError(f"data.crop_s: expected seconds above 0, got {self.crop_s}")
        if self.crops not in CROPS:
            raise ValueError(f"data.crops: expected one of {', '.join(CROPS)}, got {self.crops!r}")
        if self.channels not in (1, 2):
            raise ValueError(f"data.channels: expected 1 or 2, got {self.channels}")
        if not 0 <= self.gain_db <= 60:
            raise ValueError(f"data.gain_db: expected 0 to 60 dB, got {self.gain_db}")
        if not 0 <= self.drop < 1:
            raise ValueError(f"data.drop: expected a probability in [0, 1), got {self.drop}")
        for name in ("remix", "mid_side", "reverse", "rendered"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"data.{name}: expected a probability in [0, 1], got {getattr(self, name)}")
        if not 0 <= self.speed_semitones <= 12:
            raise ValueError(f"data.speed_semitones: expected 0 to 12, got {self.speed_semitones}")
        if self.rendered and (not self.rendered_stems or not set(self.rendered_stems) <= set(self.sources)):
            raise ValueError(
                f"data.rendered_stems: expected some of {', '.join(self.sources)}, got {list(self.rendered_stems)}"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation; the defaults are the paper's (Luo & Yu 2022, section 4.2)."""

    batch: int = 16
    """Examples in an optimiser step, over all processes."""
    steps: int = 1_000_000
    """Optimiser steps of a whole run (the paper: 100 epochs of 10 000)."""
    minutes: float = 0.0
    """Minutes of a whole run, over all its calls. 0: ``steps`` ends the run, or ``--max-minutes`` if the schedule is
    linear."""
    clock: str = "wall"
    """Time that ``minutes`` counts: ``wall``, or ``processor``, which is independent of other load on the machine."""
    loss: str = "complex"
    """``complex``: the paper's three terms. ``waveform``: L1 of the waveform alone, as in Demucs. ``multiresolution``:
    the complex terms at five FFT sizes instead of one, as in BS-RoFormer. ``rmse``: root of each stem's mean squared
    error in the complex spectrogram, as in SCNet. ``log_error``: the logarithm of each stem's squared error, as in the
    SDR."""
    keep_examples: float = 1.0
    """Against label noise: share of a batch's examples of each stem whose loss counts, those best heard."""
    keep_frames: float = 1.0
    """Against bleeding: share of a batch's frames of each stem whose loss counts, those best heard."""
    keep_all_steps: int = 0
    """Steps at the beginning in which all examples and frames count."""
    teacher: float = 0.0
    """Probability that a step's targets are what the averaged weights make of them: each target is separated alone, and
    what is heard of a stem, in whatever target, becomes that stem's. From ``keep_all_steps`` on; needs ``ema``."""
    optimizer: str = "adam"
    """``adam``, or ``muon``: Muon on the matrices and Adam on the rest."""
    lr: float = 1e-3
    """Peak learning rate."""
    warmup_steps: int = 0
    """Steps of linear rise to ``lr``."""
    schedule: str = "exponential"
    """``exponential``: times ``decay`` every ``decay_steps``. ``linear``: to 0 at the run's end (steps or minutes)."""
    decay: float = 0.98
    """Factor of the exponential schedule."""
    decay_steps: int = 20_000
    """Steps between two factors (the paper: 2 epochs)."""
    clip: float = 5.0
    """Largest norm of the gradient."""
    ema: float = 0.0
    """Decay of the averaged weights that are validated and saved; 0 uses the trained weights."""
    precision: str = "float32"
    """``bfloat16`` or, on a GPU, ``float16`` runs the network under autocast; weights stay float32."""
    validate_every: int = 10_000
    """Steps between validations (the paper: an epoch)."""
    patience: int = 10
    """Validations without a better SDR after which training stops; 0 never stops."""
    non_finite: str = "stop"
    """At a loss or gradient that is not finite: ``stop``, or ``skip`` the step (ten in a row stop)."""
    seed: int = 0
    """Determines the initial weights and every batch."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("batch", "steps", "decay_steps", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("keep_all_steps", "warmup_steps", "patience", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"train.{name}: expected at least 0, got {getattr(self, name)}")
        if not 0 <= self.minutes < float("inf"):
            raise ValueError(f"train.minutes: expected at least 0, got {self.minutes}")
        for name in ("lr", "decay", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"train.{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("keep_examples", "keep_frames"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"train.{name}: expected a share in (0, 1], got {getattr(self, name)}")
        if not 0 <= self.teacher <= 1 or (self.teacher and not self.ema):
            raise ValueError(
                f"train.teacher: expected a probability in [0, 1], above 0 with train.ema only, got {self.teacher} "
                f"and train.ema={self.ema}"
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"train.ema: expected a decay in [0, 1), got {self.ema}")
        choices = {
            "loss": LOSSES,
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
            "clock": CLOCKS,
            "non_finite": NON_FINITE,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"train.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
