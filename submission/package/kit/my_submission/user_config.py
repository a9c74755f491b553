"""The class that the grader builds, and the checkpoints that it loads from `checkpoints/`."""

from submission.predictor.predictor import BandsplitPredictor


class MySeparationModel(BandsplitPredictor):
    """Separates with the mean of the ensemble, and with a fallback when time runs short."""

    ensemble = ("small",)
    fallbacks = ("tiny",)
