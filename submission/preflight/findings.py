"""What the pre-flight check reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that would make the grader fail a submission or score it low.

    Attributes:
        what: what is wrong.
        where: the file, or the test signal that showed it.
        advice: what to do.
    """

    what: str
    where: str
    advice: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    -> {self.advice}"
