"""What the pre-flight check tells."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that would make the grader fail a submission or score it low.

    Attributes:
        what: what is wrong.
        where: the file, or the probe that showed it.
        mend: what to do.
    """

    what: str
    where: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    -> {self.mend}"
